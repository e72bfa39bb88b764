//! Who comes in at a vault: challenges, audiences, roles, and what strangers learn.

use domain::access::{KEY_VAULT_ADMINISTRATOR, KEY_VAULT_READER, KEY_VAULT_SECRETS_OFFICER, KEY_VAULT_SECRETS_USER};
use http_faces::faces;
use outbound::Method;
use serde_json::{Value, json};

use super::Bank;
use crate::house::Who;

/// Azure's clients send their first request without token and body: wherever it goes, it is answered alike.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_where_a_token_is_to_be_had_and_nothing_else() {
    let bank = Bank::new().await;
    let expected = format!(
        "Bearer authorization=\"{}/{}\", resource=\"{}\"",
        bank.test.house.settings().url,
        bank.test.founded.tenant,
        bank.resource()
    );
    let management = bank.owner();
    for (method, place) in [
        (Method::GET, format!("/vaults/{}/secrets/x/?api-version=7.6", bank.name())),
        (Method::PUT, format!("/vaults/{}/secrets/x?api-version=2026-04-01", bank.name())),
        (Method::GET, String::from("/vaults/no-such-vault/secrets?api-version=7.4")),
        (Method::GET, String::from("/vaults/%20/deletedsecrets")),
    ] {
        for token in [None, management] {
            let mut call = bank.test.client().call(method.clone(), &place);
            if let Some(token) = token {
                call = call.bearer(token);
            }
            let answer = call.send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 401, "{place}");
            assert_eq!(answer.header("www-authenticate"), Some(expected.as_str()), "{place}");
        }
    }
    // A token for vaults opens nothing else.
    let token = bank.owner_at_vaults().await;
    assert_eq!(bank.test.ask(Some(&token), Method::GET, &bank.test.group(), None).await.0, 401);
    let app = bank.test.founded.app.to_string();
    let old = bank.token(&app, &bank.test.founded.client_secret, "https://vault.bartizan.test").await;
    assert_eq!(bank.ask(&old, Method::GET, "secrets", Value::Null).await.0, 403, "without the port it counts too");
    bank.test.end().await;
}

/// By its own name and by its path, and each answer in the style in which it was asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_vault_has_an_address_of_its_own_and_a_twin() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    let by_path = bank.set(&keeper, "twin", "v").await;
    assert!(by_path.starts_with(&format!("https://localhost:{}/vaults/{}/secrets/twin/", bank.port(), bank.name())));
    let host = format!("{}.vault.bartizan.test:{}", bank.name(), bank.port());
    let call = bank.test.client().get("/secrets/twin/?api-version=7.6").bearer(&keeper).header("host", &host);
    let (_, shown) = bank.test.ask(bank.owner(), Method::GET, &bank.id, None).await;
    assert_eq!(shown["properties"]["vaultUri"], format!("https://{host}/"));
    let by_host: Value = call.send_for_json().await.unwrap();
    assert!(by_host["id"].as_str().unwrap().starts_with(&format!("https://{host}/secrets/twin/")), "{by_host}");
    let call = bank.test.client().get("/secrets?api-version=7.6&maxresults=1").bearer(&keeper).header("host", &host);
    bank.set(&keeper, "twin-2", "v").await;
    let list: Value = call.send_for_json().await.unwrap();
    let next = list["nextLink"].as_str().unwrap();
    assert!(next.starts_with(&format!("https://{host}/secrets?api-version=7.6&maxresults=1&$skiptoken=")), "{next}");
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_what_azure_s_role_may() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    bank.set(&keeper, "s", "v").await;
    let roles = [
        ("officer", KEY_VAULT_SECRETS_OFFICER, [200, 200, 200, 200, 200]),
        ("user", KEY_VAULT_SECRETS_USER, [200, 200, 403, 403, 403]),
        ("reader", KEY_VAULT_READER, [403, 200, 403, 403, 403]),
        ("administrator", KEY_VAULT_ADMINISTRATOR, [200, 200, 200, 200, 200]),
        ("crypto", domain::access::KEY_VAULT_CRYPTO_OFFICER, [403, 403, 403, 403, 403]),
    ];
    for (name, role, expected) in roles {
        let token = bank.with(name, &[(role, &bank.id)]).await;
        let own = format!("secrets/of-{name}");
        let answers = [
            bank.ask(&token, Method::GET, "secrets/s", Value::Null).await.0,
            bank.ask(&token, Method::GET, "secrets", Value::Null).await.0,
            bank.ask(&token, Method::PUT, &own, json!({"value": "v"})).await.0,
            bank.ask(&token, Method::POST, "secrets/s/backup", Value::Null).await.0,
            bank.ask(&token, Method::PATCH, "secrets/s", json!({"tags": {}})).await.0,
        ];
        assert_eq!(answers, expected, "{name}");
    }
    // Owning a vault gives nothing of what it holds, and Azure's code says why.
    let (status, refusal) = bank.ask(&bank.owner_at_vaults().await, Method::GET, "secrets/s", Value::Null).await;
    assert_eq!((status, &refusal["error"]["code"]), (403, &json!("Forbidden")));
    assert_eq!(refusal["error"]["innererror"]["code"], "ForbiddenByRbac");
    bank.test.end().await;
}

