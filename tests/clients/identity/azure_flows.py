"""The credentials of azure-identity: applications with secrets and certificates, people at devices and in browsers, and on behalf of."""

import base64
import datetime
import hashlib
import os
import time
import unittest.mock
import urllib.parse
import uuid

import jwt
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    AuthenticationRequiredError,
    AuthorizationCodeCredential,
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    DeviceCodeCredential,
    EnvironmentCredential,
    InteractiveBrowserCredential,
    OnBehalfOfCredential,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from .stage import (
    AUTHORITY,
    AUTHORITY_OPTIONS,
    GROUPS,
    OTHER_SCOPE,
    SCOPE,
    SCRATCH,
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

PEM = serialization.Encoding.PEM


class Certificate:
    """A self-signed certificate."""

    def __init__(self, key):
        self.key, now = key, datetime.datetime.now(datetime.timezone.utc)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "of a test")])
        made = x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        made = made.serial_number(x509.random_serial_number())
        made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(2))
        self.made = made.sign(key, hashes.SHA256())
        self.der = self.made.public_bytes(serialization.Encoding.DER)

    def pem(self, password=None):
        """The certificate with its key."""
        cipher = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        key = self.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, cipher)
        return key + self.made.public_bytes(PEM)

    def add_to(self, application):
        credential = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.b64encode(self.der).decode()}
        return graph("POST", f"applications/{application}/addKey", {"keyCredential": credential})["keyId"]

    def assertion(self, application, alg):
        """What proves the application (RFC 7523), signed under this certificate."""
        now, thumbprint = int(time.time()), hashlib.sha256(self.der).digest()
        said = {"iss": application, "sub": application, "aud": f"{AUTHORITY}/oauth2/v2.0/token", "jti": str(uuid.uuid4())}
        named = {"x5t#S256": base64.urlsafe_b64encode(thumbprint).decode().rstrip("=")}
        return jwt.encode({**said, "nbf": now, "exp": now + 300}, self.key, algorithm=alg, headers=named)


def rsa_certificate():
    return Certificate(rsa.generate_private_key(65537, 2048))


def secrets():
    application, principal = new_application("with secrets", "Reader")
    first, second = new_secret(application), new_secret(application)

    def credential(secret):
        return ClientSecretCredential(TENANT, application, secret, **AUTHORITY_OPTIONS)

    token = credential(first).get_token(SCOPE)
    said = claims(token.token)
    check("a secret gets a token", (said["appid"], said["oid"], said["idtyp"]) == (application, principal, "app"))
    check("which lives for an hour at most", 0 < token.expires_on - time.time() <= 3600)
    check("and opens what the role opens", call(token.token, GROUPS).status_code == 200)
    check("an application has several secrets", credential(second).get_token(SCOPE).token)
    fault = raised(ClientAuthenticationError, lambda: credential(f"{first}x").get_token(SCOPE))
    check("a wrong secret is refused by Entra's number", "AADSTS7000215" in str(fault))
    fault = raised(ClientAuthenticationError, lambda: credential(first).get_token("https://elsewhere.example/.default"))
    check("a resource of somebody else is refused", "AADSTS70011" in str(fault))
    nobody = ClientSecretCredential(TENANT, str(uuid.uuid4()), first, **AUTHORITY_OPTIONS)
    check("an unknown application is refused", "AADSTS700016" in str(raised(ClientAuthenticationError, lambda: nobody.get_token(SCOPE))))
    return application, first


def certificates():
    application, _ = new_application("with certificates", "Reader")
    known, unknown = rsa_certificate(), rsa_certificate()
    key = known.add_to(application)

    def credential(certificate, **more):
        return CertificateCredential(TENANT, application, certificate_data=certificate.pem(), **more, **AUTHORITY_OPTIONS)

    check("a certificate gets a token", claims(credential(known).get_token(SCOPE).token)["appid"] == application)
    check("with its chain, too", credential(known, send_certificate_chain=True).get_token(SCOPE).token)
    locked = known.pem(b"open sesame")
    locked = CertificateCredential(TENANT, application, certificate_data=locked, password="open sesame", **AUTHORITY_OPTIONS)
    check("and from under a password", locked.get_token(SCOPE).token)
    fault = raised(ClientAuthenticationError, lambda: credential(unknown).get_token(SCOPE))
    check("another certificate is refused", "AADSTS700027" in str(fault))

    curve = Certificate(ec.generate_private_key(ec.SECP256R1()))
    curve.add_to(application)
    for alg, certificate in [("PS256", known), ("ES256", curve)]:
        asserted = ClientAssertionCredential(TENANT, application, lambda: certificate.assertion(application, alg), **AUTHORITY_OPTIONS)
        check(f"an assertion under {alg} gets a token", asserted.get_token(SCOPE).token)
    once = known.assertion(application, "PS256")
    asserted = [ClientAssertionCredential(TENANT, application, lambda: once, **AUTHORITY_OPTIONS) for _ in range(2)]
    asserted[0].get_token(SCOPE)
    fault = raised(ClientAuthenticationError, lambda: asserted[1].get_token(SCOPE))
    check("but not twice", "AADSTS700023" in str(fault))

    graph("POST", f"applications/{application}/removeKey", {"keyId": key})
    fault = raised(ClientAuthenticationError, lambda: credential(known).get_token(SCOPE))
    check("a certificate that was removed is refused", "AADSTS700027" in str(fault))


