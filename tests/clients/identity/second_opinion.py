"""The same through clients that were not made for Entra: authlib, joserfc and PyJWT, and npm's openid-client where there is node."""

import base64
import hashlib
import json
import os
import pathlib
import secrets
import ssl
import subprocess
import time

import joserfc.errors
import joserfc.jwk
import joserfc.jwt
import jwt
import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2 import rfc8414, rfc9207
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc9068.claims import JWTAccessTokenClaims
from authlib.oidc import rpinitiated
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata

from .azure_flows import rsa_certificate
from .stage import (
    CA,
    GROUPS,
    ISSUER,
    SCOPE,
    TENANT,
    URL,
    call,
    check,
    new_application,
    new_secret,
    new_user,
    raised,
    skip,
)
from .visitor import Away, Visitor

ADDRESS = "https://forum.example/callback"
SCOPES = f"openid profile offline_access {SCOPE}"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def get(address):
    return requests.get(address, verify=CA, timeout=60).json()


def discovery():
    document = get(f"{ISSUER}/.well-known/openid-configuration")
    # OpenID Connect Discovery §3 wants RS256 to be there; here tokens are signed with ES256 alone.
    others = {**document, "id_token_signing_alg_values_supported": ["RS256", *document["id_token_signing_alg_values_supported"]]}
    fault = raised(ValueError, lambda: OpenIDProviderMetadata(others).validate(metadata_classes=[rpinitiated.OpenIDProviderMetadata]))
    check(f"authlib finds the discovery document well formed, but for RS256 {fault or ''}", not fault)
    server, more = rfc8414.AuthorizationServerMetadata(document), [rfc9207.AuthorizationServerMetadata]
    fault = raised(ValueError, lambda: server.validate(metadata_classes=more))
    check(f"as OAuth's, too {fault or ''}", not fault)
    check("its issuer is the address that it was asked at", document["issuer"] == ISSUER)
    check("there is no implicit flow, no password grant and no plain challenge", (
        document["response_types_supported"] == ["code"] and document["code_challenge_methods_supported"] == ["S256"]
        and not {"implicit", "password"} & set(document["grant_types_supported"])
    ))
    return document


