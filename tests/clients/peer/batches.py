"""Many at once: batches, inputs, outputs, and what old clients say of their models."""

BATCH, GET, INPUTS, OUTPUTS, MODEL = "POST runs/log-batch", "GET runs/get", "POST runs/log-inputs", "POST runs/outputs", "POST runs/log-model"


def play(both):
    both.ask("an experiment for batches", "POST experiments/create", {"name": "batches <u>"}, keep={"exp": "experiment_id"})
    both.ask("a run for batches", "POST runs/create", {"experiment_id": "<exp>", "start_time": 1, "run_name": "b"}, keep={"run": "run.info.run_id"})
    forms(both)
    limits(both)
    datasets(both)
    outputs(both)
    histories(both)


def metric(key="m", value=1, timestamp=1, step=0):
    return {"key": key, "value": value, "timestamp": timestamp, "step": step}


def forms(both):
    ask = both.ask
    ask("all three", BATCH, {"run_id": "<run>", "metrics": [metric()], "params": [{"key": "p", "value": "1"}], "tags": [{"key": "t", "value": "1"}]})
    ask("again", BATCH, {"run_id": "<run>", "metrics": [metric()], "params": [{"key": "p", "value": "1"}], "tags": [{"key": "t", "value": "2"}]})
    ask("nothing in it", BATCH, {"run_id": "<run>"})
    ask("empty lists", BATCH, {"run_id": "<run>", "metrics": [], "params": [], "tags": []})
    ask("no run", BATCH, {"metrics": [metric()]})
    ask("an empty run", BATCH, {"run_id": "", "metrics": [metric()]})
    ask("a number as a run", BATCH, {"run_id": 31, "metrics": [metric()]})
    ask("nobody's run", BATCH, {"run_id": "0" * 32, "metrics": [metric()]})
    ask("an id that cannot be", BATCH, {"run_id": "../x", "metrics": [metric()]})
    for name in ["metrics", "params", "tags"]:
        for value in ["x", 5, {"key": "a"}]:
            ask(f"{name} that are {value!r}", BATCH, {"run_id": "<run>", name: value})
    for field in ["key", "value", "timestamp"]:
        ask(f"a metric without {field}", BATCH, {"run_id": "<run>", "metrics": [metric("ok"), {name: value for name, value in metric().items() if name != field}]})
    ask("a metric without a step", BATCH, {"run_id": "<run>", "metrics": [{"key": "nostep", "value": 2.5, "timestamp": 123456}]})
    ask("a metric with an empty key", BATCH, {"run_id": "<run>", "metrics": [metric("")]})
    ask("a param without a key", BATCH, {"run_id": "<run>", "params": [{"value": "1"}]})
    ask("a param without a value", BATCH, {"run_id": "<run>", "params": [{"key": "novalue"}]})
    ask("a tag without a key", BATCH, {"run_id": "<run>", "tags": [{"value": "1"}]})
    ask("a tag without a value", BATCH, {"run_id": "<run>", "tags": [{"key": "novalue"}]})
    for what, body in [("metrics", [metric("a;b")]), ("params", [{"key": "ok", "value": "1"}, {"key": "../x", "value": "1"}]), ("tags", [{"key": "/x", "value": "1"}]),
                       ("metrics", [metric("k" * 251)]), ("params", [{"key": "k" * 251, "value": "1"}]), ("tags", [{"key": "k" * 251, "value": "1"}]),
                       ("params", [{"key": "long", "value": "v" * 6001}]), ("tags", [{"key": "long", "value": "v" * 8001}]), ("metrics", [metric(timestamp=-1)])]:
        ask(f"{what} with {str(body[-1])[:30]}", BATCH, {"run_id": "<run>", what: body})
    for field, value in [("value", "x"), ("timestamp", "x"), ("step", "x"), ("value", None)]:
        ask(f"a metric's {field} {value!r}", BATCH, {"run_id": "<run>", "metrics": [{**metric("bad"), field: value}]},
            **({} if value is None else {"ours": (400, "INVALID_PARAMETER_VALUE"), "because": "the peer keeps 0, or leaves the rest of the batch out"}))
    ask("a param that is a number", BATCH, {"run_id": "<run>", "params": [{"key": "n", "value": 5}]}, ours=(400, "INVALID_PARAMETER_VALUE"),
        because="the peer keeps an empty text for a number")
    ask("a param twice", BATCH, {"run_id": "<run>", "params": [{"key": "d", "value": "1"}, {"key": "d", "value": "2"}]})
    ask("a tag twice", BATCH, {"run_id": "<run>", "tags": [{"key": "d", "value": "1"}, {"key": "d", "value": "2"}]})
    ask("a metric twice", BATCH, {"run_id": "<run>", "metrics": [metric("d"), metric("d")]})
    ask("a param that changed", BATCH, {"run_id": "<run>", "params": [{"key": "p", "value": "other"}]}, words="Changing param values is not allowed")
    ask("NaN and the infinities", BATCH, {"run_id": "<run>", "metrics": [metric("nan", "NaN"), metric("big", 1e308)]})
    ask("the name among the tags", BATCH, {"run_id": "<run>", "tags": [{"key": "mlflow.runName", "value": "renamed"}]})
    ask("half of it is wrong", BATCH, {"run_id": "<run>", "metrics": [metric("half")], "params": [{"key": "p", "value": "third"}], "tags": [{"key": "half", "value": "1"}]},
        words="Changing param values is not allowed")
    ask("what came of it", GET, query={"run_id": "<run>"}, ours=(200, None), because="nothing came of what was refused here; the peer keeps halves")


