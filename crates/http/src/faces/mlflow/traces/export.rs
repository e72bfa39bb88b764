//! `/v1/traces`: spans from OpenTelemetry's exporters (OTLP/HTTP, protobuf or JSON, perhaps gzip), answered in OTLP's own form.

mod span;

use std::io::Read;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{
    gate::enter,
    tracking::{LogSpans, NewSpan},
};
use flate2::bufread::MultiGzDecoder;
use http::{HeaderValue, Method, StatusCode, header};
use kernel::{Error, Kind, Result, RunId};
use tokio::sync::Semaphore;
use wire::otlp::{Export, Malformed, Status};

use super::{Fault, arrive};
use crate::{Doors, Guest};

/// Most bytes of an export, unpacked or not.
const MOST: usize = 16 << 20;
/// Most spans of an export.
const MOST_SPANS: usize = 20_000;
/// Most bytes of what its spans become: written as JSON, little things are many times as large.
const MOST_READ: usize = 64 << 20;
/// Exports that are read at once. What one span's bytes become in memory is some twenty times as much.
static READERS: Semaphore = Semaphore::const_new(4);
/// MiB of spans that were read and are not written yet, whoever sent them.
static ROOM: Semaphore = Semaphore::const_new(256);

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// How an export is written. Its answer is written so too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

impl Form {
    /// What the request says of its body; none when it is neither.
    fn of(guest: &Guest) -> Option<Self> {
        let kind = guest.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        match kind.split(';').next().unwrap_or_default().trim() {
            kind if kind.eq_ignore_ascii_case(PROTOBUF) => Some(Self::Protobuf),
            kind if kind.eq_ignore_ascii_case(JSON) => Some(Self::Json),
            _ => None,
        }
    }

    fn kind(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => PROTOBUF,
            Self::Json => JSON,
        })
    }

    fn take_apart(self, body: &Bytes) -> Result<Export, Malformed> {
        match self {
            Self::Protobuf => Export::parse(body, MOST_SPANS),
            Self::Json => Export::parse_json(body, MOST_SPANS),
        }
    }

    fn span(self, one: Bytes) -> Result<wire::otlp::Span, Malformed> {
        match self {
            Self::Protobuf => wire::otlp::Span::parse(one),
            Self::Json => wire::otlp::Span::parse_json(&one),
        }
    }

    /// `ExportTraceServiceResponse` without a partial success: all was taken.
    fn taken(self) -> Body {
        match self {
            Self::Protobuf => Body::empty(),
            Self::Json => Body::from("{}"),
        }
    }

    fn refusal(self, words: &str) -> Body {
        match self {
            Self::Protobuf => Body::from(Status::refusal(words)),
            Self::Json => Body::from(serde_json::json!({ "message": words }).to_string()),
        }
    }
}

/// The doors below the workspace's base address.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    doors.open::<LogSpans, _, _>(Method::POST, &format!("{base}/v1/traces"), export_spans)
}

async fn export_spans(guest: Guest) -> Response {
    let form = Form::of(&guest);
    // Who says neither is answered as most exporters read it.
    let answer = form.unwrap_or(Form::Protobuf);
    match log(guest, form).await {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, answer.kind())], answer.taken()).into_response(),
        Err(fault) => refuse(fault, answer),
    }
}

async fn log(guest: Guest, form: Option<Form>) -> Result<()> {
    let (house, caller, workspace) = arrive::<LogSpans>(&guest).await?;
    let form = form.ok_or_else(|| {
        let words = format!("spans are taken as {PROTOBUF} or {JSON}: set the exporter to `http/protobuf`");
        Error::new(Kind::Invalid, words)
    })?;
    let packing = guest.header(header::CONTENT_ENCODING.as_str()).unwrap_or_default().to_ascii_lowercase();
    let experiment = guest.header("x-mlflow-experiment-id").unwrap_or_default().to_owned();
    if experiment.is_empty() {
        return Err(Error::new(
            Kind::Invalid,
            "the header `x-mlflow-experiment-id` must say in which experiment the traces lie",
        ));
    }
    let run = guest.header("x-mlflow-run-id").filter(|id| !id.is_empty()).map(str::parse::<RunId>).transpose();
    let run = run.map_err(|_| Error::new(Kind::Invalid, "the header `x-mlflow-run-id` names no run"))?;
    let body = guest.bytes_to(MOST).await?;
    let (spans, _room) = {
        let closed = |_| Error::new(Kind::Unavailable, "the server is stopping");
        let _turn = READERS.acquire().await.map_err(closed)?;
        let (spans, bytes) = read(unpack(body, &packing)?, form, MOST_READ).await?;
        let mebibytes = u32::try_from(bytes.min(MOST_READ) >> 20).map_err(Error::internal)?;
        // The turn to read ends when there is room for what was read; who has room waits for no turn to read.
        (spans, ROOM.acquire_many(mebibytes.saturating_add(1)).await.map_err(closed)?)
    };
    enter(&house, &caller, LogSpans { workspace, experiment, run, spans }).await
}

