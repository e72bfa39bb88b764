"""Trains a nearest-centroid classifier on Fisher's iris data with nothing but the standard library."""

import csv
import json
import math
import os
import pathlib
import random
import time
import urllib.request

outputs = pathlib.Path("outputs")
outputs.mkdir(exist_ok=True)
rows = [([float(cell) for cell in row[:4]], row[4]) for row in csv.reader(open("iris.csv"))]
random.Random(0).shuffle(rows)
train, test = rows[:110], rows[110:]
(outputs / "train.csv").write_text("".join(",".join(map(str, x)) + f",{y}\n" for x, y in train))
print(f"{len(train)} rows to train on, {len(test)} to test on", flush=True)


def track(call, **fields):
    """One call of MLflow's REST protocol. The address is the jail's own proxy, which adds the run's token."""
    body = json.dumps({"run_id": os.environ["MLFLOW_RUN_ID"], **fields}).encode()
    url = f"{os.environ['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/runs/{call}"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


centroids = {}
for label in sorted({y for _, y in train}):
    members = [x for x, y in train if y == label]
    centroids[label] = [sum(column) / len(members) for column in zip(*members)]
guess = lambda x: min(centroids, key=lambda label: math.dist(x, centroids[label]))
accuracy = sum(guess(x) == y for x, y in test) / len(test)
track("log-parameter", key="canary", value=os.environ["CANARY"])
track("log-parameter", key="model", value="nearest centroid")
track("log-metric", key="accuracy", value=accuracy, timestamp=int(time.time() * 1000), step=0)
print(f"accuracy {accuracy:.3f}", flush=True)
(outputs / "model.json").write_text(json.dumps(centroids))
(outputs / "note.txt").write_text(os.environ["CANARY"])
