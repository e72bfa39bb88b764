"""Azure's own Python clients against a running server. Prints a line per check and 'N passed, N failed'."""

import base64
import datetime
import json
import os
import sys
import uuid

import environment

PINS = [
    "azure-identity==1.27.0",
    "azure-mgmt-resource==26.0.0",
    "azure-mgmt-resource-deployments==2.0.0",
    "azure-mgmt-resource-policy==1.0.0",
    "azure-mgmt-authorization==4.0.0",
    "azure-mgmt-machinelearningservices==1.0.1",
    "azure-mgmt-monitor==7.0.0",
    "azure-mgmt-storage==25.3.0",
]

environment.enter("azure", __doc__, PINS)

os.environ["REQUESTS_CA_BUNDLE"] = os.environ["BARTIZAN_CA"]
from azure.core.rest import HttpRequest  # noqa: E402
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError  # noqa: E402
from azure.identity import ClientSecretCredential  # noqa: E402
from azure.mgmt.authorization import AuthorizationManagementClient  # noqa: E402
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient  # noqa: E402
from azure.mgmt.monitor import MonitorManagementClient  # noqa: E402
from azure.mgmt.resource.deployments import DeploymentsMgmtClient  # noqa: E402
from azure.mgmt.resource.policy import PolicyClient  # noqa: E402
from azure.mgmt.resource.resources import ResourceManagementClient  # noqa: E402
from azure.mgmt.storage import StorageManagementClient  # noqa: E402

URL = os.environ["BARTIZAN_URL"]
SUBSCRIPTION = os.environ["AZURE_SUBSCRIPTION_ID"]
passed = failed = 0


def check(name, holds):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, flush=True)


def credential(secret):
    return ClientSecretCredential(
        os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], secret, authority=URL, disable_instance_discovery=True
    )


def raises(kind, call):
    try:
        call()
    except kind as fault:
        return fault
    return None


owner = credential(os.environ["AZURE_CLIENT_SECRET"])
options = {"base_url": URL, "credential_scopes": [f"{URL}/.default"]}
token = owner.get_token(f"{URL}/.default")
check("azure-identity gets a token", token.token.count(".") == 2)
check("a wrong secret is a ClientAuthenticationError", raises(ClientAuthenticationError, lambda: credential("x").get_token(f"{URL}/.default")))

groups = ResourceManagementClient(owner, SUBSCRIPTION, **options).resource_groups
group = groups.create_or_update("azure-rg", {"location": "local", "tags": {"a": "b"}})
check("resource group is created", group.name == "azure-rg" and group.tags == {"a": "b"})
check("resource group exists", groups.check_existence("azure-rg") and not groups.check_existence("no-such-rg"))
check("resource groups are listed", "azure-rg" in [found.name for found in groups.list()])

ml = MachineLearningServicesMgmtClient(owner, SUBSCRIPTION, **options)
made = ml.workspaces.begin_create_or_update("azure-rg", "azure-ws", {"location": "local", "properties": {"friendlyName": "F"}})
workspace = made.result() if hasattr(made, "result") else made
check("workspace is created", workspace.name == "azure-ws")
found = ml.workspaces.get("azure-rg", "AZURE-WS")
check("workspace is read without regard to case", found.id == workspace.id)
check("workspace has companions", all([found.storage_account, found.key_vault, found.application_insights]))
check("workspace has an identity", found.identity.principal_id)
check("workspaces are listed", [w.name for w in ml.workspaces.list_by_resource_group("azure-rg")] == ["azure-ws"])
missing = raises(ResourceNotFoundError, lambda: ml.workspaces.get("azure-rg", "nope"))
check("a missing workspace is a ResourceNotFoundError", missing and missing.error.code == "ResourceNotFound")
bad = raises(HttpResponseError, lambda: ml.workspaces.begin_create_or_update("azure-rg", "ab", {"location": "local"}))
check("a bad name is a 400", bad and bad.status_code == 400)



