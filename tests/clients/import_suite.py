"""`bartizan import mlflow` from a real MLflow server, compared through MLflow's own client. Prints a line per check and 'N passed, N failed'."""

import hashlib
import http.server
import json
import math
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import urllib.request

import environment

PINS = ["mlflow==3.17.2"]

environment.enter("import", __doc__, PINS)

os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "2"
os.environ.setdefault("MLFLOW_TRACKING_SERVER_CERT_PATH", os.environ.get("BARTIZAN_CA", ""))
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
home = tempfile.TemporaryDirectory()
os.chdir(home.name)

import requests  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag, ViewType  # noqa: E402

BEARER = {"Authorization": f"Bearer {os.environ['MLFLOW_TRACKING_TOKEN']}"}
HERE = os.environ["MLFLOW_TRACKING_URI"].rstrip("/")
BARTIZAN = os.environ["BARTIZAN_BIN"]
LARGEST = sys.float_info.max
passed = failed = 0


def check(name, holds):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve():
    """A server of MLflow's own. It cannot be told to take any free port, so that another may have it by then: once more, then."""
    for _ in range(5):
        port = free_port()
        told = open(pathlib.Path(home.name) / "server.log", "wb")
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{home.name}/there.db", "--artifacts-destination", f"{home.name}/there"]
        bare = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_TRACKING", "AZURE_", "BARTIZAN_"))}
        bare["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
        process = subprocess.Popen(command, env=bare, stdout=told, stderr=told)
        url = f"http://127.0.0.1:{port}"
        while process.poll() is None:
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=5):
                    return process, url
            except OSError:
                try:
                    process.wait(timeout=0.2)
                except subprocess.TimeoutExpired:
                    pass
    raise SystemExit(f"no server of MLflow's starts:\n{(pathlib.Path(home.name) / 'server.log').read_text()}")


def bring(uri, *more, env=None):
    """Runs the import; its exit code and report."""
    command = [BARTIZAN, "import", "mlflow", "--from", uri, "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env={**os.environ, **(env or {})})
    try:
        return done.returncode, json.loads(done.stdout), done.stderr
    except ValueError:
        return done.returncode, {}, done.stderr


def points(client, run, key):
    """A history in full. MLflow's own server keeps an infinity as the largest number."""
    def value(number):
        if math.isnan(number):
            return "NaN"
        return repr(math.copysign(math.inf, number) if abs(number) >= LARGEST else number)
    return sorted((point.step, point.timestamp, value(point.value)) for point in client.get_metric_history(run, key))


def files(client, run):
    with tempfile.TemporaryDirectory() as place:
        if not client.list_artifacts(run):
            return {}
        root = pathlib.Path(client.download_artifacts(run, "", place))
        return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in root.rglob("*") if file.is_file()}


def mine(tags):
    return {key: value for key, value in tags.items() if not key.startswith("bartizan.")}


def run_picture(client, run_id):
    run = client.get_run(run_id)
    info = run.info
    inputs = [(one.dataset.name, one.dataset.digest, one.dataset.source, one.dataset.schema, sorted((tag.key, tag.value) for tag in one.tags)) for one in run.inputs.dataset_inputs]
    outputs = [(one.model_id, one.step) for one in (run.outputs.model_outputs if run.outputs else [])]
    return {
        "info": (info.run_name, info.status, info.start_time, info.end_time, info.user_id, info.lifecycle_stage),
        "params": run.data.params,
        "tags": mine(run.data.tags),
        "history": {key: points(client, run_id, key) for key in run.data.metrics},
        "inputs": sorted(inputs),
        "outputs": sorted(outputs),
        "files": files(client, run_id),
    }


def model_picture(client, model_id):
    model = client.get_logged_model(model_id)
    metrics = {(one.key, one.run_id, one.step, one.value) for one in model.metrics or []}
    return (model.name, model.model_type, str(model.status), model.source_run_id, model.params, mine(model.tags), model.creation_timestamp, metrics)


