//! Holders of customers' keys, as the operator names them in a file: where each is, and where it may be used.
//!
//! ```json
//! {"holders": [
//!   {"name": "bao", "at": {"kind": "transit", "address": "https://bao.example.org:8200", "auth": {"token-file": "/etc/bartizan/bao"}}},
//!   {"name": "hsm", "at": {"kind": "pkcs11", "module": "…", "token": "bartizan", "pin_file": "…"}, "scopes": ["/subscriptions/…"]}
//! ]}
//! ```
//!
//! The drivers are those of the root key. One that names a key holds with that key alone. With `"break-glass": true`, people may be named
//! who open, two together, what it locks; without it nobody may.

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use kernel::{
    Agreement, HolderRule, KeyElsewhere, KeyHolders, KeyProvider, ResourceId, Sealed, Sealing, Secret, StoreError,
    StoreResult,
};
use serde::Deserialize;

use crate::{KeyConfig, config::read_trusted, key};

/// Keys kept ready; more than this and all are prepared anew.
const MOST: usize = 1024;
/// What a holder may take for one answer, however many calls its driver needs for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The operator's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    holders: Vec<Holder>,
}

/// One holder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Holder {
    name: String,
    at: KeyConfig,
    /// Resource ids below which it may be used; anywhere when none is named.
    #[serde(default)]
    scopes: Vec<ResourceId>,
    /// Whether people may be named who open, two together, what it locks (break-glass).
    #[serde(default, rename = "break-glass")]
    break_glass: bool,
}

/// The holders that an operator named.
pub struct Holders {
    holders: Vec<Holder>,
    sealing: Arc<dyn Sealing>,
    ready: Mutex<HashMap<KeyElsewhere, Arc<dyn KeyProvider>>>,
}

impl fmt::Debug for Holders {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.holders.iter().map(|holder| holder.name.as_str()).collect();
        write!(out, "Holders({})", names.join(", "))
    }
}

impl Holders {
    /// Reads the file. Nobody is called.
    ///
    /// # Errors
    /// `Key` with one sentence that says what to do: it cannot be read, others could have written it, or it does not say who holds
    /// keys. What is wrong in it is not repeated.
    pub fn read(path: &Path, sealing: Arc<dyn Sealing>) -> StoreResult<Self> {
        let place = path.display();
        let File { holders } = read_trusted(path, |at| {
            format!(
                "`{place}` does not say who holds keys{at}; it is `{{\"holders\": [{{\"name\": …, \"at\": {{\"kind\": …}}}}]}}`, where \
                 `kind` is `transit`, `pkcs11` or `azure-key-vault`, with the fields of that kind and no others"
            )
        })?;
        let refused = |why: String| StoreError::Key(format!("`{place}`: {why}"));
        for (index, holder) in holders.iter().enumerate() {
            let name = &holder.name;
            let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            if !is_plain || !(1..=127).contains(&name.len()) {
                return Err(refused(String::from("a holder's `name` is 1 to 127 letters, digits, `-`, `_` and `.`")));
            }
            if holders.iter().take(index).any(|before| before.name == *name) {
                return Err(refused(format!("there are two holders `{name}`")));
            }
            if matches!(holder.at, KeyConfig::File { .. } | KeyConfig::Passphrase { .. }) {
                let why = "is no holder for customers: its key would be this server's; name a transit engine, a token or a vault";
                return Err(refused(format!("`{name}` {why}")));
            }
        }
        Ok(Self { holders, sealing, ready: Mutex::default() })
    }

    fn provider(&self, at: &KeyElsewhere) -> StoreResult<Arc<dyn KeyProvider>> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ready.get(at) {
            return Ok(Arc::clone(known));
        }
        let holder = self.holders.iter().find(|holder| holder.name == at.holder).ok_or_else(|| {
            StoreError::Key(format!("the operator of this server names no holder `{}` of keys any more", at.holder))
        })?;
        let made = holder.provider(at, Arc::clone(&self.sealing))?;
        if ready.len() >= MOST {
            ready.clear();
        }
        ready.insert(at.clone(), Arc::clone(&made));
        Ok(made)
    }
}

impl Holder {
    /// The driver for one key.
    fn provider(&self, at: &KeyElsewhere, sealing: Arc<dyn Sealing>) -> StoreResult<Arc<dyn KeyProvider>> {
        let chosen = |own: &str| match own {
            "" => Ok(at.key.clone()),
            own if own == at.key => Ok(at.key.clone()),
            _ => Err(StoreError::Key(format!("the holder `{}` holds with another key alone", self.name))),
        };
        let unversioned = || match at.version {
            None => Ok(()),
            Some(_) => {
                Err(StoreError::Key(format!("of the keys of the holder `{}` the newest version wraps", self.name)))
            }
        };
        Ok(match &self.at {
            KeyConfig::Transit(config) => {
                unversioned()?;
                let config = key::TransitConfig { key: chosen(&config.key)?, ..config.clone() };
                Arc::new(key::Transit::new(config, sealing)?)
            }
            KeyConfig::Pkcs11(config) => {
                unversioned()?;
                let config = key::Pkcs11Config { key: chosen(&config.key)?, ..config.clone() };
                Arc::new(key::Pkcs11::new(config, sealing))
            }
            KeyConfig::AzureKeyVault(config) => {
                let (key, version) = (chosen(&config.key)?, at.version.clone().or_else(|| config.version.clone()));
                let config = key::AzureVaultConfig { key, version, ..config.clone() };
                Arc::new(key::AzureVault::new(config, sealing)?)
            }
            KeyConfig::File { .. } | KeyConfig::Passphrase { .. } => {
                return Err(StoreError::Key(format!("`{}` is no holder for customers", self.name)));
            }
        })
    }

