//! Writes what a model gave as JSON: tensors as nested lists, a column as a plain list, maps by label as objects.

use std::hash::Hash;

use ort::session::SessionOutputs;
use ort::value::{
    DynValue, DynValueTypeMarker, IntoTensorElementType, PrimitiveTensorElementType, TensorElementType, ValueType,
};
use serde::Serialize;

use super::signature::Signature;

/// The answer to a request that asked for these outputs: none or one, that output alone; several, an object by name.
///
/// # Errors
/// One sentence, when an output is of a kind that has no JSON form here.
pub(super) fn answer(signature: &Signature, asked: &[usize], given: &SessionOutputs<'_>) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(64);
    let of = |at: usize| {
        let name = signature.outputs.get(at).map(|output| output.name.as_str()).unwrap_or_default();
        given.get(name).map(|value| (name, value)).ok_or_else(|| format!("the model did not give output `{name}`"))
    };
    if asked.len() < 2 {
        let (name, value) = of(asked.first().copied().unwrap_or(0))?;
        put(&mut out, value).map_err(|why| format!("output `{name}`: {why}"))?;
        return Ok(out);
    }
    let mut before = b'{';
    for at in asked {
        let (name, value) = of(*at)?;
        out.push(before);
        name.put(&mut out)?;
        out.push(b':');
        put(&mut out, value).map_err(|why| format!("output `{name}`: {why}"))?;
        before = b',';
    }
    out.push(b'}');
    Ok(out)
}

/// The shape as it is written: a column of n values, [n, 1], is a list of n.
pub(super) fn flattened(shape: &[i64]) -> &[i64] {
    match shape {
        [_, 1] => shape.get(..1).unwrap_or(shape),
        _ => shape,
    }
}

fn put(out: &mut Vec<u8>, value: &DynValue) -> Result<(), String> {
    match value.dtype() {
        ValueType::Tensor { ty, .. } => match ty {
            TensorElementType::Float32 => tensor::<f32>(out, value),
            TensorElementType::Float64 => tensor::<f64>(out, value),
            TensorElementType::Int8 => tensor::<i8>(out, value),
            TensorElementType::Int16 => tensor::<i16>(out, value),
            TensorElementType::Int32 => tensor::<i32>(out, value),
            TensorElementType::Int64 => tensor::<i64>(out, value),
            TensorElementType::Uint8 => tensor::<u8>(out, value),
            TensorElementType::Uint16 => tensor::<u16>(out, value),
            TensorElementType::Uint32 => tensor::<u32>(out, value),
            TensorElementType::Uint64 => tensor::<u64>(out, value),
            TensorElementType::Bool => tensor::<bool>(out, value),
            TensorElementType::String => {
                let (shape, texts) = value.try_extract_strings().map_err(|error| error.to_string())?;
                nested(out, flattened(shape), &texts)
            }
            other => Err(format!("elements of type {other} have no JSON form")),
        },
        ValueType::Sequence(_) => {
            let items = value.try_extract_sequence::<DynValueTypeMarker>().map_err(|error| error.to_string())?;
            list(out, &items, put)
        }
        ValueType::Map { key: TensorElementType::Int64, value: TensorElementType::Float32 } => {
            object::<i64, f32>(out, value)
        }
        ValueType::Map { key: TensorElementType::Int64, value: TensorElementType::Float64 } => {
            object::<i64, f64>(out, value)
        }
        ValueType::Map { key: TensorElementType::Int64, value: TensorElementType::Int64 } => {
            object::<i64, i64>(out, value)
        }
        ValueType::Map { key: TensorElementType::String, value: TensorElementType::Float32 } => {
            object::<String, f32>(out, value)
        }
        ValueType::Map { key: TensorElementType::String, value: TensorElementType::Float64 } => {
            object::<String, f64>(out, value)
        }
        ValueType::Map { key: TensorElementType::String, value: TensorElementType::Int64 } => {
            object::<String, i64>(out, value)
        }
        other => Err(format!("{other} has no JSON form")),
    }
}

fn tensor<T: PrimitiveTensorElementType + Put>(out: &mut Vec<u8>, value: &DynValue) -> Result<(), String> {
    let (shape, flat) = value.try_extract_tensor::<T>().map_err(|error| error.to_string())?;
    nested(out, flattened(shape), flat)
}

fn nested<T: Put>(out: &mut Vec<u8>, shape: &[i64], flat: &[T]) -> Result<(), String> {
    let Some((_, inner)) = shape.split_first() else {
        return flat.first().ok_or("a scalar without a value")?.put(out);
    };
    let size = inner.iter().fold(1_usize, |size, length| size.saturating_mul(usize::try_from(*length).unwrap_or(0)));
    if inner.is_empty() || size == 0 {
        return list(out, flat, |out, item| item.put(out));
    }
    let rows: Vec<&[T]> = flat.chunks(size).collect();
    list(out, &rows, |out, row| nested(out, inner, row))
}

pub(super) fn list<T>(
    out: &mut Vec<u8>,
    items: &[T],
    mut each: impl FnMut(&mut Vec<u8>, &T) -> Result<(), String>,
) -> Result<(), String> {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        each(out, item)?;
    }
    out.push(b']');
    Ok(())
}

fn object<K, V>(out: &mut Vec<u8>, value: &DynValue) -> Result<(), String>
where
    K: IntoTensorElementType + Clone + Hash + Eq + ToString,
    V: PrimitiveTensorElementType + Clone + Put,
{
    let pairs = value.try_extract_key_values::<K, V>().map_err(|error| error.to_string())?;
    out.push(b'{');
    for (at, (key, value)) in pairs.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        key.to_string().put(out)?;
        out.push(b':');
        value.put(out)?;
    }
    out.push(b'}');
    Ok(())
}

/// How one element is spelled.
pub(super) trait Put {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), String>;
}

fn plain<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
    serde_json::to_writer(out, value).map_err(|error| error.to_string())
}

/// The three that JSON cannot spell, in the words of `NOT_FINITE`.
fn not_finite(is_nan: bool, is_negative: bool) -> &'static [u8] {
    match (is_nan, is_negative) {
        (true, _) => b"\"NaN\"",
        (false, true) => b"\"-Infinity\"",
        (false, false) => b"\"Infinity\"",
    }
}

impl Put for f32 {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), String> {
        if self.is_finite() {
            return plain(self, out);
        }
        out.extend_from_slice(not_finite(self.is_nan(), self.is_sign_negative()));
        Ok(())
    }
}

impl Put for f64 {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), String> {
        if self.is_finite() {
            return plain(self, out);
        }
        out.extend_from_slice(not_finite(self.is_nan(), self.is_sign_negative()));
        Ok(())
    }
}

impl Put for i8 {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), String> {
        plain(self, out)
    }
}

impl Put for i16 {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), String> {
        plain(self, out)
    }
}

impl Put for i32 {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), String> {
        plain(self, out)
    }
}

impl Put for i64 {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), String> {
        plain(self, out)
    }
}

impl Put for u8 {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), String> {
        plain(self, out)
    }
}

impl Put for u16 {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), String> {
        plain(self, out)
    }
}

impl Put for u32 {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), String> {
        plain(self, out)
    }
}

impl Put for u64 {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), String> {
        plain(self, out)
    }
}

impl Put for bool {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), String> {
        plain(self, out)
    }
}

impl Put for str {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), String> {
        plain(self, out)
    }
}

impl Put for String {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), String> {
        plain(self, out)
    }
}
