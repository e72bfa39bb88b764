"""The sign-in pages in a real browser: Debian's Chromium, with a virtual passkey, an authenticator, and Azure's own credentials
that send people to it. Prints a line per check and 'N passed, N failed'."""

import base64
import hashlib
import json
import os
import pathlib
import ssl
import sys
import tempfile
import threading
import time
import urllib.parse
import webbrowser

import environment

PINS = [
    "selenium==4.51.0",
    "pyotp==2.12.0",
    "zxing-cpp==3.1.1",
    "pillow==13.0.0",
    "numpy==2.4.6",
    "azure-identity==1.27.0",
    "azure-mgmt-resource==26.0.0",
]
# Without what it depends on: only the copy of axe-core in it is used.
ALONE = ["axe-playwright-python==0.1.8"]

environment.enter("browser", __doc__, PINS, ALONE)

os.environ["REQUESTS_CA_BUNDLE"] = os.environ["BARTIZAN_CA"]
import pyotp  # noqa: E402
import requests  # noqa: E402
import zxingcpp  # noqa: E402
from azure.core.exceptions import ClientAuthenticationError  # noqa: E402
from azure.identity import ClientSecretCredential, DeviceCodeCredential, InteractiveBrowserCredential  # noqa: E402
from azure.mgmt.resource.resources import ResourceManagementClient  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from PIL import Image  # noqa: E402
from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

URL = os.environ["BARTIZAN_URL"]
TENANT = os.environ["AZURE_TENANT_ID"]
USER = os.environ["BARTIZAN_ADMIN_USER"]
FIRST_PASSWORD = os.environ["BARTIZAN_ADMIN_PASSWORD"]
AXE = next(pathlib.Path(sys.prefix).rglob("axe.min.js")).read_text()
# What a browser says of a page that breaks its own rules.
BREACHES = ("Content Security Policy", "Content-Security-Policy", "Trusted", "Refused to", "Uncaught")
passed = failed = 0
said = []


def check(name, holds, why=""):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else f"FAILED ({why or at()})", name, flush=True)


def pin():
    """The server's public key, as Chromium pins it; its certificate is verified against the installation's authority first."""
    host = urllib.parse.urlsplit(URL)
    pem = ssl.get_server_certificate((host.hostname, host.port), ca_certs=os.environ["BARTIZAN_CA"])
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def start(profile):
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    for flag in [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--window-size=900,1200",
        f"--user-data-dir={profile}",
        f"--ignore-certificate-errors-spki-list={pin()}",
    ]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, Service(os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver")))


profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
driver = start(profile.name)
wait = WebDriverWait(driver, 30)


def at():
    place = urllib.parse.urlsplit(driver.current_url)
    return f"{place.scheme}://{place.netloc}{place.path}"


def find(selector):
    return driver.find_element(By.CSS_SELECTOR, selector)


def find_all(selector):
    return driver.find_elements(By.CSS_SELECTOR, selector)


def text(selector="main"):
    found = find_all(selector)
    return found[0].text if found else ""


def go(place):
    driver.get(URL + place)


def until(holds, what):
    """Waits for a page; a wait that ends in vain is a failed check of its own."""
    try:
        wait.until(lambda _: holds())
    except Exception:
        check(f"waiting for {what}", False, f"{at()}: {text()[:300]!r}")
        raise


def submit(selector):
    """Presses a button and waits for the page that comes of it."""
    old = find("html")
    find(selector).click()
    turned(old)


def turned(old):
    def is_gone():
        try:
            old.is_enabled()
            return False
        except Exception:
            return True

    until(is_gone, "the next page")
    until(lambda: driver.execute_script("return document.readyState") == "complete", "the page to be complete")


def type_into(selector, words):
    field = find(selector)
    field.clear()
    field.send_keys(words)


def speak(language):
    agent = driver.execute_script("return navigator.userAgent")
    driver.execute_cdp_cmd("Network.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": language})


def forget():
    """Signs out as far as this browser goes."""
    driver.delete_all_cookies()