def send(request):
    """Sends what this SDK's api-version has no words for, through the SDK's own pipeline."""
    return ml._client.send_request(request)


keys = ml.workspaces.list_keys("azure-rg", "azure-ws")
check("workspace keys are listed", keys.user_storage_key and keys.user_storage_resource_id == found.storage_account)
storage = StorageManagementClient(owner, SUBSCRIPTION, **options)
account = found.storage_account.rsplit("/", 1)[1]
both = storage.storage_accounts.list_keys("azure-rg", account)["keys"]
check("a storage account has two keys", [key["keyName"] for key in both] == ["key1", "key2"] and both[0]["value"] == keys.user_storage_key)
storage.storage_accounts.regenerate_key("azure-rg", account, {"keyName": "key1"})
renewed = storage.storage_accounts.list_keys("azure-rg", account)["keys"]
check("a key is regenerated", renewed[0]["value"] != both[0]["value"] and renewed[1] == both[1])
unsynced = ml.workspaces.list_keys("azure-rg", "azure-ws").user_storage_key
ml.workspaces.resync_keys("azure-rg", "azure-ws")
synced = ml.workspaces.list_keys("azure-rg", "azure-ws").user_storage_key
check("a workspace picks it up when it is synced", (unsynced, synced) == (both[0]["value"], renewed[0]["value"]))
own = storage.storage_accounts.begin_create("azure-rg", "azureown1", {"location": "local", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}).result()
brought = ml.workspaces.begin_create_or_update("azure-rg", "azure-own", {"location": "local", "properties": {"storageAccount": own.id}}).result()
check("a workspace takes an account that is there", brought.storage_account == own.id)
used = raises(HttpResponseError, lambda: storage.storage_accounts.delete("azure-rg", "azureown1"))
check("an account in use stays", used and used.status_code == 409)
limit = {"value": [{"id": f"{workspace.id}/quotas/local", "type": "Microsoft.MachineLearningServices/workspaces/dedicatedCores/quotas", "limit": 1, "unit": "Count"}]}
answered = ml.quotas.update("local", limit).value[0]
check("a basic workspace has no quota of its own", answered.status == "OperationNotSupportedForSku")
check("usages are listed", [usage.limit for usage in ml.usages.list("local")])
ml.workspaces.begin_delete("azure-rg", "azure-own").result()
gone = raises(ResourceNotFoundError, lambda: ml.workspaces.get("azure-rg", "azure-own"))
taken = raises(HttpResponseError, lambda: ml.workspaces.begin_create_or_update("azure-rg", "azure-own", {"location": "local"}))
check("a deleted workspace is gone, and its name is taken", gone and taken and taken.status_code == 409)
raw = HttpRequest("POST", f"{URL}{workspace.id}/diagnose?api-version=2024-04-01", json={"value": {}})
check("a healthy workspace has no findings", not any(send(raw).json()["value"].values()))
raw = HttpRequest("PUT", f"{URL}{brought.id}?api-version=2024-04-01", json={"location": "local", "properties": {"allowRecoverSoftDeletedWorkspace": "True"}})
recovered = send(raw)
check("it is recovered as it was", recovered.json()["properties"]["workspaceId"] == brought.workspace_id)
for purge in [False, True]:
    raw = HttpRequest("DELETE", f"{URL}{brought.id}?api-version=2024-04-01&forceToPurge={str(purge).lower()}")
    check("it is deleted, then purged", send(raw).status_code == 200)
again = ml.workspaces.begin_create_or_update("azure-rg", "azure-own", {"location": "local"}).result()
check("a purged workspace's name is free", again.workspace_id != brought.workspace_id)

