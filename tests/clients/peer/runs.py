"""Runs: begun, read, changed, deleted; metrics, parameters and tags one by one; histories."""

CREATE, GET, UPDATE = "POST runs/create", "GET runs/get", "POST runs/update"
METRIC, PARAM, TAG, UNTAG = "POST runs/log-metric", "POST runs/log-parameter", "POST runs/set-tag", "POST runs/delete-tag"
HISTORY, BULK = "GET metrics/get-history", "GET metrics/get-history-bulk-interval"
KEYS = ["a\\b", "../x", "/x", "a//b", ".", "..", "a/../b", "a/", "a/b", "a;b", "a%b", "a b", "a:b", "a-b_c.d", "é", "名", "<script>", "{{7*7}}", "a'b"]


def play(both):
    both.ask("an experiment for runs", "POST experiments/create", {"name": "runs <u>"}, keep={"exp": "experiment_id"})
    beginning(both)
    changing(both)
    metrics(both)
    params(both)
    tags(both)
    histories(both)
    bulk(both)
    deleting(both)


def beginning(both):
    ask = both.ask
    ask("create", CREATE, {"experiment_id": "<exp>", "start_time": 1, "run_name": "first"}, keep={"run": "run.info.run_id"})
    ask("get", GET, query={"run_id": "<run>"})
    ask("get by the old name of the field", GET, query={"run_uuid": "<run>"})
    ask("with tags", CREATE, {"experiment_id": "<exp>", "start_time": 2, "run_name": "tagged", "tags": [{"key": "a", "value": "1"}, {"key": "é", "value": "☃"}]},
        keep={"tagged": "run.info.run_id"})
    ask("its name from a tag", CREATE, {"experiment_id": "<exp>", "start_time": 3, "tags": [{"key": "mlflow.runName", "value": "by tag"}]},
        keep={"bytag": "run.info.run_id"})
    ask("name and tag agree", CREATE, {"experiment_id": "<exp>", "start_time": 3, "run_name": "x", "tags": [{"key": "mlflow.runName", "value": "x"}]},
        keep={"agree": "run.info.run_id"})
    ask("name and tag differ", CREATE, {"experiment_id": "<exp>", "run_name": "x", "tags": [{"key": "mlflow.runName", "value": "y"}]})
    ask("no name", CREATE, {"experiment_id": "<exp>", "start_time": 5}, drop=("run_name", "tags"))
    ask("a name that is empty", CREATE, {"experiment_id": "<exp>", "start_time": 5, "run_name": ""}, drop=("run_name", "tags"))
    ask("no experiment is the default one", CREATE, {"start_time": 5, "run_name": "nowhere"}, ours=(200, None), because="the peer answers with its SQL statement")
    ask("no start", CREATE, {"experiment_id": "<exp>", "run_name": "timeless"}, drop=("start_time",))
    ask("times as text", CREATE, {"experiment_id": "<exp>", "start_time": "77", "run_name": "text"})
    ask("far in the future", CREATE, {"experiment_id": "<exp>", "start_time": 9_000_000_000_000_000_000, "run_name": "far"}, drop=("start_time",))
    ask("start 'soon'", CREATE, {"experiment_id": "<exp>", "start_time": "soon", "run_name": "x"})
    for value in [1.5, [1], True]:
        ask(f"start {value!r}", CREATE, {"experiment_id": "<exp>", "start_time": value, "run_name": "x"}, ours=(400, "INVALID_PARAMETER_VALUE"),
            because="the peer keeps 0 in its place, or answers 500 in HTML")
    for field in ["experiment_id", "run_name"]:
        ask(f"a number as {field}", CREATE, {"experiment_id": "<exp>", "run_name": "x", field: 31})
    ask("nobody's experiment", CREATE, {"experiment_id": "98765", "run_name": "x"})
    ask("unknown fields", CREATE, {"experiment_id": "<exp>", "start_time": 1, "run_name": "u", "colour": 1})
    ask("user_id is for the server to say", CREATE, {"experiment_id": "<exp>", "start_time": 1, "run_name": "u", "user_id": "root"})
    ask("a tag value too long", CREATE, {"experiment_id": "<exp>", "run_name": "x", "tags": [{"key": "k", "value": "v" * 8001}]},
        ours=(400, "INVALID_PARAMETER_VALUE"), says="exceeds the maximum length of 8000", because="the limit of a tag holds at the beginning too")
    ask("a tag key that is no path", CREATE, {"experiment_id": "<exp>", "run_name": "x", "tags": [{"key": "../k", "value": "v"}]},
        ours=(400, "INVALID_PARAMETER_VALUE"), because="the form of a tag holds at the beginning too")
    ask("get without an id", GET, query={})
    ask("get with an empty id", GET, query={"run_id": ""})
    ask("get nobody's", GET, query={"run_id": "0" * 32})
    ask("get an id that cannot be", GET, query={"run_id": "../etc"}, ours=(400, "INVALID_PARAMETER_VALUE"),
        because="what is no id is told so")


