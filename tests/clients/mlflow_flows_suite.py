"""What people do with the whole of MLflow, against a running server. Prints a line per check and 'N passed, N failed'."""

import json
import math
import os
import subprocess
import sys
import tempfile
import uuid

import environment

PINS = ["mlflow==3.17.2", "scikit-learn==1.9.1"]

environment.enter("mlflow-full", __doc__, PINS)

# What is asked for once must not be asked for again: a repeated request would hide an answer that is wrong.
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ.setdefault("MLFLOW_TRACKING_SERVER_CERT_PATH", os.environ.get("BARTIZAN_CA", ""))
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ["MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING"] = "false"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
os.environ["MPLBACKEND"] = "Agg"
home = tempfile.TemporaryDirectory()
os.environ["HOME"] = home.name
os.chdir(home.name)

import matplotlib.pyplot as plot  # noqa: E402
import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import requests  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.models import infer_signature  # noqa: E402
from sklearn.datasets import load_iris  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

URI = os.environ["MLFLOW_TRACKING_URI"].rstrip("/")
unique = uuid.uuid4().hex[:8]
client = MlflowClient()
features, labels = load_iris(return_X_y=True, as_frame=True)
passed = failed = 0

# Three of these write to one run at once.
WRITER = """
import sys, mlflow
client, run, me = mlflow.MlflowClient(), sys.argv[1], int(sys.argv[2])
for step in range(20):
    client.log_metric(run, "shared", me * 100 + step, step=step, timestamp=me * 1000 + step)
    client.log_metric(run, f"own {me}", step, step=step)
client.log_param(run, f"param {me}", me)
client.set_tag(run, f"tag {me}", me)
client.log_text(run, f"by {me}", f"texts/{me}.txt")
"""


def check(name, holds):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, flush=True)


def fitting():
    mlflow.sklearn.autolog(log_datasets=True)
    with mlflow.start_run(run_name="fit") as active:
        model = LogisticRegression(C=0.5, max_iter=300).fit(features, labels)
    mlflow.sklearn.autolog(disable=True)
    run = client.get_run(active.info.run_id)
    check("autolog logs parameters", run.data.params["C"] == "0.5" and run.data.params["max_iter"] == "300")
    check("autolog logs metrics", 0.9 < run.data.metrics["training_accuracy_score"] <= 1)
    check("autolog logs the data set", [one.dataset.name for one in run.inputs.dataset_inputs] == ["dataset"])
    check("autolog says what the data was for", run.inputs.dataset_inputs[0].tags[0].value == "train")
    check("autolog logs the model", len(run.outputs.model_outputs) == 1)
    check("autolog sets system tags", run.data.tags["estimator_name"] == "LogisticRegression" and "mlflow.source.name" in run.data.tags)
    found = client.get_logged_model(run.outputs.model_outputs[0].model_id)
    check("the model is ready and has its metrics", str(found.status) == "READY" and any(one.key == "training_accuracy_score" for one in found.metrics))
    loaded = mlflow.pyfunc.load_model(found.model_uri)
    check("what was logged predicts the same", (loaded.predict(features) == model.predict(features)).all())
    return model


def registering(model):
    name = f"iris-{unique}"
    signature = infer_signature(features, model.predict(features))
    with mlflow.start_run(run_name="register") as active:
        logged = mlflow.sklearn.log_model(model, name="model", signature=signature, input_example=features.head(3), registered_model_name=name)
    check("a model is registered while it is logged", client.get_model_version(name, "1").run_id == active.info.run_id)
    told = json.loads(client.get_logged_model(logged.model_id).tags["mlflow.modelVersions"])
    check("the logged model says as what it was registered", {"name": name, "version": 1} in [{**one, "version": int(one["version"])} for one in told])
    second = mlflow.register_model(f"runs:/{active.info.run_id}/model", name)
    check("it is registered again by its run", second.version == "2" or second.version == 2)
    client.set_registered_model_alias(name, "champion", "1")
    expected = model.predict(features)
    for uri in [f"models:/{name}@champion", f"models:/{name}/latest", f"models:/{name}/1", f"runs:/{active.info.run_id}/model", logged.model_uri]:
        loaded = mlflow.pyfunc.load_model(uri)
        check(f"load_model({uri.split(unique)[-1] if unique in uri else uri.split('/')[0]})", (loaded.predict(features) == expected).all())
    info = mlflow.models.get_model_info(f"models:/{name}/1")
    check("the signature is kept", info.signature == signature)
    check("the example is kept", len(mlflow.models.Model.load(f"models:/{name}/1").load_input_example()) == 3)
    check("the flavour's own loader loads", mlflow.sklearn.load_model(f"models:/{name}@champion").C == 0.5)
    check("metrics of the latest stage", [one.version for one in client.search_model_versions(f"name = '{name}'")] in ([2, 1], ["2", "1"]))


