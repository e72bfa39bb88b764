//! Calls to a token, one at a time, each with a session of its own.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    types::AuthPin,
};
use kernel::{Secret, StoreError, StoreResult};

use super::Pkcs11Config;
use crate::key::secret_file;

/// Bits of a GCM tag.
const TAG_BITS: u64 = 128;

/// A token as it is configured.
pub(super) struct Token {
    config: Pkcs11Config,
}

/// A module, once it is loaded. Whoever uses it holds this: one that hangs keeps those waiting who need it, and nobody else.
type Module = Arc<Mutex<Option<Pkcs11>>>;

/// Modules of this process. They are initialized once, and stay: another user of the same module would lose its sessions.
static MODULES: LazyLock<Mutex<HashMap<PathBuf, Module>>> = LazyLock::new(Mutex::default);

/// The PINs that tokens refused last, by module and token: a token counts wrong ones and locks, so none of them is tried again
/// until its file says another, or the server is started anew.
static REFUSED: LazyLock<Mutex<RefusedPins>> = LazyLock::new(Mutex::default);

type RefusedPins = HashMap<(PathBuf, String), Secret<String>>;

impl Token {
    pub(super) fn new(config: Pkcs11Config) -> Self {
        Self { config }
    }

    pub(super) fn config(&self) -> &Pkcs11Config {
        &self.config
    }

    pub(super) fn make_first(&self) -> StoreResult<()> {
        self.with(|session| match self.versions(session)?.is_empty() {
            true => self.generate(session, 1),
            false => Ok(()),
        })
    }

    pub(super) fn make_next(&self) -> StoreResult<()> {
        self.with(|session| {
            let newest = self.newest(session)?.0;
            let next = newest.checked_add(1).ok_or_else(|| self.refused("has no more versions of its key"))?;
            self.generate(session, next)
        })
    }

    /// The version that encrypted, and `nonce ‖ ciphertext ‖ tag`.
    pub(super) fn encrypt(&self, nonce: [u8; 12], aad: &[u8], plain: &Secret<Vec<u8>>) -> StoreResult<(u32, Vec<u8>)> {
        self.with(|session| {
            let (version, key) = self.newest(session)?;
            let mut nonce = nonce;
            let params = GcmParams::new(&mut nonce, aad, TAG_BITS.into()).map_err(|fault| self.fault(fault))?;
            let encrypted = session.encrypt(&Mechanism::AesGcm(params), key, plain.expose());
            let encrypted = encrypted.map_err(|fault| self.fault(fault))?;
            // Some modules draw their own nonce, and write it here.
            Ok((version, [nonce.as_slice(), &encrypted].concat()))
        })
    }

    pub(super) fn decrypt(&self, version: u32, aad: &[u8], protected: &[u8]) -> StoreResult<Secret<Vec<u8>>> {
        self.with(|session| {
            let keys = self.versions(session)?;
            let key = keys.iter().find(|(known, _)| *known == version).map(|(_, key)| *key);
            let key = key.ok_or_else(|| self.refused(&format!("has no version {version} of its key any more")))?;
            let split = protected.split_first_chunk::<12>();
            let (nonce, encrypted) =
                split.ok_or_else(|| StoreError::Key(String::from("a wrapped key is truncated")))?;
            let mut nonce = *nonce;
            let params = GcmParams::new(&mut nonce, aad, TAG_BITS.into()).map_err(|fault| self.fault(fault))?;
            let plain = session.decrypt(&Mechanism::AesGcm(params), key, encrypted);
            plain.map(Secret::new).map_err(|fault| self.fault(fault))
        })
    }

    fn newest(&self, session: &Session) -> StoreResult<(u32, ObjectHandle)> {
        let newest = self.versions(session)?.into_iter().max_by_key(|(version, _)| *version);
        newest.ok_or_else(|| self.refused("holds no AES key with that label; make one, or name another"))
    }

