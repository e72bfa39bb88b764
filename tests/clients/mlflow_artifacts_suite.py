"""Files through MLflow's own Python client: in parts, by ranges, and pickles of all kinds. Prints a line per check and 'N passed, N failed'."""

import gzip
import hashlib
import http.client
import io
import os
import pathlib
import pickle
import ssl
import sys
import tempfile
import urllib.parse
import uuid
import zipfile
import zlib

import environment

PINS = ["mlflow-skinny==3.17.2", "numpy==2.4.6", "joblib==1.5.3"]

environment.enter("mlflow-artifacts", __doc__, PINS)

CA = os.environ.get("BARTIZAN_CA", "")
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ.setdefault("MLFLOW_TRACKING_SERVER_CERT_PATH", CA)
# For parts the client trusts what every program on the machine trusts.
os.environ["REQUESTS_CA_BUNDLE"] = CA
os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = "true"
os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = "true"
os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = str(1 << 20)
os.environ["MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE"] = str(300_000)
os.environ["MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE"] = str(700_000)
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"
home = tempfile.TemporaryDirectory()
os.environ["HOME"] = home.name
os.chdir(home.name)

import joblib  # noqa: E402
import mlflow  # noqa: E402
import numpy  # noqa: E402
import requests  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

URI = os.environ["MLFLOW_TRACKING_URI"].rstrip("/")
TOKEN = os.environ["MLFLOW_TRACKING_TOKEN"]
client = MlflowClient()
unique = uuid.uuid4().hex[:8]
passed = failed = 0


def check(name, holds):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, flush=True)


sent = []
plain_request, plain_put = requests.Session.request, requests.put


def watched(self, method, url, **more):
    sent.append((method.upper(), urllib.parse.urlsplit(url).path.split("/api/2.0/")[-1]))
    return plain_request(self, method, url, **more)


requests.Session.request = watched

wire = requests.Session()
wire.trust_env = False
wire.verify = CA
wire.headers["Authorization"] = f"Bearer {TOKEN}"


def raw(method, path, **more):
    return wire.request(method, f"{URI}/api/2.0/{path}", timeout=60, **more)


# --- files in parts ---------------------------------------------------------------------------------------------

experiment = client.create_experiment(f"artifacts-{unique}")
run = client.create_run(experiment).info
root = f"{experiment}/{run.run_id}/artifacts"
content = os.urandom(3_333_333)
big = pathlib.Path("big.bin")
big.write_bytes(content)
client.log_artifact(run.run_id, str(big), "deep/er")
parts = [path for method, path in sent if method == "PUT" and "/mpu/parts/" in path]
check("a large file went in twelve parts", len(parts) == 12 and not any("/artifacts/" in path for method, path in sent if method == "PUT"))
check("and was completed", any("mpu/complete" in path for _, path in sent) and not any("mpu/abort" in path for _, path in sent))
listed = client.list_artifacts(run.run_id, "deep/er")
check("it is listed as one file", [(one.path, one.is_dir, one.file_size) for one in listed] == [("deep/er/big.bin", False, len(content))])
sent.clear()
place = client.download_artifacts(run.run_id, "deep/er/big.bin", home.name + "/")
check("it comes back as it went", pathlib.Path(place).read_bytes() == content)
reads = [path for method, path in sent if method == "GET"]
check("in five ranges, with one ticket", sum("presigned" in path for path in reads) == 1 and sum("mlflow-artifacts/artifacts/" in path for path in reads) == 5)
small = pathlib.Path("small ü.txt")
small.write_text("hello")
sent.clear()
client.log_artifact(run.run_id, str(small))
check("a small one goes whole", not any("mpu" in path for _, path in sent))
place = client.download_artifacts(run.run_id, small.name, home.name + "/")
check("and comes back with a ticket too", pathlib.Path(place).read_text() == "hello")
folder = pathlib.Path("folder")
(folder / "in").mkdir(parents=True)
(folder / "in" / "a.bin").write_bytes(content[:1_500_000])
(folder / "b.txt").write_text("b")
client.log_artifacts(run.run_id, str(folder), "all")
place = pathlib.Path(client.download_artifacts(run.run_id, "all", home.name + "/"))
check("a folder with both", (place / "in" / "a.bin").read_bytes() == content[:1_500_000] and (place / "b.txt").read_text() == "b")

