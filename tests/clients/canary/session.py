"""What people, programs and jobs do in a day, with a word of its own in every place that takes one."""

import base64
import json

from .server import Person, Server

CODE = """import json, os, sys, time, urllib.request
def track(call, **fields):
    body = json.dumps({'run_id': os.environ['MLFLOW_RUN_ID'], **fields}).encode()
    url = os.environ['MLFLOW_TRACKING_URI'] + '/api/2.0/mlflow/runs/' + call
    urllib.request.urlopen(urllib.request.Request(url, body, {'Content-Type': 'application/json'}))
words = json.load(open('words.json'))
track('log-parameter', key=words['param name'], value=words['param value'])
track('log-metric', key=words['metric name'], value=1.5, timestamp=int(time.time() * 1000), step=0)
track('set-tag', key=words['run tag name'], value=words['run tag value'])
print(words['log line'], os.environ['PLAIN'], flush=True)
print('handed', os.environ['SECRET'], file=sys.stderr, flush=True)
asked = json.load(urllib.request.urlopen(os.environ['BARTIZAN_VAULT_URL'] + '/asked'))['value']
print('asked', asked, base64 := __import__('base64').b64encode(asked.encode()).decode(), flush=True)
open('logs/own.txt', 'w').write(words['own log line'] + ' ' + asked + '\\n')
open('outputs/model.json', 'w').write(json.dumps({'weights': words['model file']}))
open('outputs/' + words['output name'] + '.txt', 'w').write(words['output body'])
time.sleep(4)
"""
SCORE = """import json, os, pathlib
def init():
    global model
    model = next(pathlib.Path(os.environ['AZUREML_MODEL_DIR']).rglob('model.json')).read_text()
    print('the service has', len(os.environ['SERVICE_SECRET']), 'letters')
def run(raw_data):
    return {'had': len(raw_data)}
"""


class Held:
    """What was told, and to whom: answers that must hold what was planted, and texts that must not."""

    def __init__(self):
        self.answers, self.shown = {}, {}
        # What may hold names and nothing else; what may hold everything but secrets.
        self.told, self.silent = {}, {}
        self.backup = None

    def shows(self, place, content, *wheres):
        content = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        self.answers[place], self.shown[place] = content, set(wheres)


def hold(given, planted, processes, check):
    server, held = Server(), Held()
    for part in (resources, directory, tracking, blobs, vaults, rules, train, serve, person):
        part(server, planted, held, given, processes)
        processes.look()
        print("#", part.__name__, flush=True)
    check("agents and their programs were looked at too", processes.count() > 4)
    keep(server, held, given)
    return held


def resources(server, planted, held, given, processes):
    group = planted.name("resource group")
    server.good("PUT", f"{server.subscription}/resourceGroups/{group}", {"location": "local", "tags": {planted.content("group tag"): "x"}})
    words = {"friendlyName": planted.content("workspace friendly name"), "description": planted.content("workspace description")}
    tags = {"team": planted.content("workspace tag value"), planted.content("workspace tag name"): "x"}
    server.good("PATCH", server.workspace, {"tags": tags, "properties": words})
    shown = server.good("GET", server.workspace)
    held.shows("the workspace", shown, "workspace friendly name", "workspace description", "workspace tag value", "workspace tag name")
    held.silent["the workspace's answer"] = json.dumps(shown).encode()
    found = server.good("POST", f"{server.workspace}/listKeys", {})
    planted.secret("storage account key", found["userStorageKey"])
    planted.secret("telemetry key", found["appInsightsInstrumentationKey"])
    key = base64.b64encode(planted.secret("datastore key").encode().ljust(64, b"x")).decode()
    store = {"datastoreType": "AzureBlob", "accountName": "elsewhere", "containerName": planted.content("datastore container"),
             "credentials": {"credentialsType": "AccountKey", "secrets": {"secretsType": "AccountKey", "key": key}}}
    server.good("PUT", f"{server.workspace}/datastores/{planted.name('datastore name')}", {"properties": store})
    held.silent["the list of datastores"] = json.dumps(server.good("GET", f"{server.workspace}/datastores")).encode()
    template = {"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0",
                "parameters": {"s": {"type": "secureString"}, "p": {"type": "string"}}, "resources": [],
                "outputs": {"o": {"type": "string", "value": "[parameters('p')]"}}}
    values = {"s": {"value": planted.secret("secure template parameter")}, "p": {"value": planted.content("template parameter")}}
    place = f"{server.group}/providers/Microsoft.Resources/deployments/{planted.name('deployment name')}"
    server.good("PUT", place, {"properties": {"mode": "Incremental", "template": template, "parameters": values}})
    held.silent["the deployment"] = json.dumps(server.good("GET", place)).encode()


