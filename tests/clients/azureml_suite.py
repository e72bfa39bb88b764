"""azureml-core's own client of a workspace's secrets (what its `Keyvault` and `Run.get_secret` call), and its runs, metrics and files,
against a running server. Prints a line per check and 'N passed, N failed'."""

import base64
import json
import math
import os
import pathlib
import socket
import ssl
import sys
import tempfile
import urllib.parse
import urllib.request

import environment

# What this part of the library imports; all that it names as its own dependencies is a hundred packages more.
PINS = [
    "adal==1.2.7",
    "azure-common==1.1.28",
    "azure-core==1.41.0",
    "azure-graphrbac==0.61.2",
    "azure-mgmt-containerregistry==10.3.0",
    "azure-mgmt-core==1.6.0",
    "azure-mgmt-keyvault==10.3.1",
    "azure-mgmt-resource==24.0.0",
    "azure-mgmt-storage==22.0.0",
    "backports.tempfile==1.0",
    "contextlib2==21.6.0",
    "cryptography==46.0.7",
    "docker==7.2.0",
    "humanfriendly==10.0",
    "jmespath==1.1.0",
    "jsonpickle==4.1.4",
    "knack==0.12.0",
    "msal==1.39.0",
    "msrest==0.7.1",
    "msrestazure==0.6.4.post1",
    "packaging==25.0",
    "pathspec==0.12.1",
    "PyJWT==2.10.1",
    "pyOpenSSL==25.3.0",
    "python-dateutil==2.9.0.post0",
    "pytz==2026.6",
    "setuptools==80.9.0",
    "six==1.17.0",
]
ALONE = ["azureml-core==1.60.0"]

environment.enter("azureml", __doc__, PINS, ALONE)

os.environ["REQUESTS_CA_BUNDLE"] = os.environ["BARTIZAN_CA"]

from azureml._restclient.models.credential_enums import KeyVaultContentType  # noqa: E402
from azureml._restclient.rest_client import RestClient  # noqa: E402
from azureml._restclient.secrets_client import SecretsClient  # noqa: E402
from msrest.authentication import BasicTokenAuthentication  # noqa: E402

URL, TENANT = os.environ["BARTIZAN_URL"], os.environ["AZURE_TENANT_ID"]
passed = broken = 0


def check(name, holds, more=""):
    global passed, broken
    passed, broken = passed + bool(holds), broken + (not holds)
    print("ok    " if holds else "FAILED", name, "" if holds else more, flush=True)


def token(client, secret):
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret, "scope": f"{URL}/.default"}
    trust = ssl.create_default_context(cafile=os.environ["BARTIZAN_CA"])
    answer = urllib.request.urlopen(f"{URL}/{TENANT}/oauth2/v2.0/token", urllib.parse.urlencode(form).encode(), context=trust)
    return json.load(answer)["access_token"]


class Workspace:
    """The workspace as the library's clients are told of it."""

    subscription_id = os.environ["AZURE_SUBSCRIPTION_ID"]
    resource_group_name, workspace_name = os.environ["BARTIZAN_RESOURCE_GROUP"], os.environ["BARTIZAN_WORKSPACE"]

    def __init__(self, token):
        self.auth = BasicTokenAuthentication({"access_token": token})

    def get_auth(self):
        return self.auth

    def _get_credential_restclient(self, user_agent=None):
        return RestClient(self.auth, base_url=URL)


def status_of(call):
    """The status that a call failed with; the library wraps some in exceptions of its own."""
    try:
        call()
    except Exception as fault:
        while fault is not None:
            status = getattr(fault, "status_code", None) or getattr(getattr(fault, "response", None), "status_code", None)
            if status:
                return status
            fault = fault.__cause__
        return None
    return 200


