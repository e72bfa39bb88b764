"""What all parts share: names that resolve to this machine, people, and the counting of checks."""

import os
import socket
import uuid

from azure.identity import ClientSecretCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.keyvault import KeyVaultManagementClient

URL = os.environ["BARTIZAN_URL"]
PORT = URL.rsplit(":", 1)[1]
SUFFIX = "bartizan.test"
SUBSCRIPTION = os.environ["AZURE_SUBSCRIPTION_ID"]
GROUP = os.environ["BARTIZAN_RESOURCE_GROUP"]
ROLES = {"administrator": "00482a5a-887f-4fb3-b363-3b7fe8e74483", "secrets user": "4633458b-17de-408a-b874-0445c86b69e6"}
passed = failed = 0

_resolve = socket.getaddrinfo


def _here(host, *rest, **named):
    """The suffix is reserved (RFC 6761) and known to no name server."""
    return _resolve("127.0.0.1" if str(host).endswith("." + SUFFIX) else host, *rest, **named)


socket.getaddrinfo = _here


def check(name, holds):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, flush=True)


def raises(kind, call):
    try:
        call()
    except kind as fault:
        return fault
    return None


def inner_code(fault):
    """Why a vault refused: `error.innererror.code`."""
    return ((fault.response.json()["error"].get("innererror") or {}).get("code")) if fault else None


owner = ClientSecretCredential(
    os.environ["AZURE_TENANT_ID"],
    os.environ["AZURE_CLIENT_ID"],
    os.environ["AZURE_CLIENT_SECRET"],
    authority=URL,
    disable_instance_discovery=True,
)
_options = {"base_url": URL, "credential_scopes": [f"{URL}/.default"]}
vaults = KeyVaultManagementClient(owner, SUBSCRIPTION, **_options).vaults
access = AuthorizationManagementClient(owner, SUBSCRIPTION, **_options)


def me():
    """The owner's object id, as its token says it."""
    import base64
    import json

    claims = owner.get_token(f"{URL}/.default").token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["oid"]


def assign(role, scope):
    """Gives the owner a role at a scope."""
    definition = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{ROLES[role]}"
    body = {"role_definition_id": definition, "principal_id": me(), "principal_type": "ServicePrincipal"}
    access.role_assignments.create(scope, str(uuid.uuid4()), body)


def new_vault(name, **properties):
    """A vault of the group."""
    body = {
        "location": "local",
        "properties": {
            "tenantId": os.environ["AZURE_TENANT_ID"],
            "sku": {"family": "A", "name": "standard"},
            "enableRbacAuthorization": True,
            **properties,
        },
    }
    return vaults.begin_create_or_update(GROUP, name, body).result()
