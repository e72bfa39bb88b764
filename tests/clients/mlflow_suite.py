"""MLflow's own Python client against a running server. Prints a line per check and 'N passed, N failed'."""

import concurrent.futures
import json
import math
import os
import pathlib
import sys
import tempfile
import time
import uuid

import environment

PINS = ["mlflow-skinny==3.17.2", "numpy==2.4.6", "pandas==3.1.1"]

environment.enter("mlflow", __doc__, PINS)

# What is asked for once must not be asked for again: a repeated request would hide an answer that is wrong.
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ.setdefault("MLFLOW_TRACKING_SERVER_CERT_PATH", os.environ.get("BARTIZAN_CA", ""))
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ["MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING"] = "false"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"
home = tempfile.TemporaryDirectory()
os.environ["HOME"] = home.name
os.chdir(home.name)

import mlflow  # noqa: E402
import requests  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelStatus, Metric, Param, RunTag, ViewType  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

URI = os.environ["MLFLOW_TRACKING_URI"].rstrip("/")
TOKEN = os.environ["MLFLOW_TRACKING_TOKEN"]
client = MlflowClient()
unique = uuid.uuid4().hex[:8]
passed = failed = 0


def check(name, holds):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, flush=True)


def code(call):
    """The error code of a call that must fail."""
    try:
        call()
    except MlflowException as fault:
        return fault.error_code
    return "no error"


def words(call):
    """The error's words."""
    try:
        call()
    except MlflowException as fault:
        return str(fault)
    return ""


wire = requests.Session()
wire.trust_env = False
wire.verify = os.environ["MLFLOW_TRACKING_SERVER_CERT_PATH"]
wire.headers["Authorization"] = f"Bearer {TOKEN}"


def raw(method, path, **more):
    """A request as a stranger to the client's manners would send it."""
    return wire.request(method, f"{URI}/api/2.0/{path}", timeout=60, **more)


def pages(call):
    """All items of a paged search."""
    items, token = [], None
    while True:
        page = call(token)
        items.extend(page)
        token = page.token
        if not token:
            return items


def experiments():
    name = f"suite {unique}"
    made = mlflow.set_experiment(name)
    check("set_experiment makes an experiment", made.name == name and made.lifecycle_stage == "active")
    check("set_experiment finds it again", mlflow.set_experiment(name).experiment_id == made.experiment_id)
    check("the default experiment is there from the start", client.get_experiment("0").name == "Default")
    check("an experiment is found by name", client.get_experiment_by_name(name).experiment_id == made.experiment_id)
    check("an unknown name is no experiment", client.get_experiment_by_name("no such") is None)
    check("a taken name is RESOURCE_ALREADY_EXISTS", code(lambda: client.create_experiment(name)) == "RESOURCE_ALREADY_EXISTS")
    check("an unknown id is RESOURCE_DOES_NOT_EXIST", code(lambda: client.get_experiment("123")) == "RESOURCE_DOES_NOT_EXIST")
    client.set_experiment_tag(made.experiment_id, "team", "blue")
    check("an experiment is tagged", client.get_experiment(made.experiment_id).tags == {"team": "blue"})
    other = client.create_experiment(f"other {unique}", tags={"team": "red"})
    found = client.search_experiments(filter_string=f"name LIKE '%{unique}' AND tags.team = 'red'")
    check("experiments are searched by name and tag", [one.experiment_id for one in found] == [other])
    first = client.search_experiments(max_results=1, order_by=["name ASC"])
    rest = pages(lambda token: client.search_experiments(max_results=1, order_by=["name ASC"], page_token=token))
    check("experiments come in pages", len(first) == 1 and len({one.experiment_id for one in rest}) == len(rest) >= 3)
    client.rename_experiment(other, f"renamed {unique}")
    check("an experiment is renamed", client.get_experiment(other).name == f"renamed {unique}")
    run = client.create_run(other)
    client.delete_experiment(other)
    check("a deleted experiment is deleted", client.get_experiment(other).lifecycle_stage == "deleted")
    check("its runs are deleted with it", client.get_run(run.info.run_id).info.lifecycle_stage == "deleted")
    check("its runs take no writes", "must be in the 'active' state" in words(lambda: client.log_param(run.info.run_id, "a", 1)))
    deleted = client.search_experiments(view_type=ViewType.DELETED_ONLY)
    check("deleted experiments are found when asked for", other in [one.experiment_id for one in deleted])
    client.restore_experiment(other)
    check("a restored experiment is active, and so are its runs", client.get_run(run.info.run_id).info.lifecycle_stage == "active")
    return made.experiment_id


