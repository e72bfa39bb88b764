"""azure-mgmt-storage: accounts whose blobs a key of a vault holds, at creation and by PATCH, revoked and followed."""

import time

from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import KeyClient
from azure.mgmt.storage import StorageManagementClient
from azure.mgmt.storage.models import (
    Encryption,
    Identity,
    KeyVaultProperties,
    Sku,
    StorageAccountCreateParameters,
    StorageAccountUpdateParameters,
)
from azure.storage.blob import BlobServiceClient

from .stage import GROUP, SUBSCRIPTION, URL, assign, check, new_vault, owner, raises

OPTIONS = {"base_url": URL, "credential_scopes": [f"{URL}/.default"]}


def by(key, version):
    """Held by a key of a vault; with an empty version by the newest one."""
    vault = key.id.split("/keys/")[0]
    held = KeyVaultProperties(key_name=key.name, key_version=version, key_vault_uri=vault)
    return Encryption(key_source="Microsoft.Keyvault", key_vault_properties=held)


def until(call):
    """The server looks at keys every few seconds; within a minute everything has followed."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if call():
            return True
        time.sleep(0.5)
    return False


def run():
    accounts = StorageManagementClient(owner, SUBSCRIPTION, **OPTIONS).storage_accounts
    vault = new_vault("suite-cmk", enablePurgeProtection=True)
    assign("administrator", vault.id)
    keys = KeyClient(vault.properties.vault_uri, owner)
    first = keys.create_rsa_key("blobs", size=2048)

    wanted = StorageAccountCreateParameters(
        sku=Sku(name="Standard_LRS"),
        kind="StorageV2",
        location="local",
        identity=Identity(type="SystemAssigned"),
        encryption=by(first, first.properties.version),
    )
    made = accounts.begin_create(GROUP, "suitecmk", wanted).result()
    held = made.encryption.key_vault_properties
    check("an account is made under a key", made.encryption.key_source == "Microsoft.Keyvault")
    check("it says which", (held.key_name, held.key_version) == ("blobs", first.properties.version))
    check("it has an identity of its own", made.identity.principal_id)

    secret = accounts.list_keys(GROUP, "suitecmk")["keys"][0]["value"]
    service = BlobServiceClient(made.primary_endpoints.blob, credential=secret)
    box = service.create_container("box")
    box.upload_blob("one", b"kept")
    check("a blob is written and read", box.download_blob("one").readall() == b"kept")

    accounts.update(GROUP, "suitecmk", StorageAccountUpdateParameters(encryption=by(first, "")))
    check("it follows the key by PATCH", accounts.get_properties(GROUP, "suitecmk").encryption.key_vault_properties.key_version == "")
    second = keys.create_rsa_key("blobs", size=2048)

    check("it is read while the key gets a version", box.download_blob("one").readall() == b"kept")

    keys.update_key_properties("blobs", second.properties.version, enabled=False)
    keys.update_key_properties("blobs", first.properties.version, enabled=False)

    def refused():
        fault = raises(HttpResponseError, lambda: box.download_blob("one").readall())
        return fault and (fault.status_code, fault.error_code) == (403, "KeyVaultEncryptionKeyNotFound")

    check("a revoked key refuses reads by its code", until(refused))
    keys.update_key_properties("blobs", second.properties.version, enabled=True)
    keys.update_key_properties("blobs", first.properties.version, enabled=True)
    check("a restored one gives them back", until(lambda: not refused()) and box.download_blob("one").readall() == b"kept")

    curve = keys.create_ec_key("curve")
    fault = raises(
        HttpResponseError,
        lambda: accounts.update(GROUP, "suitecmk", StorageAccountUpdateParameters(encryption=by(curve, ""))),
    )
    check("a key that does not fit is refused by its code", fault and fault.error.code == "KeyTypeNotSupported")
    own = StorageAccountUpdateParameters(encryption=Encryption(key_source="Microsoft.Storage"))
    check("the server's own keyring takes over", accounts.update(GROUP, "suitecmk", own).encryption.key_source == "Microsoft.Storage")
