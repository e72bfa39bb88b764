//! What a model takes and gives, read from the model itself.

use ort::session::Session;
use ort::value::{TensorElementType, ValueType};
use serde_json::{Map, Value, json};

use crate::swagger::NOT_FINITE;

/// Inputs and outputs of a model, in its own order.
#[derive(Debug)]
pub(super) struct Signature {
    /// All inputs; each must be given.
    pub(super) inputs: Vec<Input>,
    /// All outputs; the first is the answer unless the request names others.
    pub(super) outputs: Vec<Output>,
}

/// One input tensor.
#[derive(Debug)]
pub(super) struct Input {
    /// Its name in the model.
    pub(super) name: String,
    /// Type of its elements.
    pub(super) element: Element,
    /// Its shape; -1 where any length will do.
    pub(super) shape: Vec<i64>,
}

/// One output.
#[derive(Debug)]
pub(super) struct Output {
    /// Its name in the model.
    pub(super) name: String,
    /// Type of its elements and its shape, when it is a tensor of a type that can be spelled.
    pub(super) tensor: Option<(Element, Vec<i64>)>,
    schema: Value,
}

/// Types of elements that a request can spell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// 32-bit float.
    Float32,
    /// 64-bit float.
    Float64,
    /// 8-bit integer.
    Int8,
    /// 16-bit integer.
    Int16,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
    /// Unsigned 8-bit integer.
    Uint8,
    /// Unsigned 16-bit integer.
    Uint16,
    /// Unsigned 32-bit integer.
    Uint32,
    /// Unsigned 64-bit integer.
    Uint64,
    /// True or false.
    Bool,
    /// Text.
    Text,
}

impl Signature {
    /// Reads it from a loaded model.
    ///
    /// # Errors
    /// One sentence, when the model takes something that JSON rows cannot carry.
    pub(super) fn of(session: &Session) -> Result<Self, String> {
        let mut inputs = Vec::new();
        for outlet in session.inputs() {
            let name = outlet.name().to_owned();
            let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
                return Err(format!("input `{name}` is {}, only tensors are supported", outlet.dtype()));
            };
            let element = Element::of(*ty).ok_or_else(|| format!("input `{name}` has elements of type {ty}"))?;
            inputs.push(Input { name, element, shape: shape.to_vec() });
        }
        if inputs.is_empty() {
            return Err("it has no input".into());
        }
        let outputs: Vec<Output> = session
            .outputs()
            .iter()
            .map(|outlet| Output {
                name: outlet.name().to_owned(),
                tensor: tensor_of(outlet.dtype()),
                schema: schema_of(outlet.dtype()),
            })
            .collect();
        if outputs.is_empty() {
            return Err("it has no output".into());
        }
        Ok(Self { inputs, outputs })
    }

    /// What a body must look like, in words.
    pub(super) fn expected(&self) -> String {
        match self.inputs.as_slice() {
            [input] => format!("`data` must be {}", input.expected()),
            inputs => {
                let each: Vec<_> = inputs.iter().map(Input::expected).collect();
                format!("`data` must be an object of {}", each.join("; "))
            }
        }
    }

    /// Schema of the body of `POST /score`.
    pub(super) fn input_schema(&self) -> Value {
        let data = match self.inputs.as_slice() {
            [input] => input.schema(),
            inputs => {
                let properties: Map<_, _> = inputs.iter().map(|input| (input.name.clone(), input.schema())).collect();
                let required: Vec<_> = inputs.iter().map(|input| input.name.as_str()).collect();
                json!({"type": "object", "required": required, "additionalProperties": false, "properties": properties})
            }
        };
        let names: Vec<_> = self.outputs.iter().map(|output| output.name.as_str()).collect();
        let example: Value = match self.inputs.as_slice() {
            [input] => input.example(),
            inputs => inputs.iter().map(|input| (input.name.clone(), input.example())).collect::<Map<_, _>>().into(),
        };
        let first = names.first().copied().unwrap_or_default();
        json!({
            "type": "object",
            "required": ["data"],
            "additionalProperties": false,
            "properties": {
                "data": data,
                "outputs": {
                    "type": "array", "minItems": 1, "items": {"type": "string", "enum": names},
                    "description": format!(
                        "Which outputs to answer with. Without it, `{first}`. One name: the answer is that output; several: an object of outputs by name.")
                }
            },
            "example": {"data": example}
        })
    }

    /// Schema of the answer.
    pub(super) fn output_schema(&self) -> Value {
        let mut schema = self.outputs.first().map_or_else(|| json!({}), |output| output.schema.clone());
        let others: Vec<_> = self
            .outputs
            .iter()
            .map(|output| {
                let about = output.schema.get("description").and_then(Value::as_str).unwrap_or("a value");
                format!("`{}`: {about}", output.name)
            })
            .collect();
        if let Some(fields) = schema.as_object_mut() {
            let about = format!("The outputs of the model: {}. {NOT_FINITE}", others.join("; "));
            fields.insert("description".into(), about.into());
        }
        schema
    }
}