def sign_in(password, name=USER):
    type_into("#user_name", name)
    type_into("#password", password)
    submit("main form button")


class Authenticator:
    """Shows codes, each at most once, as the server takes them: the steps before and after the present one count too."""

    def __init__(self, secret):
        self.totp = pyotp.TOTP(secret)
        self.last = 0

    def code(self):
        # The oldest step that counts must not run out before the code is looked at.
        if (left := 30 - time.time() % 30) < 6:
            time.sleep(left)
        step = int(time.time()) // 30
        # Steps are used up faster than they come; the next one is at most 30 s away.
        while self.last >= step + 1:
            time.sleep(1)
            step = int(time.time()) // 30
        self.last = max(self.last + 1, step - 1)
        return self.totp.at(self.last * 30)


def prove(code):
    type_into("#code", code)
    submit("main form button")


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def accessible(name):
    """axe-core's rules of WCAG 2.2, A and AA."""
    driver.execute_script(AXE)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    script = "const done = arguments[1]; axe.run(document, {runOnly: arguments[0]}).then((found) => done(found.violations))"
    found = driver.execute_async_script(script, tags)
    check(f"{name} is accessible", not found, "; ".join(f"{rule['id']}: {rule['nodes'][0]['html']}" for rule in found))


def listen():
    said.extend(line["message"] for line in driver.get_log("browser"))


