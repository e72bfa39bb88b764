//! Vaults and secrets at the command line.

use std::fs;

use serde_json::Value;

use crate::served::Served;

/// A server whose owner may do everything in the vault `kv1`.
pub(crate) fn with_vault() -> Served {
    let served = Served::with_workspace();
    let made = served.json(&["keyvault", "create", "-n", "kv1", "--retention-days", "7"]);
    let id = made["id"].as_str().unwrap();
    let own = served.json(&["account", "show"])["user"]["name"].as_str().unwrap().to_owned();
    let all = served.json(&["ad", "sp", "list"]);
    let is_own = |entry: &&Value| entry.to_string().contains(&own);
    let me = all.as_array().unwrap().iter().find(is_own).unwrap();
    let me = me.get("objectId").or_else(|| me.get("id")).unwrap().as_str().unwrap();
    let refused = served.bad(&["keyvault", "secret", "list", "--vault-name", "kv1"]);
    assert!(refused.contains("does not have authorization"), "{refused}");
    let role = ["role", "assignment", "create", "--assignee", me, "--role", "Key Vault Administrator", "--scope", id];
    served.good(&role);
    served
}

fn secret(served: &Served, arguments: &[&str]) -> String {
    served.good(&[&["keyvault", "secret"], arguments, &["--vault-name", "kv1"]].concat())
}

#[test]
fn a_secret_is_set_read_deleted_and_brought_back_by_commands() {
    let served = with_vault();
    let dir = served.dir.path().to_owned();
    let file = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    fs::write(file("value"), "canary-of-the-vault\n").unwrap();
    let about = ["--content-type", "text", "--expires", "2030-01-31T00:00:00Z", "--tags", "team=a", "b=c"];
    let made = secret(&served, &[&["set", "-n", "db-password", "-f", &file("value")], &about[..]].concat());
    assert!(made.contains("/secrets/db-password/") && !made.contains("canary-of-the-vault"), "{made}");
    let shown = served.json(&["keyvault", "secret", "show", "-n", "db-password", "--vault-name", "kv1"]);
    assert_eq!(shown["value"], "canary-of-the-vault");
    assert_eq!((&shown["tags"]["team"], &shown["attributes"]["exp"]), (&"a".into(), &1_896_048_000.into()));
    secret(&served, &["set-attributes", "-n", "db-password", "--enabled", "false"]);
    let refused = served.bad(&["keyvault", "secret", "show", "-n", "db-password", "--vault-name", "kv1"]);
    assert!(refused.contains("disabled"), "{refused}");
    secret(&served, &["set-attributes", "-n", "db-password", "--enabled", "true"]);
    assert!(secret(&served, &["list"]).contains("db-password"));

    secret(&served, &["backup", "-n", "db-password", "-f", &file("backup")]);
    let again = served.bad(&["keyvault", "secret", "backup", "-n", "x", "-f", &file("backup"), "--vault-name", "kv1"]);
    assert!(again.contains("exists"), "a backup that is there stays: {again}");
    secret(&served, &["delete", "-n", "db-password"]);
    assert!(secret(&served, &["list-deleted"]).contains("db-password"));
    secret(&served, &["recover", "-n", "db-password"]);
    secret(&served, &["delete", "-n", "db-password"]);
    secret(&served, &["purge", "-n", "db-password"]);
    assert!(secret(&served, &["list"]).contains("nothing found"));
    secret(&served, &["restore", "-f", &file("backup")]);
    assert!(secret(&served, &["show", "-n", "db-password"]).contains("canary-of-the-vault"));
}

#[test]
fn a_vault_is_changed_deleted_and_brought_back_by_commands() {
    let served = with_vault();
    let shown = served.json(&["keyvault", "update", "-n", "kv1", "--default-action", "Deny"]);
    assert_eq!(shown["properties"]["networkAcls"]["defaultAction"], "Deny");
    let refused = served.bad(&["keyvault", "secret", "list", "--vault-name", "kv1"]);
    assert!(refused.contains("not authorized to reach the vault"), "{refused}");
    served.good(&["keyvault", "update", "-n", "kv1", "--network-acls-ips", "127.0.0.1"]);
    secret(&served, &["list"]);
    served.good(&["keyvault", "delete", "-n", "kv1"]);
    assert!(served.good(&["keyvault", "list-deleted"]).contains("kv1"));
    assert!(served.bad(&["keyvault", "create", "-n", "kv1"]).contains("recover it"));
    served.good(&["keyvault", "recover", "-n", "kv1"]);
    served.good(&["keyvault", "delete", "-n", "kv1"]);
    served.good(&["keyvault", "purge", "-n", "kv1"]);
    assert!(served.good(&["keyvault", "list-deleted"]).contains("nothing found"));
    served.good(&["keyvault", "create", "-n", "kv1", "--enable-purge-protection"]);
    served.good(&["keyvault", "delete", "-n", "kv1"]);
    assert!(served.bad(&["keyvault", "purge", "-n", "kv1"]).contains("protected against purging"));
}