def registry_picture(uri, name, more=""):
    """As the server shows it: the client hides prompts."""
    def ask(place, **query):
        answer = requests.get(f"{uri}/api/2.0/mlflow/{place}", params=query, headers=BEARER, verify=os.environ["BARTIZAN_CA"], timeout=60)
        return answer.json()

    def tags(of):
        return mine({tag["key"]: tag["value"] for tag in of.get("tags", [])})

    model = ask("registered-models/get", name=name)["registered_model"]
    fields = ["description", "current_stage", "run_id", "creation_timestamp", "user_id"]
    versions = ask("model-versions/search", filter=f"name = '{name}'{more}", max_results=100).get("model_versions", [])
    shown = {str(one["version"]): ([one.get(field) or "" for field in fields], tags(one)) for one in versions}
    aliases = {one["alias"]: str(one["version"]) for one in model.get("aliases", [])}
    return (model.get("description") or "", tags(model), aliases, shown)


def fill(client):
    """What there is to bring."""
    first = client.create_experiment("wine quality", tags={"team": "red"})
    second = client.create_experiment("second")
    gone = client.create_experiment("gone")
    parent = client.create_run(first, start_time=1_700_000_000_000, run_name="parent", tags={"mlflow.user": "alice", "bartizan.import.by": "nobody"}).info.run_id
    history = [Metric("loss", math.sin(step) / 3 * 10 ** (step % 30 - 15), 1_700_000_000_000 + step, step) for step in range(5000)]
    for start in range(0, len(history), 1000):
        client.log_batch(parent, metrics=history[start : start + 1000])
    odd = [math.nan, math.inf, -math.inf, 0.1 + 0.2, 5e-324, 1 / 3, 123456789.12345678, -0.0]
    client.log_batch(parent, metrics=[Metric("odd", value, 1_700_000_000_000 + at, at) for at, value in enumerate(odd)])
    client.log_metric(parent, "odd", 2.5, timestamp=1_700_000_000_001, step=1)
    client.log_batch(parent, params=[Param(f"p{at}", "v" * at) for at in range(90)] + [Param("empty", "")])
    client.log_batch(parent, tags=[RunTag("note", "ü\n<b>"), RunTag("mlflow.note.content", "x" * 5000)])
    dataset = Dataset("d", "abc123", "http", "https://data.example/x.csv", schema='{"a": "long"}', profile="{}")
    client.log_inputs(parent, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    place = pathlib.Path(home.name) / "made"
    (place / "deep" / "er").mkdir(parents=True)
    (place / "empty.txt").write_bytes(b"")
    (place / "with space.bin").write_bytes(os.urandom(3 << 20))
    (place / "deep" / "er" / "ü.txt").write_text("deep", encoding="utf-8")
    client.log_artifacts(parent, str(place))
    child = client.create_run(first, run_name="child", tags={"mlflow.parentRunId": parent}).info.run_id
    client.set_terminated(child, "FAILED", end_time=1_700_000_100_000)
    others = []
    for at in range(24):
        run = client.create_run(second, start_time=1_700_000_000_000 + at, run_name=f"run {at}").info.run_id
        client.log_batch(run, metrics=[Metric("m", at / 7, 1, 0)], params=[Param("at", str(at))])
        client.log_text(run, f"text {at}", "notes/a.txt")
        client.set_terminated(run, "FINISHED", end_time=1_700_000_200_000 + at)
        others.append(run)
    client.delete_run(others[3])
    lost = client.create_run(gone, run_name="lost").info.run_id
    client.log_text(lost, "lost", "lost.txt")
    client.delete_experiment(gone)
    model = client.create_logged_model(first, name="tree", source_run_id=parent, params={"depth": "3"}, tags={"kind": "tree"}, model_type="classifier")
    client.log_model_artifacts(model.model_id, str(place))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(parent, [LoggedModelOutput(model.model_id, 7)])
    client.log_metric(parent, "accuracy", 0.1 + 0.2, timestamp=1_700_000_000_005, step=2, model_id=model.model_id)
    client.create_registered_model("wine", tags={"owner": "alice"}, description="all wines")
    client.create_model_version("wine", f"models:/{model.model_id}", run_id=parent, model_id=model.model_id, tags={"good": "yes"}, description="one")
    client.create_model_version("wine", f"runs:/{others[0]}/notes", run_id=others[0])
    client.delete_model_version("wine", "2")
    client.create_model_version("wine", f"runs:/{others[1]}/notes", run_id=others[1])
    client.transition_model_version_stage("wine", "1", "Production")
    client.set_registered_model_alias("wine", "champion", "3")
    client.register_prompt("greeting", "Hello {{name}}", commit_message="first")
    client.set_terminated(parent, "FINISHED", end_time=1_700_000_300_000)
    return parent, child, others, lost, model.model_id


def real():
    process, there_uri = serve()
    try:
        there, here = MlflowClient(there_uri, there_uri), MlflowClient(HERE, HERE)
        parent, child, others, lost, model = fill(there)
        code, report, told = bring(there_uri, "--include-deleted", "--dry-run")
        check("a dry run counts", code == 0 and report.get("dryRun") and report["counts"]["runs"]["source"] == 27)
        check("and brings nothing", [one.name for one in here.search_experiments(view_type=ViewType.ALL)] == ["Default"])

        command = [BARTIZAN, "import", "mlflow", "--from", there_uri, "--include-deleted", "--concurrency", "1"]
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = []
        for line in first.stderr:
            said.append(line)
            if " runs 10/24" in line:
                break
        first.kill()
        check("the first import was killed in the middle", first.wait() == -9 and any(" runs 10/24" in line for line in said))

        code, report, told = bring(there_uri, "--include-deleted")
        check("taken up again, it ends and everything matches", code == 0 and report.get("matched") is True)
        if code != 0:
            print(json.dumps(report, indent=1)[:6000], told[-2000:])
        counts = report.get("counts", {})
        for kind, number in [("experiments", 4), ("runs", 27), ("loggedModels", 1), ("registeredModels", 2), ("modelVersions", 3), ("aliases", 1), ("datasets", 1)]:
            found = counts.get(kind, {})
            check(f"{number} {kind} there and the same here", found.get("source") == number == found.get("matched"))
        check("of 27 runs the second import made those that were missing", 0 < counts["runs"]["made"] < 18)
        check("all points of metrics", counts["metricPoints"]["source"] == counts["metricPoints"]["matched"] == 5000 + 9 + 1 + 24)
        check("all bytes of files", counts["bytes"]["source"] == counts["bytes"]["matched"] > 6 << 20)
        check("what the source says of imports is not believed", here.get_run(parent).data.tags["bartizan.import.by"] != "nobody")

        code, report, told = bring(there_uri, "--include-deleted")
        made = {kind: count["made"] for kind, count in report.get("counts", {}).items() if count["made"]}
        check(f"a third import makes nothing {made}", code == 0 and not made)

        for name, run in [("parent", parent), ("child", child), ("deleted", others[3]), ("lost", lost), *((f"run {at}", run) for at, run in enumerate(others[:6]))]:
            one, other = run_picture(there, run), run_picture(here, run)
            for part in one:
                same = one[part] == other[part]
                check(f"{name}: {part}", same)
                if not same:
                    print(str(one[part])[:1500], str(other[part])[:1500], sep="\n")
        check("a logged model", model_picture(there, model) == model_picture(here, model))
        for name, more in [("wine", ""), ("greeting", " AND tags.`mlflow.prompt.is_prompt` = 'true'")]:
            one, other = registry_picture(there_uri, name, more), registry_picture(HERE, name, more)
            check(f"registered model {name}", one == other and len(one[3]) > 0)
            if one != other:
                print(one, other, sep="\n")
        experiments = {one.name: (one.lifecycle_stage, mine(one.tags)) for one in there.search_experiments(view_type=ViewType.ALL)}
        check("experiments", experiments == {one.name: (one.lifecycle_stage, mine(one.tags)) for one in here.search_experiments(view_type=ViewType.ALL)})
        check("the next version here goes on", here.create_model_version("wine", f"runs:/{others[0]}/notes").version in (4, "4"))

        here.log_metric(parent, "loss", 1.0, timestamp=1, step=99_999)
        code, report, told = bring(there_uri, "--experiment", "wine quality", "--skip", "registered-models")
        check("what does not match is said, and the command fails", code == 1 and report.get("matched") is False and "loss" in json.dumps(report["mismatches"]))
        code, report, told = bring(there_uri, "--experiment", "second", "--source-name", "another", "--skip", "registered-models")
        check("what came from another source is left alone", code == 1 and "did not come from this source" in json.dumps(report))
        code, report, told = bring(there_uri, "--experiment", "no such")
        check("an experiment that is not there is a mistake of the caller's", code == 2)
    finally:
        process.terminate()
        process.wait()


class Hostile(http.server.BaseHTTPRequestHandler):
    """A source that means harm."""

    way = ""
    touched = []

    def log_message(self, *_):
        pass

    def answer(self, body, status=200, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        way = self.way
        run = "0" * 31 + "a"
        if url.path.startswith("/canary"):
            self.touched.append(url.path)
            return self.answer({})
        if url.path.endswith("experiments/search"):
            if way == "redirect":
                return self.answer({}, 302, [("Location", "/canary")])
            if way == "pages":
                return self.answer({"experiments": [{"experiment_id": "1", "name": "x"}], "next_page_token": "same"})
            if way == "giant":
                self.send_response(200)
                self.end_headers()
                try:
                    self.wfile.write(b'{"experiments": [')
                    while True:
                        self.wfile.write(b'{"name": "' + b"x" * (1 << 20) + b'"},')
                except OSError:
                    return None
            return self.answer({"experiments": [{"experiment_id": "1", "name": "hostile", "lifecycle_stage": "active"}]})
        if url.path.endswith("runs/search"):
            return self.answer({"runs": [{"info": {"run_id": run}}, {"info": {"run_id": "../../x"}}]})
        if url.path.endswith("runs/get"):
            info = {"run_id": run, "run_name": "r\u001b[2J", "status": "FINISHED", "start_time": 1, "end_time": 2, "artifact_uri": "mlflow-artifacts:/1/r/artifacts", "lifecycle_stage": "active"}
            if way == "plain":
                info["run_name"] = "r"
            return self.answer({"run": {"info": info, "data": {}}})
        if url.path.endswith("/mlflow-artifacts/artifacts"):
            if query.get("path") != "1/r/artifacts":
                return self.answer({})
            names = ["../../evil", "/etc/passwd", "..", "a\\b", "", "C:\u0000"]
            return self.answer({"files": [{"path": name, "is_dir": False, "file_size": 3} for name in names] + [{"path": "good.txt", "file_size": 3}, {"path": "long.txt", "file_size": 3}, {"path": "away.txt", "file_size": 3}]})
        if "/artifacts/" in url.path and url.path.endswith("good.txt"):
            return self.answer(b"abc")
        if "/artifacts/" in url.path and url.path.endswith("long.txt"):
            return self.answer(b"abcdefgh", headers=[("Content-Disposition", "attachment; filename=../../x")])
        if "/artifacts/" in url.path and url.path.endswith("away.txt"):
            return self.answer(b"", 302, [("Location", "/canary/away")])
        return self.answer({"error_code": "ENDPOINT_NOT_FOUND", "message": "\u001b]0;x\u0007no"}, 404)


def hostile():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    uri = f"http://127.0.0.1:{server.server_address[1]}"
    before = sorted(str(path) for path in pathlib.Path(home.name).rglob("*"))
    for way, words in [("redirect", "no redirect is followed"), ("pages", "does not go on from page to page"), ("giant", "longer than")]:
        Hostile.way = way
        code, report, told = bring(uri)
        check(f"{way}: refused with {words!r}", code == 1 and words in told)
    Hostile.way = "plain"
    code, report, told = bring(uri, "--skip", "registered-models", "--skip", "logged-models")
    words = json.dumps(report)
    if code != 1 or not report:
        print(report, told[-3000:])
    check("names of a listing that lead elsewhere are refused, each", code == 1 and words.count("no name of one") == 6)
    check("a file that is longer than it was said is not taken", "long.txt" in words)
    check("a redirect of a file is not followed", "away.txt" in words and not Hostile.touched)
    check("an id that is none of MLflow's is refused", "../../x" in words)
    here = MlflowClient(HERE, HERE)
    run = "0" * 31 + "a"
    check("what is good came", [file.path for file in here.list_artifacts(run)] == ["good.txt"])
    code, report, told = bring(uri.replace("http://", "ftp://"))
    check("another scheme is a mistake of the caller's", code == 2)
    code, report, told = bring("file:///etc")
    check("so is a path", code == 2)
    code, report, told = bring("http://mlflow.example", env={"BARTIZAN_IMPORT_TOKEN": "t0ken"})
    check("a credential is not sent without TLS", code == 2 and "t0ken" not in told)
    after = sorted(str(path) for path in pathlib.Path(home.name).rglob("*"))
    check("no file of this machine was named by a source", before == after)
    server.shutdown()


real()
hostile()
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
