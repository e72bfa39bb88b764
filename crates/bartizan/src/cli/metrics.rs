//! Platform metrics, and alert rules over them.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outbound::Method;
use serde_json::{Map, Value, json};

use super::{
    Session, SessionOptions,
    named::{self, Named},
};
use crate::failure::Failure;

/// Commands on metrics.
#[derive(Subcommand)]
pub enum Metrics {
    /// Print the values of metrics over time.
    ///
    /// For example: metrics list -w ws1 --metrics "Completed Runs" --interval PT1H --aggregation Total
    List(Box<List>),
    /// What is measured: names, units and dimensions.
    ListDefinitions(Of),
    /// Rules that raise alerts.
    #[command(subcommand)]
    Alert(Alert),
}

/// A workspace.
#[derive(Args)]
pub struct Of {
    /// Its id. Default: the workspace named with -g and -w.
    #[arg(long, value_name = "ID")]
    resource: Option<String>,
    #[command(flatten)]
    session: SessionOptions,
}

/// Which values.
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    of: Of,
    /// A metric: "Completed Runs"; can be given several times. Default: all.
    #[arg(long, alias = "metric", value_name = "NAME")]
    metrics: Vec<String>,
    /// The width of a value: PT1M, PT5M, PT15M, PT30M, PT1H, PT6H, PT12H, P1D.
    #[arg(long, default_value = "PT1M")]
    interval: String,
    /// Total, Average, Minimum, Maximum or Count; can be given several times. Default: what is usual for a metric.
    #[arg(long)]
    aggregation: Vec<String>,
    /// From here: 2026-01-31T00:00:00Z. Default: an hour ago.
    #[arg(long, value_name = "TIME", requires = "end_time")]
    start_time: Option<String>,
    /// Up to here.
    #[arg(long, value_name = "TIME", requires = "start_time")]
    end_time: Option<String>,
    /// Only some, or one series for each value: "RunType eq '*'".
    #[arg(long, value_name = "ODATA")]
    filter: Option<String>,
}

/// Commands on alert rules.
#[derive(Subcommand)]
pub enum Alert {
    /// Create a rule, or replace it.
    ///
    /// The three that Azure recommends:
    /// --condition "total Model Deploy Failed > 0",
    /// --condition "avg Quota Utilization Percentage > 90",
    /// --condition "total Unusable Nodes > 0"
    Create(Box<Create>),
    /// List those of the resource group.
    List(#[command(flatten)] SessionOptions),
    /// Show one, and where it stands.
    Show(Named),
    /// Delete one. Its alert, if one stands, is resolved.
    Delete(Named),
}

/// What a rule shall be.
#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    named: Named,
    /// `avg|min|max|total|count METRIC >|>=|<|<=|= NUMBER [where DIMENSION includes VALUE [and …]]`; all must hold.
    #[arg(long, required = true, value_name = "CONDITION")]
    condition: Vec<String>,
    /// A workspace's id; can be given several times. Default: the workspace named with -g and -w.
    #[arg(long, value_name = "ID")]
    scopes: Vec<String>,
    /// Id of an action group that is told; can be given several times.
    #[arg(long, value_name = "ID")]
    action: Vec<String>,
    /// 0, critical, to 4, verbose.
    #[arg(long, default_value = "2")]
    severity: u8,
    /// How far each evaluation looks back: 5m, 1h, 1d.
    #[arg(long, default_value = "5m")]
    window_size: String,
    /// How often it is evaluated: 1m to 1h.
    #[arg(long, default_value = "1m")]
    evaluation_frequency: String,
    /// Whether alerts are resolved by themselves.
    #[arg(long, default_value = "true", action = clap::ArgAction::Set)]
    auto_mitigate: bool,
    /// Create it without evaluating it.
    #[arg(long)]
    disabled: bool,
    /// For people.
    #[arg(long, default_value = "")]
    description: String,
}

