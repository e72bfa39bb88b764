//! Managed identities inside a job: its code gets their tokens without a secret, and only theirs.

use std::fs;

use serde_json::Value;

use crate::served::Served;

/// Standard library alone: asks for tokens as Azure's libraries do, and uses them through the same door.
const SCRIPT: &str = r#"
import json, os, sys, urllib.error, urllib.parse, urllib.request
door = os.environ['AZURE_POD_IDENTITY_AUTHORITY_HOST']
other = os.environ['OTHER']

def ask(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        text = refused.read()
        return refused.code, json.loads(text) if text else None

def token(**choice):
    query = urllib.parse.urlencode({'api-version': '2018-02-01', 'resource': 'https://management.azure.com', **choice})
    return ask(f'{door}/metadata/identity/oauth2/token?{query}', Metadata='true')

found = {'default': token(), 'named': token(msi_res_id=os.environ['NAMED']), 'foreign': token(client_id=os.environ['FOREIGN'])}
found['plain'] = ask(f'{door}/metadata/identity/oauth2/token?resource=https://management.azure.com')
found['elsewhere'] = token(resource='https://graph.microsoft.com')
stores = f'{door}{other}/datastores?api-version=2025-12-01'
found['with the run alone'] = ask(stores)
bearer = {'Authorization': 'Bearer ' + found['default'][1].get('access_token', '')}
found['with the identity'] = ask(stores, **bearer)
found['with a made-up token'] = ask(stores, Authorization='Bearer a.b.c')
found['a write'] = ask(f'{door}{other}/computes?api-version=2025-12-01', **bearer)
found['agent'] = ask(f'{door}/agent/v1/runs/' + os.environ['AZUREML_RUN_ID'] + '/identity?resource=x', **bearer)
# What nobody signed is no secret: Azure's libraries want a token that they can read, and the proxy takes it away.
shown = ('AZUREML_RUN_TOKEN', 'AZUREML_RUN_TOKEN_EXPIRY', 'MLFLOW_TRACKING_TOKEN')
is_open = lambda name: name in shown and (os.environ[name].isdigit() or os.environ[name].endswith('.'))
secrets = [name for name in os.environ if any(word in name for word in ('SECRET', 'PASSWORD', 'TOKEN')) and not is_open(name)]
found['secrets'] = secrets
os.makedirs('outputs', exist_ok=True)
json.dump(found, open('outputs/found.json', 'w'))
"#;

fn output(served: &Served, job: &str) -> Value {
    let text = served.good(&["job", "logs", job]);
    serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

#[test]
fn a_job_acts_as_the_identities_it_was_given_and_no_other() {
    let served = Served::with_workspace();
    served.good(&["workspace", "create", "other"]);
    let reader = served.json(&["identity", "create", "reader-of-other"]);
    let foreign = served.json(&["identity", "create", "not-handed-over"]);
    let own_id = reader["id"].as_str().unwrap();
    let workspace = served.json(&["workspace", "show", "other"])["id"].as_str().unwrap().to_owned();
    let principal = reader["properties"]["principalId"].as_str().unwrap();
    served.good(&["role", "assignment", "create", "--assignee", principal, "--role", "Reader", "--scope", &workspace]);
    let updated = served.json(&["compute", "update", "local", "--user-assigned-identities", "reader-of-other"]);
    assert_eq!(updated["identity"]["type"], "UserAssigned", "{updated}");
    let refused = served.bad(&["compute", "update", "local", "--identity-type", "UserAssigned"]);
    assert!(refused.contains("needs the ids"), "{refused}");

    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("main.py"), format!("{SCRIPT}\nprint(json.dumps(found))\n")).unwrap();
    let variables = [
        format!("OTHER={workspace}"),
        format!("NAMED={own_id}"),
        format!("FOREIGN={}", foreign["properties"]["clientId"].as_str().unwrap()),
    ];
    let submit = |name: &str, more: &[&str]| {
        let mut arguments = vec!["job", "submit", "--code", dir.path().to_str().unwrap(), "--name", name];
        arguments.extend(["--command", "python main.py"]);
        arguments.extend(variables.iter().flat_map(|pair| ["--env", pair.as_str()]));
        served.good(&[&arguments, more].concat());
        let job = served.wait_for(name, &["Completed", "Failed", "Canceled"]);
        assert_eq!(job["properties"]["status"], "Completed", "{job} {}", served.good(&["job", "logs", name]));
        output(&served, name)
    };

    let found = submit("acts", &[]);
    let status = |case: &str| found[case][0].as_u64().unwrap();
    assert_eq!(status("default"), 200, "{found}");
    assert_eq!(found["default"][1]["client_id"], reader["properties"]["clientId"]);
    assert_eq!(found["default"][1]["token_type"], "Bearer");
    assert_eq!(status("named"), 200, "{found}");
    assert_eq!(status("foreign"), 400, "an identity that was not handed over: {found}");
    assert_eq!(status("plain"), 400, "without the header: {found}");
    assert_eq!(status("elsewhere"), 400, "a resource that is not ours: {found}");
    assert_eq!(status("with the run alone"), 403, "{found}");
    assert_eq!(status("with the identity"), 200, "{found}");
    assert!(!found["with the identity"][1]["value"].as_array().unwrap().is_empty(), "{found}");
    assert_eq!(status("with a made-up token"), 403, "{found}");
    assert_eq!(status("a write"), 200, "reading computes is a Reader's: {found}");
    assert_eq!(status("agent"), 403, "{found}");
    assert_eq!(found["secrets"], serde_json::json!([]), "{found}");

    // The token died with the run, though its hour is not over.
    let token = found["default"][1]["access_token"].as_str().unwrap();
    let late = served.status_with(&format!("{workspace}?api-version=2025-12-01"), token);
    assert_eq!(late, 401);

    // One job can be given an identity that the target does not have, or none at all.
    served.good(&["compute", "update", "local", "--identity-type", "None"]);
    assert_eq!(submit("named-one", &["--identity", "reader-of-other"])["with the identity"][0], 200);
    let none = submit("none", &[]);
    assert_eq!(none["default"][0], 400, "{none}");
    assert!(none["default"][1]["error_description"].as_str().unwrap().contains("managed identity"), "{none}");

    // An identity that is gone is gone.
    served.good(&["identity", "delete", "reader-of-other"]);
    let missing = served.bad(&[
        "job",
        "submit",
        "--code",
        dir.path().to_str().unwrap(),
        "--command",
        "true",
        "--identity",
        "reader-of-other",
    ]);
    assert!(missing.contains("no managed identity"), "{missing}");
    let log = served.good(&["activity-log", "list", "-o", "json"]);
    assert!(log.contains("identityTokens/action"), "each token leaves a record");
    served.good(&["verify-log", "--data-dir", served.data().to_str().unwrap()]);
}
