//! Queries of the log tables, as Log Analytics answers them (`/v1/workspaces/{id}/query`, `/v1{resourceId}/query`).

use axum::response::{IntoResponse, Response};
use domain::{
    delivery::{FindWorkspace, QueryTable, TABLES, Table as LogTable},
    gate::{enter, knock},
};
use http::Method;
use kernel::{Caller, Error, ResourceId, Result, Timestamp, Who};
use serde::Deserialize;
use serde_json::{Value, json};

use super::kql::{Plan, Table, parse};
use crate::{
    Doors, Guest,
    faces::arm::{Fault, WORKSPACE},
};

/// The body of a query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    query: String,
    /// ISO 8601: a duration, or two of start, duration and end.
    timespan: Option<String>,
    /// Further workspaces; not offered.
    workspaces: Option<Vec<String>>,
}

pub(super) fn doors(doors: Doors) -> Doors {
    let of_resource = format!("/v1{WORKSPACE}/query");
    doors.open::<QueryTable, _, _>(Method::POST, "/v1/workspaces/{id}/query", query_workspace).open::<QueryTable, _, _>(
        Method::POST,
        &of_resource,
        query_resource,
    )
}

/// By the workspace's GUID. Who may not know it learns nothing from whether there is one.
async fn query_workspace(guest: Guest) -> Result<Response, Fault> {
    // Who asks comes first: nobody makes the server look through its workspaces without a token.
    let caller = guest.caller().await?;
    let scope = match guest.param("id") {
        Ok(workspace) if !matches!(caller.who, Who::Nobody) => {
            enter(guest.house(), &Caller::house(), FindWorkspace { workspace }).await?
        }
        _ => None,
    };
    answer(guest, caller, scope.unwrap_or_else(ResourceId::root)).await
}

async fn query_resource(guest: Guest) -> Result<Response, Fault> {
    let scope = guest.workspace()?;
    let caller = guest.caller().await?;
    answer(guest, caller, scope).await
}

async fn answer(guest: Guest, caller: Caller, scope: ResourceId) -> Result<Response, Fault> {
    let house = guest.house().clone();
    knock::<QueryTable>(&house, &caller, &scope).await?;
    if scope.is_root() {
        return Err(Error::not_found("the workspace in the address").into());
    }
    let body: Body = guest.json().await?;
    if body.workspaces.is_some_and(|more| !more.is_empty()) {
        return Err(Error::invalid("workspaces", "a query is over one workspace").into());
    }
    let now = house.now();
    let query = parse(&body.query, now)?;
    let table = LogTable::named(&query.table).ok_or_else(|| {
        let known: Vec<_> = TABLES.iter().map(|table| table.name).collect();
        Error::invalid("query", format_args!("there is no table `{}`, but {}", query.table, known.join(", ")))
    })?;
    let columns: Vec<_> = table.columns().map(|column| (column.name.to_owned(), column.kind)).collect();
    let plan = Plan::new(query, &columns)?;
    let (start, end) = timespan(body.timespan.as_deref(), now)?;
    let op = QueryTable {
        scope,
        table,
        from: plan.from.max(start),
        until: [plan.until, end].into_iter().flatten().min(),
        wanted: Box::new(plan.wanted()),
    };
    let found = enter(&house, &caller, op).await?;
    let result = plan.run(Table { columns, rows: found.rows })?;
    Ok(axum::Json(shown(&result, found.is_partial)).into_response())
}

fn shown(result: &Table, is_partial: bool) -> Value {
    let columns: Vec<Value> = result.columns.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
    let mut answer = json!({"tables": [{"name": "PrimaryResult", "columns": columns, "rows": result.rows}]});
    if let (true, Some(fields)) = (is_partial, answer.as_object_mut()) {
        let message = "the query met its bound before it had read everything; narrow its time range";
        let inner = json!({"code": "QueryBoundExceeded", "message": message});
        fields.insert(
            String::from("error"),
            json!({"code": "PartialError", "message": "There were some errors when processing your query.", "details": [inner]}),
        );
    }
    answer
}

/// Start and end of an ISO 8601 interval, or of a duration that ends now.
fn timespan(text: Option<&str>, now: Timestamp) -> Result<(Option<Timestamp>, Option<Timestamp>)> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok((None, None)) };
    let wrong = || Error::invalid("timespan", "is a duration like `PT1H`, or two of start, duration and end");
    let at = |text: &str| Timestamp::parse_rfc3339(text).ok_or_else(wrong);
    let less = |end: Timestamp, span: i64| Timestamp(end.0.saturating_sub(span));
    let Some((first, second)) = text.split_once('/') else {
        return Ok((Some(less(now, duration(text).ok_or_else(wrong)?)), Some(now)));
    };
    let (start, end) = match (duration(first), duration(second)) {
        (None, None) => (at(first)?, at(second)?),
        (Some(span), None) => (less(at(second)?, span), at(second)?),
        (None, Some(span)) => (at(first)?, Timestamp(at(first)?.0.saturating_add(span))),
        (Some(_), Some(_)) => return Err(wrong()),
    };
    Ok((Some(start), Some(end)))
}

/// An ISO 8601 duration of days, hours, minutes and seconds, in milliseconds.
fn duration(text: &str) -> Option<i64> {
    let (days, time) = text.strip_prefix('P')?.split_once('T').unwrap_or((text.strip_prefix('P')?, ""));
    let mut total: i64 = 0;
    for (part, units) in
        [(days, &[('W', 604_800_000), ('D', 86_400_000)][..]), (time, &[('H', 3_600_000), ('M', 60_000), ('S', 1000)])]
    {
        let mut rest = part;
        while let Some(end) = rest.find(|c: char| c.is_ascii_alphabetic()) {
            let (digits, after) = rest.split_at_checked(end)?;
            let (_, factor) = units.iter().find(|(unit, _)| after.starts_with(*unit))?;
            // `PT3600.0S`, as azure-monitor-query writes it: parts of seconds are left out.
            let whole: i64 = digits.split('.').next()?.parse().ok()?;
            total = total.checked_add(whole.checked_mul(*factor)?)?;
            rest = after.get(1..)?;
        }
        if !rest.is_empty() {
            return None;
        }
    }
    (text.len() > 2).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timespans_are_read_in_every_form_that_clients_send() {
        let now = Timestamp(100_000_000);
        let second = |seconds: i64| Some(Timestamp(seconds * 1000));
        let cases = [
            ("PT3600.0S", (second(96_400), second(100_000))),
            ("P1DT1H", (second(10_000), second(100_000))),
            ("1970-01-01T00:00:01Z/1970-01-01T00:00:03Z", (second(1), second(3))),
            ("1970-01-01T00:00:01Z/PT2S", (second(1), second(3))),
            ("PT2S/1970-01-01T00:00:03Z", (second(1), second(3))),
        ];
        for (text, wanted) in cases {
            assert_eq!(timespan(Some(text), now).unwrap(), wanted, "{text}");
        }
        for bad in ["P", "PT", "1 hour", "PT1X", "PT1H/PT1H", "x/y", "P1H"] {
            assert!(timespan(Some(bad), now).is_err(), "{bad}");
        }
        assert_eq!(timespan(None, now).unwrap(), (None, None));
    }
}
