//! ONNX models: the same answers as scikit-learn, and clear words for what does not fit.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::time::Instant;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::replica::{Replica, Reply};
use crate::site::Site;

pub fn trials(site: Site) -> Vec<Trial> {
    let test = |name: &str, body: fn(&Site)| {
        Trial::test(format!("onnx::{name}"), move || {
            body(&site);
            Ok::<(), Failed>(())
        })
    };
    vec![
        test("a_classifier_answers_like_scikit_learn", a_classifier_answers_like_scikit_learn),
        test("labels_may_be_words", labels_may_be_words),
        test("maps_by_label_become_objects", maps_by_label_become_objects),
        test("a_regressor_answers_a_plain_list", a_regressor_answers_a_plain_list),
        test("several_inputs_go_by_name", several_inputs_go_by_name),
        test("every_element_type_comes_back_as_it_went", every_element_type_comes_back_as_it_went),
        test("what_json_cannot_spell_is_a_string", what_json_cannot_spell_is_a_string),
        test("the_open_inference_protocol_tells_of_the_model", the_open_inference_protocol_tells_of_the_model),
        test("infer_answers_as_score_does", infer_answers_as_score_does),
        test("infer_carries_every_datatype", infer_carries_every_datatype),
        test("infer_names_what_does_not_fit", infer_names_what_does_not_fit),
        test("what_does_not_fit_is_named", what_does_not_fit_is_named),
        test("wrong_calls_get_the_right_status", wrong_calls_get_the_right_status),
        test("the_swagger_document_describes_this_model", the_swagger_document_describes_this_model),
        test("a_file_that_is_no_model_ends_the_process_with_the_reason", a_file_that_is_no_model_ends_the_process),
        test("a_library_that_is_none_ends_the_process_with_the_reason", a_library_that_is_none_ends_the_process),
        test("a_run_without_end_is_cut_short", a_run_without_end_is_cut_short),
        test("a_model_that_fails_is_a_bad_gateway", a_model_that_fails_is_a_bad_gateway),
        test("many_at_once_are_all_answered_right", many_at_once_are_all_answered_right),
        test("a_full_queue_is_said_so", a_full_queue_is_said_so),
        test("requests_in_flight_are_finished_before_the_end", requests_in_flight_are_finished_before_the_end),
    ]
}

fn start(site: &Site, model: &str, more: &[&str]) -> Replica {
    let mut args: Vec<OsString> = ["--engine", "onnx", "--model"].map(OsString::from).to_vec();
    args.push(site.models.join(model).with_extension("onnx").into());
    args.push("--onnxruntime".into());
    args.push(site.onnxruntime.into());
    args.extend(more.iter().map(OsString::from));
    Replica::start(args, &[])
}

fn serve(site: &Site, model: &str) -> Replica {
    start(site, model, &[]).ready()
}

