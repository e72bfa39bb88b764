//! Events as messages of syslog: RFC 5424, counted as RFC 5425 §4.3 has it.

use bytes::Bytes;
use kernel::{Error, Result};

use super::{Event, sink::Sent};
use crate::gate::{Admission, Outcome};

/// Facility 13, "log audit" (RFC 5424, table 1).
const FACILITY: u8 = 13;
/// The number under which structured data of ours is named: IANA's for examples, since Bartizan has none.
const ENTERPRISE: &str = "32473";

pub(super) async fn send(cx: &Admission<'_>, server: &str, events: &[Event]) -> Result<Sent> {
    let host = host_of(&cx.settings().url);
    let mut stream = Vec::new();
    for event in events {
        let content = serde_json::to_string(&event.content(cx.house().tenant())).map_err(Error::internal)?;
        let message = message(event, host, &content);
        stream.extend_from_slice(format!("{} ", message.len()).as_bytes());
        stream.extend_from_slice(message.as_bytes());
    }
    Ok(match cx.web().pour(server, Bytes::from(stream)).await {
        Ok(()) => Sent::all(events),
        Err(fault) => Sent::none(fault),
    })
}

/// `<PRI>1 TIMESTAMP HOST APP PROCID MSGID [structured data] JSON`.
fn message(event: &Event, host: &str, content: &str) -> String {
    let severity = match event.activity.outcome {
        Outcome::Succeeded => 6,
        Outcome::Denied => 4,
        Outcome::Failed(_) => 3,
    };
    let priority = FACILITY.saturating_mul(8).saturating_add(severity);
    let (at, category, seq) = (event.at().rfc3339(), event.category, event.seq);
    let activity = &event.activity;
    let data = format!(
        "[bartizan@{ENTERPRISE} seq=\"{seq}\" caller=\"{}\" operation=\"{}\" status=\"{}\" correlation=\"{}\"]",
        value(&activity.actor.label()),
        value(&activity.action),
        activity.outcome.word(),
        activity.correlation,
    );
    format!("<{priority}>1 {at} {host} bartizan - {category} {data} {content}")
}

/// A parameter's value: quotes, backslashes and closing brackets are escaped (RFC 5424 §6.3.3).
fn value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}

fn host_of(url: &str) -> &str {
    let rest = url.trim_start_matches("https://");
    rest.split([':', '/']).next().filter(|host| !host.is_empty()).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_does_not_end_a_parameter() {
        assert_eq!(value("a\"] <1>\n\\"), "a\\\"\\] <1> \\\\");
        assert_eq!(host_of("https://ml.example.org:8443"), "ml.example.org");
    }
}