def evaluating(model):
    data = features.assign(label=labels)
    with mlflow.start_run(run_name="evaluate") as active:
        info = mlflow.sklearn.log_model(model, name="judged", signature=infer_signature(features, labels))
        result = mlflow.models.evaluate(info.model_uri, data, targets="label", model_type="classifier", evaluator_config={"log_explainer": False})
    run = client.get_run(active.info.run_id)
    check("evaluate measures", result.metrics["accuracy_score"] > 0.9 and run.data.metrics["accuracy_score"] == result.metrics["accuracy_score"])
    files = [one.path for one in client.list_artifacts(active.info.run_id)]
    check("evaluate leaves its pictures", any(path.endswith("confusion_matrix.png") for path in files))
    check("evaluate says on what", len(run.inputs.dataset_inputs) == 1)


def writing():
    with mlflow.start_run(run_name="kinds") as active:
        run_id = active.info.run_id
        mlflow.log_dict({"a": [1, 2]}, "kinds/d.json")
        mlflow.log_text("ünïcode ☃", "kinds/t.txt")
        figure, axes = plot.subplots()
        axes.plot([1, 2, 3])
        mlflow.log_figure(figure, "kinds/f.png")
        mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), "kinds/i.png")
        mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), key="stepped", step=3)
        mlflow.log_table({"question": ["q1"], "answer": ["a1"]}, "kinds/table.json")
        mlflow.log_table({"question": ["q2"], "answer": ["a2"]}, "kinds/table.json")
        mlflow.log_input(mlflow.data.from_pandas(features.head(5), name="few", targets=None), context="test")
    names = sorted(one.path for one in client.list_artifacts(run_id, "kinds"))
    check("files of every kind are there", names == [f"kinds/{name}" for name in ("d.json", "f.png", "i.png", "t.txt", "table.json")])
    check("a table grows", list(mlflow.load_table("kinds/table.json", run_ids=[run_id])["answer"]) == ["a1", "a2"])
    check("a dictionary and a text come back", mlflow.artifacts.load_dict(f"runs:/{run_id}/kinds/d.json") == {"a": [1, 2]} and mlflow.artifacts.load_text(f"runs:/{run_id}/kinds/t.txt") == "ünïcode ☃")
    check("an image comes back", mlflow.artifacts.load_image(f"runs:/{run_id}/kinds/i.png").size == (4, 4))
    data = client.get_run(run_id).inputs.dataset_inputs[0]
    check("an input is kept", (data.dataset.name, data.tags[0].value) == ("few", "test"))


def families():
    with mlflow.start_run(run_name="parent") as parent:
        for at in range(3):
            with mlflow.start_run(run_name=f"child {at}", nested=True):
                mlflow.log_metric("loss", 1 / (at + 1))
                mlflow.log_param("at", at)
    table = mlflow.search_runs(search_all_experiments=False, filter_string=f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'", order_by=["metrics.loss ASC"])
    check("search_runs gives a table", list(table["params.at"]) == ["2", "1", "0"] and math.isclose(table["metrics.loss"][0], 1 / 3))
    check("an empty search gives an empty table", isinstance(mlflow.search_runs(filter_string="params.at = 'x'"), pd.DataFrame))
    check("the last active run is found", mlflow.last_active_run().info.run_name in ("parent", "child 2"))


def prompting():
    name = f"greet-{unique}"
    first = mlflow.genai.register_prompt(name, "Hello {{name}}", commit_message="first", tags={"lang": "en"})
    second = mlflow.genai.register_prompt(name, "Hi {{name}}, {{how}}?")
    check("prompts are numbered", (int(first.version), int(second.version)) == (1, 2))
    mlflow.genai.set_prompt_alias(name, alias="live", version=1)
    check("a prompt is loaded by its alias", mlflow.genai.load_prompt(f"prompts:/{name}@live").format(name="Ada") == "Hello Ada")
    check("a prompt is loaded by its number", mlflow.genai.load_prompt(name, version=2).variables == {"name", "how"})
    check("prompts are searched", name in [one.name for one in mlflow.genai.search_prompts(f"name = '{name}'")])
    check("a prompt is no model", name not in [one.name for one in client.search_registered_models(f"name = '{name}'")])
    mlflow.genai.delete_prompt_alias(name, alias="live")
    check("an alias of a prompt is deleted", mlflow.genai.load_prompt(f"prompts:/{name}@live", allow_missing=True) is None)


def at_once():
    with mlflow.start_run(run_name="async") as active:
        futures = [mlflow.log_metric("later", step, step=step, synchronous=False) for step in range(200)]
        futures.append(mlflow.log_params({f"p{at}": at for at in range(50)}, synchronous=False))
        for future in futures:
            if future is not None:
                future.wait()
        mlflow.flush_async_logging()
    run = client.get_run(active.info.run_id)
    check("asynchronous logging loses nothing", len(client.get_metric_history(active.info.run_id, "later")) == 200 and len(run.data.params) == 50)
    run_id = client.create_run("0", run_name="shared").info.run_id
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, run_id, str(me)]) for me in range(3)]
    check("three processes write to one run", [writer.wait() for writer in writers] == [0, 0, 0])
    run = client.get_run(run_id)
    check("nothing of theirs is lost", len(client.get_metric_history(run_id, "shared")) == 60 and run.data.params == {f"param {me}": str(me) for me in range(3)})
    check("each has its metric, tag and file", all(run.data.metrics[f"own {me}"] == 19 and run.data.tags[f"tag {me}"] == str(me) for me in range(3)) and len(client.list_artifacts(run_id, "texts")) == 3)
    check("the latest is the greatest of the last step", run.data.metrics["shared"] == 219)