def directory(server, planted, held, given, processes):
    graph = "/graph/v1.0"
    made = server.good("POST", f"{graph}/servicePrincipals", {"displayName": planted.name("service principal name")})
    planted.secret("client secret", made["passwordCredentials"][0]["secretText"])
    server.robot = made
    group = {"displayName": planted.name("group name"), "description": planted.content("group description"),
             "mailEnabled": False, "securityEnabled": True, "mailNickname": "x"}
    server.good("POST", f"{graph}/groups", group)
    user = {"userPrincipalName": planted.name("user name"), "displayName": planted.name("user display name"), "accountEnabled": True,
            "passwordProfile": {"password": planted.secret("password"), "forceChangePasswordNextSignIn": False}}
    held.shows("the user", server.good("POST", f"{graph}/users", user), "user name", "user display name")
    held.silent["the list of users"] = json.dumps(server.good("GET", f"{graph}/users")).encode()
    held.silent["the list of service principals"] = json.dumps(server.good("GET", f"{graph}/servicePrincipals")).encode()
    role = {"roleName": planted.name("role name"), "type": "CustomRole", "description": planted.content("role description"),
            "assignableScopes": [server.group],
            "permissions": [{"actions": ["Microsoft.MachineLearningServices/workspaces/read"], "notActions": [], "dataActions": [], "notDataActions": []}]}
    place = f"{server.group}/providers/Microsoft.Authorization/roleDefinitions/00000000-0000-4000-8000-00000000c0de"
    held.shows("the role", server.good("PUT", place, {"properties": role}), "role name", "role description")
    signed = server.sign_in(made["appId"], made["passwordCredentials"][0]["secretText"])
    planted.secret("access token", signed.split(".")[2][:40])


def tracking(server, planted, held, given, processes):
    api = f"/mlflow/v1.0{server.workspace}/api/2.0"
    made = server.good("POST", f"{api}/mlflow/experiments/create", {"name": planted.content("experiment name"),
                       "tags": [{"key": "k", "value": planted.content("experiment tag")}]})
    experiment = made["experiment_id"]
    run = server.good("POST", f"{api}/mlflow/runs/create", {"experiment_id": experiment, "run_name": planted.content("run name")})
    run = run["run"]["info"]["run_id"]
    batch = {"run_id": run, "params": [{"key": planted.content("logged param name"), "value": planted.content("logged param value")}],
             "metrics": [{"key": planted.content("logged metric name"), "value": 0.5, "timestamp": 1700000000000, "step": 1}],
             "tags": [{"key": planted.content("logged tag name"), "value": planted.content("logged tag value")}]}
    server.good("POST", f"{api}/mlflow/runs/log-batch", batch)
    place = f"{api}/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{planted.content('artifact name')}.txt"
    server.good("PUT", place, raw=(planted.content("artifact body") * 3).encode())
    shown = server.good("GET", f"{api}/mlflow/runs/get?run_id={run}")
    held.shows("the run", shown, "run name", "logged param name", "logged param value", "logged metric name", "logged tag name", "logged tag value")
    held.shows("the artifact", server.bytes("GET", place), "artifact body")
    model = planted.name("registered model name")
    body = {"name": model, "description": planted.content("registered model description"), "tags": [{"key": "k", "value": planted.content("registered model tag")}]}
    server.good("POST", f"{api}/mlflow/registered-models/create", body)
    version = {"name": model, "source": f"runs:/{run}", "run_id": run, "description": planted.content("model version description")}
    server.good("POST", f"{api}/mlflow/model-versions/create", version)
    held.shows("the model", server.good("GET", f"{api}/mlflow/registered-models/get?name={model}"), "registered model name", "registered model description")


