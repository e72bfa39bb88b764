"""How long a token is believed: second factors on demand, revoked sessions, people and applications that were shut out."""

import base64
import json
import re
import time

import msal
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import (
    ClientSecretCredential,
    DeviceCodeCredential,
    InteractiveBrowserCredential,
)
from azure.mgmt.resource.resources import ResourceManagementClient

from .stage import (
    AUTHORITY_OPTIONS,
    CA,
    COMMAND_LINE,
    GROUPS,
    SCOPE,
    SUBSCRIPTION,
    TENANT,
    URL,
    call,
    check,
    claims,
    cli,
    graph,
    new_application,
    new_secret,
    new_user,
    raised,
)
from .visitor import Page, Visitor

# Within so many seconds everybody who was shut out is out.
PROMISE = 5


def manager(credential):
    return ResourceManagementClient(credential, SUBSCRIPTION, base_url=URL, credential_scopes=[SCOPE]).resource_groups


def browser():
    return InteractiveBrowserCredential(tenant_id=TENANT, timeout=90, **AUTHORITY_OPTIONS)


def is_out(token):
    """Whether whoever holds a token is refused, as soon as was promised."""
    end = time.monotonic() + PROMISE
    while (is_refused := call(token, GROUPS).status_code == 401) is False and time.monotonic() < end:
        pass
    return is_refused


def step_up():
    user, password = new_user("stella@example.com", "Contributor")
    other, _ = new_application("automation", "Contributor")
    stella = Visitor("stella@example.com", password)
    with stella.at_this_machine():
        before = browser().get_token(SCOPE).token
        policy = cli("ad", "policy", "create", "--name", "careful", "--all-users", "--operation", "control")["id"]
        groups = manager(browser())
        check("a policy for changes lets one factor read", isinstance(list(groups.list()), list) and not stella.totp)
        stella.did.clear()
        made = groups.create_or_update("by-stella", {"location": "local"})
        check("azure-mgmt-resource makes a group after its credential was challenged", made.name == "by-stella")
        check("for which the person set up a second factor, and typed no password", stella.totp and "/signin" not in stella.did)
        stella.did.clear()
        groups.create_or_update("by-stella-again", {"location": "local"})
        check("which is asked for once", stella.did == [])
    refused = call(before, f"{GROUPS}/by-nobody", "PUT", {"location": "local"})
    is_challenged = 'error="insufficient_claims"' in refused.headers["www-authenticate"]
    check("a token from before, of one factor, is answered with a challenge", refused.status_code == 401 and is_challenged)
    prompts = []

    def prompt(_, code, __):
        prompts.append(code)
        stella.at_device(code)

    stella.forget()
    device = DeviceCodeCredential(tenant_id=TENANT, prompt_callback=prompt, **AUTHORITY_OPTIONS)
    made = manager(device).create_or_update("by-device", {"location": "local"})
    check("whoever has a second factor shows it at once", made.name == "by-device" and len(prompts) == 1)
    machine = ClientSecretCredential(TENANT, other, new_secret(other), **AUTHORITY_OPTIONS)
    check("an application is not asked", manager(machine).create_or_update("by-machine", {"location": "local"}).name == "by-machine")
    cli("ad", "policy", "delete", policy)
    asked = cli("ad", "sign-in", "list", "--user", user, "--failed")
    why = [entry["status"]["failureReason"] for entry in asked if entry["operation"].endswith("tokens/issue")]
    check("the sign-in log has one refused token, which azure-identity did not ask for again", why == ["second factor needed"])
    proved = cli("ad", "sign-in", "list", "--user", user, "--interactive")
    shown = {entry["authenticationMethod"] for entry in proved}
    check("and both factors, by name", shown == {"password", "authenticator code"})


def first_sign_in():
    """A policy without operations is asked for before anybody is signed in at all."""
    user, password = new_user("nora@example.com", "Reader")
    nora = Visitor("nora@example.com", password)
    with nora.at_this_machine():
        early = browser()
        early.get_token(SCOPE)
        policy = cli("ad", "policy", "create", "--name", "everybody", "--principal", user)["id"]
        nora.did.clear()
        early.get_token("https://management.azure.com/.default")
        check("a policy that comes later is asked of whoever is signed in", nora.totp and "/signin/enrol/totp" in nora.did)
        nora.forget()
        nora.did.clear()
        said = claims(browser().get_token(SCOPE).token)
        check("and of whoever signs in", {"mfa"} <= set(said["amr"]) and any("second-factor" in action for action in nora.did))
        cli("ad", "sign-in", "reset-mfa", user)
        nora.totp, kept = None, nora.totp
        nora.forget()
        said = claims(browser().get_token(SCOPE).token)
        is_new = nora.totp and nora.totp.secret != kept.secret
        check("who lost the factor sets up another after an administrator's reset", is_new and "mfa" in said["amr"])
    cli("ad", "policy", "delete", policy)


