//! Alert rules over metrics (`Microsoft.Insights/metricAlerts`, Azure Monitor REST, 2018-03-01).

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use domain::{
    alerts::{
        Aggregation, Condition, Conditions, GetRule, ListRules, MetricAlert, Operator, PutMetricAlert, RuleChange,
        RuleStatus, Span, Watch,
    },
    gate::enter,
    platform_metrics::Metric,
    resources::{DeleteResource, ResourceType},
};
use http::{Method, StatusCode};
use kernel::{Error, Kind, Result};
use serde_json::{Value, json};
use wire::{alert, arm};

use super::NAMESPACE;
use crate::{
    Doors, Guest,
    faces::arm::{Fault, GROUP, list, named, precondition, show},
};

type Answer = std::result::Result<Response, Fault>;

const KINDS: &str = "Microsoft.Azure.Monitor.";

pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{GROUP}/providers/{}", MetricAlert::TYPE);
    let everywhere = format!("/subscriptions/{{subscription}}/providers/{}", MetricAlert::TYPE);
    let one = format!("{all}/{{name}}");
    doors
        .open::<ListRules, _, _>(Method::GET, &all, list_rules)
        .open::<ListRules, _, _>(Method::GET, &everywhere, list_rules)
        .open::<GetRule, _, _>(Method::GET, &one, get_rule)
        .open::<PutMetricAlert, _, _>(Method::PUT, &one, put_rule)
        .open::<PutMetricAlert, _, _>(Method::PATCH, &one, patch_rule)
        .open::<DeleteResource<MetricAlert>, _, _>(Method::DELETE, &one, delete_rule)
}

async fn list_rules(guest: Guest) -> Answer {
    let found = enter(guest.house(), &guest.caller().await?, ListRules { scope: guest.resource(3)? }).await?;
    Ok(list(found.iter().map(view).collect()))
}

async fn get_rule(guest: Guest) -> Answer {
    let found = enter(guest.house(), &guest.caller().await?, GetRule { id: guest.resource(0)? }).await?;
    Ok(named(StatusCode::OK, view(&found)))
}

async fn put_rule(guest: Guest) -> Answer {
    write(guest, false).await
}

async fn patch_rule(guest: Guest) -> Answer {
    write(guest, true).await
}

async fn write(guest: Guest, is_patch: bool) -> Answer {
    let (house, id) = (guest.house().clone(), guest.resource(0)?);
    let caller = guest.admitted::<PutMetricAlert>(&id).await?;
    let precondition = precondition(&guest)?;
    let body: alert::PutRule = guest.json().await?;
    let change = change(body.properties)?;
    let location = body.location.unwrap_or_default();
    let op = PutMetricAlert { id: id.clone(), location, tags: body.tags, change, is_patch, precondition };
    let written = enter(&house, &caller, op).await?;
    // Where it stands is told by reads; a new one was not evaluated yet.
    let status = RuleStatus { row: written.row, watches: Vec::new() };
    // Azure's client takes no 201 here.
    Ok(named(StatusCode::OK, view(&status)))
}

async fn delete_rule(guest: Guest) -> Answer {
    let op = DeleteResource::<MetricAlert>::new(guest.resource(0)?);
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}

fn change(input: alert::Rule) -> Result<RuleChange> {
    let ids = |field: &str, texts: Vec<String>| {
        let parse = |text: String| text.parse().map_err(|why| Error::invalid(field, why));
        texts.into_iter().map(parse).collect::<Result<Vec<_>>>()
    };
    if input.target_resource_type.is_some_and(|kind| !kind.eq_ignore_ascii_case(NAMESPACE)) {
        return Err(Error::invalid("properties.targetResourceType", format_args!("is `{NAMESPACE}`")));
    }
    let mut groups = None;
    if let Some(actions) = input.actions {
        if actions.iter().any(|action| action.web_hook_properties.as_ref().is_some_and(|words| !words.is_empty())) {
            let why = "`properties.actions.webHookProperties`: words for webhooks are not supported";
            return Err(Error::new(Kind::Unsupported, why));
        }
        let named = actions.into_iter().map(|action| action.action_group_id).collect();
        groups = Some(ids("properties.actions.actionGroupId", named)?);
    }
    let span = |field: &str, name: Option<String>| name.map(|name| Span::named(field, &name)).transpose();
    Ok(RuleChange {
        description: input.description,
        severity: input.severity,
        is_enabled: input.enabled,
        scopes: input.scopes.map(|scopes| ids("properties.scopes", scopes)).transpose()?,
        frequency: span("properties.evaluationFrequency", input.evaluation_frequency)?,
        window: span("properties.windowSize", input.window_size)?,
        conditions: input.criteria.map(conditions).transpose()?,
        auto_mitigate: input.auto_mitigate,
        groups,
    })
}