address = f"mlflow-artifacts/artifacts/{root}/deep/er/big.bin"
head = raw("HEAD", address)
check("a head says length and tag", head.headers["Content-Length"] == str(len(content)) and head.headers["Accept-Ranges"] == "bytes")
half = raw("GET", address, headers={"Range": "bytes=250000-950000", "If-Range": head.headers["ETag"]})
check("a range over three parts", half.status_code == 206 and half.content == content[250_000:950_001])
check("beyond the end", raw("GET", address, headers={"Range": f"bytes={len(content)}-"}).status_code == 416)
check("a browser does not run it", all(part in half.headers["Content-Security-Policy"] for part in ("default-src 'none'", "sandbox"))
      and half.headers["X-Content-Type-Options"] == "nosniff" and half.headers["Content-Disposition"].startswith("attachment"))

# An upload that fails: the client aborts it, and nothing is left of it.
plain_send = requests.adapters.HTTPAdapter.send


def failing(self, request, **more):
    if request.method == "PUT" and request.url.endswith("/3"):
        raise requests.ConnectionError("on purpose")
    return plain_send(self, request, **more)


requests.adapters.HTTPAdapter.send = failing
sent.clear()
try:
    client.log_artifact(run.run_id, str(big), "broken")
    check("an upload without a part fails", False)
except Exception:
    check("an upload without a part fails", True)
requests.adapters.HTTPAdapter.send = plain_send
check("and is aborted", any("mpu/abort" in path for _, path in sent) and client.list_artifacts(run.run_id, "broken") == [])

client.log_artifact(run.run_id, str(big), "gone")
mlflow.artifacts  # noqa: B018
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # noqa: E402

repository = get_artifact_repository(run.artifact_uri)
repository.delete_artifacts("gone")
check("a directory is deleted", client.list_artifacts(run.run_id, "gone") == [])

# --- paths, as no client sends them -----------------------------------------------------------------------------

base = urllib.parse.urlsplit(URI)
trust = ssl.create_default_context(cafile=CA)


