//! Recovery codes, for the day the authenticator is lost: 60 bits each, kept as keyed hashes, good for once.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result, Secret};

use super::{Factors, enrolment::alter, proof::prove_code};
use crate::{
    gate::{Admission, Cx, Op},
    identity::{
        Method,
        sign_in::{SecondFactor, SignInRefusal, SignedIn, Step},
    },
};

/// How many are drawn together.
const CODES: usize = 10;
/// Figures and letters without those that are mistaken for one another (Crockford's base 32): five bits each.
const ALPHABET: [char; 32] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'J', 'K', 'M', 'N', 'P',
    'Q', 'R', 'S', 'T', 'V', 'W', 'X', 'Y', 'Z',
];
/// What they are fingerprinted as.
const PURPOSE: &str = "recovery code";
/// Longer input is no code, whatever it is grouped by.
const LONGEST: usize = 64;

/// Shows one of the codes that were written down; it is used up.
#[derive(Debug)]
pub struct ProveRecoveryCode {
    /// The session.
    pub session: Secret<String>,
    /// Case, spaces and hyphens do not count, nor whether 0 was read as O, or 1 as I or L.
    pub code: String,
}

#[async_trait]
impl Op for ProveRecoveryCode {
    const ACTION: Action = Action::public("Microsoft.Directory/signIns/recoveryCode", Class::Control);
    type Output = Step<SignedIn>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        cx.note("method", "recovery code");
        let code = plain(&self.code);
        prove_code(cx, &self.session, (Method::RecoveryCode, SecondFactor::RecoveryCode), |factors| {
            // All are compared, so that the time does not tell which one came close.
            let found = factors.recovery_codes.iter().enumerate().fold(None, |found, (index, kept)| {
                if cx.system().matches(PURPOSE, &code, kept) { Some(index) } else { found }
            });
            if let Some(index) = found {
                factors.recovery_codes.remove(index);
                cx.note("codesLeft", factors.recovery_codes.len().to_string());
            }
            Ok(found.is_some())
        })
        .await
    }
}

/// Draws new recovery codes, shown once; the old ones end.
#[derive(Debug)]
pub struct NewRecoveryCodes {
    /// The session.
    pub session: Secret<String>,
}

#[async_trait]
impl Op for NewRecoveryCodes {
    const ACTION: Action = Action::public("Microsoft.Directory/secondFactors/recoveryCodes/write", Class::Control);
    type Output = Step<Vec<Secret<String>>>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        alter(cx, &self.session, |factors| {
            if !factors.are_enrolled() {
                return Ok(Err(SignInRefusal::NotPossible));
            }
            draw_codes(cx, factors).map(Ok)
        })
        .await
    }
}

/// Replaces the codes.
pub(super) fn draw_codes(cx: &Admission<'_>, factors: &mut Factors) -> Result<Vec<Secret<String>>> {
    let mut codes = Vec::with_capacity(CODES);
    factors.recovery_codes.clear();
    for _ in 0..CODES {
        let code = draw()?;
        factors.recovery_codes.push(cx.system().fingerprint(PURPOSE, &plain(code.expose())));
        codes.push(code);
    }
    cx.note("codesDrawn", CODES.to_string());
    Ok(codes)
}

/// `XXXX-XXXX-XXXX`.
fn draw() -> Result<Secret<String>> {
    let mut code = String::with_capacity(14);
    for (place, byte) in seal::random::<12>()?.into_iter().enumerate() {
        if place > 0 && place % 4 == 0 {
            code.push('-');
        }
        code.extend(ALPHABET.get(usize::from(byte % 32)));
    }
    Ok(Secret::new(code))
}

/// A code as it is compared.
fn plain(typed: &str) -> String {
    let letters = typed.chars().take(LONGEST).filter(|c| c.is_ascii_alphanumeric());
    let read = letters.map(|c| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_three_groups_of_four_and_sixty_bits() {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let code = draw().unwrap().expose().clone();
            assert_eq!(code.split('-').map(str::len).collect::<Vec<_>>(), [4, 4, 4]);
            assert!(code.chars().all(|c| c == '-' || ALPHABET.contains(&c)), "{code}");
            assert!(seen.insert(code));
        }
    }

    #[test]
    fn how_a_code_is_typed_does_not_matter() {
        for typed in ["0AB1-CD1E-XYZ0", "0ab1cd1exyz0", " oabi cdle xyzo ", "OABL—CDIE—XYZO"] {
            assert_eq!(plain(typed), "0AB1CD1EXYZ0", "{typed}");
        }
    }
}