const RULES: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Enabled", "/properties/enabled"),
    ("Severity", "/properties/severity"),
    ("Window", "/properties/windowSize"),
    ("Criteria", "/properties/criteria/allOf"),
    ("Standing", "/properties/evaluation"),
];
const VALUES: &[(&str, &str)] =
    &[("Metric", "/metric"), ("Time", "/timeStamp"), ("Dimensions", "/dimensions"), ("Values", "/values")];
const DEFINITIONS: &[(&str, &str)] = &[
    ("Metric", "/name/value"),
    ("Category", "/category"),
    ("Unit", "/unit"),
    ("Usual", "/primaryAggregationType"),
    ("Dimensions", "/dimensions"),
];

impl Metrics {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(list) => list.run().await,
            Self::ListDefinitions(of) => {
                let (session, place) = of.open().await?;
                of.session.output.entries(&session.list(&format!("{place}/metricDefinitions")).await?, DEFINITIONS)
            }
            Self::Alert(command) => command.run().await,
        }
    }
}

impl Of {
    async fn open(&self) -> Result<(Session, String), Failure> {
        let session = Session::open(&self.session).await?;
        let scope = self.resource.clone().map_or_else(|| session.workspace(), Ok)?;
        Ok((session, format!("{scope}/providers/Microsoft.Insights")))
    }
}

impl List {
    async fn run(self) -> Result<ExitCode, Failure> {
        let (session, place) = self.of.open().await?;
        let mut query = vec![("interval", self.interval.clone())];
        if !self.metrics.is_empty() {
            query.push(("metricnames", self.metrics.join(",")));
        }
        if !self.aggregation.is_empty() {
            query.push(("aggregation", self.aggregation.join(",")));
        }
        if let (Some(from), Some(until)) = (&self.start_time, &self.end_time) {
            query.push(("timespan", format!("{from}/{until}")));
        }
        query.extend(self.filter.clone().map(|filter| ("$filter", filter)));
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let call = session.call(Method::GET, &format!("{place}/metrics")).query(&query);
        let answer: Value = call.send_for_json().await?;
        self.of.session.output.entries(&rows(&answer), VALUES)
    }
}

/// One entry for each value of each series.
fn rows(answer: &Value) -> Vec<Value> {
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut rows = Vec::new();
    for metric in list(answer, "value") {
        for series in list(&metric, "timeseries") {
            let dimensions: Map<String, Value> = list(&series, "metadatavalues")
                .iter()
                .filter_map(|one| Some((one.pointer("/name/value")?.as_str()?.to_owned(), one.get("value")?.clone())))
                .collect();
            for mut point in list(&series, "data") {
                let at = point.as_object_mut().and_then(|fields| fields.remove("timeStamp"));
                let name = metric.pointer("/name/value");
                rows.push(json!({"metric": name, "timeStamp": at, "dimensions": dimensions, "values": point}));
            }
        }
    }
    rows
}

fn collection(session: &Session) -> Result<String, Failure> {
    Ok(format!("{}/providers/Microsoft.Insights/metricAlerts", session.group()?))
}

impl Alert {
    async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => {
                let body =
                    |session: &Session| Ok(json!({"location": "global", "properties": create.properties(session)?}));
                create.named.put(collection, body, RULES).await
            }
            Self::List(options) => named::list(options, collection, RULES).await,
            Self::Show(named) => named.show(collection, RULES).await,
            Self::Delete(named) => named.delete(collection, "alert rule").await,
        }
    }
}