    /// Our keys, with their versions.
    fn versions(&self, session: &Session) -> StoreResult<Vec<(u32, ObjectHandle)>> {
        let ours = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(true),
            Attribute::Label(self.config.key.clone().into_bytes()),
        ];
        let mut versions = Vec::new();
        for key in session.find_objects(&ours).map_err(|fault| self.fault(fault))? {
            let attributes = session.get_attributes(key, &[AttributeType::Id]).map_err(|fault| self.fault(fault))?;
            let version = attributes.iter().find_map(|attribute| match attribute {
                Attribute::Id(id) => id.as_slice().try_into().ok().map(u32::from_be_bytes),
                _ => None,
            });
            versions.extend(version.map(|version| (version, key)));
        }
        Ok(versions)
    }

    fn generate(&self, session: &Session, version: u32) -> StoreResult<()> {
        let template = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::ValueLen(32.into()),
            Attribute::Label(self.config.key.clone().into_bytes()),
            Attribute::Id(version.to_be_bytes().to_vec()),
        ];
        session.generate_key(&Mechanism::AesKeyGen, &template).map(drop).map_err(|fault| self.fault(fault))
    }

    /// Works in a session of its own, in which we are signed in.
    fn with<T>(&self, work: impl FnOnce(&Session) -> StoreResult<T>) -> StoreResult<T> {
        let pin = secret_file::line(&self.config.pin_file, "PIN file")?;
        // Signing in is the process's, not the session's: whoever ends the last session signs all out.
        let module = module_at(&self.config.module);
        let mut module = module.lock().unwrap_or_else(PoisonError::into_inner);
        let module = loaded(&mut module, &self.config.module).map_err(|fault| self.fault(fault))?;
        let slots = module.get_slots_with_token().map_err(|fault| self.fault(fault))?;
        let named = slots
            .into_iter()
            .find(|slot| module.get_token_info(*slot).is_ok_and(|about| about.label() == self.config.token));
        let slot = named.ok_or_else(|| {
            StoreError::KeyAway(format!(
                "no token `{}` is plugged in; see `pkcs11-tool --list-slots`",
                self.config.token
            ))
        })?;
        let token = (self.config.module.clone(), self.config.token.clone());
        let is_refused = {
            let refused = REFUSED.lock().unwrap_or_else(PoisonError::into_inner);
            refused.get(&token).is_some_and(|known| known.expose() == pin.expose())
        };
        if is_refused {
            return Err(self.refused("refused the PIN that its file still holds; write the right one there"));
        }
        let session = module.open_rw_session(slot).map_err(|fault| self.fault(fault))?;
        match session.login(UserType::User, Some(&AuthPin::from(pin.expose().clone()))) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => work(&session),
            Err(fault) => {
                if matches!(
                    &fault,
                    Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)
                ) {
                    REFUSED.lock().unwrap_or_else(PoisonError::into_inner).insert(token, pin);
                }
                Err(self.fault(fault))
            }
        }
    }

    fn refused(&self, why: &str) -> StoreError {
        StoreError::Key(format!("the PKCS#11 token `{}` {why}", self.config.token))
    }

    fn fault(&self, fault: Error) -> StoreError {
        let why = match fault {
            Error::LibraryLoading(_) | Error::MissingSymbol(_) => {
                let place = self.config.module.display();
                return StoreError::Key(format!(
                    "`{place}` cannot be loaded as a PKCS#11 module; name the one of your token"
                ));
            }
            Error::Pkcs11(code, _) => code,
            other => return self.refused(&format!("cannot be used ({other})")),
        };
        match why {
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => self.refused("refused the PIN"),
            RvError::PinLocked => self.refused("has locked the PIN; unlock it as its officer"),
            RvError::PinExpired => self.refused("wants another PIN; change it"),
            RvError::UserPinNotInitialized => self.refused("has no user PIN yet; set it as its officer"),
            RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange | RvError::GeneralError => {
                self.refused("does not open it: wrong key, moved, or altered")
            }
            RvError::DeviceError
            | RvError::DeviceRemoved
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::SessionHandleInvalid
            | RvError::SessionClosed => {
                StoreError::KeyAway(format!("the PKCS#11 token `{}` is gone", self.config.token))
            }
            other => self.refused(&format!("refused ({other:?})")),
        }
    }
}

/// The place of a module. One module by two paths is one all the same, as far as that can be told.
fn module_at(path: &Path) -> Module {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(modules.entry(path).or_default())
}

/// The module, loaded and initialized by whoever needed it first.
fn loaded<'a>(known: &'a mut Option<Pkcs11>, path: &Path) -> Result<&'a Pkcs11, Error> {
    let module = match known.take() {
        Some(module) => module,
        None => {
            let module = Pkcs11::new(path)?;
            match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
                Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => module,
                Err(fault) => return Err(fault),
            }
        }
    };
    Ok(known.insert(module))
}
