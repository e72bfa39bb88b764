"""MLflow's own Python client tracing against a running server. Prints a line per check and 'N passed, N failed'."""

import gzip
import json
import os
import sys
import tempfile
import time
import uuid

import environment

PINS = ["mlflow-skinny==3.17.2", "numpy==2.4.6", "pandas==3.1.1"]

environment.enter("mlflow", __doc__, PINS)

os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ.setdefault("MLFLOW_TRACKING_SERVER_CERT_PATH", os.environ.get("BARTIZAN_CA", ""))
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
os.environ["MLFLOW_GENAI_EVAL_MAX_WORKERS"] = "2"
home = tempfile.TemporaryDirectory()
os.environ["HOME"] = home.name
os.chdir(home.name)

import mlflow  # noqa: E402
import requests  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import AssessmentSource, AssessmentSourceType, Feedback, SpanType  # noqa: E402
from mlflow.entities.assessment import AssessmentError  # noqa: E402
from mlflow.entities.trace_metrics import AggregationType, MetricAggregation, MetricViewType  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracing.client import TracingClient  # noqa: E402
from mlflow.tracing.constant import SpanAttributeKey  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402

URI = os.environ["MLFLOW_TRACKING_URI"].rstrip("/")
TOKEN = os.environ["MLFLOW_TRACKING_TOKEN"]
client = MlflowClient()
tracing = TracingClient()
unique = uuid.uuid4().hex[:8]
passed = failed = 0

wire = requests.Session()
wire.trust_env = False
wire.verify = os.environ["MLFLOW_TRACKING_SERVER_CERT_PATH"]
wire.headers["Authorization"] = f"Bearer {TOKEN}"


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


def found(**more):
    """Ids of traces that a search finds."""
    more.setdefault("locations", [experiment])
    return [trace.info.trace_id for trace in mlflow.search_traces(return_type="list", **more)]


@mlflow.trace(span_type=SpanType.TOOL, attributes={"tool": "weather"})
def look_up(city):
    return {"city": city, "degrees": 21.5, "rain": None, "next": [20, 19]}


@mlflow.trace(name="agent", span_type=SpanType.AGENT)
def agent(city):
    with mlflow.start_span("ask the model", span_type=SpanType.LLM) as span:
        span.set_inputs({"prompt": f"How warm is it in {city}?"})
        span.set_outputs("look it up")
        span.set_attribute(SpanAttributeKey.CHAT_USAGE, {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10})
        span.set_attribute(SpanAttributeKey.MODEL, "tiny")
        span.add_event(mlflow.entities.SpanEvent("thought", attributes={"step": 1}))
    mlflow.update_current_trace(tags={"city": city}, metadata={"mlflow.trace.session": f"session {city}"}, client_request_id=f"req-{city}")
    return look_up(city)


def writing():
    agent("Köln")
    trace_id = mlflow.get_last_active_trace_id()
    trace = mlflow.get_trace(trace_id)
    names = [span.name for span in trace.data.spans]
    check("a decorated function leaves a trace with its spans", names == ["agent", "ask the model", "look_up"])
    root, llm, tool = trace.data.spans
    check("spans know whose they are", root.parent_id is None and llm.parent_id == tool.parent_id == root.span_id)
    check("inputs and outputs come back as they were", tool.inputs == {"city": "Köln"} and tool.outputs == {"city": "Köln", "degrees": 21.5, "rain": None, "next": [20, 19]})
    check("types, attributes and events come back", (root.span_type, llm.span_type) == ("AGENT", "LLM") and tool.attributes["tool"] == "weather" and llm.events[0].name == "thought" and llm.events[0].attributes == {"step": 1})
    check("a span has its times", root.start_time_ns <= llm.start_time_ns <= llm.end_time_ns <= root.end_time_ns)
    info = trace.info
    check("the trace went well", info.state == "OK" and info.execution_duration is not None and info.request_time > 1_600_000_000_000)
    check("the trace is tagged while it runs", info.tags["city"] == "Köln" and info.trace_metadata["mlflow.trace.session"] == "session Köln" and info.client_request_id == "req-Köln")
    check("tokens are added up", info.token_usage == {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10})
    check("the trace says where its spans lie", info.tags["mlflow.trace.spansLocation"] == "TRACKING_STORE" and info.experiment_id == experiment)
    check("the previews are there", "Köln" in info.request_preview and "21.5" in info.response_preview)

    @mlflow.trace
    def failing():
        raise ValueError("no such city")

    try:
        failing()
    except ValueError:
        pass
    bad = mlflow.get_trace(mlflow.get_last_active_trace_id())
    events = [event.name for event in bad.data.spans[0].events]
    check("an exception makes the trace an error", bad.info.state == "ERROR" and events == ["exception"] and bad.data.spans[0].status.status_code == "ERROR")
    with mlflow.start_span("by hand") as span:
        span.set_inputs({"n": float("inf"), "raw": [1, "two", {"three": None}]})
    check("a span by hand is a trace of its own", mlflow.get_trace(span.trace_id).data.spans[0].inputs["raw"] == [1, "two", {"three": None}])
    check("an unknown trace is none", mlflow.get_trace("tr-" + "0" * 32, silent=True) is None)
    return trace_id, bad.info.trace_id


