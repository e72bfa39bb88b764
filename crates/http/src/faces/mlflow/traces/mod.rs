//! Traces: `/v1/traces` for OpenTelemetry's exporters, `traces/…` for MLflow's clients.

mod assessments;
mod export;
mod numbers;
mod received;
mod show;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::{
    gate::enter,
    tracking::{
        DeleteTraces, GetTrace, LinkTraces, ListTraces, NewTrace, OpenedTraces, Query, ReadTraces, SearchTraces,
        StartTrace, TraceChange, TraceState, UpdateTrace, text,
    },
};
use http::{Method, header};
use kernel::{Error, Result, Timestamp};
use serde::Serialize;
use tokio::sync::SemaphorePermit;
use wire::mlflow::{DeletedTraces, FoundTraces, TraceInfos, TraceReply, Traces};

use super::{
    Fault, arrive,
    fields::Fields,
    runs::run_id,
    view::{done, reply},
};
use crate::{Doors, Guest};

/// The doors below the workspace's base address.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let all = format!("{base}/api/3.0/mlflow/traces");
    let at = |path: &str| format!("{all}/{path}");
    let doors = doors
        .face(|doors| export::doors(doors, base))
        .face(|doors| assessments::doors(doors, &all))
        .face(|doors| numbers::doors(doors, &all))
        .open::<StartTrace, _, _>(Method::POST, &all, start_trace)
        .open::<GetTrace, _, _>(Method::GET, &at("{trace}"), get_trace)
        .open::<ReadTraces, _, _>(Method::GET, &at("get"), read_trace)
        .open::<ReadTraces, _, _>(Method::GET, &at("batchGet"), read_traces)
        .open::<ListTraces, _, _>(Method::POST, &at("batchGetInfos"), list_traces)
        .open::<SearchTraces, _, _>(Method::POST, &at("search"), search_traces);
    // What clients of both versions of the interface ask for in the same way.
    ["2.0", "3.0"].into_iter().fold(doors, |doors, version| {
        let at = |path: &str| format!("{base}/api/{version}/mlflow/traces/{path}");
        doors
            .open::<UpdateTrace, _, _>(Method::PATCH, &at("{trace}/tags"), set_tag)
            .open::<UpdateTrace, _, _>(Method::DELETE, &at("{trace}/tags"), delete_tag)
            .open::<DeleteTraces, _, _>(Method::POST, &at("delete-traces"), delete_traces)
            .open::<LinkTraces, _, _>(Method::POST, &at("link-to-run"), link_traces)
            .open::<UpdateTrace, _, _>(Method::POST, &at("link-prompts"), link_prompts)
    })
}

/// RFC 3339 as milliseconds since the epoch.
fn time(fields: &Fields, name: &str) -> Result<Option<i64>> {
    let Some(said) = fields.text(name)? else { return Ok(None) };
    let why = "it must be a time like 2026-01-31T12:00:00.123Z";
    Timestamp::parse_rfc3339(&said).map(|at| Some(at.0)).ok_or_else(|| text::bad(name, &said, why))
}

/// `1.5s` as milliseconds.
fn duration(said: &str) -> Option<i64> {
    let seconds = said.strip_suffix('s')?;
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    whole.parse::<i64>().ok().filter(|whole| *whole >= 0)?.checked_mul(1000)?.checked_add(millis)
}

async fn start_trace(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<StartTrace>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let trace = fields.object("trace")?.ok_or_else(|| text::missing("trace"))?;
    let info = trace.object("trace_info")?.ok_or_else(|| text::missing("trace_info"))?;
    let made = enter(&house, &caller, StartTrace { workspace, trace: new_trace(&info)? }).await?;
    Ok(reply(TraceReply { trace: show::trace(made, Vec::new()) }))
}

/// The experiment that a location names.
fn location(location: &Fields) -> Result<String> {
    let why = "only experiments hold traces here: set `mlflow_experiment`";
    let experiment = location.object("mlflow_experiment")?.ok_or_else(|| text::bad("location", "", why))?;
    experiment.need("experiment_id")
}

fn new_trace(info: &Fields) -> Result<NewTrace> {
    let place = info.object("trace_location")?.ok_or_else(|| text::missing("trace_location"))?;
    let word = info.text_or_empty("state")?;
    let lasted = info.text("execution_duration")?.map(|said| {
        duration(&said).ok_or_else(|| text::bad("execution_duration", &said, "it must be seconds like 1.5s"))
    });
    let assessments: Result<Vec<_>> = info.objects("assessments")?.iter().map(received::assessment).collect();
    Ok(NewTrace {
        id: info.need("trace_id")?,
        experiment: location(&place)?,
        client_request: info.text("client_request_id")?,
        request_preview: info.text("request_preview")?,
        response_preview: info.text("response_preview")?,
        started_at: time(info, "request_time")?.ok_or_else(|| text::missing("request_time"))?,
        duration: lasted.transpose()?,
        state: TraceState::from_word(&word)
            .ok_or_else(|| text::bad("state", &word, "it must be OK, ERROR or IN_PROGRESS"))?,
        metadata: info.map("trace_metadata")?,
        tags: info.map("tags")?,
        assessments: assessments?,
    })
}

async fn get_trace(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetTrace>(&guest).await?;
    let trace = enter(&house, &caller, GetTrace { workspace, id: guest.param("trace")? }).await?;
    Ok(reply(TraceReply { trace: show::trace(trace, Vec::new()) }))
}