access = AuthorizationManagementClient(owner, SUBSCRIPTION, **options)
readers = list(access.role_definitions.list(workspace.id, filter="roleName eq 'Reader'"))
check("role definitions are found by name", [role.role_name for role in readers] == ["Reader"])
name = str(uuid.uuid4())
principal = found.identity.principal_id
body = {"role_definition_id": readers[0].id, "principal_id": principal, "principal_type": "ServicePrincipal"}
assigned = access.role_assignments.create(workspace.id, name, body)
check("role is assigned", assigned.principal_id == principal)
twice = raises(HttpResponseError, lambda: access.role_assignments.create(workspace.id, str(uuid.uuid4()), body))
check("the same assignment again is a 409", twice and twice.status_code == 409)
check("assignments are listed", name in [a.name for a in access.role_assignments.list_for_scope(workspace.id)])
access.role_assignments.delete(workspace.id, name)
check("assignment is gone", name not in [a.name for a in access.role_assignments.list_for_scope(workspace.id)])

science = str(uuid.uuid4())
permission = {"actions": ["Microsoft.MachineLearningServices/workspaces/*/read"], "not_actions": ["Microsoft.MachineLearningServices/workspaces/models/read"]}
definition = {"role_name": "Looks around", "role_type": "CustomRole", "permissions": [permission], "assignable_scopes": [workspace.id]}
made = access.role_definitions.create_or_update(workspace.id, science, definition)
check("a custom role is made", (made.name, made.role_type, made.permissions[0].actions) == (science, "CustomRole", permission["actions"]))
check("it is listed as one", [r.name for r in access.role_definitions.list(workspace.id, filter="type eq 'CustomRole'")] == [science])
check("it is read by its id", access.role_definitions.get_by_id(made.id).assignable_scopes == [workspace.id])
name = str(uuid.uuid4())
access.role_assignments.create(workspace.id, name, {"role_definition_id": made.id, "principal_id": principal})
held = raises(HttpResponseError, lambda: access.role_definitions.delete(workspace.id, science))
check("a role that is held stays", held and held.status_code == 409)
mine = list(access.role_assignments.list_for_scope(workspace.id, filter=f"principalId eq '{principal}'"))
# It holds its own grants as well.
check("assignments are filtered by principal", name in [a.name for a in mine] and {a.principal_id for a in mine} == {principal})
access.role_assignments.delete(workspace.id, name)
check("a role is deleted", access.role_definitions.delete(workspace.id, science).name == science)
wrong = {**definition, "permissions": [{"actions": ["Microsoft.Nothing/*"]}]}
unknown = raises(HttpResponseError, lambda: access.role_definitions.create_or_update(workspace.id, science, wrong))
check("an unknown action is a 400 that names it", unknown and unknown.status_code == 400 and "Microsoft.Nothing/*" in str(unknown))
check("deny assignments are listed", list(access.deny_assignments.list_for_scope(workspace.id)) == [])
operations = access.provider_operations_metadata.get("Microsoft.MachineLearningServices")
check("the operation catalogue is served", "Microsoft.MachineLearningServices/workspaces/read" in [o.name for o in operations.operations])

