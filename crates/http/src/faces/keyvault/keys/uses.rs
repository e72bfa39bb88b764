//! Using keys: what is encrypted, decrypted, wrapped, unwrapped, signed and verified; and random bytes.

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::vault::{
    CipherForm, Decrypt, Deed, DigestForm, Encrypt, EncryptionAlgorithm, GetRandomBytes, ReleaseKey, Sign,
    SignatureAlgorithm, UnwrapKey, UseKey, Used, VaultCiphertext, Verify, WrapKey,
};
use http::Method;
use kernel::{Result, Secret as Hidden};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Fault, NOT_FOUND, Visit, bytes, not_supported};
use crate::{Doors, Guest};

/// Clients that name no version leave it out, or leave it empty: the newest one is meant.
const AT: [&str; 3] = ["/{version}", "", "/"];

pub(super) fn doors(doors: Doors) -> Doors {
    let doors = AT.into_iter().fold(doors, |doors, version| {
        let at = |verb: &str| format!("/vaults/{{vault}}/keys/{{name}}{version}/{verb}");
        doors
            .open::<UseKey<Encrypt>, _, _>(Method::POST, &at("encrypt"), encrypt)
            .open::<UseKey<Decrypt>, _, _>(Method::POST, &at("decrypt"), decrypt)
            .open::<UseKey<WrapKey>, _, _>(Method::POST, &at("wrapkey"), wrap)
            .open::<UseKey<UnwrapKey>, _, _>(Method::POST, &at("unwrapkey"), unwrap)
            .open::<UseKey<Sign>, _, _>(Method::POST, &at("sign"), sign)
            .open::<UseKey<Verify>, _, _>(Method::POST, &at("verify"), verify)
    });
    doors
        .open::<ReleaseKey, _, _>(Method::POST, "/vaults/{vault}/keys/{name}/{version}/release", release)
        .open::<GetRandomBytes, _, _>(Method::POST, "/vaults/{vault}/rng", random)
}

/// What encrypting, decrypting, wrapping and unwrapping take.
#[derive(Deserialize)]
struct CipherBody {
    alg: String,
    value: String,
    #[serde(default)]
    iv: Option<String>,
    #[serde(default)]
    tag: Option<String>,
    #[serde(default)]
    aad: Option<String>,
}

impl Drop for CipherBody {
    fn drop(&mut self) {
        drop(Hidden::new(std::mem::take(&mut self.value)));
    }
}

impl TryFrom<CipherBody> for CipherForm {
    type Error = kernel::Error;

    fn try_from(body: CipherBody) -> Result<Self> {
        let algorithm = EncryptionAlgorithm::from_name(&body.alg).ok_or_else(|| match body.alg.as_str() {
            // A wrong padding could be told from a right one, which is all that it takes to decrypt without the key.
            "RSA1_5" => not_supported("`RSA1_5` is not supported; use `RSA-OAEP-256`"),
            _ => not_supported(names("alg", EncryptionAlgorithm::ALL.map(EncryptionAlgorithm::name))),
        })?;
        let optional = |field, text: &Option<String>| text.as_deref().map(|text| bytes(field, text)).transpose();
        Ok(Self {
            algorithm,
            value: Hidden::new(bytes("value", &body.value)?),
            iv: optional("iv", &body.iv)?,
            tag: optional("tag", &body.tag)?,
            aad: optional("aad", &body.aad)?.unwrap_or_default(),
        })
    }
}

fn names<const N: usize>(field: &str, names: [&str; N]) -> String {
    format!("`{field}` is not supported; it must be one of {}", names.join(", "))
}

fn signature_algorithm(name: &str) -> Result<SignatureAlgorithm> {
    let unknown = || not_supported(names("alg", SignatureAlgorithm::ALL.map(SignatureAlgorithm::name)));
    SignatureAlgorithm::from_name(name).ok_or_else(unknown)
}

/// What signing takes.
#[derive(Deserialize)]
struct SignBody {
    alg: String,
    value: String,
}

impl TryFrom<SignBody> for DigestForm {
    type Error = kernel::Error;

    fn try_from(body: SignBody) -> Result<Self> {
        let algorithm = signature_algorithm(&body.alg)?;
        Ok(Self { algorithm, digest: bytes("value", &body.value)?, signature: Vec::new() })
    }
}

