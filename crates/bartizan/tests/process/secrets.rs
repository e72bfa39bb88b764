//! Twenty shapes of secret in a vault: a job gets them, prints them in every way, and they are nowhere to be found (requirement X-11).

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::{Value, json};

use crate::served::{BARTIZAN, Served};

/// What a secret looks like that is none: the marks of its kind around letters that no other program has.
pub fn shapes() -> Vec<(String, String)> {
    let body = |n: usize, length: usize| {
        let mut text = format!("Canary{n:02}");
        let letters = b"Qx7Zk2Vb9Wm4Tj8Rf3Lp6Hd5Gs1Nc";
        text.extend((0..length).map(|at| char::from(letters[(at * 7 + n) % letters.len()])));
        text
    };
    let upper = |n: usize| body(n, 8).to_uppercase();
    let pem = |n: usize, kind: &str| {
        let lines: Vec<String> = (0..4).map(|line| body(n, 56 - line)).collect();
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
    };
    let values = [
        pem(0, "PRIVATE KEY"),
        pem(1, "OPENSSH PRIVATE KEY"),
        format!("AKIA{}", &upper(2)[..16]),
        format!(
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={}==;EndpointSuffix=core.windows.net",
            body(3, 78)
        ),
        format!("sv=2024-11-04&ss=b&srt=co&sp=rl&sig={}%3D", body(4, 36)),
        format!("Server=tcp:db,1433;User ID=sa;Password={};Encrypt=true", body(5, 12)),
        format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI{}.{}", body(6, 20), body(6, 30)),
        format!("ghp_{}", &body(7, 40)[..36]),
        format!("github_pat_{}", body(8, 60)),
        format!("glpat-{}", body(9, 16)),
        format!("xoxb-{}", body(10, 30)),
        format!("AIza{}", &body(11, 40)[..35]),
        format!("sk-proj-{}", body(12, 40)),
        format!("hf_{}", &body(13, 40)[..34]),
        format!("npm_{}", &body(14, 40)[..36]),
        format!("pypi-{}", body(15, 60)),
        format!("dapi{}", seal::hex(body(16, 16).as_bytes()).get(..32).unwrap()),
        format!("sk_live_{}", body(17, 24)),
        format!("postgres://user:{}@db.example/x", body(18, 10)),
        format!("{{\"päss\": \"{} /\\\"'?&=+<ü>\"}}", body(19, 14)),
    ];
    values.into_iter().enumerate().map(|(n, value)| (format!("s{n:02}"), value)).collect()
}

/// Prints each secret plainly, in pieces, encoded, in a traceback, on standard error and in a log file of its own.
const SCRIPT: &str = r#"
import base64, json, logging, os, sys, time, urllib.parse
names = sorted(name for name in os.environ if name.startswith('CANARY_'))
os.makedirs('logs', exist_ok=True)
own = open('logs/own.txt', 'a')
found = 0
for name in names:
    value = os.environ[name]
    found += len(value) > 16 and not value.startswith('secret://')
    raw = value.encode()
    for text in (
        value, repr(value), json.dumps(value), json.dumps({'x': value}, ensure_ascii=False),
        base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(),
        base64.b64encode(b'user:' + raw).decode(), base64.b64encode(b'x' + raw + b'yz').decode(),
        urllib.parse.quote(value), urllib.parse.quote(value, safe=''), urllib.parse.quote_plus(value), raw.hex(),
    ):
        print('print', text, flush=True)
        own.write('own ' + text + '\n')
        print('error', text, file=sys.stderr, flush=True)
    for at in range(0, len(value), 5):
        sys.stdout.write(value[at:at + 5])
        sys.stdout.flush()
    own.flush()
    for at in range(0, len(value), 7):
        own.write(value[at:at + 7])
        own.flush()
    time.sleep(0.05)
    try:
        raise ValueError('cannot use ' + value)
    except ValueError:
        logging.exception('failed with %s', value)
print('found', found, 'secrets')
own.write('\nthe end of the log\n')
own.close()
sys.exit(3)
"#;

/// Writes secrets as Azure's library does: asks without a token, is told where to get one, and comes back with it.
const KEEPER: &str = r#"
import json, os, re, ssl, sys, urllib.error, urllib.parse, urllib.request
trust = ssl.create_default_context(cafile=os.environ['BARTIZAN_CA'])
vault, tenant = sys.argv[1], os.environ['AZURE_TENANT_ID']
def ask(url, data=None, method='GET', **headers):
    return urllib.request.urlopen(urllib.request.Request(url, data=data, method=method, headers=headers), context=trust)
