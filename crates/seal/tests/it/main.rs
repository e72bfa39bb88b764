//! The frozen vectors of `testdata/`: what was sealed once opens for ever, and what must fail fails as it must.
//!
//! The vectors come from a second implementation (`testdata/make.py`), so they also hold what `docs/formats` says.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod vault_key;
mod wycheproof;

use std::{fs, path::Path};

use kernel::{BlobId, Chain, Sealed, Sealing, Secret, StoreError};
use seal::{
    BlobKey, BlobOpener, CheckpointKey, CheckpointVerifier, Fingerprint, Keyring, PasswordHash, Place, Ring,
    RootSealing, SEGMENT, SealError, Sha256Chain, TokenKey, TokenKeys, hex, sealed_length,
};
use serde_json::Value;

fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn vectors(name: &str) -> Value {
    serde_json::from_slice(&fs::read(path(name)).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

fn bytes(value: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text(value).as_bytes()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn size(value: &Value) -> usize {
    usize::try_from(number(value)).unwrap()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

/// Bytes as a driver hands them back.
fn stored(bytes: &[u8]) -> Sealed {
    Sealed::read_back(bytes.to_vec().into())
}

/// A fault in the words of the vectors: the variant, and what it found.
fn words(fault: &SealError) -> String {
    match fault {
        SealError::Unauthentic { .. } => String::from("Unauthentic"),
        SealError::Truncated { .. } => String::from("Truncated"),
        SealError::Format { found, .. } => format!("Format {found}"),
        SealError::UnknownKey(version) => format!("UnknownKey {version}"),
        SealError::Exhausted => String::from("Exhausted"),
        SealError::Refused(_) => String::from("Refused"),
    }
}

/// Compares with what the case says: opens to these bytes, or fails in this way.
fn judge(case: &Value, outcome: Result<Vec<u8>, SealError>, opens: Option<Vec<u8>>) {
    let name = text(&case["name"]);
    match (outcome, opens) {
        (Ok(plain), Some(due)) => assert!(plain == due, "`{name}` opens to something else"),
        (Ok(_), None) => panic!("`{name}` opens, and must fail with {}", case["fails"]),
        (Err(fault), Some(_)) => panic!("`{name}` must open: {fault}"),
        (Err(fault), None) => assert_eq!(words(&fault), text(&case["fails"]), "`{name}` fails in another way"),
    }
}

fn ring(value: &Value) -> Ring {
    Keyring::from_bytes(&Secret::new(bytes(value))).unwrap().ring().unwrap()
}

#[test]
fn keyrings_read_and_damaged_ones_do_not() {
    let file = vectors("keyring-v1.json");
    for case in list(&file["good"]) {
        let read = Keyring::from_bytes(&Secret::new(bytes(&case["bytes"]))).unwrap();
        assert_eq!(read.to_bytes().expose(), &bytes(&case["bytes"]), "{}", case["name"]);
    }
    for case in list(&file["bad"]) {
        let read = Keyring::from_bytes(&Secret::new(bytes(&case["bytes"])));
        judge(case, read.map(|ring| ring.to_bytes().expose().clone()), None);
    }
}

#[test]
fn names_and_credentials_hash_as_they_did() {
    let file = vectors("keyring-v1.json");
    let ring = ring(&file["good"][0]["bytes"]);
    for case in list(&file["names"]) {
        assert_eq!(hex(&ring.name_id(text(&case["table"]), text(&case["name"]))), text(&case["id"]), "{case}");
    }
    for case in list(&file["fingerprints"]) {
        let (purpose, credential) = (text(&case["purpose"]), text(&case["credential"]));
        let kept: Fingerprint = serde_json::from_value(bytes(&case["fingerprint"]).into()).unwrap();
        assert_eq!(ring.matches(purpose, credential, &kept), case["matches"] == true, "{case}");
    }
}

#[test]
fn records_open_at_their_place_and_nowhere_else() {
    let file = vectors("record-v1.json");
    for case in list(&file["cases"]) {
        let (shelf, id) = (array(&case["shelf"]), bytes(&case["id"]));
        let place = Place { shelf: &shelf, table: text(&case["table"]), id: &id, version: number(&case["version"]) };
        let outcome = ring(&file["rings"][text(&case["ring"])]).open(place, &stored(&bytes(&case["sealed"])));
        judge(case, outcome, case.get("opens").map(bytes));
    }
}

#[test]
fn records_are_still_sealed_in_the_frozen_form() {
    let ring = ring(&vectors("record-v1.json")["rings"]["two"]);
    let place = Place { shelf: &[7; 16], table: "runs", id: b"r1", version: 1 };
    let (one, two) = (ring.seal(place, b"loss").unwrap(), ring.seal(place, b"loss").unwrap());
    assert_eq!(one.bytes().len(), 1 + 4 + 24 + 4 + 16);
    assert_eq!(one.bytes()[..5], [1, 0, 0, 0, 2], "format and the newest key's version");
    assert_ne!(one.bytes()[5..29], two.bytes()[5..29], "a nonce is used once");
}

#[test]
fn wrapped_keys_open_under_their_root_key_and_purpose() {
    for case in list(&vectors("root-v1.json")["cases"]) {
        let (root, purpose) = (Secret::new(bytes(&case["root"])), text(&case["purpose"]).as_bytes());
        let outcome = RootSealing.open(&root, purpose, &stored(&bytes(&case["wrapped"])));
        let Some(due) = case.get("fails") else {
            assert_eq!(outcome.unwrap().expose(), &bytes(&case["opens"]), "{}", case["name"]);
            continue;
        };
        // The port knows one kind of fault of keys; its words are those of the variant.
        let sign = match text(due) {
            "Unauthentic" => String::from("a wrapped key does not open"),
            "Truncated" => String::from("a wrapped key is truncated"),
            "Refused" => String::from("the cryptographic library refused"),
            format => format!("a wrapped key has {}", format.to_lowercase()),
        };
        match outcome {
            Err(StoreError::Key(said)) => assert!(said.starts_with(&sign), "{}: {said}", case["name"]),
            other => panic!("{}: {other:?}", case["name"]),
        }
    }
}

/// The blob of a case: its own, or the large one with the case's edits.
fn blob(case: &Value, large: &[u8]) -> Vec<u8> {
    const SEALED_SEGMENT: usize = SEGMENT + 16;
    if let Some(own) = case.get("sealed") {
        return bytes(own);
    }
    let mut blob = large.to_vec();
    for edit in list(&case["edits"]) {
        let segment = |at: usize| {
            let start = 12 + size(&edit[at]) * SEALED_SEGMENT;
            start..start + SEALED_SEGMENT
        };
        match text(&edit[0]) {
            "flip" => blob[size(&edit[1])] ^= u8::try_from(number(&edit[2])).unwrap(),
            "cut" => blob.truncate(blob.len() - size(&edit[1])),
            "copy" => blob[segment(2)].copy_from_slice(&large[segment(1)]),
            "swap" => {
                blob[segment(1)].copy_from_slice(&large[segment(2)]);
                blob[segment(2)].copy_from_slice(&large[segment(1)]);
            }
            other => panic!("unknown edit `{other}`"),
        }
    }
    blob
}

/// Opens a range as the gate does: the header first, then the ciphertext that the opener asks for, in pieces.
fn open_blob(case: &Value, blob: &[u8], piece: usize) -> Result<Vec<u8>, SealError> {
    let key: BlobKey = serde_json::from_value(bytes(&case["key"]).into()).unwrap();
    let id: BlobId = text(&case["id"]).parse().unwrap();
    let range = (number(&case["range"][0]), number(&case["range"][1]));
    let header = &blob[..blob.len().min(12)];
    let (mut opener, (start, length)) =
        BlobOpener::new(&key, &array(&case["shelf"]), id, number(&case["length"]), header, range)?;
    let from = usize::try_from(start).unwrap().min(blob.len());
    let until = usize::try_from(start + length).unwrap().min(blob.len());
    let mut plain = Vec::new();
    for part in blob[from..until].chunks(piece) {
        for opened in opener.push(stored(part))? {
            plain.extend_from_slice(&opened);
        }
    }
    opener.finish()?;
    Ok(plain)
}

#[test]
fn blobs_open_by_range_and_every_damage_is_found() {
    let large = fs::read(path("blob-v1.bin")).unwrap();
    assert_eq!(u64::try_from(large.len()).unwrap(), sealed_length(2 * 65_536 + 5));
    for case in list(&vectors("blob-v1.json")["cases"]) {
        let blob = blob(case, &large);
        let from = size(&case["range"][0]);
        let until = (from + size(&case["range"][1])).min(size(&case["length"]));
        let due: Vec<u8> = (from..until.max(from)).map(|at| u8::try_from(at % 251).unwrap()).collect();
        for piece in [1000, 1 << 20] {
            judge(case, open_blob(case, &blob, piece), case.get("fails").is_none().then(|| due.clone()));
        }
    }
}

#[test]
fn the_log_s_links_are_what_they_were() {
    let file = vectors("activity-log-v1.json");
    let link = |row: &Value| {
        hex(&Sha256Chain.link(&array(&row["previous"]), number(&row["seq"]), &stored(&bytes(&row["record"]))))
    };
    let ring = ring(&file["ring"]);
    let place = Place { shelf: &[0; 16], table: "activity", id: b"", version: 0 };
    for row in list(&file["rows"]) {
        assert_eq!(link(row), text(&row["link"]), "row {}", row["seq"]);
        let plain = ring.open(place, &stored(&bytes(&row["record"]))).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&plain).unwrap()["row"], row["seq"]);
    }
    for row in list(&file["unlike"]) {
        assert_ne!(link(row), text(&row["link"]), "{}", row["name"]);
    }
}

#[test]
fn checkpoints_verify_and_changed_ones_do_not() {
    let file = vectors("activity-log-v1.json");
    let verifier = CheckpointVerifier::from_line(text(&file["public key"])).unwrap();
    for case in list(&file["checkpoints"]) {
        let outcome = verifier.verify(text(&case["text"])).map(|read| {
            let fields = &case["opens"];
            assert_eq!((read.origin.as_str(), read.time.as_str()), (text(&fields["origin"]), text(&fields["time"])));
            assert_eq!((read.size, hex(&read.link)), (number(&fields["size"]), text(&fields["link"]).to_owned()));
            Vec::new()
        });
        judge(case, outcome, case.get("opens").map(|_| Vec::new()));
    }
    for line in list(&file["no public keys"]) {
        assert!(CheckpointVerifier::from_line(text(line)).is_none(), "{line}");
    }
}

#[test]
fn the_same_key_signs_the_same_checkpoint() {
    let file = vectors("activity-log-v1.json");
    let key = CheckpointKey::from_pkcs8(&Secret::new(bytes(&file["private key"]))).unwrap();
    assert_eq!(key.public_line(), text(&file["public key"]));
    let (text_due, fields) = (&file["checkpoints"][0]["text"], &file["checkpoints"][0]["opens"]);
    let signed =
        key.sign(text(&fields["origin"]), number(&fields["size"]), &array(&fields["link"]), text(&fields["time"]));
    assert_eq!(signed.text, text(text_due));
}

#[test]
fn tokens_verify_and_forged_ones_do_not() {
    let file = vectors("token-v1.json");
    let stored = |key: &Value| TokenKey::new(text(&key["kid"]).to_owned(), Secret::new(bytes(&key["document"])));
    let keys = TokenKeys::new(list(&file["keys"]).iter().map(|key| stored(key).unwrap()).collect());
    for case in list(&file["cases"]) {
        let claims: Option<Value> = keys.verify(text(&case["typ"]), text(&case["token"]));
        assert_eq!(claims.as_ref(), case.get("opens"), "{}", case["name"]);
        assert_eq!(claims.is_none(), case.get("fails").is_some(), "{}", case["name"]);
    }
}

#[test]
fn passwords_match_at_the_cost_they_were_hashed_at() {
    for case in list(&vectors("password-v1.json")["cases"]) {
        let kept: PasswordHash = serde_json::from_value(case["stored"].clone()).unwrap();
        let password = Secret::new(text(&case["password"]).to_owned());
        assert_eq!(kept.matches(&password).unwrap(), case["matches"] == true, "{}", case["name"]);
    }
}

/// Files and how many cases each holds. A line may be added; none is taken away, since what was once written must open.
const FROZEN: &[(&str, usize)] = &[
    ("keyring-v1.json", 21),
    ("record-v1.json", 28),
    ("root-v1.json", 9),
    ("blob-v1.json", 28),
    ("activity-log-v1.json", 33),
    ("token-v1.json", 45),
    ("password-v1.json", 6),
    ("vault-key-v1.json", 16),
];

#[test]
fn no_vector_was_taken_away() {
    for (name, due) in FROZEN {
        let file = vectors(name);
        let lists = file.as_object().unwrap().values().filter_map(Value::as_array);
        let entries: usize = lists.map(Vec::len).sum();
        let keys = file.get("keys").map_or(0, |keys| list(keys).len());
        assert_eq!(entries - keys, *due, "{name}");
    }
}
