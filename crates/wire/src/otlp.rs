//! Spans as OpenTelemetry's exporters send them (OTLP 1.9, `opentelemetry/proto/trace/v1/trace.proto`): read from protobuf or JSON, and
//! written in protobuf's JSON with the fields' own names, as MLflow's clients read them.
//!
//! **Invariant:** an export is taken apart span by span. How many spans there are is known before any is read, so that a small
//! body cannot become a large heap.

mod json;
mod parts;
mod value;

use bytes::Bytes;
use prost::Message;
use serde::Serialize;

pub use value::{AnyValue, ArrayValue, KeyValue, KeyValueList, Value};

use parts::parts;
use value::{base64, is_zero};

/// Why an export cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    /// It is no export.
    Bytes,
    /// It has more resources or scopes than anybody sends, or more spans than are taken at once.
    TooMany,
}

/// What an exporter sends: spans by where they come from.
#[derive(Debug, Clone, Default)]
pub struct Export {
    /// The parts, in their order.
    pub parts: Vec<Part>,
}

/// Spans of one place.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// What is said of the place.
    pub resource: Resource,
    /// Its spans, each still in protobuf.
    pub spans: Vec<Bytes>,
}

/// Most resources, and most scopes of one.
const MOST_PARTS: usize = 1000;

impl Export {
    /// Takes an `ExportTraceServiceRequest` apart. The spans are not read yet.
    ///
    /// # Errors
    /// `TooMany` for more than `most` spans.
    pub fn parse(body: &Bytes, most: usize) -> Result<Self, Malformed> {
        let mut left = most;
        let mut export = Self::default();
        for resource_spans in parts(body, 1, MOST_PARTS)? {
            let mut part = Part::default();
            for resource in parts(&resource_spans, 1, MOST_PARTS)? {
                part.resource = Resource::decode(resource).map_err(|_| Malformed::Bytes)?;
            }
            for scope_spans in parts(&resource_spans, 2, MOST_PARTS)? {
                let spans = parts(&scope_spans, 2, left)?;
                left = left.saturating_sub(spans.len());
                part.spans.extend(spans);
            }
            export.parts.push(part);
        }
        Ok(export)
    }
}

/// Where spans come from.
#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    /// What is said of it.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// One step of a trace.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct Span {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    #[serde(serialize_with = "base64")]
    pub trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(serialize_with = "base64")]
    pub span_id: Vec<u8>,
    /// Vendors' own.
    #[prost(string, tag = "3")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace_state: String,
    /// The step it belongs to; empty for the first one.
    #[prost(bytes = "vec", tag = "4")]
    #[serde(serialize_with = "base64", skip_serializing_if = "Vec::is_empty")]
    pub parent_span_id: Vec<u8>,
    /// What it does.
    #[prost(string, tag = "5")]
    pub name: String,
    /// `SpanKind`.
    #[prost(int32, tag = "6")]
    #[serde(skip_serializing_if = "is_zero")]
    pub kind: i32,
    /// When it began, in nanoseconds since the epoch.
    #[prost(fixed64, tag = "7")]
    pub start_time_unix_nano: u64,
    /// When it ended.
    #[prost(fixed64, tag = "8")]
    #[serde(skip_serializing_if = "is_zero")]
    pub end_time_unix_nano: u64,
    /// What is said of it.
    #[prost(message, repeated, tag = "9")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<KeyValue>,
    /// How many were left out.
    #[prost(uint32, tag = "10")]
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped_attributes_count: u32,
    /// What happened meanwhile.
    #[prost(message, repeated, tag = "11")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// How many were left out.
    #[prost(uint32, tag = "12")]
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped_events_count: u32,
    /// Spans elsewhere that it has to do with.
    #[prost(message, repeated, tag = "13")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// How many were left out.
    #[prost(uint32, tag = "14")]
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped_links_count: u32,
    /// How it ended.
    #[prost(message, optional, tag = "15")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// Something that happened during a span.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct Event {
    /// When, in nanoseconds since the epoch.
    #[prost(fixed64, tag = "1")]
    pub time_unix_nano: u64,
    /// What.
    #[prost(string, tag = "2")]
    pub name: String,
    /// What is said of it.
    #[prost(message, repeated, tag = "3")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<KeyValue>,
}

/// A span elsewhere.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct Link {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    #[serde(serialize_with = "base64")]
    pub trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(serialize_with = "base64")]
    pub span_id: Vec<u8>,
    /// What is said of it.
    #[prost(message, repeated, tag = "4")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<KeyValue>,
}

