"""Trains tiny scikit-learn models, writes them as ONNX into a directory, and beside each what scikit-learn itself predicts.

usage: make_models.py DIRECTORY
"""

import json
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

OPSET = {"": 17, "ai.onnx.ml": 3}
directory = sys.argv[1]
os.makedirs(directory, exist_ok=True)


def save(name, graph, **expected):
    with open(f"{directory}/{name}.onnx", "wb") as file:
        file.write(graph if isinstance(graph, bytes) else graph.SerializeToString())
    with open(f"{directory}/{name}.json", "w") as file:
        json.dump(expected, file)


def classifier(name, model, rows, labels, **options):
    model.fit(rows, labels)
    graph = to_onnx(model, rows[:1], options=options or None, target_opset=OPSET)
    some = rows[::10]
    save(name, graph, rows=some.tolist(), predict=model.predict(some).tolist(), proba=model.predict_proba(some).tolist())


iris = load_iris()
rows = iris.data.astype(np.float32)
names = iris.target_names[iris.target]
forest = RandomForestClassifier(n_estimators=20, random_state=0)
classifier("logistic", make_pipeline(StandardScaler(), LogisticRegression()), rows, iris.target, zipmap=False)
classifier("forest", forest, rows, iris.target, zipmap=False)
classifier("forest_maps", forest, rows, iris.target)
classifier("words", forest, rows, names, zipmap=False)
classifier("words_maps", forest, rows, names)

diabetes, progress = load_diabetes(return_X_y=True)
diabetes = diabetes.astype(np.float32)
model = RandomForestRegressor(n_estimators=20, random_state=0).fit(diabetes, progress)
save("regressor", to_onnx(model, diabetes[:1], target_opset=OPSET),
     rows=diabetes[::40].tolist(), predict=model.predict(diabetes[::40]).tolist())

wide = diabetes.astype(np.float64)
model = LinearRegression().fit(wide, progress)
save("double", to_onnx(model, initial_types=[("x", DoubleTensorType([None, 10]))], target_opset=OPSET),
     rows=wide[::40].tolist(), predict=model.predict(wide[::40]).tolist())

# Two inputs, one of them text.
colour = np.array([["red"], ["green"], ["blue"], ["green"], ["red"], ["blue"]] * 5, dtype=object)
size = np.arange(30, dtype=np.float32).reshape(-1, 1)
heavy = [int(s > 14 or c == "red") for (c,), (s,) in zip(colour, size)]
table = np.hstack([colour, size.astype(object)])
model = make_pipeline(
    ColumnTransformer([("c", OneHotEncoder(), [0]), ("s", "passthrough", [1])]), LogisticRegression())
model.fit(table, heavy)
save("columns", to_onnx(model, initial_types=[("colour", StringTensorType([None, 1])), ("size", FloatTensorType([None, 1]))],
                        options={"zipmap": False}, target_opset=OPSET),
     colour=colour[:6].tolist(), size=size[:6].tolist(), predict=model.predict(table[:6]).tolist())


def graph(name, nodes, inputs, outputs, initializers=()):
    made = helper.make_graph(nodes, name, inputs, outputs, initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("elsewhere", 1)], ir_version=8)


def tensor(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


# NaN and the infinities, in and out.
save("quotient", graph("quotient", [helper.make_node("Div", ["a", "b"], ["q"])],
                       [tensor("a", TensorProto.FLOAT, ["N"]), tensor("b", TensorProto.FLOAT, ["N"])],
                       [tensor("q", TensorProto.FLOAT, ["N"])]))

# Every other type of element, each given back as it came.
kinds = ["INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL", "STRING", "DOUBLE"]
save("echo", graph("echo", [helper.make_node("Identity", [k.lower()], [f"{k.lower()}_out"]) for k in kinds],
                   [tensor(k.lower(), getattr(TensorProto, k), ["N", 2]) for k in kinds],
                   [tensor(f"{k.lower()}_out", getattr(TensorProto, k), ["N", 2]) for k in kinds]))

# Adds one, as often as it is told.
body = helper.make_graph(
    [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["x", "one"], ["x_next"])], "body",
    [tensor("i", TensorProto.INT64, []), tensor("go", TensorProto.BOOL, []), tensor("x", TensorProto.FLOAT, [1])],
    [tensor("go_on", TensorProto.BOOL, []), tensor("x_next", TensorProto.FLOAT, [1])])
save("loop", graph("loop", [helper.make_node("Squeeze", ["times"], ["count"]),
                            helper.make_node("Loop", ["count", "", "zero"], ["sum"], body=body)],
                   [tensor("times", TensorProto.INT64, [1])], [tensor("sum", TensorProto.FLOAT, [1])],
                   [helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]),
                    helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])]))

# Fails at run time: the index is the caller's.
save("gather", graph("gather", [helper.make_node("Gather", ["table", "at"], ["found"])],
                     [tensor("at", TensorProto.INT64, ["N"])], [tensor("found", TensorProto.FLOAT, ["N"])],
                     [helper.make_tensor("table", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])]))

# Not loadable: an operator nobody has; the first half of a model; no model at all.
save("unknown_operator", graph("unknown", [helper.make_node("Teleport", ["a"], ["b"], domain="elsewhere")],
                               [tensor("a", TensorProto.FLOAT, ["N"])], [tensor("b", TensorProto.FLOAT, ["N"])]))
whole = open(f"{directory}/forest.onnx", "rb").read()
save("truncated", whole[: len(whole) // 2])
save("prose", b"This is no model.\n" * 100)