def runs(experiment):
    with mlflow.start_run(run_name="first", tags={"mlflow.user": "somebody-else"}) as active:
        run_id = active.info.run_id
        mlflow.log_param("alpha", 0.5)
        mlflow.log_params({"beta": "x", "gamma": 3})
        mlflow.log_metric("loss", 1.0, step=1)
        mlflow.log_metrics({"loss": 0.5, "accuracy": 0.75}, step=2)
        mlflow.set_tag("stage", "dev")
        mlflow.set_tags({"stage": "test", "owner": "me"})
        mlflow.log_metrics({"odd": float("nan"), "huge": float("inf")}, step=0)
        mlflow.log_metric("odd", 2.0, step=1)
        mlflow.log_metric("odd", float("nan"), step=2)
    run = client.get_run(run_id)
    check("a run ends as FINISHED", run.info.status == "FINISHED" and run.info.end_time >= run.info.start_time)
    check("a run keeps its name", run.info.run_name == "first" and run.data.tags["mlflow.runName"] == "first")
    check("parameters are kept as text", run.data.params == {"alpha": "0.5", "beta": "x", "gamma": "3"})
    check("the latest metrics are read back", run.data.metrics["loss"] == 0.5 and run.data.metrics["accuracy"] == 0.75)
    check("NaN and infinity survive", math.isnan(run.data.metrics["odd"]) and run.data.metrics["huge"] == math.inf)
    check("tags are overwritten", run.data.tags["stage"] == "test" and run.data.tags["owner"] == "me")
    check("the user is who signed in, not who a tag names", run.info.user_id not in ("", "somebody-else"))
    history = client.get_metric_history(run_id, "loss")
    check("a metric has a history", [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5)])
    check("an unknown metric has none", client.get_metric_history(run_id, "nothing") == [])

    check("a parameter cannot change", "Changing param values is not allowed" in words(lambda: client.log_param(run_id, "alpha", 0.6)))
    check("the same value again is fine", code(lambda: client.log_param(run_id, "alpha", 0.5)) == "no error")
    check("an unknown run is RESOURCE_DOES_NOT_EXIST", code(lambda: client.get_run("0" * 32)) == "RESOURCE_DOES_NOT_EXIST")
    check("a value that is too long is refused", code(lambda: client.log_param(run_id, "long", "x" * 6001)) == "INVALID_PARAMETER_VALUE")
    check("a key that is no path is refused", raw("POST", "mlflow/runs/set-tag", json={"run_id": run_id, "key": "../x", "value": ""}).status_code == 400)

    now = int(time.time() * 1000)
    steps = [Metric("curve", 1.0 / (step + 1), now + step, step) for step in range(1000)]
    client.log_batch(run_id, metrics=steps)
    client.log_batch(run_id, metrics=steps)
    client.log_batch(run_id, metrics=[Metric("curve", -1.0, now, 500), *steps[:10]])
    curve = client.get_metric_history(run_id, "curve")
    check("a repeated batch adds nothing", len(curve) == 1001)
    check("another value at a step is another point", len([point for point in curve if point.step == 500]) == 2)
    check("a long history is whole", sum(point.value for point in curve if point.value > 0) == sum(point.value for point in steps))
    half = {"run_id": run_id, "metrics": [{"key": "atomic", "value": 1, "timestamp": 1}], "params": [{"key": "alpha", "value": "other"}]}
    answer = raw("POST", "mlflow/runs/log-batch", json=half)
    check("a batch is all or nothing", answer.status_code == 400 and "atomic" not in client.get_run(run_id).data.metrics)
    twice = {"run_id": run_id, "params": [{"key": "d", "value": "1"}, {"key": "d", "value": "2"}]}
    check("a parameter twice in a batch is refused", "Duplicate parameter keys" in raw("POST", "mlflow/runs/log-batch", json=twice).text)
    many = [Metric("wide", float(step), now, step) for step in range(1001)]
    check("a batch that is too large is refused", raw("POST", "mlflow/runs/log-batch", json={
        "run_id": run_id, "metrics": [{"key": m.key, "value": m.value, "timestamp": m.timestamp, "step": m.step} for m in many]}).status_code == 400)
    client.log_batch(run_id, params=[Param(f"p{at}", str(at)) for at in range(100)], tags=[RunTag(f"t{at}", str(at)) for at in range(100)])
    check("a batch of parameters and tags arrives", len(client.get_run(run_id).data.params) == 103)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at: client.log_metric(run_id, "shared", float(at), step=at), range(48)))
    check("writers at once lose nothing", len(client.get_metric_history(run_id, "shared")) == 48)

    client.delete_tag(run_id, "owner")
    check("a tag is deleted", "owner" not in client.get_run(run_id).data.tags)
    check("a missing tag is RESOURCE_DOES_NOT_EXIST", code(lambda: client.delete_tag(run_id, "owner")) == "RESOURCE_DOES_NOT_EXIST")
    client.update_run(run_id, status="FAILED", name="renamed")
    again = client.get_run(run_id)
    check("a run is updated", (again.info.status, again.info.run_name) == ("FAILED", "renamed"))
    client.set_terminated(run_id, "FINISHED")
    dataset = Dataset("iris", "abc123", "local", "{}", schema="{}", profile="{}")
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train")])])
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train")])])
    inputs = client.get_run(run_id).inputs.dataset_inputs
    check("a data set is linked once", len(inputs) == 1 and inputs[0].dataset.name == "iris")
    nested(experiment)
    return run_id


