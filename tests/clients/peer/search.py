"""Searching runs and experiments: every identifier with every comparator, orders, pages."""

RUNS, EXPERIMENTS = "POST runs/search", "POST experiments/search"
MADE = [
    {"run_name": "alpha", "start_time": 101, "tags": [{"key": "team", "value": "blue"}, {"key": "a b", "value": "x"}], "params": {"lr": "0.1", "opt": "Adam"}, "metrics": {"loss": 0.5, "acc": 0.9}},
    {"run_name": "beta", "start_time": 102, "tags": [{"key": "team", "value": "Red"}], "params": {"lr": "0.2", "opt": "sgd"}, "metrics": {"loss": 0.25, "odd name": 1}},
    {"run_name": "gamma", "start_time": 103, "tags": [], "params": {"lr": "0.1"}, "metrics": {"loss": "NaN"}},
    {"run_name": "delta%", "start_time": 103, "tags": [{"key": "team", "value": "it's"}], "params": {}, "metrics": {}},
]
HOLDS = """
metrics.loss = 0.5|metrics.loss != 0.5|metrics.loss > 0.3|metrics.loss >= 0.25|metrics.loss < 0.5|metrics.loss <= 0.5|metric.loss = .5|metrics.loss > -1|metrics.loss = 5e-1
metrics.acc != 1|metrics.`odd name` = 1|metrics."odd name" = 1|metrics.nothing > 0|metrics.nothing != 0|metrics.loss > 0 AND metrics.loss < 0.3|metrics.loss > 0 and params.lr = '0.1'
params.lr = '0.1'|params.lr != '0.1'|param.lr = "0.2"|parameter.lr = '0.1'|parameters.lr LIKE '0.%'|params.opt LIKE 'a%'|params.opt ILIKE 'a%'|params.opt LIKE '_dam'|params.nothing = 'x'
params.nothing != 'x'|params.opt IS NULL|params.opt IS NOT NULL|params.opt is null|params.`opt` = 'sgd'|params."opt" = 'sgd'
tags.team = 'blue'|tag.team != 'blue'|tags.team LIKE '%e%'|tags.team ILIKE 'RE_'|tags.team IS NULL|tags.team IS NOT NULL|tags.`a b` = 'x'|tags."a b" = 'x'|tags.team = "it's"|tags.team like 'bl%'
tags.mlflow.runName = 'alpha'|tags.`mlflow.runName` = 'beta'|tags.nothing != 'x'
attributes.status = 'RUNNING'|attribute.status != 'RUNNING'|attr.status = 'FINISHED'|run.status = 'RUNNING'|status = 'RUNNING'|status LIKE 'RUN%'|status = 'running'
attributes.run_name = 'alpha'|run_name = 'alpha'|run_name LIKE '%a'|run_name ILIKE 'ALPHA'|run_name != 'alpha'|attributes.`run name` = 'alpha'|attributes.`Run name` = 'alpha'|attributes.`Run Name` = 'alpha'|run_name = 'delta%'
run_id = '<r0>'|run_id != '<r0>'|run_id IN ('<r0>', '<r1>')|run_id NOT IN ('<r0>','<r1>')|run_id IN ('<r2>')|attributes.run_id IN ('<r0>')|run_id LIKE '%'|run_id in ('<r0>')
start_time = 101|start_time != 101|start_time > 101|attributes.start_time >= 102|start_time < 103|start_time <= 102|created = 101|attributes.Created > 102|end_time > 0|end_time = 9|attributes.end_time <= 9
artifact_uri LIKE '%artifacts'|attributes.artifact_uri LIKE '%<r0>%'
datasets.name = 'iris'|dataset.name != 'iris'|dataset.name LIKE 'ir%'|dataset.name ILIKE 'IR%'|dataset.digest = 'd1'|dataset.context = 'train'|datasets.name IN ('iris', 'wine')|dataset.name NOT IN ('wine')|dataset.context LIKE 'tr%'|dataset.digest IN ('d9')
metrics.loss = 0.5 AND params.lr = '0.1' AND tags.team = 'blue' AND status = 'FINISHED'
"""
# Words that both say.
REFUSED = """
metrics.loss = 0.5 OR metrics.acc = 1|Invalid clause(s) in filter string
(metrics.loss = 0.5)|Invalid clause(s) in filter string
NOT metrics.loss = 0.5|Invalid clause(s) in filter string
metrics.loss|Invalid clause(s) in filter string
metrics.loss >|Invalid clause(s) in filter string
garbage here and there|Invalid
foo.bar = 'x'|Invalid entity type 'foo'. Valid values are
model.x = 'x'|Invalid entity type 'model'. Valid values are
colour = 'x'|Invalid attribute key 'colour' specified. Valid keys are
attributes.colour = 'x'|Invalid attribute key 'colour' specified. Valid keys are
attributes.lifecycle_stage = 'active'|Invalid attribute key 'lifecycle_stage' specified
dataset.source = 'x'|Invalid dataset key 'source' specified
metrics.loss = 'x'|Expected numeric value type for metric. Found 'x'
metrics.loss LIKE 'x'|Expected numeric value type for metric
params.lr = 0.1|Expected a quoted string value for parameter (e.g. 'my-value'). Got value 0.1
tags.team = 5|Expected a quoted string value for tag (e.g. 'my-value'). Got value 5
params.lr > '0.1'|Invalid comparator '>' not one of
tags.team >= 'x'|Invalid comparator '>=' not one of
status > 'RUNNING'|Invalid comparator '>' not one of
dataset.name > 'x'|Invalid comparator '>' not one of
start_time = 'x'|Expected numeric value type for numeric attribute: start_time. Found 'x'
start_time LIKE 1|Invalid comparator 'LIKE' not one of
status = 5|Expected a quoted string value for attributes. Got value 5
run_name IN ('a')|attributes support comparison with a list of quoted string values.
status IN ('RUNNING')|attributes support comparison with a list of quoted string values.
run_id IN ()|expected a non-empty list of string values, but got empty list
run_id IN ('a', 5)|While parsing a list in the query, expected string value
start_time IS NULL|IS NULL / IS NOT NULL is only supported for tags and params
metrics.loss IS NULL|IS NULL / IS NOT NULL is only supported for tags and params
status = RUNNING|Parameter value is either not quoted or unidentified quote types used for string value RUNNING
metrics.loss = 0.5; metrics.loss = 1|Search filter contained multiple expression
"""
ORDERS = ["metrics.loss ASC", "metrics.loss DESC", "metrics.loss", "metrics.acc DESC", "params.lr ASC", "params.lr desc", "tags.team ASC", "tags.team DESC", "start_time ASC", "start_time DESC", "end_time ASC",
          "end_time DESC", "run_name ASC", "attributes.run_name DESC", "status ASC", "attribute.status DESC", "metrics.`odd name` ASC", "params.nothing ASC", "created DESC", "tags.`a b` DESC", 'tags."a b" ASC']