/// What verifying takes.
#[derive(Deserialize)]
struct VerifyBody {
    alg: String,
    digest: String,
    value: String,
}

impl TryFrom<VerifyBody> for DigestForm {
    type Error = kernel::Error;

    fn try_from(body: VerifyBody) -> Result<Self> {
        let algorithm = signature_algorithm(&body.alg)?;
        Ok(Self { algorithm, digest: bytes("digest", &body.digest)?, signature: bytes("value", &body.value)? })
    }
}

/// Asks a key to do something, as the body says.
async fn used<D, B>(guest: Guest) -> Result<(Visit, Used<D::Done>), Fault>
where
    D: Deed,
    B: DeserializeOwned,
    D::Asked: TryFrom<B, Error = kernel::Error>,
{
    let visit = Visit::new::<UseKey<D>>(guest).await?;
    let (name, version) = (visit.name()?, visit.version(NOT_FOUND)?);
    visit.knock::<UseKey<D>>(&visit.scope("keys", &name)?).await?;
    let (visit, body): (_, B) = visit.body().await?;
    let op = UseKey::<D> { vault: visit.vault.clone(), name, version, asked: D::Asked::try_from(body)? };
    let used = visit.enter(op).await?;
    Ok((visit, used))
}

fn answer<T>(visit: &Visit, used: &Used<T>, value: &[u8]) -> Value {
    let kid = format!("{}/keys/{}/{}", visit.base, used.name, used.version);
    json!({"kid": kid, "value": URL_SAFE_NO_PAD.encode(value)})
}

/// The value, with the vector and the tag that opening it takes.
fn ciphertext(visit: &Visit, used: &Used<VaultCiphertext>) -> Response {
    let mut out = answer(visit, used, &used.done.value);
    for (name, bytes) in [("iv", &used.done.iv), ("tag", &used.done.tag)] {
        if let (Some(bytes), Some(fields)) = (bytes, out.as_object_mut()) {
            fields.insert(name.to_owned(), json!(URL_SAFE_NO_PAD.encode(bytes)));
        }
    }
    axum::Json(out).into_response()
}

async fn encrypt(guest: Guest) -> Result<Response, Fault> {
    let (visit, used) = used::<Encrypt, CipherBody>(guest).await?;
    Ok(ciphertext(&visit, &used))
}

async fn wrap(guest: Guest) -> Result<Response, Fault> {
    let (visit, used) = used::<WrapKey, CipherBody>(guest).await?;
    Ok(ciphertext(&visit, &used))
}

async fn decrypt(guest: Guest) -> Result<Response, Fault> {
    let (visit, used) = used::<Decrypt, CipherBody>(guest).await?;
    Ok(axum::Json(answer(&visit, &used, used.done.expose())).into_response())
}

async fn unwrap(guest: Guest) -> Result<Response, Fault> {
    let (visit, used) = used::<UnwrapKey, CipherBody>(guest).await?;
    Ok(axum::Json(answer(&visit, &used, used.done.expose())).into_response())
}

async fn sign(guest: Guest) -> Result<Response, Fault> {
    let (visit, used) = used::<Sign, SignBody>(guest).await?;
    Ok(axum::Json(answer(&visit, &used, &used.done)).into_response())
}

async fn verify(guest: Guest) -> Result<Response, Fault> {
    let (_, used) = used::<Verify, VerifyBody>(guest).await?;
    Ok(axum::Json(json!({"value": used.done})).into_response())
}

async fn release(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<ReleaseKey>(guest).await?;
    let op = ReleaseKey { vault: visit.vault.clone(), name: visit.name()? };
    visit.enter(op).await?;
    Ok(axum::Json(json!({})).into_response())
}

/// What is read of a `POST` to `rng`.
#[derive(Deserialize)]
struct RandomBody {
    count: usize,
}

async fn random(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<GetRandomBytes>(guest).await?;
    visit.knock::<GetRandomBytes>(&visit.vault.id).await?;
    let (visit, body): (_, RandomBody) = visit.body().await?;
    let made = visit.enter(GetRandomBytes { vault: visit.vault.clone(), count: body.count }).await?;
    Ok(axum::Json(json!({"value": URL_SAFE_NO_PAD.encode(made.expose())})).into_response())
}