def twice():
    """A client that sends every POST twice, as one whose answers get lost does."""
    send = requests.adapters.HTTPAdapter.send
    # These make something new each time they are asked: nothing in a request tells a repetition from another of its kind.
    new = ("runs/create", "model-versions/create", "logged-models")
    again = []

    def double(self, request, **more):
        first = send(self, request, **more)
        path = request.path_url.split("?")[0]
        if request.method == "POST" and "/api/2.0/mlflow/" in path and not path.endswith(new):
            first.content
            second = send(self, request, **more)
            again.append((path.rsplit("/mlflow/", 1)[-1], first.status_code, second.status_code))
            # What makes a name says that it is taken, and makes no second one.
            return first if path.endswith(("experiments/create", "registered-models/create")) else second
        return first

    requests.adapters.HTTPAdapter.send = double
    try:
        experiment = client.create_experiment(f"twice {unique}")
        run = client.create_run(experiment, run_name="twice").info.run_id
        client.log_metric(run, "m", 1.0, timestamp=5, step=1)
        client.log_batch(run, metrics=[mlflow.entities.Metric("b", float(at), at, at) for at in range(100)], params=[mlflow.entities.Param("p", "1")], tags=[mlflow.entities.RunTag("t", "1")])
        client.log_param(run, "q", 1)
        client.set_tag(run, "u", "1")
        client.log_inputs(run, [mlflow.entities.DatasetInput(mlflow.entities.Dataset("d", "1", "local", "{}"), [])])
        model = client.create_logged_model(experiment, name="m", source_run_id=run)
        client.log_model_params(model.model_id, {"p": "1"})
        client.log_outputs(run, [mlflow.entities.LoggedModelOutput(model.model_id, 0)])
        client.log_text(run, "x", "model/x.txt")
        name = f"twice-{unique}"
        client.create_registered_model(name)
        client.create_model_version(name, f"runs:/{run}/model", run)
        client.set_registered_model_alias(name, "a", "1")
        client.transition_model_version_stage(name, "1", "Production")
        client.set_model_version_tag(name, "1", "k", "v")
        client.set_experiment_tag(experiment, "k", "v")
        client.set_terminated(run, end_time=9)
        client.delete_run(run)
        client.restore_run(run)
    finally:
        requests.adapters.HTTPAdapter.send = send
    found = client.get_run(run)
    check("points are there once", len(client.get_metric_history(run, "m")) == 1 and len(client.get_metric_history(run, "b")) == 100)
    check("links are there once", len(found.inputs.dataset_inputs) == 1 and len(found.outputs.model_outputs) == 1)
    check("parameters and tags are as they were sent", found.data.params == {"p": "1", "q": "1"} and found.data.tags["u"] == "1" and found.info.end_time == 9)
    check("one experiment, one model", len(client.search_experiments(filter_string=f"name = 'twice {unique}'")) == 1 and len(client.search_registered_models(f"name = '{name}'")) == 1)
    taken = [one for one in again if one[2] >= 400]
    check("only names that are taken answer otherwise the second time", {one[0] for one in taken} == {"experiments/create", "registered-models/create"} and {one[2] for one in taken} == {400})


def long_metric():
    """A million points in one run, in batches, and read in pages."""
    count, batch = int(os.environ.get("BARTIZAN_SUITE_POINTS", "20000")), 1000
    run = client.create_run("0", run_name="long").info.run_id
    for first in range(0, count, batch):
        client.log_batch(run, metrics=[mlflow.entities.Metric("curve", float(at), at, at) for at in range(first, first + batch)])
    history = client.get_metric_history(run, "curve")
    check(f"{count} points are read back in order", [point.step for point in history] == list(range(count)))
    check("the latest is the last", client.get_run(run).data.metrics["curve"] == count - 1)


mlflow.set_experiment(f"flows {unique}")
made = fitting()
registering(made)
evaluating(made)
writing()
families()
prompting()
at_once()
twice()
long_metric()
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
