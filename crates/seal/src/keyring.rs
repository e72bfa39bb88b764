//! Keyrings: the versions of one shelf's record key, and the key that turns names into opaque ids.
//!
//! `docs/formats/keyring.md` has the layout to the byte.

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::{constant_time, hmac};
use bytes::Bytes;
use kernel::{Sealed, Secret};
use zeroize::Zeroizing;

use crate::{Fingerprint, Place, SealError, aead::Xaes, random, record};

const FORMAT: u8 = 1;
const WHAT: &str = "a keyring";
/// Random 192-bit nonces allow far more; this is where rotation is due (NIST SP 800-57's usage period is the tighter bound).
const MOST_VERSIONS: usize = 10_000;

/// Key material of a shelf: secret, serializable, wiped when dropped. Edits return a new ring.
#[derive(Clone)]
pub struct Keyring {
    name_key: Zeroizing<[u8; 32]>,
    versions: BTreeMap<u32, Zeroizing<[u8; 32]>>,
}

impl Keyring {
    /// A new ring with one version.
    pub fn generate() -> Result<Self, SealError> {
        let mut versions = BTreeMap::new();
        versions.insert(1, Zeroizing::new(random()?));
        Ok(Self { name_key: Zeroizing::new(random()?), versions })
    }

    /// The same ring with one more version, which seals from now on. Older versions go on opening.
    pub fn rotated(&self) -> Result<Self, SealError> {
        let mut next = self.clone();
        let last = self.versions.last_key_value().map_or(0, |(version, _)| *version);
        let version = last.checked_add(1).ok_or(SealError::Exhausted)?;
        next.versions.insert(version, Zeroizing::new(random()?));
        Ok(next)
    }

    /// The same ring with its newest version alone. What an older one sealed opens no more; names stay as they are.
    #[must_use]
    pub fn newest(&self) -> Self {
        let versions = self.versions.last_key_value().map(|(version, key)| (*version, key.clone()));
        Self { name_key: self.name_key.clone(), versions: versions.into_iter().collect() }
    }

    /// The numbers of its versions, ascending.
    pub fn versions(&self) -> Vec<u32> {
        self.versions.keys().copied().collect()
    }

    /// `1 ‖ name key ‖ count ‖ (version ‖ key)…`, to be wrapped.
    pub fn to_bytes(&self) -> Secret<Vec<u8>> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(self.name_key.as_slice());
        out.extend_from_slice(&u32::try_from(self.versions.len()).unwrap_or(u32::MAX).to_be_bytes());
        for (version, key) in &self.versions {
            out.extend_from_slice(&version.to_be_bytes());
            out.extend_from_slice(key.as_slice());
        }
        Secret::new(out)
    }

    /// Reads what `to_bytes` wrote.
    pub fn from_bytes(bytes: &Secret<Vec<u8>>) -> Result<Self, SealError> {
        let truncated = SealError::Truncated { what: WHAT };
        let rest = match bytes.expose().as_slice() {
            [FORMAT, rest @ ..] => rest,
            [found, ..] => return Err(SealError::Format { what: WHAT, found: *found }),
            [] => return Err(truncated),
        };
        let (name_key, rest) = rest.split_first_chunk::<32>().ok_or(truncated.clone())?;
        let (count, mut rest) = rest.split_first_chunk::<4>().ok_or(truncated.clone())?;
        let count = usize::try_from(u32::from_be_bytes(*count)).unwrap_or(usize::MAX);
        let mut versions = BTreeMap::new();
        while let Some((version, after)) = rest.split_first_chunk::<4>() {
            let (key, after) = after.split_first_chunk::<32>().ok_or(truncated.clone())?;
            versions.insert(u32::from_be_bytes(*version), Zeroizing::new(*key));
            rest = after;
        }
        if versions.is_empty() || versions.len() != count || count > MOST_VERSIONS || !rest.is_empty() {
            return Err(truncated);
        }
        Ok(Self { name_key: Zeroizing::new(*name_key), versions })
    }

    /// The ring ready for work.
    pub fn ring(&self) -> Result<Ring, SealError> {
        let mut keys = BTreeMap::new();
        for (version, key) in &self.versions {
            keys.insert(*version, Xaes::new(key)?);
        }
        let current = keys.last_key_value().map_or(0, |(version, _)| *version);
        Ok(Ring { names: hmac::Key::new(hmac::HMAC_SHA256, self.name_key.as_slice()), keys, current })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Keyring({} versions)", self.versions.len())
    }
}

/// A keyring ready for work.
pub struct Ring {
    names: hmac::Key,
    keys: BTreeMap<u32, Xaes>,
    current: u32,
}

impl Ring {
    /// Seals a record under the newest key.
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Sealed, SealError> {
        let key = self.keys.get(&self.current).ok_or(SealError::UnknownKey(self.current))?;
        record::seal(key, self.current, place, plain)
    }

