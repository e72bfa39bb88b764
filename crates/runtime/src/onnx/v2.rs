//! The Open Inference Protocol v2 for one model: its metadata, and `infer` with tensors by name, datatype, shape and data
//! (kserve/open-inference-protocol, `specification/protocol/inference_rest.md`).
//!
//! As in `request`, no tree of JSON values stands between a body and its tensors: the data of a tensor is kept as it was sent
//! until its type and shape are known, and then read once.

use ort::session::{SessionInputValue, SessionOutputs};
use ort::value::{DynValue, PrimitiveTensorElementType};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::nested::{Layout, laid};
use super::signature::{Element, Input, Signature};
use super::write::{Put, list};

/// Longest `id` of a request that is repeated in its answer, in bytes.
const LONGEST_ID: usize = 1000;

/// The body of `infer`. What is beyond the protocol's required part (`parameters`) is read over.
#[derive(Deserialize)]
struct Body<'a> {
    id: Option<String>,
    #[serde(borrow)]
    inputs: Vec<Given<'a>>,
    outputs: Option<Vec<Asked>>,
}

#[derive(Deserialize)]
struct Given<'a> {
    name: String,
    shape: Vec<u32>,
    datatype: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Asked {
    name: String,
}

/// A body that fits the model.
pub(super) struct Request {
    id: Option<String>,
    /// One value per input, in the model's order.
    pub(super) tensors: Vec<SessionInputValue<'static>>,
    /// Positions of the outputs that were asked for.
    outputs: Vec<usize>,
}

/// What the model takes and gives. Outputs that are no tensors have no place in the protocol.
pub(super) fn metadata(signature: &Signature, name: &str) -> Value {
    let tensor = |name: &str, element: Element, shape: &[i64]| json!({"name": name, "datatype": element.datatype(), "shape": shape});
    let inputs: Vec<_> =
        signature.inputs.iter().map(|input| tensor(&input.name, input.element, &input.shape)).collect();
    let outputs: Vec<_> = signature
        .outputs
        .iter()
        .filter_map(|output| output.tensor.as_ref().map(|(element, shape)| tensor(&output.name, *element, shape)))
        .collect();
    json!({"name": name, "platform": "onnxruntime_onnx", "inputs": inputs, "outputs": outputs})
}

/// Reads a body.
///
/// # Errors
/// One sentence that says what is wrong and what was expected.
pub(super) fn parse(signature: &Signature, body: &[u8]) -> Result<Request, String> {
    let body: Body<'_> = serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            return format!("{error}; an infer request is an object with `inputs`, a list of tensors");
        }
        format!("the body is not valid JSON: {error}")
    })?;
    if body.id.as_ref().is_some_and(|id| id.len() > LONGEST_ID) {
        return Err(format!("`id` is longer than {LONGEST_ID} bytes"));
    }
    let mut values: Vec<Option<SessionInputValue<'static>>> = signature.inputs.iter().map(|_| None).collect();
    for given in body.inputs {
        let found = signature.inputs.iter().zip(&mut values).find(|(input, _)| input.name == given.name);
        let Some((input, value)) = found else {
            let known: Vec<_> = signature.inputs.iter().map(words).collect();
            return Err(format!("there is no input `{}`; the model takes {}", cut(&given.name), known.join("; ")));
        };
        if value.is_some() {
            return Err(format!("input `{}` is given twice", input.name));
        }
        *value = Some(read(input, &given).map_err(|why| format!("input {}, but {why}", words(input)))?);
    }
    let mut tensors = Vec::with_capacity(values.len());
    for (value, input) in values.into_iter().zip(&signature.inputs) {
        tensors.push(value.ok_or_else(|| format!("input {} is missing", words(input)))?);
    }
    Ok(Request { id: body.id, tensors, outputs: outputs(signature, body.outputs)? })
}

fn words(input: &Input) -> String {
    format!("`{}`: {} of shape {:?} (-1: any length)", input.name, input.element.datatype(), input.shape)
}

/// A caller's own word in an error.
fn cut(name: &str) -> String {
    name.chars().take(100).collect()
}

