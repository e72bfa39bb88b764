"""Trains a classifier on the breast-cancer data that scikit-learn ships, tracks it with MLflow, exports it to ONNX."""

import os
import pathlib

import mlflow
import numpy
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

outputs = pathlib.Path("outputs")
outputs.mkdir(exist_ok=True)

data = load_breast_cancer()
features = data.data.astype(numpy.float32)
train_x, test_x, train_y, test_y = train_test_split(features, data.target, test_size=0.25, random_state=0)
numpy.savetxt(outputs / "train.csv", numpy.column_stack([train_x, train_y]), delimiter=",", fmt="%.6g")
print(f"{len(train_x)} rows to train on, {len(test_x)} to test on, {features.shape[1]} features", flush=True)

with mlflow.start_run() as run:
    mlflow.log_params({"rows": len(train_x), "model": "logistic regression", "canary": os.environ["CANARY"]})
    for step, strength in enumerate([0.001, 0.01, 0.1, 1.0]):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        model.fit(train_x, train_y)
        loss = log_loss(test_y, model.predict_proba(test_x))
        accuracy = accuracy_score(test_y, model.predict(test_x))
        mlflow.log_metrics({"loss": loss, "accuracy": accuracy}, step=step)
        print(f"C={strength}: accuracy {accuracy:.3f}, loss {loss:.4f}", flush=True)
    mlflow.set_tag("stage", "quickstart")
    exported = to_onnx(model, train_x[:1], options={id(model): {"zipmap": False}})
    (outputs / "model.onnx").write_bytes(exported.SerializeToString())
    (outputs / "note.txt").write_text(os.environ["CANARY"])
    mlflow.log_artifact("train.py", artifact_path="code")
    mlflow.onnx.log_model(exported, name="classifier")
    print(f"run {run.info.run_id} logged", flush=True)