impl Create {
    fn properties(&self, session: &Session) -> Result<Value, Failure> {
        let scopes = if self.scopes.is_empty() { vec![session.workspace()?] } else { self.scopes.clone() };
        let kind = if scopes.len() > 1 { "MultipleResource" } else { "SingleResource" };
        let criteria: Vec<Value> = (0..)
            .zip(&self.condition)
            .map(|(number, text)| {
                let wrong = || {
                    let why = "is no condition; for example: total Model Deploy Failed > 0";
                    Failure::usage(format!("`{text}` {why}"))
                };
                criterion(number, text).ok_or_else(wrong)
            })
            .collect::<Result<_, Failure>>()?;
        let actions: Vec<Value> = self.action.iter().map(|id| json!({"actionGroupId": id})).collect();
        Ok(json!({
            "description": self.description,
            "severity": self.severity,
            "enabled": !self.disabled,
            "scopes": scopes,
            "evaluationFrequency": span(&self.evaluation_frequency),
            "windowSize": span(&self.window_size),
            "criteria": {
                "odata.type": format!("Microsoft.Azure.Monitor.{kind}MultipleMetricCriteria"),
                "allOf": criteria,
            },
            "autoMitigate": self.auto_mitigate,
            "actions": actions,
        }))
    }
}

/// `5m`, `1h` and `1d` as ISO 8601 has them; anything else passes, for the server to judge.
fn span(text: &str) -> String {
    let folded = text.to_ascii_uppercase();
    match folded.strip_suffix('D') {
        Some(days) if days.parse::<u8>().is_ok() => format!("P{folded}"),
        _ if folded.starts_with(|c: char| c.is_ascii_digit()) => format!("PT{folded}"),
        _ => folded,
    }
}

const OPERATORS: [(&str, &str); 5] =
    [(">=", "GreaterThanOrEqual"), ("<=", "LessThanOrEqual"), (">", "GreaterThan"), ("<", "LessThan"), ("=", "Equals")];
const AGGREGATIONS: [(&str, &str); 5] =
    [("avg", "Average"), ("min", "Minimum"), ("max", "Maximum"), ("total", "Total"), ("count", "Count")];

/// A condition in az's words.
fn criterion(number: u32, text: &str) -> Option<Value> {
    let (aggregation, rest) = text.trim().split_once(' ')?;
    let (_, aggregation) = AGGREGATIONS.into_iter().find(|(word, _)| word.eq_ignore_ascii_case(aggregation))?;
    let (place, word, operator) =
        OPERATORS.into_iter().find_map(|(word, operator)| Some((rest.find(word)?, word, operator)))?;
    let (metric, rest) = rest.split_at_checked(place)?;
    let rest = rest.strip_prefix(word)?;
    let (threshold, filter) = rest.split_once(" where ").unwrap_or((rest, ""));
    let threshold: f64 = threshold.trim().parse().ok()?;
    let mut dimensions = Vec::new();
    for part in filter.split(" and ").filter(|part| !part.trim().is_empty()) {
        let (name, value) = part.split_once(" includes ")?;
        dimensions.push(json!({"name": name.trim(), "operator": "Include", "values": [value.trim()]}));
    }
    Some(json!({
        "criterionType": "StaticThresholdCriterion",
        "name": format!("cond{number}"),
        "metricName": metric.trim().trim_matches(['"', '\'']),
        "operator": operator,
        "threshold": threshold,
        "timeAggregation": aggregation,
        "dimensions": dimensions,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_read_as_az_writes_it() {
        let read = criterion(0, "avg 'Quota Utilization Percentage' >= 90.5 where ClusterName includes local").unwrap();
        assert_eq!(
            (&read["metricName"], &read["operator"], &read["threshold"], &read["timeAggregation"]),
            (&json!("Quota Utilization Percentage"), &json!("GreaterThanOrEqual"), &json!(90.5), &json!("Average"))
        );
        assert_eq!(read["dimensions"], json!([{"name": "ClusterName", "operator": "Include", "values": ["local"]}]));
        for bad in ["", "total", "median Failed Runs > 0", "total Failed Runs > many", "total Failed Runs"] {
            assert!(criterion(0, bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn spans_are_written_short_or_as_iso_has_them() {
        let cases = [("5m", "PT5M"), ("1h", "PT1H"), ("1d", "P1D"), ("pt15m", "PT15M"), ("P1D", "P1D")];
        for (given, wanted) in cases {
            assert_eq!(span(given), wanted);
        }
    }
}
