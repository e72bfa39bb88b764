"""Microsoft's own command line, `az`, against a running server. Prints a line per check and 'N passed, N failed'."""

import argparse
import base64
import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

PINS = ["azure-cli==2.91.0"]


def reenter(cache):
    """Makes a virtual environment with the pinned command line once, and runs this file in it."""
    name = hashlib.sha256("\n".join([sys.version, *PINS]).encode()).hexdigest()[:16]
    place = pathlib.Path(cache) / f"az-{name}"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        # Compiling all of it takes longer than all of this suite, which loads a small part.
        install = [python, "-m", "pip", "install", "--quiet", "--no-compile", *PINS]
        fetched = subprocess.run(install, capture_output=True, text=True)
        if fetched.returncode != 0:
            last = (fetched.stderr.strip().splitlines() or ["pip failed"])[-1]
            print(f"skipped the az command line cannot be installed: {last}")
            sys.exit(0)
        (place / "complete").touch()
    os.execve(python, [str(python), __file__], {**os.environ, "BARTIZAN_SUITE_READY": "1"})


if "BARTIZAN_SUITE_READY" not in os.environ:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", required=True, help="directory for the virtual environment")
    reenter(parser.parse_args().cache)

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: E402

URL = os.environ["BARTIZAN_URL"]
TENANT = os.environ["AZURE_TENANT_ID"]
SUBSCRIPTION = os.environ["AZURE_SUBSCRIPTION_ID"]
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/az-rg"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/az-ws"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/azaccount1"
SCRATCH = tempfile.TemporaryDirectory()
HOME = pathlib.Path(SCRATCH.name)
passed = failed = 0