base = os.environ['BARTIZAN_URL'] + '/vaults/' + vault + '/secrets/'
try:
    ask(base + 'x?api-version=7.6')
except urllib.error.HTTPError as refused:
    resource = re.search('resource="([^"]+)"', refused.headers['www-authenticate']).group(1)
form = urllib.parse.urlencode({'grant_type': 'client_credentials', 'client_id': os.environ['AZURE_CLIENT_ID'],
    'client_secret': os.environ['AZURE_CLIENT_SECRET'], 'scope': resource + '/.default'}).encode()
token = json.load(ask(os.environ['BARTIZAN_URL'] + '/' + tenant + '/oauth2/v2.0/token', form, 'POST'))['access_token']
for name, value in json.load(sys.stdin).items():
    body = json.dumps({'value': value}).encode()
    headers = {'Authorization': 'Bearer ' + token, 'Content-Type': 'application/json'}
    assert ask(base + name + '?api-version=7.6', body, 'PUT', **headers).status == 200, name
"#;

/// Plants secrets in the workspace's vault.
fn plant(served: &Served, secrets: &[(String, String)]) {
    let workspace = served.json(&["workspace", "show", "ws1"]);
    let vault = workspace["properties"]["keyVault"].as_str().unwrap();
    let owner = served.json(&["ad", "sp", "list", "--display-name", "bartizan-owner"]);
    let owner = owner[0]["id"].as_str().unwrap().to_owned();
    let group = vault.split("/providers/").next().unwrap();
    let role = ["--role", "Key Vault Secrets Officer", "--scope", group];
    served.good(&[&["role", "assignment", "create", "--assignee", &owner][..], &role].concat());
    let name = vault.rsplit('/').next().unwrap();
    let mut keeper = Command::new("python3")
        .args(["-c", KEEPER, name])
        .envs(&served.env)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let all: Value =
        secrets.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<serde_json::Map<_, _>>().into();
    serde_json::to_writer(keeper.stdin.take().unwrap(), &all).unwrap();
    let output = keeper.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What gives a secret away, in whichever form: runs of its letters that nothing else has.
pub fn marks(secrets: &[(String, String)]) -> Vec<(String, Vec<u8>)> {
    let mut marks = Vec::new();
    for (name, value) in secrets {
        for line in value.lines().filter(|line| line.len() >= 12 && !line.starts_with("-----")) {
            marks.push((name.clone(), line.as_bytes().to_vec()));
            // The midst of it, plainly and in base64 wherever that begins.
            let start = line.find("anary").unwrap_or(line.len() / 2).min(line.len() - 12);
            let midst: Vec<u8> = line.bytes().skip(start).take(12).collect();
            marks.push((name.clone(), seal::hex(&midst).into_bytes()));
            for shift in 0..3 {
                let shifted = STANDARD_NO_PAD.encode([&vec![b'x'; shift][..], &midst].concat());
                let (from, to) = ([0, 2, 3][shift], (shift + midst.len()) * 4 / 3);
                marks.push((name.clone(), shifted.as_bytes()[from..to].to_vec()));
            }
            marks.push((name.clone(), midst));
        }
    }
    marks
}

/// Fails when one of the marks is in what somebody can read.
pub fn is_clean(place: &str, bytes: &[u8], marks: &[(String, Vec<u8>)]) {
    let mut by_start: HashMap<&[u8], Vec<&(String, Vec<u8>)>> = HashMap::new();
    for mark in marks {
        by_start.entry(&mark.1[..4]).or_default().push(mark);
    }
    let mut found = BTreeMap::new();
    for at in 0..bytes.len().saturating_sub(3) {
        for (name, mark) in by_start.get(&bytes[at..at + 4]).into_iter().flatten().copied() {
            if bytes[at..].starts_with(mark) {
                let around = &bytes[at.saturating_sub(60)..(at + mark.len() + 60).min(bytes.len())];
                found.entry(name).or_insert_with(|| String::from_utf8_lossy(around).into_owned());
            }
        }
    }
    assert!(found.is_empty(), "{place} shows secrets:\n{found:#?}");
}

pub fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// The arguments of every process there is, as anybody on this machine sees them.
pub fn arguments() -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        all.extend(fs::read(entry.path().join("cmdline")).unwrap_or_default());
        all.push(b'\n');
    }
    all
}

