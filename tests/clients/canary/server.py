"""The server as clients of the standard library reach it."""

import base64
import datetime
import hashlib
import hmac
import html
import http.client
import json
import os
import re
import ssl
import struct
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

HERE = object()


class Server:
    def __init__(self):
        self.url, self.tenant = os.environ["BARTIZAN_URL"], os.environ["AZURE_TENANT_ID"]
        self.trust = ssl.create_default_context(cafile=os.environ["BARTIZAN_CA"])
        self.subscription = f"/subscriptions/{os.environ['AZURE_SUBSCRIPTION_ID']}"
        self.group = f"{self.subscription}/resourceGroups/rg"
        self.workspace = f"{self.group}/providers/Microsoft.MachineLearningServices/workspaces/ws1"
        self.token = self.sign_in_owner(self.url)

    def sign_in(self, client, secret, resource=None):
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret, "scope": f"{resource or self.url}/.default"}
        request = urllib.request.Request(f"{self.url}/{self.tenant}/oauth2/v2.0/token", urllib.parse.urlencode(form).encode())
        with urllib.request.urlopen(request, context=self.trust) as answer:
            return json.load(answer)["access_token"]

    def sign_in_owner(self, resource):
        return self.sign_in(os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"], resource)

    def owner(self):
        claims = self.token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["oid"]

    def assign(self, role, scope):
        place = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
        body = {"roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{role}", "principalId": self.owner()}
        self.good("PUT", place, {"properties": body})

    def ask(self, method, place, body=None, token=HERE, raw=None, headers=None):
        """Status, headers and bytes of an answer. Fixed words of the interface stay as they are in the address."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        headers = dict(headers or {})
        token = self.token if token is HERE else token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if data is not None and "Content-Type" not in headers:
            headers["Content-Type"] = "application/json" if raw is None else "application/octet-stream"
        if place.startswith("/subscriptions/") and "api-version" not in place:
            place += ("&" if "?" in place else "?") + "api-version=2025-12-01"
        request = urllib.request.Request(self.url + place, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, context=self.trust) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers, refused.read()

    def bytes(self, method, place, status=200, **more):
        code, _, content = self.ask(method, place, **more)
        assert code == status, (method, place, code, content)
        return content

    def good(self, method, place, body=None, **more):
        status, _, content = self.ask(method, place, body, **more)
        assert 200 <= status < 300, (method, place, status, content)
        return json.loads(content) if content.strip() else None

    def wait(self, method, place, body):
        """The same for what goes on after its answer, until that has ended well."""
        status, headers, content = self.ask(method, place, body)
        assert 200 <= status < 300, (method, place, status, content)
        following = headers.get("azure-asyncoperation") or headers.get("location") if status in (201, 202) else None
        while following:
            status, _, content = self.ask("GET", following.replace(self.url, ""))
            state = json.loads(content).get("status", "Succeeded") if content.strip() else "Succeeded"
            assert status < 300 and state not in ("Failed", "Canceled"), content
            following = None if state == "Succeeded" and status == 200 else following

    def vault_resource(self, vault):
        _, headers, _ = self.ask("GET", f"/vaults/{vault}/secrets/x?api-version=7.6", token=None)
        return re.search('resource="([^"]+)"', headers["www-authenticate"]).group(1)

    def signature(self, account, container, key):
        """A service signature for reading a container's blobs, by the account's key."""
        expiry = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        version = "2022-11-02"
        lines = ["r", "", expiry, f"/blob/{account}/{container}", "", "", "https", version, "c", "", "", "", "", "", "", ""]
        signed = hmac.new(base64.b64decode(key), "\n".join(lines).encode(), hashlib.sha256).digest()
        given = {"sv": version, "spr": "https", "se": expiry, "sr": "c", "sp": "r", "sig": base64.b64encode(signed).decode()}
        return urllib.parse.urlencode(given)

    def bartizan(self, held, given, *arguments):
        """The command line; what it tells beside its result holds no secret."""
        done = subprocess.run([given.bartizan, *arguments], capture_output=True)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        held.silent[f"what `bartizan {' '.join(arguments[:2])}` told beside its result"] = done.stderr
        return done.stdout


class Person:
    """Somebody at a browser without scripts."""

    def __init__(self, server, name, password):
        self.server, self.name, self.password, self.cookies = server, name, password, {}
        host = urllib.parse.urlsplit(server.url)
        self.host, self.port = host.hostname, host.port
        self._come()

    def _come(self):
        fields = {"user_name": self.name, "password": self.password, "return": ""}
        self._post("/signin", fields, self._form("/signin"))

    def is_in(self):
        return self._get("/signin/security")[0] == 200

    def cookie(self):
        return self.cookies["__Host-bartizan"]

    def _send(self, method, place, body=None):
        line = http.client.HTTPSConnection(self.host, self.port, context=self.server.trust)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), "Accept-Language": "en"}
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin", "Origin": "null"}
        line.request(method, place, body, headers)
        answer = line.getresponse()
        for value in answer.headers.get_all("set-cookie") or []:
            name, _, rest = value.partition("=")
            self.cookies[name] = rest.split(";")[0]
        text = answer.read().decode()
        line.close()
        return answer.status, answer.headers.get("location", ""), text

    def _get(self, place):
        return self._send("GET", place)

    def _form(self, place):
        text = self._get(place)[2]
        return re.search('name="form" value="([^"]*)"', text).group(1)

    def _post(self, place, fields, form):
        return self._send("POST", place, urllib.parse.urlencode({**fields, "form": html.unescape(form)}))

    def enrol(self):
        """Sets up an authenticator: its seed, and the recovery codes."""
        form = self._form("/signin/security")
        shown = self._post("/signin/enrol/totp/begin", {}, form)[2]
        uri = html.unescape(re.search('name="uri" value="([^"]*)"', shown).group(1))
        seed = urllib.parse.parse_qs(urllib.parse.urlsplit(uri).query)["secret"][0]
        form = re.search('name="form" value="([^"]*)"', shown).group(1)
        done = self._post("/signin/enrol/totp", {"uri": uri, "code": code_of(seed)}, form)[2]
        codes = re.findall(r"<code>([^<]+)</code>", done) or re.findall(r"<li[^>]*>\s*(?:<[^>]+>)?([^<\s]+)", done)
        assert len(codes) >= 8, done
        return seed, codes

    def again_with(self, code):
        """Comes in anew, with a recovery code as the second step."""
        self.cookies.pop("__Host-bartizan")
        self._come()
        assert not self.is_in()
        form = self._form("/signin/second-factor")
        self._post("/signin/second-factor/recovery-code", {"code": code}, form)
        assert self.is_in()


def code_of(seed, at=None):
    """RFC 6238, six digits, 30 seconds, SHA-1."""
    counter = struct.pack(">Q", int(at or time.time()) // 30)
    digest = hmac.new(base64.b32decode(seed + "=" * (-len(seed) % 8)), counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 10**6:06}"