fn unpack(body: Bytes, packing: &str) -> Result<Bytes> {
    match packing {
        "" | "identity" => Ok(body),
        "gzip" => {
            let most = u64::try_from(MOST).unwrap_or(u64::MAX).saturating_add(1);
            let mut whole = Vec::new();
            let damaged = |_| Error::new(Kind::Invalid, "the body is no gzip");
            MultiGzDecoder::new(body.as_ref()).take(most).read_to_end(&mut whole).map_err(damaged)?;
            if whole.len() > MOST {
                return Err(Error::new(
                    Kind::TooLarge,
                    format!("the body is larger than {MOST} bytes when it is unpacked"),
                ));
            }
            Ok(whole.into())
        }
        _ => Err(Error::new(Kind::Invalid, "the body may be packed with gzip, and with nothing else")),
    }
}

/// Reads the spans of an export, and says how many bytes they are now: at most `most`.
async fn read(body: Bytes, form: Form, most: usize) -> Result<(Vec<NewSpan>, usize)> {
    let (mut spans, mut bytes) = (Vec::new(), 0_usize);
    for part in form.take_apart(&body).map_err(malformed)?.parts {
        let tags = span::tags_of(&part.resource);
        for (count, one) in part.spans.into_iter().enumerate() {
            let parsed = form.span(one).map_err(malformed)?;
            let span = span::new_span(parsed, &tags)?;
            bytes = bytes.saturating_add(span.size());
            if bytes > most {
                let words = format!("the spans of an export have at most {most} bytes as JSON: send fewer at once");
                return Err(Error::new(Kind::TooLarge, words));
            }
            spans.push(span);
            if count % 100 == 99 {
                tokio::task::yield_now().await;
            }
        }
    }
    if spans.is_empty() {
        return Err(Error::new(Kind::Invalid, "Invalid OpenTelemetry format - no spans found"));
    }
    Ok((spans, bytes))
}

fn malformed(fault: Malformed) -> Error {
    match fault {
        Malformed::Bytes => Error::new(Kind::Invalid, "Invalid OpenTelemetry format"),
        Malformed::TooMany => {
            Error::new(Kind::TooLarge, format!("an export has at most {MOST_SPANS} spans: send fewer at once"))
        }
    }
}

/// A refusal as OTLP has it: a `google.rpc.Status` under the status and headers that any other door would answer with.
fn refuse(fault: Error, form: Form) -> Response {
    let status = form.refusal(fault.public());
    let mut response = Fault::from(fault).into_response();
    *response.body_mut() = status;
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().insert(header::CONTENT_TYPE, form.kind());
    response
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn packed(plain: &[u8]) -> Bytes {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(plain).unwrap();
        packer.finish().unwrap().into()
    }

    /// A field that holds bytes, in protobuf.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let (low, high) = (content.len() & 0x7f, content.len() >> 7);
        let head = [(number << 3) | 2, u8::try_from(low).unwrap() | 0x80, u8::try_from(high).unwrap()];
        [head.as_slice(), content].concat()
    }

    #[tokio::test]
    async fn spans_are_counted_as_what_they_become() {
        let ids = [field(1, &[7; 16]), field(2, &[7; 8])].concat();
        let span = [ids, [(11 << 3) | 2, 0].repeat(1000)].concat();
        let body = Bytes::from(field(1, &field(2, &field(2, &span))));
        let (spans, bytes) = read(body.clone(), Form::Protobuf, MOST_READ).await.unwrap();
        assert!(spans.len() == 1 && bytes > 10 * body.len(), "{bytes}");
        assert!(read(body.clone(), Form::Protobuf, bytes).await.is_ok());
        assert_eq!(read(body, Form::Protobuf, bytes - 1).await.unwrap_err().kind(), Kind::TooLarge);
    }

    #[test]
    fn a_small_body_cannot_become_a_large_one() {
        assert_eq!(unpack(packed(b"spans"), "gzip").unwrap(), "spans");
        let bomb = packed(&vec![0; MOST + 1]);
        assert!(bomb.len() < 100_000);
        assert_eq!(unpack(bomb, "gzip").unwrap_err().kind(), Kind::TooLarge);
        for (body, packing) in [(&b"no gzip"[..], "gzip"), (b"", "gzip"), (b"x", "deflate"), (b"x", "gzip, gzip")] {
            assert_eq!(unpack(Bytes::copy_from_slice(body), packing).unwrap_err().kind(), Kind::Invalid, "{packing}");
        }
    }
}
