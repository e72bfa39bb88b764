//! Values of attributes.

use ::base64::{Engine, engine::general_purpose::STANDARD};
use prost::{Message, Oneof};
use serde::{Serialize, Serializer};
use serde_json::{Map, Number};

/// A name and what is said under it.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct KeyValue {
    /// The name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// What is said.
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<AnyValue>,
}

/// Any value, or none.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct AnyValue {
    /// The value.
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 7")]
    #[serde(flatten)]
    pub value: Option<Value>,
}

/// A value.
#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Text.
    #[prost(string, tag = "1")]
    StringValue(String),
    /// Yes or no.
    #[prost(bool, tag = "2")]
    BoolValue(bool),
    /// A whole number.
    #[prost(int64, tag = "3")]
    IntValue(i64),
    /// A number.
    #[prost(double, tag = "4")]
    DoubleValue(#[serde(serialize_with = "double")] f64),
    /// Several values.
    #[prost(message, tag = "5")]
    ArrayValue(ArrayValue),
    /// Values by name.
    #[prost(message, tag = "6")]
    KvlistValue(KeyValueList),
    /// Bytes.
    #[prost(bytes = "vec", tag = "7")]
    BytesValue(#[serde(serialize_with = "base64")] Vec<u8>),
}

/// Several values.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct ArrayValue {
    /// They.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<AnyValue>,
}

/// Values by name.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct KeyValueList {
    /// They.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<KeyValue>,
}

impl Value {
    /// The same as plain JSON: bytes in base64, numbers that JSON lacks as none.
    pub fn plain(&self) -> serde_json::Value {
        let of = |any: &AnyValue| any.value.as_ref().map_or(serde_json::Value::Null, Self::plain);
        let entry = |one: &KeyValue| (one.key.clone(), one.value.as_ref().map_or(serde_json::Value::Null, of));
        match self {
            Self::StringValue(text) => serde_json::Value::String(text.clone()),
            Self::BoolValue(flag) => serde_json::Value::Bool(*flag),
            Self::IntValue(number) => serde_json::Value::Number((*number).into()),
            Self::DoubleValue(number) => {
                Number::from_f64(*number).map_or(serde_json::Value::Null, serde_json::Value::Number)
            }
            Self::ArrayValue(list) => serde_json::Value::Array(list.values.iter().map(of).collect()),
            Self::KvlistValue(list) => serde_json::Value::Object(list.values.iter().map(entry).collect::<Map<_, _>>()),
            Self::BytesValue(bytes) => serde_json::Value::String(STANDARD.encode(bytes)),
        }
    }
}

pub(super) fn base64<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&STANDARD.encode(bytes))
}

pub(super) fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

fn double<S: Serializer>(number: &f64, out: S) -> Result<S::Ok, S::Error> {
    crate::mlflow::Double(*number).serialize(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    #[test]
    fn every_kind_of_value_has_its_form() {
        let list = ArrayValue {
            values: vec![any(Value::IntValue(1)), AnyValue { value: None }, any(Value::DoubleValue(f64::NAN))],
        };
        let named = KeyValueList {
            values: vec![
                KeyValue { key: String::from("a"), value: Some(any(Value::ArrayValue(list))) },
                KeyValue { key: String::from("b"), value: Some(any(Value::BytesValue(vec![1]))) },
                KeyValue { key: String::from("c"), value: Some(any(Value::BoolValue(true))) },
            ],
        };
        let value = any(Value::KvlistValue(named));
        let expected = concat!(
            r#"{"kvlist_value":{"values":[{"key":"a","value":{"array_value":{"values":[{"int_value":1},{},"#,
            r#"{"double_value":"NaN"}]}}},{"key":"b","value":{"bytes_value":"AQ=="}},{"key":"c","value":{"bool_value":true}}]}}"#
        );
        assert_eq!(serde_json::to_string(&value).unwrap(), expected);
        let plain = value.value.unwrap().plain();
        assert_eq!(plain, serde_json::json!({"a": [1, null, null], "b": "AQ==", "c": true}));
    }
}
