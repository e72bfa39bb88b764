//! The directory at the command line, and signing in there.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use outbound::{Client, Method, Timeouts};
use serde_json::{Value, json};

use crate::served::{BARTIZAN, Served};

const PASSWORD: &str = "gravel teapot misnomer";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A user `ann` with a known password, who may read the workspace.
fn with_ann() -> Served {
    let served = Served::with_workspace();
    let file = served.dir.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let arguments = ["ad", "user", "create", "--user-principal-name", "ann@example.com", "--display-name", "Ann"];
    let made = served.json(&[&arguments[..], &["--keep-password", "--password-file", file.to_str().unwrap()]].concat());
    let id = text(&made["id"]);
    served.good(&["role", "assignment", "create", "--assignee", &id, "--role", "Reader"]);
    served
}

#[test]
fn the_directory_has_commands() {
    let served = Served::start();
    let made = served.json(&["ad", "user", "create", "--upn", "bob", "--display-name", "Bob"]);
    let (bob, drawn) = (text(&made["id"]), text(&made["passwordProfile"]["password"]));
    assert_eq!(drawn.len(), 23);
    assert!(!served.good(&["ad", "user", "show", "bob", "-o", "json"]).contains(&drawn));
    let again = served.good(&["ad", "user", "reset-password", "BOB"]);
    assert!(again.contains("shown this once"), "{again}");
    served.good(&["ad", "user", "update", "bob", "--display-name", "Robert", "--require-mfa"]);
    assert_eq!(served.json(&["ad", "user", "show", "bob"])["perUserMfaState"], json!("enforced"));
    served.good(&["ad", "user", "disable", &bob]);
    assert_eq!(served.json(&["ad", "user", "show", &bob])["accountEnabled"], json!(false));
    served.good(&["ad", "user", "enable", "bob"]);
    served.good(&["ad", "user", "revoke-sessions", "bob"]);
    assert_eq!(served.json(&["ad", "user", "list", "--display-name", "Rob"])[0]["id"], json!(bob));
    let told = served.bad(&["ad", "user", "show", "nobody"]);
    assert!(told.contains("the user `nobody` was not found"), "{told}");

    served.good(&["ad", "group", "create", "--display-name", "team", "--description", "who builds it"]);
    served.good(&["ad", "group", "create", "--display-name", "all"]);
    let robot = served.json(&["ad", "sp", "create", "--name", "robot", "--role", "Reader"]);
    served.good(&["ad", "group", "add-member", "team", "--member", "bob"]);
    served.good(&["ad", "group", "add-member", "team", "--member", &text(&robot["clientId"])]);
    served.good(&["ad", "group", "add-member", "all", "--member", "team"]);
    let members = served.json(&["ad", "group", "list-members", "all", "--transitive"]);
    assert_eq!(members.as_array().unwrap().len(), 3);
    assert_eq!(served.json(&["ad", "user", "list-groups", "bob", "--transitive"]).as_array().unwrap().len(), 2);
    let table = served.good(&["ad", "group", "list-members", "team"]);
    assert!(table.contains("Robert") && table.contains("servicePrincipal"), "{table}");
    served.good(&["ad", "group", "remove-member", "team", "--member", "robot"]);
    served.good(&["ad", "group", "delete", "all"]);
    let told = served.bad(&["ad", "group", "show", "all"]);
    assert!(told.contains("nothing in the directory is named `all`"), "{told}");

    let added = served.json(&["ad", "sp", "credential", "add", "robot", "--display-name", "ci", "--days", "30"]);
    assert_eq!(
        (added["clientId"].clone(), added["objectId"].clone()),
        (robot["clientId"].clone(), robot["objectId"].clone())
    );
    let listed = served.json(&["ad", "sp", "credential", "list", &text(&robot["objectId"])]);
    let secret = listed.as_array().unwrap().iter().find(|entry| entry["displayName"] == "ci").unwrap().clone();
    served.good(&["ad", "app", "credential", "remove", &text(&robot["clientId"]), "--key-id", &text(&secret["keyId"])]);
    assert_eq!(served.json(&["ad", "app", "credential", "list", "robot"]).as_array().unwrap().len(), 1);
    // The server's own certificate will do for one.
    let ca = served.env["BARTIZAN_CA"].clone();
    served.good(&["ad", "app", "credential", "add", "robot", "--certificate", &ca]);
    assert_eq!(served.json(&["ad", "app", "credential", "list", "robot"]).as_array().unwrap().len(), 2);
    let told = served.bad(&["ad", "app", "credential", "add", "robot", "--certificate", &ca]);
    assert!(told.contains("already"), "{told}");

    let arguments = ["ad", "app", "create", "--display-name", "tool", "--public-client", "--redirect-uri"];
    let tool = served.json(&[&arguments[..], &["http://localhost"]].concat());
    assert_eq!(tool["publicClient"]["redirectUris"], json!(["http://localhost"]));
    let federated = ["--name", "main", "--issuer", "https://ci.example", "--subject", "repo:a"];
    served.good(&[&["ad", "app", "federated-credential", "add", "robot"][..], &federated].concat());
    served.good(&["ad", "app", "federated-credential", "update", "robot", "--name", "main", "--subject", "repo:b"]);
    assert_eq!(served.json(&["ad", "app", "federated-credential", "list", "robot"])[0]["subject"], json!("repo:b"));
    served.good(&["ad", "app", "federated-credential", "remove", "robot", "--name", "main"]);
    served.good(&["ad", "app", "delete", "tool"]);
    served.good(&["ad", "sp", "delete", "robot"]);
    served.good(&["ad", "user", "delete", "bob"]);
    assert!(served.bad(&["ad", "sp", "show", &text(&robot["objectId"])]).contains("was not found"));
}