    /// Opens a record with the key version it names.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        let version = record::key_version(sealed)?;
        let key = self.keys.get(&version).ok_or(SealError::UnknownKey(version))?;
        record::open(key, version, place, sealed)
    }

    /// Whether the newest key sealed a record, by what the record says of itself.
    pub fn is_newest(&self, sealed: &Sealed) -> Result<bool, SealError> {
        Ok(record::key_version(sealed)? == self.current)
    }

    /// The number of the key that seals.
    pub fn current(&self) -> u32 {
        self.current
    }

    /// Opens what was sealed as a record and comes back from outside, in whoever's hands it was.
    pub fn open_returned(&self, place: Place<'_>, bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        self.open(place, &Sealed::made_by_seal(Bytes::copy_from_slice(bytes)))
    }

    /// The opaque id of a name: a keyed hash, so that a store learns nothing from its keys.
    pub fn name_id(&self, table: &str, name: &str) -> [u8; 16] {
        let tag = self.mac("name", table, name.as_bytes());
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        id
    }

    /// The fingerprint of a high-entropy credential, to be stored instead of it.
    pub fn fingerprint(&self, purpose: &str, credential: &str) -> Fingerprint {
        Fingerprint::new(self.mac("credential", purpose, credential.as_bytes()).as_ref())
    }

    /// Whether the credential has this fingerprint; in constant time (invariant I32).
    pub fn matches(&self, purpose: &str, credential: &str, fingerprint: &Fingerprint) -> bool {
        let tag = self.mac("credential", purpose, credential.as_bytes());
        constant_time::verify_slices_are_equal(tag.as_ref(), fingerprint.bytes()).is_ok()
    }

    fn mac(&self, kind: &str, purpose: &str, value: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.names);
        for part in [kind.as_bytes(), purpose.as_bytes()] {
            context.update(part);
            context.update(&[0]);
        }
        context.update(value);
        context.sign()
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Ring(current version {})", self.current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'static> = Place { shelf: &[7; 16], table: "runs", id: b"r1", version: 3 };

    #[test]
    fn a_record_opens_only_at_its_place() {
        let ring = Keyring::generate().unwrap().ring().unwrap();
        let sealed = ring.seal(HERE, b"loss=0.1").unwrap();
        assert_eq!(ring.open(HERE, &sealed).unwrap(), b"loss=0.1");
        let elsewhere = [
            Place { shelf: &[8; 16], ..HERE },
            Place { table: "run", ..HERE },
            Place { table: "runsr", id: b"1", ..HERE },
            Place { id: b"r2", ..HERE },
            Place { version: 2, ..HERE },
        ];
        for place in elsewhere {
            assert_eq!(ring.open(place, &sealed), Err(SealError::Unauthentic { what: "a stored record" }), "{place:?}");
        }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let ring = Keyring::generate().unwrap().ring().unwrap();
        let sealed = ring.seal(HERE, b"x").unwrap();
        for bit in 0..sealed.bytes().len() * 8 {
            let mut bytes = sealed.bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(ring.open(HERE, &Sealed::made_by_seal(bytes.into())).is_err(), "bit {bit}");
        }
        for length in 0..sealed.bytes().len() {
            assert!(ring.open(HERE, &Sealed::made_by_seal(sealed.bytes().slice(..length))).is_err(), "length {length}");
        }
    }

    #[test]
    fn another_ring_does_not_open_and_a_rotated_one_does() {
        let keys = Keyring::generate().unwrap();
        let sealed = keys.ring().unwrap().seal(HERE, b"x").unwrap();
        assert!(Keyring::generate().unwrap().ring().unwrap().open(HERE, &sealed).is_err());
        let rotated = keys.rotated().unwrap();
        let ring = Keyring::from_bytes(&rotated.to_bytes()).unwrap().ring().unwrap();
        assert_eq!(ring.open(HERE, &sealed).unwrap(), b"x");
        let newer = ring.seal(HERE, b"y").unwrap();
        assert_eq!(keys.ring().unwrap().open(HERE, &newer), Err(SealError::UnknownKey(2)));
        assert_eq!(keys.ring().unwrap().name_id("t", "n"), ring.name_id("t", "n"));
    }

    #[test]
    fn the_newest_version_alone_opens_what_it_sealed_and_nothing_older() {
        let keys = Keyring::generate().unwrap().rotated().unwrap();
        let old = Keyring::from_bytes(&keys.to_bytes()).unwrap();
        let sealed = Keyring { versions: old.versions.clone().into_iter().take(1).collect(), ..old }.ring().unwrap();
        let sealed = sealed.seal(HERE, b"x").unwrap();
        let (both, newest) = (keys.ring().unwrap(), keys.newest());
        assert_eq!((keys.versions(), newest.versions()), (vec![1, 2], vec![2]));
        let newest = newest.ring().unwrap();
        assert_eq!(newest.open(HERE, &sealed), Err(SealError::UnknownKey(1)));
        assert!(!both.is_newest(&sealed).unwrap());
        let anew = both.seal(HERE, &both.open(HERE, &sealed).unwrap()).unwrap();
        assert!(newest.is_newest(&anew).unwrap());
        assert_eq!(newest.open(HERE, &anew).unwrap(), b"x");
        assert_eq!(newest.name_id("t", "n"), both.name_id("t", "n"));
    }

    #[test]
    fn a_damaged_keyring_is_refused() {
        let bytes = Keyring::generate().unwrap().to_bytes();
        for length in 0..bytes.expose().len() {
            assert!(Keyring::from_bytes(&Secret::new(bytes.expose()[..length].to_vec())).is_err());
        }
    }
}