fn conditions(input: alert::Criteria) -> Result<Conditions> {
    let is_multiple = match input.kind.strip_prefix(KINDS) {
        Some("SingleResourceMultipleMetricCriteria") => false,
        Some("MultipleResourceMultipleMetricCriteria") => true,
        _ => {
            let why = format!(
                "`properties.criteria`: `{}` is not supported, but {KINDS}SingleResourceMultipleMetricCriteria and \
                 {KINDS}MultipleResourceMultipleMetricCriteria",
                input.kind
            );
            return Err(Error::new(Kind::Unsupported, why));
        }
    };
    let all_of = input.all_of.into_iter().map(condition).collect::<Result<Vec<Condition>>>()?;
    Ok(Conditions { is_multiple, all_of })
}

fn condition(input: alert::Criterion) -> Result<Condition> {
    let field = "properties.criteria.allOf";
    let unsupported = |why: &str| Error::new(Kind::Unsupported, format!("`{field}`: {why}"));
    let is_dynamic = input.alert_sensitivity.is_some() || input.failing_periods.is_some();
    match input.criterion_type.as_deref() {
        None | Some("StaticThresholdCriterion") if !is_dynamic => {}
        _ => {
            let why = "dynamic thresholds are not supported; give a `StaticThresholdCriterion` with a `threshold`";
            return Err(unsupported(why));
        }
    }
    if input.metric_namespace.is_some_and(|space| !space.is_empty() && !space.eq_ignore_ascii_case(NAMESPACE)) {
        return Err(Error::invalid(field, format_args!("has a `metricNamespace` that is not `{NAMESPACE}`")));
    }
    let metric = Metric::named(&input.metric_name).ok_or_else(|| {
        let names: Vec<String> = Metric::ALL.into_iter().map(Metric::name).collect();
        Error::invalid(field, format_args!("`{}` is none of {}", input.metric_name, names.join(", ")))
    })?;
    let operator = Operator::ALL.into_iter().find(|known| format!("{known:?}") == input.operator);
    let operator = operator.ok_or_else(|| {
        let why =
            "has an `operator` that is none of Equals, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual";
        Error::invalid(field, why)
    })?;
    let aggregation = Aggregation::ALL.into_iter().find(|known| format!("{known:?}") == input.time_aggregation);
    let aggregation = aggregation.ok_or_else(|| {
        Error::invalid(field, "has a `timeAggregation` that is none of Average, Count, Minimum, Maximum, Total")
    })?;
    let threshold = input.threshold.ok_or_else(|| Error::invalid(field, "has a criterion without `threshold`"))?;
    let mut dimensions = BTreeMap::new();
    for dimension in input.dimensions.unwrap_or_default() {
        let [value] = <[String; 1]>::try_from(dimension.values)
            .map_err(|_| unsupported("a dimension is compared with one value; make a rule for each"))?;
        if dimension.operator != "Include" {
            return Err(unsupported("a dimension's operator is `Include`"));
        }
        dimensions.insert(dimension.name, value);
    }
    Ok(Condition { name: input.name, metric, operator, threshold, aggregation, dimensions })
}

fn view(status: &RuleStatus) -> arm::Resource<Value> {
    let resource = &status.row.value;
    let rule = &resource.properties;
    let scopes: Vec<_> = rule.scopes.iter().map(|watched| &watched.id).collect();
    let actions: Vec<Value> =
        rule.groups.iter().map(|group| json!({"actionGroupId": group, "webHookProperties": {}})).collect();
    let all_of: Vec<Value> = rule.conditions.all_of.iter().map(view_condition).collect();
    let evaluation: Vec<Value> = status.watches.iter().map(view_watch).collect();
    let properties = json!({
        "description": rule.description,
        "severity": rule.severity,
        "enabled": rule.is_enabled,
        "scopes": scopes,
        "evaluationFrequency": rule.frequency.word(),
        "windowSize": rule.window.word(),
        "criteria": {"odata.type": format!("{KINDS}{}", rule.conditions.kind()), "allOf": all_of},
        "autoMitigate": rule.auto_mitigate,
        "targetResourceType": NAMESPACE,
        "targetResourceRegion": resource.location,
        "actions": actions,
        "lastUpdatedTime": resource.system.last_modified_at.rfc3339(),
        "isMigrated": false,
        "evaluation": evaluation,
    });
    show(&status.row, properties)
}

fn view_condition(condition: &Condition) -> Value {
    let dimensions = condition.dimensions.iter();
    let dimensions: Vec<Value> =
        dimensions.map(|(name, value)| json!({"name": name, "operator": "Include", "values": [value]})).collect();
    json!({
        "criterionType": "StaticThresholdCriterion",
        "name": condition.name,
        "metricName": condition.metric.name(),
        "metricNamespace": NAMESPACE,
        "operator": format!("{:?}", condition.operator),
        "threshold": condition.threshold,
        "timeAggregation": format!("{:?}", condition.aggregation),
        "dimensions": dimensions,
    })
}

fn view_watch(watch: &Watch) -> Value {
    let state = match (&watch.fault, watch.alert) {
        (Some(_), _) => "WithoutEffect",
        (None, Some(_)) => "Fired",
        (None, None) => "Resolved",
    };
    json!({
        "scope": watch.scope,
        "state": state,
        "alertId": watch.alert,
        "lastEvaluated": watch.evaluated_at.map(kernel::Timestamp::rfc3339),
        "lastError": watch.fault,
    })
}
