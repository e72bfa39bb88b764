//! Passkeys (WebAuthn level 3): the relying party's half. User verification is required in every ceremony, so a passkey is
//! two factors at once.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use webauthn_rs::{
    Webauthn, WebauthnBuilder,
    prelude::{DiscoverableAuthentication, PasskeyAuthentication, PublicKeyCredential, Url, Uuid},
};

use crate::SealError;

/// What browsers show as the site's name.
const NAME: &str = "Bartizan";

/// A public key whose private half is in somebody's authenticator. No secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Passkey(webauthn_rs::prelude::Passkey);

impl Passkey {
    /// The credential's id, as its authenticator names it.
    pub fn id(&self) -> &[u8] {
        self.0.cred_id()
    }
}

/// A challenge to make a passkey. It stays on the server.
#[derive(Debug)]
pub struct PasskeyRegistration(webauthn_rs::prelude::PasskeyRegistration);

/// A challenge to show a passkey. It stays on the server, and is worth one answer.
#[derive(Debug)]
pub struct PasskeyQuestion(Question);

#[derive(Debug)]
enum Question {
    /// To somebody who is known.
    Known(PasskeyAuthentication),
    /// To whoever has a passkey for this site.
    Anyone(DiscoverableAuthentication),
}

/// A passkey that answered its challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasskeyAnswer {
    /// Which of those that were given.
    pub index: usize,
    /// How often the authenticator says that it signed; zero when it does not count.
    pub counter: u32,
}

/// The site that passkeys are made for: they work for its host and its exact origin, nowhere else.
#[derive(Debug)]
pub struct PasskeySite(Webauthn);

impl PasskeySite {
    /// The site at this address; none when its host is no domain name, since passkeys are not made for addresses.
    pub fn at(url: &str) -> Option<Self> {
        let origin = Url::parse(url).ok()?;
        let host = origin.domain()?.to_owned();
        let site = WebauthnBuilder::new(&host, &origin).ok()?.rp_name(NAME).build().ok()?;
        Some(Self(site))
    }

    /// Asks for a new passkey of `owner`, who has `known` already. Gives back `CredentialCreationOptions` as JSON.
    pub fn ask_for_new(
        &self,
        owner: [u8; 16],
        user_name: &str,
        display_name: &str,
        known: &[Passkey],
    ) -> Result<(Value, PasskeyRegistration), SealError> {
        let exclude = known.iter().map(|passkey| passkey.0.cred_id().clone()).collect();
        let owner = Uuid::from_bytes(owner);
        let started = self.0.start_passkey_registration(owner, user_name, display_name, Some(exclude));
        let (options, state) = started.map_err(|_| SealError::Refused("ask for a new passkey"))?;
        let mut options = to_json(&options)?;
        // The library asks for none; without one nobody can sign in by passkey alone.
        if let Some(selection) = options.pointer_mut("/publicKey/authenticatorSelection").and_then(Value::as_object_mut)
        {
            selection.insert(String::from("residentKey"), Value::from("preferred"));
        }
        Ok((options, PasskeyRegistration(state)))
    }

    /// The passkey that was made; none when the answer does not fit the challenge, the site, or the demands.
    pub fn made(&self, answer: &Value, asked: &PasskeyRegistration) -> Option<Passkey> {
        let answer = serde_json::from_value(answer.clone()).ok()?;
        self.0.finish_passkey_registration(&answer, &asked.0).ok().map(Passkey)
    }

    /// Asks somebody who has these passkeys to show one. Gives back `CredentialRequestOptions` as JSON.
    pub fn ask(&self, known: &[Passkey]) -> Result<(Value, PasskeyQuestion), SealError> {
        let known: Vec<_> = known.iter().map(|passkey| passkey.0.clone()).collect();
        let started = self.0.start_passkey_authentication(&known);
        let (options, state) = started.map_err(|_| SealError::Refused("ask for a passkey"))?;
        Ok((to_json(&options)?, PasskeyQuestion(Question::Known(state))))
    }

    /// Asks whoever has a passkey for this site to show it.
    pub fn ask_anyone(&self) -> Result<(Value, PasskeyQuestion), SealError> {
        let started = self.0.start_discoverable_authentication();
        let (options, state) = started.map_err(|_| SealError::Refused("ask for a passkey"))?;
        let mut options = to_json(&options)?;
        // Whether the question waits in a field or opens a dialogue is the page's choice.
        if let Some(options) = options.as_object_mut() {
            options.remove("mediation");
        }
        Ok((options, PasskeyQuestion(Question::Anyone(state))))
    }

    /// Which of `known`, the present passkeys of the person who was asked or of [`PasskeySite::owner_in`], gave this answer;
    /// none when it does not fit the challenge or the site, was not signed, did not verify its user, or counts backwards.
    pub fn answered(&self, answer: &Value, asked: PasskeyQuestion, known: &[Passkey]) -> Option<PasskeyAnswer> {
        let answer: PublicKeyCredential = serde_json::from_value(answer.clone()).ok()?;
        let index = known.iter().position(|passkey| passkey.id() == answer.get_credential_id())?;
        let outcome = match asked.0 {
            Question::Known(state) => self.0.finish_passkey_authentication(&answer, &state),
            Question::Anyone(state) => {
                self.0.finish_discoverable_authentication_v2(&answer, state, &known.get(index)?.0)
            }
        };
        let outcome = outcome.ok().filter(|outcome| outcome.user_verified())?;
        Some(PasskeyAnswer { index, counter: outcome.counter() })
    }

    /// Who an answer says it comes from (`userHandle`): a claim, until the answer was verified.
    pub fn owner_in(answer: &Value) -> Option<[u8; 16]> {
        let answer: PublicKeyCredential = serde_json::from_value(answer.clone()).ok()?;
        answer.get_user_unique_id().and_then(|id| <[u8; 16]>::try_from(id).ok())
    }
}

fn to_json<T: Serialize>(options: &T) -> Result<Value, SealError> {
    serde_json::to_value(options).map_err(|_| SealError::Refused("write a challenge"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_are_made_for_host_names_only() {
        for (url, works) in [
            ("https://localhost:8443", true),
            ("https://bartizan.test", true),
            ("https://127.0.0.1:8443", false),
            ("https://[::1]:8443", false),
            ("not an address", false),
        ] {
            assert_eq!(PasskeySite::at(url).is_some(), works, "{url}");
        }
    }

    #[test]
    fn challenges_demand_user_verification_and_name_the_site() {
        let site = PasskeySite::at("https://bartizan.test:8443").unwrap();
        let (new, _) = site.ask_for_new([7; 16], "ada", "Ada", &[]).unwrap();
        assert_eq!(new["publicKey"]["rp"]["id"], "bartizan.test");
        assert_eq!(new["publicKey"]["authenticatorSelection"]["userVerification"], "required");
        assert_eq!(new["publicKey"]["authenticatorSelection"]["residentKey"], "preferred");
        assert_eq!(new["publicKey"]["attestation"], "none");
        let (ask, _) = site.ask_anyone().unwrap();
        assert_eq!(ask["publicKey"]["userVerification"], "required");
        assert_eq!(ask["publicKey"]["rpId"], "bartizan.test");
        assert!(ask.get("mediation").is_none());
    }
}
