//! JSON in which a key that is given twice is a fault. Readers differ in which of the two they take, so that what one checked
//! another would not use (RFC 8259, section 4).

use std::fmt;

use domain::tracking::text;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// Parses a JSON text.
///
/// # Errors
/// What is wrong and where, in words that repeat nothing of the text but a key that is given twice.
pub(super) fn parse(text: &[u8]) -> Result<Value, String> {
    match serde_json::from_slice::<Strict>(text) {
        Ok(strict) => Ok(strict.0),
        Err(fault) => Err(fault.to_string()),
    }
}

/// A value without double keys, however deep.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key '{}' is given twice", text::echo(&key))));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_given_twice_is_refused_at_any_depth() {
        let deep = format!("{}{}{}", r#"{"a":["#.repeat(40), r#"{"k":1,"k":1}"#, "]}".repeat(40));
        let cases = [
            (r#"{"k": 1, "k": 1}"#, "k"),
            (r#"{"k": 1, "other": {"k": 2}, "k": null}"#, "k"),
            (r#"{"tags": [{"key": "a"}, {"key": "b", "value": "c", "key": "d"}]}"#, "key"),
            (r#"[[{"x": {"y": 1, "y": 2}}]]"#, "y"),
            // Two spellings of one key are one key.
            (r#"{"run_id": "a", "run\u005fid": "b"}"#, "run_id"),
            (r#"{"": 1, "": 2}"#, ""),
            (deep.as_str(), "k"),
        ];
        for (json, key) in cases {
            let fault = parse(json.as_bytes()).unwrap_err();
            assert!(fault.starts_with(&format!("the key '{key}' is given twice at line 1 column ")), "{json}: {fault}");
        }
        let long = "x".repeat(10_000);
        let fault = parse(format!(r#"{{"{long}": 1, "{long}": 2}}"#).as_bytes()).unwrap_err();
        assert!(fault.len() < 300, "{fault}");
    }

    #[test]
    fn numbers_are_read_to_the_last_bit() {
        for (text, value) in
            [("0.9666666666666667", 29.0 / 30.0), ("0.1", 0.1), ("2.2250738585072014e-308", f64::MIN_POSITIVE)]
        {
            assert_eq!(parse(text.as_bytes()).unwrap().as_f64().map(f64::to_bits), Some(f64::to_bits(value)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_read_as_ever() {
        let same = [
            "null",
            "true",
            "\"text \\u00e9\"",
            "[1, -2, 3.5, 1e300, 18446744073709551615, -9223372036854775808, []]",
            r#"{"a": {"k": 1}, "b": {"k": 1}, "K": 0, "k": [{"k": {}}]}"#,
        ];
        for json in same {
            assert_eq!(parse(json.as_bytes()).unwrap(), serde_json::from_str::<Value>(json).unwrap(), "{json}");
        }
        for bad in ["", "{", "{\"a\": NaN}", "{} {}", "1e999", "{\"a\" 1}"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