def nested(experiment):
    with mlflow.start_run() as parent:
        with mlflow.start_run(nested=True) as child:
            pass
    tags = client.get_run(child.info.run_id).data.tags
    check("a nested run knows its parent", tags["mlflow.parentRunId"] == parent.info.run_id)
    check("a run without a name gets one", bool(parent.info.run_name))
    with mlflow.start_run(run_id=parent.info.run_id):
        mlflow.log_metric("later", 1.0)
    check("a run is taken up again", client.get_run(parent.info.run_id).data.metrics["later"] == 1.0)
    children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    check("children are found by their parent", [run.info.run_id for run in children] == [child.info.run_id])
    client.delete_run(child.info.run_id)
    check("a deleted run is deleted", client.get_run(child.info.run_id).info.lifecycle_stage == "deleted")
    check("a deleted run takes no writes", code(lambda: client.log_metric(child.info.run_id, "m", 1)) == "INVALID_PARAMETER_VALUE")
    gone = client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)
    check("deleted runs are found when asked for", [run.info.run_id for run in gone] == [child.info.run_id])
    client.restore_run(child.info.run_id)
    check("a restored run is active", client.get_run(child.info.run_id).info.lifecycle_stage == "active")
    try:
        with mlflow.start_run() as broken:
            raise KeyError
    except KeyError:
        check("a run that raises is FAILED", client.get_run(broken.info.run_id).info.status == "FAILED")


