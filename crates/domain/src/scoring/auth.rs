//! How callers of a service prove themselves: by key, by token, or not at all; one form at a time (requirements,
//!

use kernel::{Error, Kind, Result};
use serde::{Deserialize, Serialize};

/// The two kinds of services that the article knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceKind {
    /// One container, for trying things out.
    SingleContainer,
    /// A cluster's service, for production.
    Cluster,
}

impl ServiceKind {
    /// The word clients see.
    pub fn word(self) -> &'static str {
        match self {
            Self::SingleContainer => "SingleContainer",
            Self::Cluster => "Cluster",
        }
    }

    /// What a service of this kind asks for when nobody says.
    fn default_form(self) -> Form {
        match self {
            Self::SingleContainer => Form::Off,
            Self::Cluster => Form::Key,
        }
    }
}

/// The form of proof that a service asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// None.
    Off,
    /// One of two static keys.
    Key,
    /// A token of an hour.
    Token,
}

impl Form {
    /// Azure's `authMode`; `None` is ours.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "None",
            Self::Key => "Key",
            Self::Token => "AMLToken",
        }
    }
}

/// What a deployment says about it (`auth_enabled`, `token_auth_enabled` of the SDK).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthWords {
    /// Whether keys are asked for.
    pub key: Option<bool>,
    /// Whether tokens are asked for.
    pub token: Option<bool>,
}

/// The form that a service of this kind gets, given the present one and what was said.
///
/// # Errors
/// `Invalid` when both are wanted at once, `Unsupported` for tokens on a single container.
pub(super) fn decide(kind: ServiceKind, present: Option<Form>, said: AuthWords) -> Result<Form> {
    if said.key == Some(true) && said.token == Some(true) {
        return Err(Error::invalid("properties.authEnabled", "authEnabled and tokenAuthEnabled cannot both be true"));
    }
    let form = match (said.key, said.token) {
        (_, Some(true)) => Form::Token,
        (Some(true), _) => Form::Key,
        // Keys are declined; tokens stay if they were asked for and are not declined too.
        (Some(false), None) if present == Some(Form::Token) => Form::Token,
        (Some(false), _) => Form::Off,
        // Tokens are declined and nothing else is said: never open by accident.
        (None, Some(false)) if present == Some(Form::Token) => kind.default_form(),
        (None, _) => present.unwrap_or(kind.default_form()),
    };
    check(kind, form)?;
    Ok(form)
}

/// Refuses forms that a kind does not offer.
pub(super) fn check(kind: ServiceKind, form: Form) -> Result<()> {
    if kind == ServiceKind::SingleContainer && form == Form::Token {
        let why = "token authentication is not supported by single-container services; use keys, or a cluster service";
        return Err(Error::new(Kind::Unsupported, why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Form::{Key, Off, Token};
    use ServiceKind::{Cluster, SingleContainer};

    const NOTHING: AuthWords = AuthWords { key: None, token: None };

    fn said(key: Option<bool>, token: Option<bool>) -> AuthWords {
        AuthWords { key, token }
    }

    #[test]
    fn defaults_differ_by_kind() {
        assert_eq!(decide(SingleContainer, None, NOTHING).unwrap(), Off);
        assert_eq!(decide(Cluster, None, NOTHING).unwrap(), Key);
    }

    #[test]
    fn never_both_at_once() {
        for kind in [SingleContainer, Cluster] {
            for present in [None, Some(Off), Some(Key), Some(Token)] {
                let fault = decide(kind, present, said(Some(true), Some(true))).unwrap_err();
                assert!(fault.public().contains("cannot both be true"), "{fault}");
            }
        }
    }

    #[test]
    fn a_single_container_has_no_tokens() {
        for (present, words) in
            [(None, said(None, Some(true))), (Some(Token), NOTHING), (Some(Key), said(Some(false), Some(true)))]
        {
            let fault = decide(SingleContainer, present, words).unwrap_err();
            assert_eq!(fault.kind(), Kind::Unsupported);
            assert!(fault.public().contains("not supported"));
        }
        assert_eq!(decide(SingleContainer, None, said(Some(true), None)).unwrap(), Key);
    }

    #[test]
    fn an_update_switches_the_form() {
        let table = [
            (Some(Key), said(None, Some(true)), Token),
            (Some(Key), said(Some(false), Some(true)), Token),
            (Some(Token), said(Some(true), None), Key),
            (Some(Token), said(Some(true), Some(false)), Key),
            (Some(Token), said(Some(false), None), Token),
            (Some(Token), said(None, Some(false)), Key),
            (Some(Token), said(Some(false), Some(false)), Off),
            (Some(Key), said(Some(false), None), Off),
            (Some(Off), NOTHING, Off),
            (Some(Token), NOTHING, Token),
        ];
        for (present, words, due) in table {
            assert_eq!(decide(Cluster, present, words).unwrap(), due, "{present:?} {words:?}");
        }
    }
}
