//! Keys: what they do, what never leaves, when they are not to be used, and what is refused.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::access::{KEY_VAULT_CRYPTO_OFFICER, KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER, KEY_VAULT_CRYPTO_USER};
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use super::Bank;

/// Members of a JSON Web Key that are secret.
const PRIVATE: [&str; 7] = ["\"d\":", "\"p\":", "\"q\":", "\"dp\":", "\"dq\":", "\"qi\":", "\"k\":"];

async fn create(bank: &Bank, who: &Secret<String>, name: &str, body: Value) -> Value {
    let (status, made) = bank.ask(who, Method::POST, &format!("keys/{name}/create"), body).await;
    assert_eq!(status, 200, "{made}");
    assert!(PRIVATE.iter().all(|member| !made.to_string().contains(member)), "{made}");
    made
}

/// The path of the version that a bundle shows.
fn place(bundle: &Value) -> String {
    let kid = bundle["key"]["kid"].as_str().unwrap();
    kid[kid.find("/keys/").unwrap() + 1..].to_owned()
}

async fn uses(bank: &Bank, who: &Secret<String>, at: &str, verb: &str, body: Value) -> (u16, Value) {
    bank.ask(who, Method::POST, &format!("{at}/{verb}"), body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_each_type_do_what_they_are_for() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    let value = URL_SAFE_NO_PAD.encode([7; 32]);
    let ciphers = [
        ("rsa", json!({"kty": "RSA", "key_size": 2048}), "RSA-OAEP-256", "RSA-OAEP"),
        ("o128", json!({"kty": "oct", "key_size": 128}), "A128GCM", "A128KW"),
        ("o192", json!({"kty": "oct", "key_size": 192}), "A192CBCPAD", "A192KW"),
        ("o256", json!({"kty": "oct"}), "A256GCM", "A256KW"),
    ];
    for (name, body, encrypts, wraps) in ciphers {
        let at = place(&create(&bank, &keeper, name, body).await);
        for (forth, back, alg) in [("encrypt", "decrypt", encrypts), ("wrapkey", "unwrapkey", wraps)] {
            let (status, sealed) = uses(&bank, &keeper, &at, forth, json!({"alg": alg, "value": value})).await;
            assert_eq!(status, 200, "{name} {forth}: {sealed}");
            assert!(sealed["kid"].as_str().unwrap().ends_with(&at) && sealed["value"] != value.as_str());
            let mut body = sealed.clone();
            body["alg"] = json!(alg);
            let (status, opened) = uses(&bank, &keeper, &at, back, body.clone()).await;
            assert_eq!((status, opened["value"].as_str()), (200, Some(value.as_str())), "{name} {back}: {opened}");
            if alg != "A192CBCPAD" {
                body["value"] = json!(URL_SAFE_NO_PAD.encode([9; 256]));
                let (status, fault) = uses(&bank, &keeper, &at, back, body).await;
                assert_eq!((status, &fault["error"]["code"]), (400, &json!("BadParameter")), "{name} {back}");
            }
        }
    }
    let signers = [
        (json!({"kty": "RSA"}), &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..]),
        (json!({"kty": "EC"}), &["ES256"]),
        (json!({"kty": "EC", "crv": "P-384"}), &["ES384"]),
        (json!({"kty": "EC", "crv": "P-521"}), &["ES512"]),
    ];
    for (body, algorithms) in signers {
        let at = place(&create(&bank, &keeper, "signer", body).await);
        for alg in algorithms {
            let size: usize = alg[2..].parse::<usize>().unwrap() / 8;
            let digest = |byte| URL_SAFE_NO_PAD.encode(vec![byte; size]);
            let (status, signed) = uses(&bank, &keeper, &at, "sign", json!({"alg": alg, "value": digest(1)})).await;
            assert_eq!(status, 200, "{alg}: {signed}");
            for (byte, holds) in [(1, true), (2, false)] {
                let body = json!({"alg": alg, "digest": digest(byte), "value": signed["value"]});
                assert_eq!(uses(&bank, &keeper, &at, "verify", body).await.1["value"], holds, "{alg}");
            }
        }
    }
    let (status, random) = bank.ask(&keeper, Method::POST, "rng", json!({"count": 32})).await;
    assert_eq!((status, random["value"].as_str().unwrap().len()), (200, 43));
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_keeps_its_versions_and_shows_its_public_half_alone() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    let first = create(&bank, &keeper, "Signer", json!({"kty": "EC", "tags": {"a": "b"}})).await;
    assert_eq!(first["key"]["crv"], "P-256");
    assert_eq!(first["key"]["key_ops"], json!(["sign", "verify"]));
    assert_eq!(first["attributes"]["exportable"], false);
    let (status, second) = bank.ask(&keeper, Method::POST, "keys/signer/rotate", Value::Null).await;
    assert_eq!(status, 200, "{second}");
    assert_eq!((&second["key"]["crv"], &second["tags"]["a"]), (&json!("P-256"), &json!("b")));
    assert_ne!(second["key"]["x"], first["key"]["x"]);
    let (_, newest) = bank.ask(&keeper, Method::GET, "keys/SIGNER/", Value::Null).await;
    assert_eq!(newest["key"]["kid"], second["key"]["kid"]);
    let (_, older) = bank.ask(&keeper, Method::GET, &place(&first), Value::Null).await;
    assert_eq!(older["key"], first["key"]);
    for (path, count) in [("keys", 1), ("keys/signer/versions", 2)] {
        let (status, list) = bank.ask(&keeper, Method::GET, path, Value::Null).await;
        assert_eq!((status, list["value"].as_array().unwrap().len()), (200, count), "{list}");
        assert!(list["value"][0]["kid"].is_string() && list["value"][0]["key"].is_null(), "{list}");
    }
    // A key taken out and brought back does what it did; the blob shows nothing of it.
    let at = place(&first);
    let digest = URL_SAFE_NO_PAD.encode([1; 32]);
    let (_, signed) = uses(&bank, &keeper, &at, "sign", json!({"alg": "ES256", "value": digest})).await;
    let (_, backup) = bank.ask(&keeper, Method::POST, "keys/signer/backup", Value::Null).await;
    assert!(bank.ask(&keeper, Method::POST, "keys/restore", backup.clone()).await.0 == 409);
    assert_eq!(bank.ask(&keeper, Method::DELETE, "keys/signer", Value::Null).await.0, 200);
    assert_eq!(uses(&bank, &keeper, &at, "sign", json!({"alg": "ES256", "value": digest})).await.0, 404);
    let (_, gone) = bank.ask(&keeper, Method::GET, "deletedkeys/signer", Value::Null).await;
    assert!(gone["recoveryId"].as_str().unwrap().ends_with("/deletedkeys/Signer"), "{gone}");
    assert_eq!(
        bank.ask(&keeper, Method::GET, "deletedkeys", Value::Null).await.1["value"].as_array().unwrap().len(),
        1
    );
    assert_eq!(bank.ask(&keeper, Method::POST, "deletedkeys/signer/recover", Value::Null).await.0, 200);
    let verifies = async || {
        let body = json!({"alg": "ES256", "digest": digest, "value": signed["value"]});
        uses(&bank, &keeper, &at, "verify", body).await.1["value"] == true
    };
    assert!(verifies().await, "recovered");
    bank.ask(&keeper, Method::DELETE, "keys/signer", Value::Null).await;
    assert_eq!(bank.ask(&keeper, Method::DELETE, "deletedkeys/signer", Value::Null).await.0, 204);
    let (status, back) = bank.ask(&keeper, Method::POST, "keys/restore", backup).await;
    assert_eq!(status, 200, "{back}");
    assert!(verifies().await, "restored");
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_brought_is_used_here_and_never_shown() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    // RFC 7517, appendix A.2, first key.
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "key_ops": ["sign", "verify"],
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
    });
    let (status, made) = bank.ask(&keeper, Method::PUT, "keys/brought", json!({"key": jwk})).await;
    assert_eq!(status, 200, "{made}");
    assert_eq!(made["key"]["x"], jwk["x"]);
    let backup = bank.ask(&keeper, Method::POST, "keys/brought/backup", Value::Null).await.1;
    for answer in [&made, &bank.ask(&keeper, Method::GET, "keys/brought", Value::Null).await.1, &backup] {
        assert!(!answer.to_string().contains("870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"), "{answer}");
    }
    let digest = URL_SAFE_NO_PAD.encode([1; 32]);
    assert_eq!(uses(&bank, &keeper, &place(&made), "sign", json!({"alg": "ES256", "value": digest})).await.0, 200);
    // RFC 3394 §4.1 under a key that was brought.
    let k = URL_SAFE_NO_PAD.encode((0..16).collect::<Vec<u8>>());
    let (status, oct) = bank.ask(&keeper, Method::PUT, "keys/oct", json!({"key": {"kty": "oct", "k": k}})).await;
    assert_eq!(status, 200, "{oct}");
    let value = URL_SAFE_NO_PAD.encode((0..16).map(|n| n * 0x11).collect::<Vec<u8>>());
    let (_, wrapped) = uses(&bank, &keeper, &place(&oct), "wrapkey", json!({"alg": "A128KW", "value": value})).await;
    let due = [
        0x1F, 0xA6, 0x8B, 0x0A, 0x81, 0x12, 0xB4, 0x47, 0xAE, 0xF3, 0x4B, 0xD8, 0xFB, 0x5A, 0x7B, 0x82, 0x9D, 0x3E,
        0x86, 0x23, 0x71, 0xD2, 0xCF, 0xE5,
    ];
    assert_eq!(wrapped["value"], URL_SAFE_NO_PAD.encode(due), "{wrapped}");

    let with = |field: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[field] = value;
        json!({"key": jwk})
    };
    let bad = [
        with("d", json!("AAAA")),
        with("d", Value::Null),
        with("x", jwk["y"].clone()),
        with("crv", json!("P-384")),
        with("crv", json!("P-256K")),
        with("kty", json!("RSA")),
        with("kty", json!("ec")),
        with("key_ops", json!(["wrapKey"])),
        with("key_hsm", json!("AAAA")),
        with("d", json!("not base64!")),
        json!({"key": {"kty": "oct", "k": "AAAA"}}),
        json!({"key": jwk, "Hsm": true}),
        json!({"key": jwk, "attributes": {"exportable": true}}),
        json!({"key": jwk, "release_policy": {"data": "AAAA"}}),
        json!({}),
    ];
    for body in bad {
        let (status, fault) = bank.ask(&keeper, Method::PUT, "keys/bad", body.clone()).await;
        assert_eq!(status, 400, "{body}: {fault}");
        assert!(!fault.to_string().contains("870MB6g"), "{fault}");
    }
    assert_eq!(bank.ask(&keeper, Method::GET, "keys/bad", Value::Null).await.0, 404);
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_must_not_do_it_does_not() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    let body = json!({"kty": "oct", "key_ops": ["wrapKey", "unwrapKey", "encrypt"]});
    let at = place(&create(&bank, &keeper, "k", body).await);
    let value = URL_SAFE_NO_PAD.encode([7; 32]);
    let (_, wrapped) = uses(&bank, &keeper, &at, "wrapkey", json!({"alg": "A256KW", "value": value})).await;
    let wrap = json!({"alg": "A256KW", "value": value});
    let unwrap = json!({"alg": "A256KW", "value": wrapped["value"]});
    let refused = async |verb: &str, body: &Value| {
        let (status, said) = uses(&bank, &keeper, &at, verb, body.clone()).await;
        (status, said["error"]["innererror"]["code"].as_str().unwrap_or_default().to_owned())
    };
    let patch = async |body: Value| assert_eq!(bank.ask(&keeper, Method::PATCH, &at, body).await.0, 200);
    let now = bank.test.house.now().seconds();
    let opened = (200, String::new());
    let denied = |code: &str| (403, code.to_owned());

    let decrypt = json!({"alg": "A256GCM", "value": value, "iv": "AAAA", "tag": "AAAA"});
    assert_eq!(refused("decrypt", &decrypt).await, denied("KeyOperationForbidden"));
    // Outside of its time a key makes nothing new, and opens what it made, as Azure documents it.
    patch(json!({"attributes": {"exp": now + 60}})).await;
    assert_eq!(refused("wrapkey", &wrap).await, opened);
    bank.test.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(refused("wrapkey", &wrap).await, denied("KeyExpired"));
    assert_eq!(refused("unwrapkey", &unwrap).await, opened);
    patch(json!({"attributes": {"nbf": now + 3600, "exp": now + 7200}})).await;
    assert_eq!(refused("wrapkey", &wrap).await, denied("KeyNotYetValid"));
    assert_eq!(refused("unwrapkey", &unwrap).await, opened);
    // A disabled key does nothing, and its public half is still to be seen.
    patch(json!({"attributes": {"enabled": false}})).await;
    assert_eq!(refused("wrapkey", &wrap).await, denied("KeyDisabled"));
    assert_eq!(refused("unwrapkey", &unwrap).await, denied("KeyDisabled"));
    assert_eq!(bank.ask(&keeper, Method::GET, &at, Value::Null).await.1["attributes"]["enabled"], false);
    patch(json!({"attributes": {"enabled": true}, "key_ops": []})).await;
    assert_eq!(refused("unwrapkey", &unwrap).await, denied("KeyOperationForbidden"));
    patch(json!({"key_ops": ["unwrapKey"]})).await;
    assert_eq!(refused("unwrapkey", &unwrap).await, opened);
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_refused_with_a_word_why() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    let bad = [
        json!({"kty": "RSA", "key_size": 1024}),
        json!({"kty": "RSA", "key_size": 2049}),
        json!({"kty": "RSA", "crv": "P-256"}),
        json!({"kty": "RSA", "public_exponent": 3}),
        json!({"kty": "EC", "crv": "P-256K"}),
        json!({"kty": "EC", "crv": "P-224"}),
        json!({"kty": "EC", "key_size": 256}),
        json!({"kty": "EC", "key_ops": ["encrypt"]}),
        json!({"kty": "oct", "key_size": 64}),
        json!({"kty": "oct", "key_ops": ["export"]}),
        json!({"kty": "DSA"}),
        json!({"kty": "RSA", "attributes": {"exportable": true}}),
        json!({"kty": "RSA", "release_policy": {"data": "e30"}}),
        json!({"kty": "RSA", "tags": {"": "x"}}),
        json!({"kty": 7}),
        json!({}),
    ];
    for body in bad {
        let (status, fault) = bank.ask(&keeper, Method::POST, "keys/bad/create", body.clone()).await;
        assert_eq!(status, 400, "{body}: {fault}");
        assert!(fault["error"]["message"].as_str().unwrap().len() > 10, "{fault}");
    }
    let rsa = place(&create(&bank, &keeper, "rsa", json!({"kty": "RSA"})).await);
    let oct = place(&create(&bank, &keeper, "oct", json!({"kty": "oct"})).await);
    let value = URL_SAFE_NO_PAD.encode([7; 32]);
    let long = URL_SAFE_NO_PAD.encode([7; 300]);
    let bad = [
        (&rsa, "encrypt", json!({"alg": "RSA1_5", "value": value})),
        (&rsa, "encrypt", json!({"alg": "A256GCM", "value": value})),
        (&rsa, "encrypt", json!({"alg": "RSA-OAEP", "value": long})),
        (&rsa, "encrypt", json!({"alg": "RSA-OAEP", "value": value, "iv": "AAAA"})),
        (&rsa, "encrypt", json!({"alg": "none", "value": value})),
        (&rsa, "encrypt", json!({"alg": "RSA-OAEP", "value": "*"})),
        (&rsa, "encrypt", json!({"alg": "RSA-OAEP"})),
        (&rsa, "decrypt", json!({"alg": "RSA-OAEP", "value": value})),
        (&rsa, "sign", json!({"alg": "ES256", "value": value})),
        (&rsa, "sign", json!({"alg": "RS384", "value": value})),
        (&rsa, "sign", json!({"alg": "RSNULL", "value": value})),
        (&rsa, "verify", json!({"alg": "RS256", "digest": "AAAA", "value": value})),
        (&rsa, "release", json!({"target": "x"})),
        (&oct, "encrypt", json!({"alg": "A128GCM", "value": value})),
        (&oct, "encrypt", json!({"alg": "A256KW", "value": value})),
        (&oct, "encrypt", json!({"alg": "A256GCM", "value": value, "iv": "AAAAAAAAAAAAAAAA"})),
        (&oct, "wrapkey", json!({"alg": "A256GCM", "value": value})),
        (&oct, "wrapkey", json!({"alg": "A256KW", "value": "AAAA"})),
        (&oct, "decrypt", json!({"alg": "A256GCM", "value": value})),
    ];
    for (at, verb, body) in bad {
        let (status, fault) = uses(&bank, &keeper, at, verb, body.clone()).await;
        assert_eq!(status, 400, "{verb} {body}: {fault}");
        assert!(!fault.to_string().contains(&value), "{fault}");
    }
    for missing in
        ["keys/none/6f9619ff8b86d011b42d00c04fc964ff", "keys/rsa/6f9619ff8b86d011b42d00c04fc964ff", "keys/rsa/x"]
    {
        let body = json!({"alg": "RSA-OAEP", "value": value});
        let (status, fault) = uses(&bank, &keeper, missing, "encrypt", body).await;
        assert_eq!((status, &fault["error"]["code"]), (404, &json!("KeyNotFound")), "{missing}");
    }
    for count in [json!(0), json!(129), json!(-1), json!("x")] {
        assert_eq!(bank.ask(&keeper, Method::POST, "rng", json!({"count": count})).await.0, 400);
    }
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_hardware_take_a_premium_vault_and_say_that_they_are_not() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    let (status, fault) = bank.ask(&keeper, Method::POST, "keys/h/create", json!({"kty": "EC-HSM"})).await;
    assert_eq!((status, &fault["error"]["code"]), (400, &json!("BadParameter")), "{fault}");
    let id = format!("{}/providers/Microsoft.KeyVault/vaults/premium-vault", bank.test.group());
    let body = json!({"location": "local", "properties": {
        "tenantId": bank.test.founded.tenant, "sku": {"family": "A", "name": "premium"},
    }});
    let (status, made) = bank.test.ask(bank.owner(), Method::PUT, &id, Some(&body)).await;
    assert_eq!(status, 201, "{made}");
    for kty in ["RSA-HSM", "EC-HSM", "oct-HSM"] {
        let place = format!("keys/{}/create", kty.to_ascii_lowercase());
        let (status, made) = bank.ask_at("premium-vault", &keeper, Method::POST, &place, json!({"kty": kty})).await;
        assert_eq!((status, &made["key"]["kty"]), (200, &json!(kty)), "{made}");
        assert_eq!(made["attributes"]["hsmPlatform"], "0", "kept in software, and said so");
    }
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_crypto_role_may_what_azure_s_role_may() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    let at = place(&create(&bank, &keeper, "k", json!({"kty": "oct"})).await);
    create(&bank, &keeper, "other", json!({"kty": "oct"})).await;
    let value = URL_SAFE_NO_PAD.encode([7; 32]);
    let roles = [
        ("officer", KEY_VAULT_CRYPTO_OFFICER, [200, 200, 200, 200, 200, 200]),
        ("user", KEY_VAULT_CRYPTO_USER, [200, 200, 200, 403, 403, 403]),
        ("service", KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER, [200, 200, 403, 403, 403, 403]),
        ("secrets", domain::access::KEY_VAULT_SECRETS_OFFICER, [403, 403, 403, 403, 403, 403]),
    ];
    for (name, role, expected) in roles {
        let who = bank.with(name, &[(role, &bank.id)]).await;
        let answers = [
            bank.ask(&who, Method::GET, &at, Value::Null).await.0,
            uses(&bank, &who, &at, "wrapkey", json!({"alg": "A256KW", "value": value})).await.0,
            uses(&bank, &who, &at, "encrypt", json!({"alg": "A256GCM", "value": value})).await.0,
            bank.ask(&who, Method::POST, "keys/new/create", json!({"kty": "oct"})).await.0,
            bank.ask(&who, Method::POST, "keys/k/rotate", Value::Null).await.0,
            bank.ask(&who, Method::GET, "keys/k/rotationpolicy", Value::Null).await.0,
        ];
        assert_eq!(answers, expected, "{name}");
    }
    // A role at one key opens that one alone.
    let one = bank.with("one", &[(KEY_VAULT_CRYPTO_USER, &format!("{}/keys/k", bank.id))]).await;
    assert_eq!(bank.ask(&one, Method::GET, "keys/k", Value::Null).await.0, 200);
    assert_eq!(bank.ask(&one, Method::GET, "keys/other", Value::Null).await.0, 403);
    bank.test.end().await;
}