def changing(both):
    ask = both.ask
    ask("end", UPDATE, {"run_id": "<run>", "status": "FINISHED", "end_time": 9})
    for status in ["FAILED", "KILLED", "SCHEDULED", "RUNNING", "FINISHED"]:
        ask(f"status {status}", UPDATE, {"run_id": "<run>", "status": status, "end_time": 11}, drop=("end_time",))
    ask("status by number", UPDATE, {"run_id": "<run>", "status": 4, "end_time": 12})
    ask("an unknown status", UPDATE, {"run_id": "<run>", "status": "DONE"}, ours=(400, "INVALID_PARAMETER_VALUE"),
        because="the peer takes a status that it does not know for none")
    ask("only an end", UPDATE, {"run_id": "<run>", "end_time": 13})
    ask("an end that is no number", UPDATE, {"run_id": "<run>", "end_time": "late"})
    ask("a name", UPDATE, {"run_id": "<run>", "run_name": "second"})
    ask("the tag follows", GET, query={"run_id": "<run>"})
    ask("an empty name changes nothing", UPDATE, {"run_id": "<run>", "run_name": ""})
    ask("nothing at all", UPDATE, {"run_id": "<run>"})
    ask("by the old name of the field", UPDATE, {"run_uuid": "<run>", "status": "FINISHED", "end_time": 14})
    ask("no run", UPDATE, {"status": "FINISHED"})
    ask("nobody's", UPDATE, {"run_id": "0" * 32, "status": "FINISHED"})
    ask("a number as a run", UPDATE, {"run_id": 31})
    ask("a number as a name", UPDATE, {"run_id": "<run>", "run_name": 31})