def half(token):
    """What an ID token says of the access token beside it (OpenID Connect Core §3.1.3.6)."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()[:16]).decode().rstrip("=")


def verified(document, given, client, nonce, user):
    """Both tokens by three independent verifiers, against the published keys."""
    keys = joserfc.jwk.KeySet.import_key_set(get(document["jwks_uri"]))
    opened = joserfc.jwt.decode(given["id_token"], keys, algorithms=["ES256"])
    more = {"iss": {"essential": True, "value": ISSUER}, "aud": {"essential": True, "value": client}}
    more["nonce"] = {"essential": True, "value": nonce}
    joserfc.jwt.JWTClaimsRegistry(**more).validate(opened.claims)
    check("joserfc verifies the ID token", opened.header["typ"] == "JWT")
    said = CodeIDToken(
        opened.claims, opened.header, {"iss": {"value": ISSUER}, "aud": {"value": client}},
        {"nonce": nonce, "client_id": client, "access_token": given["access_token"]},
    )
    said.validate()
    check("authlib validates what it says", said["sub"] == user and said["at_hash"] == half(given["access_token"]))
    opened = joserfc.jwt.decode(given["access_token"], keys, algorithms=["ES256"])
    expected = {"iss": {"essential": True, "value": ISSUER}, "aud": {"essential": True, "value": URL}}
    required = {claim: {"essential": True} for claim in ["exp", "sub", "client_id", "iat", "jti"]}
    JWTAccessTokenClaims(opened.claims, opened.header, {**expected, **required}).validate()
    check("authlib validates the access token as RFC 9068 has it", opened.header["typ"] == "at+jwt")

    trust = ssl.create_default_context(cafile=CA)
    signer = jwt.PyJWKClient(document["jwks_uri"], ssl_context=trust)
    for token, audience in [(given["id_token"], client), (given["access_token"], URL)]:
        key = signer.get_signing_key_from_jwt(token)
        needed = {"require": ["exp", "iat", "nbf", "iss", "aud", "sub"]}
        said = jwt.decode(token, key, algorithms=["ES256"], audience=audience, issuer=ISSUER, options=needed)
        check("PyJWT verifies the token", said["oid"] == user and said["tid"] == TENANT)
        head, body, signature = token.split(".")
        forged = base64.urlsafe_b64encode(json.dumps({**said, "oid": TENANT}).encode()).decode().rstrip("=")
        fault = raised(jwt.InvalidSignatureError, lambda: jwt.decode(f"{head}.{forged}.{signature}", key, algorithms=["ES256"], audience=audience))
        check("and not one that was changed", fault)
    foreign = joserfc.jwk.KeySet([joserfc.jwk.ECKey.generate_key("P-256", {"kid": opened.header["kid"]})])
    check("nor under another key", raised(joserfc.errors.JoseError, lambda: joserfc.jwt.decode(given["id_token"], foreign, algorithms=["ES256"])))
    check("an ID token opens nothing", call(given["id_token"], GROUPS).status_code == 401)


def applications(document):
    client, principal = new_application("forum's own", "Reader")
    secret, certificate = new_secret(client), rsa_certificate()
    certificate.add_to(client)
    key = certificate.pem().decode()
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(certificate.der).digest()).decode().rstrip("=")
    for method, proof in [("client_secret_basic", secret), ("client_secret_post", secret), ("private_key_jwt", key)]:
        session = OAuth2Session(client, proof, token_endpoint_auth_method=method, scope=SCOPE)
        session.verify = CA
        soon = {"exp": int(time.time()) + 300}
        session.register_client_auth_method(PrivateKeyJWT(document["token_endpoint"], soon, {"x5t#S256": thumbprint}, "PS256"))
        token = session.fetch_token(document["token_endpoint"], grant_type="client_credentials")
        good = session.get(f"{URL}{GROUPS}", params={"api-version": "2022-12-01"}).status_code == 200
        check(f"authlib gets an application's token by {method}", good and "refresh_token" not in token)


def session_of(client, proof=None):
    method = "client_secret_post" if proof else "none"
    session = OAuth2Session(
        client, proof, token_endpoint_auth_method=method, scope=SCOPES, redirect_uri=ADDRESS, code_challenge_method="S256"
    )
    session.verify = CA
    return session


def answer(visitor, address):
    found = visitor.visit(address)
    if not isinstance(found, Away):
        raise SystemExit(f"the browser stopped at {found}")
    return found.whole


def people(document):
    user, password = new_user("ruth@example.com", "Reader")
    ruth = Visitor("ruth@example.com", password)
    client, _ = new_application("forum", web={"redirectUris": [ADDRESS]})
    secret, verifier, nonce = new_secret(client), secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    session = session_of(client, secret)
    address, state = session.create_authorization_url(document["authorization_endpoint"], code_verifier=verifier, nonce=nonce)
    back = answer(ruth, address)
    given = session.fetch_token(document["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier)
    check("authlib gets a person's tokens by code and PKCE", {"access_token", "id_token", "refresh_token"} <= given.keys())
    verified(document, given, client, nonce, user)
    fresh = session.refresh_token(document["token_endpoint"], given["refresh_token"])
    check("and refreshes them", fresh["access_token"] != given["access_token"] and fresh["refresh_token"] != given["refresh_token"])
    old = raised(AuthlibBaseError, lambda: session_of(client, secret).refresh_token(document["token_endpoint"], given["refresh_token"]))
    check("an old refresh token is refused", old and old.error == "invalid_grant")
    check("with everything that came of it", call(fresh["access_token"], GROUPS).status_code == 401)

    session = session_of(client, secret)
    address, state = session.create_authorization_url(document["authorization_endpoint"], code_verifier=verifier)
    back = answer(ruth, address)
    for what, tried in [("a code under another verifier is refused", secrets.token_urlsafe(48)), ("and is lost with that", verifier)]:
        asked = {"authorization_response": back, "state": state, "code_verifier": tried}
        fault = raised(AuthlibBaseError, lambda: session.fetch_token(document["token_endpoint"], **asked))
        check(what, fault and fault.error == "invalid_grant")
    plain = session_of(client, secret)
    address, _ = plain.create_authorization_url(document["authorization_endpoint"], code_challenge=verifier, code_challenge_method="plain")
    check("a plain challenge is refused", "error=invalid_request" in answer(ruth, address))
    address, _ = plain.create_authorization_url(document["authorization_endpoint"], response_type="token")
    check("so is an implicit request", "error=unsupported_response_type" in answer(ruth, address))
    fault = raised(AuthlibBaseError, lambda: plain.fetch_token(document["token_endpoint"], username="ruth@example.com", password=ruth.password))
    check("and a password from an application", fault and fault.error == "unsupported_grant_type")
    return ruth


def devices(document, ruth):
    client, _ = new_application("television", isFallbackPublicClient=True)
    session = session_of(client)
    asked = {"client_id": client, "scope": SCOPES}
    flow = session.post(document["device_authorization_endpoint"], data=asked, withhold_token=True).json()

    def poll():
        return session.fetch_token(document["token_endpoint"], grant_type=DEVICE, device_code=flow["device_code"])

    check("a device waits", raised(AuthlibBaseError, poll).error == "authorization_pending")
    check("and not too often", raised(AuthlibBaseError, poll).error == "slow_down")
    page = ruth.visit(flow["verification_uri_complete"])
    check("the complete address fills in the code alone", "/device/decide" in ruth.did and not isinstance(page, Away))
    check("authlib gets a device's tokens, once the person has decided", {"access_token", "id_token", "refresh_token"} <= poll().keys())


def openid_client(ruth):
    module = os.environ.get("BARTIZAN_SUITE_OPENID_CLIENT")
    if not module:
        skip("openid-client: it needs node, npm and npm's registry")
        return
    web, _ = new_application("forum in JavaScript", "Reader", web={"redirectUris": [ADDRESS]})
    television, _ = new_application("television in JavaScript", isFallbackPublicClient=True)
    told = {
        "module": module, "issuer": ISSUER, "web": web, "secret": new_secret(web), "television": television,
        "address": ADDRESS, "scope": SCOPE, "scopes": SCOPES, "resource": f"{URL}{GROUPS}?api-version=2022-12-01",
    }
    script = pathlib.Path(__file__).with_name("openid_client.mjs")
    variables = {**os.environ, "NODE_EXTRA_CA_CERTS": CA}
    node = subprocess.Popen(["node", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables)

    def say(line):
        node.stdin.write(f"{line}\n")
        node.stdin.flush()

    # A line is a check, a browser's errand, or a device's code.
    say(json.dumps(told))
    for line in node.stdout:
        kind, _, rest = line.strip().partition(" ")
        if kind == "visit":
            say(answer(ruth, rest))
        elif kind == "device":
            ruth.at_device(rest)
        else:
            check(f"openid-client {rest}", kind == "ok")
    check("openid-client came to its end", node.wait() == 0)


def run():
    document = discovery()
    applications(document)
    ruth = people(document)
    devices(document, ruth)
    openid_client(ruth)
