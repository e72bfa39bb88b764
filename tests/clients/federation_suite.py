"""Sign-in through a real OpenID provider (npm `oidc-provider`) on this machine, and its tokens as workload identity for Azure's own
client. Starts both servers itself. Prints a line per check and 'N passed, N failed'."""

import argparse
import atexit
import base64
import datetime
import hashlib
import html.parser
import json
import os
import pathlib
import secrets
import subprocess
import sys
import tempfile
import urllib.parse

PINS = ["azure-identity==1.27.0", "requests==2.34.2", "cryptography==50.0.0"]
PROVIDER = "oidc-provider@9.13.3"


def digest(*words):
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def reenter(cache):
    """Makes a virtual environment and a package directory with the pinned programs once, and runs this file with them."""
    place = pathlib.Path(cache) / f"federation-{digest(sys.version, *PINS)}"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINS], check=True)
        (place / "complete").touch()
    packages = pathlib.Path(cache) / f"provider-{digest(PROVIDER)}"
    if not (packages / "complete").exists():
        packages.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", packages, PROVIDER]
        subprocess.run(npm, check=True)
        (packages / "complete").touch()
    module = packages / "node_modules" / "oidc-provider"
    os.execve(python, [str(python), __file__], {**os.environ, "BARTIZAN_SUITE_PROVIDER": str(module)})


if "BARTIZAN_SUITE_PROVIDER" not in os.environ:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", required=True, help="directory for what is installed")
    reenter(parser.parse_args().cache)

import requests  # noqa: E402
from azure.core.exceptions import ClientAuthenticationError  # noqa: E402
from azure.identity import WorkloadIdentityCredential  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

BARTIZAN = os.environ["BARTIZAN_BIN"]
CLIENT = "5b1f0c52-7d3e-4a8e-9c61-2f0eb4179a03"  # the command line, which every installation knows
scratch = tempfile.TemporaryDirectory()
DIR = pathlib.Path(scratch.name)
passed = failed = 0


def check(name, holds):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, flush=True)


def start(command, sign):
    """Starts a program that ends with this one; the rest of the line that begins with `sign`."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    atexit.register(lambda: (process.terminate(), process.wait()))
    for line in process.stdout:
        if line.startswith(sign):
            return line.removeprefix(sign).strip()
    raise SystemExit(f"{command[0]} ended before it listened")


def certificate():
    """An authority of this test alone, and the provider's certificate under it."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def make(name, issuer, key, signer, authority):
        named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        made = x509.CertificateBuilder(issuer_name=issuer or named, subject_name=named, public_key=key.public_key())
        made = made.serial_number(x509.random_serial_number())
        made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(2))
        made = made.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        if not authority:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        return made.sign(signer, hashes.SHA256())

    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = make("authority of a test", None, root, root, True)
    server = make("provider of a test", ca.subject, leaf, root, False)
    pem = serialization.Encoding.PEM
    key = leaf.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for name, content in [("idp-ca.pem", ca.public_bytes(pem)), ("idp.pem", server.public_bytes(pem)), ("idp.key", key)]:
        (DIR / name).write_bytes(content)


certificate()
module = os.environ["BARTIZAN_SUITE_PROVIDER"]
script = pathlib.Path(__file__).with_name("oidc_provider.mjs")
ISSUER = start(["node", script, module, DIR / "idp.pem", DIR / "idp.key"], "")
serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", DIR / "D", "--cache-dir", DIR / "cache"]
serve += ["--outbound-host", ISSUER.removeprefix("https://"), "--outbound-ca", DIR / "idp-ca.pem"]
URL = start([BARTIZAN, *serve], "bartizan listens on ")
for line in (DIR / "D.env").read_text().splitlines():
    name, _, value = line.removeprefix("export ").partition("=")
    os.environ[name] = value.strip("'")
os.environ["BARTIZAN_URL"] = URL
TENANT, SUBSCRIPTION = os.environ["AZURE_TENANT_ID"], os.environ["AZURE_SUBSCRIPTION_ID"]

(DIR / "trust.pem").write_text((DIR / "idp-ca.pem").read_text() + pathlib.Path(os.environ["BARTIZAN_CA"]).read_text())
TRUST = os.environ["REQUESTS_CA_BUNDLE"] = str(DIR / "trust.pem")


def cli(*arguments, text=None):
    done = subprocess.run([BARTIZAN, *arguments, "-o", "json"], capture_output=True, text=True, input=text)
    if done.returncode:
        raise SystemExit(f"{arguments}: {done.stderr}")
    return json.loads(done.stdout or "null")


def refused(*arguments):
    done = subprocess.run([BARTIZAN, *arguments], capture_output=True, text=True)
    return done.stderr if done.returncode else ""


