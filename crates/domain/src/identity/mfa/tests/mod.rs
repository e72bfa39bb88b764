//! The rules of second factors, on a house over memory with a clock to turn.

mod codes;
mod enrolment;
mod passkeys;
mod soft_key;

use kernel::Secret;

use super::{BeginPasskeyEnrolment, BeginTotpEnrolment, FinishPasskeyEnrolment, FinishTotpEnrolment, ProveTotp};
use crate::identity::{SignedIn, Step, sign_in::tests::stand::Stand};
use soft_key::SoftKey;

/// A person's authenticator, as an app has it.
struct App(seal::TotpSecret);

impl App {
    fn of(shown: &super::TotpSecret) -> Self {
        let secret = data(&shown.secret);
        Self(serde_json::from_value(serde_json::json!(secret)).unwrap())
    }

    fn code(&self, stand: &Stand) -> String {
        self.0.code_at(stand.house.now().seconds()).unwrap().expose().clone()
    }
}

/// RFC 4648 base 32, by hand.
fn data(secret: &Secret<String>) -> Vec<u8> {
    let mut bits = String::new();
    for c in secret.expose().chars() {
        let value = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).unwrap();
        bits.push_str(&format!("{value:05b}"));
    }
    bits.as_bytes()
        .chunks_exact(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect()
}

/// Enrols an authenticator in an open session.
async fn enrol_totp(stand: &Stand, session: &Secret<String>) -> (App, SignedIn, Vec<Secret<String>>) {
    let shown = stand.ask(BeginTotpEnrolment { session: session.clone() }).await.unwrap();
    let app = App::of(&shown);
    let finish = FinishTotpEnrolment { session: session.clone(), code: app.code(stand) };
    let (signed_in, codes) = stand.ask(finish).await.unwrap();
    (app, signed_in, codes)
}

/// A person `ada` with an authenticator, who is not signed in; with her recovery codes.
async fn with_totp(stand: &Stand) -> (App, Vec<Secret<String>>) {
    stand.person("ada", |_, _| {}).await;
    let session = stand.sign_in("ada").await.cookie;
    let (app, _, codes) = enrol_totp(stand, &session).await;
    stand.pass(60);
    (app, codes)
}

async fn prove(stand: &Stand, session: &Secret<String>, code: &str) -> Step<SignedIn> {
    stand.ask(ProveTotp { session: session.clone(), code: code.to_owned() }).await
}

/// Enrols a passkey in an open session.
async fn enrol_passkey(
    stand: &Stand,
    session: &Secret<String>,
    key: &mut SoftKey,
) -> Step<(SignedIn, Vec<Secret<String>>)> {
    let asked = stand.ask(BeginPasskeyEnrolment { session: session.clone() }).await?;
    let finish = FinishPasskeyEnrolment {
        session: session.clone(),
        ticket: asked.ticket,
        credential: key.create(&asked.options),
        name: String::from(" my key\n"),
    };
    stand.ask(finish).await
}