def limits(both):
    ask = both.ask
    ask("1000 metrics", BATCH, {"run_id": "<run>", "metrics": [metric("many", at, at, at) for at in range(1000)]})
    ask("1001 metrics", BATCH, {"run_id": "<run>", "metrics": [metric("many", at, at, at) for at in range(1001)]})
    ask("100 params", BATCH, {"run_id": "<run>", "params": [{"key": f"p{at}", "value": "1"} for at in range(100)]})
    ask("101 params", BATCH, {"run_id": "<run>", "params": [{"key": f"q{at}", "value": "1"} for at in range(101)]})
    ask("100 tags", BATCH, {"run_id": "<run>", "tags": [{"key": f"t{at}", "value": "1"} for at in range(100)]})
    ask("101 tags", BATCH, {"run_id": "<run>", "tags": [{"key": f"u{at}", "value": "1"} for at in range(101)]})
    ask("1001 of all", BATCH, {"run_id": "<run>", "metrics": [metric("all", at, at, at) for at in range(901)], "tags": [{"key": f"t{at}", "value": "2"} for at in range(100)]})
    ask("1000 of all", BATCH, {"run_id": "<run>", "metrics": [metric("all", at, at, at) for at in range(900)], "tags": [{"key": f"t{at}", "value": "2"} for at in range(100)]})
    ask("a long history", "GET metrics/get-history", query={"run_id": "<run>", "metric_key": "many"})


def dataset(**other):
    return {"dataset": {"name": "iris", "digest": "d1", "source_type": "local", "source": "{}", **other}, "tags": [{"key": "mlflow.data.context", "value": "train"}]}


def without(body, field):
    return {**body, "dataset": {name: value for name, value in body["dataset"].items() if name != field}}