class Page(html.parser.HTMLParser):
    """What a browser sees of a page: its links, its form, where it goes on by itself, and its text."""

    def __init__(self, response):
        super().__init__()
        self.status, self.url = response.status_code, response.url
        self.links, self.fields, self.form, self.refresh, self.text = [], {}, None, None, ""
        self.feed(response.text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        if tag == "form" and self.form is None:
            self.form = attributes.get("action", "")
        if tag == "input" and attributes.get("name"):
            self.fields.setdefault(attributes["name"], attributes.get("value", ""))
        if tag == "meta" and attributes.get("http-equiv") == "refresh":
            self.refresh = attributes["content"].partition("url=")[2]

    def handle_data(self, text):
        self.text += text


class Browser:
    def __init__(self):
        self.http = requests.Session()
        self.http.headers["user-agent"] = "a test's browser"
        self.http.verify = TRUST
        self.halt = None
        self.asked = 0

    def go(self, url, form=None):
        """Follows redirections as a browser does, up to a page, to the application that asked, or to `halt` (its address)."""
        for _ in range(20):
            method = "GET" if form is None else "POST"
            response = self.http.request(method, url, data=form, allow_redirects=False)
            form = None
            if response.is_redirect:
                url = urllib.parse.urljoin(url, response.headers["location"])
            else:
                page = Page(response)
                if page.refresh is None:
                    return page
                url = urllib.parse.urljoin(url, page.refresh)
            if self.halt and url.startswith(self.halt):
                return url
            parts = urllib.parse.urlsplit(url)
            if (parts.scheme, parts.netloc) == ("http", "localhost"):
                return dict(urllib.parse.parse_qsl(parts.query))
        raise SystemExit(f"too many redirections: {url}")

    def submit(self, page, **fields):
        return self.go(urllib.parse.urljoin(page.url, page.form), {**page.fields, **fields})

    def through(self, page, user, factors="pwd"):
        """Fills in the provider's forms."""
        self.asked += 1
        page = self.submit(page, user=user, factors=factors)
        while isinstance(page, Page) and page.url.startswith(ISSUER) and page.form is not None:
            page = self.submit(page)
        return page


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def token_for(user, factors="pwd", browser=None, leave_out="", **more):
    """Signs a person in to an application, through the provider, as far as it goes: an access token, or a page. Of the link to
    the provider something may be left out."""
    browser = browser or Browser()
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "client_id": CLIENT, "response_type": "code", "redirect_uri": "http://localhost", "state": "s", "nonce": "n",
        "scope": f"openid {URL}/.default", "code_challenge": challenge, "code_challenge_method": "S256",
        **more,
    }
    page = browser.go(f"{URL}/{TENANT}/oauth2/v2.0/authorize?{urllib.parse.urlencode(asked)}")
    link = next(link for link in page.links if link.startswith("/signin/federated/"))
    page = browser.go(urllib.parse.urljoin(URL, link.replace(leave_out, "")))
    answer = browser.through(page, user, factors) if isinstance(page, Page) and page.url.startswith(ISSUER) else page
    if isinstance(answer, Page):
        return answer
    form = {
        "grant_type": "authorization_code", "client_id": CLIENT, "code": answer["code"], "code_verifier": verifier,
        "redirect_uri": "http://localhost", "scope": asked["scope"],
    }
    given = requests.post(f"{URL}/{TENANT}/oauth2/v2.0/token", data=form, timeout=60).json()
    if "access_token" not in given:
        raise SystemExit(given)
    return given["access_token"]


def status(token, place):
    version = "&" if "?" in place else "?"
    headers = {"authorization": f"Bearer {token}"}
    return requests.get(f"{URL}{place}{version}api-version=2022-12-01", headers=headers, timeout=60).status_code


# The provider is made known, and this server to the provider.
told = refused("ad", "identity-provider", "create", "--name", "X", "--issuer", "https://login.example", "--client-id", "x")
check("a server that nobody allowed is not asked", "--outbound-host" in told)
group = cli("ad", "group", "create", "--display-name", "scientists")["id"]
cli("role", "assignment", "create", "--assignee", group, "--role", "Reader", "--scope", f"/subscriptions/{SUBSCRIPTION}")
made = cli("ad", "identity-provider", "create", "--name", "Corp", "--issuer", ISSUER, "--client-id", "not-yet")
check("a provider is made known", made["isEnabled"] and made["tokenEndpoint"] == f"{ISSUER}/token")


def register(alg):
    client = {
        "redirect_uris": [made["redirectUri"]], "id_token_signed_response_alg": alg, "scope": "openid profile email groups",
        "grant_types": ["authorization_code", "client_credentials"],
    }
    headers = {"authorization": "Bearer register"}
    return requests.post(f"{ISSUER}/reg", json=client, headers=headers, timeout=60).json()


def use(client, *more):
    changed = cli(
        "ad", "identity-provider", "update", made["id"], "--client-id", client["client_id"], "--client-secret-file", "-",
        *more, text=client["client_secret"] + "\n",
    )
    check("the secret is not shown", client["client_secret"] not in json.dumps(changed) and changed["clientSecret"] == "******")
    return changed


client = register("RS256")
use(client, "--scope", "profile", "--scope", "email", "--scope", "groups")