def metrics(both):
    ask, whole = both.ask, {"run_id": "<run>", "key": "m", "value": 41, "timestamp": 59, "step": 26}
    ask("log", METRIC, whole)
    ask("log the same again", METRIC, whole)
    ask("without a step", METRIC, {key: value for key, value in whole.items() if key != "step"})
    for field in ["run_id", "key", "value", "timestamp"]:
        ask(f"metric without {field}", METRIC, {key: value for key, value in whole.items() if key != field})
    for field, value in [("run_id", 31), ("key", 31), ("value", "x"), ("value", True), ("value", [1]), ("value", {}), ("timestamp", "x"), ("timestamp", 1.5),
                         ("timestamp", []), ("step", "x"), ("step", 1.5), ("step", True), ("model_id", 5), ("dataset_name", 5), ("dataset_digest", 5),
                         ("key", ""), ("run_id", ""), ("timestamp", -1), ("step", 2**63), ("timestamp", 2**63)]:
        how = {}
        if (field, value) in [("value", True), ("step", True)] or (field in ("value", "timestamp") and isinstance(value, list | dict)):
            how = {"ours": (400, "INVALID_PARAMETER_VALUE"), "because": "the peer takes it for a number, or answers 500"}
        elif value in (2**63, 1.5):
            how = {"ours": (400, "INVALID_PARAMETER_VALUE"), "because": "the peer keeps 0 in its place"}
        ask(f"metric with {field} {value!r}", METRIC, {**whole, "key": "w", field: value}, **how)
    for value in [0, -1, 1e308, 1e-308, "0.5", 7, "NaN", "1e3"]:
        ask(f"value {value!r}", METRIC, {**whole, "key": f"v {str(value).replace('+', '')}", "value": value})
    ask("step as text", METRIC, {**whole, "key": "textstep", "step": "3", "timestamp": "5"})
    ask("a negative step", METRIC, {**whole, "key": "neg", "step": -3})
    ask("the greatest step", METRIC, {**whole, "key": "great", "step": 2**63 - 1})
    ask("the least step", METRIC, {**whole, "key": "least", "step": -(2**63)})
    ask("far in the future", METRIC, {**whole, "key": "far", "timestamp": 2**62})
    for key in KEYS:
        ask(f"metric {key!r}", METRIC, {**whole, "key": key})
    ask("metric of 250", METRIC, {**whole, "key": "k" * 250})
    ask("metric of 251", METRIC, {**whole, "key": "k" * 251})
    ask("nobody's run", METRIC, {**whole, "run_id": "0" * 32})
    ask("a bare NaN", METRIC, data='{"run_id": "<run>", "key": "bare", "value": NaN, "timestamp": 1, "step": 0}', headers={"Content-Type": "application/json"},
        ours=(400, "INVALID_PARAMETER_VALUE"), because="the peer keeps 0 for a NaN that is not quoted")
    ask("infinity", METRIC, {**whole, "key": "inf", "value": "Infinity"})
    ask("less than everything", METRIC, {**whole, "key": "minf", "value": "-Infinity"})
    ask("infinity is read", HISTORY, query={"run_id": "<run>", "metric_key": "inf"}, ours=(200, None), says='"Infinity"', because="the peer keeps the greatest number in its place")
    ask("by the old name of the field", METRIC, {"run_uuid": "<run>", "key": "old", "value": 1, "timestamp": 1})
    for step, time, value in [(1, 5, 1), (2, 4, 2), (2, 4, 3), (2, 3, 9), (0, 9, 7)]:
        ask(f"latest {step} {time} {value}", METRIC, {"run_id": "<run>", "key": "latest", "value": value, "timestamp": time, "step": step})


def params(both):
    ask, whole = both.ask, {"run_id": "<run>", "key": "p", "value": "1"}
    ask("param", PARAM, whole)
    ask("param again", PARAM, whole)
    ask("another value", PARAM, {**whole, "value": "2"})
    ask("an empty value", PARAM, {**whole, "key": "empty", "value": ""})
    ask("no value", PARAM, {"run_id": "<run>", "key": "novalue"})
    for field in ["run_id", "key"]:
        ask(f"param without {field}", PARAM, {key: value for key, value in whole.items() if key != field})
        ask(f"param with an empty {field}", PARAM, {**whole, field: ""})
        ask(f"param with a number as {field}", PARAM, {**whole, field: 31})
    ask("a number as value", PARAM, {**whole, "value": 31})
    ask("a list as value", PARAM, {**whole, "value": [1]})
    for key in KEYS:
        ask(f"param {key!r}", PARAM, {**whole, "key": key})
    ask("param value of 6000", PARAM, {**whole, "key": "long", "value": "v" * 6000})
    ask("param value of 6001", PARAM, {**whole, "key": "longer", "value": "v" * 6001})
    ask("param key of 250", PARAM, {**whole, "key": "k" * 250})
    ask("param key of 251", PARAM, {**whole, "key": "k" * 251})
    ask("odd values are kept", PARAM, {**whole, "key": "odd", "value": "☃ \n\t'\"; DROP TABLE runs; -- {{7*7}}"})
    ask("nobody's run", PARAM, {**whole, "run_id": "0" * 32})