    /// The key that an address leads to, when it begins with that of this vault, and is one that it may hold with.
    fn addressed(&self, address: &str) -> Option<KeyElsewhere> {
        let KeyConfig::AzureKeyVault(config) = &self.at else { return None };
        let own = config.address.trim_end_matches('/');
        let (begin, rest) = address.split_at_checked(own.len())?;
        let parts: Vec<&str> = rest.split('/').collect();
        let (key, version) = match parts.as_slice() {
            ["", "keys", key] => (*key, None),
            ["", "keys", key, version] => (*key, Some((*version).to_owned())),
            _ => return None,
        };
        let is_word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let is_key = is_word(key) && version.as_deref().is_none_or(is_word);
        // Several holders may be of one vault, each with its own key or version.
        let is_ours = (config.key.is_empty() || config.key == key)
            && (config.version.is_none() || version.is_none() || config.version == version);
        (is_key && is_ours && begin.eq_ignore_ascii_case(own)).then(|| KeyElsewhere {
            holder: self.name.clone(),
            key: key.to_owned(),
            version,
        })
    }
}

#[async_trait]
impl KeyHolders for Holders {
    fn by_address(&self, address: &str) -> Option<KeyElsewhere> {
        self.holders.iter().find_map(|holder| holder.addressed(address))
    }

    fn rule(&self, holder: &str, place: &ResourceId) -> HolderRule {
        match self.holders.iter().find(|known| known.name == holder) {
            None => HolderRule::Unknown,
            Some(known) if known.scopes.is_empty() => HolderRule::Open,
            Some(known) if known.scopes.iter().any(|scope| place.is_within(scope)) => HolderRule::Open,
            Some(_) => HolderRule::NotHere,
        }
    }

    fn may_be_opened_without(&self, holder: &str) -> bool {
        self.holders.iter().any(|known| known.name == holder && known.break_glass)
    }

    async fn wrap(&self, key: &KeyElsewhere, purpose: Agreement<'_>, plain: &Secret<Vec<u8>>) -> StoreResult<Vec<u8>> {
        let provider = self.provider(key)?;
        Ok(in_time(key, provider.wrap(purpose, plain)).await?.into_bytes().to_vec())
    }

    async fn unwrap(&self, key: &KeyElsewhere, purpose: Agreement<'_>, wrapped: &[u8]) -> StoreResult<Secret<Vec<u8>>> {
        let (provider, wrapped) = (self.provider(key)?, Sealed::read_back(Bytes::copy_from_slice(wrapped)));
        in_time(key, provider.unwrap(purpose, &wrapped)).await
    }
}

/// One that takes longer is away.
async fn in_time<T>(key: &KeyElsewhere, answer: impl Future<Output = StoreResult<T>> + Send) -> StoreResult<T> {
    let late = || StoreError::KeyAway(format!("the holder `{}` did not answer in time", key.holder));
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_several_holders_at_one_vault_that_one_is_found_which_holds_with_the_key() {
        let holder = |name: &str, key: &str, version: Option<&str>| -> Holder {
            let at = json!({
                "kind": "azure-key-vault",
                "address": "https://v.vault.azure.net",
                "key": key,
                "version": version,
                "authority": "https://login.microsoftonline.com/t",
                "client_id": "c",
                "secret_file": "/s",
            });
            serde_json::from_value(json!({"name": name, "at": at})).unwrap()
        };
        let all = [holder("a", "one", None), holder("b", "two", Some("7")), holder("c", "", None)];
        let found = |rest: &str| {
            let address = format!("https://v.vault.azure.net/keys/{rest}");
            all.iter().find_map(|holder| holder.addressed(&address)).map(|at| at.holder)
        };
        for (rest, expected) in
            [("one/1", "a"), ("one", "a"), ("two/7", "b"), ("two", "b"), ("two/8", "c"), ("x/1", "c")]
        {
            assert_eq!(found(rest).as_deref(), Some(expected), "{rest}");
        }
        assert_eq!(found("one/a/b"), None);
    }

    #[test]
    fn break_glass_is_off_for_a_holder_until_the_operator_says_so() {
        let read = |said: serde_json::Value| {
            let mut holder =
                json!({"name": "a", "at": {"kind": "pkcs11", "module": "/m", "token": "t", "pin_file": "/p"}});
            if !said.is_null() {
                holder["break-glass"] = said;
            }
            serde_json::from_value::<Holder>(holder).map(|holder| holder.break_glass)
        };
        assert!(!read(json!(null)).unwrap());
        assert!(read(json!(true)).unwrap());
        assert!(!read(json!(false)).unwrap());
        for bad in [json!("true"), json!(1), json!({})] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
