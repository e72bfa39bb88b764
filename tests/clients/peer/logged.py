"""Logged models: made, finished, tagged, measured, searched, deleted."""

ALL, SEARCH = "POST logged-models", "POST logged-models/search"


def play(both):
    both.ask("an experiment for models", "POST experiments/create", {"name": "logged <u>"}, keep={"exp": "experiment_id"})
    both.ask("a run for models", "POST runs/create", {"experiment_id": "<exp>", "start_time": 1, "run_name": "l"}, keep={"run": "run.info.run_id"})
    making(both)
    changing(both)
    measuring(both)
    searching(both)
    deleting(both)


def making(both):
    ask = both.ask
    ask("create", ALL, {"experiment_id": "<exp>", "name": "one", "model_type": "agent", "source_run_id": "<run>", "params": [{"key": "depth", "value": "3"}],
                        "tags": [{"key": "a", "value": "1"}]}, keep={"one": "model.info.model_id"})
    ask("get", "GET logged-models/<one>")
    ask("bare", ALL, {"experiment_id": "<exp>", "name": "two"}, keep={"two": "model.info.model_id"})
    ask("no name", ALL, {"experiment_id": "<exp>"}, keep={"three": "model.info.model_id"}, drop=("name",))
    ask("away with what has a random name", "DELETE logged-models/<three>")
    ask("no experiment", ALL, {"name": "x"})
    ask("an empty experiment", ALL, {"experiment_id": "", "name": "x"})
    ask("nobody's experiment", ALL, {"experiment_id": "98765", "name": "x"})
    for field in ["experiment_id", "name", "model_type", "source_run_id"]:
        ask(f"a number as {field}", ALL, {"experiment_id": "<exp>", "name": "x", field: 31})
    for field in ["params", "tags"]:
        ask(f"{field} that are a word", ALL, {"experiment_id": "<exp>", "name": "x", field: "y"})
    for name in ["a/b", "a:b", "a.b", "a%b", 'a"b', "a'b"]:
        ask(f"name {name!r}", ALL, {"experiment_id": "<exp>", "name": name})
    for name in ["ünïcode ☃", "a b", "{{7*7}}", "<b>", "a;b--"]:
        ask(f"name {name!r}", ALL, {"experiment_id": "<exp>", "name": name})
    ask("a run that is not there", ALL, {"experiment_id": "0", "name": "x", "source_run_id": "0" * 32}, ours=(404, "RESOURCE_DOES_NOT_EXIST"),
        because="a model says of a run only what can be looked up")


