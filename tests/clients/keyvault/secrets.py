"""azure-keyvault-secrets: every call of it."""

import datetime
import uuid

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.secrets import ApiVersion, SecretClient

from .stage import assign, check, inner_code, new_vault, owner, raises

FAST = {"_polling_interval": 0.05}


def run():
    vault = new_vault("suite-secrets")
    client = SecretClient(vault.properties.vault_uri, owner)
    denied = raises(HttpResponseError, lambda: client.get_secret("x"))
    check("whoever owns a vault has no right to what it holds", denied and denied.status_code == 403 and inner_code(denied) == "ForbiddenByRbac")
    assign("administrator", vault.id)

    versions(client)
    attributes(client)
    deletion(client)
    backup(client)
    for version in [ApiVersion.V7_4, ApiVersion.V7_5, ApiVersion.V7_6]:
        older = SecretClient(vault.properties.vault_uri, owner, api_version=version)
        check(f"the client of {version} reads it too", older.get_secret("kept").value == "second")


def versions(client):
    start = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
    end = start + datetime.timedelta(days=1)
    first = client.set_secret("kept", "first", content_type="text/plain", tags={"a": "b"}, not_before=start, expires_on=end)
    check("a secret is set", first.value == "first" and first.properties.version)
    properties = first.properties
    check("with all that was said", (properties.content_type, properties.tags, properties.not_before, properties.expires_on) == ("text/plain", {"a": "b"}, start, end))
    check("it can be recovered", (properties.recovery_level, properties.recoverable_days) == ("Recoverable+Purgeable", 90))
    second = client.set_secret("kept", "second")
    check("a new value is a new version", second.properties.version != properties.version)
    check("the newest is read", client.get_secret("kept").value == "second")
    check("the old one by its version", client.get_secret("kept", properties.version).value == "first")
    listed = list(client.list_properties_of_secret_versions("kept"))
    check("versions are listed", {v.version for v in listed} == {properties.version, second.properties.version})
    for n in range(30):
        client.set_secret(f"many-{n}", "v")
    names = [found.name for found in client.list_properties_of_secrets()]
    check("secrets are listed over pages", len(names) == len(set(names)) == 31)
    pages = list(client.list_properties_of_secrets(max_page_size=7).by_page())
    check("in pages of the size asked for", max(len(list(page)) for page in pages) <= 7 and len(pages) == 5)
    check("a missing secret is a ResourceNotFoundError", raises(ResourceNotFoundError, lambda: client.get_secret("none")))
    check("a value that is too large is a 400", raises(HttpResponseError, lambda: client.set_secret("big", "x" * 25601)).status_code == 400)
    check("an umlaut comes back", client.set_secret("text", "größer ☂").value == client.get_secret("text").value == "größer ☂")


def attributes(client):
    disabled = client.update_secret_properties("text", enabled=False, content_type="x", tags={"t": "1"})
    check("attributes change", (disabled.enabled, disabled.content_type, disabled.tags) == (False, "x", {"t": "1"}))
    refused = raises(HttpResponseError, lambda: client.get_secret("text"))
    check("a disabled secret is refused", refused and refused.status_code == 403 and inner_code(refused) == "SecretDisabled")
    client.update_secret_properties("text", enabled=True)
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    client.update_secret_properties("text", expires_on=past)
    check("an expired one is still read", client.get_secret("text").properties.expires_on == past)


def deletion(client):
    gone = client.begin_delete_secret("text", **FAST).result()
    check("a secret is deleted", gone.name == "text" and gone.recovery_id and gone.scheduled_purge_date > gone.deleted_date)
    check("and not there", raises(ResourceNotFoundError, lambda: client.get_secret("text")))
    exists = raises(ResourceExistsError, lambda: client.set_secret("text", "again"))
    check("its name is not free", inner_code(exists) == "ObjectIsDeletedButRecoverable")
    check("a deleted secret is read", client.get_deleted_secret("text").name == "text")
    check("deleted secrets are listed", [found.name for found in client.list_deleted_secrets()] == ["text"])
    back = client.begin_recover_deleted_secret("text", **FAST).result()
    check("it is recovered", back.name == "text" and client.get_secret("text").value == "größer ☂")
    client.begin_delete_secret("text", **FAST).result()
    client.purge_deleted_secret("text")
    check("it is purged", raises(ResourceNotFoundError, lambda: client.get_deleted_secret("text")))
    check("and its name is free", client.set_secret("text", "anew").value == "anew")


def backup(client):
    blob = client.backup_secret("kept")
    check("a backup shows nothing", b"first" not in blob and b"second" not in blob)
    check("it is not restored over what is there", raises(ResourceExistsError, lambda: client.restore_secret_backup(blob)))
    other = new_vault(f"suite-{uuid.uuid4().hex[:8]}")
    assign("administrator", other.id)
    there = SecretClient(other.properties.vault_uri, owner)
    restored = there.restore_secret_backup(blob)
    check("a backup is restored in another vault", restored.name == "kept" and there.get_secret("kept").value == "second")
    check("with all versions", len(list(there.list_properties_of_secret_versions("kept"))) == 2)
    broken = bytes([*blob[:-1], blob[-1] ^ 1])
    refused = raises(HttpResponseError, lambda: there.restore_secret_backup(broken))
    check("a changed backup is a 400", refused and refused.status_code == 400)
