//! A job asks for secrets by name while it runs: it gets them without a token or a library, and its log does not show them
//! (requirement H-05).

use std::{fs, process::Command};

use crate::{
    secrets::{is_clean, marks},
    served::{BARTIZAN, Served},
};

/// Prints before, asks, and prints again in several ways; in pieces, too, and into a log file that was open all the time.
const SCRIPT: &str = r#"
import base64, json, os, sys, time, urllib.error, urllib.request
base = os.environ['BARTIZAN_VAULT_URL']
def ask(url, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data, method=method)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)
def get_secrets(names):
    _, found = ask(base + ':getbatch', {'secrets': [{'name': name} for name in names]})
    values = {one['name']: one['value'] for one in found['secrets']}
    return {**{name: None for name in found['notFoundSecrets']}, **values}
own = open('logs/own.txt', 'a')
own.write('before\n')
own.flush()
print('before', flush=True)
time.sleep(2)
status, first = ask(base + '/first')
value = first['value']
for text in (value, repr(value), base64.b64encode(value.encode()).decode(), value.encode().hex()):
    print('print', text, flush=True)
    own.write('own ' + text + '\n')
for at in range(0, len(value), 5):
    sys.stdout.write(value[at:at + 5])
    sys.stdout.flush()
many = get_secrets(['second', 'never-set'])
print('\nsecond', many['second'], 'never-set', many['never-set'])
print('lengths', len(value), len(many['second']))
own.write('own ' + many['second'] + '\nthe end of the log\n')
codes = {
    'missing': ask(base + '/never-set')[0],
    'list': ask(base)[0],
    'set': ask(base, {'name': 'first', 'value': 'x'}, 'PUT')[0],
    'delete': ask(base + '/first', None, 'DELETE')[0],
    'elsewhere': ask(base.replace('/ws1/', '/other/') + '/first')[0],
}
print('codes', json.dumps(codes, sort_keys=True))
print('variables', [name for name in os.environ if any(word in os.environ[name] for word in (value, many['second']))])
"#;

#[test]
fn h_05_a_job_asks_for_secrets_by_name_and_they_are_hidden_from_then_on() {
    let served = Served::with_workspace();
    served.good(&["workspace", "create", "other"]);
    let secrets = [("first", "CanaryFirst-Qx7Zk2Vb9Wm4Tj8Rf3Lp6"), ("second", "CanarySecond-Hd5Gs1NcQx7Zk2Vb9Wm4")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let dir = tempfile::tempdir().unwrap();
    for (name, value) in &secrets {
        let file = dir.path().join(name);
        fs::write(&file, format!("{value}\n")).unwrap();
        served.good(&["workspace", "secret", "set", "-n", name, "-f", file.to_str().unwrap()]);
    }
    let listed = served.good(&["workspace", "secret", "list"]);
    assert!(listed.contains("first") && listed.contains("second"), "{listed}");
    let shown = served.json(&["workspace", "secret", "show", "-n", "first", "-n", "never-set"]);
    assert_eq!((&shown[0]["value"], &shown[1]["value"]), (&secrets[0].1.as_str().into(), &serde_json::Value::Null));

    let code = dir.path().join("code");
    fs::create_dir(&code).unwrap();
    fs::write(code.join("main.py"), SCRIPT).unwrap();
    let submit = |name: &str, env: &[(&str, &str)]| {
        let code = code.to_str().unwrap();
        let arguments = ["job", "submit", "--code", code, "--name", name, "--command", "python main.py"];
        let command = Command::new(BARTIZAN).args(arguments).envs(&served.env).envs(env.iter().copied()).output();
        command.unwrap()
    };
    assert!(submit("asks", &[]).status.success());
    let job = served.wait_for("asks", &["Completed", "Failed", "Canceled"]);
    let log = served.good(&["job", "logs", "asks"]);
    assert_eq!(job["properties"]["status"], "Completed", "{job} {log}");
    let own = served.good(&["job", "logs", "asks", "--log", "logs/own.txt"]);
    for (text, due) in [
        (&log, "print ***"),
        (&log, "second *** never-set None"),
        (&log, "lengths 33 33"),
        (&log, r#"codes {"delete": 403, "elsewhere": 403, "list": 403, "missing": 404, "set": 403}"#),
        (&log, "variables []"),
        (&own, "before\nown ***"),
        (&own, "the end of the log"),
    ] {
        assert!(text.contains(due), "{due}: {text}");
    }
    let exported = served.good(&["activity-log", "export", "--format", "jsonl"]);
    let marks = marks(&secrets);
    let told = job.to_string();
    for (place, text) in [("its log", &log), ("its own log", &own), ("the activity log", &exported), ("the job", &told)]
    {
        is_clean(place, text.as_bytes(), &marks);
    }
    served.good(&["workspace", "secret", "delete", "-n", "first"]);
    assert!(served.bad(&["workspace", "secret", "delete", "-n", "first"]).contains("404"));

    // Somebody who may submit and not read secrets: their job is refused, whatever others may.
    let robot = served.json(&["ad", "sp", "create", "--name", "submitter"]);
    let role = dir.path().join("role.json");
    let scope = served.json(&["workspace", "show", "ws1"])["id"].as_str().unwrap().to_owned();
    let definition = serde_json::json!({
        "Name": "Submitter", "IsCustom": true, "Description": "Submits jobs without secrets", "AssignableScopes": [scope],
        "Actions": ["Microsoft.MachineLearningServices/workspaces/*"],
        "NotActions": ["Microsoft.MachineLearningServices/workspaces/metadata/secrets/*"], "DataActions": [], "NotDataActions": [],
    });
    fs::write(&role, definition.to_string()).unwrap();
    served.good(&["role", "definition", "create", "--role-definition", role.to_str().unwrap()]);
    let assignee = robot["objectId"].as_str().unwrap();
    served.good(&["role", "assignment", "create", "--assignee", assignee, "--role", "Submitter", "--scope", &scope]);
    let (id, secret) = (robot["clientId"].as_str().unwrap(), robot["clientSecret"].as_str().unwrap());
    fs::write(
        code.join("main.py"),
        "import os, urllib.error, urllib.request\n\
         try: urllib.request.urlopen(os.environ['BARTIZAN_VAULT_URL'] + '/second')\n\
         except urllib.error.HTTPError as refused: print('refused', refused.code)\n",
    )
    .unwrap();
    let told = submit("refused", &[("AZURE_CLIENT_ID", id), ("AZURE_CLIENT_SECRET", secret)]);
    assert!(told.status.success(), "{told:?}");
    served.wait_for("refused", &["Completed"]);
    assert!(served.good(&["job", "logs", "refused"]).contains("refused 403"));
}