def changing(both):
    ask = both.ask
    ask("finish", "PATCH logged-models/<one>", {"model_id": "<one>", "status": "LOGGED_MODEL_READY"})
    ask("fail", "PATCH logged-models/<two>", {"model_id": "<two>", "status": "LOGGED_MODEL_UPLOAD_FAILED"})
    ask("by number", "PATCH logged-models/<two>", {"model_id": "<two>", "status": 2})
    ask("no status", "PATCH logged-models/<two>", {"model_id": "<two>"})
    ask("an unknown status", "PATCH logged-models/<two>", {"model_id": "<two>", "status": "DONE"}, ours=(400, "INVALID_PARAMETER_VALUE"), because="the peer takes a status that it does not know for none")
    ask("ready again", "PATCH logged-models/<two>", {"model_id": "<two>", "status": "LOGGED_MODEL_READY"})
    ask("no id in the body", "PATCH logged-models/<two>", {"status": "LOGGED_MODEL_READY"}, ours=(200, None), because="the address names the model")
    ask("nobody's", "PATCH logged-models/m-nobody", {"model_id": "m-nobody", "status": "LOGGED_MODEL_READY"})
    ask("tags", "PATCH logged-models/<one>/tags", {"tags": [{"key": "a", "value": "2"}, {"key": "b", "value": "☃"}]})
    ask("no tags", "PATCH logged-models/<one>/tags", {})
    ask("tags that are a word", "PATCH logged-models/<one>/tags", {"tags": "x"})
    ask("tags of nobody's", "PATCH logged-models/m-nobody/tags", {"tags": [{"key": "a", "value": "2"}]})
    ask("untag", "DELETE logged-models/<one>/tags/b")
    ask("untag again", "DELETE logged-models/<one>/tags/b")
    ask("untag nobody's", "DELETE logged-models/m-nobody/tags/b")
    ask("params", "POST logged-models/<one>/params", {"model_id": "<one>", "params": [{"key": "width", "value": "4"}]})
    ask("a param that changes", "POST logged-models/<one>/params", {"model_id": "<one>", "params": [{"key": "width", "value": "5"}]}, ours=(400, "INVALID_PARAMETER_VALUE"),
        because="the peer answers 500 with its SQL statement")
    ask("a param again", "POST logged-models/<one>/params", {"model_id": "<one>", "params": [{"key": "width", "value": "4"}]}, ours=(200, None),
        because="a request that was sent again changes nothing here, the peer answers 500")
    ask("params of nobody's", "POST logged-models/m-nobody/params", {"model_id": "m-nobody", "params": [{"key": "width", "value": "5"}]})
    ask("get", "GET logged-models/<one>")
    ask("get nobody's", "GET logged-models/m-nobody")
    ask("directories", "GET logged-models/<one>/artifacts/directories")
    ask("directories of nobody's", "GET logged-models/m-nobody/artifacts/directories")


def measuring(both):
    ask = both.ask
    for model, value in [("<one>", 0.25), ("<two>", 0.75)]:
        ask(f"measure {model}", "POST runs/log-metric", {"run_id": "<run>", "key": "acc", "value": value, "timestamp": 5, "step": 1, "model_id": model,
                                                        "dataset_name": "iris", "dataset_digest": "d1"})
    ask("in a batch", "POST runs/log-batch", {"run_id": "<run>", "metrics": [{"key": "f1", "value": 0.5, "timestamp": 6, "step": 2, "model_id": "<one>"}]})
    ask("both are read", "GET logged-models/<one>")
    ask("a model that is not there", "POST runs/log-metric", {"run_id": "<run>", "key": "acc", "value": 1, "timestamp": 5, "step": 1, "model_id": "m-" + "0" * 32},
        ours=(404, "RESOURCE_DOES_NOT_EXIST"), because="the peer answers 500 with its SQL statement, or keeps it")