fn expected(site: &Site, model: &str) -> Value {
    let text = std::fs::read_to_string(site.models.join(model).with_extension("json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[track_caller]
fn assert_close(left: &Value, right: &Value) {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            assert_eq!(left.len(), right.len());
            left.iter().zip(right).for_each(|(left, right)| assert_close(left, right));
        }
        (Value::Number(left), Value::Number(right)) => {
            let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
            assert!((left - right).abs() <= 1e-4 * (1.0 + right.abs()), "{left} is not {right}");
        }
        (left, right) => assert_eq!(left, right),
    }
}

fn a_classifier_answers_like_scikit_learn(site: &Site) {
    for model in ["logistic", "forest"] {
        let (replica, known) = (serve(site, model), expected(site, model));
        assert_eq!(replica.get("/").text(), "Healthy");
        assert_eq!(replica.score(&json!({"data": known["rows"]})).json(), known["predict"]);
        assert_eq!(replica.score(&json!({"Inputs": {"data": known["rows"]}})).json(), known["predict"]);
        let chosen = replica.score(&json!({"outputs": ["probabilities"], "data": known["rows"]})).json();
        assert_close(&chosen, &known["proba"]);
        let both = replica.score(&json!({"data": known["rows"], "outputs": ["probabilities", "label"]})).json();
        assert_eq!(both["label"], known["predict"]);
        assert_close(&both["probabilities"], &known["proba"]);
        // One row at a time gives the same as all together.
        for (row, label) in known["rows"].as_array().unwrap().iter().zip(known["predict"].as_array().unwrap()) {
            assert_eq!(replica.score(&json!({"data": {"X": [row]}})).json(), json!([label]));
        }
    }
}

fn labels_may_be_words(site: &Site) {
    let (replica, known) = (serve(site, "words"), expected(site, "words"));
    assert_eq!(replica.score(&json!({"data": known["rows"]})).json(), known["predict"]);
    assert_eq!(known["predict"][0], "setosa");
}

fn maps_by_label_become_objects(site: &Site) {
    for (model, labels) in [("forest_maps", ["0", "1", "2"]), ("words_maps", ["setosa", "versicolor", "virginica"])] {
        let (replica, known) = (serve(site, model), expected(site, model));
        assert_eq!(replica.score(&json!({"data": known["rows"]})).json(), known["predict"]);
        let maps = replica.score(&json!({"data": known["rows"], "outputs": ["output_probability"]})).json();
        let maps = maps.as_array().unwrap();
        assert_eq!(maps.len(), known["rows"].as_array().unwrap().len());
        for (map, row) in maps.iter().zip(known["proba"].as_array().unwrap()) {
            assert_eq!(map.as_object().unwrap().len(), 3);
            labels.iter().enumerate().for_each(|(at, label)| assert_close(&map[label], &row[at]));
        }
    }
}

fn a_regressor_answers_a_plain_list(site: &Site) {
    for model in ["regressor", "double"] {
        let (replica, known) = (serve(site, model), expected(site, model));
        assert_close(&replica.score(&json!({"data": known["rows"]})).json(), &known["predict"]);
    }
}

fn several_inputs_go_by_name(site: &Site) {
    let (replica, known) = (serve(site, "columns"), expected(site, "columns"));
    let both = json!({"data": {"size": known["size"], "colour": known["colour"]}});
    assert_eq!(replica.score(&both).json(), known["predict"]);
    // A column's values may stand alone.
    let flat = json!({"data": {"colour": ["red", "green"], "size": [1.0, 2]}});
    assert_eq!(replica.score(&flat).json().as_array().unwrap().len(), 2);
    let missing = replica.score(&json!({"data": {"colour": ["red"]}})).failure(400);
    assert!(missing.contains("`size`: float32 of shape [-1, 1]") && missing.contains("missing"), "{missing}");
    let unknown = replica.score(&json!({"data": {"weight": [1]}})).failure(400);
    assert!(unknown.contains("no input `weight`") && unknown.contains("`colour`: string"), "{unknown}");
    let list = replica.score(&json!({"data": [[1, 2]]})).failure(400);
    assert!(list.contains("must be an object of `colour`"), "{list}");
    let number = replica.score(&json!({"data": {"colour": [1], "size": [1]}})).failure(400);
    assert!(number.contains("input `colour`: string"), "{number}");
}

fn every_element_type_comes_back_as_it_went(site: &Site) {
    let replica = serve(site, "echo");
    let data = json!({
        "int8": [[-128, 127]], "int16": [[-32768, 32767]], "int32": [[-2147483648_i64, 2147483647]],
        "int64": [[i64::MIN, i64::MAX]], "uint8": [[0, 255]], "uint16": [[0, 65535]], "uint32": [[0, u32::MAX]],
        "uint64": [[0, u64::MAX]], "bool": [[true, false]], "string": [["é \" \\ \n", ""]], "double": [[0.1, -1e300]]
    });
    let names: Vec<String> = data.as_object().unwrap().keys().map(|name| format!("{name}_out")).collect();
    let given = replica.score(&json!({"data": data, "outputs": names})).json();
    for (name, value) in data.as_object().unwrap() {
        assert_eq!(&given[format!("{name}_out")], value, "{name}");
    }
    for (name, wrong) in [("int8", json!([[128, 0]])), ("int64", json!([[0.5, 1]])), ("bool", json!([[1, 0]]))] {
        let mut data = data.clone();
        data[name] = wrong;
        let said = replica.score(&json!({"data": data})).failure(400);
        assert!(said.contains(&format!("input `{name}`: {name} of shape [-1, 2]")), "{said}");
    }
}

fn what_json_cannot_spell_is_a_string(site: &Site) {
    let replica = serve(site, "quotient");
    let given = replica.score(&json!({"data": {"a": [0, 1, -1, 1.5, "NaN"], "b": [0, 0, 0, "-Infinity", 1]}})).json();
    assert_eq!(given, json!(["NaN", "Infinity", "-Infinity", -0.0, "NaN"]));
    let said = replica.score(&json!({"data": {"a": ["one"], "b": [1]}})).failure(400);
    assert!(said.contains("input `a`: float32 of shape [-1]") && said.contains("one"), "{said}");
    let said = replica.score(&json!({"data": {"a": [1e300], "b": [1]}})).failure(400);
    assert!(said.contains("beyond float32"), "{said}");
    // Each fits alone; together they do not.
    let said = replica.score(&json!({"data": {"a": [1, 2, 3], "b": [1, 2]}})).failure(400);
    assert!(said.contains("different numbers of rows"), "{said}");
}

fn infer(replica: &Replica, model: &str, body: &[u8]) -> Reply {
    let path = format!("/v2/models/{model}/infer");
    replica.connect().send("POST", &path, &[("content-type", "application/json")], body).unwrap()
}

#[track_caller]
fn refused(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{}", reply.text());
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["error"].as_str().unwrap().to_owned()
}

fn the_open_inference_protocol_tells_of_the_model(site: &Site) {
    let replica = serve(site, "logistic");
    assert_eq!(replica.get("/v2").json()["name"], "bartizan");
    assert_eq!(replica.get("/v2/health/live").json(), json!({"live": true}));
    assert_eq!(replica.get("/v2/health/ready").json(), json!({"ready": true}));
    assert_eq!(replica.get("/v2/models/my%20iris/ready").json(), json!({"name": "my iris", "ready": true}));
    let told = replica.get("/v2/models/iris").json();
    assert_eq!((&told["name"], &told["platform"]), (&json!("iris"), &json!("onnxruntime_onnx")));
    assert_eq!(told["inputs"], json!([{"name": "X", "datatype": "FP32", "shape": [-1, 4]}]));
    let outputs: Vec<_> = told["outputs"].as_array().unwrap().iter().map(|out| out["datatype"].clone()).collect();
    assert_eq!(outputs, [json!("INT64"), json!("FP32")]);
    // Maps by label are no tensors.
    assert_eq!(serve(site, "forest_maps").get("/v2/models/m").json()["outputs"].as_array().unwrap().len(), 1);
    for path in ["/v2/nothing", "/v2/models", "/v2/models/%zz", "/v2/models/a/b/c"] {
        refused(&replica.get(path), 404);
    }
    refused(&replica.get("/v2/models/iris/infer"), 405);
    let bytes = [("content-type", "application/json"), ("inference-header-content-length", "10")];
    let reply = replica.connect().send("POST", "/v2/models/iris/infer", &bytes, b"{}").unwrap();
    assert!(refused(&reply, 400).contains("as bytes"));
}

fn infer_answers_as_score_does(site: &Site) {
    let (replica, known) = (serve(site, "logistic"), expected(site, "logistic"));
    let rows = known["rows"].as_array().unwrap();
    let flat: Vec<Value> = rows.iter().flat_map(|row| row.as_array().unwrap().clone()).collect();
    for data in [json!(flat), known["rows"].clone()] {
        // The order of the fields is the caller's.
        for body in [
            json!({"id": "42", "inputs": [{"name": "X", "shape": [rows.len(), 4], "datatype": "FP32", "data": data}]})
                .to_string(),
            format!(
                r#"{{"inputs": [{{"data": {data}, "datatype": "FP32", "parameters": {{"a": 1}}, "shape": [{}, 4], "name": "X"}}], "id": "42"}}"#,
                rows.len()
            ),
        ] {
            let answer = infer(&replica, "iris", body.as_bytes()).json();
            assert_eq!((&answer["model_name"], &answer["id"]), (&json!("iris"), &json!("42")));
            let outputs = answer["outputs"].as_array().unwrap();
            assert_eq!(outputs.len(), 2);
            assert_eq!((&outputs[0]["datatype"], &outputs[0]["shape"]), (&json!("INT64"), &json!([rows.len()])));
            assert_eq!(outputs[0]["data"], known["predict"]);
            assert_eq!(outputs[1]["shape"], json!([rows.len(), 3]));
            let odds: Vec<Value> =
                known["proba"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap().clone()).collect();
            assert_close(&outputs[1]["data"], &json!(odds));
        }
    }
    let chosen = json!({"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": rows[0]}],
        "outputs": [{"name": "probabilities"}]});
    let answer = infer(&replica, "iris", chosen.to_string().as_bytes()).json();
    assert_eq!(answer["outputs"].as_array().unwrap().len(), 1);
    assert_eq!(answer["outputs"][0]["name"], "probabilities");
    assert_eq!(answer.get("id"), None);
}

