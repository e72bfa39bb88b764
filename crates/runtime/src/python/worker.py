"""Runs an entry script: `init()` once, then `run(data)` for each request that arrives on standard input's socket.

A frame is one byte that says what it is, four bytes of length (little endian), and that many bytes. The socket is moved away
from descriptor 0 before the script is loaded; what the script prints goes to the log of the service.
"""

import importlib.util
import inspect
import json
import os
import socket
import struct
import sys
import traceback

HEADER = struct.Struct("<cI")
READY, INIT_FAILED, RESULT, RESPONSE, RAISED, REFUSED = b"S", b"I", b"O", b"A", b"E", b"B"
WITH_HEAD = b"H"


class Refused(Exception):
    """The request does not fit what run() declares."""


def words(error):
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def report(error):
    """Prints the traceback without the frames of this file and of the import."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith("<"):
        trace = trace.tb_next
    traceback.print_exception(type(error), error.with_traceback(trace), trace)
    sys.stderr.flush()


def load(path):
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    sys.argv = [path]
    spec = importlib.util.spec_from_file_location("entry_module", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["entry_module"] = module
    spec.loader.exec_module(module)
    for name in ("init", "run"):
        if not callable(getattr(module, name, None)):
            raise AttributeError(f"`{os.path.basename(path)}` defines no {name}()")
    module.init()
    return module.run


def declared(run):
    """The helper of inference-schema, if run() is decorated by it: such a function takes the fields of the body by name."""
    schema = sys.modules.get("inference_schema.schema_util")
    return schema if schema is not None and schema.is_schema_decorated(run) else None


def arguments(run, text):
    try:
        body = json.loads(text)
    except ValueError as error:
        raise Refused(f"the body is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise Refused("the body must be a JSON object")
    given = {}
    for name, parameter in inspect.signature(run).parameters.items():
        if name in body:
            given[name] = body[name]
        elif parameter.default is inspect.Parameter.empty:
            raise Refused(f"`{name}` is missing in the body")
    return given


def raised_by_schema(error):
    """Whether the conversion of the input failed, rather than the user's code."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__", "").split(".")[0] == "inference_schema"


def wants_http():
    """Whether the script asked for HTTP instead of the body alone, with `@rawhttp`."""
    for name in ("azureml.contrib.services.aml_request", "azureml_inference_server_http.api.aml_request"):
        if getattr(sys.modules.get(name), "_rawHttpRequested", False):
            return True
    return False


def http(data):
    """The request as the object that such a script expects: Flask's, which the script's own package brings along."""
    from flask import Request
    from werkzeug.test import create_environ

    head, _, body = data.partition(b"\n")
    head = json.loads(head)
    return Request(create_environ(head["path"], method=head["method"], headers=head["headers"], data=body))


def plain(value):
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "to_dict"):
        return value.to_dict(orient="records")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"run() returned an object of type {type(value).__name__}, which has no JSON form")


def encode(result):
    try:
        return json.dumps(result, default=plain, allow_nan=False)
    except ValueError:
        # NaN and the infinities become the strings that an ONNX model's answer would have.
        return json.dumps(json.loads(json.dumps(result, default=plain), parse_constant=str))


def answer(run, schema, kind, data):
    try:
        if kind == WITH_HEAD:
            result = run(http(data))
        else:
            text = data.decode("utf-8")
            result = run(**arguments(run, text)) if schema else run(text)
        if hasattr(result, "get_data") and hasattr(result, "status_code"):
            head = {"status": result.status_code, "headers": [[k, str(v)] for k, v in result.headers.items()]}
            return RESPONSE, json.dumps(head).encode() + b"\n" + result.get_data()
        return RESULT, encode(result).encode()
    except Refused as error:
        return REFUSED, str(error).encode()
    except BaseException as error:
        if schema and raised_by_schema(error):
            return REFUSED, words(error).encode("utf-8", "replace")
        report(error)
        return RAISED, words(error).encode("utf-8", "replace")


def main():
    channel = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    requests = channel.makefile("rb", buffering=1 << 16)

    def send(kind, payload):
        channel.sendall(HEADER.pack(kind, len(payload)) + payload)

    try:
        run = load(sys.argv[1])
        schema = declared(run)
        found = {"raw": wants_http()}
        if schema:
            found |= {"input": schema.get_input_schema(run), "output": schema.get_output_schema(run)}
        ready = json.dumps(found, default=str).encode()
    except BaseException as error:
        report(error)
        send(INIT_FAILED, words(error).encode("utf-8", "replace"))
        return
    send(READY, ready)
    while header := requests.read(HEADER.size):
        kind, length = HEADER.unpack(header)
        send(*answer(run, schema, kind, requests.read(length)))


main()