def searching(good, bad):
    everything = found(max_results=50)
    check("search finds all, the newest first", len(everything) == 3 and everything[-1] == good)
    table = [
        ("trace.status = 'ERROR'", [bad]),
        ("attributes.name = 'agent'", [good]),
        ("name LIKE 'fail%'", [bad]),
        ("name RLIKE '^ag.nt$'", [good]),
        ("tag.city = 'Köln'", [good]),
        ("tag.city IS NULL AND trace.status = 'ERROR'", [bad]),
        ("metadata.`mlflow.trace.session` = 'session Köln'", [good]),
        ("client_request_id = 'req-Köln'", [good]),
        ("span.name = 'look_up'", [good]),
        ("span.type = 'LLM' AND span.name = 'look_up'", []),
        ("span.attributes.tool = 'weather'", [good]),
        ("span.status = 'ERROR'", [bad]),
        ("trace.text LIKE '%look it up%'", [good]),
        ("trace.timestamp_ms > 99999999999999", []),
        ("execution_time_ms >= 0 AND end_time_ms > 0 AND name = 'agent'", [good]),
    ]
    for filter_string, expected in table:
        check(f"search finds: {filter_string}", found(filter_string=filter_string) == expected)
    check("an unknown field is refused", code(lambda: found(filter_string="secret = 'x'")) == "INVALID_PARAMETER_VALUE")
    check("an order can be asked for", found(order_by=["timestamp_ms ASC"])[0] == good)
    check("an experiment without traces has none", found(locations=["0"], filter_string="tag.city = 'Köln'") == [])
    pages, token = [], None
    while True:
        page = client.search_traces(locations=[experiment], max_results=2, page_token=token, include_spans=False)
        pages.append([trace.info.trace_id for trace in page])
        token = page.token
        if not token:
            break
    check("traces come in pages", [len(page) for page in pages] == [2, 1] and sum(pages, []) == everything)
    frame = mlflow.search_traces(locations=[experiment])
    check("traces come as a table", len(frame) == 3 and {"trace_id", "spans", "tags"} <= set(frame.columns))