fn read(input: &Input, given: &Given<'_>) -> Result<SessionInputValue<'static>, String> {
    if given.datatype != input.element.datatype() {
        return Err(format!("its datatype is `{}`", cut(&given.datatype)));
    }
    let shape: Vec<i64> = given.shape.iter().map(|length| i64::from(*length)).collect();
    let fits = shape.len() == input.shape.len()
        && shape.iter().zip(&input.shape).all(|(given, wanted)| *wanted < 0 || given == wanted);
    if !fits {
        let first: Vec<_> = shape.iter().take(16).collect();
        return Err(format!("its shape is {first:?}"));
    }
    let data = given.data.ok_or("its `data` is missing")?;
    // Whatever it declares, it cannot hold more than was sent: each value takes a byte at least.
    let count = shape.iter().try_fold(1_i64, |count, length| count.checked_mul(*length));
    let count = count.filter(|count| usize::try_from(*count).is_ok_and(|count| count <= data.get().len()));
    let count = count.ok_or("its shape holds more values than its `data`")?;
    let flat = [count];
    let read = if is_nested(data.get()) { shape.as_slice() } else { &flat };
    let layout = Layout { element: input.element, read, shape: Some(&shape) };
    let mut json = serde_json::Deserializer::from_str(data.get());
    laid(layout, &mut json).map_err(|error| format!("its `data` does not fit: {error}"))
}

/// Whether the first entry is a list again.
fn is_nested(data: &str) -> bool {
    data.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with('['))
}

fn outputs(signature: &Signature, asked: Option<Vec<Asked>>) -> Result<Vec<usize>, String> {
    let tensors = || signature.outputs.iter().enumerate().filter(|(_, output)| output.tensor.is_some());
    let Some(asked) = asked.filter(|asked| !asked.is_empty()) else {
        return Ok(tensors().map(|(at, _)| at).collect());
    };
    let mut chosen = Vec::with_capacity(signature.outputs.len());
    for Asked { name } in asked {
        let at = tensors().find(|(_, output)| output.name == name).map(|(at, _)| at).ok_or_else(|| {
            let known: Vec<_> = tensors().map(|(_, output)| output.name.as_str()).collect();
            format!("there is no output tensor `{}`; the model has `{}`", cut(&name), known.join("`, `"))
        })?;
        if chosen.contains(&at) {
            return Err(format!("output `{}` is asked for twice", cut(&name)));
        }
        chosen.push(at);
    }
    Ok(chosen)
}

/// The answer to `infer`: each tensor flat, with the shape that it has.
///
/// # Errors
/// One sentence, when an output is not what the model declares.
pub(super) fn answer(
    signature: &Signature,
    name: &str,
    request: &Request,
    given: &SessionOutputs<'_>,
) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"model_name\":");
    name.put(&mut out)?;
    if let Some(id) = &request.id {
        out.extend_from_slice(b",\"id\":");
        id.put(&mut out)?;
    }
    out.extend_from_slice(b",\"outputs\":");
    list(&mut out, &request.outputs, |out, at| {
        let output = signature.outputs.get(*at).ok_or("an output is missing")?;
        let (element, _) = output.tensor.as_ref().ok_or("an output is no tensor")?;
        let value =
            given.get(&output.name).ok_or_else(|| format!("the model did not give output `{}`", output.name))?;
        out.extend_from_slice(b"{\"name\":");
        output.name.put(out)?;
        out.extend_from_slice(b",\"datatype\":");
        element.datatype().put(out)?;
        put(out, *element, value).map_err(|why| format!("output `{}`: {why}", output.name))?;
        out.push(b'}');
        Ok(())
    })?;
    out.push(b'}');
    Ok(out)
}

fn put(out: &mut Vec<u8>, element: Element, value: &DynValue) -> Result<(), String> {
    match element {
        Element::Float32 => tensor::<f32>(out, value),
        Element::Float64 => tensor::<f64>(out, value),
        Element::Int8 => tensor::<i8>(out, value),
        Element::Int16 => tensor::<i16>(out, value),
        Element::Int32 => tensor::<i32>(out, value),
        Element::Int64 => tensor::<i64>(out, value),
        Element::Uint8 => tensor::<u8>(out, value),
        Element::Uint16 => tensor::<u16>(out, value),
        Element::Uint32 => tensor::<u32>(out, value),
        Element::Uint64 => tensor::<u64>(out, value),
        Element::Bool => tensor::<bool>(out, value),
        Element::Text => {
            let (shape, texts) = value.try_extract_strings().map_err(|error| error.to_string())?;
            flat(out, shape, &texts)
        }
    }
}

fn tensor<T: PrimitiveTensorElementType + Put>(out: &mut Vec<u8>, value: &DynValue) -> Result<(), String> {
    let (shape, values) = value.try_extract_tensor::<T>().map_err(|error| error.to_string())?;
    flat(out, shape, values)
}

fn flat<T: Put>(out: &mut Vec<u8>, shape: &[i64], values: &[T]) -> Result<(), String> {
    out.extend_from_slice(b",\"shape\":");
    list(out, shape, |out, length| length.put(out))?;
    out.extend_from_slice(b",\"data\":");
    list(out, values, |out, value| value.put(out))
}
