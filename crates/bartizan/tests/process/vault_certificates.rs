//! Certificates of a vault at the command line.

use std::{fs, process::Command};

use serde_json::Value;

use crate::{keyvault::with_vault, served::Served};

fn certificate(served: &Served, arguments: &[&str]) -> String {
    served.good(&[&["keyvault", "certificate"], arguments, &["--vault-name", "kv1"]].concat())
}

fn certificate_json(served: &Served, arguments: &[&str]) -> Value {
    served.json(&[&["keyvault", "certificate"], arguments, &["--vault-name", "kv1"]].concat())
}

#[test]
fn a_certificate_is_made_signed_brought_and_brought_back_by_commands() {
    let served = with_vault();
    let dir = served.dir.path().to_owned();
    let file = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let openssl = |arguments: &[&str]| {
        let done = Command::new("openssl").args(arguments).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let about = ["--subject", "CN=web.example.com, O=Example", "--dns", "web.example.com", "--kty", "EC"];
    let more = ["--renew-before", "30", "--tags", "team=a", "--content-type", "application/x-pem-file"];
    certificate(&served, &[&["create", "-n", "web", "--issuer", "Self"], &about[..], &more].concat());
    let shown = certificate_json(&served, &["show", "-n", "web"]);
    assert_eq!((&shown["tags"]["team"], &shown["policy"]["key_props"]["kty"]), (&"a".into(), &"EC".into()));
    certificate(&served, &["download", "-n", "web", "-f", &file("web.pem")]);
    let text = openssl(&["x509", "-in", &file("web.pem"), "-noout", "-subject", "-ext", "subjectAltName"]);
    assert!(text.contains("web.example.com") && text.contains("Example"), "{text}");

    // Somebody else signs: here the first certificate's own key does, as openssl would use it.
    let secret = served.json(&["keyvault", "secret", "show", "-n", "web", "--vault-name", "kv1"]);
    fs::write(file("web-all.pem"), secret["value"].as_str().unwrap()).unwrap();
    certificate(&served, &[&["create", "-n", "asked", "--issuer", "Unknown"], &about[..]].concat());
    let waits = certificate(&served, &["pending", "show", "-n", "asked", "-f", &file("asked.csr")]);
    assert!(waits.contains("inProgress"), "{waits}");
    let sign = ["x509", "-req", "-in", &file("asked.csr"), "-CA", &file("web-all.pem"), "-CAkey", &file("web-all.pem")];
    openssl(&[&sign[..], &["-CAcreateserial", "-days", "30", "-out", &file("asked.pem")]].concat());
    certificate(&served, &["pending", "merge", "-n", "asked", "-f", &file("asked.pem")]);
    assert!(certificate(&served, &["pending", "show", "-n", "asked"]).contains("completed"));
    assert!(certificate(&served, &["show", "-n", "asked"]).contains("/secrets/asked/"));

    // Brought as PEM, and as PKCS #12 under a password.
    certificate(&served, &["import", "-n", "pem", "-f", &file("web-all.pem")]);
    let out =
        ["pkcs12", "-export", "-in", &file("web-all.pem"), "-inkey", &file("web-all.pem"), "-out", &file("web.pfx")];
    openssl(&[&out[..], &["-passout", "pass:secret"]].concat());
    fs::write(file("password"), "secret\n").unwrap();
    certificate(&served, &["import", "-n", "pfx", "-f", &file("web.pfx"), "--password-file", &file("password")]);
    let refused =
        served.bad(&["keyvault", "certificate", "import", "-n", "no", "-f", &file("web.pfx"), "--vault-name", "kv1"]);
    assert!(refused.contains("password"), "{refused}");

    let policy = certificate_json(&served, &["policy", "update", "-n", "web", "--validity", "24"]);
    assert_eq!(policy["x509_props"]["validity_months"], 24);
    fs::write(file("policy.json"), policy.to_string()).unwrap();
    certificate(&served, &["create", "-n", "web", "--policy", &file("policy.json"), "--validity", "6"]);
    assert!(certificate(&served, &["policy", "show", "-n", "web"]).contains("web.example.com"));
    assert_eq!(certificate_json(&served, &["list-versions", "-n", "web"]).as_array().unwrap().len(), 2);
    certificate(&served, &["contact", "add", "--email", "a@example.com", "--name", "A"]);
    certificate(&served, &["contact", "add", "--email", "b@example.com"]);
    certificate(&served, &["contact", "delete", "--email", "a@example.com"]);
    let contacts = certificate(&served, &["contact", "list"]);
    assert!(contacts.contains("b@example.com") && !contacts.contains("a@example.com"), "{contacts}");

    certificate(&served, &["set-attributes", "-n", "pem", "--enabled", "false"]);
    let refused = served.bad(&["keyvault", "secret", "show", "-n", "pem", "--vault-name", "kv1"]);
    assert!(refused.contains("disabled"), "{refused}");
    certificate(&served, &["backup", "-n", "web", "-f", &file("backup")]);
    certificate(&served, &["delete", "-n", "web"]);
    assert!(certificate(&served, &["list-deleted"]).contains("web"));
    certificate(&served, &["recover", "-n", "web"]);
    certificate(&served, &["delete", "-n", "web"]);
    certificate(&served, &["purge", "-n", "web"]);
    certificate(&served, &["restore", "-f", &file("backup")]);
    assert!(certificate(&served, &["list"]).contains("/certificates/web"));
}