async fn read_trace(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<ReadTraces>(&guest).await?;
    let fields = Fields::query(&guest, &["trace_id", "allow_partial"]);
    // Without all spans: those there are. Otherwise the trace must be there with every one it says it has.
    let (id, is_partial) = (fields.need("trace_id")?, fields.flag("allow_partial")?);
    if is_partial {
        enter(&house, &caller, GetTrace { workspace: workspace.clone(), id: id.clone() }).await?;
    }
    let op = ReadTraces { workspace, ids: vec![id], experiments: None, whole: !is_partial };
    let OpenedTraces { mut traces, room } = enter(&house, &caller, op).await?;
    let opened = traces.pop().ok_or_else(|| Error::not_found("the trace"))?;
    roomy_reply(TraceReply { trace: show::trace(opened.trace, opened.spans) }, room)
}

/// An answer, and the room that it takes until its last byte was sent.
struct Roomy {
    answer: Vec<u8>,
    _room: SemaphorePermit<'static>,
}

impl AsRef<[u8]> for Roomy {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

fn roomy_reply(body: impl Serialize, room: SemaphorePermit<'static>) -> Result<Response, Fault> {
    let answer = serde_json::to_vec(&body).map_err(Error::internal)?;
    let answer = Bytes::from_owner(Roomy { answer, _room: room });
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}

/// The experiments that a request is restricted to; none when it is not.
fn restriction(fields: &Fields) -> Result<Option<Vec<String>>> {
    Ok(Some(fields.texts("experiment_ids")?).filter(|ids| !ids.is_empty()))
}

async fn read_traces(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<ReadTraces>(&guest).await?;
    let fields = Fields::query(&guest, &["trace_ids", "experiment_ids"]);
    let ids = fields.texts("trace_ids")?;
    if ids.is_empty() {
        return Err(text::missing("trace_ids").into());
    }
    let op = ReadTraces { workspace, ids, experiments: restriction(&fields)?, whole: false };
    let OpenedTraces { traces, room } = enter(&house, &caller, op).await?;
    let traces = traces.into_iter().map(|one| show::trace(one.trace, one.spans)).collect();
    roomy_reply(Traces { traces }, room)
}

async fn list_traces(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<ListTraces>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let ids = fields.texts("trace_ids")?;
    if ids.is_empty() {
        return Err(text::missing("trace_ids").into());
    }
    let op = ListTraces { workspace, ids, experiments: restriction(&fields)? };
    let traces = enter(&house, &caller, op).await?;
    Ok(reply(TraceInfos { trace_infos: traces.into_iter().map(show::info).collect() }))
}

async fn search_traces(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<SearchTraces>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let experiments: Result<Vec<String>> = fields.objects("locations")?.iter().map(location).collect();
    let query = Query {
        filter: fields.text_or_empty("filter")?,
        order_by: fields.texts("order_by")?,
        most: fields.count("max_results", 100)?,
        page_token: fields.text("page_token")?,
    };
    let page = enter(&house, &caller, SearchTraces { workspace, experiments: experiments?, query }).await?;
    let traces = page.items.into_iter().map(show::info).collect();
    Ok(reply(FoundTraces { traces, next_page_token: page.next }))
}

async fn update(guest: &Guest, change: TraceChange) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<UpdateTrace>(guest).await?;
    enter(&house, &caller, UpdateTrace { workspace, id: guest.param("trace")?, change }).await?;
    Ok(done())
}

async fn set_tag(guest: Guest) -> Result<Response, Fault> {
    let shell = guest.shell();
    arrive::<UpdateTrace>(&shell).await?;
    let fields = Fields::body(guest).await?;
    update(&shell, TraceChange::SetTag(fields.need("key")?, fields.text_or_empty("value")?)).await
}

async fn delete_tag(guest: Guest) -> Result<Response, Fault> {
    let shell = guest.shell();
    arrive::<UpdateTrace>(&shell).await?;
    let asked = Fields::query(&shell, &["key"]);
    let fields = if asked.has("key") { asked } else { Fields::body(guest).await? };
    update(&shell, TraceChange::DeleteTag(fields.need("key")?)).await
}

async fn delete_traces(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<DeleteTraces>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let most = if fields.has("max_traces") { Some(fields.count("max_traces", 0)?) } else { None };
    let op = DeleteTraces {
        workspace,
        experiment: fields.need("experiment_id")?,
        until: fields.integer("max_timestamp_millis")?,
        most,
        ids: fields.texts("request_ids")?,
    };
    let traces_deleted = enter(&house, &caller, op).await?;
    Ok(reply(DeletedTraces { traces_deleted }))
}

async fn link_traces(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<LinkTraces>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let op = LinkTraces { workspace, traces: fields.texts("trace_ids")?, run: run_id(&fields)? };
    enter(&house, &caller, op).await?;
    Ok(done())
}

async fn link_prompts(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<UpdateTrace>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let prompt = |one: &Fields| {
        let version = one.need("version")?;
        let bad = || text::bad("version", &version, "it must be a number");
        Ok((one.need("name")?, version.parse::<u64>().map_err(|_| bad())?))
    };
    let prompts: Result<Vec<(String, u64)>> = fields.objects("prompt_versions")?.iter().map(prompt).collect();
    let change = TraceChange::LinkPrompts(prompts?);
    enter(&house, &caller, UpdateTrace { workspace, id: fields.need("trace_id")?, change }).await?;
    Ok(done())
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_seconds() {
        for (said, millis) in [
            ("0s", Some(0)),
            ("1.5s", Some(1500)),
            ("0.001s", Some(1)),
            ("2.123456789s", Some(2123)),
            ("1", None),
            ("-1s", None),
            ("1.x s", None),
            ("1.0000000001s", None),
            ("9223372036854775807s", None),
        ] {
            assert_eq!(duration(said), millis, "{said}");
        }
    }
}