def datasets(both):
    ask = both.ask
    ask("inputs", INPUTS, {"run_id": "<run>", "datasets": [dataset(schema="{}", profile="{}")]})
    ask("inputs again", INPUTS, {"run_id": "<run>", "datasets": [dataset(schema="other")]})
    ask("another", INPUTS, {"run_id": "<run>", "datasets": [dataset(digest="d2"), dataset(digest="d2"), dataset(name="wine")]})
    ask("no datasets", INPUTS, {"run_id": "<run>"})
    ask("no run", INPUTS, {"datasets": [dataset()]})
    ask("a number as a run", INPUTS, {"run_id": 5, "datasets": [dataset()]})
    ask("datasets that are a word", INPUTS, {"run_id": "<run>", "datasets": "x"})
    ask("nobody's run", INPUTS, {"run_id": "0" * 32, "datasets": [dataset()]})
    for field in ["name", "digest", "source_type", "source"]:
        ask(f"a data set without {field}", INPUTS, {"run_id": "<run>", "datasets": [without(dataset(), field)]}, ours=(400, "INVALID_PARAMETER_VALUE"),
            says=f"Missing value for required parameter 'datasets[0].dataset.{field}'", because="the peer keeps an empty text for what is missing")
    for field, most in [("name", 500), ("digest", 36), ("source", 65535)]:
        ask(f"a {field} of {most}", INPUTS, {"run_id": "<run>", "datasets": [dataset(**{field: "x" * most})]})
        ask(f"a {field} of {most + 1}", INPUTS, {"run_id": "<run>", "datasets": [dataset(**{field: "x" * (most + 1)})]})
    ask("a schema too long", INPUTS, {"run_id": "<run>", "datasets": [dataset(schema="x" * 1048576)]})
    ask("a tag's key too long", INPUTS, {"run_id": "<run>", "datasets": [{**dataset(), "tags": [{"key": "k" * 256, "value": ""}]}]})
    ask("a tag's value too long", INPUTS, {"run_id": "<run>", "datasets": [{**dataset(), "tags": [{"key": "k", "value": "v" * 501}]}]})
    ask("inputs are read", GET, query={"run_id": "<run>"}, ours=(200, None), because="those that were refused are not there")


def outputs(both):
    ask = both.ask
    ask("a model", "POST logged-models", {"experiment_id": "<exp>", "name": "made", "source_run_id": "<run>"}, keep={"model": "model.info.model_id"})
    ask("outputs", OUTPUTS, {"run_id": "<run>", "models": [{"model_id": "<model>", "step": 3}]})
    ask("as an input", INPUTS, {"run_id": "<run>", "models": [{"model_id": "<model>"}]})
    ask("no models", OUTPUTS, {"run_id": "<run>"})
    ask("no run", OUTPUTS, {"models": [{"model_id": "<model>", "step": 3}]})
    ask("models that are a word", OUTPUTS, {"run_id": "<run>", "models": "x"})
    ask("nobody's run", OUTPUTS, {"run_id": "0" * 32, "models": [{"model_id": "<model>", "step": 3}]})
    ask("both are read", GET, query={"run_id": "<run>"}, drop=("data", "dataset_inputs"))
    ask("outputs again", OUTPUTS, {"run_id": "<run>", "models": [{"model_id": "<model>", "step": 3}]}, ours=(200, None),
        because="a request that was sent again adds nothing here; the peer answers with its SQL statement")
    ask("an input that is not there", INPUTS, {"run_id": "<run>", "models": [{"model_id": "m-" + "0" * 32}]}, ours=(404, "RESOURCE_DOES_NOT_EXIST"),
        because="an input that is not there is a mistake")
    ask("a model that is not there", OUTPUTS, {"run_id": "<run>", "models": [{"model_id": "m-" + "0" * 32, "step": 0}]}, ours=(404, "RESOURCE_DOES_NOT_EXIST"),
        because="an output that is not there is a mistake")


def histories(both):
    ask = both.ask
    whole = '{"artifact_path": "model", "flavors": {}, "utc_time_created": "2020-01-01 00:00:00.000000", "run_id": "<run>"}'
    ask("log-model", MODEL, {"run_id": "<run>", "model_json": whole})
    ask("log-model again", MODEL, {"run_id": "<run>", "model_json": whole.replace("model\"", "other\"", 1)})
    ask("no JSON", MODEL, {"run_id": "<run>", "model_json": "{"}, words="Malformed model info")
    ask("nothing in it", MODEL, {"run_id": "<run>", "model_json": "{}"}, words="Model json is missing mandatory fields")
    ask("no model", MODEL, {"run_id": "<run>"})
    ask("no run", MODEL, {"model_json": "{}"})
    ask("a number as a model", MODEL, {"run_id": "<run>", "model_json": 5})
