//! Entry scripts that use what is commonly used in them: numpy, inference-schema, the raw HTTP package, ONNX Runtime.

use std::ffi::OsStr;
use std::fs;

use libtest_mimic::{Failed, Trial};
use serde_json::json;

use crate::python::{Script, start};
use crate::site::Site;

pub fn trials(site: Site) -> Vec<Trial> {
    let test = |name: &str, body: fn(&Site)| {
        Trial::test(format!("packages::{name}"), move || {
            body(&site);
            Ok::<(), Failed>(())
        })
    };
    vec![
        test("numpy_results_become_json", numpy_results_become_json),
        test("a_script_may_ask_for_whole_requests", a_script_may_ask_for_whole_requests),
        test("declared_schemas_are_kept_and_shown", declared_schemas_are_kept_and_shown),
        test("a_script_with_a_model_answers_like_scikit_learn", a_script_with_a_model_answers_like_scikit_learn),
    ]
}

fn serve_with(site: &Site, script: &str, env: &[(&str, &OsStr)]) -> Script {
    let mut all = vec![("PYTHONPATH", site.packages.as_os_str())];
    all.extend_from_slice(env);
    let Script { replica, _place } = start(script, &[], &all);
    Script { replica: replica.ready(), _place }
}

fn numpy_results_become_json(site: &Site) {
    let script = "
import json, numpy as np
def init(): pass
def run(data):
    return {
        'array': np.arange(4).reshape(2, 2), 'scalar': np.float64(0.5), 'int': np.int64(3), 'bool': np.bool_(True),
        'nested': {'a': np.array([1.5, np.nan])}, 'words': np.array(['a', 'b']),
    }[json.loads(data)]
";
    let Script { replica, _place } = serve_with(site, script, &[]);
    for (ask, answer) in [
        ("array", json!([[0, 1], [2, 3]])),
        ("scalar", json!(0.5)),
        ("int", json!(3)),
        ("bool", json!(true)),
        ("nested", json!({"a": [1.5, "NaN"]})),
        ("words", json!(["a", "b"])),
    ] {
        assert_eq!(replica.score(&json!(ask)).json(), answer, "{ask}");
    }
}

fn declared_schemas_are_kept_and_shown(site: &Site) {
    let script = "
import numpy as np
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
def init(): pass
@input_schema('data', NumpyParameterType(np.array([[1.0, 2.0]])))
@output_schema(NumpyParameterType(np.array([1.0])))
def run(data):
    assert isinstance(data, np.ndarray)
    if data[0, 0] < 0: raise ValueError('negative')
    return data.sum(axis=1)
";
    let Script { replica, _place } = serve_with(site, script, &[]);
    assert_eq!(replica.score(&json!({"data": [[1, 2], [3, 4]]})).json(), json!([3.0, 7.0]));
    assert!(replica.score(&json!({"rows": []})).failure(400).contains("`data` is missing"));
    replica.score(&json!({"data": [[1, 2, 3]]})).failure(400);
    replica.score(&json!({"data": 3})).failure(400);
    replica.score(&json!([])).failure(400);
    assert!(replica.score(&json!({"data": [[-1, 2]]})).failure(502).contains("ValueError: negative"));
    let document = replica.get("/swagger.json").json();
    assert_eq!(document["definitions"]["ServiceInput"]["properties"]["data"]["type"], "array");
    assert_eq!(document["definitions"]["ServiceInput"]["example"]["data"], json!([[1.0, 2.0]]));
    assert_eq!(document["definitions"]["ServiceOutput"]["type"], "array");
}

fn a_script_with_a_model_answers_like_scikit_learn(site: &Site) {
    let script = "
import json, os
import numpy as np, onnxruntime
def init():
    global session
    session = onnxruntime.InferenceSession(os.path.join(os.environ['MODELS'], 'words.onnx'))
def run(data):
    rows = np.array(json.loads(data)['data'], dtype=np.float32)
    return session.run(['label'], {'X': rows})[0]
";
    let Script { replica, _place } = serve_with(site, script, &[("MODELS", site.models.as_os_str())]);
    let known: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(site.models.join("words.json")).unwrap()).unwrap();
    assert_eq!(replica.score(&json!({"data": known["rows"]})).json(), known["predict"]);
}

fn a_script_may_ask_for_whole_requests(site: &Site) {
    let script = "
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse
def init(): pass
@rawhttp
def run(request):
    if request.method == 'GET':
        return AMLResponse(request.full_path, 200)
    if request.method == 'OPTIONS':
        return AMLResponse('', 204, {'Access-Control-Allow-Origin': '*'})
    if request.method == 'POST':
        if request.is_json:
            return request.json
        return AMLResponse(bytes(reversed(request.get_data(False))), 201, {'Content-Type': request.content_type})
    return AMLResponse('bad request', 500, run_function_failed=True)
";
    let Script { replica, _place } = serve_with(site, script, &[]);
    let mut connection = replica.connect();
    let image = connection.send("POST", "/score", &[("content-type", "image/png")], b"\x00\x01\n\xff").unwrap();
    assert_eq!((image.status, image.body.as_slice()), (201, b"\xff\n\x01\x00".as_slice()));
    assert_eq!(image.header("content-type"), Some("image/png"));
    assert_eq!(connection.send("GET", "/score?p=1&q=2", &[], b"").unwrap().text(), "/score?p=1&q=2");
    let options = connection.send("OPTIONS", "/score", &[], b"").unwrap();
    assert_eq!((options.status, options.header("access-control-allow-origin")), (204, Some("*")));
    let json = connection.send("POST", "/score", &[("content-type", "application/json")], b"[1, 2]").unwrap();
    assert_eq!(json.json(), json!([1, 2]));
    let failed = connection.send("DELETE", "/score", &[], b"").unwrap();
    assert_eq!((failed.status, failed.header("x-ms-run-function-failed")), (500, Some("True")));
}
