"""azureml-core's own client of a workspace's secrets (what its `Keyvault` and `Run.get_secret` call) against a running server. Prints
a line per check and 'N passed, N failed'."""

import json
import os
import ssl
import sys
import urllib.parse
import urllib.request

import environment

# What this part of the library imports; all that it names as its own dependencies is a hundred packages more.
PINS = [
    "azure-common==1.1.28",
    "azure-core==1.41.0",
    "cryptography==50.0.2",
    "docker==7.2.0",
    "msrest==0.7.1",
    "pytz==2026.6",
    "setuptools==80.9.0",
    "six==1.17.0",
]
ALONE = ["azureml-core==1.60.0"]

environment.enter("azureml", __doc__, PINS, ALONE)

os.environ["REQUESTS_CA_BUNDLE"] = os.environ["BARTIZAN_CA"]

from azureml._restclient.models.credential_enums import KeyVaultContentType  # noqa: E402
from azureml._restclient.rest_client import RestClient  # noqa: E402
from azureml._restclient.secrets_client import SecretsClient  # noqa: E402
from msrest.authentication import BasicTokenAuthentication  # noqa: E402

URL, TENANT = os.environ["BARTIZAN_URL"], os.environ["AZURE_TENANT_ID"]
passed = failed = 0


def check(name, holds, more=""):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, "" if holds else more, flush=True)


def token(client, secret):
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret, "scope": f"{URL}/.default"}
    trust = ssl.create_default_context(cafile=os.environ["BARTIZAN_CA"])
    answer = urllib.request.urlopen(f"{URL}/{TENANT}/oauth2/v2.0/token", urllib.parse.urlencode(form).encode(), context=trust)
    return json.load(answer)["access_token"]


class Workspace:
    """The workspace as the library's clients are told of it."""

    subscription_id = os.environ["AZURE_SUBSCRIPTION_ID"]
    resource_group_name, workspace_name = os.environ["BARTIZAN_RESOURCE_GROUP"], os.environ["BARTIZAN_WORKSPACE"]

    def __init__(self, token):
        self.auth = BasicTokenAuthentication({"access_token": token})

    def get_auth(self):
        return self.auth

    def _get_credential_restclient(self, user_agent=None):
        return RestClient(self.auth, base_url=URL)


def status_of(call):
    """The status that a call failed with; the library wraps some in exceptions of its own."""
    try:
        call()
    except Exception as fault:
        while fault is not None:
            status = getattr(fault, "status_code", None) or getattr(getattr(fault, "response", None), "status_code", None)
            if status:
                return status
            fault = fault.__cause__
        return None
    return 200


vault = SecretsClient(Workspace(token(os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"])))
vault._add_secret("one", "first value")
vault._add_secret("one", "second value ü\n\"quoted\"", KeyVaultContentType.password)
check("a secret is set, and set anew", vault._get_secret("one") == "second value ü\n\"quoted\"")
check("its content type comes back", vault._get_secret_content_type("one") == KeyVaultContentType.password)
vault._add_secrets({f"s{n}": f"value {n}" for n in range(30)})
check("many are set at once", vault._get_secret("s29") == "value 29")
check("one whose kind nobody told says so", vault._get_secret_content_type("s1") == KeyVaultContentType.not_provided)
found = vault._get_secrets(["one", "s3", "missing", "S4"])
check("names that no secret has come back as None", found["missing"] is None and set(found) == {"one", "s3", "missing", "S4"}, found)
check("and the others with their values", found["s3"] == "value 3" and found["S4"] == "value 4", found)
names = [entry["name"] for entry in vault._list_secrets()]
check("all are listed, over pages", sorted(names) == sorted(["one", *(f"s{n}" for n in range(30))]), names)
check("no list shows a value", not any("value" in entry for entry in vault._list_secrets()))
vault._delete_secret("one")
check("one that was deleted is gone", status_of(lambda: vault._get_secret("one")) == 404)
check("its name rests", status_of(lambda: vault._add_secret("one", "x")) == 409)
vault._delete_secrets(["s0", "s1"])
check("many are deleted", vault._get_secrets(["s0", "s1", "s2"]) == {"s0": None, "s1": None, "s2": "value 2"})
check("a bad name is a 400", status_of(lambda: vault._add_secret("a_b", "x")) == 400)
reader = SecretsClient(Workspace(token(os.environ["READER_ID"], os.environ["READER_SECRET"])))
check("a reader of the workspace reads no secret", status_of(lambda: reader._get_secret("s2")) == 403)
check("nor sets one", status_of(lambda: reader._add_secret("s2", "x")) == 403)

print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