def revocation():
    user, password = new_user("rita@example.com", "Contributor")
    rita, understanding = Visitor("rita@example.com", password), {"enable_cae": True}
    with rita.at_this_machine():
        credential = browser()
        groups = manager(credential)
        list(groups.list())
        kept = [credential.get_token(SCOPE).token, credential.get_token_info(SCOPE, options=understanding).token]
        said = [claims(token).get("xms_cc") for token in kept]
        check("a client may say that it understands challenges, and its token does then", said == [None, ["CP1"]])
        graph("POST", f"users/{user}/revokeSignInSessions")
        for token in kept:
            check(f"a token from before a revocation is refused within {PROMISE} s", is_out(token))
            header = call(token, GROUPS).headers["www-authenticate"]
            challenge = dict(re.findall(r'(\w+)="([^"]*)"', header))
            demanded = json.loads(base64.b64decode(challenge["claims"]))
            later = int(demanded["access_token"]["nbf"]["value"]) >= claims(token)["iat"]
            check("with a challenge for a later one", challenge["error"] == "insufficient_claims" and later)
        rita.did.clear()
        check("azure-mgmt-resource goes on after the person signed in again", isinstance(list(groups.list()), list) and "/signin" in rita.did)
        fresh = credential.get_token(SCOPE).token
        check("with a token from after it", fresh != kept[0] and call(fresh, GROUPS).status_code == 200)
        given = credential.get_token_info(SCOPE, options={**understanding, "claims": json.dumps(demanded)}).token
        check("and so does whoever hands the challenge on", given != kept[1] and call(given, GROUPS).status_code == 200)

    application, _ = new_application("rotated", "Reader")
    made, second = graph("POST", f"applications/{application}/addPassword", {}), new_secret(application)
    held = ClientSecretCredential(TENANT, application, second, **AUTHORITY_OPTIONS)
    groups, token = manager(held), held.get_token(SCOPE).token
    list(groups.list())
    graph("POST", f"applications/{application}/removePassword", {"keyId": made["keyId"]})
    check("an application's tokens end with a secret that is removed", is_out(token))
    check("and one with another secret goes on by the challenge", isinstance(list(groups.list()), list))
    stale = ClientSecretCredential(TENANT, application, made["secretText"], **AUTHORITY_OPTIONS)
    check("but not with the removed one", raised(ClientAuthenticationError, lambda: stale.get_token(SCOPE)))


def shut_out():
    user, password = new_user("dina@example.com", "Reader")
    dina = Visitor("dina@example.com", password)
    app = msal.PublicClientApplication(COMMAND_LINE, authority=f"{URL}/{TENANT}", instance_discovery=False, verify=CA)
    with dina.at_this_machine():
        token = app.acquire_token_interactive([SCOPE], timeout=60)["access_token"]
    check("a person is let in", call(token, GROUPS).status_code == 200)
    graph("PATCH", f"users/{user}", {"accountEnabled": False})
    check(f"and, once disabled, out within {PROMISE} s", is_out(token))
    refused = app.acquire_token_silent_with_error([SCOPE], app.get_accounts()[0], force_refresh=True)
    check("a refresh token does not help", refused["error"] == "invalid_grant")
    page = dina.visit(f"{URL}/signin/security")
    check("nor does the browser's session, nor the password", isinstance(page, Page) and page.status != 200 and dina.did[-1] == "/signin")
    graph("PATCH", f"users/{user}", {"accountEnabled": True})
    check("enabled again, the old token stays refused", call(token, GROUPS).status_code == 401)
    with dina.at_this_machine():
        again = app.acquire_token_interactive([SCOPE], timeout=60)
    check("and the person signs in anew", call(again.get("access_token", ""), GROUPS).status_code == 200)
    graph("DELETE", f"users/{user}")
    check("a deleted person is out", is_out(again["access_token"]))

    application, principal = new_application("shut out", "Reader")
    held = ClientSecretCredential(TENANT, application, new_secret(application), **AUTHORITY_OPTIONS)
    token = held.get_token(SCOPE).token
    graph("PATCH", f"servicePrincipals/{principal}", {"accountEnabled": False})
    check("a disabled application's token is refused", is_out(token))
    fault = raised(HttpResponseError, lambda: manager(held).check_existence("none"))
    check("and it gets no other", isinstance(fault, ClientAuthenticationError) or fault)


def run():
    step_up()
    first_sign_in()
    revocation()
    shut_out()
