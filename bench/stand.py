"""What the scripts beside it share: a server process, and requests to it that cost the client little."""

import atexit
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse

HELLO = "bartizan listens on "


class Server:
    """A server process over one data directory."""

    def __init__(self, binary, data, more=("--offline",)):
        self.data = data
        self.began = time.perf_counter()
        command = [binary, "serve", "--data-dir", data, "--listen", "127.0.0.1:0", *more]
        environment = dict(os.environ, BARTIZAN_LOG="warn")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        atexit.register(self.process.kill)
        for line in self.process.stdout:
            if line.startswith(HELLO):
                self.url = line[len(HELLO):].strip()
                break
        else:
            sys.exit("the server ended before it listened")
        self.listening = time.perf_counter() - self.began

    def connect(self):
        context = ssl.create_default_context(cafile=os.path.join(self.data, "ca.pem"))
        context.set_alpn_protocols(["http/1.1"])
        host = urllib.parse.urlsplit(self.url)
        stream = socket.create_connection((host.hostname, host.port))
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(stream, server_hostname="localhost")

    def variables(self):
        with open(self.data + ".env") as file:
            pairs = (line[len("export "):].strip().split("=", 1) for line in file if line.startswith("export "))
            return {name: value.strip("'") for name, value in pairs}

    def stop(self):
        self.process.terminate()
        self.process.wait()


def ask(link, request, count=1, good=b"20"):
    """Sends a request several times in one write and reads as many answers; the last body."""
    link.sendall(request * count)
    file, body = ask.files.setdefault(link, link.makefile("rb")), b""
    for _ in range(count):
        status = file.readline()
        length = 0
        while (line := file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = file.read(length)
        if not status.startswith(b"HTTP/1.1 " + good):
            sys.exit(f"refused: {status!r} {body!r}")
    return body


ask.files = {}


def token(server, link):
    variables = server.variables()
    form = urllib.parse.urlencode({
        "grant_type": "client_credentials",
        "client_id": variables["AZURE_CLIENT_ID"],
        "client_secret": variables["AZURE_CLIENT_SECRET"],
        "scope": "https://management.azure.com/.default",
    })
    head = (f"POST /{variables['AZURE_TENANT_ID']}/oauth2/v2.0/token HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n")
    return json.loads(ask(link, (head + form).encode()))["access_token"]


class Session:
    """Calls with a bearer token over one connection."""

    def __init__(self, server):
        self.link, self.subscription = server.connect(), "/subscriptions/" + server.variables()["AZURE_SUBSCRIPTION_ID"]
        self.bearer = token(server, self.link)

    def call(self, method, place, body=None):
        """The bytes of the answer."""
        data = b"" if body is None else json.dumps(body).encode()
        head = (f"{method} {place} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.bearer}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n")
        return ask(self.link, head.encode() + data)
