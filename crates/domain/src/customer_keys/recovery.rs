//! What the holder of a customer's key prepares for the day on which that key is gone: the keyring's own key, for any two of the people
//! that they name and for nobody else (requirement X-14).
//!
//! Each custodian has a share: a random key, wrapped with a public key whose private half this server never has. For each two of them the
//! keyring's key is sealed under the share of the one, and that under the share of the other. So one share opens nothing, and the
//! server, which has none, opens nothing. `docs/formats/keyring.md` has the layout.

use kernel::{Error, PrincipalId, Result, Sealing, Secret, Timestamp};
use seal::{EncryptionAlgorithm, RootSealing, VaultPublicKey, open_kept};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How shares are wrapped (RFC 7518 §4.3).
const ALGORITHM: EncryptionAlgorithm = EncryptionAlgorithm::RsaOaep256;
/// What a share seals, so that it can be told whether it is the right one.
const PROOF: &[u8] = b"share";

/// The public half of a custodian's key.
pub type CustodianKey = VaultPublicKey;

/// Somebody who may open a workspace together with another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Custodian {
    /// Who.
    pub principal: PrincipalId,
    /// The public half of their own key, RSA.
    pub key: CustodianKey,
}

/// What was agreed to while the customer's key opened the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Who: any two of them.
    pub custodians: Vec<Custodian>,
    /// For how long at most, in minutes.
    pub longest_minutes: u32,
    /// When it was agreed to.
    pub agreed_at: Timestamp,
    /// Who said it, having every right on the customer's key.
    pub agreed_by: PrincipalId,
}

/// A custodian's share, as far as the server has it.
#[derive(Clone, Serialize, Deserialize)]
struct Share {
    /// The share, wrapped for its custodian.
    wrapped: Vec<u8>,
    /// What only the share opens, and holds nothing.
    proof: Vec<u8>,
}

/// The keyring's key for two custodians, by their places; the first opens the outer seal.
#[derive(Clone, Serialize, Deserialize)]
struct Pair {
    first: usize,
    second: usize,
    sealed: Vec<u8>,
}

/// A keyring's key for any two custodians.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Recovery {
    terms: Terms,
    shares: Vec<Share>,
    pairs: Vec<Pair>,
}

/// What is sealed for whom: for this resource and these two, in this order.
fn purpose(what: &str, of: Uuid, who: &[PrincipalId]) -> Vec<u8> {
    let mut purpose = format!("break-glass {what}\0").into_bytes();
    purpose.extend_from_slice(of.as_bytes());
    for one in who {
        purpose.extend_from_slice(one.as_bytes());
    }
    purpose
}

impl Recovery {
    /// Prepares a keyring's key. Wrapping takes public keys alone, so it calls nobody and can be done again when the keyring changes.
    ///
    /// # Errors
    /// `Invalid` for a public key that cannot wrap.
    pub(crate) fn prepare(of: Uuid, terms: Terms, inner: &Secret<Vec<u8>>) -> Result<Self> {
        let mut keys = Vec::new();
        let mut shares = Vec::new();
        for custodian in &terms.custodians {
            let share = seal::new_sealing_key()?;
            let wrapped = custodian.key.encrypt(ALGORITHM, share.expose())?;
            let proof = RootSealing.seal(&share, &purpose("proof", of, &[custodian.principal]), PROOF)?;
            shares.push(Share { wrapped, proof: proof.into_bytes().to_vec() });
            keys.push((custodian.principal, share));
        }
        let mut pairs = Vec::new();
        for (first, (outer, outer_key)) in keys.iter().enumerate() {
            for (second, (within, within_key)) in keys.iter().enumerate().skip(first.saturating_add(1)) {
                let both = [*outer, *within];
                let sealed = RootSealing.seal(within_key, &purpose("second", of, &both), inner.expose())?.into_bytes();
                let sealed = RootSealing.seal(outer_key, &purpose("first", of, &both), &sealed)?.into_bytes();
                pairs.push(Pair { first, second, sealed: sealed.to_vec() });
            }
        }
        Ok(Self { terms, shares, pairs })
    }

    /// What was agreed to.
    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    fn place(&self, who: PrincipalId) -> Option<usize> {
        self.terms.custodians.iter().position(|custodian| custodian.principal == who)
    }

    /// A custodian's share, wrapped with their public key; none for anybody else.
    pub(crate) fn wrapped_share(&self, who: PrincipalId) -> Option<&[u8]> {
        self.shares.get(self.place(who)?).map(|share| share.wrapped.as_slice())
    }