/// A role can be held at one secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_at_one_secret_opens_that_one_alone() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    bank.set(&keeper, "mine", "v1").await;
    bank.set(&keeper, "theirs", "v2").await;
    let one = bank.with("one", &[(KEY_VAULT_SECRETS_USER, &format!("{}/secrets/MINE", bank.id))]).await;
    let (status, shown) = bank.ask(&one, Method::GET, "secrets/mine", Value::Null).await;
    assert_eq!((status, &shown["value"]), (200, &json!("v1")));
    assert_eq!(bank.ask(&one, Method::GET, "secrets/Mine/versions", Value::Null).await.0, 200);
    for refused in ["secrets/theirs", "secrets", "secrets/no-such", "secrets/mine2"] {
        assert_eq!(bank.ask(&one, Method::GET, refused, Value::Null).await.0, 403, "{refused}");
    }
    bank.test.end().await;
}

/// H-03: the workspace's own identity may use its vault, and that of another workspace may not.
#[tokio::test(flavor = "multi_thread")]
async fn h_03_a_workspace_s_identity_may_use_its_own_vault_and_no_other() {
    let bank = Bank::new().await;
    let owner = bank.owner();
    let other = bank.test.workspace().replace("/ws1", "/ws2");
    assert_eq!(bank.test.ask(owner, Method::PUT, &other, Some(&json!({"location": "local"}))).await.0, 201);
    let mut decisions = Vec::new();
    for workspace in [bank.test.workspace(), other] {
        let (_, shown) = bank.test.ask(owner, Method::GET, &workspace, None).await;
        let body = json!({
            "principalId": shown["identity"]["principalId"],
            "action": "Microsoft.KeyVault/vaults/secrets/getSecret/action",
        });
        let place = format!("{}/providers/Microsoft.Authorization/explain", bank.id);
        let (status, said) = bank.test.ask(owner, Method::POST, &place, Some(&body)).await;
        assert_eq!(status, 200, "{said}");
        decisions.push(said["decision"] == "Allowed");
    }
    assert_eq!(decisions, [true, false]);
    bank.test.end().await;
}

/// Every door of a vault, knocked on by everybody. What a stranger is told is what is told of a vault that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn every_door_of_a_vault_answers_each_caller_as_it_must() {
    let bank = Bank::new().await;
    let stranger = bank.with("a stranger", &[]).await;
    let reader = bank.with("a reader", &[(domain::access::READER, &bank.test.subscription())]).await;
    let owner = bank.owner_at_vaults().await;
    let doors = faces::doors();
    let mut wrong = Vec::new();
    for door in doors.list().iter().filter(|door| door.path.starts_with("/vaults/")) {
        let filled = door.path.replace("{name}", "restore").replace("{version}", "6f9619ff8b86d011b42d00c04fc964ff");
        let at = |vault: &str| filled.replace("{vault}", vault) + "?api-version=7.6";
        let method = Method::from_bytes(door.method.as_str().as_bytes()).unwrap();
        let body = (method != Method::GET).then(|| json!({}));
        let here = at(bank.name());
        let mut expect = async |token, place: &str, status| {
            let (found, said) = bank.test.ask(token, method.clone(), place, body.as_ref()).await;
            if found != status {
                wrong.push(format!("{} {place}: {found}, not {status}", door.method));
            }
            said
        };
        expect(None, &here, 401).await;
        expect(bank.callers.token(Who::Owner), &here, 401).await;
        let told = expect(Some(&stranger), &here, 404).await;
        let told_elsewhere = expect(Some(&stranger), &at("no-such-vault"), 404).await;
        assert_eq!(told, told_elsewhere, "{here}");
        assert!(!told.to_string().contains("subscriptions"), "{told}");
        expect(Some(&reader), &here, 403).await;
        expect(Some(&owner), &here, 403).await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    bank.test.end().await;
}