def environment(application, secret):
    certified, _ = new_application("in an environment", "Reader")
    certificate = rsa_certificate()
    certificate.add_to(certified)
    (SCRATCH / "app.pem").write_bytes(certificate.pem())
    named = {"AZURE_TENANT_ID": TENANT, "AZURE_AUTHORITY_HOST": URL}
    cases = [
        ("a secret", {"AZURE_CLIENT_ID": application, "AZURE_CLIENT_SECRET": secret}),
        ("a certificate", {"AZURE_CLIENT_ID": certified, "AZURE_CLIENT_CERTIFICATE_PATH": str(SCRATCH / "app.pem")}),
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AZURE_")}
    for what, variables in cases:
        with unittest.mock.patch.dict(os.environ, {**kept, **named, **variables}, clear=True):
            for kind in [EnvironmentCredential, DefaultAzureCredential]:
                token = kind(disable_instance_discovery=True).get_token(SCOPE).token
                right = claims(token)["appid"] == variables["AZURE_CLIENT_ID"]
                check(f"{kind.__name__} finds {what} in the environment", right)


def devices():
    user, password = new_user("dora@example.com", "Reader", must_change=True)
    dora = Visitor("dora@example.com", password)
    seen = []

    def prompt(address, code, _):
        seen.append(address)
        dora.at_device(code)

    credential = DeviceCodeCredential(tenant_id=TENANT, prompt_callback=prompt, **AUTHORITY_OPTIONS)
    said = claims((token := credential.get_token(SCOPE).token))
    check("a device's code, approved in a browser, gets a token", (said["oid"], said["idtyp"]) == (user, "user"))
    check("after the password that somebody else set was changed", dora.did[:2] == ["/signin", "/signin/password"] and dora.password != password)
    check("the token says how the person signed in", said["amr"] == ["pwd"] and said["scp"] == "user_impersonation")
    check("and opens what the role opens", call(token, GROUPS).status_code == 200)
    check("the person was sent to this server", seen == [f"{URL}/device"])
    check("the token is kept", credential.get_token(SCOPE).token == token and len(seen) == 1)
    other = claims(credential.get_token(OTHER_SCOPE).token)
    check("another resource's token comes by refresh, without asking", other["aud"] == OTHER_SCOPE[:-9] and len(seen) == 1)
    third = claims(credential.get_token("https://management.azure.com/.default").token)
    check("and the next one by the next refresh token", third["sid"] == said["sid"] and len(seen) == 1)

    def refuse(_, code, __):
        dora.at_device(code, "deny")

    refused = DeviceCodeCredential(tenant_id=TENANT, prompt_callback=refuse, **AUTHORITY_OPTIONS)
    fault = raised(ClientAuthenticationError, lambda: refused.get_token(SCOPE))
    check("a device that the person refuses gets none", "AADSTS70001" in str(fault))
    page = dora.at_device("BCDF-GHJK")
    check("a made-up code is refused", not isinstance(page, Away) and page.status == 400)


def code(visitor, application, scope, redirect_uri, **more):
    """An authorization code, by way of the browser, or what the application gets instead."""
    asked = {
        "client_id": application, "response_type": "code", "redirect_uri": redirect_uri, "scope": scope, "state": "s",
        "client_info": "1", **more,
    }
    found = visitor.visit(f"{AUTHORITY}/oauth2/v2.0/authorize?{urllib.parse.urlencode(asked)}")
    if not isinstance(found, Away):
        raise SystemExit(f"the browser stopped at {found}")
    return found.parameters


def codes():
    user, password = new_user("clara@example.com", "Reader")
    clara, address = Visitor("clara@example.com", password), "https://app.example/callback"
    application, _ = new_application("web", web={"redirectUris": [address]}, withoutPkce=True)
    secret, scope = new_secret(application), f"openid profile offline_access {SCOPE}"

    def credential(text, secret, redirect_uri=address):
        more = {"client_secret": secret} if secret else {}
        return AuthorizationCodeCredential(TENANT, application, text, redirect_uri, **more, **AUTHORITY_OPTIONS)

    given = code(clara, application, scope, address)
    check("the answer names state and issuer", (given["state"], given["iss"]) == ("s", f"{AUTHORITY}/v2.0"))
    good = credential(given["code"], secret)
    said = claims(good.get_token(SCOPE).token)
    check("a code gets a token", (said["oid"], said["appid"]) == (user, application))
    # A claims request makes the credential pass over the token it keeps.
    again = claims(good.get_token(SCOPE, claims='{"access_token": {"xms_cc": {"values": ["CP1"]}}}').token)
    check("and the next one by refresh", again["jti"] != said["jti"] and again["grant"] == said["grant"] and again["xms_cc"] == ["CP1"])
    fault = raised(ClientAuthenticationError, lambda: credential(given["code"], secret).get_token(SCOPE))
    check("a code is good once", "AADSTS70000" in str(fault))
    check("and its second use ends what the first one gave", call(good.get_token(SCOPE).token, GROUPS).status_code == 401)
    text = code(clara, application, scope, address)["code"]
    fault = raised(ClientAuthenticationError, lambda: credential(text, None).get_token(SCOPE))
    check("without the secret it is refused", "AADSTS7000218" in str(fault))
    fault = raised(ClientAuthenticationError, lambda: credential(text, secret, "https://app.example/other").get_token(SCOPE))
    check("and for another address, too", "AADSTS70000" in str(fault))

    graph("PATCH", f"applications/{application}", {"withoutPkce": False})
    given = code(clara, application, scope, address)
    check("an application that must use PKCE gets no code without", given["error"] == "invalid_request" and "code" not in given)
    challenged = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
    text = code(clara, application, scope, address, **challenged)["code"]
    fault = raised(ClientAuthenticationError, lambda: credential(text, secret).get_token(SCOPE))
    check("and no token without the verifier", "AADSTS501481" in str(fault))


def browsers():
    user, password = new_user("bella@example.com", "Reader")
    bella = Visitor("bella@example.com", password)

    def credential(**more):
        return InteractiveBrowserCredential(tenant_id=TENANT, timeout=60, **more, **AUTHORITY_OPTIONS)

    with bella.at_this_machine():
        here = credential()
        said = claims(here.get_token(SCOPE).token)
        check("a browser on this machine gets a token", said["oid"] == user and bella.did == ["/signin"])
        check("and another resource's by refresh", claims(here.get_token(OTHER_SCOPE).token)["sid"] == said["sid"] and bella.did == ["/signin"])
        record = credential(login_hint="bella@example.com").authenticate(scopes=[SCOPE])
        check("whoever is signed in is asked, but for no password", record.username == "bella@example.com" and bella.did == ["/signin"])
        check("the account is named by user and tenant", record.home_account_id == f"{user}.{TENANT}")
        quiet = credential(disable_automatic_authentication=True)
        check("who may not ask does not", raised(AuthenticationRequiredError, lambda: quiet.get_token(SCOPE)))


def on_behalf():
    user, password = new_user("olga@example.com", "Reader")
    olga, address = Visitor("olga@example.com", password), "https://front.example/callback"
    front, _ = new_application("front", web={"redirectUris": [address]}, withoutPkce=True)
    middle, _ = new_application("middle")
    own_secret, secret, certificate = new_secret(front), new_secret(middle), rsa_certificate()
    certificate.add_to(middle)

    def for_user(scope):
        text = code(olga, front, f"openid {scope}", address)["code"]
        return AuthorizationCodeCredential(TENANT, front, text, address, client_secret=own_secret, **AUTHORITY_OPTIONS).get_token(scope).token

    assertion = for_user(f"api://{middle}/.default")
    check("a person's token for an application opens nothing else", call(assertion, GROUPS).status_code == 401)
    proofs = [("secret", {"client_secret": secret}), ("certificate", {"client_certificate": certificate.pem()})]
    for what, proof in proofs:
        acting = OnBehalfOfCredential(TENANT, middle, **proof, user_assertion=assertion, **AUTHORITY_OPTIONS)
        said = claims((token := acting.get_token(SCOPE).token))
        check(f"an application with a {what} calls on for the person", (said["oid"], said["appid"], said["idtyp"]) == (user, middle, "user"))
        check("and may what the person may", call(token, GROUPS).status_code == 200)
    for what, wrong in [("for somebody else", for_user(SCOPE)), ("that was changed", assertion[:-4] + "AAAA")]:
        acting = OnBehalfOfCredential(TENANT, middle, client_secret=secret, user_assertion=wrong, **AUTHORITY_OPTIONS)
        check(f"a token {what} is refused", "AADSTS50013" in str(raised(ClientAuthenticationError, lambda: acting.get_token(SCOPE))))


def run():
    environment(*secrets())
    certificates()
    devices()
    codes()
    browsers()
    on_behalf()
