"""MSAL itself, as programs use it without azure-identity: public and confidential clients, its cache, claims challenges."""

import msal
import requests

from .azure_flows import rsa_certificate
from .stage import (
    AUTHORITY,
    CA,
    GROUPS,
    ISSUER,
    OTHER_SCOPE,
    SCOPE,
    TENANT,
    URL,
    call,
    check,
    claims,
    graph,
    new_application,
    new_secret,
    new_user,
    raised,
)
from .visitor import Away, Visitor

STEP_UP = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
OPTIONS = {"authority": AUTHORITY, "instance_discovery": False, "verify": CA}


def at(visitor, flow):
    """What the application gets by way of the browser."""
    found = visitor.visit(flow["auth_uri"])
    if not isinstance(found, Away):
        raise SystemExit(f"the browser stopped at {found}")
    return found.parameters


def public_clients():
    user, password = new_user("paul@example.com", "Reader")
    paul = Visitor("paul@example.com", password)
    client, _ = new_application("desktop", isFallbackPublicClient=True, publicClient={"redirectUris": ["http://localhost"]})
    app = msal.PublicClientApplication(client, **OPTIONS)

    flow = app.initiate_device_flow([SCOPE])
    check("a device flow begins", {"user_code", "device_code", "verification_uri", "expires_in", "interval", "message"} <= flow.keys())
    pending = app.acquire_token_by_device_flow({**flow, "expires_at": 0})
    check("who asks too soon is told to wait", pending["error"] == "authorization_pending")
    paul.at_device(flow["user_code"].lower().replace("-", " "))
    given = app.acquire_token_by_device_flow(flow)
    check("a device gets a token", claims(given.get("access_token", "..e30"))["oid"] == user)
    check("and an ID token", given["id_token_claims"]["preferred_username"] == "paul@example.com")
    again = app.acquire_token_by_device_flow({**flow, "expires_at": 0})
    check("a device code is good once", again["error"] == "invalid_grant")
    check("and its second use ends what the first one gave", call(given["access_token"], GROUPS).status_code == 401)

    flow = app.initiate_auth_code_flow([SCOPE], redirect_uri="http://localhost:8765", login_hint="paul@example.com")
    given = app.acquire_token_by_auth_code_flow(flow, at(paul, flow))
    check("a code with PKCE gets a token", claims(given.get("access_token", "..e30"))["oid"] == user)
    account, = app.get_accounts()
    check("the account is named by user and tenant", account["home_account_id"] == f"{user}.{TENANT}" and account["username"] == "paul@example.com")
    check("a token that is kept is given again", app.acquire_token_silent([SCOPE], account)["access_token"] == given["access_token"])
    first, = app.token_cache.search(msal.TokenCache.CredentialType.REFRESH_TOKEN)
    other = app.acquire_token_silent([OTHER_SCOPE], account)
    check("another resource's token comes by refresh", claims(other["access_token"])["aud"] == OTHER_SCOPE[:-9])
    fresh = app.acquire_token_silent([SCOPE], account, force_refresh=True)
    check("so does a new one on demand", fresh["access_token"] != given["access_token"])
    second, = app.token_cache.search(msal.TokenCache.CredentialType.REFRESH_TOKEN)
    check("each refresh gives a new refresh token", first["secret"] != second["secret"])
    # Whoever comes with an old one stole it, or was stolen from.
    thief = msal.PublicClientApplication(client, **OPTIONS)
    check("an old refresh token is refused", thief.acquire_token_by_refresh_token(first["secret"], [SCOPE])["error"] == "invalid_grant")
    check("and ends the new one with it", app.acquire_token_by_refresh_token(second["secret"], [SCOPE])["error"] == "invalid_grant")
    check("and the access token", call(fresh["access_token"], GROUPS).status_code == 401)

    kept, here = msal.SerializableTokenCache(), {**OPTIONS, "client_capabilities": ["CP1"]}
    with paul.at_this_machine():
        msal.PublicClientApplication(client, token_cache=kept, **here).acquire_token_interactive([SCOPE], timeout=60)
    later = msal.SerializableTokenCache()
    later.deserialize(kept.serialize())
    another = msal.PublicClientApplication(client, token_cache=later, **here)
    given = another.acquire_token_silent([SCOPE], another.get_accounts()[0], force_refresh=True)
    check("another process goes on from the cache that was kept", claims(given["access_token"])["oid"] == user)
    check("and its tokens say that it understands challenges", claims(given["access_token"])["xms_cc"] == ["CP1"])

    with paul.at_this_machine():
        given = msal.PublicClientApplication(client, **OPTIONS).acquire_token_interactive([SCOPE], timeout=60)
        check("MSAL's own listener gets a token", claims(given.get("access_token", "..e30"))["oid"] == user)

    flow = app.initiate_auth_code_flow([SCOPE], redirect_uri="http://localhost:8765", prompt="none")
    refused = app.acquire_token_by_auth_code_flow(flow, at(Visitor("nobody", ""), flow))
    check("without a person, nobody is asked who may not be", refused["error"] == "login_required")
    for what, more in [("login", {"prompt": "login"}), ("no older proof", {"max_age": 0})]:
        paul.did.clear()
        flow = app.initiate_auth_code_flow([SCOPE], redirect_uri="http://localhost:8765", **more)
        given = app.acquire_token_by_auth_code_flow(flow, at(paul, flow))
        is_proved = "access_token" in given and paul.did == ["/signin"]
        check(f"whoever is signed in types the password again where the application wants {what}", is_proved)
    flow = app.initiate_auth_code_flow([SCOPE], redirect_uri="https://evil.example/")
    page = paul.visit(flow["auth_uri"])
    check("no answer goes to an address that was not registered", not isinstance(page, Away) and "AADSTS50011" in page.text)
    return app, paul


