//! What a signature is for: the resource that its text names, its times and letters, and the kinds of things that it opens.

use kernel::{Error, Result};

use super::{
    Account, Aim, Level, Need, Sas,
    change::READ_TAGS,
    container, fault,
    put::{DELETE, READ},
    sas::Kind as SasKind,
    version::DELETE_VERSION,
};
use crate::gate::House;

/// What a signature is over: what is asked for, as far as it is of that kind. Another container, or another blob, gives another text.
pub(super) fn resource_of(account: &Account, aim: Aim<'_>, sas: &Sas, kind: SasKind) -> Option<String> {
    if kind == SasKind::Account {
        return Some(String::new());
    }
    let (name, container) = (account.name(), aim.container?.as_str());
    match (sas.get("sr"), aim.blob) {
        ("c", _) => Some(format!("/blob/{name}/{container}")),
        // What a blob was before is not what was signed for.
        ("b", Some(blob)) if aim.version.is_empty() => Some(format!("/blob/{name}/{container}/{}", blob.as_str())),
        ("bs", Some(blob)) if !aim.snapshot.is_empty() => Some(format!("/blob/{name}/{container}/{}", blob.as_str())),
        ("bv", Some(blob)) if !aim.version.is_empty() => Some(format!("/blob/{name}/{container}/{}", blob.as_str())),
        _ => None,
    }
}

/// Start, end and permissions: of the signature, or of the stored policy that it names. Never of both.
pub(super) async fn bounds(
    house: &House,
    account: &Account,
    aim: Aim<'_>,
    sas: &Sas,
    kind: SasKind,
) -> Result<(String, String, String)> {
    let own = |name: &str| sas.get(name).to_owned();
    let policy_name = sas.get("si");
    if policy_name.is_empty() {
        return Ok((own("st"), own("se"), own("sp")));
    }
    if kind != SasKind::Service {
        return Err(fault::unproven("only a service SAS names a stored policy"));
    }
    let missing = || fault::unproven("the signature names no policy of the container");
    let name = aim.container.ok_or_else(missing)?;
    let container = container::peek(house, account, name).await?.ok_or_else(missing)?;
    let policy = container.policies.into_iter().find(|policy| policy.id == policy_name).ok_or_else(missing)?;
    let one = |own: String, stored: String| match (own.is_empty(), stored.is_empty()) {
        (false, false) => Err(fault::unproven("signature and policy both say the same field")),
        (true, _) => Ok(stored),
        (false, true) => Ok(own),
    };
    Ok((one(own("st"), policy.start)?, one(own("se"), policy.expiry)?, one(own("sp"), policy.permission)?))
}

/// Whether a signature is for what the operation is about at all.
pub(super) fn require_kind(sas: &Sas, kind: SasKind, need: &Need) -> Result<()> {
    if kind == SasKind::Account {
        if !sas.get("ss").contains('b') {
            let why = "This request is not authorized to perform this operation using this service.";
            return Err(fault::not_for_this("AuthorizationServiceMismatch", why));
        }
        if !sas.get("srt").contains(need.level.letter()) {
            return Err(wrong_resource());
        }
        return Ok(());
    }
    // A snapshot or a version is read and deleted, never written: with `bs` a write would fall on the blob, which nobody signed.
    let is_of_snapshots =
        || [READ, READ_TAGS, DELETE, DELETE_VERSION].iter().any(|action| action.name() == need.action.name());
    match (need.level, sas.get("sr")) {
        (Level::Blob, "c" | "b") | (Level::Container, "c") => Ok(()),
        (Level::Blob, "bs" | "bv") if is_of_snapshots() => Ok(()),
        _ => Err(wrong_resource()),
    }
}

fn wrong_resource() -> Error {
    let why = "This request is not authorized to perform this operation using this resource type.";
    fault::not_for_this("AuthorizationResourceTypeMismatch", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{WRITE, WRITE_TAGS};

    #[test]
    fn a_signature_for_a_snapshot_writes_nothing() {
        let sas = |sr: &str| {
            let pairs = [("sr", sr), ("sig", "x")].map(|(name, value)| (name.to_owned(), value.to_owned()));
            Sas::of(&pairs).unwrap()
        };
        let is_taken = |sr, action| require_kind(&sas(sr), SasKind::Service, &Need::blob(action, "rwdt")).is_ok();
        for action in [READ, READ_TAGS, DELETE] {
            assert!(is_taken("bs", action) && is_taken("b", action), "{}", action.name());
        }
        for action in [WRITE, WRITE_TAGS] {
            assert!(!is_taken("bs", action) && is_taken("b", action), "{}", action.name());
        }
    }
}
