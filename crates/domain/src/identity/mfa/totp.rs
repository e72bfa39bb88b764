//! Codes of an authenticator (RFC 6238) as second factor.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result, Secret};

use super::proof::prove_code;
use crate::{
    gate::{Cx, Op},
    identity::{
        Method,
        sign_in::{SecondFactor, SignedIn, Step},
    },
};

/// Shows a code as second factor.
#[derive(Debug)]
pub struct ProveTotp {
    /// The session.
    pub session: Secret<String>,
    /// Six digits; spaces do not count.
    pub code: String,
}

#[async_trait]
impl Op for ProveTotp {
    const ACTION: Action = Action::public("Microsoft.Directory/signIns/totp", Class::Control);
    type Output = Step<SignedIn>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        cx.note("method", "authenticator code");
        let code = digits(&self.code);
        prove_code(cx, &self.session, (Method::Totp, SecondFactor::Totp), |factors| {
            let Some(totp) = &mut factors.totp else { return Ok(false) };
            let step = totp.secret.step_of(&code, cx.now().seconds(), totp.last_step)?;
            // The step is used, not the text: the same code with spaces in it is the same code.
            totp.last_step = step.or(totp.last_step);
            Ok(step.is_some())
        })
        .await
    }
}

/// A code without the spaces that people and apps put between its digits, and with the digits of East Asian keyboards in
/// ASCII; cut where it is too long to be one.
pub(super) fn digits(typed: &str) -> String {
    let ascii = |c: char| match c {
        '\u{ff10}'..='\u{ff19}' => char::from_digit(u32::from(c).saturating_sub(0xff10), 10).unwrap_or(c),
        other => other,
    };
    typed.chars().filter(|c| !c.is_whitespace()).map(ascii).take(7).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_wide_digits_do_not_count() {
        for typed in ["287082", " 287 082\n", "287\u{a0}082", "２８７０８２", "２８７　０８２"] {
            assert_eq!(digits(typed), "287082", "{typed:?}");
        }
        assert_eq!(digits("28708212345"), "2870821", "more digits are no code");
    }
}
