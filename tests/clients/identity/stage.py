"""What every part of the suite stands on: the server's settings, counted checks, the owner's command line and directory."""

import base64
import json
import os
import pathlib
import secrets
import subprocess
import tempfile

import requests

URL, CA = os.environ["BARTIZAN_URL"], os.environ["BARTIZAN_CA"]
TENANT, SUBSCRIPTION = os.environ["AZURE_TENANT_ID"], os.environ["AZURE_SUBSCRIPTION_ID"]
AUTHORITY = f"{URL}/{TENANT}"
ISSUER = f"{AUTHORITY}/v2.0"
# What this server's management face is asked for, and another resource of it.
SCOPE, OTHER_SCOPE = f"{URL}/.default", "https://storage.azure.com/.default"
SUBSCRIPTION_SCOPE = f"/subscriptions/{SUBSCRIPTION}"
GROUPS = f"{SUBSCRIPTION_SCOPE}/resourceGroups"
# Bartizan's own command line: a public client that every installation knows.
COMMAND_LINE = "5b1f0c52-7d3e-4a8e-9c61-2f0eb4179a03"
# Without it, MSAL asks Microsoft's own server first who the authority is.
AUTHORITY_OPTIONS = {"authority": URL, "disable_instance_discovery": True}

_scratch = tempfile.TemporaryDirectory()
SCRATCH = pathlib.Path(_scratch.name)
tally = {"passed": 0, "failed": 0, "skipped": 0}


def check(name, holds):
    tally["passed" if holds else "failed"] += 1
    print("ok    " if holds else "FAILED", name, flush=True)


def skip(name):
    tally["skipped"] += 1
    print("skipped", name, flush=True)


def raised(kind, call):
    """The fault that a call ends with; none when it does not."""
    try:
        call()
    except kind as fault:
        return fault
    return None


def cli(*arguments):
    """The command line as the owner; its answer."""
    done = subprocess.run([os.environ["BARTIZAN_BIN"], *arguments, "-o", "json"], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{arguments}: {done.stderr}")
    return json.loads(done.stdout or "null")


def _owner_s_token():
    form = {
        "grant_type": "client_credentials", "client_id": os.environ["AZURE_CLIENT_ID"],
        "client_secret": os.environ["AZURE_CLIENT_SECRET"], "scope": SCOPE,
    }
    return requests.post(f"{AUTHORITY}/oauth2/v2.0/token", data=form, verify=CA, timeout=60).json()["access_token"]


_owner = {"authorization": f"Bearer {_owner_s_token()}"}


def graph(method, place, body=None):
    """The directory as the owner; its answer."""
    answer = requests.request(method, f"{URL}/graph/v1.0/{place}", json=body, headers=_owner, verify=CA, timeout=60)
    if not answer.ok:
        raise SystemExit(f"{method} {place}: {answer.status_code} {answer.text}")
    return answer.json() if answer.content else None


def call(token, place, method="GET", body=None):
    """An answer of the management face to whoever holds this token."""
    headers, version = {"authorization": f"Bearer {token}"}, {"api-version": "2022-12-01"}
    return requests.request(method, f"{URL}{place}", params=version, json=body, headers=headers, verify=CA, timeout=60)


def claims(token):
    """What a token says. Nothing of it is checked."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def assign(principal, role, scope=SUBSCRIPTION_SCOPE):
    cli("role", "assignment", "create", "--assignee", principal, "--role", role, "--scope", scope)


def new_user(name, role=None, must_change=False):
    """A person in the directory: object id and password."""
    password = secrets.token_urlsafe(18)
    profile = {"password": password, "forceChangePasswordNextSignIn": must_change}
    form = {"userPrincipalName": name, "displayName": name.partition("@")[0].title(), "passwordProfile": profile}
    user = graph("POST", "users", form)["id"]
    if role:
        assign(user, role)
    return user, password


def new_application(name, role=None, **more):
    """An application: client id, and the object id of its service principal."""
    made = graph("POST", "applications", {"displayName": name, **more})
    if role:
        assign(made["servicePrincipalId"], role)
    return made["appId"], made["servicePrincipalId"]


def new_secret(application):
    return graph("POST", f"applications/{application}/addPassword", {})["secretText"]