# People.
page = token_for("ann")
check("nobody comes in uninvited", isinstance(page, Page) and page.status == 403 and "no account" in page.text)
cli("ad", "identity-provider", "update", made["id"], "--create-users", "true")
ann = token_for("ann")
said = claims(ann)
check("a person signs in through the provider and becomes a user", said["idtyp"] == "user" and "fed" in said["amr"])
user = cli("ad", "user", "show", said["oid"])
check("the user is named after both", user["userPrincipalName"] == "ann_corp.example#corp" and user["displayName"] == "Ann Lee")
here = f"/subscriptions/{SUBSCRIPTION}/resourceGroups"
check("without a group the user reads nothing", status(ann, here) in (403, 404))

cli("ad", "identity-provider", "update", made["id"], "--groups-claim", "groups", "--map", f"scientists={group}")
again = token_for("ann")
check("the same person is the same user", claims(again)["oid"] == said["oid"])
check("the group of the provider opens what the group here may read", status(again, here) == 200)
check("and with it the token from before", status(ann, here) == 200)
bob = token_for("bob")
check("somebody else is somebody else, without the group", claims(bob)["oid"] != said["oid"] and status(bob, here) in (403, 404))

# Factors.
check("two factors elsewhere are one here", "mfa" not in claims(token_for("ann", "pwd otp mfa"))["amr"])
cli("ad", "identity-provider", "update", made["id"], "--mfa-amr", "mfa")
check("unless the provider is believed", "mfa" in claims(token_for("ann", "pwd otp mfa"))["amr"])
check("which then has to say so", "mfa" not in claims(token_for("ann", "pwd"))["amr"])
cli("ad", "identity-provider", "update", made["id"], "--no-mfa")

# A fresh proof.
browser = Browser()
token_for("ann", browser=browser)
check("a provider that knows the browser asks nothing", claims(token_for("ann", browser=browser))["oid"] and browser.asked == 1)
for count, wish in enumerate([{"prompt": "login"}, {"max_age": "0"}], start=2):
    page = token_for("ann", browser=browser, leave_out="&again=1", **wish)
    check(f"which is no fresh proof: {wish}", isinstance(page, Page) and any("again=1" in link for link in page.links))
    fresh = token_for("ann", browser=browser, **wish)
    check(f"unless it is asked for one: {wish}", claims(fresh)["oid"] == said["oid"] and browser.asked == count)

# Other algorithms, under keys that are looked up by name.
for alg in ["ES256", "PS256"]:
    use(register(alg))
    check(f"a token under {alg} is believed", claims(token_for("ann"))["oid"] == said["oid"])
use(client)

# What goes wrong.
check("whoever declines is told so", (page := token_for("", "pwd")).status == 403 and "did not sign you in" in page.text)
browser, thief = Browser(), Browser()
browser.halt = made["redirectUri"]
answer = browser.through(browser.go(f"{URL}/signin/federated/{made['id']}"), "ann")
thief.go(f"{URL}/signin/federated/{made['id']}")
check("an answer does not work in another browser", thief.go(answer).status == 400)
browser.halt = None
check("but in the one that asked, which ends on a page of its own", browser.go(answer).url == f"{URL}/signin/security")
check("and it does not work twice", browser.go(answer).status == 400)
made_up = urllib.parse.urlencode({"state": "made-up", "code": "x", "iss": ISSUER})
check("nor does a made-up one", browser.go(f"{made['redirectUri']}?{made_up}").status == 400)

# Workload identity: a token of the provider in place of a secret.
application = cli("ad", "app", "create", "--display-name", "pipeline")
audience = "api://AzureADTokenExchange"
cli(
    "ad", "app", "federated-credential", "add", application["appId"], "--name", "pipeline", "--issuer", ISSUER,
    "--subject", client["client_id"],
)


def workload(resource):
    form = {"grant_type": "client_credentials", "resource": resource}
    basic = (client["client_id"], client["client_secret"])
    given = requests.post(f"{ISSUER}/token", data=form, auth=basic, timeout=60).json()
    (DIR / "workload.token").write_text(given["access_token"])
    return WorkloadIdentityCredential(
        tenant_id=TENANT, client_id=application["appId"], token_file_path=str(DIR / "workload.token"), authority=URL,
        disable_instance_discovery=True,
    )


token = workload(audience).get_token(f"{URL}/.default").token
check("azure-identity's WorkloadIdentityCredential gets a token", claims(token)["appid"] == application["appId"])
try:
    workload("https://elsewhere.example").get_token(f"{URL}/.default")
    check("a token for another audience is refused", False)
except ClientAuthenticationError as fault:
    check("a token for another audience is refused", "AADSTS" in str(fault))

# The end.
cli("ad", "identity-provider", "update", made["id"], "--disable")
check("with the provider disabled, its people's tokens are refused at once", status(again, here) == 401)
page = Browser().go(f"{URL}/signin/federated/{made['id']}")
check("and it signs nobody in", page.status == 404)
check("the sign-in page does not offer it", not any("federated" in link for link in Browser().go(f"{URL}/signin").links))
cli("ad", "identity-provider", "delete", made["id"])
check("a deleted provider is gone", cli("ad", "identity-provider", "list") == [])

print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