fn infer_carries_every_datatype(site: &Site) {
    let replica = serve(site, "echo");
    let data = [
        ("int8", "INT8", json!([-128, 127])),
        ("int16", "INT16", json!([-32768, 32767])),
        ("int32", "INT32", json!([i32::MIN, i32::MAX])),
        ("int64", "INT64", json!([i64::MIN, i64::MAX])),
        ("uint8", "UINT8", json!([0, 255])),
        ("uint16", "UINT16", json!([0, 65535])),
        ("uint32", "UINT32", json!([0, u32::MAX])),
        ("uint64", "UINT64", json!([0, u64::MAX])),
        ("bool", "BOOL", json!([true, false])),
        ("string", "BYTES", json!(["é \" \\ \n", ""])),
        ("double", "FP64", json!([0.1, -1e300])),
    ];
    let inputs: Vec<Value> = data
        .iter()
        .map(|(name, datatype, data)| json!({"name": name, "datatype": datatype, "shape": [1, 2], "data": data}))
        .collect();
    let answer = infer(&replica, "echo", json!({"inputs": inputs}).to_string().as_bytes()).json();
    for (name, datatype, data) in &data {
        let output = format!("{name}_out");
        let found = answer["outputs"].as_array().unwrap().iter().find(|out| out["name"] == output).unwrap();
        assert_eq!(*found, json!({"name": output, "datatype": datatype, "shape": [1, 2], "data": data}), "{name}");
    }
}