def play(both):
    ask = both.ask
    ask("an experiment for searches", "POST experiments/create", {"name": "search <u>"}, keep={"exp": "experiment_id"})
    for at, made in enumerate(MADE):
        ask(f"run {at}", "POST runs/create", {"experiment_id": "<exp>", **{name: made[name] for name in ("run_name", "start_time", "tags")}}, keep={f"r{at}": "run.info.run_id"})
        metrics = [{"key": key, "value": value, "timestamp": 1, "step": 0} for key, value in made["metrics"].items()]
        ask(f"its data {at}", "POST runs/log-batch", {"run_id": f"<r{at}>", "metrics": metrics, "params": [{"key": key, "value": value} for key, value in made["params"].items()]})
    ask("an end", "POST runs/update", {"run_id": "<r0>", "status": "FINISHED", "end_time": 9})
    ask("a data set", "POST runs/log-inputs", {"run_id": "<r0>", "datasets": [{"dataset": {"name": "iris", "digest": "d1", "source_type": "local", "source": "{}"}, "tags": [{"key": "mlflow.data.context", "value": "train"}]}]})
    runs(both)
    pages(both)
    experiments(both)


def runs(both):
    ask = both.ask
    # The tie-break of the peer is the run's id, which is random: names make an order that both know.
    stable = {"experiment_ids": ["<exp>"], "order_by": ["run_name ASC"]}
    for question in HOLDS.strip().replace("\n", "|").split("|"):
        ask(f"runs where {question}", RUNS, {**stable, "filter": question})
    for line in REFUSED.strip().split("\n"):
        question, words = line.rsplit("|", 1)
        ask(f"runs where {question}", RUNS, {**stable, "filter": question}, words=words)
    ask("runs where experiment_id = '1'", RUNS, {**stable, "filter": "experiment_id = '1'"}, ours=(200, None), because="what a run shows can be asked about")
    for order in ORDERS:
        ask(f"runs by {order}", RUNS, {"experiment_ids": ["<exp>"], "order_by": [order, "run_name ASC"] if "run_name" not in order else [order]})
    ask("runs by two", RUNS, {"experiment_ids": ["<exp>"], "order_by": ["params.lr DESC", "metrics.loss ASC", "run_name"]})
    for order, words in [("colour ASC", "Invalid attribute key 'colour' specified"), ("metrics.loss SIDEWAYS", "Invalid order"), ("foo.bar", "Invalid entity type 'foo'"), ("run_name ASC ASC", "Invalid order_by clause"),
                         ("", "Invalid order_by clause ''"), ("metrics.loss ASC, run_name", "Invalid order_by clause")]:
        ask(f"runs by {order!r}", RUNS, {"experiment_ids": ["<exp>"], "order_by": [order]}, words=words)
    ask("runs by one thing twice", RUNS, {"experiment_ids": ["<exp>"], "order_by": ["run_name", "run_name DESC"]}, ours=(400, "INVALID_PARAMETER_VALUE"), says="duplicate fields",
        because="the peer answers 500")
    ask("no experiments", RUNS, {})
    ask("an unknown experiment", RUNS, {"experiment_ids": ["98765"]})
    ask("a word as experiment", RUNS, {"experiment_ids": ["x"]}, ours=(200, None), because="ids are opaque here")
    for most in [123456789, 50001, 50000, 1, "2"]:
        ask(f"at most {most}", RUNS, {"experiment_ids": ["<exp>"], "max_results": most, "order_by": ["run_name"]})
    for most in [0, -1, "x"]:
        ask(f"at most {most}", RUNS, {"experiment_ids": ["<exp>"], "max_results": most})
    ask("a number as filter", RUNS, {"experiment_ids": ["<exp>"], "filter": 5})
    ask("delete one", "POST runs/delete", {"run_id": "<r3>"})
    for view in ["ACTIVE_ONLY", "DELETED_ONLY", "ALL", 1, 2, 3]:
        ask(f"runs that are {view}", RUNS, {**stable, "run_view_type": view})
    ask("an unknown view", RUNS, {**stable, "run_view_type": "SOME"}, ours=(400, "INVALID_PARAMETER_VALUE"), because="the peer takes a view that it does not know for the living")


