"""Azure Monitor's own Python clients against a running server. Prints a line per check and 'N passed, N failed'."""

import datetime
import os
import sys

import environment

# 6.0.2 is the last release of azure-mgmt-monitor that knows diagnostic settings.
PINS = [
    "azure-identity==1.27.0",
    "azure-mgmt-resource==26.0.0",
    "azure-mgmt-machinelearningservices==1.0.1",
    "azure-mgmt-monitor==6.0.2",
    "azure-monitor-query==2.0.0",
]

environment.enter("monitor", __doc__, PINS)

os.environ["REQUESTS_CA_BUNDLE"] = os.environ["BARTIZAN_CA"]
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError  # noqa: E402
from azure.identity import ClientSecretCredential  # noqa: E402
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient  # noqa: E402
from azure.mgmt.monitor import MonitorManagementClient  # noqa: E402
from azure.mgmt.monitor.models import (  # noqa: E402
    MetricAlertAction,
    MetricAlertResource,
    MetricAlertResourcePatch,
    MetricAlertSingleResourceMultipleMetricCriteria,
    MetricCriteria,
)
from azure.mgmt.resource.resources import ResourceManagementClient  # noqa: E402
from azure.monitor.query import LogsQueryClient, LogsQueryStatus  # noqa: E402

URL = os.environ["BARTIZAN_URL"]
SUBSCRIPTION = os.environ["AZURE_SUBSCRIPTION_ID"]
passed = failed = 0


def check(name, holds):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, flush=True)


def raises(kind, call):
    try:
        call()
    except kind as fault:
        return fault
    return None


owner = ClientSecretCredential(
    os.environ["AZURE_TENANT_ID"],
    os.environ["AZURE_CLIENT_ID"],
    os.environ["AZURE_CLIENT_SECRET"],
    authority=URL,
    disable_instance_discovery=True,
)
options = {"base_url": URL, "credential_scopes": [f"{URL}/.default"]}
groups = ResourceManagementClient(owner, SUBSCRIPTION, **options).resource_groups
groups.create_or_update("monitor-rg", {"location": "local"})
ml = MachineLearningServicesMgmtClient(owner, SUBSCRIPTION, **options)
made = ml.workspaces.begin_create_or_update("monitor-rg", "monitor-ws", {"location": "local", "properties": {}})
made = made.result() if hasattr(made, "result") else made
workspace = ml.workspaces.get("monitor-rg", "monitor-ws")

monitor = MonitorManagementClient(owner, SUBSCRIPTION, **options)
hour = datetime.timedelta(hours=1)
now = datetime.datetime.now(datetime.timezone.utc)
recent = f"eventTimestamp ge '{(now - hour).isoformat()}' and eventTimestamp le '{(now + hour).isoformat()}'"
events = list(monitor.activity_logs.list(filter=f"{recent} and resourceGroupName eq 'monitor-rg'"))
words = {(e.operation_name.value, e.status.value, e.caller) for e in events}
write = "Microsoft.MachineLearningServices/workspaces/write"
check("the activity log is filtered by time and group", (write, "Succeeded", "bartizan-owner") in words)
check("and holds nothing of other groups", {e.resource_group_name for e in events} == {"monitor-rg"})
correlation = next(e.correlation_id for e in events if e.operation_name.value == write)
one = list(monitor.activity_logs.list(filter=f"{recent} and correlationId eq '{correlation}'", select="caller,operationName"))
check("by correlation id, with chosen fields", {e.operation_name.value for e in one} == {write} and one[0].level is None)
failed_ones = list(monitor.activity_logs.list(filter=f"{recent} and status eq 'Failed' and resourceUri eq '{workspace.id}'"))
check("by status and resource", failed_ones == [])
bad = raises(HttpResponseError, lambda: list(monitor.activity_logs.list(filter="colour eq 'red'")))
check("a filter that is none is a 400", bad and bad.status_code == 400)

settings = monitor.diagnostic_settings
found = monitor.diagnostic_settings_category.list(workspace.id)
categories = [category.name for category in found]
check("categories are listed", "AmlComputeJobEvent" in categories and "AmlModelsEvent" in categories)
one = monitor.diagnostic_settings_category.get(workspace.id, "AmlRunEvent")
check("a category is read", (one.category_type, "audit" in one.category_groups) == ("Logs", True))
body = {
    "storage_account_id": workspace.storage_account,
    "logs": [{"category_group": "allLogs", "enabled": True}, {"category": "AmlRunEvent", "enabled": False}],
}
made = settings.create_or_update(workspace.id, "keep", body)
check("a diagnostic setting is made", (made.name, made.storage_account_id) == ("keep", workspace.storage_account))
check("its logs are kept", [(log.category, log.category_group, log.enabled) for log in made.logs][0] == (None, "allLogs", True))
check("it is read", settings.get(workspace.id, "KEEP").id == made.id)
check("it is listed", [setting.name for setting in settings.list(workspace.id)] == ["keep"])
scope = f"/subscriptions/{SUBSCRIPTION}"
whole = {"storage_account_id": workspace.storage_account, "logs": [{"category": "Administrative", "enabled": True}]}
check("a subscription has settings too", settings.create_or_update(scope, "whole", whole).name == "whole")
hub = raises(HttpResponseError, lambda: settings.create_or_update(scope, "hub", {"event_hub_name": "h", "logs": []}))
check("an event hub is refused with the reason", hub and 400 <= hub.status_code < 500 and "event hubs" in str(hub))
wrong = {**whole, "logs": [{"category": "Weather", "enabled": True}]}
unknown = raises(HttpResponseError, lambda: settings.create_or_update(scope, "whole", wrong))
check("an unknown category is a 400 that names it", unknown and unknown.status_code == 400 and "Weather" in str(unknown))
settings.delete(scope, "whole")
settings.delete(workspace.id, "keep")
gone = raises(ResourceNotFoundError, lambda: settings.get(workspace.id, "keep"))
check("a deleted setting is a ResourceNotFoundError", gone)