def challenges(app, paul):
    """A claims challenge, as a resource that wants a second factor sends it."""
    flow = app.initiate_auth_code_flow([SCOPE], redirect_uri="http://localhost:8765")
    app.acquire_token_by_auth_code_flow(flow, at(paul, flow))
    account = app.get_accounts("paul@example.com")[0]
    refused = app.acquire_token_silent_with_error([SCOPE], account, claims_challenge=STEP_UP)
    check("one factor does not meet the challenge", refused["error"] == "interaction_required" and "AADSTS50076" in refused["error_description"])
    check("and the refusal says what would", refused["claims"] == STEP_UP and refused["suberror"] == "basic_action")
    paul.did.clear()
    flow = app.initiate_auth_code_flow([SCOPE], redirect_uri="http://localhost:8765", claims_challenge=STEP_UP)
    given = app.acquire_token_by_auth_code_flow(flow, at(paul, flow))
    said = claims(given.get("access_token", "..e30"))
    check("the person is asked for a second factor, and to set one up", paul.totp and "/signin/enrol/totp" in paul.did)
    check("then the token meets the challenge", said.get("acrs") == ["c1"] and set(said["amr"]) >= {"pwd", "otp", "mfa"})
    given = app.acquire_token_silent_with_error([SCOPE], account, claims_challenge=STEP_UP)
    check("and so do the next ones, without asking", claims(given.get("access_token", "..e30")).get("acrs") == ["c1"])
    flow = app.initiate_device_flow([SCOPE], claims_challenge=STEP_UP)
    paul.forget()
    paul.did.clear()
    paul.at_device(flow["user_code"])
    given = app.acquire_token_by_device_flow(flow)
    check("a device that asks so gets such a token", claims(given.get("access_token", "..e30")).get("acrs") == ["c1"])
    check("from a person who has a second factor and is asked for it", any("second-factor" in action for action in paul.did))


def confidential_clients():
    user, password = new_user("cora@example.com", "Reader")
    cora, address = Visitor("cora@example.com", password), "https://portal.example/callback"
    client, principal = new_application("portal", "Reader", web={"redirectUris": [address]})
    secret, certificate = new_secret(client), rsa_certificate()
    certificate.add_to(client)
    key = {"private_key": certificate.pem().decode(), "public_certificate": certificate.pem().decode()}
    for what, credential in [("a secret", secret), ("a certificate", key)]:
        app = msal.ConfidentialClientApplication(client, credential, **OPTIONS)
        given = app.acquire_token_for_client([SCOPE])
        check(f"an application with {what} gets a token", claims(given.get("access_token", "..e30"))["oid"] == principal)
        check("once, and then from the cache", app.acquire_token_for_client([SCOPE])["access_token"] == given["access_token"])
        for mode in ["query", "form_post"]:
            flow = app.initiate_auth_code_flow([SCOPE], redirect_uri=address, response_mode=mode)
            given = app.acquire_token_by_auth_code_flow(flow, at(cora, flow))
            check(f"a code with PKCE by {mode} gets a token", claims(given.get("access_token", "..e30"))["oid"] == user)
    account, = app.get_accounts()
    check("which is refreshed", "access_token" in app.acquire_token_silent([OTHER_SCOPE], account))

    strict = msal.ConfidentialClientApplication(client, secret, oidc_authority=ISSUER, verify=CA)
    check("MSAL as a plain OpenID client accepts the issuer", "access_token" in strict.acquire_token_for_client([SCOPE]))
    flow = app.initiate_auth_code_flow([SCOPE], redirect_uri=address)
    tampered = {**at(cora, flow), "state": "of another sign-in"}
    check("MSAL refuses another sign-in's answer", raised(ValueError, lambda: app.acquire_token_by_auth_code_flow(flow, tampered)))

    middle, _ = new_application("behind the portal")
    behind = msal.ConfidentialClientApplication(middle, new_secret(middle), **OPTIONS)
    flow = app.initiate_auth_code_flow([f"api://{middle}/.default"], redirect_uri=address)
    for_middle = app.acquire_token_by_auth_code_flow(flow, at(cora, flow))["access_token"]
    given = behind.acquire_token_on_behalf_of(for_middle, [SCOPE])
    check("an application calls on for the person", claims(given.get("access_token", "..e30"))["oid"] == user)
    challenged = behind.acquire_token_on_behalf_of(for_middle, [OTHER_SCOPE], claims_challenge=STEP_UP)
    check("and hears of the challenge it cannot meet", (challenged["error"], challenged["claims"]) == ("interaction_required", STEP_UP))
    graph("POST", f"users/{user}/revokeSignInSessions")
    check("what it got ends with the person's sessions", call(given["access_token"], GROUPS).status_code == 401)

    app = msal.ConfidentialClientApplication(client, secret, **{**OPTIONS, "authority": f"{URL}/organizations"})
    check("the tenant has an alias", "access_token" in app.acquire_token_for_client([SCOPE]))
    unknown = {**OPTIONS, "authority": f"{URL}/00000000-0000-0000-0000-000000000001"}
    fault = raised(ValueError, lambda: msal.ConfidentialClientApplication(client, secret, **unknown).acquire_token_for_client([SCOPE]))
    check("another tenant is not there", fault)
    instance = requests.get(
        f"{URL}/common/discovery/instance", params={"authorization_endpoint": f"{AUTHORITY}/oauth2/v2.0/authorize"}, verify=CA, timeout=60
    ).json()
    check("the authority says that it is its own", instance["metadata"][0]["aliases"] == [URL.removeprefix("https://")])


def run():
    challenges(*public_clients())
    confidential_clients()