def pages(both):
    ask, page = both.ask, {"experiment_ids": ["<exp>"], "order_by": ["run_name"], "max_results": 2}
    ask("first page", RUNS, page, keep={"page": "next_page_token"})
    ask("last page", RUNS, {**page, "page_token": "<page>"})
    ask("a page of exactly all", RUNS, {**page, "max_results": 3})
    ask("a token that is none", RUNS, {**page, "page_token": "!!!"}, ours=(400, "INVALID_PARAMETER_VALUE"), because="tokens are of another form")


def experiments(both):
    ask = both.ask
    for name, tags in [("A", {"k": "v1", "only": "x"}), ("b", {"k": "V2"}), ("C%", {})]:
        ask(f"experiment {name}", "POST experiments/create", {"name": f"{name} <u>", "tags": [{"key": key, "value": value} for key, value in tags.items()]}, keep={f"e{name[0]}": "experiment_id"})
    stable = {"max_results": 100, "order_by": ["name ASC"]}
    for question in ["name = 'A <u>'", "name LIKE '_ <u>'", "name ILIKE 'a <u>'", "attribute.name = 'b <u>'", "tags.k = 'v1' AND name LIKE '% <u>'", "tag.k LIKE 'v%' AND name LIKE '% <u>'", "tags.k ILIKE 'v%' AND name LIKE '% <u>'",
                     "tags.k != 'v1' AND name LIKE '% <u>'", "tags.only IS NOT NULL AND name LIKE '% <u>'", "tags.only IS NULL AND name LIKE '_ <u>'", "tags.`k` = 'V2' AND name LIKE '% <u>'",
                     "experiment_id = '<eA>'", "experiment_id IN ('<eA>', '<eb>')", "experiment_id NOT IN ('<eA>') AND name LIKE '_ <u>'", "creation_time > 5 AND name LIKE '_ <u>'", "last_update_time >= 5 AND name LIKE '_ <u>'",
                     "creation_time < 5 AND name LIKE '_ <u>'", "name = 'nobody'", "name = 'A <u>' and tags.k = 'v1'"]:
        ask(f"experiments where {question}", EXPERIMENTS, {**stable, "filter": question})
    for question, words in [("colour = 'x'", "Invalid attribute key 'colour' specified. Valid keys are"), ("params.x = 'y'", "Invalid entity type 'params'. Valid entity types are ('attribute', 'tag', 'tags')"),
                            ("name IN ('x')", "Only ['experiment_id'] attributes support comparison with a list of quoted string values."), ("name = 5", "Expected a quoted string value for attributes. Got value 5"),
                            ("name = 'a' OR name = 'b'", "Invalid clause(s) in filter string"), ("creation_time = 'x'", "Expected numeric value type for numeric attribute: creation_time. Found 'x'"),
                            ("name > 'x'", "Invalid comparator '>' not one of"), ("name IS NULL", "IS NULL / IS NOT NULL is only supported for tags"), ("tags.k > 'x'", "Invalid comparator for tag: >")]:
        ask(f"experiments where {question}", EXPERIMENTS, {**stable, "filter": question}, words=words)
    # Not by id: those are random here.
    for order in ["name", "name DESC", "attribute.name ASC", "creation_time ASC", "last_update_time DESC"]:
        ask(f"experiments by {order}", EXPERIMENTS, {"max_results": 100, "order_by": [order], "filter": "name LIKE '_ <u>'"})
    ask("experiments by their tags", EXPERIMENTS, {"max_results": 100, "order_by": ["tags.k"]}, words="Invalid order")
    ask("experiments by nothing known", EXPERIMENTS, {"max_results": 100, "order_by": ["colour"]}, words="Invalid attribute key 'colour' specified")
    ask("the newest first", EXPERIMENTS, {"max_results": 100, "filter": "name LIKE '_ <u>'"})
    ask("by GET", "GET experiments/search", query={"max_results": 100, "filter": "name LIKE '_ <u>'", "order_by": ["name ASC"]})
    ask("a page", EXPERIMENTS, {"max_results": 1, "filter": "name LIKE '_ <u>'", "order_by": ["name"]}, keep={"page": "next_page_token"})
    ask("the next page", EXPERIMENTS, {"max_results": 1, "filter": "name LIKE '_ <u>'", "order_by": ["name"], "page_token": "<page>"})
    ask("delete one", "POST experiments/delete", {"experiment_id": "<eb>"})
    for view in ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"]:
        ask(f"experiments that are {view}", EXPERIMENTS, {**stable, "filter": "name LIKE '_ <u>'", "view_type": view})
    for most in [None, 0, -1, 50001, "x"]:
        ask(f"at most {most}", EXPERIMENTS, {"filter": "name = 'nobody'", **({} if most is None else {"max_results": most})})
