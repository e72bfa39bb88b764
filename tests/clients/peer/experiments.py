"""Experiments: made, read, renamed, tagged, deleted, brought back."""

CREATE, GET, BY_NAME = "POST experiments/create", "GET experiments/get", "GET experiments/get-by-name"
UPDATE, DELETE, RESTORE = "POST experiments/update", "POST experiments/delete", "POST experiments/restore"
TAG, UNTAG = "POST experiments/set-experiment-tag", "POST experiments/delete-experiment-tag"


def play(both):
    making(both)
    reading(both)
    tagging(both)
    renaming(both)
    deleting(both)


def making(both):
    ask = both.ask
    ask("create", CREATE, {"name": "first <u>"}, keep={"first": "experiment_id"})
    ask("create with tags", CREATE, {"name": "tagged <u>", "tags": [{"key": "a", "value": "1"}, {"key": "b c/d", "value": ""}]},
        keep={"tagged": "experiment_id"})
    ask("a tag twice: the last counts", CREATE, {"name": "twice <u>", "tags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]},
        ours=(200, None), because="the peer answers 500 for a tag that comes twice")
    ask("name taken", CREATE, {"name": "first <u>"}, ours=(400, "RESOURCE_ALREADY_EXISTS"), says="Experiment(name=first <u>) already exists",
        because="the peer's message holds its SQL statement")
    for what, body in [("name", {}), ("name empty", {"name": ""}), ("name null", {"name": None})]:
        ask(f"create without {what}", CREATE, body)
    for value in [5, True, 1.5, ["x"], {"a": 1}]:
        ask(f"create with name {value!r}", CREATE, {"name": value})
    ask("name of 500", CREATE, {"name": "n" * 492 + "<u>"}, keep={"long": "experiment_id"})
    ask("name of 501", CREATE, {"name": "n" * 493 + "<u>"})
    for name in ["ünïcode ☃ 名前 <u>", "with/slash <u>", "'; DROP TABLE experiments; -- <u>", "{{7*7}} ${7*7} <%= 7 %> <u>",
                 "<script>alert(1)</script> <u>", " spaces <u> ", "../../etc/passwd <u>", "%s%n <u>"]:
        ask(f"create {name!r}", CREATE, {"name": name}, keep={"odd": "experiment_id"})
        ask(f"get {name!r}", GET, query={"experiment_id": "<odd>"})
        ask(f"get by name {name!r}", BY_NAME, query={"experiment_name": name})
    ask("control characters in a name", CREATE, {"name": "a\nb\u0000 <u>"}, ours=(400, "INVALID_PARAMETER_VALUE"),
        because="a name with line breaks or NUL forges lines wherever it is shown")
    for tags in ["x", 5, {"key": "a"}]:
        ask(f"tags that are {tags!r}", CREATE, {"name": "t <u>", "tags": tags})
    ask("tags without a key", CREATE, {"name": "nokey <u>", "tags": [{"value": "x"}]}, ours=(400, "INVALID_PARAMETER_VALUE"),
        because="a tag without a name is refused here, not kept under an empty one")
    ask("tag key with odd characters", CREATE, {"name": "oddkey <u>", "tags": [{"key": "a;b", "value": "x"}]})
    ask("tag key too long", CREATE, {"name": "longkey <u>", "tags": [{"key": "k" * 251, "value": "x"}]})
    ask("tag value too long", CREATE, {"name": "longvalue <u>", "tags": [{"key": "k", "value": "v" * 20001}]})
    ask("unknown fields are ignored", CREATE, {"name": "unknown <u>", "colour": "red", "x": {"y": [1]}})
    ask("location is not a string", CREATE, {"name": "loc <u>", "artifact_location": 5})
    ask("a location of the client's choice", CREATE, {"name": "moved <u>", "artifact_location": "s3://bucket/x"}, keep={"moved": "experiment_id"})
    ask("it is not where files lie here", GET, query={"experiment_id": "<moved>"}, ours=(200, None), says="mlflow-artifacts:/",
        because="a client does not choose where the server keeps files")


def reading(both):
    ask = both.ask
    ask("get", GET, query={"experiment_id": "<tagged>"})
    ask("get the default", GET, query={"experiment_id": "0"}, drop=("creation_time", "last_update_time"))
    ask("get by name", BY_NAME, query={"experiment_name": "tagged <u>"})
    for what, query in [("nothing", {}), ("an empty id", {"experiment_id": ""}), ("another field", {"id": "0"})]:
        ask(f"get with {what}", GET, query=query)
    ask("get an unknown id", GET, query={"experiment_id": "123456789"})
    ask("get by a word", GET, query={"experiment_id": "abc"}, words="experiment", ours=(404, "RESOURCE_DOES_NOT_EXIST"),
        because="ids are opaque here: a word is an id that nobody has")
    ask("get by an unknown name", BY_NAME, query={"experiment_name": "nobody has this"})
    ask("get by no name", BY_NAME, query={})
    ask("get by an empty name", BY_NAME, query={"experiment_name": ""})
    ask("get by a name in another case", BY_NAME, query={"experiment_name": "TAGGED <u>"})


def tagging(both):
    ask = both.ask
    ask("tag", TAG, {"experiment_id": "<first>", "key": "team", "value": "blue"})
    ask("tag again", TAG, {"experiment_id": "<first>", "key": "team", "value": "red"})
    ask("tag with an empty value", TAG, {"experiment_id": "<first>", "key": "empty", "value": ""})
    ask("tag without a value", TAG, {"experiment_id": "<first>", "key": "none"})
    ask("tag with 20000", TAG, {"experiment_id": "<first>", "key": "long", "value": "v" * 20000})
    ask("tag with 20001", TAG, {"experiment_id": "<first>", "key": "long", "value": "v" * 20001})
    ask("tag key of 250", TAG, {"experiment_id": "<first>", "key": "k" * 250, "value": "v"})
    ask("tag key of 251", TAG, {"experiment_id": "<first>", "key": "k" * 251, "value": "v"})
    for key in ["a\\b", "../x", "/x", "a//b", ".", "..", "a/../b", "a/", "a;b", "a%b", "a\"b", "é"]:
        ask(f"tag key {key!r}", TAG, {"experiment_id": "<first>", "key": key, "value": "v"})
    for field in ["experiment_id", "key"]:
        body = {"experiment_id": "<first>", "key": "k", "value": "v"}
        ask(f"tag without {field}", TAG, {name: value for name, value in body.items() if name != field})
        ask(f"tag with an empty {field}", TAG, {**body, field: ""})
        ask(f"tag with a number as {field}", TAG, {**body, field: 31})
    ask("tag with a number as value", TAG, {"experiment_id": "<first>", "key": "k", "value": 31})
    ask("tag nobody's", TAG, {"experiment_id": "987654", "key": "k", "value": "v"})
    ask("all tags", GET, query={"experiment_id": "<first>"})
    ask("untag", UNTAG, {"experiment_id": "<first>", "key": "team"})
    ask("untag again", UNTAG, {"experiment_id": "<first>", "key": "team"})
    ask("untag without a key", UNTAG, {"experiment_id": "<first>"})
    ask("untag without an id", UNTAG, {"key": "team"})
    ask("untag nobody's", UNTAG, {"experiment_id": "987654", "key": "team"})
    ask("the rest", GET, query={"experiment_id": "<first>"})


def renaming(both):
    ask = both.ask
    ask("rename", UPDATE, {"experiment_id": "<first>", "new_name": "renamed <u>"})
    ask("renamed", GET, query={"experiment_id": "<first>"})
    ask("the old name is free", BY_NAME, query={"experiment_name": "first <u>"})
    ask("rename to what it is", UPDATE, {"experiment_id": "<first>", "new_name": "renamed <u>"})
    ask("rename to a taken name", UPDATE, {"experiment_id": "<first>", "new_name": "tagged <u>"}, ours=(400, "RESOURCE_ALREADY_EXISTS"),
        because="the peer answers 500 or 400 with its SQL statement")
    ask("rename without a name", UPDATE, {"experiment_id": "<first>"})
    ask("rename to nothing", UPDATE, {"experiment_id": "<first>", "new_name": ""})
    ask("rename without an id", UPDATE, {"new_name": "x"})
    ask("rename with a number", UPDATE, {"experiment_id": "<first>", "new_name": 7})
    ask("rename nobody's", UPDATE, {"experiment_id": "987654", "new_name": "x <u>"})
    ask("rename to 501", UPDATE, {"experiment_id": "<first>", "new_name": "x" * 501})


def deleting(both):
    ask = both.ask
    ask("a run in it", "POST runs/create", {"experiment_id": "<tagged>", "start_time": 1, "run_name": "r"}, keep={"below": "run.info.run_id"})
    ask("another, deleted before", "POST runs/create", {"experiment_id": "<tagged>", "start_time": 1, "run_name": "r"}, keep={"gone": "run.info.run_id"})
    ask("delete the other", "POST runs/delete", {"run_id": "<gone>"})
    ask("delete", DELETE, {"experiment_id": "<tagged>"})
    ask("deleted", GET, query={"experiment_id": "<tagged>"})
    ask("deleted, by name", BY_NAME, query={"experiment_name": "tagged <u>"})
    ask("its run is deleted", "GET runs/get", query={"run_id": "<below>"}, drop=("inputs", "outputs"))
    ask("its name stays taken", CREATE, {"name": "tagged <u>"}, ours=(400, "RESOURCE_ALREADY_EXISTS"), because="no SQL in messages")
    ask("delete again", DELETE, {"experiment_id": "<tagged>"})
    ask("tag a deleted one", TAG, {"experiment_id": "<tagged>", "key": "k", "value": "v"})
    ask("untag a deleted one", UNTAG, {"experiment_id": "<tagged>", "key": "a"})
    ask("rename a deleted one", UPDATE, {"experiment_id": "<tagged>", "new_name": "y <u>"}, ours=(400, "INVALID_PARAMETER_VALUE"),
        says="Cannot rename a non-active experiment.", because="the peer answers 500, which clients send again for minutes")
    ask("a run in a deleted one", "POST runs/create", {"experiment_id": "<tagged>", "start_time": 1, "run_name": "r"})
    ask("a model in a deleted one", "POST logged-models", {"experiment_id": "<tagged>", "name": "m"})
    ask("write to its run", "POST runs/set-tag", {"run_id": "<below>", "key": "k", "value": "v"})
    ask("restore", RESTORE, {"experiment_id": "<tagged>"})
    ask("restored", GET, query={"experiment_id": "<tagged>"})
    ask("its run is back", "GET runs/get", query={"run_id": "<below>"}, drop=("inputs", "outputs"))
    ask("restore again", RESTORE, {"experiment_id": "<tagged>"})
    for call in [DELETE, RESTORE]:
        ask(f"{call} without an id", call, {})
        ask(f"{call} with a number", call, {"experiment_id": 5})
        ask(f"{call} nobody's", call, {"experiment_id": "987654"})
