//! Making keys, and taking in those that somebody brings.

use std::{collections::BTreeMap, fmt::Display};

use axum::response::Response;
use domain::vault::{
    AttributesForm, CreateKey, ImportKey, KeyOperation, KeyType, VaultCurve, VaultKeyShape, VaultPrivateKey,
};
use http::Method;
use kernel::{Error, Result, Secret as Hidden};
use serde::Deserialize;
use serde_json::Value;

use super::{Fault, Visit, bytes, not_supported, shape::AttributesBody, shown};
use crate::{Doors, Guest};

pub(super) fn doors(doors: Doors) -> Doors {
    doors.open::<CreateKey, _, _>(Method::POST, "/vaults/{vault}/keys/{name}/create", create).open::<ImportKey, _, _>(
        Method::PUT,
        "/vaults/{vault}/keys/{name}",
        import,
    )
}

/// `attributes` of a key as clients send them.
#[derive(Clone, Copy, Default, Deserialize)]
pub(super) struct KeyAttributes {
    #[serde(flatten)]
    common: AttributesBody,
    #[serde(default)]
    exportable: Option<bool>,
}

impl KeyAttributes {
    /// The attributes, unless they or the policy that comes with them would let the key out.
    pub(super) fn checked(self, release_policy: Option<&Value>) -> Result<AttributesForm> {
        if self.exportable == Some(true) || release_policy.is_some_and(|policy| !policy.is_null()) {
            return Err(not_supported("secure key release is not supported: no key leaves the vault"));
        }
        Ok(self.common.into())
    }
}

/// What a key may be used for.
pub(super) fn operations(names: Option<Vec<String>>) -> Result<Option<Vec<KeyOperation>>> {
    names.map(|names| names.iter().map(|name| name.parse()).collect()).transpose()
}

/// What is read of a `POST` to `create`.
#[derive(Deserialize)]
struct CreateBody {
    kty: String,
    #[serde(default)]
    key_size: Option<u32>,
    #[serde(default)]
    public_exponent: Option<u32>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    key_ops: Option<Vec<String>>,
    #[serde(default)]
    attributes: Option<KeyAttributes>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
    #[serde(default)]
    release_policy: Option<Value>,
}

impl CreateBody {
    /// What is to be made; Azure's sizes when none are given.
    fn shape(&self, kind: KeyType) -> Result<VaultKeyShape> {
        let unfitting = |field: &str| Error::invalid(field, format_args!("is not for keys of type `{}`", kind.name()));
        if self.public_exponent.is_some_and(|exponent| exponent != 65537) {
            return Err(not_supported("the public exponent of a key is 65537"));
        }
        match kind {
            KeyType::Rsa | KeyType::RsaHsm | KeyType::Oct | KeyType::OctHsm if self.crv.is_some() => {
                Err(unfitting("crv"))
            }
            KeyType::Rsa | KeyType::RsaHsm => Ok(VaultKeyShape::Rsa(self.key_size.unwrap_or(2048))),
            KeyType::Oct | KeyType::OctHsm => Ok(VaultKeyShape::Symmetric(self.key_size.unwrap_or(256))),
            KeyType::Ec | KeyType::EcHsm if self.key_size.is_some() => Err(unfitting("key_size")),
            KeyType::Ec | KeyType::EcHsm => Ok(VaultKeyShape::Curve(curve(self.crv.as_deref().unwrap_or("P-256"))?)),
        }
    }
}

fn curve(name: &str) -> Result<VaultCurve> {
    VaultCurve::from_name(name).ok_or_else(|| match name {
        "P-256K" | "SECP256K1" | "secp256k1" => not_supported("the curve `P-256K` (secp256k1) is not supported"),
        _ => Error::invalid("crv", "must be `P-256`, `P-384` or `P-521`"),
    })
}