vault = SecretsClient(Workspace(token(os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"])))
vault._add_secret("one", "first value")
vault._add_secret("one", "second value ü\n\"quoted\"", KeyVaultContentType.password)
check("a secret is set, and set anew", vault._get_secret("one") == "second value ü\n\"quoted\"")
check("its content type comes back", vault._get_secret_content_type("one") == KeyVaultContentType.password)
vault._add_secrets({f"s{n}": f"value {n}" for n in range(30)})
check("many are set at once", vault._get_secret("s29") == "value 29")
check("one whose kind nobody told says so", vault._get_secret_content_type("s1") == KeyVaultContentType.not_provided)
found = vault._get_secrets(["one", "s3", "missing", "S4"])
check("names that no secret has come back as None", found["missing"] is None and set(found) == {"one", "s3", "missing", "S4"}, found)
check("and the others with their values", found["s3"] == "value 3" and found["S4"] == "value 4", found)
names = [entry["name"] for entry in vault._list_secrets()]
check("all are listed, over pages", sorted(names) == sorted(["one", *(f"s{n}" for n in range(30))]), names)
check("no list shows a value", not any("value" in entry for entry in vault._list_secrets()))
vault._delete_secret("one")
check("one that was deleted is gone", status_of(lambda: vault._get_secret("one")) == 404)
check("its name rests", status_of(lambda: vault._add_secret("one", "x")) == 409)
vault._delete_secrets(["s0", "s1"])
check("many are deleted", vault._get_secrets(["s0", "s1", "s2"]) == {"s0": None, "s1": None, "s2": "value 2"})
check("a bad name is a 400", status_of(lambda: vault._add_secret("a_b", "x")) == 400)
reader = SecretsClient(Workspace(token(os.environ["READER_ID"], os.environ["READER_SECRET"])))
check("a reader of the workspace reads no secret", status_of(lambda: reader._get_secret("s2")) == 403)
check("nor sets one", status_of(lambda: reader._add_secret("s2", "x")) == 403)

# The library's own runs. Names of accounts are looked up here, in the place of a name server.
look_up = socket.getaddrinfo


def here(host, *more, **named):
    name = host.decode() if isinstance(host, bytes) else host
    return look_up("127.0.0.1" if isinstance(name, str) and name.endswith(".bartizan.test") else host, *more, **named)


socket.getaddrinfo = here
os.chdir(tempfile.mkdtemp())

from azureml._restclient.service_context import ServiceContext  # noqa: E402
from azureml.core import Experiment, Run  # noqa: E402
from azureml.core.authentication import AzureMLTokenAuthentication  # noqa: E402
from azureml.core.workspace import Workspace as RealWorkspace  # noqa: E402


def real_workspace(client, secret):
    auth = AzureMLTokenAuthentication(token(client, secret))
    discovery = f"{URL}/discovery/workspaces/any"
    names = (Workspace.subscription_id, Workspace.resource_group_name, Workspace.workspace_name)
    return RealWorkspace._from_service_context(ServiceContext(*names, None, discovery, auth), "local")


def failed(call):
    """Whether a call fails."""
    try:
        call()
    except Exception:
        return True
    return False


def mlflow(path, body=None, who=("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")):
    """What MLflow's own client would ask for."""
    scope = f"/subscriptions/{Workspace.subscription_id}/resourceGroups/{Workspace.resource_group_name}/providers"
    scope += f"/Microsoft.MachineLearningServices/workspaces/{Workspace.workspace_name}"
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token(*(os.environ[name] for name in who))}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{URL}/mlflow/v1.0{scope}/api/2.0/mlflow/{path}", data, headers)
    return json.load(urllib.request.urlopen(request, context=ssl.create_default_context(cafile=os.environ["BARTIZAN_CA"])))


workspace = real_workspace(os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"])
experiment = Experiment(workspace, "azureml-suite")
check("an experiment is made, and found again", Experiment(workspace, "azureml-suite").id == experiment.id)
run = experiment.start_logging(snapshot_directory=None)
check("a run begins", run.get_status() == "Running", run.get_status())
MATRIX = {"schema_type": "confusion_matrix", "schema_version": "v1",
          "data": {"class_labels": ["a", "b"], "matrix": [[1, 0], [2, 3]]}}
run.log("loss", 0.5)
run.log("loss", 0.25)
run.log("loss", 0.25)
run.log("count", 3, step=7)
run.log("word", "text ü")
run.log("nan", float("nan"))
run.log_list("list", [3, 1, 2, 3])
run.log_row("row", x=1, y="a")
run.log_row("row", x=2, y="b")
run.log_table("table", {"x": [1, 2, 3], "y": [0.1, 0.2, 0.3]})
run.log_confusion_matrix("matrix", MATRIX)
run.log_accuracy_table("accuracy", {"schema_type": "accuracy_table", "schema_version": "v1", "data": {"classes": []}})
run.log_residuals("residuals", {"schema_type": "residuals", "schema_version": "v1", "data": {"bin_edges": [1]}})
run.log_predictions("predictions", {"schema_type": "predictions", "schema_version": "v1", "data": {"bin_averages": [1]}})
pathlib.Path("picture.png").write_bytes(base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="))
run.log_image("image", path="picture.png")
run.flush()
metrics = run.get_metrics()
check("single values come back in order", metrics["loss"] == [0.5, 0.25, 0.25], metrics.get("loss"))
check("a whole number stays one", metrics["count"] == 3 and isinstance(metrics["count"], int), metrics.get("count"))
check("a text comes back", metrics["word"] == "text ü", metrics.get("word"))
check("a number that is none comes back", math.isnan(metrics["nan"]), metrics.get("nan"))
check("a list comes back in order", metrics["list"] == [3, 1, 2, 3], metrics.get("list"))
check("rows come back in order", metrics["row"] == {"x": [1, 2], "y": ["a", "b"]}, metrics.get("row"))
check("a table comes back", metrics["table"] == {"x": [1, 2, 3], "y": [0.1, 0.2, 0.3]}, metrics.get("table"))
for name in ["matrix", "accuracy", "residuals", "predictions", "image"]:
    check(f"the {name} names its file", str(metrics.get(name)).startswith("aml://artifactId/ExperimentRun/dcid."), metrics.get(name))
filled = run.get_metrics(name="matrix", populate=True)["matrix"]
check("and the file is what was logged", json.loads(filled.data) == MATRIX, filled)
points = mlflow(f"metrics/get-history?run_id={run.id}&metric_key=loss")["metrics"]
check("MLflow sees the same numbers", [point["value"] for point in points] == [0.5, 0.25, 0.25], points)
mlflow("runs/log-metric", {"run_id": run.id, "key": "theirs", "value": 1.5, "timestamp": 1, "step": 2})
check("and its numbers are seen here", run.get_metrics(name="theirs") == {"theirs": 1.5}, run.get_metrics(name="theirs"))

run.tag("kind", "suite")
run.tag("bare")
check("tags come back, one without a value too", run.get_tags() == {"kind": "suite", "bare": None}, run.get_tags())
run.remove_tags(["bare"])
check("a tag is removed", run.get_tags() == {"kind": "suite"}, run.get_tags())
run.add_properties({"fixed": "1"})
check("a property cannot be changed", failed(lambda: run.add_properties({"fixed": "2"})) and run.get_properties()["fixed"] == "1")
run.display_name, run.description = "another name", "what it is about"
check("name and description come back", Run.get(workspace, run.id).display_name == "another name")
child = run.child_run("part")
child.log("inner", 1.0)
child.complete()
check("a child run ends well", child.get_status() == "Completed" and child.parent.id == run.id, child.get_status())
more = run.create_children(count=3)
check("many children are made at once", len(more) == 3 and len(list(run.get_children())) == 4)
check("those with a tag are found", [one.id for one in run.get_children(tags={"azureml.batch_child_number": "1"})] == [more[1].id])
more[0].fail("it broke", "Broken")
check("a child fails with its reason", more[0].get_status() == "Failed" and "it broke" in str(more[0].get_details()["error"]))
more[1].cancel()
check("a child is canceled", more[1].get_status() == "Canceled", more[1].get_status())
inner = run.get_metrics(recursive=True, name="inner")
check("metrics are read down the family", inner == {child.id: {"inner": 1.0}}, inner)

pathlib.Path("notes").mkdir()
pathlib.Path("notes/a b.txt").write_text("hello ü")
pathlib.Path("notes/empty.txt").write_text("")
pathlib.Path("large.bin").write_bytes(bytes(range(256)) * 20000)
run.upload_file("outputs/a b.txt", "notes/a b.txt")
run.upload_file("outputs/large.bin", "large.bin")
run.upload_folder("folder", "notes")
names = run.get_file_names()
due = {"outputs/a b.txt", "outputs/large.bin", "folder/a b.txt", "folder/empty.txt", "picture.png", "matrix"}
check("files are listed", due <= set(names), names)
check("a file is not sent twice", failed(lambda: run.upload_file("outputs/a b.txt", "large.bin")))
run.download_file("outputs/a b.txt", "back.txt")
check("a file comes back", pathlib.Path("back.txt").read_text() == "hello ü")
run.download_file("outputs/large.bin", "back.bin")
check("a large one too", pathlib.Path("back.bin").read_bytes() == pathlib.Path("large.bin").read_bytes())
run.download_files(prefix="folder", output_directory="all")
check("a folder comes back", sorted(path.name for path in pathlib.Path("all/folder").iterdir()) == ["a b.txt", "empty.txt"])
run.complete()
check("a run ends", run.get_status() == "Completed" and "endTimeUtc" in run.get_details(), run.get_status())
check("runs of an experiment are found by tag", [one.id for one in experiment.get_runs(tags={"kind": "suite"})] == [run.id])
theirs = real_workspace(os.environ["READER_ID"], os.environ["READER_SECRET"])
seen = Run.get(theirs, run.id)
check("a reader reads the run and its files", seen.get_metrics(name="count") == {"count": 3} and "matrix" in seen.get_file_names())
check("and changes nothing", failed(lambda: seen.tag("x", "y")) and failed(lambda: seen.upload_file("x", "large.bin")))

print(f"{passed} passed, {broken} failed")
sys.exit(broken != 0)