templates = DeploymentsMgmtClient(owner, SUBSCRIPTION, **options)
template = {
    "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    "contentVersion": "1.0.0.0",
    "parameters": {"bot": {"type": "string"}, "word": {"type": "secureString"}},
    "resources": [
        {
            "type": "Microsoft.Authorization/roleAssignments",
            "apiVersion": "2022-04-01",
            "name": "[guid(resourceGroup().id, parameters('bot'))]",
            "properties": {
                "roleDefinitionId": readers[0].id,
                "principalId": "[reference(parameters('bot')).principalId]",
            },
        },
        {
            "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
            "apiVersion": "2023-01-31",
            "name": "[parameters('bot')]",
            "location": "[resourceGroup().location]",
            "tags": {"length": "[string(length(parameters('word')))]"},
        },
    ],
    "outputs": {"principal": {"type": "string", "value": "[reference(parameters('bot')).principalId]"}},
}
wanted = {"properties": {"mode": "Incremental", "template": template, "parameters": {"bot": {"value": "azure-bot"}, "word": {"value": "hush-hush"}}}}
deployments = templates.deployments
said = deployments.begin_validate("azure-rg", "azure-d", wanted).result()
check("a template is validated", said.properties.provisioning_state == "Succeeded" and not said.error)
foreseen = deployments.begin_what_if("azure-rg", "azure-d", wanted).result()
check("what-if foresees what is created", [c.change_type for c in foreseen.properties.changes] == ["Create", "Create"])
check("neither deployed anything", not deployments.check_existence("azure-rg", "azure-d"))
ended = deployments.begin_create_or_update("azure-rg", "azure-d", wanted).result()
check("a template is deployed", ended.properties.provisioning_state == "Succeeded")
check("its outputs are given", ended.properties.outputs["principal"]["value"])
check("a secure parameter is not shown", "hush-hush" not in str(ended.as_dict()))
steps = list(templates.deployment_operations.list("azure-rg", "azure-d"))
check("what is referred to is made first", [s.properties.target_resource.resource_name for s in steps][0] == "azure-bot")
check("deployments are listed", [d.name for d in deployments.list_by_resource_group("azure-rg")] == ["azure-d"])
check("the template is exported", deployments.export_template("azure-rg", "azure-d").template == template)
wanted["properties"]["template"]["resources"][1]["name"] = "x"
broken = raises(HttpResponseError, lambda: deployments.begin_create_or_update("azure-rg", "azure-e", wanted).result())
check("a template that makes no sense is a 400", broken and (broken.status_code, broken.error.code) == (400, "InvalidTemplate"))
refused = {"type": "Microsoft.MachineLearningServices/workspaces", "apiVersion": "2023-04-01", "name": "ab", "location": "local"}
wanted["properties"]["template"] = {**template, "parameters": {}, "resources": [refused], "outputs": {}}
wanted["properties"]["parameters"] = {}
stopped = raises(HttpResponseError, lambda: deployments.begin_create_or_update("azure-rg", "azure-f", wanted).result())
check("a resource that is refused fails the deployment", stopped and "workspaceName" in str(stopped))
deployments.begin_delete("azure-rg", "azure-d").result()
check("a deployment is forgotten", not deployments.check_existence("azure-rg", "azure-d"))

generic = ResourceManagementClient(owner, SUBSCRIPTION, **options).resources


def put(place, api_version, body):
    return generic.begin_create_or_update_by_id(place, body, api_version=api_version).result()


network = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/azure-rg/providers/Microsoft.Network"
subnet = {"name": "here", "properties": {"addressPrefix": "127.0.0.0/24"}}
space = {"location": "local", "properties": {"addressSpace": {"addressPrefixes": ["127.0.0.0/16"]}, "subnets": [subnet]}}
made = put(f"{network}/virtualNetworks/net", "2023-09-01", space)
check("a virtual network is made", made.properties["subnets"][0]["name"] == "here")
shut = {"location": "local", "properties": {"publicNetworkAccess": "Disabled"}}
put(workspace.id, "2020-08-01", shut)


def computes():
    return list(ml.machine_learning_compute.list_by_workspace("azure-rg", "azure-ws"))