def searching(both):
    ask = both.ask
    for name, kind, acc in [("alpha", "agent", 0.5), ("beta", "", 0.5), ("Gamma", "agent", 0.9)]:
        ask(f"create {name}", ALL, {"experiment_id": "<exp>", "name": name, "model_type": kind, "params": [{"key": "p", "value": name}],
                                    "tags": [{"key": "t", "value": name[0]}]}, keep={f"s{name}": "model.info.model_id"})
        ask(f"measure {name}", "POST runs/log-metric", {"run_id": "<run>", "key": "score", "value": acc, "timestamp": 1, "step": 0, "model_id": f"<s{name}>"})
    by_name = [{"field_name": "name", "ascending": True}]
    holds = ["", "name = 'alpha'", "name != 'alpha'", "name LIKE '%a'", "name LIKE 'g%'", "name ILIKE 'g%'", "name IN ('alpha', 'beta')", "name NOT IN ('alpha', 'beta')", "name IN ('alpha')",
             "model_type = 'agent'", "model_type = 'agent' AND metrics.score > 0.6", "metrics.score >= 0.5", "metrics.score != 0.5", "metrics.score = 0.9", "params.p = 'beta'",
             "params.p LIKE '%a'", "tags.t = 'G'", "tags.t != 'G'", "tags.t IN ('a', 'b')", "params.p NOT IN ('alpha')", "metrics.acc < 0.5", "source_run_id = '<run>'",
             "model_id = '<one>'", "creation_timestamp > 5", "creation_time > 5", "last_updated_timestamp > 5", "attributes.name = 'alpha'", "name = 'alpha' and params.p = 'alpha'",
             "metrics.`score` > 0.6", "tags.`t` = 'a'"]
    for question in holds:
        ask(f"search {question!r}", SEARCH, {"experiment_ids": ["<exp>"], "filter": question, "order_by": by_name})
    for question in ["name > 'a'", "metrics.score LIKE 'x'", "metrics.score IN ('x')", "foo.bar = 'x'", "name = 'a' OR name = 'b'", "garbage", "name", "metrics.score > 'x'", "status = 'READY'"]:
        ask(f"search {question!r}", SEARCH, {"experiment_ids": ["<exp>"], "filter": question}, ours=(200, None) if question.startswith("status") else (400, "INVALID_PARAMETER_VALUE"),
            because="the words for what is not in the language are ours")
    orders = [by_name, [{"field_name": "name", "ascending": False}], [{"field_name": "metrics.score", "ascending": True}, *by_name], [{"field_name": "metrics.score", "ascending": False}, *by_name],
              [{"field_name": "creation_timestamp", "ascending": True}], [{"field_name": "creation_time", "ascending": False}], [{"field_name": "metrics.score", "dataset_name": "iris"}, *by_name],
              [{"field_name": "metrics.acc", "ascending": True, "dataset_name": "iris", "dataset_digest": "d1"}, *by_name], [{"field_name": "model_type", "ascending": True}, *by_name]]
    for order in orders:
        ask(f"order {order}", SEARCH, {"experiment_ids": ["<exp>"], "filter": "params.p LIKE '%a%' ", "order_by": order})
    ask("order by nothing known", SEARCH, {"experiment_ids": ["<exp>"], "order_by": [{"field_name": "colour"}]}, words="colour")
    ask("order by a param", SEARCH, {"experiment_ids": ["<exp>"], "order_by": [{"field_name": "params.p"}]}, words="Invalid order by field name: params.p")
    ask("no experiments", SEARCH, {"filter": ""})
    ask("an empty list", SEARCH, {"experiment_ids": []}, ours=(400, "INVALID_PARAMETER_VALUE"), because="nobody is asked about")
    ask("experiments that are a word", SEARCH, {"experiment_ids": "x"})
    ask("a number as filter", SEARCH, {"experiment_ids": ["<exp>"], "filter": 5})
    ask("on a data set", SEARCH, {"experiment_ids": ["<exp>"], "filter": "metrics.acc > 0.1", "datasets": [{"dataset_name": "iris", "dataset_digest": "d1"}], "order_by": by_name})
    ask("a data set without a name", SEARCH, {"experiment_ids": ["<exp>"], "datasets": [{"dataset_digest": "d1"}]}, words="dataset_name")
    ask("first page", SEARCH, {"experiment_ids": ["<exp>"], "filter": "params.p LIKE '%a%'", "max_results": 2, "order_by": by_name}, keep={"page": "next_page_token"})
    ask("last page", SEARCH, {"experiment_ids": ["<exp>"], "filter": "params.p LIKE '%a%'", "max_results": 2, "order_by": by_name, "page_token": "<page>"})
    ask("another question with that token", SEARCH, {"experiment_ids": ["<exp>"], "max_results": 2, "order_by": by_name, "page_token": "<page>"}, ours=(400, "INVALID_PARAMETER_VALUE"),
        because="tokens are of another form")


def deleting(both):
    ask = both.ask
    ask("delete", "DELETE logged-models/<one>")
    ask("deleted", "GET logged-models/<one>")
    ask("deleted, but asked for", "GET logged-models/<one>", query={"allow_deleted": "true"})
    ask("not found any more", SEARCH, {"experiment_ids": ["<exp>"], "filter": "name = 'one'"})
    ask("delete nobody's", "DELETE logged-models/m-nobody")