names = {definition.name.value for definition in monitor.metric_definitions.list(workspace.id)}
check("metrics are defined", {"Completed Runs", "Unusable Nodes", "Model Deploy Failed"} <= names)
span = f"{(now - hour).strftime('%Y-%m-%dT%H:%M:%SZ')}/{(now + hour).strftime('%Y-%m-%dT%H:%M:%SZ')}"
asked = {"metricnames": "Completed Runs,Total Nodes", "timespan": span, "interval": "PT1H"}
answer = monitor.metrics.list(workspace.id, aggregation="Total,Average", **asked)
found = {metric.name.value: metric.timeseries[0].data for metric in answer.value}
check("a counter that never moved is zero", [point.total for point in found["Completed Runs"]][0] == 0)
check("there is one node", found["Total Nodes"][-1].average == 1)
split = monitor.metrics.list(workspace.id, metricnames="Failed Runs", timespan=span, interval="PT1H", filter="RunType eq '*'")
check("a split metric without values has no series", split.value[0].timeseries == [])

webhook = {"name": "pager", "service_uri": "https://pager.example/", "use_common_alert_schema": True}
bad = raises(HttpResponseError, lambda: monitor.action_groups.create_or_update(
    "monitor-rg", "ops", {"location": "global", "group_short_name": "ops", "enabled": True, "webhook_receivers": [webhook]}
))
check("a webhook that the operator did not list is a 400", bad and bad.status_code == 400)
plain = {"location": "global", "group_short_name": "ops", "enabled": True}
ops = monitor.action_groups.create_or_update("monitor-rg", "ops", plain)
check("an action group is made and listed", [one.id for one in monitor.action_groups.list_by_resource_group("monitor-rg")] == [ops.id])
check("and in the subscription", ops.id in [one.id for one in monitor.action_groups.list_by_subscription_id()])
criterion = {
    "name": "failed", "metric_name": "Model Deploy Failed", "operator": "GreaterThan", "threshold": 0,
    "time_aggregation": "Total",
}
rule = MetricAlertResource(
    location="global", severity=2, enabled=True, scopes=[workspace.id],
    evaluation_frequency=datetime.timedelta(minutes=1), window_size=datetime.timedelta(minutes=5),
    criteria=MetricAlertSingleResourceMultipleMetricCriteria(all_of=[MetricCriteria(**criterion)]),
    actions=[MetricAlertAction(action_group_id=ops.id)],
)
made = monitor.metric_alerts.create_or_update("monitor-rg", "failed", rule)
check("an alert rule is made", (made.criteria.all_of[0].threshold, made.window_size) == (0, datetime.timedelta(minutes=5)))
check("it is read as it was written", monitor.metric_alerts.get("monitor-rg", "FAILED").actions[0].action_group_id == ops.id)
off = monitor.metric_alerts.update("monitor-rg", "failed", MetricAlertResourcePatch(enabled=False))
check("it is disabled by a patch", (off.enabled, off.severity) == (False, 2))
check("it is listed", [one.name for one in monitor.metric_alerts.list_by_resource_group("monitor-rg")] == ["failed"])
check("and in the subscription", made.id in [one.id for one in monitor.metric_alerts.list_by_subscription()])
monitor.metric_alerts.delete("monitor-rg", "failed")
monitor.action_groups.delete("monitor-rg", "ops")
check("a deleted rule is gone", raises(ResourceNotFoundError, lambda: monitor.metric_alerts.get("monitor-rg", "failed")))

logs = LogsQueryClient(owner, endpoint=URL, audience=URL)
query = "AmlModelsEvent | where TimeGenerated > ago(1h) | summarize count()"
result = logs.query_workspace(workspace.workspace_id, query, timespan=datetime.timedelta(days=1))
check("azure-monitor-query reads a table by GUID", result.status == LogsQueryStatus.SUCCESS and result.tables[0].rows[0][0] == 0)
text = "AmlRunEvent | project TimeGenerated, RunId, Identity | take 5"
result = logs.query_resource(workspace.id, text, timespan=(now - hour, now + hour))
check("and by resource id", result.tables[0].columns == ["TimeGenerated", "RunId", "Identity"])
no_table = raises(HttpResponseError, lambda: logs.query_workspace(workspace.workspace_id, "Weather", timespan=None))
check("an unknown table is a 400", no_table and no_table.status_code == 400)

print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