def search():
    experiment = client.create_experiment(f"search {unique}")
    for at in range(5):
        run = client.create_run(experiment, start_time=1000 + at, run_name=f"r{at}", tags={"even": str(at % 2 == 0)})
        client.log_param(run.info.run_id, "lr", f"0.{at}")
        client.log_metric(run.info.run_id, "score", at, step=1)
        client.log_metric(run.info.run_id, "score", -1, step=0)
        if at == 4:
            client.log_metric(run.info.run_id, "rare", 1)
            client.log_metric(run.info.run_id, "odd name", float("nan"))
            client.set_terminated(run.info.run_id, "KILLED")

    def names(filter_string="", **more):
        return [run.info.run_name for run in client.search_runs([experiment], filter_string, **more)]

    table = [
        ("", ["r4", "r3", "r2", "r1", "r0"]),
        ("metrics.score > 2", ["r4", "r3"]),
        ("metrics.score >= 1 and metrics.score < 3", ["r2", "r1"]),
        ("metrics.score = 2", ["r2"]),
        ("metrics.score != 2", ["r4", "r3", "r1", "r0"]),
        ("metrics.rare = 1", ["r4"]),
        ("metrics.`odd name` != 0", ["r4"]),
        ("params.lr = '0.3'", ["r3"]),
        ("param.lr LIKE '0.%' AND tags.even = 'True'", ["r4", "r2", "r0"]),
        ("parameters.lr ILIKE '0._' AND tag.even != 'True'", ["r3", "r1"]),
        ("attributes.status = 'KILLED'", ["r4"]),
        ("run_name LIKE 'r%' AND start_time > 1002", ["r4", "r3"]),
        ("attributes.`Run name` = 'r1'", ["r1"]),
        ("tags.`mlflow.runName` = 'r1'", ["r1"]),
        ("params.missing != 'x'", []),
    ]
    for question, expected in table:
        check(f"search_runs: {question or 'everything'}", names(question) == expected)
    ids = [run.info.run_id for run in client.search_runs([experiment])]
    check("search_runs: IN", sorted(names(f"run_id IN ('{ids[0]}', '{ids[2]}')")) == ["r2", "r4"])
    check("search_runs: order by metric", names(order_by=["metrics.score ASC"]) == ["r0", "r1", "r2", "r3", "r4"])
    check("search_runs: missing values come last", names(order_by=["metrics.rare DESC", "params.lr ASC"]) == ["r4", "r0", "r1", "r2", "r3"])
    check("search_runs: order by time", names(order_by=["start_time ASC"], max_results=2) == ["r0", "r1"])
    paged = pages(lambda token: client.search_runs([experiment], max_results=2, page_token=token))
    check("search_runs: pages", [run.info.run_name for run in paged] == ["r4", "r3", "r2", "r1", "r0"])
    for question in ["metrics.score > 1 OR metrics.score < 0", "score >", "metrics.score LIKE 'x'", "(metrics.score > 1)", "nope.x = '1'"]:
        check(f"search_runs refuses: {question}", code(lambda q=question: names(q)) == "INVALID_PARAMETER_VALUE")
    check("search_runs refuses a foreign token", code(lambda: names(page_token="x")) == "INVALID_PARAMETER_VALUE")
    frame = mlflow.search_runs([experiment], "metrics.score > 3")
    check("search_runs gives a frame", list(frame["metrics.score"]) == [4.0] and list(frame["params.lr"]) == ["0.4"])
    check("no experiment, no runs", raw("POST", "mlflow/runs/search", json={"max_results": 5}).json() == {})


