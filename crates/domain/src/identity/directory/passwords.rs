//! Passwords that an administrator sets: chosen, or drawn here and shown once. Whoever gets one chooses their own at the next
//! sign-in, unless that is said not to be.

use async_trait::async_trait;
use kernel::{Action, Class, Error, PrincipalId, ResourceId, Result, Secret};
use seal::PasswordHash;

use super::{
    power::{require_another, require_power_over},
    removal::cut_off,
    users::{UserKey, find},
};
use crate::{
    gate::{Admission, Changes, Cx, Op},
    identity::{
        Person,
        sign_in::{PasswordFault, check_password_strength, forgive_guesses, hash_password},
    },
};

const UPDATE: Action = Action::new("Microsoft.Directory/users/password/update", Class::Control);

/// Letters of a drawn password: none that is taken for another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Letters drawn: 100 bits.
const DRAWN: usize = 20;
/// Letters between two hyphens.
const GROUP: usize = 5;

/// A password to be set.
#[derive(Debug)]
pub struct NewPassword {
    /// As chosen; drawn when none.
    pub password: Option<Secret<String>>,
    /// Whether the next sign-in asks for a new one.
    pub must_change: bool,
}

/// Sets a user's password, and ends its sessions and tokens. Second factors stay.
#[derive(Debug)]
pub struct ResetPassword {
    /// Whose.
    pub user: UserKey,
    /// The password.
    pub password: NewPassword,
}

#[async_trait]
impl Op for ResetPassword {
    const ACTION: Action = UPDATE;
    /// The password, when it was drawn here: shown this once.
    type Output = Option<Secret<String>>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (mut member, mut person) = find(cx, &self.user).await?;
        cx.note("principal", member.value.id.to_string());
        require_right(cx, member.value.id).await?;
        let mut changes = Changes::new();
        let drawn = set(cx, &mut changes, &mut person.value, self.password).await?;
        cut_off(cx, &mut changes, &mut member.value).await?;
        changes.put(cx.system(), &person)?;
        changes.put(cx.system(), &member)?;
        cx.commit(changes).await?;
        Ok(drawn)
    }
}

/// Refuses whoever may not set this user's password. One's own is changed with the old one in hand, not by this power: a
/// token that was stolen must not become a password.
pub(super) async fn require_right(cx: &Admission<'_>, user: PrincipalId) -> Result<()> {
    cx.require(&UPDATE, &ResourceId::root()).await?;
    require_another(cx, user, "reset the password of")?;
    require_power_over(cx, user).await
}

/// A password that was set.
pub(super) struct Set {
    pub(super) hash: PasswordHash,
    pub(super) must_change: bool,
    /// What was drawn here.
    pub(super) drawn: Option<Secret<String>>,
}

/// Hashes a password, drawing it where none is given.
pub(super) async fn make(cx: &Admission<'_>, new: NewPassword, hints: &[&str]) -> Result<Set> {
    let (password, is_drawn) = match new.password {
        Some(chosen) => {
            check_password_strength(&chosen, hints).map_err(refusal)?;
            (chosen, false)
        }
        None => (draw()?, true),
    };
    cx.note("password", if is_drawn { "drawn" } else { "chosen" });
    let hash = hash_password(cx.house(), &password).await?;
    Ok(Set { hash, must_change: new.must_change, drawn: is_drawn.then_some(password) })
}

/// Sets a person's password, and forgives the guesses at the one before; gives it back when it was drawn here.
pub(super) async fn set(
    cx: &Admission<'_>,
    changes: &mut Changes,
    person: &mut Person,
    new: NewPassword,
) -> Result<Option<Secret<String>>> {
    let set = make(cx, new, &[&person.user_name, &person.display_name]).await?;
    person.password = Some(set.hash);
    person.must_change = set.must_change;
    person.password_set_at = Some(cx.now());
    forgive_guesses(cx, changes, &person.user_name).await?;
    Ok(set.drawn)
}

fn draw() -> Result<Secret<String>> {
    let drawn = seal::random::<DRAWN>()?;
    let mut text = String::with_capacity(DRAWN.saturating_add(DRAWN.div_euclid(GROUP)));
    for (at, byte) in drawn.into_iter().enumerate() {
        if at > 0 && at.rem_euclid(GROUP) == 0 {
            text.push('-');
        }
        // 32 letters divide 256 evenly: each is as likely as another.
        let letter = LETTERS.get(usize::from(byte).rem_euclid(LETTERS.len()));
        text.push(letter.copied().map_or('a', char::from));
    }
    Ok(Secret::new(text))
}

fn refusal(fault: PasswordFault) -> Error {
    let why = match fault {
        PasswordFault::TooShort { least } => format!("must have at least {least} characters"),
        PasswordFault::TooLong { most } => format!("must have at most {most} characters"),
        PasswordFault::Guessable => String::from(
            "is too easily guessed: choose several words that do not belong together, or leave it out and have one drawn",
        ),
        PasswordFault::Unchanged => String::from("must differ from the present one"),
    };
    Error::invalid("passwordProfile.password", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_password_is_long_legible_and_never_the_same() {
        let [one, other] = [draw().unwrap(), draw().unwrap()];
        assert_ne!(one.expose(), other.expose());
        let groups: Vec<_> = one.expose().split('-').collect();
        assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [5, 5, 5, 5]);
        assert!(groups.concat().bytes().all(|letter| LETTERS.contains(&letter)));
    }
}