refused = raises(HttpResponseError, computes)
check("public callers are refused with a 403", refused and (refused.status_code, refused.error.code) == (403, "Forbidden"))
link = {"name": "link", "properties": {"privateLinkServiceId": workspace.id, "groupIds": ["amlworkspace"]}}
asks = {"location": "local", "properties": {"subnet": {"id": f"{made.id}/subnets/here"}, "manualPrivateLinkServiceConnections": [link]}}
put(f"{network}/privateEndpoints/pe", "2023-09-01", asks)
waiting = ml.workspaces.get("azure-rg", "azure-ws").private_endpoint_connections
check("its request waits", [c.private_link_service_connection_state.status for c in waiting] == ["Pending"])
approval = {"properties": {"privateLinkServiceConnectionState": {"status": "Approved", "description": "ok"}}}
answered = ml.private_endpoint_connections.put("azure-rg", "azure-ws", waiting[0].name, approval)
check("it is approved", answered.private_link_service_connection_state.status == "Approved")
groups_of = ml.private_link_resources.list_by_workspace("azure-rg", "azure-ws").value
check("what it is connected to is listed", [r.group_id for r in groups_of] == ["amlworkspace"])
check("its subnet is let in", [c.name for c in computes()] == ["local"])
found = ml.private_endpoint_connections.get("azure-rg", "azure-ws", waiting[0].name)
check("it is read", found.private_endpoint.id.endswith("/privateEndpoints/pe"))
ml.private_endpoint_connections.begin_delete("azure-rg", "azure-ws", waiting[0].name).result()
check("it is removed", not ml.workspaces.get("azure-rg", "azure-ws").private_endpoint_connections)
put(workspace.id, "2020-08-01", {**shut, "properties": {"publicNetworkAccess": "Enabled"}})
oid = json.loads(base64.urlsafe_b64decode(token.token.split(".")[1] + "=="))["oid"]
hours = {"expiration": {"type": "AfterDuration", "duration": "PT2H"}}
asked = {"principal_id": oid, "role_definition_id": readers[0].id, "request_type": "AdminAssign", "schedule_info": hours}
eligible = access.role_eligibility_schedule_requests.create(workspace.id, str(uuid.uuid4()), asked)
check("a principal is made eligible for two hours", (eligible.status, eligible.schedule_info.expiration.duration) == ("Provisioned", "PT2H"))
instances = list(access.role_eligibility_schedule_instances.list_for_scope(workspace.id, filter="asTarget()"))
check("and sees it", [i.expanded_properties.role_definition.display_name for i in instances] == ["Reader"])
schedules = list(access.role_eligibility_schedules.list_for_scope(workspace.id, filter=f"principalId eq {oid}"))
check("the schedule is read by its name", access.role_eligibility_schedules.get(workspace.id, schedules[0].name).principal_id == oid)
asked = {**asked, "request_type": "SelfActivate", "schedule_info": {"expiration": {"type": "AfterDuration", "duration": "PT30M"}}}
mute = raises(HttpResponseError, lambda: access.role_assignment_schedule_requests.create(workspace.id, str(uuid.uuid4()), asked))
check("an activation without a reason is a 400", mute and mute.status_code == 400)
name = str(uuid.uuid4())
active = access.role_assignment_schedule_requests.create(workspace.id, name, {**asked, "justification": "the suite"})
check("a role is activated", (active.status, active.justification) == ("Provisioned", "the suite"))
check("the request is read", access.role_assignment_schedule_requests.get(workspace.id, name).requestor_id == oid)
instances = list(access.role_assignment_schedule_instances.list_for_scope(workspace.id, filter="asTarget()"))
kinds = {i.assignment_type: i.end_date_time for i in instances if i.role_definition_id == readers[0].id}
lasts = kinds["Activated"] - active.created_on
check("its instance ends in half an hour", abs(lasts - datetime.timedelta(minutes=30)) < datetime.timedelta(seconds=10))
ended = {**asked, "request_type": "SelfDeactivate"}
check("and is ended", access.role_assignment_schedule_requests.create(workspace.id, str(uuid.uuid4()), ended).status == "Revoked")
gone = {**asked, "request_type": "AdminRemove"}
access.role_eligibility_schedule_requests.create(workspace.id, str(uuid.uuid4()), gone)
check("eligibility is gone", list(access.role_eligibility_schedules.list_for_scope(workspace.id)) == [])

