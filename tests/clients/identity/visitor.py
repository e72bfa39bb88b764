"""A person at a browser: keeps cookies, follows the pages and does what they ask."""

import contextlib
import html.parser
import secrets
import threading
import time
import urllib.parse
import webbrowser

import pyotp
import requests

from .stage import CA, URL

# Seconds in which one code of an authenticator is good (RFC 6238).
STEP = 30


class Form:
    def __init__(self, action):
        self.action, self.fields = action, {}


class Page(html.parser.HTMLParser):
    """What a browser sees of a page: its forms, its buttons that are links, where it goes on by itself, and its text."""

    def __init__(self, response):
        super().__init__()
        self.status, self.url = response.status_code, response.url
        self.forms, self.buttons, self.codes, self.refresh, self.text = {}, [], [], None, ""
        self._form, self._is_code = None, False
        self.feed(response.text)

    def __str__(self):
        return f"{self.url} ({self.status}): {' '.join(self.text.split())}"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "a" and attributes.get("class") == "button":
            self.buttons.append(attributes["href"])
        if tag == "form":
            self._form = self.forms[attributes["action"]] = Form(attributes["action"])
        if tag == "input" and self._form and attributes.get("name"):
            self._form.fields[attributes["name"]] = attributes.get("value", "")
        if tag == "meta" and attributes.get("http-equiv") == "refresh":
            self.refresh = attributes["content"].partition("url=")[2]
        self._is_code = tag == "code"

    def handle_endtag(self, tag):
        self._is_code = False
        if tag == "form":
            self._form = None

    def handle_data(self, text):
        self.text += text
        if self._is_code:
            self.codes.append(text)


class Away:
    """Where the browser leaves the server: an application's address, what is brought there, and whether by a form."""

    def __init__(self, address, parameters, is_posted):
        self.address, self.parameters, self.is_posted = address, parameters, is_posted

    @property
    def whole(self):
        """The address with everything in it."""
        return f"{self.address}?{urllib.parse.urlencode(self.parameters)}"

    def deliver(self):
        if self.is_posted:
            return requests.post(self.address, data=self.parameters, timeout=60)
        return requests.get(self.whole, timeout=60)


class Visitor:
    def __init__(self, name, password):
        self.name, self.password = name, password
        self.totp, self.recovery_codes, self._step = None, [], 0
        self.user_code, self.decision = "", "approve"
        # The forms that were filled in, for tests that want to know.
        self.did = []
        self.forget()

    def forget(self):
        """A browser that was never here."""
        self.http = requests.Session()
        self.http.verify = CA
        self.http.headers["user-agent"] = "a test's browser"

    def visit(self, url):
        """Goes to an address and does what the pages ask: ends at an application, or at a page that wants nothing more."""
        found = self._go(url)
        while isinstance(found, Page):
            on = self._answer(found)
            if on is None:
                return found
            found = on
        return found

    def at_device(self, user_code, decision="approve"):
        """Types a device's code."""
        self.user_code, self.decision = user_code, decision
        return self.visit(f"{URL}/device")

    @contextlib.contextmanager
    def at_this_machine(self):
        """Whatever opens a browser in here gets this one."""
        kept, threads = webbrowser.open, []

        def go(url):
            found = self.visit(url)
            if isinstance(found, Page):
                # So that the program need not wait until it gives up.
                asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
                found = Away(asked["redirect_uri"], {"error": "stopped", "state": asked["state"], "error_description": str(found)}, False)
            found.deliver()

        def open_(url, *_, **__):
            # The program waits for the answer in the thread that opens the browser.
            threads.append(threading.Thread(target=go, args=(url,), daemon=True))
            threads[-1].start()
            return True

        webbrowser.open = open_
        try:
            yield
        finally:
            webbrowser.open = kept
            for thread in threads:
                thread.join()

    def _go(self, url, form=None):
        """One step: a request, and the redirections after it."""
        for _ in range(20):
            if not url.startswith(f"{URL}/"):
                address, _, query = url.partition("?")
                return Away(address, dict(urllib.parse.parse_qsl(query)), False)
            # As browsers do: forms name the page's origin, and where they come from.
            from_here = {"origin": URL, "sec-fetch-site": "same-origin"} if form is not None else {}
            method = "GET" if form is None else "POST"
            response = self.http.request(method, url, data=form, headers=from_here, allow_redirects=False, timeout=60)
            form = None
            if response.is_redirect:
                url = urllib.parse.urljoin(url, response.headers["location"])
                continue
            page = Page(response)
            if page.refresh is None:
                return page
            url = urllib.parse.urljoin(url, page.refresh)
        raise SystemExit(f"too many redirections: {url}")

    def _submit(self, page, form, **fields):
        self.did.append(form.action)
        return self._go(urllib.parse.urljoin(page.url, form.action), {**form.fields, **fields})

    def _answer(self, page):
        """Fills in the form that the page is about; none when there is nothing to do, or something went wrong."""
        if page.status != 200:
            return None
        forms = page.forms
        for action, form in forms.items():
            if not action.startswith("/"):
                return Away(action, form.fields, True)
        if form := forms.get("/signin"):
            if page.buttons:
                return self._go(urllib.parse.urljoin(page.url, page.buttons[0]))
            return self._submit(page, form, user_name=self.name, password=self.password)
        if form := forms.get("/signin/password"):
            old, self.password = self.password, secrets.token_urlsafe(18)
            return self._submit(page, form, old=old, new=self.password, again=self.password)
        if form := forms.get("/signin/second-factor/totp"):
            if code := self._code():
                return self._submit(page, form, code=code)
            form = forms["/signin/second-factor/recovery-code"]
            return self._submit(page, form, code=self.recovery_codes.pop())
        if form := forms.get("/signin/enrol/totp/begin"):
            return self._submit(page, form)
        if form := forms.get("/signin/enrol/totp"):
            self.totp, self._step = pyotp.parse_uri(form.fields["uri"]), 0
            return self._submit(page, form, code=self._code())
        if page.url.endswith("/signin/enrol/totp") and page.codes:
            self.recovery_codes = page.codes
            return self._go(urllib.parse.urljoin(page.url, page.buttons[0]))
        if form := forms.get("/device"):
            return self._submit(page, form, user_code=form.fields["user_code"] or self.user_code)
        if form := forms.get("/device/decide"):
            return self._submit(page, form, decision=self.decision)
        return None

    def _code(self):
        """A code that was not used yet, if there is one already: each is good once, and the next one a step ahead of its time."""
        now = int(time.time()) // STEP
        step = max(now, self._step + 1)
        if step > now + 1:
            return None
        self._step = step
        return self.totp.at(step * STEP)
