//! Keys of a vault at the command line.

use std::fs;

use serde_json::Value;

use crate::{keyvault::with_vault, served::Served};

fn key(served: &Served, arguments: &[&str]) -> String {
    served.good(&[&["keyvault", "key"], arguments, &["--vault-name", "kv1"]].concat())
}

fn key_json(served: &Served, arguments: &[&str]) -> Value {
    served.json(&[&["keyvault", "key"], arguments, &["--vault-name", "kv1"]].concat())
}

#[test]
fn a_key_is_made_used_rotated_and_brought_back_by_commands() {
    let served = with_vault();
    let dir = served.dir.path().to_owned();
    let file = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let made = key_json(&served, &["create", "-n", "data", "--kty", "oct", "--size", "256", "--tags", "team=a"]);
    assert_eq!((&made["key"]["kty"], &made["tags"]["team"]), (&"oct".into(), &"a".into()));
    fs::write(file("value"), "AAECAwQFBgcICQoLDA0ODw\n").unwrap();
    let wrapped = key_json(&served, &["wrap", "-n", "data", "-a", "A256KW", "-f", &file("value")]);
    fs::write(file("wrapped"), wrapped["value"].as_str().unwrap()).unwrap();
    let rotated = key_json(&served, &["rotate", "-n", "data"]);
    assert_ne!(rotated["key"]["kid"], made["key"]["kid"]);
    let version = made["key"]["kid"].as_str().unwrap().rsplit('/').next().unwrap();
    let unwrap = ["unwrap", "-n", "data", "--version", version, "-a", "A256KW", "-f", &file("wrapped")];
    assert_eq!(key_json(&served, &unwrap)["value"], "AAECAwQFBgcICQoLDA0ODw");

    // RFC 7517, appendix A.2, first key.
    let jwk = r#"{"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}"#;
    fs::write(file("key.jwk"), jwk).unwrap();
    let brought = key(&served, &["import", "-n", "signer", "-f", &file("key.jwk"), "--ops", "sign", "verify"]);
    assert!(brought.contains("/keys/signer/") && !brought.contains("870MB6g"), "{brought}");
    let digest = "A".repeat(43);
    let named = ["-n", "signer", "-a", "ES256", "--digest", &digest];
    let signed = key_json(&served, &[&["sign"], &named[..]].concat());
    let signature = signed["value"].as_str().unwrap();
    key(&served, &[&["verify", "--signature", signature], &named[..]].concat());
    let other = "B".repeat(42) + "A";
    let forged =
        ["keyvault", "key", "verify", "--signature", signature, "-n", "signer", "-a", "ES256", "--digest", &other];
    served.bad(&[&forged[..], &["--vault-name", "kv1"]].concat());

    let policy = ["rotation-policy", "update", "-n", "data", "--rotate-after", "P60D", "--expires-in", "P1Y"];
    assert_eq!(key_json(&served, &policy)["attributes"]["expiryTime"], "P1Y");
    assert!(key(&served, &["rotation-policy", "show", "-n", "data"]).contains("P60D"));
    key(&served, &["set-attributes", "-n", "signer", "--enabled", "false"]);
    let refused = served.bad(&[&["keyvault", "key", "sign"], &named[..], &["--vault-name", "kv1"]].concat());
    assert!(refused.contains("disabled"), "{refused}");

    key(&served, &["backup", "-n", "signer", "-f", &file("backup")]);
    key(&served, &["delete", "-n", "signer"]);
    assert!(key(&served, &["list-deleted"]).contains("signer"));
    key(&served, &["recover", "-n", "signer"]);
    key(&served, &["delete", "-n", "signer"]);
    key(&served, &["purge", "-n", "signer"]);
    key(&served, &["restore", "-f", &file("backup")]);
    assert!(key(&served, &["list"]).contains("/keys/signer"));
    assert_eq!(key_json(&served, &["list-versions", "-n", "data"]).as_array().unwrap().len(), 2);
    assert!(key(&served, &["show", "-n", "signer"]).contains("P-256"));
}
