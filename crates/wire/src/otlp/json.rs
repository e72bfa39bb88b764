//! Exports in OTLP's JSON (OTLP 1.9, "JSON Protobuf Encoding"): ids in hex, bytes in base64, 64-bit numbers as text or numbers, kinds
//! as numbers. Unknown fields are passed over, as the specification demands.
//!
//! **Invariant:** as with protobuf, spans are found and counted before any of them is read.

use std::{borrow::Cow, fmt, marker::PhantomData};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{AnyValue, ArrayValue, Event, Export, KeyValue, KeyValueList, Link, MOST_PARTS, Malformed, Part, Resource};
use super::{Span, Status, Value};

/// What is said when there is more than is taken.
const TOO_MANY: &str = "more than is taken";

/// A list of `MOST` items at most.
struct Few<T, const MOST: usize>(Vec<T>);

impl<T, const MOST: usize> Default for Few<T, MOST> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

struct Reader<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Reader<T, MOST> {
    type Value = Few<T, MOST>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(one) = list.next_element()? {
            if found.len() >= MOST {
                return Err(de::Error::custom(TOO_MANY));
            }
            found.push(one);
        }
        Ok(Few(found))
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Few<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Reader(PhantomData))
    }
}

/// Most spans of one scope that are found at all; the export's own limit is below it.
const MOST_FOUND: usize = 100_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(default, borrow)]
    resource_spans: Few<&'a RawValue, MOST_PARTS>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place<'a> {
    #[serde(default)]
    resource: Option<Said>,
    #[serde(default, borrow)]
    scope_spans: Few<&'a RawValue, MOST_PARTS>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    attributes: Vec<Pair>,
}

#[derive(Deserialize)]
struct Scope<'a> {
    #[serde(default, borrow)]
    spans: Few<&'a RawValue, MOST_FOUND>,
}

#[derive(Deserialize)]
struct Pair {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: Option<Any>,
}

/// A value, read at once into its form: an object with all that it could be would take fifty times the bytes that wrote it.
struct Any(AnyValue);

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(AnyReader)
    }
}

struct AnyReader;

impl<'de> Visitor<'de> for AnyReader {
    type Value = Any;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Any, A::Error> {
        let mut value = None;
        while let Some(name) = fields.next_key::<Cow<'de, str>>()? {
            let found = match name.as_ref() {
                "stringValue" => fields.next_value::<Option<String>>()?.map(Value::StringValue),
                "boolValue" => fields.next_value::<Option<bool>>()?.map(Value::BoolValue),
                "intValue" => {
                    let number = fields.next_value::<Option<Number>>()?.map(Number::read).transpose();
                    number.map_err(no_value)?.map(Value::IntValue)
                }
                "doubleValue" => {
                    let number = fields.next_value::<Option<Double>>()?.map(Double::read).transpose();
                    number.map_err(no_value)?.map(Value::DoubleValue)
                }
                "bytesValue" => {
                    let bytes = fields.next_value::<Option<String>>()?.map(|text| STANDARD.decode(text)).transpose();
                    bytes.map_err(no_value)?.map(Value::BytesValue)
                }
                "arrayValue" => fields.next_value::<Option<Array>>()?.map(|list| {
                    Value::ArrayValue(ArrayValue { values: list.values.into_iter().map(|one| one.0).collect() })
                }),
                "kvlistValue" => fields
                    .next_value::<Option<Named>>()?
                    .map(|named| Value::KvlistValue(KeyValueList { values: pairs(named.values) })),
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                    None
                }
            };
            value = value.or(found);
        }
        Ok(Any(AnyValue { value }))
    }
}

fn no_value<E: de::Error>(_: impl Sized) -> E {
    E::custom("not a value of its kind")
}

#[derive(Deserialize)]
struct Array {
    #[serde(default)]
    values: Vec<Any>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    values: Vec<Pair>,
}

/// A whole number, as such or as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Signed(i64),
    Unsigned(u64),
    Text(String),
}

impl Number {
    fn read<T: TryFrom<i64> + TryFrom<u64> + std::str::FromStr>(self) -> Result<T, Malformed> {
        match self {
            Self::Signed(number) => T::try_from(number).map_err(|_| Malformed::Bytes),
            Self::Unsigned(number) => T::try_from(number).map_err(|_| Malformed::Bytes),
            Self::Text(text) => text.parse().map_err(|_| Malformed::Bytes),
        }
    }
}