def bare(method, below, body=None):
    """A request whose path is sent to the byte."""
    connection = http.client.HTTPSConnection(base.hostname, base.port, context=trust, timeout=30)
    connection._validate_path = lambda path: None
    connection.request(method, f"{base.path}/api/2.0/{below}", body=body, headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    return answer.status, said


hostile = ["..", "../x", "../../x", "a/../x", "./x", "a/.", "%2e%2e", "%2e%2e/x", "%2E./x", ".%2e/x", "%252e%252e/x", "..%2fx", "..%5cx", "a\\b", "..\\x",
           "%5c..%5cx", "%00", "a%00b", "%0a", "%7f", "/etc/passwd", "//etc", "%2fetc", "C:/x", "C%3a%5cx", "%23", "x%23y", "%3f", "..;/x", "..%3b/x", "%ff", "%c0%ae%c0%ae/x",
           "%EF%BC%8E%EF%BC%8E/x", "%E2%80%A5", "x%E2%88%95..%E2%88%95y", "%E2%80%AEx", "%zz", "x" * 300, "/".join("x" * 70)]
wrong = []
body = b'{"path": "m.bin", "num_parts": 1, "upload_id": "6f9619ff-8b86-d011-b42d-00c04fc964ff", "parts": []}'
for bad in hostile:
    doors = [(method, f"mlflow-artifacts/artifacts/{root}/{bad}") for method in ("GET", "PUT", "DELETE")]
    doors += [("POST", f"mlflow-artifacts/mpu/{how}/{root}/{bad}") for how in ("create", "complete", "abort")]
    doors += [("GET", f"mlflow-artifacts/presigned/{root}/{bad}"), ("GET", f"mlflow-artifacts/artifacts?path={root}/{bad}")]
    for method, below in doors:
        status, said = bare(method, below, body if method in ("POST", "PUT") else None)
        if status != 400 or b"Invalid path" not in said:
            wrong.append((method, below[-60:], status, said[:80]))
for one in wrong[:20]:
    print("      ", one)
check(f"{len(hostile)} hostile paths on eight doors", not wrong)
check("nothing came of them", sorted(one.path for one in client.list_artifacts(run.run_id)) == ["all", "deep", small.name])

# --- pickles ----------------------------------------------------------------------------------------------------


class Call:
    """What runs a command when it is loaded."""

    def __reduce__(self):
        return os.system, ("touch /tmp/never",)


class Estimator:
    """Like one of scikit-learn's: its name is that of a known library."""

    def __init__(self):
        self.coef_ = numpy.arange(12.0).reshape(3, 4)
        self.names_ = numpy.array(["a", "b"], dtype=object)
        self.words = ["os", "system", "eval"]


Estimator.__module__ = "sklearn.linear_model._base"
Estimator.__qualname__ = "LinearRegression"
module = type(sys)("sklearn.linear_model._base")
module.LinearRegression = Estimator
for name in ("sklearn", "sklearn.linear_model", "sklearn.linear_model._base"):
    sys.modules.setdefault(name, module if name.endswith("_base") else type(sys)(name))


def zipped(method=zipfile.ZIP_STORED, **members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name.replace('__', '.')}", content)
    return out.getvalue()


def dumped(call, value):
    out = io.BytesIO()
    call(value, out)
    return out.getvalue()


def saved(array):
    return dumped(lambda value, out: numpy.save(out, value, allow_pickle=True), array)


bad, good = Call(), Estimator()
corpus = []
for protocol in range(6):
    corpus.append((f"call-{protocol}.pkl", pickle.dumps(bad, protocol), "dangerous"))
    corpus.append((f"nested-{protocol}.pkl", pickle.dumps({"a": [good, (bad,)]}, protocol), "dangerous"))
    corpus.append((f"model-{protocol}.pkl", pickle.dumps(good, protocol), "clean"))
for packed in (0, ("zlib", 3), ("gzip", 3)):
    name = packed[0] if packed else "plain"
    corpus.append((f"good-{name}.joblib", dumped(lambda value, out: joblib.dump(value, out, compress=packed), good), "clean"))
    corpus.append((f"bad-{name}.joblib", dumped(lambda value, out: joblib.dump(value, out, compress=packed), [good, bad, good]), "dangerous"))
corpus += [
    ("bad.pt", zipped(data__pkl=pickle.dumps(bad, 2), data=os.urandom(5000)), "dangerous"),
    ("good.pt", zipped(data__pkl=pickle.dumps(good, 2), data=os.urandom(5000)), "clean"),
    ("deflated.pth", zipped(zipfile.ZIP_DEFLATED, data__pkl=pickle.dumps(bad, 2)), "dangerous"),
    ("good.npz", dumped(lambda value, out: numpy.savez(out, a=value, b=value), numpy.arange(9)), "clean"),
    ("objects.npz", dumped(lambda value, out: numpy.savez_compressed(out, a=value), numpy.array([bad], dtype=object)), "dangerous"),
    ("objects.npy", saved(numpy.array([bad], dtype=object)), "dangerous"),
    ("numbers.npy", saved(numpy.arange(1000.0)), "clean"),
    ("bad.pkl.gz", gzip.compress(pickle.dumps(bad)), "dangerous"),
    ("bad.bin", zlib.compress(pickle.dumps(bad)), "dangerous"),
    ("hidden.txt", pickle.dumps(bad, 4), "dangerous"),
    ("lambda.keras", zipped(config__json=b'{"class_name": "Lambda", "function": {"class_name": "__lambda__"}}'), "suspicious"),
    ("bomb.pkl.gz", gzip.compress(b"\x80\x04" + b"(" * 40_000_000), "unread"),
    ("bytes.pkl", pickle.dumps(b"cos\nsystem\n(S'id'\ntR." * 1000), "clean"),
    ("table.csv", b"os,system\n1,2\n" * 100, "clean"),
    ("half.pkl", pickle.dumps(bad)[:-3], "dangerous"),
]
client.create_registered_model(f"scan-{unique}")
found = {}
for name, content, expected in corpus:
    pathlib.Path(name).write_bytes(content)
    client.log_artifact(run.run_id, name, f"scan/{name}")
    version = client.create_model_version(f"scan-{unique}", f"runs:/{run.run_id}/scan/{name}", run.run_id)
    tags = client.get_model_version(f"scan-{unique}", version.version).tags
    found[name] = tags.get("bartizan.scan", "clean")
    check(f"{name} is {expected}", found[name] == expected or print("      ", tags))
check("nothing was loaded", not os.path.exists("/tmp/never"))
try:
    client.set_model_version_tag(f"scan-{unique}", "1", "bartizan.scan", "clean")
    check("nobody else says what was found", False)
except MlflowException as fault:
    check("nobody else says what was found", fault.error_code == "INVALID_PARAMETER_VALUE")

print(f"{passed} passed, {failed} failed")
sys.exit(bool(failed))