    /// Refuses what is not the share of this custodian.
    ///
    /// # Errors
    /// `Invalid` (`BreakGlassShareInvalid`).
    pub(crate) fn check_share(&self, of: Uuid, who: PrincipalId, share: &Secret<Vec<u8>>) -> Result<()> {
        let kept = self.place(who).and_then(|place| self.shares.get(place));
        let proof = kept.and_then(|kept| open_kept(share, &purpose("proof", of, &[who]), &kept.proof).ok());
        match proof {
            Some(proof) if proof.expose() == PROOF => Ok(()),
            _ => Err(wrong_share()),
        }
    }

    /// The keyring's key, by the shares of two custodians.
    ///
    /// # Errors
    /// `Invalid` (`BreakGlassShareInvalid`) when these are not shares of two of them.
    pub(crate) fn open(
        &self,
        of: Uuid,
        one: (PrincipalId, &Secret<Vec<u8>>),
        other: (PrincipalId, &Secret<Vec<u8>>),
    ) -> Result<Secret<Vec<u8>>> {
        let (Some(one_place), Some(other_place)) = (self.place(one.0), self.place(other.0)) else {
            return Err(wrong_share());
        };
        let (first, second, at) = if one_place < other_place {
            (one, other, (one_place, other_place))
        } else {
            (other, one, (other_place, one_place))
        };
        let pair = self.pairs.iter().find(|pair| (pair.first, pair.second) == at).ok_or_else(wrong_share)?;
        let both = [first.0, second.0];
        let opened = open_kept(first.1, &purpose("first", of, &both), &pair.sealed).map_err(|_| wrong_share())?;
        open_kept(second.1, &purpose("second", of, &both), opened.expose()).map_err(|_| wrong_share())
    }
}

fn wrong_share() -> Error {
    let why = "is not your share of this workspace as it is now: unwrap the one that `breakGlass` shows you, with your private key";
    Error::invalid("share", why).coded("BreakGlassShareInvalid")
}

#[cfg(test)]
mod tests {
    use seal::{VaultCiphertext, VaultKey, VaultKeyShape};

    use super::*;

    fn terms(keys: &[VaultKey]) -> Terms {
        let custodian = |key: &VaultKey| Custodian { principal: PrincipalId::random(), key: key.public().clone() };
        let custodians = keys.iter().map(custodian).collect();
        Terms { custodians, longest_minutes: 60, agreed_at: Timestamp(0), agreed_by: PrincipalId::random() }
    }

    #[test]
    fn any_two_open_it_and_one_alone_or_of_another_workspace_does_not() {
        let keys: Vec<VaultKey> = (0..3).map(|_| VaultKey::generate(VaultKeyShape::Rsa(2048)).unwrap()).collect();
        let (terms, of, inner) = (terms(&keys), Uuid::new_v4(), seal::new_sealing_key().unwrap());
        let recovery = Recovery::prepare(of, terms.clone(), &inner).unwrap();
        let recovery: Recovery = serde_json::from_str(&serde_json::to_string(&recovery).unwrap()).unwrap();
        let who: Vec<PrincipalId> = terms.custodians.iter().map(|custodian| custodian.principal).collect();
        let share = |place: usize| {
            let value = recovery.wrapped_share(who[place]).unwrap().to_vec();
            keys[place].decrypt(ALGORITHM, &VaultCiphertext { value, ..VaultCiphertext::default() }, &[]).unwrap()
        };
        let shares = [share(0), share(1), share(2)];
        for (one, other) in [(0, 1), (1, 0), (0, 2), (2, 1)] {
            let opened = recovery.open(of, (who[one], &shares[one]), (who[other], &shares[other])).unwrap();
            assert_eq!(opened.expose(), inner.expose(), "{one} {other}");
        }
        for (one, other, with) in [(0, 0, 0), (0, 1, 0), (0, 1, 2), (2, 2, 2)] {
            assert!(recovery.open(of, (who[one], &shares[one]), (who[other], &shares[with])).is_err());
        }
        assert!(recovery.open(Uuid::new_v4(), (who[0], &shares[0]), (who[1], &shares[1])).is_err());
        assert!(recovery.check_share(of, who[0], &shares[0]).is_ok());
        assert!(recovery.check_share(of, who[0], &shares[1]).is_err());
        assert!(recovery.check_share(of, PrincipalId::random(), &shares[0]).is_err());
        // Prepared anew, older shares open nothing.
        let anew = Recovery::prepare(of, terms, &inner).unwrap();
        assert!(anew.open(of, (who[0], &shares[0]), (who[1], &shares[1])).is_err());
    }
}