#[test]
fn x_11_twenty_planted_secrets_are_used_and_nowhere_found() {
    let served = Served::with_workspace();
    let secrets = shapes();
    assert_eq!(secrets.len(), 20);
    plant(&served, &secrets);
    let marks = marks(&secrets);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("main.py"), SCRIPT).unwrap();
    let pairs: Vec<String> =
        secrets.iter().map(|(name, _)| format!("CANARY_{}=secret://{name}", name.to_uppercase())).collect();
    let mut submit = vec![
        "job",
        "submit",
        "--code",
        dir.path().to_str().unwrap(),
        "--name",
        "printer",
        "--command",
        "python main.py",
    ];
    submit.extend(pairs.iter().flat_map(|pair| ["--env", pair.as_str()]));
    let submitted = served.run(&submit);
    assert!(submitted.status.success(), "{submitted:?}");
    assert!(!String::from_utf8_lossy(&submitted.stderr).contains("warning"), "{submitted:?}");
    // While it runs, whenever the scheduler lets us look.
    let job = loop {
        is_clean("the list of processes", &arguments(), &marks);
        let job = served.json(&["job", "show", "printer"]);
        if ["Completed", "Failed", "Canceled"].contains(&job["properties"]["status"].as_str().unwrap()) {
            break job;
        }
    };
    let log = served.good(&["job", "logs", "printer"]);
    assert!(log.contains("found 20 secrets") && log.contains("***"), "{job} {log}");
    assert_eq!(job["properties"]["exitCode"], 3, "{job}");
    let own = served.good(&["job", "logs", "printer", "--log", "logs/own.txt"]);
    assert!(own.contains("the end of the log") && own.contains("own ***"), "{own}");
    let exported = served.good(&["activity-log", "export", "--format", "jsonl"]);
    assert!(exported.contains("metadata/secrets/read"), "{exported}");
    let places = [
        ("the log of the program", log.as_bytes()),
        ("its own log", own.as_bytes()),
        ("the job", job.to_string().as_bytes()),
        ("the activity log", exported.as_bytes()),
        ("what the command line told", &submitted.stderr),
    ]
    .map(|(place, bytes)| (place, bytes.to_vec()));
    for (place, bytes) in places {
        is_clean(place, &bytes, &marks);
    }
    let mut found = Vec::new();
    files(&served.dir.path().join("D"), &mut found);
    assert!(found.len() > 3, "{found:?}");
    for file in found {
        is_clean(&file.display().to_string(), &fs::read(&file).unwrap(), &marks);
    }
}

#[test]
fn a_run_whose_secret_cannot_be_had_fails_and_one_that_is_written_out_is_told() {
    let served = Served::with_workspace();
    plant(&served, &[(String::from("broken"), String::from("no variable\0can hold this"))]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("main.py"), "print('never')\n").unwrap();
    let submit = |name: &str, pair: &str| {
        let code = dir.path().to_str().unwrap();
        let arguments = ["job", "submit", "--code", code, "--name", name, "--command", "python main.py", "--env", pair];
        Command::new(BARTIZAN).args(arguments).envs(&served.env).output().unwrap()
    };
    assert!(submit("broken", "DB_PASSWORD=secret://broken").status.success());
    let job = served.wait_for("broken", &["Failed"]);
    let why = job["properties"]["error"]["message"].as_str().unwrap();
    assert!(why.contains("`broken` of the variable `DB_PASSWORD` holds a zero byte"), "{why}");
    assert!(!served.good(&["job", "show", "broken", "-o", "json"]).contains("can hold this"));
    let told = submit("warned", "DB_PASSWORD=hunter2hunter2");
    assert!(told.status.success(), "{told:?}");
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("warning: ") && told.contains("`DB_PASSWORD`") && !told.contains("hunter2"), "{told}");
    served.good(&["workspace", "update", "ws1", "--secret-detection", "refuse"]);
    let told = submit("refused", "DB_PASSWORD=hunter2hunter2");
    assert!(!told.status.success() && String::from_utf8_lossy(&told.stderr).contains("`DB_PASSWORD`"), "{told:?}");
    let told = submit("missing", "DB_PASSWORD=secret://nobody-set-it");
    assert!(!told.status.success() && String::from_utf8_lossy(&told.stderr).contains("was not found"), "{told:?}");
}