def files(run_id):
    place = pathlib.Path(home.name) / "files"
    (place / "deep" / "er").mkdir(parents=True)
    (place / "hello.txt").write_text("hello")
    (place / "deep" / "er" / "data.bin").write_bytes(bytes(range(256)) * 4096)
    (place / "deep" / "ü mlaut.txt").write_text("ü")
    (place / "empty").touch()
    client.log_artifact(run_id, place / "hello.txt")
    client.log_artifact(run_id, place / "hello.txt", "sub/dir")
    client.log_artifacts(run_id, place, "all")
    client.log_text(run_id, "some text", "notes.md")
    client.log_dict(run_id, {"a": 1}, "dict.json")
    root = [(one.path, one.is_dir) for one in client.list_artifacts(run_id)]
    check("the root is listed", root == [("all", True), ("dict.json", False), ("hello.txt", False), ("notes.md", False), ("sub", True)])
    below = [(one.path, one.file_size) for one in client.list_artifacts(run_id, "all")]
    check("a directory is listed", below == [("all/deep", None), ("all/empty", 0), ("all/hello.txt", 5)])
    old = raw("GET", "mlflow/artifacts/list", params={"run_id": run_id, "path": "sub"}).json()
    check("a directory is listed the old way", old["files"] == [{"path": "sub/dir", "is_dir": True}])
    target = pathlib.Path(home.name) / "target"
    target.mkdir()
    got = pathlib.Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="all", dst_path=str(target)))
    same = all((got / one.relative_to(place)).read_bytes() == one.read_bytes() for one in place.rglob("*") if one.is_file())
    check("a directory comes back byte for byte", same and len(list(got.rglob("*"))) == len(list(place.rglob("*"))))
    check("a file is read", mlflow.artifacts.load_text(f"runs:/{run_id}/notes.md") == "some text")
    client.log_text(run_id, "other text", "notes.md")
    check("a file is replaced", mlflow.artifacts.load_text(f"runs:/{run_id}/notes.md") == "other text")
    uri = client.get_run(run_id).info.artifact_uri
    check("artifact_uri names the proxy", uri.startswith("mlflow-artifacts:/") and uri.endswith(f"/{run_id}/artifacts"))
    base = "mlflow-artifacts/artifacts/" + uri.removeprefix("mlflow-artifacts:/")
    missing = raw("GET", f"{base}/nothing")
    check("a missing file is 404", (missing.status_code, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST"))
    whole = raw("GET", f"{base}/hello.txt")
    check("a file is sent to be saved, not shown", "attachment" in whole.headers["Content-Disposition"]
          and whole.headers["X-Content-Type-Options"] == "nosniff")
    for path in ["%2e%2e/x", "a/%252e%252e/x", "a%5cb", "a%23b", "..%3b/x", "%252fetc", "a%255c..%255cb", "a/%00"]:
        for method in ["GET", "PUT", "DELETE"]:
            answer = raw_path(method, f"{base}/{path}")
            check(f"{method} {path} is refused", answer.status_code in (400, 404) and "error_code" in answer.json())
    check("a listing outside is refused", raw("GET", "mlflow-artifacts/artifacts", params={"path": "../.."}).status_code == 400)
    foreign = raw("GET", f"mlflow-artifacts/artifacts/0/{run_id}/artifacts/hello.txt")
    check("a run's files are not found under another experiment", foreign.status_code == 404)
    raw("DELETE", f"{base}/sub")
    check("a directory is deleted", "sub" not in [one.path for one in client.list_artifacts(run_id)])


def raw_path(method, path):
    """A request whose path stays as it is written."""
    prepared = wire.prepare_request(requests.Request(method, f"{URI}/api/2.0/x", data=b"x" if method == "PUT" else None))
    prepared.url = f"{URI}/api/2.0/{path}"
    return wire.send(prepared, timeout=60)


CODE = '''
import mlflow

class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [2 * value for value in model_input]

mlflow.models.set_model(Doubler())
'''


def models(experiment):
    script = pathlib.Path(home.name) / "doubler.py"
    script.write_text(CODE)
    name = f"doubler-{unique}"
    with mlflow.start_run() as active:
        mlflow.log_param("depth", 3)
        info = mlflow.pyfunc.log_model(name="model", python_model=str(script), registered_model_name=name,
                                       pip_requirements=["mlflow-skinny"])
        mlflow.log_metric("quality", 0.9, model_id=info.model_id)
    logged = client.get_logged_model(info.model_id)
    check("log_model makes a logged model that is ready", logged.status == LoggedModelStatus.READY and logged.name == "model")
    check("a logged model inherits its run's parameters", logged.params == {"depth": "3"})
    check("a metric describes the model too", [(one.key, one.value) for one in logged.metrics] == [("quality", 0.9)])
    outputs = client.get_run(active.info.run_id).outputs.model_outputs
    check("the run names the model it made", [one.model_id for one in outputs] == [info.model_id])
    first = client.get_model_version(name, "1")
    check("log_model registers version 1", first.run_id == active.info.run_id and first.status == "READY")
    check("the version comes from the logged model", first.source == f"models:/{info.model_id}")
    loaded = mlflow.pyfunc.load_model(f"models:/{name}/1")
    check("a version is loaded and predicts", loaded.predict([1, 2]) == [2, 4])
    second = mlflow.register_model(f"runs:/{active.info.run_id}/model", name)
    third = mlflow.register_model(f"models:/{info.model_id}", name, tags={"a": "b"})
    check("register_model counts on", (int(second.version), int(third.version)) == (2, 3))
    check("a version has tags", client.get_model_version(name, "3").tags == {"a": "b"})
    client.set_registered_model_alias(name, "champion", "1")
    check("an alias names a version", client.get_model_version_by_alias(name, "champion").version in (1, "1"))
    check("a model is loaded by alias", mlflow.pyfunc.load_model(f"models:/{name}@champion").predict([3]) == [6])
    check("a model is loaded as the latest", mlflow.pyfunc.load_model(f"models:/{name}/latest").predict([4]) == [8])
    check("a model is loaded from its run", mlflow.pyfunc.load_model(f"runs:/{active.info.run_id}/model").predict([5]) == [10])
    check("a logged model is loaded by id", mlflow.pyfunc.load_model(f"models:/{info.model_id}").predict([6]) == [12])
    unknown = words(lambda: client.get_model_version_by_alias(name, "nobody"))
    check("an unknown alias is INVALID_PARAMETER_VALUE", "INVALID_PARAMETER_VALUE" in unknown and "nobody not found" in unknown)
    for alias in ["latest", "v1", "a b", "a/b"]:
        answer = raw("POST", "mlflow/registered-models/alias", json={"name": name, "alias": alias, "version": "1"})
        check(f"`{alias}` is no alias", answer.status_code == 400)
    client.delete_registered_model_alias(name, "champion")
    check("an alias is deleted", client.get_registered_model(name).aliases == {})

    # What was registered stays what it was, whatever happens to what it was made of.
    location = logged.artifact_location.removeprefix("mlflow-artifacts:/")
    raw("PUT", f"mlflow-artifacts/artifacts/{location}/doubler.py", data=b"raise SystemExit")
    check("a registered version does not change with its source", mlflow.pyfunc.load_model(f"models:/{name}/1").predict([1]) == [2])
    own = client.get_model_version_download_uri(name, "1").removeprefix("mlflow-artifacts:/")
    check("a version's files cannot be written", raw("PUT", f"mlflow-artifacts/artifacts/{own}/MLmodel", data=b"x").status_code == 400)
    check("a version's files cannot be deleted", raw("DELETE", f"mlflow-artifacts/artifacts/{own}/MLmodel").status_code == 400)
    registry(name, active.info.run_id)
    logged_models(experiment, info.model_id)


def registry(name, run_id):
    check("a taken name is RESOURCE_ALREADY_EXISTS", code(lambda: client.create_registered_model(name)) == "RESOURCE_ALREADY_EXISTS")
    client.update_registered_model(name, "doubles numbers")
    client.set_registered_model_tag(name, "task", "doubling")
    model = client.get_registered_model(name)
    check("a model has words and tags", (model.description, model.tags) == ("doubles numbers", {"task": "doubling"}))
    client.update_model_version(name, "2", "the second")
    client.set_model_version_tag(name, "2", "seen", "yes")
    version = client.get_model_version(name, "2")
    check("a version has words and tags", (version.description, version.tags) == ("the second", {"seen": "yes"}))
    client.delete_model_version_tag(name, "2", "seen")
    client.delete_registered_model_tag(name, "task")
    check("tags are deleted", (client.get_model_version(name, "2").tags, client.get_registered_model(name).tags) == ({}, {}))
    numbers = [int(one.version) for one in client.search_model_versions(f"name = '{name}'", order_by=["version_number DESC"])]
    check("versions are searched by name, newest first", numbers == [3, 2, 1])
    by_run = client.search_model_versions(f"run_id = '{run_id}' AND tags.a = 'b'")
    check("versions are searched by run and tag", [int(one.version) for one in by_run] == [3])
    check("models are searched by name", [one.name for one in client.search_registered_models(f"name LIKE '%{unique}'")] == [name])
    client.transition_model_version_stage(name, "1", "Production")
    moved = client.transition_model_version_stage(name, "2", "production", archive_existing_versions=True)
    stages = {int(one.version): one.current_stage for one in client.search_model_versions(f"name = '{name}'")}
    check("stages move and archive", moved.current_stage == "Production" and stages == {1: "Archived", 2: "Production", 3: "None"})
    latest = {one.current_stage: int(one.version) for one in client.get_latest_versions(name)}
    check("the latest of each stage", latest == {"Archived": 1, "Production": 2, "None": 3})
    copied = client.copy_model_version(f"models:/{name}/1", f"copy-{unique}")
    check("a version is copied", mlflow.pyfunc.load_model(f"models:/copy-{unique}/{copied.version}").predict([7]) == [14])
    client.delete_model_version(name, "3")
    check("a deleted version is gone", code(lambda: client.get_model_version(name, "3")) == "RESOURCE_DOES_NOT_EXIST")
    empty = words(lambda: client.create_model_version(name, f"runs:/{run_id}/x", run_id))
    check("a version whose source has no files is refused", "INVALID_PARAMETER_VALUE" in empty and "log the model's files first" in empty)
    client.log_text(run_id, "a model", "x/file.txt")
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        made = list(pool.map(lambda _: int(client.create_model_version(name, f"runs:/{run_id}/x", run_id).version), range(10)))
    check("ten at once get ten numbers, none given twice", sorted(made) == list(range(4, 14)))
    client.rename_registered_model(name, f"{name}-renamed")
    check("a model is renamed with its versions", mlflow.pyfunc.load_model(f"models:/{name}-renamed/1").predict([1]) == [2])
    check("the old name is gone", words(lambda: client.get_registered_model(name)).endswith(f"Registered Model with name={name} not found"))
    hostile = ["file:///etc", "FILE:/etc", "file:", "/etc", "http://127.0.0.1:1/x", "ftp://h/x", "s3://b/k", "runs:/x/../../etc",
               f"runs:/{run_id}/%252e%252e/x", f"runs:/{run_id}/m#/../..", "mlflow-artifacts:/../etc", "mlflow-artifacts://h/x", "//h/x", ":"]
    for source in hostile:
        body = {"name": f"{name}-renamed", "source": source}
        answer = raw("POST", "mlflow/model-versions/create", json=body)
        check(f"source {source} is refused", (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"))
    client.delete_registered_model(f"{name}-renamed")
    check("a deleted model is gone", code(lambda: client.get_registered_model(f"{name}-renamed")) == "RESOURCE_DOES_NOT_EXIST")
    for bad in ["", "a/b", "a:b", "..", "a\\b", "x" * 300, "a\nb"]:
        answer = raw("POST", "mlflow/registered-models/create", json={"name": bad})
        check(f"{bad[:8]!r} is no model's name", answer.status_code == 400)
    prompt = mlflow.genai.register_prompt(f"prompt-{unique}", "Hello {{name}}")
    check("a prompt is registered and read", mlflow.genai.load_prompt(f"prompts:/prompt-{unique}/{prompt.version}").template == "Hello {{name}}")


def logged_models(experiment, model_id):
    found = client.search_logged_models([experiment], "metrics.quality > 0.5 AND name = 'model'")
    check("logged models are searched", [one.model_id for one in found] == [model_id])
    check("logged models are searched in vain", list(client.search_logged_models([experiment], "params.depth = '9'")) == [])
    client.set_logged_model_tags(model_id, {"k": "v"})
    check("a logged model is tagged", client.get_logged_model(model_id).tags["k"] == "v")
    client.delete_logged_model_tag(model_id, "k")
    check("its tag is deleted", "k" not in client.get_logged_model(model_id).tags)
    other = client.create_logged_model(experiment, name="external", model_type="agent", params={"p": "1"})
    client.log_model_params(other.model_id, {"q": "2"})
    client.finalize_logged_model(other.model_id, LoggedModelStatus.FAILED)
    other = client.get_logged_model(other.model_id)
    check("a logged model fails", (other.status, other.params) == (LoggedModelStatus.FAILED, {"p": "1", "q": "2"}))
    ordered = client.search_logged_models([experiment], order_by=[{"field_name": "name", "ascending": True}])
    check("logged models are ordered", [one.name for one in ordered] == ["external", "model"])
    client.delete_logged_model(other.model_id)
    check("a deleted logged model is gone", code(lambda: client.get_logged_model(other.model_id)) == "RESOURCE_DOES_NOT_EXIST")


def manners(run_id):
    check("no token is UNAUTHENTICATED", refused_without_token())
    form = raw("POST", "mlflow/runs/set-tag", data=json.dumps({"run_id": run_id, "key": "a", "value": "b"}),
               headers={"Content-Type": "text/plain<script>"})
    check("a body that is not JSON by name is refused, unquoted", form.status_code == 400 and "script" not in form.text)
    nan = raw("POST", "mlflow/runs/log-metric", headers={"Content-Type": "application/json"},
              data='{"run_id": "%s", "key": "bare", "value": NaN, "timestamp": 1, "step": 0}' % run_id)
    check("a bare NaN is refused, not taken for 0", nan.status_code == 400 and "bare" not in client.get_run(run_id).data.metrics)
    wrapped = raw("POST", "mlflow/runs/set-tag", json=json.dumps({"run_uuid": run_id, "key": "wrapped", "value": "1"}))
    check("JSON within JSON and run_uuid are read", wrapped.json() == {} and client.get_run(run_id).data.tags["wrapped"] == "1")
    texts = raw("POST", "mlflow/runs/log-metric", json={"run_id": run_id, "key": "text", "value": "0.5", "timestamp": "7", "step": "3", "unknown": 1})
    check("numbers may be texts, unknown fields may be there", texts.status_code == 200 and client.get_run(run_id).data.metrics["text"] == 0.5)
    for body in [{}, {"run_id": 5}, {"run_id": "../x"}, {"run_id": run_id}, {"run_id": run_id, "key": "k", "value": "x", "timestamp": 1}, [], "x"]:
        answer = raw("POST", "mlflow/runs/log-metric", json=body)
        check(f"a malformed metric is refused: {str(body)[:40]}", answer.status_code == 400 and answer.json()["error_code"] == "INVALID_PARAMETER_VALUE")
    for body in ['{"run_id": "%s", "run_id": "%s", "key": "k", "value": "v"}', '{"run_id": "%s", "run\\u005fid": "%s"}', '[{"run_id": "%s", "run_id": "%s"}]']:
        answer = raw("POST", "mlflow/runs/set-tag", headers={"Content-Type": "application/json"}, data=body % (run_id, run_id))
        check(f"a key that is given twice is refused: {body[:30]}", answer.status_code == 400 and "'run_id' is given twice" in answer.json()["message"])
    missing = raw("POST", "mlflow/runs/log-parameter", json={"run_id": run_id, "value": "x"}).json()["message"]
    check("a missing field is named", missing.startswith("Missing value for required parameter 'key'."))
    moved = raw("POST", "mlflow/experiments/create", json={"name": f"moved {unique}", "artifact_location": "file:///etc"}).json()
    check("a client cannot choose where files lie", client.get_experiment(moved["experiment_id"]).artifact_location.startswith("mlflow-artifacts:/"))


def refused_without_token():
    bare = requests.post(f"{URI}/api/2.0/mlflow/runs/search", json={}, verify=wire.verify, timeout=60)
    return (bare.status_code, bare.json()["error_code"]) == (401, "UNAUTHENTICATED")


experiment = experiments()
run_id = runs(experiment)
search()
files(run_id)
models(experiment)
manners(run_id)
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