def passwords():
    go("/signin")
    check("the first page names the tenant", text("h1") == "Sign in to Bartizan" and find("html").get_attribute("lang") == "en")
    check("the user name has the focus", driver.switch_to.active_element.get_attribute("id") == "user_name")
    accessible("the first page")
    sign_in("wrong password")
    told = text("[role=alert]")
    check("a wrong password is told", told.startswith("The user name or the password is not right"), told)
    check("the title says so too", driver.title.startswith("Error:"), driver.title)
    check("the name is kept, and the password has the focus", driver.switch_to.active_element.get_attribute("id") == "password")
    accessible("the first page with an error")
    sign_in("wrong password", "nobody-of-that-name")
    check("somebody unknown is told the same", text("[role=alert]") == told)
    check("nobody is signed in", driver.get_cookie("__Host-bartizan") is None)

    go("/signin")
    ActionChains(driver).send_keys(USER, Keys.TAB, FIRST_PASSWORD).perform()
    old = find("html")
    ActionChains(driver).send_keys(Keys.ENTER).perform()
    turned(old)
    check("signing in by keyboard alone", at() == f"{URL}/signin/security")
    cookie = driver.get_cookie("__Host-bartizan")
    check("the cookie is out of reach of scripts", cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Lax")
    check("scripts see no cookie", driver.execute_script("return document.cookie") == "")
    accessible("the security page")


def authenticators():
    """Sets one up; gives it with its recovery codes."""
    submit("form[action='/signin/enrol/totp/begin'] button")
    secret = text("code.secret").replace(" ", "")
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        find("svg.picture").screenshot(file.name)
        seen = [found.text for found in zxingcpp.read_barcodes(Image.open(file.name))]
    uri = pyotp.parse_uri(seen[0]) if seen else None
    check("the QR code is read and holds the same secret", uri is not None and uri.secret == secret, str(seen))
    check("it names the account and the server", uri is not None and uri.name == USER and bool(uri.issuer), str(seen))
    accessible("the authenticator's page")
    made = Authenticator(secret)
    prove("000000")
    check("a wrong first code is told", "code is not right" in text("[role=alert]"))
    check("the secret stays the same", text("code.secret").replace(" ", "") == secret)
    prove(made.code())
    check("recovery codes are shown", text("h1") == "Keep your recovery codes", text())
    codes = [item.text for item in find_all(".codes li")]
    check("there are several and all differ", len(codes) >= 8 and len(set(codes)) == len(codes), str(codes))
    link = find("a[download]").get_attribute("href")
    kept = urllib.parse.unquote(link.split(",", 1)[1]).split()
    check("the download holds them", kept == codes, link)
    accessible("the page of recovery codes")
    submit("main a.button:not(.other)")
    check("then the account is shown", at() == f"{URL}/signin/security" and "It is set up." in text(), text())
    driver.back()
    check("going back does not show the codes again", not any(code in driver.page_source for code in codes))
    return made, codes


def second_steps(authenticator, codes):
    go("/signout")
    accessible("the page that asks before it signs out")
    submit("main form button")
    check("signed out", text("h1") == "You are signed out" and driver.get_cookie("__Host-bartizan") is None)
    go("/signin/security")
    check("the account asks for a sign-in again", at() == f"{URL}/signin")
    sign_in(FIRST_PASSWORD)
    check("the second step is asked for", at() == f"{URL}/signin/second-factor", text())
    check("the code has the focus", driver.switch_to.active_element.get_attribute("id") == "code")
    check("it is a one-time code to the browser", find("#code").get_attribute("autocomplete") == "one-time-code")
    accessible("the second step")
    go("/signin/security")
    check("half a sign-in opens nothing", at() == f"{URL}/signin/second-factor")
    prove("000000")
    check("a wrong code is told", "code is not right" in text("[role=alert]"))
    code = authenticator.code()
    prove(code)
    check("signing in with a code", at() == f"{URL}/signin/security", text())

    forget()
    go("/signin/security")
    sign_in(FIRST_PASSWORD)
    prove(code)
    check("a code works once", at().startswith(f"{URL}/signin/second-factor") and "used already" in text("[role=alert]"), text())
    find("details summary").click()
    type_into("#recovery_code", codes[0])
    submit("details form button")
    check("signing in with a recovery code", at() == f"{URL}/signin/security", text())
    check("it is used up", f"Codes left: {len(codes) - 1}" in text(), text())
    forget()
    go("/signin/security")
    sign_in(FIRST_PASSWORD)
    find("details summary").click()
    type_into("#recovery_code", codes[0])
    submit("details form button")
    check("a recovery code works once", "recovery code is not right" in text("[role=alert]"), text())


def passkey_options():
    options = VirtualAuthenticatorOptions()
    options.protocol = VirtualAuthenticatorOptions.Protocol.CTAP2
    options.transport = VirtualAuthenticatorOptions.Transport.INTERNAL
    options.has_resident_key = options.has_user_verification = options.is_user_verified = True
    return options


def passkeys(authenticator):
    driver.add_virtual_authenticator(passkey_options())
    forget()
    go("/signin/security")
    sign_in(FIRST_PASSWORD)
    prove(authenticator.code())
    go("/signin/enrol")
    accessible("the page that sets up a second step")
    type_into("#name", "test <b>key</b>")
    submit("form[data-passkey] button")
    check("a passkey is added", at() == f"{URL}/signin/security" and "test <b>key</b>" in text(), text())
    check("it is in the authenticator, for this host", [key.rp_id for key in driver.get_credentials()] == ["localhost"])

    forget()
    go("/signin/security")
    until(lambda: at() == f"{URL}/signin/security", "the passkey that the browser offers by itself")
    check("the browser offers the passkey for the user name's field", text("h1") == "Your sign-in and security")
    hide = "PublicKeyCredential.isConditionalMediationAvailable = async () => false"
    hidden = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": hide})
    forget()
    go("/signin/security")
    check("a browser that does not is left alone", at() == f"{URL}/signin")
    submit("form[data-passkey] button")
    check("signing in with a passkey and nothing else", at() == f"{URL}/signin/security", text())
    driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", hidden)

    driver.set_user_verified(False)
    forget()
    go("/signin/security")
    find("form[data-passkey] button").click()
    until(lambda: "problem" in find("form[data-passkey] [role=status]").get_attribute("class"), "the refusal")
    check("a passkey without its owner is nothing", text("form[data-passkey] [role=status]").startswith("No passkey was used"))
    sign_in(FIRST_PASSWORD)
    driver.set_user_verified(True)
    check("a password then asks for the second step", at() == f"{URL}/signin/second-factor", text())
    submit("form[data-passkey] button")
    check("a passkey is a second step, too", at() == f"{URL}/signin/security", text())
    driver.remove_virtual_authenticator()


def full_sign_in(authenticator):
    """From the first page, wherever it is to lead."""
    sign_in(FIRST_PASSWORD)
    prove(authenticator.code())


class Asking(threading.Thread):
    """A credential that waits for a person."""

    def __init__(self, get):
        super().__init__(daemon=True)
        self.get, self.token, self.fault = get, None, None
        self.start()

    def run(self):
        try:
            self.token = self.get()
        except Exception as fault:
            self.fault = fault

    def end(self):
        self.join(90)
        return self.token


def devices(authenticator):
    def ask():
        shown, ready = {}, threading.Event()

        def prompt(place, code, _):
            shown.update(place=place, code=code)
            ready.set()

        credential = DeviceCodeCredential(authority=URL, tenant_id=TENANT, disable_instance_discovery=True, prompt_callback=prompt)
        asking = Asking(lambda: credential.get_token(f"{URL}/.default"))
        check("a device is given a code", ready.wait(30), str(asking.fault))
        return shown, asking, credential

    forget()
    shown, asking, credential = ask()
    driver.get(shown["place"])
    check("the device's page asks for a sign-in first", at() == f"{URL}/signin")
    full_sign_in(authenticator)
    check("and comes back to the code", at() == f"{URL}/device", text())
    accessible("the device's page")
    type_into("#user_code", "BBBB-BBBB")
    submit("main form button")
    check("a wrong code is told", text("[role=alert]").startswith("There is no such code"), text())
    type_into("#user_code", shown["code"].lower())
    submit("main form button")
    seen = text()
    check("the page names the application", "Azure developer sign-on" in seen, seen)
    check("where the request comes from", "127.0.0.1" in seen or "::1" in seen, seen)
    check("who it will act as, and what it asks for", USER in seen and f"in your name what you may do at {URL}" in seen, seen)
    check("it warns of codes that somebody sent", "If somebody sent you the code, refuse" in seen)
    accessible("the page that asks before it signs a device in")
    submit("button[value=approve]")
    check("approved", text("h1") == "You are signed in", text())
    token = asking.end()
    check("azure-identity has its token", token is not None, str(asking.fault))
    proof = set(claims(token.token).get("amr", [])) if token else set()
    check("the token says how it was proved", {"pwd", "otp", "mfa"} <= proof, str(proof))
    client = ResourceManagementClient(
        credential, os.environ["AZURE_SUBSCRIPTION_ID"], base_url=URL, credential_scopes=[f"{URL}/.default"]
    )
    check("and the token works", [group.name for group in client.resource_groups.list()] == ["rg"])

    shown, asking, _ = ask()
    go(f"/device?user_code={shown['code']}")
    check("a code in the address is only filled in", find("#user_code").get_attribute("value") == shown["code"])
    submit("main form button")
    submit("button[value=deny]")
    check("refused", text("h1") == "Refused", text())
    asking.end()
    check("azure-identity is told so", isinstance(asking.fault, ClientAuthenticationError), str(asking.fault))


def applications(authenticator):
    def ask(**more):
        opened = []
        webbrowser.open = lambda place, *_, **__: opened.append(place) or True
        credential = InteractiveBrowserCredential(
            authority=URL, tenant_id=TENANT, disable_instance_discovery=True, timeout=80, **more
        )
        scope = f"{URL}/.default"
        asking = Asking(lambda: (credential.authenticate(scopes=[scope]), credential.get_token(scope)))
        until(lambda: opened or asking.fault, "azure-identity to open the browser")
        check("azure-identity opens a browser", bool(opened), str(asking.fault))
        driver.get(opened[0])
        return asking, opened[0]

    forget()
    asking, _ = ask(login_hint=USER)
    check("an application leads to the sign-in", at() == f"{URL}/signin", text())
    check("which is named", "Azure developer sign-on" in text(), text())
    check("with the name that it knows", find("#user_name").get_attribute("value") == USER)
    full_sign_in(authenticator)
    until(lambda: at().startswith("http://localhost:"), "the answer at the application")
    check("the answer is posted to the application", "Authentication complete" in driver.page_source, driver.page_source[:300])
    record, token = asking.end() or (None, None)
    check("azure-identity has its token", token is not None, str(asking.fault))
    check("for the one who signed in", record is not None and record.username == USER, str(record and record.username))

    asking, _ = ask()
    check("whoever is signed in is asked before an application gets an answer", f"Continue as {USER}" in text(), text())
    submit("main a.button")
    until(lambda: at().startswith("http://localhost:"), "the answer at the application")
    check("and then goes on by one key", asking.end() is not None, str(asking.fault))

    go("/signin?return=//evil.example/oauth2/x")
    check("whoever is signed in is not led elsewhere", at() == f"{URL}/signin/security")
    driver.get(f"{URL}/{TENANT}/oauth2/v2.0/authorize?client_id=04b07795-8ddb-461a-bbee-02f9e1bf7b46&redirect_uri=https%3A%2F%2Fevil.example")
    check("a foreign address of an answer ends on a page", at().startswith(URL) and text("h1") == "This did not work", text())
    check("which says what to do and gives a number", "Tell those who run the application" in text() and len(text("dd code")) == 36)
    accessible("the error page")


def newcomers():
    """Whoever comes with a password from somebody else, and under a policy that demands a second factor."""
    owner = ClientSecretCredential(
        TENANT, os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"], authority=URL, disable_instance_discovery=True
    )
    bearer = {"Authorization": f"Bearer {owner.get_token(f'{URL}/.default').token}"}

    def make(place, body):
        answer = requests.post(f"{URL}/graph/v1.0{place}", json=body, headers=bearer, verify=os.environ["BARTIZAN_CA"])
        check(f"an administrator makes {place.rsplit('/', 1)[-1]}", answer.status_code == 201, answer.text)
        return answer.json()

    first = "a first word from somebody else"
    ada = make("/users", {"userPrincipalName": "ada", "displayName": "Ada", "passwordProfile": {"password": first}})
    conditions = {"users": {"includeUsers": [ada["id"]]}}
    grant = {"operator": "OR", "builtInControls": ["mfa"]}
    policies = "/identity/conditionalAccess/policies"
    make(policies, {"displayName": "Ada", "state": "enabled", "conditions": conditions, "grantControls": grant})

    forget()
    go("/signin/security")
    sign_in(first, "ada")
    check("a password from somebody else has to be changed", at() == f"{URL}/signin/password", text())
    accessible("the page that demands another password")
    own = "seven lanterns under the pier"
    for field, words in [("#old", first), ("#new", own), ("#again", own)]:
        type_into(field, words)
    submit("main form button")
    check("then a second step is demanded", at() == f"{URL}/signin/enrol" and "needs a second step" in text(), text())
    go("/signin/security")
    check("and nothing opens before", at() == f"{URL}/signin/enrol")
    driver.add_virtual_authenticator(passkey_options())
    type_into("#name", "phone")
    submit("form[data-passkey] button")
    check("the first factor brings recovery codes", len(find_all(".codes li")) >= 8, text())
    submit("main a.button:not(.other)")
    check("and the account opens", at() == f"{URL}/signin/security" and "phone" in text(), text())
    submit("section[aria-labelledby=passkeys] li form button")
    check("the last factor cannot be removed while one is demanded", "not possible" in text("[role=alert]"), text())
    driver.remove_virtual_authenticator()


def languages():
    forget()
    for wish, tag, heading, told in [
        ("ja,en;q=0.5", "ja", "Bartizan にサインイン", "ユーザー名またはパスワードが正しくない"),
        ("pt-BR,pt;q=0.9,en;q=0.8", "pt", "Entrar em Bartizan", "O nome de usuário ou a senha não está certo"),
    ]:
        speak(wish)
        go("/signin")
        check(f"the first page in {tag}", text("h1") == heading and find("html").get_attribute("lang") == tag, text("h1"))
        sign_in("wrong", "nobody-of-that-name")
        check(f"what went wrong in {tag}", text("[role=alert]").startswith(told), text("[role=alert]"))
        accessible(f"the first page in {tag}")
    speak("en")


def looks():
    go("/signin")
    color = "return getComputedStyle(document.body).backgroundColor"
    light = driver.execute_script(color)
    for scheme in ["dark", "light"]:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        check(f"{scheme} has its own colours", (driver.execute_script(color) == light) == (scheme == "light"))
        accessible(f"the first page, {scheme}")
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 320, "height": 640, "deviceScaleFactor": 1, "mobile": False})
    width = driver.execute_script("return document.documentElement.scrollWidth")
    check("nothing is cut on a narrow screen", width <= 320, str(width))
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def scriptless(codes):
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    forget()
    go("/signin/security")
    check("without JavaScript no passkey is offered", not find("form[data-passkey] button").is_displayed())
    type_into("#user_name", USER)
    type_into("#password", FIRST_PASSWORD)
    find("main form button").click()
    until(lambda: at() == f"{URL}/signin/second-factor", "the second step without JavaScript")
    find("details summary").click()
    type_into("#recovery_code", codes[1])
    find("details form button").click()
    until(lambda: at() == f"{URL}/signin/security", "the account without JavaScript")
    check("signing in without JavaScript", text("h1") == "Your sign-in and security")
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def own_account():
    rows = len(find_all("section[aria-labelledby=sessions] li"))
    check("other sessions are listed", rows > 1, text())
    submit("section[aria-labelledby=sessions] form button")
    check("one of them can be ended", len(find_all("section[aria-labelledby=sessions] li")) == rows - 1, text())
    submit("form[action$='/recovery-codes'] button")
    fresh = [item.text for item in find_all(".codes li")]
    check("new recovery codes can be had", len(fresh) >= 8, text())
    go("/signin/security")
    submit("section[aria-labelledby=passkeys] li form button")
    check("a passkey can be removed", "It was removed." in text() and "None yet." in text("section[aria-labelledby=passkeys]"), text())

    go("/signin/password")
    accessible("the page that changes the password")

    def change(old, new, again):
        type_into("#old", old)
        type_into("#new", new)
        type_into("#again", again)
        submit("main form button")
        return text("[role=alert]")

    new = "otters juggle seven lanterns"
    check("two different passwords are told", "not the same" in change(FIRST_PASSWORD, new, new + "x"))
    check("a guessable password is told", "easy to guess" in change(FIRST_PASSWORD, "password1234password", "password1234password"), text())
    check("a wrong present password is told", "present password is not right" in change("wrong", new, new), text())
    change(FIRST_PASSWORD, new, new)
    check("the password is changed", at() == f"{URL}/signin/security" and "The password was changed" in text(), text())
    check("and every other session is ended", len(find_all("section[aria-labelledby=sessions] li")) == 1, text())
    forget()
    go("/signin")
    sign_in(FIRST_PASSWORD)
    check("the old password is worth nothing", "is not right" in text("[role=alert]"))
    sign_in(new)
    check("the new one signs in", at() == f"{URL}/signin/second-factor", text())


def throttles():
    forget()
    go("/signin")
    for attempt in range(40):
        sign_in("wrong password", "nobody-of-that-name")
        if "too many attempts" in text("[role=alert]"):
            break
    check("who guesses has to wait, and is told how long", "seconds" in text("[role=alert]"), text())


try:
    passwords()
    authenticator, codes = authenticators()
    second_steps(authenticator, codes)
    passkeys(authenticator)
    devices(authenticator)
    applications(authenticator)
    newcomers()
    languages()
    looks()
    scriptless(codes)
    own_account()
    throttles()
    listen()
    breaches = [line for line in said if any(word in line for word in BREACHES)]
    check("no page broke its own policy", not breaches, "; ".join(breaches[:5]))
finally:
    driver.quit()
    print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
