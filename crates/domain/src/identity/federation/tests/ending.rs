//! What ends with a provider, of what applications hold.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Secret, Source};
use seal::Sha256;

use super::stand::Stand;
use crate::identity::{
    Authorize, AuthorizeOutcome, AuthorizeRequest, COMMAND_LINE_CLIENT, ClientClaim, ClientProof,
    DeleteIdentityProvider, ProviderForm, RedeemCode, RefreshTokens, SignedIn, TokenRefusal, TokenSet,
    UpdateIdentityProvider, identify,
};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const REDIRECT: &str = "http://localhost:8400";

fn client() -> ClientClaim {
    ClientClaim { tenant: String::from("common"), id: COMMAND_LINE_CLIENT.to_string(), proof: ClientProof::None }
}

impl Stand {
    /// What the command line gets for whoever has this session.
    async fn tokens(&self, signed: &SignedIn) -> TokenSet {
        let client_id = COMMAND_LINE_CLIENT.to_string();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::of(VERIFIER.as_bytes()));
        let mut asked = vec![
            ("client_id", client_id),
            ("response_type", String::from("code")),
            ("redirect_uri", String::from(REDIRECT)),
            ("scope", String::from("https://management.azure.com/.default offline_access")),
            ("code_challenge", challenge),
            ("code_challenge_method", String::from("S256")),
        ];
        let code = loop {
            let pairs = asked.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let (query, tenant) = (AuthorizeRequest::new(pairs), String::from("common"));
            let (session, browser) = (Some(signed.cookie.clone()), Secret::new(String::from("browser")));
            match self.browse(Authorize { tenant, query, session, browser }).await {
                AuthorizeOutcome::Answer { parameters, .. } => break parameters[0].1.clone(),
                AuthorizeOutcome::SignIn { ticket, .. } => {
                    assert_eq!(asked.len(), 6, "asked twice");
                    asked.push((AuthorizeRequest::TICKET, ticket.expose().clone()));
                }
                other => panic!("{other:?}"),
            }
        };
        let redeem = RedeemCode {
            client: client(),
            code: Secret::new(code),
            verifier: Some(Secret::new(String::from(VERIFIER))),
            redirect_uri: String::from(REDIRECT),
            scope: String::new(),
            claims: None,
        };
        self.browse(redeem).await.unwrap()
    }

    async fn refresh(&self, tokens: &TokenSet) -> Result<TokenSet, TokenRefusal> {
        let token = tokens.refresh_token.clone().unwrap();
        self.browse(RefreshTokens { client: client(), token, scope: String::new(), claims: None }).await
    }

    async fn is_known(&self, tokens: &TokenSet) -> bool {
        identify(&self.house, tokens.access.token.expose(), Source::internal()).await.is_ok()
    }
}

/// The browser is closed, and the command line goes on: that is what has to end.
#[tokio::test]
async fn tokens_of_a_browser_that_went_silent_end_with_the_provider_too() {
    for is_deleted in [false, true] {
        let stand = Stand::new().await;
        let (idp, provider) = stand.open_provider().await;
        let signed = stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
        let mut tokens = stand.tokens(&signed).await;
        for _ in 0..13 {
            stand.pass(3601);
            tokens = stand.refresh(&tokens).await.unwrap();
        }
        assert!(stand.session(&signed).await.is_none() && stand.is_known(&tokens).await);
        match is_deleted {
            true => stand.ask(DeleteIdentityProvider { provider: provider.id }).await.unwrap(),
            false => {
                let form = ProviderForm { is_enabled: Some(false), ..ProviderForm::default() };
                let op = UpdateIdentityProvider { provider: provider.id, form, is_refreshed: false };
                drop(stand.ask(op).await.unwrap());
            }
        }
        assert!(!stand.is_known(&tokens).await, "deleted: {is_deleted}");
        assert_eq!(stand.refresh(&tokens).await.err(), Some(TokenRefusal::GrantRevoked), "deleted: {is_deleted}");
    }
}
