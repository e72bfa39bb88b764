//! Frozen vectors of what this room reads: backups, and keys wrapped under a passphrase.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::safekeeping::ReadBackup;
use kernel::{KeyProvider, Sealed, Secret};
use seal::{CheckpointVerifier, RootSealing};
use serde_json::Value;
use store::key::Passphrase;

fn cases(text: &str, due: usize) -> (Value, Vec<Value>) {
    let file: Value = serde_json::from_str(text).unwrap();
    let cases = file["cases"].as_array().unwrap().clone();
    assert_eq!(cases.len(), due, "a vector was taken away");
    (file, cases)
}

fn field<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(text.get(at..at + 2).unwrap(), 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

#[test]
fn backups_read_and_damaged_ones_do_not() {
    let (file, cases) = cases(include_str!("../../../seal/testdata/backup-v1.json"), 17);
    let pinned = CheckpointVerifier::from_line(field(&file, "public")).unwrap();
    for case in &cases {
        let archive = STANDARD.decode(field(case, "archive")).unwrap();
        for pinned in [None, Some(pinned.clone())] {
            match (ReadBackup::new(archive.as_slice(), pinned).read(&mut ()), case.get("opens")) {
                (Ok((manifest, key)), Some(opens)) => {
                    let found = (manifest.members, manifest.bytes, manifest.records);
                    let due = ["members", "bytes", "records"].map(|name| opens[name].as_u64().unwrap());
                    assert_eq!([found.0, found.1, found.2], due);
                    assert_eq!(
                        (key.as_str(), manifest.made_at.as_str()),
                        (field(&file, "public"), "2026-01-31T12:00:00.5Z")
                    );
                }
                (Err(fault), None) => {
                    assert!(fault.to_string().contains(field(case, "fails")), "{}: {fault}", case["name"])
                }
                (end, _) => panic!("{}: {end:?}", case["name"]),
            }
        }
    }
}

#[tokio::test]
async fn keys_under_a_passphrase_open_as_they_did() {
    let (_, cases) = cases(include_str!("../../../seal/testdata/passphrase-v1.json"), 14);
    for case in &cases {
        let words = Secret::new(field(case, "passphrase").to_owned());
        let provider = Passphrase::new(words, "a vector", Arc::new(RootSealing));
        let wrapped = Sealed::read_back(unhex(field(case, "wrapped")).into());
        let end = provider.unwrap(field(case, "purpose").as_bytes(), &wrapped).await;
        match (end, case.get("opens")) {
            (Ok(key), Some(opens)) => assert_eq!(key.expose(), &unhex(opens.as_str().unwrap())),
            (Err(fault), None) => {
                assert!(fault.to_string().contains(field(case, "fails")), "{}: {fault}", case["name"])
            }
            (end, _) => panic!("{}: {end:?}", case["name"]),
        }
    }
}