def settings(who):
    """The environment of somebody's az: what the how-to says to type, and nothing that reaches the internet."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(HOME),
        "AZURE_CONFIG_DIR": str(HOME / who),
        "AZURE_EXTENSION_DIR": str(HOME / "extensions"),
        "AZURE_CORE_INSTANCE_DISCOVERY": "false",
        "AZURE_CORE_LOGIN_EXPERIENCE_V2": "off",
        "AZURE_CORE_COLLECT_TELEMETRY": "0",
        "AZURE_CORE_NO_COLOR": "1",
        "REQUESTS_CA_BUNDLE": os.environ["BARTIZAN_CA"],
    }


def check(name, holds, seen=""):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, "" if holds else seen, flush=True)


class Said:
    """What one az command answered."""

    def __init__(self, ended):
        self.code, self.told, self.text = ended.returncode, ended.stderr, ended.stdout
        try:
            self.value = json.loads(self.text) if self.text.strip() else None
        except ValueError:
            self.value = self.text

    def __repr__(self):
        return f"exit {self.code}: {self.text[:600]} {self.told[-600:]}"


def az(*words, who="owner"):
    command = [sys.executable, "-m", "azure.cli", *words, "--output", "json"]
    return Said(subprocess.run(command, env=settings(who), capture_output=True, text=True, timeout=120))


def gives(name, wanted, *words, who="owner"):
    """A check that a command succeeds and answers just this."""
    said = az(*words, who=who)
    check(name, said.code == 0 and said.value == wanted, said)


def works(name, *words, who="owner"):
    said = az(*words, who=who)
    check(name, said.code == 0, said)
    return said.value


def refused(name, word, *words, who="owner"):
    """A check that a command fails, and says why."""
    said = az(*words, who=who)
    check(name, said.code != 0 and word in said.told, said)


def written(name, text):
    place = HOME / name
    place.write_text(text if isinstance(text, str) else json.dumps(text))
    return str(place)


def certificate():
    """A self-signed certificate: a file of it with its key, and what the directory keeps of it."""
    key, now = rsa.generate_private_key(65537, 2048), datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "az")])
    made = x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(1))
    made = made.not_valid_after(now + datetime.timedelta(2)).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + made.public_bytes(pem)
    return written("az.pem", text.decode()), base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


def signing_in():
    works("a cloud is registered by its address alone", "cloud", "register", "-n", "Bartizan", "--endpoint-resource-manager", URL)
    works("and chosen", "cloud", "set", "-n", "Bartizan")
    known = ["--tenant", TENANT, "--service-principal", "-u", os.environ["AZURE_CLIENT_ID"]]
    refused("a wrong secret is refused", "AADSTS7000215", "login", *known, "-p", "x")
    accounts = works("a service principal signs in with its secret", "login", *known, "-p", os.environ["AZURE_CLIENT_SECRET"])
    check("and has the subscription", accounts and [a["id"] for a in accounts] == [SUBSCRIPTION], accounts)
    gives("which is the default", [SUBSCRIPTION, TENANT], "account", "show", "--query", "[id, tenantId]")
    gives("and listed", ["Bartizan"], "account", "list", "--query", "[].cloudName")


def a_reader():
    """Somebody with another configuration directory, who signs in with a certificate."""
    place, key = certificate()
    made = works("a service principal is made", "rest", "--method", "post", "--url", f"{URL}/graph/v1.0/servicePrincipals", "--body", '{"displayName": "az reader"}')
    credential = {"keyCredential": {"type": "AsymmetricX509Cert", "usage": "Verify", "key": key}}
    works("it gets a certificate", "rest", "--method", "post", "--url", f"{URL}/graph/v1.0/applications/{made['appId']}/addKey", "--body", json.dumps(credential))
    works("it is made a Reader of the group", "role", "assignment", "create", "--assignee-object-id", made["id"], "--assignee-principal-type", "ServicePrincipal", "--role", "Reader", "--scope", GROUP)
    az("cloud", "register", "-n", "Bartizan", "--endpoint-resource-manager", URL, who="reader")
    az("cloud", "set", "-n", "Bartizan", who="reader")
    login = ["login", "--service-principal", "-u", made["appId"], "--certificate", place, "--tenant", TENANT]
    works("it signs in with it", *login, who="reader")
    gives("it reads what is in the group", "az-ws", "resource", "show", "--ids", WORKSPACE, "--query", "name", who="reader")
    delete = ["rest", "--method", "delete", "--url", f"{WORKSPACE}?api-version=2024-04-01"]
    refused("it may not delete it, and is told which action it lacks", "Microsoft.MachineLearningServices/workspaces/delete", *delete, who="reader")
    refused("nor see its keys", "AuthorizationFailed", "storage", "account", "keys", "list", "-g", "az-rg", "-n", "azaccount1", who="reader")
    return made["id"]


def groups():
    made = works("a group is made", "group", "create", "-n", "az-rg", "-l", "local", "--tags", "team=az")
    check("with its tags", made and made["tags"] == {"team": "az"}, made)
    gives("it is read", GROUP, "group", "show", "-n", "az-rg", "--query", "id")
    gives("it is listed", ["az-rg"], "group", "list", "--query", "[?name=='az-rg'].name")
    gives("it exists", True, "group", "exists", "-n", "az-rg")
    works("another is made", "group", "create", "-n", "az-gone", "-l", "local")
    works("and deleted", "group", "delete", "-n", "az-gone", "--yes")
    gives("and is gone", False, "group", "exists", "-n", "az-gone")


TEMPLATE = """{
  // Comments are allowed, as Azure allows them.
  "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
  "contentVersion": "1.0.0.0",
  "parameters": {"name": {"type": "string"}},
  "resources": [{
    "type": "Microsoft.MachineLearningServices/workspaces",
    "apiVersion": "2024-04-01",
    "name": "[parameters('name')]",
    "location": "[resourceGroup().location]", /* where the group is */
    "identity": {"type": "SystemAssigned"},
    "properties": {"friendlyName": "made by az"}
  }],
  "outputs": {"id": {"type": "string", "value": "[resourceId('Microsoft.MachineLearningServices/workspaces', parameters('name'))]"}}
}
"""


def deployments():
    asked = ["-g", "az-rg", "-n", "az-d", "-f", written("ws.json", TEMPLATE), "-p", "name=az-ws"]
    check_state = ["--query", "properties.provisioningState"]
    gives("a template is validated", "Succeeded", "deployment", "group", "validate", *asked, *check_state)
    gives("what-if foresees a workspace", ["Create"], "deployment", "group", "what-if", *asked, "--no-pretty-print", "--query", "changes[].changeType")
    gives("it is deployed", "Succeeded", "deployment", "group", "create", *asked, *check_state)
    gives("its outputs are shown", WORKSPACE, "deployment", "group", "show", "-g", "az-rg", "-n", "az-d", "--query", "properties.outputs.id.value")
    gives("it is listed", ["az-d"], "deployment", "group", "list", "-g", "az-rg", "--query", "[].name")
    works("it is deleted", "deployment", "group", "delete", "-g", "az-rg", "-n", "az-d")
    gives("what it made stays", ["az-ws"], "resource", "list", "-g", "az-rg", "--resource-type", "Microsoft.MachineLearningServices/workspaces", "--query", "[].name")


def resources():
    kinds = works("resources are listed whatever their type", "resource", "list", "-g", "az-rg", "--query", "[].type")
    check("a workspace with its companions", kinds and {"Microsoft.MachineLearningServices/workspaces", "Microsoft.KeyVault/vaults"} <= set(kinds), kinds)
    gives("one is shown by its id", "made by az", "resource", "show", "--ids", WORKSPACE, "--query", "properties.friendlyName")
    kind = ["--resource-type", "Microsoft.MachineLearningServices/workspaces"]
    gives("and by name and type", WORKSPACE, "resource", "show", "-g", "az-rg", "-n", "az-ws", *kind, "--query", "id")
    refused("one that is not there", "ResourceNotFound", "resource", "show", "-g", "az-rg", "-n", "nope", *kind)
    gives("az rest reads it", "az-ws", "rest", "--url", f"{WORKSPACE}?api-version=2024-04-01", "--query", "name")
    gives("the operations of a namespace are listed", "Microsoft.MachineLearningServices", "provider", "operation", "show", "-n", "Microsoft.MachineLearningServices", "--query", "name")


# "Data Scientist Custom" as Azure Machine Learning's documents have it, in the form that az takes.
ROLE = {
    "Name": "Data Scientist Custom",
    "IsCustom": True,
    "Description": "Can run experiment but can't create or delete compute.",
    "Actions": ["*"],
    "NotActions": [
        "Microsoft.MachineLearningServices/workspaces/*/delete",
        "Microsoft.MachineLearningServices/workspaces/write",
        "Microsoft.MachineLearningServices/workspaces/computes/*/write",
        "Microsoft.MachineLearningServices/workspaces/computes/*/delete",
        "Microsoft.Authorization/*/write",
    ],
    "AssignableScopes": [WORKSPACE],
}


def roles(reader):
    made = works("a documented custom role is made", "role", "definition", "create", "--role-definition", written("role.json", ROLE))
    check("as it is documented", made and made["permissions"][0]["notActions"] == ROLE["NotActions"], made)
    custom = ["role", "definition", "list", "--custom-role-only", "--scope", WORKSPACE]
    gives("it is listed", [ROLE["Name"]], *custom, "--query", "[].roleName")
    changed = written("role.json", {**ROLE, "Description": "changed"})
    gives("it is changed", "changed", "role", "definition", "update", "--role-definition", changed, "--query", "description")
    whom = ["--assignee-object-id", reader, "--role", ROLE["Name"], "--scope", WORKSPACE]
    gives("it is assigned", reader, "role", "assignment", "create", *whom, "--assignee-principal-type", "ServicePrincipal", "--query", "principalId")
    mine = f"[?principalId=='{reader}'].roleDefinitionName"
    gives("assignments are listed", [ROLE["Name"]], "role", "assignment", "list", "--scope", WORKSPACE, "--fill-principal-name", "false", "--query", mine)
    works("it is taken away", "role", "assignment", "delete", *whom)
    gives("and is gone", [], "role", "assignment", "list", "--scope", WORKSPACE, "--fill-principal-name", "false", "--query", mine)
    works("the role is deleted", "role", "definition", "delete", "--name", ROLE["Name"], "--scope", WORKSPACE)
    gives("and is gone", [], *custom)


def storage():
    works("a storage account is made", "storage", "account", "create", "-g", "az-rg", "-n", "azaccount1", "-l", "local")
    gives("it is listed", ["azaccount1"], "storage", "account", "list", "--query", "[?name=='azaccount1'].name")
    keys = ["storage", "account", "keys"]
    before = works("it has keys", *keys, "list", "-g", "az-rg", "-n", "azaccount1")
    after = works("one is renewed", *keys, "renew", "-g", "az-rg", "-n", "azaccount1", "--key", "key1")
    same = [a["value"] == b["value"] for a, b in zip(before or [], after or [])]
    check("the other stays", same == [False, True], same)


def vaults_and_networks():
    gives("a vault is made", "az-vault-1", "keyvault", "create", "-g", "az-rg", "-n", "az-vault-1", "-l", "local", "--query", "name")
    gives("it is found by its name", "az-rg", "keyvault", "show", "-n", "az-vault-1", "--query", "resourceGroup")
    gives("it is listed", ["az-vault-1"], "keyvault", "list", "--query", "[?name=='az-vault-1'].name")
    gives("a virtual network is made", "net", "network", "vnet", "create", "-g", "az-rg", "-n", "net", "--address-prefixes", "10.0.0.0/16", "--query", "newVNet.name")
    gives("with a subnet", "here", "network", "vnet", "subnet", "create", "-g", "az-rg", "--vnet-name", "net", "-n", "here", "--address-prefixes", "10.0.1.0/24", "--query", "name")


def monitoring():
    operations = works("the activity log is listed", "monitor", "activity-log", "list", "-g", "az-rg", "--offset", "1h", "--query", "[].operationName.value")
    check("with what was done", operations and "Microsoft.MachineLearningServices/workspaces/write" in operations, operations)
    gives("metrics are listed", ["Completed Runs"], "monitor", "metrics", "list", "--resource", WORKSPACE, "--metric", "Completed Runs", "--query", "value[].name.value")
    setting = ["monitor", "diagnostic-settings"]
    which = ["--resource", WORKSPACE, "-n", "keep"]
    logs = json.dumps([{"categoryGroup": "allLogs", "enabled": True}])
    gives("a diagnostic setting is made", "keep", *setting, "create", *which, "--storage-account", ACCOUNT, "--logs", logs, "--query", "name")
    gives("it is listed", ["keep"], *setting, "list", "--resource", WORKSPACE, "--query", "[].name")
    gives("it is shown", ACCOUNT, *setting, "show", *which, "--query", "storageAccountId")
    works("it is deleted", *setting, "delete", *which)
    gives("and is gone", [], *setting, "list", "--resource", WORKSPACE)


signing_in()
groups()
deployments()
resources()
storage()
roles(a_reader())
vaults_and_networks()
monitoring()
works("one signs out", "logout")
refused("and is nobody", "az login", "group", "list")
print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
