"""Two servers that are asked the same: MLflow's own, and the one under test."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import requests

# What either server chooses for itself; everything else must be the same.
TIMES = {"creation_time", "last_update_time", "creation_timestamp", "last_updated_timestamp", "creation_timestamp_ms",
         "last_updated_timestamp_ms", "start_time", "end_time", "timestamp"}
# Fields of which each has its own: who asks, and what only the peer has.
UNCOUNTED = {"user_id", "workspace", "sqlstate", "error_class"}
HEX = re.compile(r"\b(m-)?[0-9a-f]{32}\b")
PLACE = re.compile(r"<(\w+)>")
# A time of a client in this suite is a small number, one of a server is not.
NOW = 10**12


def start_peer(home):
    """Starts MLflow's server with one worker on SQLite; says where it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = pathlib.Path(home)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{place}/peer.db", "--artifacts-destination", str(place / "files")]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_TRUNCATE_LONG_VALUES": "false", "HOME": home}
    shared = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    with open(place / "peer.log", "wb") as log:
        peer = subprocess.Popen(command, env={**shared, **quiet}, cwd=home, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    # It says nothing of its own when it is ready: asked until it answers, it has as long as an import takes.
    for _ in range(600):
        try:
            requests.get(f"{url}/health", timeout=5)
            return peer, url
        except requests.ConnectionError:
            if peer.poll() is not None:
                break
            time.sleep(0.2)
    peer.kill()
    sys.exit((place / "peer.log").read_text())


class Side:
    """One server, with the names it gave to what was made there."""

    def __init__(self, base, token=None, ca=None):
        self.base, self.names = base.rstrip("/"), {}
        self.wire = requests.Session()
        self.wire.trust_env = False
        if token:
            self.wire.headers["Authorization"] = f"Bearer {token}"
            self.wire.verify = ca
        retries = requests.adapters.Retry(total=3, status=0, allowed_methods=None)
        self.wire.mount("https://", requests.adapters.HTTPAdapter(max_retries=retries))

    def fill(self, value):
        """The same with each `<name>` replaced by what this server calls it."""
        if isinstance(value, str):
            return PLACE.sub(lambda found: self.names.get(found[1], found[0]), value)
        if isinstance(value, dict):
            return {self.fill(key): self.fill(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner) for inner in value]
        return value

    def hide(self, text):
        """The other way round."""
        for name, given in sorted(self.names.items(), key=lambda one: -len(one[1])):
            # An experiment's number may be as short as any other: it is one only where ids stand.
            before = r"(?<=artifacts:/)|(?<=id=)|(?<=id )|(?<=experiment )" if given.isdigit() else r"(?<![\w.])"
            text = re.sub(rf"(?:{before}){re.escape(given)}(?![\w.])", f"<{name}>", text)
        return HEX.sub("<hex>", text)

    def plain(self, value, key=""):
        """An answer without what a server chooses for itself."""
        if isinstance(value, dict):
            return {name: self.plain(inner, name) for name, inner in value.items() if name not in UNCOUNTED}
        if isinstance(value, list):
            items = [self.plain(inner, key) for inner in value]
            named = key in ("tags", "params", "metrics", "aliases", "latest_versions", "model_inputs", "dataset_inputs")
            return sorted(items, key=lambda one: json.dumps(one, sort_keys=True)) if named else items
        if key == "next_page_token":
            return "<token>"
        if key == "experiment_id" and value != "0":
            return next((f"<{name}>" for name, given in self.names.items() if given == value), "<number>")
        if key in TIMES and isinstance(value, int) and value >= NOW:
            return "<now>"
        return self.hide(value) if isinstance(value, str) else value

    def ask(self, verb, path, body=None, query=None, data=None, headers=None, prefix="/api/2.0/mlflow/"):
        options = {"params": self.fill(query), "timeout": 120, "headers": headers}
        if data is not None:
            options["data"] = self.fill(data) if isinstance(data, str) else data
        elif verb != "GET" and body is not None:
            options["json"] = self.fill(body)
        return self.wire.request(verb, f"{self.base}{prefix}{self.fill(path)}", **options)


def dig(answer, path):
    """What lies at a dotted path of an answer."""
    for step in path.split("."):
        answer = answer[int(step)] if step.isdigit() else answer[step]
    return answer


class Stage:
    """Asks both and compares. `passed` and `failed` are counted here."""

    def __init__(self, peer, ours):
        self.peer, self.ours = peer, ours
        self.passed = self.failed = 0

    def check(self, name, holds, more=""):
        self.passed, self.failed = self.passed + bool(holds), self.failed + (not holds)
        print("ok    " if holds else "FAILED", name, more if not holds else "", flush=True)
        return bool(holds)

    def ask(self, name, call, body=None, keep=None, words=None, ours=None, says=None, because=None, drop=(), **more):
        """One case. `call` is a verb and a path. `keep` names what the answer made.

        Both must give the same status, code, words and content, but: `words` when only these must be in both messages;
        `ours` is the status and code of this server, and `says` what its words hold, where it differs on purpose, `because`
        of a reason; `drop` are fields of the answer that do not count.
        """
        verb, path = call.split(" ", 1)
        answers = [side.ask(verb, path, body, **more) for side in (self.peer, self.ours)]
        parsed = [self._read(answer) for answer in answers]
        for side, answer in zip((self.peer, self.ours), parsed):
            for kept, place in (keep or {}).items():
                try:
                    side.names[kept] = str(dig(answer, place))
                except (KeyError, IndexError, TypeError):
                    self.check(name, False, f"no {place} in {answer}")
                    return
        theirs, mine = (side.plain(answer) for side, answer in zip((self.peer, self.ours), parsed))
        statuses = [answer.status_code for answer in answers]
        if because:
            return self._differs(name, statuses, theirs, mine, ours, says, because)
        for answer in (theirs, mine):
            self._forget(answer, drop)
        if words and statuses[0] >= 400:
            holds = all(words in self._message(answer) for answer in (theirs, mine))
            same = statuses[0] == statuses[1] and theirs.get("error_code") == mine.get("error_code") and holds
        else:
            same = statuses[0] == statuses[1] and theirs == mine
        self.check(name, same, f"\n   peer {statuses[0]} {self._short(theirs)}\n   ours {statuses[1]} {self._short(mine)}")

    def _differs(self, name, statuses, theirs, mine, ours, says, because):
        """A case where this server has a rule of its own: it must be kept, and it must be one."""
        status, code = ours or (statuses[0], theirs.get("error_code"))
        holds = statuses[1] == status and (code is None or mine.get("error_code") == code)
        holds = holds and (says is None or says in json.dumps(mine, ensure_ascii=False))
        is_apart = statuses[0] != statuses[1] or theirs != mine
        more = f"\n   {because}\n   peer {statuses[0]} {self._short(theirs)}\n   ours {statuses[1]} {self._short(mine)}"
        self.check(f"{name} (ours: {because})", holds and is_apart, more)

    @staticmethod
    def _read(answer):
        try:
            return answer.json()
        except ValueError:
            return {"not JSON": answer.text[:200]}

    @staticmethod
    def _message(answer):
        return answer.get("message", "") if isinstance(answer, dict) else ""

    @staticmethod
    def _short(answer):
        text = json.dumps(answer, ensure_ascii=False, sort_keys=True)
        return text if len(text) <= 1500 else text[:1500] + "…"

    def _forget(self, answer, names):
        if isinstance(answer, dict):
            for name in list(answer):
                if name in names:
                    del answer[name]
                else:
                    self._forget(answer[name], names)
        elif isinstance(answer, list):
            for inner in answer:
                self._forget(inner, names)
