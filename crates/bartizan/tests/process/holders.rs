//! A workspace under a key of a PKCS#11 token that the operator named, at the command line.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::served::Served;

/// SoftHSM's module; installed when it is missing and may be.
fn module() -> Option<PathBuf> {
    let places = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"];
    let found = || places.iter().map(PathBuf::from).find(|place| place.exists());
    found().or_else(|| {
        for step in [&["update", "-q"][..], &["install", "-y", "-q", "--no-install-recommends", "softhsm2"]] {
            let apt = Command::new("apt-get").args(step).env("DEBIAN_FRONTEND", "noninteractive").output();
            apt.ok().filter(|done| done.status.success())?;
        }
        found()
    })
}

fn write(path: &Path, text: &str) -> String {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

#[test]
fn a_token_holds_a_workspace_as_long_as_it_opens() {
    let Some(module) = module() else {
        let _ = writeln!(std::io::stderr(), "holders: 1 suite skipped: softhsm2 is missing and cannot be installed");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let place = |name: &str| home.path().join(name);
    fs::create_dir(place("tokens")).unwrap();
    let tokens = place("tokens");
    let config = format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
    let softhsm = write(&place("softhsm2.conf"), &config);
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "customers", "--so-pin", "12345678", "--pin", "87654321"])
        .env("SOFTHSM2_CONF", &softhsm)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let pin = write(&place("pin"), "87654321");
    let at = |key: Option<&str>| {
        let mut at = json!({"kind": "pkcs11", "module": module, "token": "customers", "pin_file": pin});
        at["key"] = key.map_or_else(|| json!(""), Value::from);
        at
    };
    // A first start makes the key of a token when it is the root key; here it is a customer's from then on.
    let root = write(&place("root.json"), &at(Some("ws-key")).to_string());
    let first = tempfile::tempdir().unwrap();
    let told = |option: &'static str, value: String| {
        let softhsm = softhsm.clone();
        move |command: &mut Command| {
            command.args([option, &value]).env("SOFTHSM2_CONF", softhsm);
        }
    };
    drop(Served::with(first, "127.0.0.1:0", told("--root-key-config", root)).kill());

    let file = write(&place("holders.json"), &json!({"holders": [{"name": "hsm", "at": at(None)}]}).to_string());
    let start = |dir| Served::with(dir, "127.0.0.1:0", told("--key-holders", file.clone()));
    let served = start(tempfile::tempdir().unwrap());
    served.good(&["group", "create", "rg"]);
    let told = served.bad(&["workspace", "create", "ws1", "--key-holder", "hsm", "--key-name", "absent"]);
    assert!(told.contains("refuses"), "{told}");
    served.good(&["workspace", "create", "ws1", "--key-holder", "hsm", "--key-name", "ws-key"]);
    let shown = |served: &Served| served.json(&["workspace", "encryption", "show", "ws1"]);
    let standing = shown(&served);
    assert_eq!(
        (&standing["state"], &standing["keyVaultProperties"]["keyHolder"]),
        (&json!("Available"), &json!("hsm"))
    );
    let list = ["datastore", "list"];
    served.good(&list);

    write(&place("pin"), "00000000");
    let served = start(served.stop());
    assert_eq!(shown(&served)["state"], json!("Locked"));
    let told = served.bad(&list);
    assert!(told.contains("customer-managed key") && !told.contains("00000000"), "{told}");
    write(&place("pin"), "87654321");
    let served = start(served.stop());
    served.good(&list);
    served.good(&["workspace", "encryption", "change-key", "ws1", "--key-holder", "hsm", "--key-name", "ws-key"]);
    served.good(&list);
}