impl Input {
    /// What it must be, in words.
    pub(super) fn expected(&self) -> String {
        format!("`{}`: {}", self.name, self.element.words(&self.shape))
    }

    fn schema(&self) -> Value {
        let mut schema = nested(self.element.schema(), &self.shape);
        if let Some(fields) = schema.as_object_mut() {
            fields.insert("description".into(), self.expected().into());
        }
        schema
    }

    fn example(&self) -> Value {
        // A model may declare a dimension of any size; an example need not have it.
        self.shape.iter().rev().fold(self.element.example(), |inner, length| {
            Value::from(vec![inner; usize::try_from(*length).unwrap_or(1).clamp(1, 16)])
        })
    }
}

impl Element {
    pub(super) fn of(element: TensorElementType) -> Option<Self> {
        Some(match element {
            TensorElementType::Float32 => Self::Float32,
            TensorElementType::Float64 => Self::Float64,
            TensorElementType::Int8 => Self::Int8,
            TensorElementType::Int16 => Self::Int16,
            TensorElementType::Int32 => Self::Int32,
            TensorElementType::Int64 => Self::Int64,
            TensorElementType::Uint8 => Self::Uint8,
            TensorElementType::Uint16 => Self::Uint16,
            TensorElementType::Uint32 => Self::Uint32,
            TensorElementType::Uint64 => Self::Uint64,
            TensorElementType::Bool => Self::Bool,
            TensorElementType::String => Self::Text,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Bool => "bool",
            Self::Text => "string",
        }
    }

    /// The Open Inference Protocol's name of it.
    pub(super) fn datatype(self) -> &'static str {
        match self {
            Self::Float32 => "FP32",
            Self::Float64 => "FP64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Bool => "BOOL",
            Self::Text => "BYTES",
        }
    }

    fn words(self, shape: &[i64]) -> String {
        format!("{} of shape {shape:?} (-1: any length)", self.name())
    }

    fn schema(self) -> Value {
        match self {
            Self::Float32 => json!({"type": "number", "format": "float"}),
            Self::Float64 => json!({"type": "number", "format": "double"}),
            Self::Int8 | Self::Int16 | Self::Int32 | Self::Uint8 | Self::Uint16 => {
                json!({"type": "integer", "format": "int32"})
            }
            Self::Int64 | Self::Uint32 | Self::Uint64 => json!({"type": "integer", "format": "int64"}),
            Self::Bool => json!({"type": "boolean"}),
            Self::Text => json!({"type": "string"}),
        }
    }

    fn example(self) -> Value {
        match self {
            Self::Float32 | Self::Float64 => json!(0.0),
            Self::Bool => json!(false),
            Self::Text => json!(""),
            _ => json!(0),
        }
    }
}

fn nested(element: Value, shape: &[i64]) -> Value {
    shape.iter().rev().fold(element, |items, length| {
        let mut array = Map::new();
        array.insert("type".into(), "array".into());
        array.insert("items".into(), items);
        if *length >= 0 {
            array.insert("minItems".into(), (*length).into());
            array.insert("maxItems".into(), (*length).into());
        }
        array.into()
    })
}

fn tensor_of(value: &ValueType) -> Option<(Element, Vec<i64>)> {
    let ValueType::Tensor { ty, shape, .. } = value else { return None };
    Some((Element::of(*ty)?, shape.to_vec()))
}

/// Schema of a value that the model gives.
fn schema_of(value: &ValueType) -> Value {
    match value {
        ValueType::Tensor { ty, shape, .. } => {
            let Some(element) = Element::of(*ty) else { return json!({}) };
            let shape = super::write::flattened(shape);
            let mut schema = nested(element.schema(), shape);
            if let Some(fields) = schema.as_object_mut() {
                fields.insert("description".into(), element.words(shape).into());
            }
            schema
        }
        ValueType::Sequence(inner) => {
            let items = schema_of(inner);
            let about = items.get("description").and_then(Value::as_str).unwrap_or("values").to_owned();
            json!({"type": "array", "items": items, "description": format!("a list of {about}")})
        }
        ValueType::Map { value, .. } => {
            let element = Element::of(*value).map_or_else(|| json!({}), Element::schema);
            json!({"type": "object", "additionalProperties": element, "description": "objects by label"})
        }
        ValueType::Optional(inner) => schema_of(inner),
    }
}