/// How a span ended.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct Status {
    /// Why it failed.
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// 1 well, 2 badly, anything else unsaid.
    #[prost(int32, tag = "3")]
    #[serde(serialize_with = "status_code")]
    pub code: i32,
}

fn status_code<S: serde::Serializer>(code: &i32, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(match code {
        1 => "STATUS_CODE_OK",
        2 => "STATUS_CODE_ERROR",
        _ => "STATUS_CODE_UNSET",
    })
}

/// What a server says when it takes nothing: a `google.rpc.Status`. Its code is left to HTTP's status.
#[derive(Clone, PartialEq, Message)]
struct Refusal {
    #[prost(string, tag = "2")]
    message: String,
}

impl Status {
    /// The body of a refusal.
    pub fn refusal(message: &str) -> Vec<u8> {
        Refusal { message: message.to_owned() }.encode_to_vec()
    }
}

impl Span {
    /// Reads one.
    ///
    /// # Errors
    /// `Bytes` when it is none.
    pub fn parse(bytes: Bytes) -> Result<Self, Malformed> {
        Self::decode(bytes).map_err(|_| Malformed::Bytes)
    }

    /// What is said under a name.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|one| one.key == key)?.value.as_ref()?.value.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: &str, value: &str) -> KeyValue {
        let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
        KeyValue { key: key.to_owned(), value }
    }

    #[derive(Clone, PartialEq, Message)]
    struct Scope {
        #[prost(message, repeated, tag = "2")]
        spans: Vec<Span>,
        #[prost(string, tag = "3")]
        schema_url: String,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Place {
        #[prost(message, optional, tag = "1")]
        resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        scopes: Vec<Scope>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Request {
        #[prost(message, repeated, tag = "1")]
        places: Vec<Place>,
    }

    fn request(spans: usize) -> Bytes {
        let span = Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            name: String::from("step"),
            start_time_unix_nano: 5,
            attributes: vec![text("mlflow.spanType", "CHAIN")],
            status: Some(Status { message: String::new(), code: 2 }),
            ..Span::default()
        };
        let scope = Scope { spans: vec![span; spans], schema_url: String::from("https://example") };
        let resource = Some(Resource { attributes: vec![text("service.name", "shop")] });
        Request { places: vec![Place { resource, scopes: vec![scope] }] }.encode_to_vec().into()
    }

    #[test]
    fn an_export_is_taken_apart_span_by_span() {
        let export = Export::parse(&request(3), 3).unwrap();
        assert_eq!(export.parts[0].resource.attributes, [text("service.name", "shop")]);
        let span = Span::parse(export.parts[0].spans[2].clone()).unwrap();
        assert_eq!(span.attribute("mlflow.spanType"), Some(&Value::StringValue(String::from("CHAIN"))));
        let json = serde_json::to_string(&span).unwrap();
        let expected = concat!(
            r#"{"trace_id":"AQEBAQEBAQEBAQEBAQEBAQ==","span_id":"AgICAgICAgI=","name":"step","start_time_unix_nano":5,"#,
            r#""attributes":[{"key":"mlflow.spanType","value":{"string_value":"CHAIN"}}],"#,
            r#""status":{"code":"STATUS_CODE_ERROR"}}"#
        );
        assert_eq!(json, expected);
    }

    #[test]
    fn more_spans_than_are_taken_are_never_read() {
        assert_eq!(Export::parse(&request(4), 3).unwrap_err(), Malformed::TooMany);
        // Two bytes a scope: an empty one each.
        let inner: Vec<u8> = [0x12, 0].repeat(MOST_PARTS + 1);
        let mut body = vec![0x0a];
        prost::encode_length_delimiter(inner.len(), &mut body).unwrap();
        body.extend(inner);
        assert_eq!(Export::parse(&Bytes::from(body), 3).unwrap_err(), Malformed::TooMany);
    }

    #[test]
    fn what_is_no_export_is_refused() {
        let whole = request(1);
        for end in 1..whole.len() {
            let cut = Export::parse(&whole.slice(..end), 10);
            assert!(cut.is_err() || cut.unwrap().parts.iter().all(|part| part.spans.is_empty()), "{end}");
        }
        for bad in [&b"\x0a\xff"[..], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0b", b"\x0f", b"\x09\x01"] {
            assert_eq!(Export::parse(&Bytes::from_static(bad), 10).unwrap_err(), Malformed::Bytes, "{bad:?}");
        }
        assert!(Export::parse(&Bytes::new(), 10).unwrap().parts.is_empty());
    }
}