async fn create(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<CreateKey>(guest).await?;
    let name = visit.name()?;
    visit.knock::<CreateKey>(&visit.scope("keys", &name)?).await?;
    let (visit, body): (_, CreateBody) = visit.body().await?;
    let kind: KeyType = body.kty.parse()?;
    let op = CreateKey {
        vault: visit.vault.clone(),
        name,
        kind,
        shape: body.shape(kind)?,
        operations: operations(body.key_ops)?,
        attributes: body.attributes.unwrap_or_default().checked(body.release_policy.as_ref())?,
        tags: body.tags.unwrap_or_default(),
    };
    let made = visit.enter(op).await?;
    Ok(shown(&visit, &made))
}

/// What is read of a `PUT`.
#[derive(Deserialize)]
struct ImportBody {
    #[serde(default, rename = "Hsm")]
    hsm: Option<bool>,
    key: Jwk,
    #[serde(default)]
    attributes: Option<KeyAttributes>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
    #[serde(default)]
    release_policy: Option<Value>,
}

/// A JSON Web Key with its private members (RFC 7518 §6).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    key_ops: Option<Vec<String>>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    key_hsm: Option<Value>,
    n: Option<String>,
    e: Option<String>,
    d: Option<String>,
    p: Option<String>,
    q: Option<String>,
    dp: Option<String>,
    dq: Option<String>,
    qi: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

impl Jwk {
    fn kind(&self, hsm: Option<bool>) -> Result<KeyType> {
        if self.key_hsm.as_ref().is_some_and(|blob| !blob.is_null()) {
            return Err(not_supported("keys wrapped for a hardware module (`key_hsm`) are not supported"));
        }
        let kind: KeyType = self.kty.parse()?;
        Ok(if hsm == Some(true) { kind.in_hardware() } else { kind })
    }

    fn numbers(&mut self, kind: KeyType) -> Result<VaultPrivateKey> {
        match kind {
            KeyType::Rsa | KeyType::RsaHsm => Ok(VaultPrivateKey::Rsa {
                n: bytes("key.n", &given("n", &mut self.n)?)?,
                e: bytes("key.e", &given("e", &mut self.e)?)?,
                d: private("d", &mut self.d)?,
                p: private("p", &mut self.p)?,
                q: private("q", &mut self.q)?,
                dp: private("dp", &mut self.dp)?,
                dq: private("dq", &mut self.dq)?,
                qi: private("qi", &mut self.qi)?,
            }),
            KeyType::Ec | KeyType::EcHsm => Ok(VaultPrivateKey::Curve {
                crv: curve(&given("crv", &mut self.crv)?)?,
                x: bytes("key.x", &given("x", &mut self.x)?)?,
                y: bytes("key.y", &given("y", &mut self.y)?)?,
                d: private("d", &mut self.d)?,
            }),
            KeyType::Oct | KeyType::OctHsm => Ok(VaultPrivateKey::Symmetric(private("k", &mut self.k)?)),
        }
    }
}

impl Drop for Jwk {
    fn drop(&mut self) {
        let private = [&mut self.d, &mut self.p, &mut self.q, &mut self.dp, &mut self.dq, &mut self.qi, &mut self.k];
        for member in private {
            drop(member.take().map(Hidden::new));
        }
    }
}

fn given(name: impl Display, member: &mut Option<String>) -> Result<String> {
    member.take().ok_or_else(|| Error::invalid(format!("key.{name}"), "is missing"))
}

fn private(name: &str, member: &mut Option<String>) -> Result<Hidden<Vec<u8>>> {
    let text = Hidden::new(given(name, member)?);
    bytes(&format!("key.{name}"), text.expose()).map(Hidden::new)
}

async fn import(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<ImportKey>(guest).await?;
    let name = visit.name()?;
    visit.knock::<ImportKey>(&visit.scope("keys", &name)?).await?;
    let (visit, mut body): (_, ImportBody) = visit.body().await?;
    let kind = body.key.kind(body.hsm)?;
    let op = ImportKey {
        vault: visit.vault.clone(),
        name,
        kind,
        numbers: body.key.numbers(kind)?,
        operations: operations(body.key.key_ops.take())?,
        attributes: body.attributes.unwrap_or_default().checked(body.release_policy.as_ref())?,
        tags: body.tags.unwrap_or_default(),
    };
    let made = visit.enter(op).await?;
    Ok(shown(&visit, &made))
}