def tags(both):
    ask, whole = both.ask, {"run_id": "<run>", "key": "t", "value": "1"}
    ask("tag", TAG, whole)
    ask("tag again", TAG, {**whole, "value": "2"})
    ask("an empty value", TAG, {**whole, "key": "empty", "value": ""})
    ask("no value", TAG, {"run_id": "<run>", "key": "novalue"})
    for field in ["run_id", "key"]:
        ask(f"tag without {field}", TAG, {key: value for key, value in whole.items() if key != field})
        ask(f"tag with an empty {field}", TAG, {**whole, field: ""})
        ask(f"tag with a number as {field}", TAG, {**whole, field: 31})
    ask("a number as value", TAG, {**whole, "value": 31})
    for key in KEYS:
        ask(f"run tag {key!r}", TAG, {**whole, "key": key})
    ask("tag value of 8000", TAG, {**whole, "key": "long", "value": "v" * 8000})
    ask("tag value of 8001", TAG, {**whole, "key": "longer", "value": "v" * 8001})
    ask("tag key of 251", TAG, {**whole, "key": "k" * 251})
    ask("the name by its tag", TAG, {**whole, "key": "mlflow.runName", "value": "third"})
    ask("old field", TAG, {"run_uuid": "<run>", "key": "old", "value": "1"})
    ask("nobody's run", TAG, {**whole, "run_id": "0" * 32})
    ask("untag", UNTAG, {"run_id": "<run>", "key": "t"})
    ask("untag again", UNTAG, {"run_id": "<run>", "key": "t"})
    ask("untag without a key", UNTAG, {"run_id": "<run>"})
    ask("untag without a run", UNTAG, {"key": "t"})
    ask("untag nobody's run", UNTAG, {"run_id": "0" * 32, "key": "t"})
    # ±Infinity is read as such here: see above.
    ask("all of it", GET, query={"run_id": "<run>"}, drop=("metrics",))


def histories(both):
    ask = both.ask
    for key in ["m", "latest", "v NaN", "neg", "great", "least", "far", "nothing", "textstep", "v 1e308", "v 1e-308"]:
        ask(f"history of {key}", HISTORY, query={"run_id": "<run>", "metric_key": key})
    ask("by the old name of the field", HISTORY, query={"run_uuid": "<run>", "metric_key": "latest"})
    ask("first page", HISTORY, query={"run_id": "<run>", "metric_key": "latest", "max_results": 2}, keep={"page": "next_page_token"})
    ask("second page", HISTORY, query={"run_id": "<run>", "metric_key": "latest", "max_results": 2, "page_token": "<page>"}, keep={"page": "next_page_token"})
    ask("last page", HISTORY, query={"run_id": "<run>", "metric_key": "latest", "max_results": 2, "page_token": "<page>"})
    ask("exactly all", HISTORY, query={"run_id": "<run>", "metric_key": "latest", "max_results": 5})
    for most in ["0", "-1", "x", "1.5"]:
        ask(f"pages of {most}", HISTORY, query={"run_id": "<run>", "metric_key": "latest", "max_results": most},
            **({"ours": (400, "INVALID_PARAMETER_VALUE"), "because": "the peer takes what is no number for all"} if most in ("x", "1.5") else {}))
    ask("no key", HISTORY, query={"run_id": "<run>"})
    ask("no run", HISTORY, query={"metric_key": "m"})
    ask("nothing", HISTORY, query={})
    ask("nobody's run", HISTORY, query={"run_id": "0" * 32, "metric_key": "m"}, ours=(404, "RESOURCE_DOES_NOT_EXIST"),
        because="the peer gives an empty history for a run that is not there")
    ask("a token that is none", HISTORY, query={"run_id": "<run>", "metric_key": "latest", "max_results": 2, "page_token": "!!"}, words="page", ours=(400, "INVALID_PARAMETER_VALUE"),
        because="tokens are of another form")