fn infer_names_what_does_not_fit(site: &Site) {
    let replica = serve(site, "forest");
    let one = |field: &str, value: Value| {
        let mut input = json!({"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]});
        input[field] = value;
        json!({"inputs": [input]}).to_string()
    };
    for (body, part) in [
        (one("name", json!("Y")), "no input `Y`"),
        (one("datatype", json!("FP64")), "its datatype is `FP64`"),
        (one("shape", json!([1, 3])), "its shape is [1, 3]"),
        (one("shape", json!([4])), "its shape is [4]"),
        (one("shape", json!([2, 4])), "entries instead of 8"),
        (one("shape", json!([0, 4])), "entries instead of 0"),
        (one("shape", json!([4_000_000_000_u32, 4])), "more values than its `data`"),
        (one("shape", json!([-1, 4])), "invalid value"),
        (one("data", json!([1, 2, 3])), "a list has 3 entries instead of 4"),
        (one("data", json!([[1, 2], [3, 4]])), "entries instead of"),
        (one("data", json!([1, 2, 3, "a"])), "\"a\""),
        (one("data", json!("abc")), "string"),
        (one("data", Value::Null), "its `data` is missing"),
        (String::from(r#"{"inputs": []}"#), "is missing"),
        (String::from("{}"), "missing field `inputs`"),
        (String::from("[1]"), "an object with `inputs`"),
        (String::from("nonsense"), "not valid JSON"),
    ] {
        let said = refused(&infer(&replica, "m", body.as_bytes()), 400);
        assert!(said.contains(part), "{body}: {said}");
    }
    let twice = json!({"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]});
    let said = refused(&infer(&replica, "m", json!({"inputs": [twice, twice]}).to_string().as_bytes()), 400);
    assert!(said.contains("given twice"), "{said}");
    let asked = json!({"inputs": [twice], "outputs": [{"name": "odds"}]}).to_string();
    assert!(refused(&infer(&replica, "m", asked.as_bytes()), 400).contains("no output tensor `odds`"));
    let deep = one("data", Value::Null).replace("null", &"[".repeat(1 << 18));
    refused(&infer(&replica, "m", deep.as_bytes()), 400);
    assert_eq!(replica.score(&json!({"data": [[5.1, 3.5, 1.4, 0.2]]})).json(), json!([0]), "and it still answers");
}

fn what_does_not_fit_is_named(site: &Site) {
    let replica = serve(site, "forest");
    for (body, part) in [
        (r#"{"data": [[1, 2, 3]]}"#, "a list has 3 entries instead of 4"),
        (r#"{"data": [[1, 2, 3, 4, 5]]}"#, "a list has 5 entries instead of 4"),
        (r#"{"data": [[1, 2, 3, 4], [1, 2, 3]]}"#, "a list has 3 entries instead of 4"),
        (r#"{"data": [1, 2, 3, 4]}"#, "expected a list"),
        (r#"{"data": [[[1], [2], [3], [4]]]}"#, "expected a number"),
        (r#"{"data": [["a", 2, 3, 4]]}"#, "\"a\""),
        (r#"{"data": [[null, 2, 3, 4]]}"#, "null"),
        (r#"{"data": [[true, 2, 3, 4]]}"#, "boolean"),
        (r#"{"data": []}"#, "no values"),
        (r#"{"data": {"Y": [[1, 2, 3, 4]]}}"#, "no input `Y`"),
        (r#"{"data": "rows"}"#, "string"),
        (r#"{"data": [[1, 2, 3, 4]], "data": [[1, 2, 3, 4]]}"#, "duplicate"),
        (r#"{"data": [[1, 2, 3, 4]], "outputs": ["odds"]}"#, "the model has `label`, `probabilities`"),
        (r#"{"data": [[1, 2, 3, 4]], "method": "predict"}"#, "unknown field `method`"),
        (r#"{"outputs": ["label"]}"#, "`data` is missing"),
        (r"[[1, 2, 3, 4]]", "an object with `data`"),
    ] {
        let said = replica.post(&[("content-type", "application/json")], body.as_bytes()).failure(400);
        assert!(said.contains(part) && said.contains("float32 of shape [-1, 4]"), "{body}: {said}");
    }
    for body in ["", "{", "nonsense", r#"{"data": [[1, 2, 3, 4]]} {}"#, "{\"data\": [[1e999, 2, 3, 4]]}"] {
        let said = replica.post(&[("content-type", "application/json")], body.as_bytes()).failure(400);
        assert!(said.contains("not valid JSON"), "{body}: {said}");
    }
    let deep = "[".repeat(1 << 20);
    replica.post(&[], deep.as_bytes()).failure(400);
    assert_eq!(replica.score(&json!({"data": [[5.1, 3.5, 1.4, 0.2]]})).json(), json!([0]), "and it still answers");
}

fn wrong_calls_get_the_right_status(site: &Site) {
    let replica = start(site, "forest", &["--max-body", "1000"]).ready();
    let mut connection = replica.connect();
    let mut call = |method: &str, path: &str| connection.send(method, path, &[], b"").unwrap();
    call("GET", "/elsewhere").failure(404);
    call("GET", "/score/").failure(404);
    let wrong = call("GET", "/score");
    wrong.failure(405);
    assert_eq!(wrong.header("allow"), Some("POST"));
    assert_eq!(call("DELETE", "/").header("allow"), Some("GET, HEAD"));
    assert_eq!(call("HEAD", "/").status, 200);
    assert_eq!(call("GET", "/?probe=1").status, 200);
    let row = br#"{"data": [[1, 2, 3, 4]]}"#;
    replica.post(&[("content-type", "text/csv")], row).failure(415);
    for json in ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.api+json"] {
        replica.post(&[("content-type", json)], row).json();
    }
    let large = vec![b' '; 1001];
    assert!(replica.post(&[], &large).failure(413).contains("1000"));
    let huge = vec![b' '; 8 << 20];
    replica.post(&[], &huge).failure(413);
    // The same without a declared length, in chunks.
    let reply = replica.connect().chunked("/score", &[&large[..600], &large[..600]]);
    reply.failure(413);
    let (start, end) = row.split_at(7);
    replica.connect().chunked("/score", &[start, end]).json();
}

fn the_swagger_document_describes_this_model(site: &Site) {
    let document = serve(site, "forest").get("/swagger.json").json();
    assert_eq!(document["swagger"], "2.0");
    assert_eq!(document["securityDefinitions"]["Bearer"]["type"], "apiKey");
    assert_eq!(document["paths"]["/score"]["post"]["security"][0]["Bearer"], json!([]));
    let rows = &document["definitions"]["ServiceInput"]["properties"]["data"];
    assert_eq!((&rows["type"], &rows["items"]["type"]), (&json!("array"), &json!("array")));
    assert_eq!((&rows["items"]["minItems"], &rows["items"]["maxItems"]), (&json!(4), &json!(4)));
    assert_eq!(rows["items"]["items"], json!({"type": "number", "format": "float"}));
    let outputs = &document["definitions"]["ServiceInput"]["properties"]["outputs"]["items"]["enum"];
    assert_eq!(outputs, &json!(["label", "probabilities"]));
    assert_eq!(document["definitions"]["ServiceOutput"]["items"]["format"], "int64");
    let error = &document["definitions"]["ErrorResponse"]["properties"];
    assert_eq!(error.as_object().unwrap().keys().collect::<Vec<_>>(), ["message", "status_code"]);
    for model in ["forest", "columns", "words_maps", "echo", "loop"] {
        let replica = serve(site, model);
        let document = replica.get("/swagger.json").json();
        assert_valid(&document);
        // Its own example is a request that works.
        let example = &document["definitions"]["ServiceInput"]["example"];
        if model != "columns" {
            replica.score(example).json();
        }
    }
}

/// What Swagger 2.0 demands of a document, as far as ours goes.
fn assert_valid(document: &Value) {
    for field in ["swagger", "info", "paths"] {
        assert!(document.get(field).is_some(), "{field}");
    }
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with('/'));
        for operation in methods.as_object().unwrap().values() {
            assert!(operations.insert(operation["operationId"].as_str().unwrap().to_owned()));
            for response in operation["responses"].as_object().unwrap().values() {
                assert!(response["description"].is_string());
            }
        }
    }
    fn walk(value: &Value, document: &Value) {
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
        }
        match value {
            Value::Object(fields) => fields.values().for_each(|inner| walk(inner, document)),
            Value::Array(items) => items.iter().for_each(|inner| walk(inner, document)),
            _ => {}
        }
    }
    walk(document, document);
}

fn a_file_that_is_no_model_ends_the_process(site: &Site) {
    for model in ["prose", "truncated", "unknown_operator", "not_there"] {
        let mut replica = start(site, model, &[]);
        assert_eq!(replica.ended().code(), Some(3), "{}", replica.log());
        let log = replica.log();
        let last = log.lines().last().unwrap();
        assert!(last.starts_with("model: ") && last.contains("is not a loadable ONNX model: "), "{log}");
        assert!(model != "unknown_operator" || last.contains("Teleport"), "{log}");
    }
}

fn a_library_that_is_none_ends_the_process(site: &Site) {
    let model = site.models.join("forest.onnx");
    for library in [OsStr::new("/no/such/library.so"), model.as_os_str()] {
        let args = [
            OsStr::new("--engine"),
            OsStr::new("onnx"),
            OsStr::new("--model"),
            model.as_os_str(),
            OsStr::new("--onnxruntime"),
            library,
        ];
        let mut replica = Replica::start(args, &[]);
        assert_eq!(replica.ended().code(), Some(5), "{}", replica.log());
        assert!(replica.log().contains("is not a usable ONNX Runtime"), "{}", replica.log());
    }
}

fn a_run_without_end_is_cut_short(site: &Site) {
    let replica = start(site, "loop", &["--timeout", "0.3"]).ready();
    assert_eq!(replica.score(&json!({"data": [10]})).json(), json!([10.0]));
    let started = Instant::now();
    let said = replica.score(&json!({"data": [1_000_000_000_000_i64]})).failure(504);
    assert!(said.contains("300ms"), "{said}");
    assert!(started.elapsed().as_secs() < 20);
    assert_eq!(replica.score(&json!({"data": [10]})).json(), json!([10.0]), "and the next run is not");
}

fn a_model_that_fails_is_a_bad_gateway(site: &Site) {
    let replica = serve(site, "columns");
    let reply = replica.score(&json!({"data": {"colour": ["pink"], "size": [1]}}));
    assert!(reply.failure(502).contains("Unknown Category"));
    assert_eq!(reply.header("x-ms-run-function-failed"), Some("true"));
    assert!(replica.logged("Unknown Category"));
    // Unless it says that the input is to blame.
    let replica = serve(site, "gather");
    assert_eq!(replica.score(&json!({"data": [2, 0]})).json(), json!([3.0, 1.0]));
    assert!(replica.score(&json!({"data": [7]})).failure(400).contains("out of data bounds"));
    assert_eq!(replica.score(&json!({"data": [1]})).json(), json!([2.0]));
}

fn many_at_once_are_all_answered_right(site: &Site) {
    let replica = start(site, "forest", &["--workers", "2", "--queue", "100"]).ready();
    let known = expected(site, "forest");
    std::thread::scope(|scope| {
        for at in 0..16 {
            let (replica, known) = (&replica, &known);
            scope.spawn(move || {
                let mut connection = replica.connect();
                for round in 0..40 {
                    let at = (at + round) % known["rows"].as_array().unwrap().len();
                    // Some are too large for the thread that serves the socket.
                    let times = if round % 10 == 0 { 700 } else { 1 };
                    let body = json!({"data": vec![&known["rows"][at]; times]}).to_string();
                    let reply = connection.send("POST", "/score", &[], body.as_bytes()).unwrap();
                    assert_eq!(reply.json(), json!(vec![&known["predict"][at]; times]));
                }
            });
        }
    });
}

fn a_full_queue_is_said_so(site: &Site) {
    let replica = start(site, "loop", &["--timeout", "2", "--queue", "0"]).ready();
    std::thread::scope(|scope| {
        let long = || replica.score(&json!({"data": [1_000_000_000_000_i64]})).status;
        let (one, other) = (scope.spawn(long), scope.spawn(long));
        let mut statuses = [one.join().unwrap(), other.join().unwrap()];
        statuses.sort_unstable();
        assert_eq!(statuses, [503, 504]);
    });
    let refused = replica.get("/");
    assert_eq!(refused.status, 200, "busy is not ill");
}

fn requests_in_flight_are_finished_before_the_end(site: &Site) {
    let mut replica = start(site, "loop", &["--timeout", "1"]).ready();
    let status = std::thread::scope(|scope| {
        let mut connection = replica.connect();
        // Known to be accepted, so that the signal finds the next request in flight.
        connection.send("GET", "/", &[], b"").unwrap();
        let body = json!({"data": [1_000_000_000_000_i64]}).to_string();
        connection.write("POST", "/score", &[], body.as_bytes());
        // The log has nothing to wait for; that the request was read shows by a second connection being served after it.
        assert_eq!(replica.get("/").status, 200);
        replica.terminate();
        scope.spawn(move || connection.receive("POST").unwrap().status).join().unwrap()
    });
    assert_eq!(status, 504);
    assert_eq!(replica.ended().code(), Some(0), "{}", replica.log());
    assert!(std::os::unix::net::UnixStream::connect(replica.socket()).is_err());
}