/// A person at the command line, with a home of its own and no credentials in the environment.
struct Person<'a> {
    served: &'a Served,
    home: tempfile::TempDir,
}

impl<'a> Person<'a> {
    fn new(served: &'a Served) -> Self {
        Self { served, home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BARTIZAN);
        command.args(arguments).env_clear().env("HOME", self.home.path()).stdin(Stdio::null());
        for name in
            ["BARTIZAN_URL", "BARTIZAN_CA", "AZURE_SUBSCRIPTION_ID", "BARTIZAN_RESOURCE_GROUP", "BARTIZAN_WORKSPACE"]
        {
            command.env(name, &self.served.env[name]);
        }
        command
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["-o", "json"]].concat()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn bad(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn file(&self) -> PathBuf {
        self.home.path().join(".config/bartizan/sign-in.json")
    }

    /// Starts a sign-in; gives what it tells until a line contains `mark`.
    fn login(&self, arguments: &[&str], mark: &str) -> (Login, String) {
        let mut child = self
            .command(&[&["login"], arguments].concat())
            .env("BROWSER", "true")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = told.find_map(|line| line.ok().filter(|line| line.contains(mark)));
        let line = line.expect("it says where to sign in");
        (Login { child, told: Box::new(told) }, line)
    }

    /// Makes what is remembered look as if it were an hour old; gives the refresh token.
    fn age(&self) -> Value {
        let mut kept: Value = serde_json::from_slice(&std::fs::read(self.file()).unwrap()).unwrap();
        for token in kept["tokens"].as_object_mut().unwrap().values_mut() {
            token["expires_on"] = json!(0);
        }
        std::fs::write(self.file(), kept.to_string()).unwrap();
        kept["refresh_token"].clone()
    }
}

/// A sign-in under way.
struct Login {
    child: Child,
    told: Box<dyn Iterator<Item = std::io::Result<String>>>,
}

impl Login {
    fn end(mut self) {
        let rest: Vec<String> = self.told.by_ref().map_while(Result::ok).collect();
        assert!(self.child.wait().unwrap().success(), "{rest:?}");
    }
}

/// A browser without JavaScript.
struct Browser {
    client: Client,
    work: tokio::runtime::Runtime,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl Browser {
    fn new(served: &Served) -> Self {
        let ca = std::fs::read(Path::new(&served.env["BARTIZAN_CA"])).unwrap();
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::to_server(&served.env["BARTIZAN_URL"], &ca, Timeouts::default()).unwrap();
        let work = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { client, work, cookies: RefCell::default() }
    }

    /// Where it leads, and the page.
    fn send(&self, method: Method, place: &str, fields: &[(&str, &str)]) -> (String, String) {
        let jar: Vec<String> = self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let is_form = method == Method::POST;
        let mut call = self.client.call(method, place);
        if !jar.is_empty() {
            call = call.header("cookie", &jar.join("; "));
        }
        if is_form {
            call = call.header("sec-fetch-site", "same-origin").header("origin", self.client.base()).form(fields);
        }
        self.work.block_on(async {
            let answer = call.send().await.unwrap();
            if let Some((name, rest)) = answer.header("set-cookie").and_then(|cookie| cookie.split_once('=')) {
                let value = rest.split(';').next().unwrap().to_owned();
                self.cookies.borrow_mut().insert(name.to_owned(), value);
            }
            let location = answer.header("location").unwrap_or_default().to_owned();
            (location, String::from_utf8(answer.bytes(1 << 20).await.unwrap().to_vec()).unwrap())
        })
    }

    /// Signs in at the page's address; gives where that leads.
    fn sign_in(&self, place: &str) -> String {
        let (_, page) = self.send(Method::GET, place, &[]);
        let (form, back) = (hidden(&page, "form"), hidden(&page, "return"));
        let fields =
            [("form", form.as_str()), ("user_name", "ann@example.com"), ("password", PASSWORD), ("return", &back)];
        self.send(Method::POST, "/signin", &fields).0
    }
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("no `{name}` in {page}"));
    rest.split('"').next().unwrap().replace("&#38;", "&")
}

/// Follows the browser's last step, to the command line on loopback.
fn visit_loopback(location: &str) -> String {
    let rest = location.strip_prefix("http://").unwrap_or_else(|| panic!("not to loopback: {location}"));
    let (host, query) = rest.split_once('?').unwrap();
    let mut stream = TcpStream::connect(host.trim_end_matches('/')).unwrap();
    // Browsers ask for `/` where an address has no path.
    write!(stream, "GET /?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

#[test]
fn a_person_signs_in_with_a_browser_and_stays_signed_in() {
    let served = with_ann();
    let person = Person::new(&served);
    let told = person.bad(&["workspace", "list"]);
    assert!(told.contains("bartizan login"), "{told}");

    let (login, address) = person.login(&[], "/oauth2/v2.0/authorize?");
    let browser = Browser::new(&served);
    let (to_sign_in, _) = browser.send(Method::GET, &address, &[]);
    let on = browser.sign_in(&to_sign_in);
    // The page that follows a sign-in sends the browser back, without a redirect after a form.
    let (_, page) = browser.send(Method::GET, &on, &[]);
    let (_, back) = page.split_once("content=\"0; url=").unwrap_or_else(|| panic!("no way back at {on}: {page}"));
    let (location, page) = browser.send(Method::GET, &back.split('"').next().unwrap().replace("&#38;", "&"), &[]);
    assert!(!location.is_empty(), "no answer: {page}");
    let answer = visit_loopback(&location);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("You are signed in"), "{answer}");
    login.end();

    let kept = std::fs::metadata(person.file()).unwrap();
    assert_eq!(kept.permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read_to_string(person.file()).unwrap().contains(PASSWORD));
    let shown = person.json(&["account", "show"]);
    assert_eq!(shown["user"], json!({"name": "ann@example.com", "type": "user"}));
    assert_eq!(person.json(&["workspace", "show", "ws1"])["name"], "ws1");
    let token = person.json(&["account", "get-access-token", "--resource", "https://storage.azure.com/"]);
    assert_eq!(token["resource"], "https://storage.azure.com");
    for field in ["tokenType", "expiresIn", "expiresOn", "accessToken", "isMRRT", "_clientId", "_authority"] {
        assert!(!token[field].is_null(), "{field}: {token}");
    }

    let told = person.bad(&["account", "get-access-token", "--resource", "https://nobody.example"]);
    assert!(told.contains("AADSTS") && !told.contains("bartizan login"), "{told}");

    // An hour later: several commands at once want a new token, and the refresh token is good once.
    let before = person.age();
    let children: Vec<Child> = (0..4)
        .map(|_| {
            let mut command = person.command(&["workspace", "show", "ws1"]);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_ne!(person.age(), before);

    // Shut out, the person is told to sign in again.
    served.good(&["ad", "user", "disable", "ann@example.com"]);
    let told = person.bad(&["workspace", "show", "ws1"]);
    assert!(told.contains("run `bartizan login` again"), "{told}");
    assert!(person.command(&["logout"]).output().unwrap().status.success());
    assert!(!person.file().exists());
}

#[test]
fn a_policy_names_people_as_people_do() {
    let served = with_ann();
    let told = served.bad(&["ad", "policy", "create", "--name", "nobody's"]);
    assert!(told.contains("--all-users") && told.contains("--principal"), "{told}");
    let made = served.json(&["ad", "policy", "create", "--name", "all", "--all-users", "--except", "ann@example.com"]);
    let ann = served.json(&["ad", "user", "show", "ann@example.com"])["id"].clone();
    assert_eq!(made["conditions"]["users"]["excludeUsers"], json!([ann]));
}

#[test]
fn a_person_signs_in_with_a_code_on_another_device() {
    let served = with_ann();
    let person = Person::new(&served);
    let (login, message) = person.login(&["--use-device-code"], "/device");
    let is_code = |word: &&str| word.len() == 9 && word.split('-').all(|half| half.len() == 4);
    let code = message.split([' ', '.']).find(is_code).unwrap_or_else(|| panic!("no code: {message}")).to_owned();
    let browser = Browser::new(&served);
    assert_eq!(browser.sign_in("/signin?return=%2Fdevice"), "/device");
    let form = hidden(&browser.send(Method::GET, "/device", &[]).1, "form");
    let (_, page) = browser.send(Method::POST, "/device", &[("form", &form), ("user_code", &code)]);
    assert!(page.contains("Bartizan command line"), "{page}");
    let fields = [("form", form.as_str()), ("user_code", code.as_str()), ("decision", "approve")];
    browser.send(Method::POST, "/device/decide", &fields);
    login.end();
    assert_eq!(person.json(&["account", "show"])["user"]["name"], "ann@example.com");
}

#[test]
fn a_service_principal_signs_in_by_its_secret_and_the_environment_wins() {
    let served = Served::start();
    let person = Person::new(&served);
    let made = served.json(&["ad", "sp", "create", "--name", "robot", "--role", "Reader"]);
    let (id, secret) = (text(&made["clientId"]), text(&made["clientSecret"]));
    let mut child = person
        .command(&["login", "--service-principal", "-u", &id, "-p", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{secret}").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(person.json(&["account", "show"])["user"], json!({"name": id, "type": "servicePrincipal"}));
    assert!(!std::fs::read_to_string(person.file()).unwrap().contains(&secret));
    let owner = served.env["AZURE_CLIENT_ID"].clone();
    let shown = person
        .command(&["account", "show", "-o", "json"])
        .env("AZURE_CLIENT_ID", &owner)
        .env("AZURE_CLIENT_SECRET", &served.env["AZURE_CLIENT_SECRET"])
        .env("AZURE_TENANT_ID", &served.env["AZURE_TENANT_ID"])
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["user"]["name"], json!(owner));
    // Without a secret to ask again with, the sign-in ends with its token.
    assert_eq!(person.age(), Value::Null);
    assert!(person.bad(&["account", "show"]).contains("run `bartizan login --service-principal` again"));
    let wrong = served.dir.path().join("wrong");
    std::fs::write(&wrong, "wrong\n").unwrap();
    let file = wrong.to_str().unwrap();
    let told = person.bad(&["login", "--service-principal", "-u", &id, "--secret-file", file]);
    assert!(told.contains("AADSTS7000215"), "{told}");
}
