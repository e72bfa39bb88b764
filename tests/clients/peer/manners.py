"""Manners of the protocol: content types, bodies, spellings of fields, ways that are not there."""

JSON = {"Content-Type": "application/json"}


def play(both):
    ask = both.ask
    ask("a run for manners", "POST runs/create", {"experiment_id": "0", "start_time": 1, "run_name": "m"}, keep={"run": "run.info.run_id"})
    tag = '{"run_id": "<run>", "key": "k", "value": "v"}'
    for kind in ["application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8"]:
        ask(f"content type {kind}", "POST runs/set-tag", data=tag, headers={"Content-Type": kind})
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "text/html<script>alert(1)</script>", "application/jsonx"]:
        ask(f"content type {kind}", "POST runs/set-tag", data=tag, headers={"Content-Type": kind})
    ask("no content type", "POST runs/set-tag", data=tag.encode())
    ask("no body", "POST runs/set-tag", data="", headers=JSON)
    ask("no JSON", "POST runs/set-tag", data="{", headers=JSON, ours=(400, "INVALID_PARAMETER_VALUE"), says="Malformed JSON",
        because="the peer takes what it cannot read for nothing")
    ask("a list", "POST runs/set-tag", data="[]", headers=JSON, ours=(400, "INVALID_PARAMETER_VALUE"), because="the peer answers 500 in HTML")
    ask("JSON within JSON", "POST runs/set-tag", data='"{\\"run_id\\": \\"<run>\\", \\"key\\": \\"k\\", \\"value\\": \\"w\\"}"', headers=JSON)
    ask("a key twice", "POST runs/set-tag", data='{"run_id": "<run>", "run_id": "<run>", "key": "k", "value": "v"}', headers=JSON, ours=(400, "INVALID_PARAMETER_VALUE"),
        because="readers differ in which of the two they take")
    ask("both spellings", "POST runs/set-tag", {"run_id": "<run>", "runId": "<run>", "key": "k", "value": "v"})
    ask("the other spelling alone", "POST runs/set-tag", {"runId": "<run>", "key": "k", "value": "v"})
    ask("the other spelling of what is optional", "POST runs/update", {"run_id": "<run>", "runName": "camel"})
    ask("nulls are absent", "POST runs/update", {"run_id": "<run>", "status": None, "end_time": None, "run_name": None})
    ask("DELETE with a body", "POST registered-models/create", {"name": "manners <u>"})
    ask("DELETE with a body", "DELETE registered-models/delete", {"name": "manners <u>"})
    ask("DELETE without one", "DELETE registered-models/delete")
    ask("PATCH without a content type", "PATCH registered-models/update", data=b'{"name": "nobody"}')
    for call in ["GET runs/nothing", "POST nothing/at-all", "GET experiments"]:
        ask(f"{call} is no way", call, {}, ours=(404, "ENDPOINT_NOT_FOUND"), because="a stranger's path is answered in JSON here, in HTML by the peer")
    ask("a list of numbers as order", "POST runs/search", {"experiment_ids": ["0"], "order_by": [5]})
    ask("a number as experiments", "POST runs/search", {"experiment_ids": 5})
    ask("a number as an experiment", "POST runs/search", {"experiment_ids": [5]}, ours=(400, "INVALID_PARAMETER_VALUE"), because="the peer leaves out what it cannot read")
    ask("a flag by its word", "GET logged-models/m-nobody", query={"allow_deleted": "True"})
    pages(ask)


def pages(ask):
    """The addresses of MLflow's pages."""
    ajax = {"prefix": "/ajax-api/2.0/mlflow/"}
    ask("a page reads a run", "GET runs/get", query={"run_id": "<run>"}, drop=("inputs", "outputs", "tags"), **ajax)
    ask("a page reads no run", "GET runs/get", query={"run_id": "0" * 32}, words="not found", **ajax)
    ask("a page tags", "POST runs/set-tag", {"run_id": "<run>", "key": "page", "value": "v"}, **ajax)
    ask("upload without a run", "POST upload-artifact", **ajax)
    ask("upload without a path", "POST upload-artifact", query={"run_uuid": "<run>"}, **ajax)
    ask("upload with an empty path", "POST upload-artifact", query={"run_uuid": "<run>", "path": ""}, **ajax)
    ask("upload to another place", "POST upload-artifact", query={"run_uuid": "<run>", "path": "../x"}, words="Invalid path", **ajax)
    ask("upload without data", "POST upload-artifact", query={"run_uuid": "<run>", "path": "x.txt"}, **ajax)
    ask("upload", "POST upload-artifact", query={"run_uuid": "<run>", "path": "d/x.txt"}, data="words", **ajax)
    ask("what was uploaded", "GET get-artifact", query={"run_uuid": "<run>", "path": "d/x.txt"}, prefix="/")
    ask("a file that leads elsewhere", "GET get-artifact", query={"run_uuid": "<run>", "path": "../x"}, words="Invalid path", prefix="/")