impl Double {
    fn read(self) -> Result<f64, Malformed> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => text.parse().map_err(|_| Malformed::Bytes),
        }
    }
}

/// A number, or `NaN`, `Infinity` and `-Infinity` as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Double {
    Number(f64),
    Text(String),
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Step {
    trace_id: String,
    span_id: String,
    trace_state: String,
    parent_span_id: String,
    name: String,
    kind: i32,
    start_time_unix_nano: Option<Number>,
    end_time_unix_nano: Option<Number>,
    attributes: Vec<Pair>,
    dropped_attributes_count: u32,
    events: Vec<Happened>,
    dropped_events_count: u32,
    links: Vec<Tie>,
    dropped_links_count: u32,
    status: Option<Ended>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Happened {
    time_unix_nano: Option<Number>,
    name: String,
    attributes: Vec<Pair>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Tie {
    trace_id: String,
    span_id: String,
    attributes: Vec<Pair>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Ended {
    message: String,
    code: i32,
}

/// Reads an object. Its fields by their places, as a list, are none.
fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Malformed> {
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(Malformed::Bytes);
    }
    serde_json::from_slice(text)
        .map_err(|fault| if fault.to_string().starts_with(TOO_MANY) { Malformed::TooMany } else { Malformed::Bytes })
}

impl Export {
    /// Takes an `ExportTraceServiceRequest` in JSON apart. The spans are not read yet: each is still JSON.
    ///
    /// # Errors
    /// `TooMany` for more than `most` spans.
    pub fn parse_json(body: &Bytes, most: usize) -> Result<Self, Malformed> {
        let mut left = most;
        let mut export = Self::default();
        let request: Request<'_> = read(body)?;
        for place in request.resource_spans.0 {
            let place: Place<'_> = read(place.get().as_bytes())?;
            let attributes = place.resource.map(|said| pairs(said.attributes)).unwrap_or_default();
            let mut part = Part { resource: Resource { attributes }, spans: Vec::new() };
            for scope in place.scope_spans.0 {
                let scope: Scope<'_> = read(scope.get().as_bytes())?;
                left = left.checked_sub(scope.spans.0.len()).ok_or(Malformed::TooMany)?;
                part.spans.extend(scope.spans.0.iter().map(|span| body.slice_ref(span.get().as_bytes())));
            }
            export.parts.push(part);
        }
        Ok(export)
    }
}

impl Span {
    /// Reads one in JSON.
    ///
    /// # Errors
    /// `Bytes` when it is none.
    pub fn parse_json(text: &Bytes) -> Result<Self, Malformed> {
        let step: Step = read(text)?;
        let event = |one: Happened| {
            Ok(Event { time_unix_nano: nanos(one.time_unix_nano)?, name: one.name, attributes: pairs(one.attributes) })
        };
        let link = |one: Tie| {
            Ok(Link { trace_id: hex(&one.trace_id)?, span_id: hex(&one.span_id)?, attributes: pairs(one.attributes) })
        };
        Ok(Self {
            trace_id: hex(&step.trace_id)?,
            span_id: hex(&step.span_id)?,
            trace_state: step.trace_state,
            parent_span_id: hex(&step.parent_span_id)?,
            name: step.name,
            kind: step.kind,
            start_time_unix_nano: nanos(step.start_time_unix_nano)?,
            end_time_unix_nano: nanos(step.end_time_unix_nano)?,
            attributes: pairs(step.attributes),
            dropped_attributes_count: step.dropped_attributes_count,
            events: step.events.into_iter().map(event).collect::<Result<_, Malformed>>()?,
            dropped_events_count: step.dropped_events_count,
            links: step.links.into_iter().map(link).collect::<Result<_, Malformed>>()?,
            dropped_links_count: step.dropped_links_count,
            status: step.status.map(|ended| Status { message: ended.message, code: ended.code }),
        })
    }
}

fn nanos(number: Option<Number>) -> Result<u64, Malformed> {
    number.map_or(Ok(0), Number::read)
}

fn hex(text: &str) -> Result<Vec<u8>, Malformed> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(Malformed::Bytes);
    let byte = |pair: &[u8]| match pair {
        [high, low] => Ok(digit(*high)? << 4 | digit(*low)?),
        _ => Err(Malformed::Bytes),
    };
    text.as_bytes().chunks(2).map(byte).collect()
}

fn pairs(pairs: Vec<Pair>) -> Vec<KeyValue> {
    pairs.into_iter().map(|one| KeyValue { key: one.key, value: one.value.map(|value| value.0) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(span: &str) -> Bytes {
        let text = format!(
            r#"{{"resourceSpans": [{{"resource": {{"attributes": [{{"key": "service.name", "value": {{"stringValue": "shop"}}}}]}},
            "scopeSpans": [{{"scope": {{"name": "x"}}, "spans": [{span}]}}], "unknown": [1]}}]}}"#
        );
        Bytes::from(text)
    }

    const SPAN: &str = r#"{"traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174", "name": "step", "kind": 2,
        "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": 1544712661000000000, "attributes": [
        {"key": "i", "value": {"intValue": "-9223372036854775808"}}, {"key": "j", "value": {"intValue": 3}},
        {"key": "d", "value": {"doubleValue": 2}}, {"key": "n", "value": {"doubleValue": "NaN"}}, {"key": "b", "value": {"bytesValue": "AQ=="}},
        {"key": "l", "value": {"arrayValue": {"values": [{"boolValue": true}, {}]}}}],
        "events": [{"timeUnixNano": "7", "name": "e"}], "status": {"code": 2, "message": "why"}, "flags": 1}"#;

    #[test]
    fn an_export_in_json_is_the_same_as_in_protobuf() {
        let export = Export::parse_json(&request(SPAN), 1).unwrap();
        assert_eq!(export.parts[0].resource.attributes[0].key, "service.name");
        let span = Span::parse_json(&export.parts[0].spans[0]).unwrap();
        assert_eq!((span.trace_id.len(), span.trace_id[0], span.span_id[0], span.kind), (16, 0x5b, 0xee, 2));
        assert_eq!(
            (span.start_time_unix_nano, span.end_time_unix_nano),
            (1_544_712_660_000_000_000, 1_544_712_661_000_000_000)
        );
        assert_eq!(span.attribute("i"), Some(&Value::IntValue(i64::MIN)));
        assert_eq!(span.attribute("j"), Some(&Value::IntValue(3)));
        assert_eq!(span.attribute("d"), Some(&Value::DoubleValue(2.0)));
        assert!(matches!(span.attribute("n"), Some(Value::DoubleValue(number)) if number.is_nan()));
        assert_eq!(span.attribute("b"), Some(&Value::BytesValue(vec![1])));
        assert_eq!(span.events[0].time_unix_nano, 7);
        assert_eq!(span.status, Some(Status { message: String::from("why"), code: 2 }));
    }

    #[test]
    fn an_empty_value_costs_a_few_times_what_wrote_it() {
        // `{},` is three bytes.
        assert!(std::mem::size_of::<Any>() <= 32 && std::mem::size_of::<Pair>() <= 56);
    }

    #[test]
    fn what_is_too_much_or_no_export_is_refused() {
        assert_eq!(Export::parse_json(&request("{}, {}"), 1).unwrap_err(), Malformed::TooMany);
        let places = format!(r#"{{"resourceSpans": [{}{{}}]}}"#, "{},".repeat(MOST_PARTS));
        assert_eq!(Export::parse_json(&Bytes::from(places), 1).unwrap_err(), Malformed::TooMany);
        for bad in ["", "[]", "{", r#"{"resourceSpans": 5}"#, r#"{"resourceSpans": [5]}"#] {
            assert_eq!(
                Export::parse_json(&Bytes::from_static(bad.as_bytes()), 9).unwrap_err(),
                Malformed::Bytes,
                "{bad}"
            );
        }
        let deep = format!(r#"{}{}"#, r#"{"arrayValue": {"values": ["#.repeat(200), "]}}".repeat(200));
        let deep = format!(r#"{{"attributes": [{{"key": "k", "value": {deep}}}]}}"#);
        for bad in [
            r#"{"traceId": "5"}"#,
            r#"{"traceId": "xx"}"#,
            r#"{"startTimeUnixNano": "-1"}"#,
            r#"{"startTimeUnixNano": 1.5}"#,
            r#"{"attributes": [{"key": "k", "value": {"bytesValue": "!"}}]}"#,
            r#"{"attributes": [{"key": "k", "value": {"intValue": "9223372036854775808"}}]}"#,
            r#"{"attributes": [{"key": "k", "value": ["a"]}]}"#,
            deep.as_str(),
        ] {
            assert_eq!(
                Span::parse_json(&Bytes::copy_from_slice(bad.as_bytes())).unwrap_err(),
                Malformed::Bytes,
                "{bad}"
            );
        }
    }
}
