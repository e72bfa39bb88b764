"""Webhooks of the registry, and workspaces by a header, through MLflow's own client. Prints a line per check and 'N passed, N failed'."""

import http.server
import json
import os
import queue
import sys
import tempfile
import threading
import uuid

import environment

PINS = ["mlflow-skinny==3.17.2", "numpy==2.4.6", "pandas==3.1.1"]

environment.enter("mlflow", __doc__, PINS)

os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ.setdefault("MLFLOW_TRACKING_SERVER_CERT_PATH", os.environ.get("BARTIZAN_CA", ""))
os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
home = tempfile.TemporaryDirectory()
os.chdir(home.name)

import mlflow  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.webhooks.delivery import _generate_hmac_signature  # noqa: E402

client = MlflowClient()
PORT = int(os.environ["HOOK_PORT"])
URL = f"http://localhost:{PORT}/hook?key=1"
SECRET = "shared with the receiver"
unique = uuid.uuid4().hex[:8]
passed = failed = 0
came = queue.Queue()
refusals = []


def check(name, holds):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, flush=True)


def code(call):
    try:
        call()
    except MlflowException as fault:
        return fault.error_code
    return "no error"


class Receiver(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        status = refusals.pop() if refusals else 200
        came.put((status, dict(self.headers), body))
        said = b"thanks"
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)


server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()


def header(headers, name):
    return next((value for key, value in headers.items() if key.lower() == name.lower()), None)


def is_signed(headers, body):
    """By what MLflow signs with itself."""
    identity, stamp = header(headers, "X-MLflow-Delivery-Id"), header(headers, "X-MLflow-Timestamp")
    return header(headers, "X-MLflow-Signature") == _generate_hmac_signature(SECRET, identity, stamp, body)


def next_event():
    """The next event that was taken, with its headers; those that were refused are passed over."""
    while True:
        status, headers, body = came.get(timeout=120)
        if status == 200:
            return headers, body, json.loads(body)


EVENTS = [
    "registered_model.created", "model_version.created", "model_version_tag.set", "model_version_tag.deleted",
    "model_version_alias.created", "model_version_alias.deleted", "prompt.created", "prompt_version.created",
]
hook = client.create_webhook(name=f"hook-{unique}", url=URL, events=EVENTS, description="tells", secret=SECRET)
check("a webhook is made", hook.status.is_active() and hook.url == URL and sorted(map(str, hook.events)) == sorted(EVENTS) and hook.description == "tells")
check("its secret is not shown", hook.secret is None and client.get_webhook(hook.webhook_id).secret is None)
check("it is listed", [one.webhook_id for one in client.list_webhooks()] == [hook.webhook_id])
check("an address that the operator did not name is refused", code(lambda: client.create_webhook("x", "https://evil.example/", ["prompt.created"])) == "INVALID_PARAMETER_VALUE")
check("so is a bad name", code(lambda: client.create_webhook("-", URL, ["prompt.created"])) == "INVALID_PARAMETER_VALUE")
check("one that is not there is not found", code(lambda: client.get_webhook(str(uuid.uuid4()))) == "RESOURCE_DOES_NOT_EXIST")

result = client.test_webhook(hook.webhook_id)
headers, body, event = next_event()
check("a test is taken", result.success and result.response_status == 200 and result.response_body == "thanks")
check("and signed as MLflow signs", is_signed(headers, body) and "example" in event["data"]["name"])
refusals.append(418)
result = client.test_webhook(hook.webhook_id, "model_version_alias.deleted")
check("a refusal of a test is told", not result.success and result.response_status == 418)
came.get(timeout=60)

name = f"wine-{unique}"
refusals.extend([500, 503])
client.create_registered_model(name, tags={"a": "b"}, description="all")
first = came.get(timeout=60)
second = came.get(timeout=120)
headers, body, event = next_event()
check("what is refused comes again, the same", first[0] == 503 and second[0] == 500 and header(first[1], "X-MLflow-Delivery-Id") == header(headers, "X-MLflow-Delivery-Id") and first[2] == body)
check("a registered model", is_signed(headers, body) and (event["entity"], event["action"]) == ("registered_model", "created") and event["data"] == {"name": name, "tags": {"a": "b"}, "description": "all"})
experiment = client.create_experiment(f"hooks {unique}")
run = client.create_run(experiment).info.run_id
client.log_text(run, "weights", "model/weights.txt")
version = client.create_model_version(name, f"runs:/{run}/model", run_id=run, tags={"v": "1"}).version
client.set_model_version_tag(name, version, "good", "yes")
client.delete_model_version_tag(name, version, "v")
client.set_registered_model_alias(name, "champion", version)
client.delete_registered_model_alias(name, "champion")
client.register_prompt(f"greeting-{unique}", "Hello {{name}}")
expected = [
    ("model_version.created", {"name": name, "version": str(version), "source": f"runs:/{run}/model", "run_id": run}),
    ("model_version_tag.set", {"name": name, "version": str(version), "key": "good", "value": "yes"}),
    ("model_version_tag.deleted", {"name": name, "version": str(version), "key": "v"}),
    ("model_version_alias.created", {"name": name, "version": str(version), "alias": "champion"}),
    ("model_version_alias.deleted", {"name": name, "alias": "champion"}),
    ("prompt.created", {"name": f"greeting-{unique}"}),
    ("prompt_version.created", {"name": f"greeting-{unique}", "version": "1", "template": "Hello {{name}}"}),
]
for word, part in expected:
    headers, body, event = next_event()
    check(f"{word}, signed", is_signed(headers, body) and f"{event['entity']}.{event['action']}" == word and part.items() <= event["data"].items())

changed = client.update_webhook(hook.webhook_id, name=f"other-{unique}", events=["registered_model.created"], status="DISABLED")
check("it is changed", changed.name == f"other-{unique}" and not changed.status.is_active() and [str(one) for one in changed.events] == ["registered_model.created"])
client.update_webhook(hook.webhook_id, status="ACTIVE")
client.create_registered_model(f"loud-{unique}")
_, _, event = next_event()
check("and active again it goes on", event["data"]["name"] == f"loud-{unique}")
client.delete_webhook(hook.webhook_id)
check("it is gone", len(client.list_webhooks()) == 0)

# One address for all workspaces of the group; which is meant, the client says in a header.
GROUP = os.environ["MLFLOW_TRACKING_URI"].split("/providers/")[0]
mlflow.set_tracking_uri(GROUP)
mlflow.set_registry_uri(GROUP)
check("the group's workspaces are listed", [one.name for one in mlflow.list_workspaces()] == ["ws1"])
mlflow.set_workspace("ws1")
grouped = MlflowClient(GROUP, GROUP)
check("a workspace that a header names is the one that its address names", grouped.get_run(run).info.run_id == run and grouped.get_registered_model(name).name == name)
grouped.log_text(run, "by header", "more.txt")
check("with its files", "more.txt" in [file.path for file in client.list_artifacts(run)])
mlflow.set_workspace("ws2")
check("another workspace is not there", code(lambda: MlflowClient(GROUP, GROUP).get_run(run)) == "RESOURCE_DOES_NOT_EXIST")
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