def blobs(server, planted, held, given, processes):
    account = server.good("GET", server.workspace)["properties"]["storageAccount"].rsplit("/", 1)[1]
    server.assign("b7e6dc6d-f1e8-4753-8033-0f276bb0955b", server.group)
    token = server.sign_in_owner("https://storage.azure.com")
    box, name = planted.name("container name"), planted.name("blob name")
    base = f"/blob/{account}/{box}"

    def put(place, body=b"", status=201, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return server.bytes("PUT", place, raw=body, token=token, headers={"x-ms-version": "2025-05-05", **headers}, status=status)

    put(f"{base}?restype=container", **{"x_ms_meta_a": planted.content("container metadata")})
    tag = f"{planted.content('blob index tag name')}={planted.content('blob index tag value')}"
    meta = {"x_ms_meta_" + planted.content("blob metadata name"): planted.content("blob metadata value")}
    put(f"{base}/{name}.bin", (planted.content("blob body") * 5000).encode(), x_ms_blob_type="BlockBlob", x_ms_tags=tag,
        Content_Type="text/" + planted.content("blob content type"), **meta)
    held.shows("the blob", server.bytes("GET", f"{base}/{name}.bin", token=token, headers={"x-ms-version": "2025-05-05"}), "blob body")
    block = base64.b64encode(planted.content("block id").encode()).decode()
    put(f"{base}/staged?comp=block&blockid={block}", planted.content("staged block").encode())
    put(f"{base}/log", x_ms_blob_type="AppendBlob")
    put(f"{base}/log?comp=appendblock", planted.content("appended block").encode())
    put(f"{base}/{name}.bin?comp=snapshot")
    signature = server.signature(account, box, planted["storage account key"])
    planted.secret("signature of a blob", signature.rsplit("sig=", 1)[1][:30])
    got = server.bytes("GET", f"{base}/{name}.bin?{signature}", token=None, headers={"x-ms-version": "2025-05-05"})
    assert planted["blob body"].encode() in got
    server.bytes("DELETE", f"{base}/{name}.bin", token=token, headers={"x-ms-version": "2025-05-05", "x-ms-delete-snapshots": "include"}, status=202)


def vaults(server, planted, held, given, processes):
    vault = server.good("GET", server.workspace)["properties"]["keyVault"].rsplit("/", 1)[1]
    server.assign("00482a5a-887f-4fb3-b363-3b7fe8e74483", server.group)
    token = server.sign_in_owner(server.vault_resource(vault))

    def at(method, place, body=None):
        return server.good(method, f"/vaults/{vault}/{place}?api-version=7.6", body, token=token)

    for name in ("handed", "asked", "serving"):
        at("PUT", f"secrets/{name}", {"value": planted.secret(f"secret that is {name}"), "contentType": planted.content(f"content type of {name}"),
           "tags": {planted.content(f"tag of {name}"): "x"}})
    at("PUT", f"secrets/{planted.name('secret name')}", {"value": planted.secret("first version of a secret")})
    at("PUT", f"secrets/{planted['secret name']}", {"value": planted.secret("second version of a secret")})
    at("DELETE", f"secrets/{planted['secret name']}")
    material = planted.secret("key material")
    k = base64.urlsafe_b64encode(material.encode().ljust(32, b"x")).decode().rstrip("=")
    brought = at("PUT", f"keys/{planted.name('key name')}", {"key": {"kty": "oct", "k": k, "key_ops": ["encrypt", "decrypt", "wrapKey", "unwrapKey"]},
                 "tags": {"t": planted.content("key tag")}})
    held.shows("the key", brought, "key name", "key tag")
    held.silent["the key's answer"] = json.dumps(brought).encode()
    plain = base64.urlsafe_b64encode(planted.secret("encrypted by a key").encode()[:16]).decode().rstrip("=")
    server.ask("POST", f"/vaults/{vault}/keys/{planted['key name']}/{brought['key']['kid'].rsplit('/', 1)[1]}/encrypt?api-version=7.6",
               {"alg": "A256KW", "value": plain}, token=token)
    held.silent["the list of secrets"] = json.dumps([at("GET", "secrets"), at("GET", "deletedsecrets"), at("GET", "keys")]).encode()


def rules(server, planted, held, given, processes):
    insights = f"{server.workspace}/providers/Microsoft.Insights"
    webhook = f"http://localhost:9/{planted.name('webhook path')}?code={planted.secret('webhook query')}"
    setting = {"logs": [{"categoryGroup": "allLogs", "enabled": True}], "webhook": {"url": webhook, "key": planted.secret("webhook key") * 2}}
    server.good("PUT", f"{insights}/diagnosticSettings/{planted.name('diagnostic setting name')}", {"properties": setting})
    held.silent["the diagnostic settings"] = json.dumps(server.good("GET", f"{insights}/diagnosticSettings")).encode()
    pager = {"name": planted.name("receiver name"), "serviceUri": "http://localhost:9/?code=" + planted.secret("receiver query"),
             "useCommonAlertSchema": True, "key": planted.secret("receiver key") * 2}
    place = f"{server.group}/providers/Microsoft.Insights/actionGroups/{planted.name('action group name')}"
    shown = server.good("PUT", place, {"location": "global", "properties": {"groupShortName": "ops", "webhookReceivers": [pager]}})
    held.silent["the action group"] = json.dumps(shown).encode()
    criterion = {"criterionType": "StaticThresholdCriterion", "name": "c", "metricName": "Failed Runs", "operator": "GreaterThan",
                 "threshold": 1.0, "timeAggregation": "Total"}
    rule = {"severity": 2, "scopes": [server.workspace], "evaluationFrequency": "PT1M", "windowSize": "PT5M", "description": planted.content("alert rule description"),
            "criteria": {"odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", "allOf": [criterion]}, "actions": []}
    server.good("PUT", f"{server.group}/providers/Microsoft.Insights/metricAlerts/{planted.name('alert rule name')}", {"location": "global", "properties": rule})
    policy = {"displayName": planted.content("policy display name"), "description": planted.content("policy description"), "mode": "All",
              "policyRule": {"if": {"field": "location", "equals": "nowhere"}, "then": {"effect": "audit"}}}
    place = f"{server.subscription}/providers/Microsoft.Authorization/policyDefinitions/{planted.name('policy name')}"
    server.good("PUT", place, {"properties": policy})


def train(server, planted, held, given, processes):
    words = ["param name", "param value", "metric name", "run tag name", "run tag value", "log line", "own log line", "model file", "output name", "output body"]
    words = {word: planted.content(word) for word in words}
    code = given.scratch / "code"
    (code / "pkg").mkdir(parents=True)
    (code / "main.py").write_text(f"{CODE}# {planted.content('code file')}\n")
    (code / "words.json").write_text(json.dumps(words))
    (code / "pkg" / f"{planted.content('code file name')}.py").write_text("pass\n")
    server.bartizan(held, given, "job", "submit", "--code", str(code), "--name", "canaries", "--experiment", planted.name("job experiment"),
                    "--command", "python main.py", "--env", f"PLAIN={planted.content('job variable')}", "--env", "SECRET=secret://handed")
    while True:
        processes.look()
        job = server.good("GET", f"{server.workspace}/jobs/canaries")
        if job["properties"]["status"] in ("Completed", "Failed", "Canceled"):
            break
    log = server.bartizan(held, given, "job", "logs", "canaries")
    assert job["properties"]["status"] == "Completed", (job["properties"], log)
    held.shows("the job's log", log, "log line", "job variable")
    assert b"handed ***" in log and b"asked *** ***" in log, log
    held.silent["the job's log"] = log
    held.silent["the job's own log"] = own = server.bartizan(held, given, "job", "logs", "canaries", "--log", "logs/own.txt")
    held.shows("the job's own log", own, "own log line")
    held.silent["the job"] = json.dumps(job).encode()
    run = server.good("GET", f"/mlflow/v1.0{server.workspace}/api/2.0/mlflow/runs/get?run_id=canaries")
    held.shows("the job's run", run, "param name", "param value", "metric name", "run tag name", "run tag value")
    server.bartizan(held, given, "model", "register", "--name", "canarymodel", "--job", "canaries", "--path", "outputs/model.json")


def serve(server, planted, held, given, processes):
    code = given.scratch / "serving"
    code.mkdir()
    (code / "score.py").write_text(f"{SCORE}# {planted.content('entry script')}\n")
    server.bartizan(held, given, "image", "build", "--name", "canaryimage", "--model", "canarymodel:1", "--code", str(code), "--entry-script", "score.py")
    place = f"{server.workspace}/onlineEndpoints/canaryservice"
    server.wait("PUT", place, {"location": "local", "properties": {"authMode": "Key", "description": planted.content("service description")}})
    variables = {"PLAIN": planted.content("service variable"), "SERVICE_SECRET": "secret://serving"}
    blue = {"endpointComputeType": "Cluster", "image": "canaryimage", "environmentVariables": variables}
    server.wait("PUT", f"{place}/deployments/blue", {"location": "local", "properties": blue})
    server.wait("PUT", place, {"location": "local", "properties": {"authMode": "Key", "traffic": {"blue": 100}}})
    shown = server.good("GET", place)
    keys = server.good("POST", f"{place}/listKeys", {})
    planted.secret("primary key of a service", keys["primaryKey"])
    planted.secret("secondary key of a service", keys["secondaryKey"])
    held.silent["the service"] = json.dumps(shown).encode()
    body = json.dumps({"data": planted.content("scoring request")}).encode()
    uri = shown["properties"]["scoringUri"].replace(server.url, "")
    for key in (keys["primaryKey"], keys["secondaryKey"]):
        server.bytes("POST", uri, raw=body, token=key, headers={"Content-Type": "application/json"})
    wrong = planted.secret("wrong key of a service")
    server.ask("POST", uri, {"data": []}, token="bzk_" + wrong)
    server.ask("GET", server.workspace, token=planted.secret("a made-up token"))


def person(server, planted, held, given, processes):
    """A person signs in, sets up a second factor, and comes in with it and with a recovery code."""
    who = Person(server, planted["user name"], planted["password"])
    seed, codes = who.enrol()
    planted.secret("authenticator's seed", seed)
    planted.secret("recovery code", codes[0])
    planted.secret("session cookie", who.cookie()[:32])
    who.again_with(codes[1])
    wrong = Person(server, planted["user name"], planted.secret("wrong password"))
    assert not wrong.is_in()


def keep(server, held, given):
    held.backup = given.scratch / "backup.tar"
    server.bartizan(held, given, "backup", "--to", str(held.backup))
    held.told["the activity log"] = server.bartizan(held, given, "activity-log", "export", "--format", "jsonl")
    held.told["the activity log as tables"] = server.bartizan(held, given, "activity-log", "list", "--max-events", "1000", "--tenant-wide", "-o", "json")
    server.bartizan(held, given, "verify-log", "--data-dir", str(given.data))