def labels(trace_id):
    mlflow.set_trace_tag(trace_id, "reviewed", "yes")
    check("a tag is set", client.get_trace(trace_id).info.tags["reviewed"] == "yes")
    mlflow.set_trace_tag(trace_id, "reviewed", "x" * 9000)
    check("a value that is too long is cut", len(client.get_trace(trace_id).info.tags["reviewed"]) == 8000)
    mlflow.delete_trace_tag(trace_id, "reviewed")
    check("a tag is deleted", "reviewed" not in client.get_trace(trace_id).info.tags)
    check("a tag that is not there cannot be deleted", code(lambda: client.delete_trace_tag(trace_id, "reviewed")) == "RESOURCE_DOES_NOT_EXIST")
    answer = wire.patch(f"{URI}/api/3.0/mlflow/traces/{trace_id}/tags", json={"key": "mlflow.trace.spansLocation", "value": "x"}, timeout=60)
    check("where the spans lie is not for clients to say", (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"))


def assessments(trace_id, bad):
    human = AssessmentSource(AssessmentSourceType.HUMAN, "reviewer")
    score = mlflow.log_feedback(trace_id=trace_id, name="score", value=0.75, source=human, rationale="mostly right", metadata={"round": "1"})
    mlflow.log_expectation(trace_id=trace_id, name="answer", value={"degrees": [21, 22]})
    mlflow.log_feedback(trace_id=bad, name="judge", error=AssessmentError("RATE_LIMIT", "try later"))
    read = mlflow.get_assessment(trace_id, score.assessment_id)
    check("feedback comes back as it was", (read.value, read.rationale, read.source.source_id, read.metadata) == (0.75, "mostly right", "reviewer", {"round": "1"}))
    known = {one.name: one for one in mlflow.get_trace(trace_id).info.assessments}
    check("an expectation comes back as it was", known["answer"].value == {"degrees": [21, 22]})
    check("feedback that failed says why", mlflow.get_trace(bad).info.assessments[0].feedback.error.error_code == "RATE_LIMIT")
    mlflow.update_assessment(trace_id, score.assessment_id, Feedback(name="score", value=0.5, rationale="half right"))
    read = mlflow.get_assessment(trace_id, score.assessment_id)
    check("feedback is changed", (read.value, read.rationale) == (0.5, "half right"))
    check("traces are found by what is thought of them", found(filter_string="feedback.score < 0.6") == [trace_id] and found(filter_string="feedback.score > 0.6") == [])
    check("traces are found by what is expected of them", found(filter_string="expectation.answer IS NOT NULL") == [trace_id])
    better = mlflow.override_feedback(trace_id=trace_id, assessment_id=score.assessment_id, value=1.0, rationale="all right", source=human)
    valid = {one.assessment_id: one.valid for one in mlflow.get_trace(trace_id).info.assessments}
    check("an override takes the place of another", valid[score.assessment_id] is False and valid[better.assessment_id] is True and found(filter_string="feedback.score > 0.9") == [trace_id])
    mlflow.delete_assessment(trace_id=trace_id, assessment_id=better.assessment_id)
    check("without it the first is valid again", mlflow.get_assessment(trace_id, score.assessment_id).valid is True)
    check("an unknown assessment is none", code(lambda: mlflow.get_assessment(trace_id, "a-0")) == "RESOURCE_DOES_NOT_EXIST")


def numbers():
    def ask(view, name, aggregations, **more):
        points = tracing.store.query_trace_metrics([experiment], view, name, aggregations, **more)
        return [(point.dimensions, point.values) for point in points]

    count = [MetricAggregation(AggregationType.COUNT)]
    by_status = ask(MetricViewType.TRACES, "trace_count", count, dimensions=["trace_status"])
    check("traces are counted by how they went", by_status == [({"trace_status": "ERROR"}, {"COUNT": 1}), ({"trace_status": "OK"}, {"COUNT": 2})])
    tokens = ask(MetricViewType.TRACES, "total_tokens", [MetricAggregation(AggregationType.SUM), MetricAggregation(AggregationType.PERCENTILE, 95.0)])
    check("tokens are added up over traces", tokens == [({}, {"SUM": 10, "P95.0": 10})])
    spans = ask(MetricViewType.SPANS, "span_count", count, dimensions=["span_type"], filters=["trace.status = 'OK'"])
    check("spans are counted by their types", {d["span_type"]: v["COUNT"] for d, v in spans} == {"AGENT": 1, "LLM": 1, "TOOL": 1, "UNKNOWN": 1})
    now = int(time.time() * 1000)
    buckets = ask(MetricViewType.TRACES, "latency", [MetricAggregation(AggregationType.AVG)], time_interval_seconds=86400, start_time_ms=now - 86_400_000, end_time_ms=now)
    check("times are grouped", buckets and all(d["time_bucket"].endswith("T00:00:00+00:00") for d, _ in buckets))
    values = ask(MetricViewType.ASSESSMENTS, "assessment_value", [MetricAggregation(AggregationType.AVG)], dimensions=["assessment_name"])
    check("judgements are averaged", ({"assessment_name": "score"}, {"AVG": 0.5}) in values)
    together = tracing.calculate_trace_filter_correlation([experiment], "trace.status = 'ERROR'", "feedback.judge IS NOT NULL")
    check("two conditions are compared", (together.joint_count, together.total_count, together.npmi) == (1, 3, 1.0))


def with_runs():
    with mlflow.start_run() as run:
        agent("Bonn")
        inside = mlflow.get_last_active_trace_id()
    check("a trace made in a run belongs to it", found(run_id=run.info.run_id) == [inside])
    agent("Ulm")
    outside = mlflow.get_last_active_trace_id()
    client.link_traces_to_run([outside], run.info.run_id)
    client.link_traces_to_run([outside], run.info.run_id)
    check("a trace is linked to a run", set(found(run_id=run.info.run_id)) == {inside, outside})
    check("a trace cannot be linked to an unknown run", code(lambda: client.link_traces_to_run([outside], "0" * 32)) == "RESOURCE_DOES_NOT_EXIST")
    prompt = mlflow.genai.register_prompt(f"greet-{unique}", "Hello {{name}}")
    client.link_prompt_versions_to_trace([prompt], outside)
    check("a trace is found by its prompt", found(filter_string=f"prompt = 'greet-{unique}/1'") == [outside])


def asynchronously():
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "true"
    mlflow.tracing.reset()
    ids = []
    for at in range(20):
        with mlflow.start_span(f"async {at}") as span:
            with mlflow.start_span("inner"):
                pass
        ids.append(span.trace_id)
    mlflow.flush_trace_async_logging()
    whole = [mlflow.get_trace(trace_id) for trace_id in ids]
    check("traces are sent in the background", all(trace and len(trace.data.spans) == 2 for trace in whole))
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
    mlflow.tracing.reset()


def large():
    with mlflow.start_span("large") as root:
        for at in range(300):
            with mlflow.start_span(f"step {at}") as span:
                span.set_inputs({"text": "x" * 5000})
        root.set_outputs({"text": "y" * 2_000_000})
    trace = mlflow.get_trace(root.trace_id)
    check("a trace of hundreds of spans and megabytes is whole", len(trace.data.spans) == 301 and len(trace.data.spans[0].outputs["text"]) == 2_000_000)


def exports():
    """What another exporter sends, as it is sent."""
    def export(body, **headers):
        headers = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": experiment, **headers}
        return wire.post(f"{URI}/v1/traces", data=body, headers=headers, timeout=60)

    def batch(*spans):
        request = ExportTraceServiceRequest()
        place = request.resource_spans.add()
        shop = place.resource.attributes.add()
        shop.key, shop.value.string_value = "service.name", "shop"
        for at, parent, name in spans:
            span = place.scope_spans.add().spans.add()
            span.trace_id, span.span_id, span.name = otel, bytes([at] * 8), name
            span.parent_span_id = bytes([parent] * 8) if parent else b""
            span.start_time_unix_nano, span.end_time_unix_nano = at * 1_000_000_000, (at + 5) * 1_000_000_000
        return request.SerializeToString()

    otel = uuid.uuid4().bytes
    trace_id = f"tr-{otel.hex()}"
    first, second = batch((2, 1, "child"), (3, 2, "grandchild")), batch((1, 0, "root"))
    answer = export(gzip.compress(first), **{"Content-Encoding": "gzip"})
    check("an export is answered in OTLP's form", (answer.status_code, answer.headers["content-type"], answer.content) == (200, "application/x-protobuf", b""))
    check("a trace is open until its first span comes", client.get_trace(trace_id).info.state == "IN_PROGRESS")
    with mlflow.start_run() as run:
        pass
    for body in [second, first, second]:
        export(body, **{"x-mlflow-run-id": run.info.run_id})
    trace = client.get_trace(trace_id)
    check("spans come in any order, and again", [span.name for span in trace.data.spans] == ["root", "child", "grandchild"])
    check("the trace lasts from its first span to its last", (trace.info.state, trace.info.request_time, trace.info.execution_duration) == ("OK", 1000, 7000))
    check("the trace says where it comes from", trace.info.tags["service.name"] == "shop" and found(filter_string="tag.`service.name` = 'shop'") == [trace_id])
    check("the trace is linked to the run that the exporter names", found(run_id=run.info.run_id) == [trace_id])
    check("what is no export is refused", export(b"\xff\xff").status_code == 400 and b"OpenTelemetry" in export(b"\xff\xff").content)
    check("a bomb is refused", export(gzip.compress(bytes(17 << 20)), **{"Content-Encoding": "gzip"}).status_code == 413)
    check("an unknown experiment is refused", export(first, **{"x-mlflow-experiment-id": "123"}).status_code == 404)
    bare = requests.post(f"{URI}/v1/traces", data=first, verify=wire.verify, timeout=60, headers={"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": experiment})
    check("without a token nothing is taken", bare.status_code == 401)


def evaluating():
    @mlflow.genai.scorer
    def is_warm(inputs, outputs, expectations):
        return outputs["degrees"] > expectations["least"]

    @mlflow.genai.scorer
    def spans(trace):
        return Feedback(value=len(trace.data.spans), rationale="counted")

    data = [{"inputs": {"city": city}, "expectations": {"least": least}} for city, least in [("Rom", 10), ("Oslo", 30)]]
    result = mlflow.genai.evaluate(data=data, predict_fn=agent, scorers=[is_warm, spans])
    check("an evaluation with scorers of one's own counts", result.metrics == {"is_warm/mean": 0.5, "spans/mean": 3.0})
    traces = mlflow.search_traces(run_id=result.run_id, locations=[experiment], return_type="list")
    judged = {one.name for trace in traces for one in trace.info.assessments}
    check("its traces carry what the scorers think", len(traces) == 2 and {"is_warm", "spans", "least"} <= judged)


def deleting(good, bad):
    check("traces are deleted by their ids", client.delete_traces(experiment, trace_ids=[bad, "tr-none"]) == 1)
    check("a deleted trace is gone", mlflow.get_trace(bad, silent=True) is None and bad not in found())
    before = len(found(max_results=500))
    now = int(time.time() * 1000) + 60_000
    check("the oldest are deleted first", client.delete_traces(experiment, max_timestamp_millis=now, max_traces=2) == 2 and good not in found(max_results=500))
    check("all up to a time are deleted", client.delete_traces(experiment, max_timestamp_millis=now) == before - 2 and found() == [])
    check("to delete without saying which is refused", code(lambda: tracing.store._delete_traces(experiment)) == "INVALID_PARAMETER_VALUE")


def deleted_experiments():
    gone = client.create_experiment(f"gone {unique}")
    with mlflow.start_span("kept", trace_destination=mlflow.entities.trace_location.MlflowExperimentLocation(gone)) as span:
        pass
    client.delete_experiment(gone)
    answer = wire.patch(f"{URI}/api/2.0/mlflow/traces/{span.trace_id}/tags", json={"key": "a", "value": "b"}, timeout=60)
    check("a trace of a deleted experiment is read and not written", mlflow.get_trace(span.trace_id) is not None and answer.status_code == 400)
    client.restore_experiment(gone)
    check("it comes back with its experiment", found(locations=[gone]) == [span.trace_id])


experiment = mlflow.set_experiment(f"traces {unique}").experiment_id
check("the server speaks an interface that takes spans", wire.get(f"{URI}/version", timeout=60).text == "3.17.2")
good, bad = writing()
searching(good, bad)
labels(good)
assessments(good, bad)
numbers()
with_runs()
asynchronously()
large()
exports()
evaluating()
deleting(good, bad)
deleted_experiments()
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
