//! Credentials and sign-ins at the command line: secrets are not lost, nor shown around, and nobody is taken for another.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::served::{BARTIZAN, Served};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Names of people who came from a provider hold what ends a path in an address.
#[test]
fn a_name_with_a_mark_in_it_is_not_the_name_before_it() {
    let served = Served::start();
    served.good(&["ad", "user", "create", "--upn", "ann@corp.example", "--display-name", "Ann"]);
    for name in ["ann@corp.example#corp", "ann@corp.example?corp", "ann@corp.example%23"] {
        let commands: [&[&str]; 4] = [
            &["ad", "sign-in", "reset-mfa", name],
            &["ad", "sign-in", "sessions", name],
            &["ad", "sign-in", "end", name, "6f9619ff-8b86-d011-b42d-00c04fc964ff"],
            &["ad", "sign-in", "list", "--user", name],
        ];
        for command in commands {
            let told = served.bad(command);
            assert!(told.contains("was not found"), "{command:?}: {told}");
        }
    }
    assert!(served.bad(&["ad", "sign-in", "reset-mfa", "ann@corp.example/.."]).contains("neither an object id nor"));
    for session in ["..", "x/../y", "6f9619ff-8b86-d011-b42d-00c04fc964ff/.."] {
        let told = served.bad(&["ad", "sign-in", "end", "ann@corp.example", session]);
        assert!(told.contains("is not the id of a session"), "{session}: {told}");
    }
    served.good(&["ad", "sign-in", "reset-mfa", "ann@corp.example"]);
    served.good(&["ad", "sign-in", "sessions", "ANN@corp.example"]);
}

#[test]
fn a_secret_is_shown_whatever_becomes_of_the_role() {
    let served = Served::start();
    let made = |name: &str| served.json(&["ad", "sp", "list", "--display-name", name]).as_array().unwrap().len();
    fn create<'a>(name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&["ad", "sp", "create", "--name", name][..], more].concat()
    }
    // What cannot be assigned is seen before anything is made.
    let told = served.bad(&create("one", &["--role", "Emperor"]));
    assert!(told.contains("there is no role `Emperor`"), "{told}");
    assert_eq!(made("one"), 0);

    // Who administers the directory does not assign roles.
    let clerk = served.json(&create("clerk", &["--role", "Reader"]));
    let assign = ["role", "assignment", "create", "--role", "Application Administrator", "--scope", "/", "--assignee"];
    served.good(&[&assign[..], &[&text(&clerk["objectId"])]].concat());
    let output = Command::new(BARTIZAN)
        .args(create("two", &["--role", "Reader", "-o", "json"]))
        .envs(&served.env)
        .env("AZURE_CLIENT_ID", text(&clerk["clientId"]))
        .env("AZURE_CLIENT_SECRET", text(&clerk["clientSecret"]))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("{fault}: {told}"));
    assert!(told.contains("its role was not assigned") && told.contains(&text(&shown["objectId"])), "{told}");
    let login = log_in(&served, &text(&shown["clientId"]), &["-p", "-"], &text(&shown["clientSecret"]));
    assert!(login.status.success(), "the secret is good: {}", String::from_utf8_lossy(&login.stderr));
    assert_eq!(made("two"), 1);
}

#[test]
fn a_secret_is_not_taken_as_an_argument() {
    let served = Served::start();
    let made = served.json(&["ad", "sp", "create", "--name", "robot"]);
    let (id, secret) = (text(&made["clientId"]), text(&made["clientSecret"]));
    for argument in [format!("-p{secret}"), format!("--password={secret}")] {
        let refused = log_in(&served, &id, &[&argument], "");
        let told = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{told}");
        assert!(told.contains("--secret-file") && told.contains("AZURE_CLIENT_SECRET"), "{told}");
        assert!(!told.contains(&secret), "it is not shown once more: {told}");
    }
    assert!(log_in(&served, &id, &["-p", "-"], &format!("{secret}\n")).status.success());
    let file = served.dir.path().join("secret");
    std::fs::write(&file, &secret).unwrap();
    assert!(log_in(&served, &id, &["--secret-file", file.to_str().unwrap()], "").status.success());
    // Too long for a secret: refused, and not cut.
    let told = log_in(&served, &id, &["--secret-file", "-"], &secret.repeat(200));
    assert!(String::from_utf8_lossy(&told.stderr).contains("holds more than a secret"), "{told:?}");
}

/// Signs a service principal in, at a home of its own.
fn log_in(served: &Served, id: &str, arguments: &[&str], input: &str) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(BARTIZAN);
    command.args(["login", "--service-principal", "-u", id]).args(arguments).env_clear().env("HOME", home.path());
    for name in ["BARTIZAN_URL", "BARTIZAN_CA"] {
        command.env(name, &served.env[name]);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Who takes no input may be gone by now.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn a_provider_s_secret_is_not_cut() {
    let served = Served::start();
    let file = served.dir.path().join("secret");
    std::fs::write(&file, "x".repeat(4097)).unwrap();
    let arguments = ["ad", "identity-provider", "create", "--name", "Corp", "--issuer", "https://idp.example"];
    let told =
        served.bad(&[&arguments[..], &["--client-id", "b", "--client-secret-file", file.to_str().unwrap()]].concat());
    assert!(told.contains("holds more than a secret"), "{told}");
    assert_eq!(served.json(&["ad", "identity-provider", "list"]), json!([]));
}