policies = PolicyClient(owner, SUBSCRIPTION, **options)
rule = {
    "if": {"allOf": [
        {"field": "type", "equals": "Microsoft.MachineLearningServices/workspaces"},
        {"field": "tags['owner']", "exists": "false"},
    ]},
    "then": {"effect": "[parameters('effect')]"},
}
effect = {"type": "String", "allowedValues": ["Audit", "Deny"], "defaultValue": "Audit"}
asked = {"displayName": "Owned", "policyType": "Custom", "mode": "Indexed", "policyRule": rule, "parameters": {"effect": effect}}
defined = policies.policy_definitions.create_or_update("azure-owned", {"properties": asked})
check("a policy is defined", (defined.name, defined.policy_type, defined.mode) == ("azure-owned", "Custom", "Indexed"))
found = policies.policy_definitions.get("azure-owned")
check("it is read as it was written", found.policy_rule == rule and found.parameters["effect"].default_value == "Audit")
check("it is listed with those that ship", {"azure-owned", "required-tag"} <= {p.name for p in policies.policy_definitions.list()})
check("those that ship are listed alone", all(p.policy_type == "BuiltIn" for p in policies.policy_definitions.list_built_in()))
check("one that ships is read", policies.policy_definitions.get_built_in("required-tag").parameters["tagName"].type == "String")
bad = raises(HttpResponseError, lambda: policies.policy_definitions.create_or_update("x", {"properties": {**asked, "policyRule": {}}}))
check("a rule that makes no sense is a 400", bad and bad.status_code == 400)
wanted = {"displayName": "Owned here", "policyDefinitionId": defined.id, "parameters": {"effect": {"value": "Deny"}}}
assigned = policies.policy_assignments.create(group.id, "azure-owned", {"properties": wanted})
check("it is assigned", (assigned.scope, assigned.enforcement_mode) == (group.id, "Default"))
check("the assignment is read", policies.policy_assignments.get(group.id, "azure-owned").policy_definition_id == defined.id)
check("and by its id", policies.policy_assignments.get_by_id(assigned.id).parameters["effect"].value == "Deny")
check("it is listed at the group", ["azure-owned"] == [a.name for a in policies.policy_assignments.list_for_resource_group("azure-rg")])
check("and in the subscription", "azure-owned" in [a.name for a in policies.policy_assignments.list()])


def workspace_of(tags):
    made = ml.workspaces.begin_create_or_update("azure-rg", "azure-owned", {"location": "local", "tags": tags})
    return made.result() if hasattr(made, "result") else made


denied = raises(HttpResponseError, lambda: workspace_of({}))
check("what it denies is refused", denied and (denied.status_code, denied.error.code) == (403, "RequestDisallowedByPolicy"))
check("the refusal names both", denied and assigned.id in str(denied) and defined.id in str(denied))
check("what it allows is made", workspace_of({"owner": "suite"}).tags == {"owner": "suite"})
held = raises(HttpResponseError, lambda: policies.policy_definitions.delete("azure-owned"))
check("a definition that is assigned is not deleted", held and held.status_code == 409)
policies.policy_assignments.delete(group.id, "azure-owned")
gone = raises(ResourceNotFoundError, lambda: policies.policy_assignments.get(group.id, "azure-owned"))
check("an assignment is deleted", gone and gone.status_code == 404)
check("and counts no more", workspace_of({}).name == "azure-owned")
policies.policy_definitions.delete("azure-owned")
check("a definition is deleted", raises(ResourceNotFoundError, lambda: policies.policy_definitions.get("azure-owned")))

monitor = MonitorManagementClient(owner, SUBSCRIPTION, **options)
events = list(monitor.activity_logs.list(filter=f"resourceUri eq '{workspace.id}'"))
words = [(e.operation_name.value, e.status.value, e.caller) for e in events]
check(
    "the activity log names operation, status and initiator",
    ("Microsoft.MachineLearningServices/workspaces/write", "Succeeded", "bartizan-owner") in words,
)

print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
