"""The registry: names, versions, stages, aliases, tags, searches."""

MODEL, VERSION = "registered-models", "model-versions"
SOURCE = "mlflow-artifacts:/<exp>/<run>/artifacts/model"


def play(both):
    both.ask("an experiment for the registry", "POST experiments/create", {"name": "registry <u>"}, keep={"exp": "experiment_id"})
    both.ask("a run for the registry", "POST runs/create", {"experiment_id": "<exp>", "start_time": 1, "run_name": "r"}, keep={"run": "run.info.run_id"})
    for side in (both.peer, both.ours):
        put = side.ask("PUT", "<exp>/<run>/artifacts/model/MLmodel", data=b"flavors: {}\n", prefix="/api/2.0/mlflow-artifacts/artifacts/")
        assert put.status_code == 200, put.text
    models(both)
    versions(both)
    stages(both)
    aliases(both)
    tags(both)
    searching(both)
    prompts(both)
    deleting(both)


def models(both):
    ask = both.ask
    ask("create", f"POST {MODEL}/create", {"name": "wine <u>", "description": "red", "tags": [{"key": "a", "value": "1"}]})
    ask("bare", f"POST {MODEL}/create", {"name": "bare <u>"})
    ask("get", f"GET {MODEL}/get", query={"name": "wine <u>"})
    ask("get bare", f"GET {MODEL}/get", query={"name": "bare <u>"})
    ask("taken", f"POST {MODEL}/create", {"name": "wine <u>"})
    for what, body in [("no name", {}), ("an empty name", {"name": ""}), ("a blank name", {"name": "  "}), ("a number", {"name": 5}), ("a list", {"name": ["x"]})]:
        ask(f"create with {what}", f"POST {MODEL}/create", body)
    for name in ["a/b <u>", "a:b <u>", "..", ".", "ünïcode ☃ <u>", "{{7*7}} <u>", "'; DROP TABLE x; -- <u>", "<script> <u>", "a b <u>", "a.b <u>", "a@b <u>"]:
        ask(f"name {name!r}", f"POST {MODEL}/create", {"name": name})
    for name in ["a\\b <u>", "a#b <u>", "a%b <u>", "a\nb <u>", "x" * 257]:
        ask(f"name {name[:10]!r}", f"POST {MODEL}/create", {"name": name}, ours=(400, "INVALID_PARAMETER_VALUE"), because="a name is a part of addresses and file names")
    ask("name of 256", f"POST {MODEL}/create", {"name": "x" * 248 + "<u>"})
    for field, value in [("description", 5), ("tags", "x")]:
        ask(f"{field} {value!r}", f"POST {MODEL}/create", {"name": "y <u>", field: value})
    ask("a tag twice", f"POST {MODEL}/create", {"name": "twice <u>", "tags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]})
    ask("a tag key that is no path", f"POST {MODEL}/create", {"name": "z <u>", "tags": [{"key": "../a", "value": "1"}]})
    ask("a tag value too long", f"POST {MODEL}/create", {"name": "z <u>", "tags": [{"key": "a", "value": "v" * 100001}]})
    ask("describe", f"PATCH {MODEL}/update", {"name": "wine <u>", "description": "white"})
    ask("describe by nothing", f"PATCH {MODEL}/update", {"name": "wine <u>"})
    ask("describe nobody's", f"PATCH {MODEL}/update", {"name": "nobody", "description": "white"})
    ask("describe no name", f"PATCH {MODEL}/update", {"description": "white"})
    ask("describe by a number", f"PATCH {MODEL}/update", {"name": "wine <u>", "description": 5})
    ask("get nobody's", f"GET {MODEL}/get", query={"name": "nobody"})
    ask("get no name", f"GET {MODEL}/get", query={})
    ask("get a bad name", f"GET {MODEL}/get", query={"name": "a/b"})
    ask("rename", f"POST {MODEL}/rename", {"name": "bare <u>", "new_name": "renamed <u>"})
    ask("the old name is free", f"GET {MODEL}/get", query={"name": "bare <u>"})
    ask("rename to a taken name", f"POST {MODEL}/rename", {"name": "renamed <u>", "new_name": "wine <u>"}, ours=(400, "RESOURCE_ALREADY_EXISTS"), says="Registered Model (name=wine <u>) already exists",
        because="the peer's message holds its SQL statement")
    for body in [{"name": "renamed <u>"}, {"new_name": "x"}, {"name": "renamed <u>", "new_name": ""}, {"name": "renamed <u>", "new_name": "  "}, {"name": "renamed <u>", "new_name": "a/b"}, {"name": "nobody", "new_name": "x <u>"},
                 {"name": "renamed <u>", "new_name": 5}]:
        ask(f"rename {body}", f"POST {MODEL}/rename", body)


def versions(both):
    ask, whole = both.ask, {"name": "wine <u>", "source": SOURCE, "run_id": "<run>"}
    ask("first version", f"POST {VERSION}/create", whole)
    ask("second version", f"POST {VERSION}/create", {**whole, "description": "two", "run_link": "http://link", "tags": [{"key": "a", "value": "1"}]})
    ask("from runs:/", f"POST {VERSION}/create", {**whole, "source": "runs:/<run>/model"})
    ask("get", f"GET {VERSION}/get", query={"name": "wine <u>", "version": "2"})
    ask("the model's newest", f"GET {MODEL}/get", query={"name": "wine <u>"})
    ask("from another version", f"POST {VERSION}/create", {"name": "wine <u>", "source": "models:/wine <u>/2"})
    ask("a logged model", "POST logged-models", {"experiment_id": "<exp>", "name": "lm", "source_run_id": "<run>"}, keep={"lm": "model.info.model_id"})
    for side in (both.peer, both.ours):
        side.ask("PUT", "<exp>/models/<lm>/artifacts/MLmodel", data=b"x", prefix="/api/2.0/mlflow-artifacts/artifacts/")
    ask("from a logged model", f"POST {VERSION}/create", {"name": "wine <u>", "source": "models:/<lm>", "model_id": "<lm>"}, drop=("model_id",))
    ask("where its files are", f"GET {VERSION}/get-download-uri", query={"name": "wine <u>", "version": "1"}, ours=(200, None), says="mlflow-artifacts:/registry/",
        because="a version keeps its own files")
    ask("the logged model knows", "GET logged-models/<lm>", ours=(200, None), says="mlflow.modelVersions", because="JSON without blanks")
    for field in ["name", "source"]:
        ask(f"without {field}", f"POST {VERSION}/create", {name: value for name, value in whole.items() if name != field})
    for field in ["name", "source", "run_id", "run_link", "description", "model_id"]:
        ask(f"a number as {field}", f"POST {VERSION}/create", {**whole, field: 31})
    ask("tags that are a word", f"POST {VERSION}/create", {**whole, "tags": "x"})
    ask("nobody's model", f"POST {VERSION}/create", {**whole, "name": "nobody"})
    ask("a bad name", f"POST {VERSION}/create", {**whole, "name": "a/b"})
    for source in ["file:///etc/passwd", "/etc/passwd", "http://host/x/../y", "mlflow-artifacts:/../../etc", "runs:/<run>/../x", "mlflow-artifacts:/<exp>/<run>/artifacts/%2e%2e/%2e%2e/x", "models:/nobody/1", "dummy-source"]:
        ask(f"source {source}", f"POST {VERSION}/create", {**whole, "source": source}, words="not found" if source == "models:/nobody/1" else "source")
    ask("a model of sources elsewhere", f"POST {MODEL}/create", {"name": "far <u>"})
    for source in ["s3://bucket/model", "http://host/model", "dbfs:/x"]:
        ask(f"source {source}", f"POST {VERSION}/create", {**whole, "name": "far <u>", "source": source}, ours=(400, "INVALID_PARAMETER_VALUE"), because="only places of this workspace are sources")
    ask("another run's files", f"POST {VERSION}/create", {**whole, "run_id": "0" * 32})
    for query in [{"name": "wine <u>"}, {"version": "1"}, {"name": "wine <u>", "version": "99"}, {"name": "nobody", "version": "1"}, {"name": "wine <u>", "version": "x"}, {"name": "a/b", "version": "1"}, {"name": "wine <u>", "version": ""}, {}]:
        ask(f"get {query}", f"GET {VERSION}/get", query=query)
    ask("describe", f"PATCH {VERSION}/update", {"name": "wine <u>", "version": "1", "description": "new"})
    ask("describe by nothing", f"PATCH {VERSION}/update", {"name": "wine <u>", "version": "1"}, drop=("description",))
    ask("describe again", f"PATCH {VERSION}/update", {"name": "wine <u>", "version": "1", "description": "newer"})
    for body in [{"name": "wine <u>"}, {"version": "1"}, {"name": "wine <u>", "version": "77", "description": "x"}, {"name": "wine <u>", "version": "x"}]:
        ask(f"describe {body}", f"PATCH {VERSION}/update", body)
    ask("describe by a number", f"PATCH {VERSION}/update", {"name": "wine <u>", "version": 3, "description": ""}, ours=(200, None), because="a number is a version's name too")
    for query in [{"name": "wine <u>", "version": "99"}, {"name": "nobody", "version": "1"}]:
        ask(f"files of {query}", f"GET {VERSION}/get-download-uri", query=query)


def stages(both):
    ask, move = both.ask, f"POST {VERSION}/transition-stage"
    ask("to staging", move, {"name": "wine <u>", "version": "1", "stage": "Staging"})
    ask("in small letters", move, {"name": "wine <u>", "version": "2", "stage": "production"})
    ask("with archiving", move, {"name": "wine <u>", "version": "3", "stage": "Production", "archive_existing_versions": True})
    ask("what became of the other", f"GET {VERSION}/get", query={"name": "wine <u>", "version": "2"})
    ask("archiving where nothing is active", move, {"name": "wine <u>", "version": "3", "stage": "Archived", "archive_existing_versions": True}, ours=(400, "INVALID_PARAMETER_VALUE"),
        says="is not an Active stage. Valid stages are", because="the peer answers 500, which clients send again for minutes")
    ask("an unknown stage", move, {"name": "wine <u>", "version": "3", "stage": "Prod"})
    for body in [{"version": "1", "stage": "None"}, {"name": "wine <u>", "stage": "None"}, {"name": "wine <u>", "version": "1"}, {"name": "wine <u>", "version": "88", "stage": "None"}, {"name": "nobody", "version": "1", "stage": "None"},
                 {"name": "wine <u>", "version": "1", "stage": 5}, {"name": "wine <u>", "version": "1", "stage": "None", "archive_existing_versions": "x"}]:
        ask(f"move {body}", move, body)
    latest = f"POST {MODEL}/get-latest-versions"
    ask("latest of all", latest, {"name": "wine <u>"}, drop=("model_id",))
    ask("latest of some", latest, {"name": "wine <u>", "stages": ["production", "None"]}, drop=("model_id",))
    ask("latest of an unknown stage", latest, {"name": "wine <u>", "stages": ["Prod"]})
    ask("latest of nobody's", latest, {"name": "nobody"})
    ask("latest of no name", latest, {})
    ask("latest of a number", latest, {"name": "wine <u>", "stages": "x"})
    ask("latest by GET", f"GET {MODEL}/get-latest-versions", query={"name": "wine <u>", "stages": ["Production"]})


def aliases(both):
    ask, at = both.ask, f"{MODEL}/alias"
    ask("set", f"POST {at}", {"name": "wine <u>", "alias": "champion", "version": "1"})
    ask("get by it", f"GET {at}", query={"name": "wine <u>", "alias": "champion"})
    ask("another", f"POST {at}", {"name": "wine <u>", "alias": "x-1_Y", "version": "1"})
    ask("move it", f"POST {at}", {"name": "wine <u>", "alias": "champion", "version": "2"})
    ask("get by it again", f"GET {at}", query={"name": "wine <u>", "alias": "champion"})
    ask("the model shows them", f"GET {MODEL}/get", query={"name": "wine <u>"}, drop=("model_id",))
    for alias in ["latest", "LATEST", "v1", "V22", "a b", "a/b", "a.b", "a%b", "1", "v1x", "é", "a" * 255, "a" * 256, ""]:
        ask(f"alias {alias[:20]!r}", f"POST {at}", {"name": "wine <u>", "alias": alias, "version": "1"})
    for body in [{"alias": "a", "version": "1"}, {"name": "wine <u>", "version": "1"}, {"name": "wine <u>", "alias": "a"}, {"name": "wine <u>", "alias": "a", "version": "99"}, {"name": "nobody", "alias": "a", "version": "1"},
                 {"name": "wine <u>", "alias": 5, "version": "1"}, {"name": "wine <u>", "alias": "a", "version": "x"}]:
        ask(f"alias {body}", f"POST {at}", body)
    for query in [{"name": "wine <u>", "alias": "nobody"}, {"name": "nobody", "alias": "a"}, {"name": "wine <u>"}, {"alias": "a"}]:
        ask(f"get {query}", f"GET {at}", query=query)
    ask("delete", f"DELETE {at}", {"name": "wine <u>", "alias": "x-1_Y"})
    ask("delete again", f"DELETE {at}", {"name": "wine <u>", "alias": "x-1_Y"})
    ask("delete of nobody's", f"DELETE {at}", {"name": "nobody", "alias": "x"})
    ask("delete no alias", f"DELETE {at}", {"name": "wine <u>"})


def tags(both):
    ask = both.ask
    for noun, key in [(MODEL, {"name": "wine <u>"}), (VERSION, {"name": "wine <u>", "version": "1"})]:
        ask(f"tag of {noun}", f"POST {noun}/set-tag", {**key, "key": "t", "value": "1"})
        ask(f"again of {noun}", f"POST {noun}/set-tag", {**key, "key": "t", "value": "2"})
        ask(f"empty of {noun}", f"POST {noun}/set-tag", {**key, "key": "e", "value": ""})
        ask(f"no value of {noun}", f"POST {noun}/set-tag", {**key, "key": "n"})
        ask(f"100000 of {noun}", f"POST {noun}/set-tag", {**key, "key": "long", "value": "v" * 100000})
        ask(f"100001 of {noun}", f"POST {noun}/set-tag", {**key, "key": "long", "value": "v" * 100001})
        ask(f"the prompt's text of {noun}", f"POST {noun}/set-tag", {**key, "key": "mlflow.prompt.text", "value": "v" * 100001})
        ask(f"a key of 251 of {noun}", f"POST {noun}/set-tag", {**key, "key": "k" * 251, "value": "v"})
        for odd in ["a;b", "../x", "/x", "é ü"]:
            ask(f"key {odd!r} of {noun}", f"POST {noun}/set-tag", {**key, "key": odd, "value": "v"})
        for field in [*key, "key"]:
            body = {**key, "key": "t", "value": "v"}
            ask(f"{noun} without {field}", f"POST {noun}/set-tag", {name: value for name, value in body.items() if name != field})
            ask(f"{noun} with a number as {field}", f"POST {noun}/set-tag", {**body, field: 31}, **({"ours": (404, None), "because": "a number is a version's name too"} if field == "version" else {}))
        ask(f"untag of {noun}", f"DELETE {noun}/delete-tag", {**key, "key": "t"})
        ask(f"untag again of {noun}", f"DELETE {noun}/delete-tag", {**key, "key": "t"})
        ask(f"untag no key of {noun}", f"DELETE {noun}/delete-tag", key)
        ask(f"untag nobody's of {noun}", f"DELETE {noun}/delete-tag", {**key, "name": "nobody", "key": "t"})
        ask(f"tag nobody's of {noun}", f"POST {noun}/set-tag", {**key, "name": "nobody", "key": "t", "value": "1"})
        ask(f"what {noun} has", f"GET {noun}/get", query=key, drop=("model_id",))


def searching(both):
    ask = both.ask
    for name, value in [("s-alpha <u>", "1"), ("s-Beta <u>", "2"), ("s-gamma <u>", None)]:
        ask(f"create {name}", f"POST {MODEL}/create", {"name": name, "tags": [{"key": "k", "value": value}] if value else []})
        ask(f"version of {name}", f"POST {VERSION}/create", {"name": name, "source": SOURCE, "run_id": "<run>", "tags": [{"key": "k", "value": value}] if value else []})
    ask("another version", f"POST {VERSION}/create", {"name": "s-alpha <u>", "source": SOURCE, "run_id": "<run>"})
    mine = "name LIKE 's-% <u>'"
    for question in ["name = 's-alpha <u>'", mine, "name ILIKE 'S-B% <u>'", "name != 's-alpha <u>' AND " + mine, "tags.k = '1' AND " + mine, "tags.k != '1' AND " + mine, "tags.k LIKE '%' AND " + mine, "tag.k = '2' AND " + mine,
                     "tags.`k` = '1' AND " + mine, "name IN ('s-alpha <u>', 's-gamma <u>')", "attribute.name = 's-alpha <u>'", "tags.`mlflow.prompt.is_prompt` != 'true' AND " + mine, mine + " AND tags.`mlflow.prompt.is_prompt` = 'false'"]:
        ask(f"models where {question}", f"GET {MODEL}/search", query={"filter": question})
    both_refuse = [("run_id = 'x'", "Invalid attribute key 'run_id' specified"), ("name > 'x'", "Invalid comparator"), ("params.x = 'y'", "Invalid entity type 'params'"), ("name = 5", "Expected a quoted string value"),
                   ("name = 'a' OR name = 'b'", "Invalid clause(s) in filter string"), ("tags.k > 'x'", "Invalid comparator"), ("name IS NULL", "Invalid")]
    for question, words in both_refuse:
        ask(f"models where {question}", f"GET {MODEL}/search", query={"filter": question}, words=words, **({"ours": (400, "INVALID_PARAMETER_VALUE"), "because": "the peer answers 500"} if "NULL" in question else {}))
    for order in ["name", "name DESC", "timestamp ASC", "timestamp DESC", "last_updated_timestamp", "last_updated_timestamp DESC"]:
        ask(f"models by {order}", f"GET {MODEL}/search", query={"filter": mine, "order_by": [order]})
    for order in ["colour", "tags.k", "creation_timestamp"]:
        ask(f"models by {order}", f"GET {MODEL}/search", query={"filter": mine, "order_by": [order]}, words="Invalid order by key")
    ask("models by one thing twice", f"GET {MODEL}/search", query={"filter": mine, "order_by": ["name", "name DESC"]}, ours=(400, "INVALID_PARAMETER_VALUE"), says="duplicate fields", because="the peer answers 500")
    ask("a page of models", f"GET {MODEL}/search", query={"filter": mine, "max_results": 2}, keep={"page": "next_page_token"})
    ask("the next page of models", f"GET {MODEL}/search", query={"filter": mine, "max_results": 2, "page_token": "<page>"})
    ask("at most 1001 models", f"GET {MODEL}/search", query={"max_results": 1001})
    ask("at most x models", f"GET {MODEL}/search", query={"max_results": "x"})
    ask("at most 200001 versions", f"GET {VERSION}/search", query={"max_results": 200001})
    for question in ["name = 's-alpha <u>'", mine, "name = 's-alpha <u>' AND version_number = 1", "name = 's-alpha <u>' AND version_number > 1", "name = 's-alpha <u>' AND version_number != 1", "run_id = '<run>' AND " + mine, "run_id IN ('<run>') AND " + mine,
                     "run_id IN ('nobody') AND " + mine, "source_path LIKE '%model' AND " + mine, "source_path = '" + SOURCE + "' AND " + mine, "tags.k = '1' AND " + mine, "tags.k != '1' AND " + mine, "name ILIKE 'S-%' AND " + mine, "name NOT IN ('s-alpha <u>') AND " + mine]:
        ask(f"versions where {question}", f"GET {VERSION}/search", query={"filter": question})
    for question, words in [("colour = 'x'", "Invalid attribute key 'colour' specified"), ("name > 'x'", "Invalid comparator"), ("version_number = 'x'", "Invalid value for numeric attribute 'version_number'"), ("source_path IN ('x')", "Only ['name', 'run_id'] attributes support comparison with a list"),
                            ("version_number LIKE 1", "Invalid comparator"), ("version_number = 1.5", "Invalid value for numeric attribute 'version_number'"), ("name = 'a' OR name = 'b'", "Invalid clause(s) in filter string"), ("stage = 'x'", "Invalid attribute key 'stage' specified")]:
        ask(f"versions where {question}", f"GET {VERSION}/search", query={"filter": question}, words=words)
    for order in ["name", "name DESC", "version_number ASC", "version_number DESC", "creation_timestamp ASC", "last_updated_timestamp DESC"]:
        ask(f"versions by {order}", f"GET {VERSION}/search", query={"filter": mine, "order_by": [order]})
    ask("versions by nothing known", f"GET {VERSION}/search", query={"filter": mine, "order_by": ["colour"]}, words="Invalid")
    ask("a page of versions", f"GET {VERSION}/search", query={"filter": mine, "max_results": 3}, keep={"page": "next_page_token"})
    ask("the next page of versions", f"GET {VERSION}/search", query={"filter": mine, "max_results": 3, "page_token": "<page>"})


def prompts(both):
    ask, prompt = both.ask, [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    ask("a prompt", f"POST {MODEL}/create", {"name": "prompt <u>", "tags": prompt})
    ask("its text", f"POST {VERSION}/create", {"name": "prompt <u>", "source": "prompt-template", "tags": [*prompt, {"key": "mlflow.prompt.text", "value": "Hello {{name}}"}]})
    ask("a source that is none of a prompt's", f"POST {VERSION}/create", {"name": "prompt <u>", "source": "file:///etc", "tags": prompt}, words="Invalid")
    ask("prompts are not models", f"GET {MODEL}/search", query={"filter": "name = 'prompt <u>'"})
    ask("prompts when asked for", f"GET {MODEL}/search", query={"filter": "name = 'prompt <u>' AND tags.`mlflow.prompt.is_prompt` = 'true'"})
    ask("versions of prompts are not models'", f"GET {VERSION}/search", query={"filter": "name = 'prompt <u>'"})
    ask("versions of prompts when asked for", f"GET {VERSION}/search", query={"filter": "name = 'prompt <u>' AND tags.`mlflow.prompt.is_prompt` = 'true'"})
    ask("a prompt's name as a model", f"POST {MODEL}/create", {"name": "prompt <u>"})
    ask("a model's name as a prompt", f"POST {MODEL}/create", {"name": "wine <u>", "tags": prompt})
    ask("a prompt again", f"POST {MODEL}/create", {"name": "prompt <u>", "tags": prompt})
    ask("a version from a prompt", f"POST {VERSION}/create", {"name": "wine <u>", "source": "models:/prompt <u>/1"})


def deleting(both):
    ask = both.ask
    ask("delete a version", f"DELETE {VERSION}/delete", {"name": "wine <u>", "version": "2"})
    ask("it is gone", f"GET {VERSION}/get", query={"name": "wine <u>", "version": "2"})
    ask("its alias too", f"GET {MODEL}/alias", query={"name": "wine <u>", "alias": "champion"})
    ask("delete it again", f"DELETE {VERSION}/delete", {"name": "wine <u>", "version": "2"})
    for body in [{"name": "wine <u>"}, {"version": "1"}, {"name": "nobody", "version": "1"}, {"name": "wine <u>", "version": "x"}]:
        ask(f"delete {body}", f"DELETE {VERSION}/delete", body)
    ask("the next number", f"POST {VERSION}/create", {"name": "wine <u>", "source": SOURCE, "run_id": "<run>"}, drop=("version",))
    ask("rename with versions", f"POST {MODEL}/rename", {"name": "wine <u>", "new_name": "port <u>"}, drop=("latest_versions",))
    ask("versions follow", f"GET {VERSION}/get", query={"name": "port <u>", "version": "1"})
    ask("delete the model", f"DELETE {MODEL}/delete", {"name": "port <u>"})
    ask("gone", f"GET {MODEL}/get", query={"name": "port <u>"})
    ask("its versions too", f"GET {VERSION}/get", query={"name": "port <u>", "version": "1"})
    ask("delete again", f"DELETE {MODEL}/delete", {"name": "port <u>"})
    ask("delete none", f"DELETE {MODEL}/delete", {})
    ask("its name is free", f"POST {MODEL}/create", {"name": "port <u>"})
    ask("numbers begin again", f"POST {VERSION}/create", {"name": "port <u>", "source": SOURCE, "run_id": "<run>"})