def bulk(both):
    ask = both.ask
    ask("a run with a long metric", CREATE, {"experiment_id": "<exp>", "start_time": 1, "run_name": "long"}, keep={"long": "run.info.run_id"})
    points = [{"key": "c", "value": at, "timestamp": at, "step": at} for at in range(100)]
    ask("a hundred points", "POST runs/log-batch", {"run_id": "<long>", "metrics": points})
    for most in [2, 100, 101, 2500]:
        ask(f"sample of {most}", BULK, query={"run_ids": ["<long>"], "metric_key": "c", "max_results": most})
    extremes = "a sample keeps the least and the greatest value of each stretch; the peer takes the first of each"
    for most in [1, 3, 10, 99]:
        ask(f"sample of {most}", BULK, query={"run_ids": ["<long>"], "metric_key": "c", "max_results": most}, ours=(200, None), because=extremes)
    ask("two runs", BULK, query={"run_ids": ["<long>", "<run>"], "metric_key": "c", "max_results": 5}, ours=(200, None), because=extremes)
    interval = {"run_ids": ["<long>"], "metric_key": "c", "start_step": 10, "end_step": 20, "max_results": 5}
    ask("an interval", BULK, query=interval, ours=(200, None), because=extremes)
    ask("no limit", BULK, query={"run_ids": ["<long>"], "metric_key": "c"})
    ask("one step", BULK, query={"run_ids": ["<long>"], "metric_key": "c", "start_step": 10, "end_step": 10})
    for most in [0, 2501, -1]:
        ask(f"a limit of {most}", BULK, query={"run_ids": ["<long>"], "metric_key": "c", "max_results": most})
    ask("no runs", BULK, query={"metric_key": "c"})
    ask("no key", BULK, query={"run_ids": ["<long>"]})
    ask("101 runs", BULK, query={"run_ids": ["<long>"] * 101, "metric_key": "c"})
    ask("only a start", BULK, query={"run_ids": ["<long>"], "metric_key": "c", "start_step": 1})
    ask("only an end", BULK, query={"run_ids": ["<long>"], "metric_key": "c", "end_step": 1})
    ask("the wrong way round", BULK, query={"run_ids": ["<long>"], "metric_key": "c", "start_step": 5, "end_step": 1})
    ask("nobody's run", BULK, query={"run_ids": ["0" * 32], "metric_key": "c"}, ours=(404, "RESOURCE_DOES_NOT_EXIST"), because="the peer gives nothing for a run that is not there")
    ask("many points at one step", "POST runs/log-batch", {"run_id": "<long>", "metrics": [{"key": "d", "value": at, "timestamp": at, "step": 0} for at in range(50)]})
    by_row = {"run_ids": ["<long>"], "metric_key": "d", "max_results": 7}
    ask("sampled by row", BULK, query=by_row, ours=(200, None), because=extremes)


def deleting(both):
    ask = both.ask
    ask("delete", "POST runs/delete", {"run_id": "<run>"})
    ask("delete again", "POST runs/delete", {"run_id": "<run>"})
    ask("deleted", GET, query={"run_id": "<run>"}, drop=("metrics",))
    writes = [(METRIC, {"key": "m", "value": 1, "timestamp": 1}), (PARAM, {"key": "z", "value": "1"}), (TAG, {"key": "z", "value": "1"}), (UNTAG, {"key": "old"}),
              (UPDATE, {"status": "FINISHED"}), ("POST runs/log-batch", {"metrics": [{"key": "m", "value": 1, "timestamp": 1, "step": 0}]}),
              ("POST runs/log-inputs", {"datasets": []}), ("POST runs/outputs", {"models": [{"model_id": "m-x", "step": 0}]})]
    for call, body in writes:
        ask(f"{call} to a deleted run", call, {"run_id": "<run>", **body})
    ask("its history is read", HISTORY, query={"run_id": "<run>", "metric_key": "m"})
    ask("restore", "POST runs/restore", {"run_id": "<run>"})
    ask("restore again", "POST runs/restore", {"run_id": "<run>"})
    for call in ["POST runs/delete", "POST runs/restore"]:
        ask(f"{call} of none", call, {})
        ask(f"{call} of a number", call, {"run_id": 5})
        ask(f"{call} of nobody's", call, {"run_id": "0" * 32})
