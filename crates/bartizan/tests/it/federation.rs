//! Sign-in through another provider, as browsers and administrators meet it. Whole sign-ins run against a real provider, in the
//! process tests.

use async_trait::async_trait;
use kernel::{Secret, Web, WebAnswer, WebError};
use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

/// Elsewhere there is one provider, and it has documents only.
pub struct OneProvider;

#[async_trait]
impl Web for OneProvider {
    fn permits(&self, url: &str) -> Result<(), WebError> {
        match url.starts_with("https://idp.example/") {
            true => Ok(()),
            false => Err(WebError::Refused(String::from("`elsewhere` is not among the servers that may be reached"))),
        }
    }

    async fn get(&self, url: &str, _most: usize) -> Result<WebAnswer, WebError> {
        self.permits(url)?;
        let document = json!({
            "issuer": "https://idp.example",
            "authorization_endpoint": "https://idp.example/authorize",
            "token_endpoint": "https://idp.example/token",
            "jwks_uri": "https://idp.example/keys",
        });
        Ok(WebAnswer { status: 200, body: document.to_string().into() })
    }

    async fn post_form(
        &self,
        url: &str,
        _fields: &[(&str, &str)],
        _basic: Option<(&str, &Secret<String>)>,
        most: usize,
    ) -> Result<WebAnswer, WebError> {
        self.get(url, most).await
    }
}

const PROVIDERS: &str = "/graph/v1.0/identity/identityProviders";

fn corp() -> Value {
    json!({
        "@odata.type": "#microsoft.graph.openIdConnectIdentityProvider",
        "displayName": "Corp",
        "issuer": "https://idp.example",
        "clientId": "bartizan",
        "clientSecret": "a secret of theirs",
    })
}

/// What a browser sees: status, the place it is sent to, cookies, the page.
async fn browse(test: &TestHouse, place: &str, headers: &[(&str, &str)]) -> (u16, String, String, String) {
    let mut call = test.client().get(place);
    for (name, value) in headers {
        call = call.header(name, value);
    }
    let answer = call.send().await.unwrap();
    let text = |name: &str| answer.header(name).unwrap_or_default().to_owned();
    let (status, location, cookie) = (answer.status().as_u16(), text("location"), text("set-cookie"));
    let page = answer.bytes(1 << 20).await.unwrap();
    (status, location, cookie, String::from_utf8(page.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_made_known_changed_and_deleted_and_its_secret_is_never_shown() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let (status, made) = test.ask(owner, Method::POST, PROVIDERS, Some(&corp())).await;
    assert_eq!(status, 201, "{made}");
    let one = format!("{PROVIDERS}/{}", made["id"].as_str().unwrap());
    let url = &test.house.settings().url;
    assert_eq!(made["redirectUri"], format!("{url}/signin/federated/{}/callback", made["id"].as_str().unwrap()));
    assert_eq!(
        (&made["clientSecret"], &made["isEnabled"], &made["createsUsers"]),
        (&json!("******"), &json!(true), &json!(false))
    );

    let change = json!({"createsUsers": true, "multiFactor": {"amr": ["mfa"]}, "scopes": ["profile"]});
    let (status, changed) = test.ask(owner, Method::PATCH, &one, Some(&change)).await;
    assert_eq!(
        (status, &changed["createsUsers"], &changed["multiFactor"]["amr"]),
        (200, &json!(true), &json!(["mfa"]))
    );
    let (_, listed) = test.ask(owner, Method::GET, PROVIDERS, None).await;
    assert_eq!(listed["value"][0], changed);
    for said in [&made, &changed, &listed] {
        assert!(!said.to_string().contains("a secret of theirs"));
    }

    let twice = test.ask(owner, Method::POST, PROVIDERS, Some(&corp())).await;
    assert_eq!(twice.0, 409, "{}", twice.1);
    let refused = [
        (json!({"issuer": "https://elsewhere.example"}), "issuer"),
        (json!({"issuer": "https://idp.example/other"}), "issuer"),
        (json!({"@odata.type": "#microsoft.graph.samlOrWsFedProvider"}), "@odata.type"),
        (json!({"isAdministrator": true}), "isAdministrator"),
        (json!({"groupMappings": [{"value": "a", "groupId": "x"}]}), "groupMappings"),
    ];
    for (change, field) in refused {
        let mut body = corp();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, said) = test.ask(owner, Method::POST, PROVIDERS, Some(&body)).await;
        assert_eq!(status, 400, "{change}");
        assert!(said["error"]["message"].as_str().unwrap().contains(field), "{said}");
    }
    assert_eq!(test.ask(owner, Method::DELETE, &one, None).await.0, 204);
    assert_eq!(test.ask(owner, Method::GET, &one, None).await.0, 404);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_sent_to_the_provider_and_what_nobody_began_is_refused() {
    let (test, callers) = TestHouse::new().await;
    let (_, made) = test.ask(callers.token(Who::Owner), Method::POST, PROVIDERS, Some(&corp())).await;
    let start = format!("/signin/federated/{}", made["id"].as_str().unwrap());
    let (status, location, cookie, _) = browse(&test, &start, &[]).await;
    assert_eq!(status, 303);
    assert!(location.starts_with("https://idp.example/authorize?response_type=code&client_id=bartizan&"), "{location}");
    assert!(location.contains("&code_challenge_method=S256") && location.contains("&nonce="), "{location}");
    let (name, rules) = cookie.split_once('=').unwrap();
    assert_eq!(name, "__Host-bartizan-federated");
    for rule in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=600"] {
        assert!(rules.contains(rule), "{cookie}");
    }
    let state = location.split("&state=").nth(1).unwrap().split('&').next().unwrap();
    let kept = cookie.split(';').next().unwrap();

    let callback = format!("{start}/callback");
    let cases = [
        ("nothing", String::new(), kept),
        ("another state", String::from("?state=x&code=c"), kept),
        ("no cookie", format!("?state={state}&code=c"), "a=b"),
        ("a state twice", format!("?state={state}&state={state}&code=c"), kept),
    ];
    for (name, query, cookie) in cases {
        let (status, location, gone, page) = browse(&test, &format!("{callback}{query}"), &[("cookie", cookie)]).await;
        assert_eq!((status, location.as_str()), (400, ""), "{name}");
        assert!(gone.starts_with("__Host-bartizan-federated=;") && gone.contains("Max-Age=0"), "{name}: {gone}");
        assert!(page.contains("<html") && !page.contains(state), "{name}: {page}");
    }
    let japanese = browse(&test, &format!("{callback}?state=x"), &[("accept-language", "ja")]).await;
    assert!(japanese.3.contains("やり直してください"), "{}", japanese.3);
    for place in ["/signin/federated/x", "/signin/federated/6f9619ff-8b86-d011-b42d-00c04fc964ff"] {
        assert_eq!(browse(&test, place, &[]).await.0, 404, "{place}");
    }
    test.end().await;
}
