//! Reading a blob: whole, a range of it, or what is said of it.

use axum::{body::Body, response::Response};
use domain::{
    gate::enter,
    storage::{GetBlob, Need, READ, Wanted, invalid, md5_of},
};
use futures::TryStreamExt;
use http::{Method, StatusCode};
use kernel::Result;

use super::{
    headers::{Answer, guard, text},
    visit::Visit,
};

/// Bytes of a range whose MD5 is told; Azure's bound.
const MOST_MEASURED: u64 = 4 << 20;

/// `GET` and `HEAD`.
pub(super) async fn get(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&Need::blob(READ, "r")).await?;
    let is_head = visit.guest().method() == Method::HEAD || visit.query("comp") == "metadata";
    let wanted = if is_head { Wanted::Properties } else { wanted(&visit)? };
    let op = GetBlob { at: visit.in_container(&arrival)?, moment: visit.moment()?, wanted, guard: guard(&visit)? };
    let opened = enter(visit.house(), &arrival.caller, op).await?;
    let (blob, range) = (&opened.blob, opened.range);
    let mut answer = Answer::default();
    answer.blob(blob, visit.house().now(), arrival.sas.as_ref());
    let Some(bytes) = opened.bytes else {
        answer.set_if("content-md5", blob.headers.md5.as_deref());
        let length = if visit.query("comp") == "metadata" { 0 } else { blob.length };
        answer.set("content-length", &length.to_string());
        let mut response = Response::new(Body::empty());
        response.headers_mut().extend(answer.take());
        return Ok(response);
    };
    answer.set("content-length", &range.length.to_string());
    let is_part = matches!(wanted, Wanted::Range(..));
    let status = if is_part { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    if is_part {
        let last = range.from.saturating_add(range.length).saturating_sub(1);
        answer.set("content-range", &format!("bytes {}-{last}/{}", range.from, blob.length));
        answer.set_if("x-ms-blob-content-md5", blob.headers.md5.as_deref());
    } else {
        answer.set_if("content-md5", blob.headers.md5.as_deref());
    }
    let is_measured =
        visit.header("x-ms-range-get-content-md5").is_some_and(|asked| asked.eq_ignore_ascii_case("true"));
    let body = if is_measured && is_part {
        if range.length > MOST_MEASURED {
            return Err(invalid("OutOfRangeInput", "the MD5 of a range is told for at most 4 MiB"));
        }
        let pieces: Vec<bytes::Bytes> = bytes.try_collect().await?;
        let whole = pieces.concat();
        answer.set("content-md5", &md5_of(&whole));
        Body::from(whole)
    } else {
        Body::from_stream(bytes)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().extend(answer.take());
    Ok(response)
}

/// The range that is asked for. One form is known, as there; any other asks for all.
fn wanted(visit: &Visit) -> Result<Wanted> {
    let asked = match text(visit, "x-ms-range")? {
        Some(range) => Some(range),
        None => text(visit, "range")?,
    };
    Ok(asked.and_then(range_of).unwrap_or(Wanted::Whole))
}

/// `bytes=0-499` or `bytes=500-`.
pub(super) fn range_of(text: &str) -> Option<Wanted> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let first = digits(first)?;
    match last {
        "" => Some(Wanted::Range(first, None)),
        last => digits(last).filter(|last| *last >= first).map(|last| Wanted::Range(first, Some(last))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_service_reads_them() {
        assert_eq!(range_of("bytes=0-4"), Some(Wanted::Range(0, Some(4))));
        assert_eq!(range_of("bytes=7-"), Some(Wanted::Range(7, None)));
        assert_eq!(range_of("bytes=0-18446744073709551615"), Some(Wanted::Range(0, Some(u64::MAX))));
        for other in
            ["bytes=-5", "bytes=4-0", "bytes=+1-2", "bytes=0-1,4-5", "items=0-1", "bytes=99999999999999999999-"]
        {
            assert_eq!(range_of(other), None, "{other}");
        }
    }
}
