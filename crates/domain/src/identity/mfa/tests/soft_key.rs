//! An authenticator in software (WebAuthn level 3, §6), honest unless a test says otherwise.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use seal::Sha256;
use serde_json::{Value, json};

const ORIGIN: &str = "https://bartizan.test:8443";
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const HAS_KEY: u8 = 0x40;

/// One passkey, and how its authenticator behaves.
pub struct SoftKey {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    owner: Option<Vec<u8>>,
    /// What it says it signed so far; it adds one each time unless it is zero.
    pub counter: u32,
    /// Whether it asks for a finger or a number.
    pub verifies: bool,
    /// The page that it believes to be on.
    pub origin: String,
    /// The site that it believes to be asked by.
    pub site: Option<String>,
}

impl SoftKey {
    pub fn new() -> Self {
        Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            id: seal::random::<16>().unwrap().to_vec(),
            owner: None,
            counter: 0,
            verifies: true,
            origin: ORIGIN.to_owned(),
            site: None,
        }
    }

    /// One that claims another's id.
    pub fn like(other: &Self) -> Self {
        Self { id: other.id.clone(), owner: other.owner.clone(), ..Self::new() }
    }

    /// `navigator.credentials.create` of these options.
    pub fn create(&mut self, options: &Value) -> Value {
        let asked = &options["publicKey"];
        self.owner = Some(decoded(&asked["user"]["id"]));
        let mut data = self.head(asked["rp"]["id"].as_str().unwrap(), HAS_KEY);
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend_from_slice(&self.id);
        data.extend_from_slice(&self.public_key());
        // {"fmt": "none", "attStmt": {}, "authData": data}
        let mut object = vec![0xa3];
        object.extend_from_slice(b"\x63fmt\x64none");
        object.extend_from_slice(b"\x67attStmt\xa0");
        object.extend_from_slice(b"\x68authData\x59");
        object.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        object.extend_from_slice(&data);
        json!({
            "id": encoded(&self.id), "rawId": encoded(&self.id), "type": "public-key",
            "authenticatorAttachment": "cross-platform",
            "clientExtensionResults": {"credProps": {"rk": true}},
            "response": {
                "clientDataJSON": encoded(&self.client_data("webauthn.create", asked)),
                "attestationObject": encoded(&object),
                "transports": ["usb"],
            },
        })
    }

    /// `navigator.credentials.get` of these options.
    pub fn get(&mut self, options: &Value) -> Value {
        if self.counter > 0 {
            self.counter += 1;
        }
        let asked = &options["publicKey"];
        let data = self.head(asked["rpId"].as_str().unwrap(), 0);
        let client_data = self.client_data("webauthn.get", asked);
        let signed = [data.clone(), Sha256::of(&client_data).to_vec()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        let mut response = json!({
            "clientDataJSON": encoded(&client_data),
            "authenticatorData": encoded(&data),
            "signature": encoded(signature.as_ref()),
        });
        // Browsers leave it out when the question named the passkeys that may answer.
        if asked["allowCredentials"].as_array().is_none_or(Vec::is_empty) {
            response["userHandle"] = json!(self.owner.as_deref().map(encoded));
        }
        json!({
            "id": encoded(&self.id), "rawId": encoded(&self.id), "type": "public-key",
            "clientExtensionResults": {}, "response": response,
        })
    }

    /// Whose it says it is.
    pub fn claims(&mut self, owner: &[u8]) {
        self.owner = Some(owner.to_vec());
    }

    fn head(&self, site: &str, more: u8) -> Vec<u8> {
        let mut data = Sha256::of(self.site.as_deref().unwrap_or(site).as_bytes()).to_vec();
        data.push(PRESENT | more | if self.verifies { VERIFIED } else { 0 });
        data.extend_from_slice(&self.counter.to_be_bytes());
        data
    }

    fn client_data(&self, kind: &str, asked: &Value) -> Vec<u8> {
        let data = json!({"type": kind, "challenge": asked["challenge"], "origin": self.origin, "crossOrigin": false});
        data.to_string().into_bytes()
    }

    /// {1: 2, 3: -7, -1: 1, -2: x, -3: y} (RFC 9053 §7.1).
    fn public_key(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        key.extend_from_slice(&point[1..33]);
        key.extend_from_slice(&[0x22, 0x58, 0x20]);
        key.extend_from_slice(&point[33..65]);
        key
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decoded(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}
