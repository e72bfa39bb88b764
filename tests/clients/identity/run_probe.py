"""What a job's own code does with azure-identity: runs inside the jail, and prints what it found as its last line."""

import json
import os
import urllib.error
import urllib.request

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError, DefaultAzureCredential, ManagedIdentityCredential

SCOPE = "https://management.azure.com/.default"
DOOR = os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"]


def status(token, place):
    """What this token opens, through the only door there is."""
    asked = urllib.request.Request(f"{DOOR}{place}?api-version=2025-12-01", headers={"Authorization": f"Bearer {token}"})
    try:
        return urllib.request.urlopen(asked).status
    except urllib.error.HTTPError as refused:
        return refused.code


def attempt(credential, scope=SCOPE):
    try:
        token = credential.get_token(scope)
    except (ClientAuthenticationError, CredentialUnavailableError) as fault:
        return {"refused": type(fault).__name__, "why": str(fault)}
    return {"token": token.token, "until": token.expires_on, "reads": status(token.token, os.environ["READS"])}


resource = {"resource_id": os.environ["RESOURCE_ID"]}
WORDS = ("SECRET", "PASSWORD", "TOKEN", "HEADER")
# What nobody signed is no secret: Azure's libraries want a token that they can read, and the proxy takes it away.
OPEN = ("AZUREML_RUN_TOKEN", "AZUREML_RUN_TOKEN_EXPIRY", "MLFLOW_TRACKING_TOKEN")


def is_open(name):
    return name in OPEN and (os.environ[name].isdigit() or os.environ[name].endswith("."))


found = {
    "default": attempt(DefaultAzureCredential()),
    "managed": attempt(ManagedIdentityCredential()),
    "by client id": attempt(ManagedIdentityCredential(client_id=os.environ["CLIENT_ID"])),
    "default by client id": attempt(DefaultAzureCredential(managed_identity_client_id=os.environ["CLIENT_ID"])),
    "by resource id": attempt(ManagedIdentityCredential(identity_config=resource)),
    "another resource": attempt(ManagedIdentityCredential(), "https://storage.azure.com/.default"),
    "not handed over": attempt(ManagedIdentityCredential(client_id=os.environ["FOREIGN"])),
    "elsewhere": attempt(ManagedIdentityCredential(), "https://elsewhere.example/.default"),
    "secrets": [name for name in os.environ if any(word in name for word in WORDS) and not is_open(name)],
}
print(json.dumps(found))
