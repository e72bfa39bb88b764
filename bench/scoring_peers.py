"""Servers of models that people use today, each with what it needs and the few files that it serves our model with. All without TLS,
credentials and records of requests, with one worker."""

import os
import subprocess
import sys

NUMBERS = ["onnxruntime==1.31.1", "numpy==2.3.5"]
OPEN = """import numpy, onnxruntime, os
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
def predict(rows):
    return session.run(None, {name: numpy.asarray(rows, dtype=numpy.float32)})[0].tolist()
"""
ROWS = '{"data": [[5.1, 3.5, 1.4, 0.2]]}'


def installed(cache, name, packages):
    """The directory of the programs of these packages; installed once."""
    home = os.path.join(os.path.abspath(cache), "scoring-" + name.lower().replace(" ", "-").replace("'", ""))
    mark, wanted = os.path.join(home, "complete"), "\n".join(packages)
    if not os.path.exists(mark) or open(mark).read() != wanted:
        print(f"installing {name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        subprocess.run([f"{home}/bin/pip", "install", "--quiet", *packages], check=True)
        with open(mark, "w") as file:
            file.write(wanted)
    return f"{home}/bin"


class Peer:
    """How one is installed, started and asked. `files` are written where it starts; `PORT` stands for its port."""

    def __init__(self, name, packages, files, command, path="/score", body=ROWS, makes=None):
        self.name, self.packages, self.files, self.command = name, packages, files, command
        self.path, self.body, self.makes = path, body, makes

    def start(self, cache, place, model, port):
        """Its process."""
        programs = installed(cache, self.name, self.packages)
        os.makedirs(place)
        for name, text in self.files.items():
            with open(os.path.join(place, name), "w") as file:
                file.write(text.replace("PORT", str(port)))
        environment = {**os.environ, "MODEL": model, "PATH": f"{programs}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1",
                       "MLFLOW_DISABLE_TELEMETRY": "true", "BENTOML_DO_NOT_TRACK": "true", "HOME": place}
        if self.makes:
            subprocess.run([f"{programs}/python", self.makes], cwd=place, env=environment, check=True, stdout=subprocess.DEVNULL)
        command = [word.replace("PORT", str(port)) for word in self.command]
        with open(os.path.join(place, "log"), "w") as log:
            return subprocess.Popen([f"{programs}/{command[0]}", *command[1:]], cwd=place, env=environment, stdout=log,
                                    stderr=log, start_new_session=True)


TENSOR = '{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}]}'
PEERS = [
    Peer("FastAPI", ["fastapi==0.121.3", "uvicorn[standard]==0.38.0", *NUMBERS], {"app.py": OPEN + """
from fastapi import FastAPI
from pydantic import BaseModel
class Rows(BaseModel):
    data: list[list[float]]
app = FastAPI()
@app.post("/score")
def score(rows: Rows):
    return predict(rows.data)
"""}, ["uvicorn", "app:app", "--host", "127.0.0.1", "--port", "PORT", "--no-access-log", "--log-level", "warning"]),
    Peer("Azure's inference server", ["azureml-inference-server-http==1.5.0", *NUMBERS], {"score.py": OPEN + """
import json
def init():
    pass
def run(data):
    return predict(json.loads(data)["data"])
"""}, ["azmlinfsrv", "--entry_script", "score.py", "--port", "PORT", "--worker_count", "1"]),
    Peer("MLServer", ["mlserver==1.7.1", *NUMBERS], {
        "model-settings.json": '{"name": "iris", "implementation": "own.Own", "parallel_workers": 0}',
        "settings.json": '{"http_port": PORT, "grpc_port": 0, "metrics_endpoint": null, "parallel_workers": 0, "debug": false}',
        "own.py": OPEN + """
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
class Own(MLModel):
    async def load(self):
        return True
    async def predict(self, payload):
        rows = NumpyCodec.decode_input(payload.inputs[0])
        answer = NumpyCodec.encode_output("y", numpy.asarray(predict(rows)))
        return InferenceResponse(model_name="iris", outputs=[answer])
"""}, ["mlserver", "start", "."], "/v2/models/iris/infer", TENSOR),
    Peer("BentoML", ["bentoml==1.4.29", *NUMBERS], {"service.py": OPEN + """
import bentoml
@bentoml.service(workers=1)
class Iris:
    @bentoml.api
    def score(self, data: list[list[float]]) -> list[int]:
        return predict(data)
"""}, ["bentoml", "serve", "service:Iris", "--host", "127.0.0.1", "--port", "PORT"]),
    Peer("mlflow models serve", ["mlflow==3.17.2", "onnx==1.19.1", "pandas==2.3.3", *NUMBERS], {"make.py": """import os, shutil
import mlflow.onnx, onnx
mlflow.onnx.save_model(onnx.load(os.environ["MODEL"]), "model")
"""}, ["mlflow", "models", "serve", "-m", "model", "--host", "127.0.0.1", "--port", "PORT", "--env-manager", "local",
       "--workers", "1"], "/invocations", '{"inputs": [[5.1, 3.5, 1.4, 0.2]]}', makes="make.py"),
]
