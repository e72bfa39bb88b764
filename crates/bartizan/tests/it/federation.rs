//! Sign-in through another provider, as browsers and administrators meet it. Whole sign-ins run against a real provider, in the
//! process tests.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use kernel::{Secret, Web, WebAnswer, WebError, WebReply, WebRequest};
use outbound::{Method, Reach, WebClient};
use seal::{TokenKey, TokenKeys};
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    house::{TestHouse, Who},
    oauth::pairs,
};

/// Who issues tokens elsewhere.
pub const ISSUER: &str = "https://idp.example";

/// Elsewhere there is one provider; its token endpoint gives what a test puts there.
pub struct OneProvider {
    pub keys: TokenKeys,
    given: Mutex<Value>,
    redeemed: AtomicUsize,
    beyond: Mutex<Option<Arc<WebClient>>>,
}

impl Default for OneProvider {
    fn default() -> Self {
        Self { keys: fresh_keys(), given: Mutex::default(), redeemed: AtomicUsize::new(0), beyond: Mutex::default() }
    }
}

pub fn fresh_keys() -> TokenKeys {
    let (kid, document) = TokenKey::generate().unwrap();
    TokenKeys::new(vec![TokenKey::new(kid, document).unwrap()])
}

impl OneProvider {
    /// Lets real servers on this machine be met, by these names.
    pub fn open_to(&self, hosts: &[String]) {
        let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let client = WebClient::new(Reach { hosts, ..Reach::default() }, WebClient::PATIENCE).unwrap();
        *self.beyond.lock().unwrap() = Some(Arc::new(client));
    }

    fn beyond(&self) -> Option<Arc<WebClient>> {
        self.beyond.lock().unwrap().clone()
    }
}

#[async_trait]
impl Web for OneProvider {
    fn permits(&self, url: &str) -> Result<(), WebError> {
        if let Some(client) = self.beyond() {
            return client.permits(url);
        }
        match url.starts_with("https://idp.example/") {
            true => Ok(()),
            false => Err(WebError::Refused(String::from("`elsewhere` is not among the servers that may be reached"))),
        }
    }

    async fn get(&self, url: &str, _most: usize) -> Result<WebAnswer, WebError> {
        self.permits(url)?;
        let key = |key: seal::PublicKey| json!({"kty": "EC", "crv": "P-256", "kid": key.kid, "x": key.x, "y": key.y});
        let document = match url.ends_with("/keys") {
            true => json!({"keys": self.keys.public().into_iter().map(key).collect::<Vec<_>>()}),
            false => json!({
                "issuer": ISSUER,
                "authorization_endpoint": "https://idp.example/authorize",
                "token_endpoint": "https://idp.example/token",
                "jwks_uri": "https://idp.example/keys",
                "authorization_response_iss_parameter_supported": true,
            }),
        };
        Ok(WebAnswer { status: 200, body: document.to_string().into() })
    }

    async fn post_form(
        &self,
        url: &str,
        _fields: &[(&str, &str)],
        _basic: Option<(&str, &Secret<String>)>,
        _most: usize,
    ) -> Result<WebAnswer, WebError> {
        self.permits(url)?;
        self.redeemed.fetch_add(1, Ordering::Relaxed);
        Ok(WebAnswer { status: 200, body: self.given.lock().unwrap().to_string().into() })
    }

    async fn send(&self, request: WebRequest<'_>) -> Result<WebReply, WebError> {
        self.beyond().expect("a test that opened it").send(request).await
    }

    async fn pour(&self, place: &str, bytes: Bytes) -> Result<(), WebError> {
        self.beyond().expect("a test that opened it").pour(place, bytes).await
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

/// A sign-in that a browser has begun at a provider.
struct Begun {
    callback: String,
    state: String,
    nonce: String,
    cookie: String,
}

async fn begin(test: &TestHouse, start: &str) -> Begun {
    let (_, location, cookie, _) = browse(test, start, &[]).await;
    let said = pairs(location.split_once('?').unwrap().1);
    let cookie = cookie.split(';').next().unwrap().to_owned();
    Begun { callback: format!("{start}/callback"), state: said["state"].clone(), nonce: said["nonce"].clone(), cookie }
}

impl Begun {
    /// The provider sends the browser back, and gives this token for its code.
    async fn end(&self, test: &TestHouse, issuer: &str, token: String) -> (u16, String, String) {
        *test.elsewhere.given.lock().unwrap() =
            json!({"id_token": token, "access_token": "at", "token_type": "Bearer"});
        let place = format!("{}?state={}&code=c1{issuer}", self.callback, self.state);
        let (status, location, cookie, _) = browse(test, &place, &[("cookie", &self.cookie)]).await;
        (status, location, cookie)
    }

    fn claims(&self, test: &TestHouse) -> Value {
        let now = test.house.now().seconds();
        json!({
            "iss": ISSUER, "sub": "ann-1", "aud": "bartizan", "nonce": self.nonce, "iat": now, "exp": now + 300,
            "preferred_username": "ann",
        })
    }
}

/// With a provider that makes users of whoever comes; gives where a sign-in there begins.
async fn with_open_provider() -> (TestHouse, String) {
    let (test, callers) = TestHouse::new().await;
    let mut body = corp();
    body["createsUsers"] = json!(true);
    let (status, made) = test.ask(callers.token(Who::Owner), Method::POST, PROVIDERS, Some(&body)).await;
    assert_eq!(status, 201, "{made}");
    (test, format!("/signin/federated/{}", made["id"].as_str().unwrap()))
}

fn is_signed_in(answer: &(u16, String, String)) -> bool {
    answer.0 == 303 && answer.2.starts_with("__Host-bartizan=")
}

fn is_refused(answer: &(u16, String, String)) -> bool {
    answer.0 >= 400 && answer.1.is_empty() && answer.2.starts_with("__Host-bartizan-federated=;")
}

/// RFC 9207 §2.4, for a provider that says it names itself.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_the_provider_s_redeems_no_code() {
    let (test, start) = with_open_provider().await;
    let foreign = [
        "",
        "&iss=",
        "&iss=https%3A%2F%2Fevil.example",
        "&iss=https%3A%2F%2Fidp.example%2F",
        "&iss=https%3A%2F%2Fidp.example&iss=https%3A%2F%2Fidp.example",
        "&iss=https%3A%2F%2Fevil.example&error=access_denied",
    ];
    for issuer in foreign {
        let begun = begin(&test, &start).await;
        let token = test.elsewhere.keys.sign("JWT", &begun.claims(&test)).unwrap().expose().clone();
        let answer = begun.end(&test, issuer, token).await;
        assert!(is_refused(&answer), "{issuer}: {answer:?}");
    }
    assert_eq!(test.elsewhere.redeemed.load(Ordering::Relaxed), 0);
    let begun = begin(&test, &start).await;
    let token = test.elsewhere.keys.sign("JWT", &begun.claims(&test)).unwrap().expose().clone();
    let answer = begun.end(&test, "&iss=https%3A%2F%2Fidp.example", token).await;
    assert!(is_signed_in(&answer), "{answer:?}");
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_id_token_signs_nobody_in() {
    let (test, start) = with_open_provider().await;
    let now = test.house.now().seconds();
    let changes = [
        ("iss", json!("https://evil.example")),
        ("iss", json!(null)),
        ("aud", json!("somebody-else")),
        ("aud", json!(["bartizan", "somebody-else"])),
        ("azp", json!("somebody-else")),
        ("nonce", json!("another")),
        ("nonce", json!(null)),
        ("exp", json!(now - 61)),
        ("exp", json!(null)),
        ("iat", json!(now + 61)),
        ("sub", json!("")),
    ];
    let sent = async |forge: &dyn Fn(Value) -> String| {
        let begun = begin(&test, &start).await;
        let token = forge(begun.claims(&test));
        begun.end(&test, "&iss=https%3A%2F%2Fidp.example", token).await
    };
    let sign = |claims: &Value| test.elsewhere.keys.sign("JWT", claims).unwrap().expose().clone();
    for (name, value) in changes {
        let answer = sent(&|mut claims: Value| {
            claims[name] = value.clone();
            sign(&claims)
        })
        .await;
        assert!(is_refused(&answer), "{name} {value}: {answer:?}");
    }
    let unsigned = |claims: Value| {
        let token = sign(&claims);
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "typ": "JWT"}).to_string());
        format!("{header}.{}.", token.split('.').nth(1).unwrap())
    };
    let answer = sent(&unsigned).await;
    assert!(is_refused(&answer), "unsigned: {answer:?}");
    let answer = sent(&|claims| fresh_keys().sign("JWT", &claims).unwrap().expose().clone()).await;
    assert!(is_refused(&answer), "another's key: {answer:?}");
    let answer = sent(&|claims| sign(&claims)).await;
    assert!(is_signed_in(&answer), "{answer:?}");
    test.end().await;
}

/// The question to the provider says so (OpenID Connect Core §3.1.2.1), and the provider's silence is no answer to it.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_wants_a_fresh_proof_gets_none_from_a_silent_provider() {
    let (test, start) = with_open_provider().await;
    let browser = Browser::new(&test);
    // By this link to the provider and back, which says when the person proved themselves there.
    let through = async |link: &str, proved_at: Option<i64>| {
        let location = browser.get(link).await.location;
        let said = pairs(location.split_once('?').unwrap().1);
        let (state, nonce) = (said["state"].clone(), said["nonce"].clone());
        let begun = Begun { callback: format!("{start}/callback"), state, nonce, cookie: String::new() };
        let mut claims = begun.claims(&test);
        if let Some(at) = proved_at {
            claims["auth_time"] = json!(at);
        }
        let token = test.elsewhere.keys.sign("JWT", &claims).unwrap().expose().clone();
        *test.elsewhere.given.lock().unwrap() =
            json!({"id_token": token, "access_token": "at", "token_type": "Bearer"});
        let place = format!("{}?state={}&code=c1&iss=https%3A%2F%2Fidp.example", begun.callback, begun.state);
        (browser.get(&place).await, location)
    };
    let long_ago = test.house.now().seconds() - 3600;
    for asked in ["prompt=login", "max_age=600"] {
        assert_eq!(through(&start, Some(long_ago)).await.0.status, 303, "signed in for something else");
        let place = format!(
            "/{}/oauth2/v2.0/authorize?client_id=04b07795-8ddb-461a-bbee-02f9e1bf7b46&response_type=code&scope=openid&\
             redirect_uri=http%3A%2F%2Flocalhost%3A8400&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&\
             code_challenge_method=S256&{asked}",
            test.founded.tenant
        );
        let to_page = browser.get(&place).await.location;
        let back = pairs(to_page.split_once('?').unwrap().1)["return"].clone();
        let page = browser.get(&to_page).await.html;
        let link = page.split_once("class=\"button other\" href=\"").unwrap().1.split('"').next().unwrap();
        let link = link.replace("&#38;", "&");
        for proved_at in [None, Some(long_ago)] {
            let (answer, location) = through(&link, proved_at).await;
            assert!(location.ends_with("&prompt=login&max_age=0"), "{asked}: {location}");
            assert_eq!(answer.status, 403, "{asked}, {proved_at:?}: {}", answer.location);
            assert!(answer.says("once more"), "{asked}, {proved_at:?}: {}", answer.html);
            // Nor does it help to leave out in the link that it was asked for.
            assert_eq!(through(&link.replace("&again=1", ""), proved_at).await.0.status, 303);
            let location = browser.get(&back).await.location;
            assert!(location.starts_with("/signin?") && location.contains("&again=1"), "{asked}: {location}");
        }
        let now = test.house.now().seconds();
        assert_eq!(through(&link, Some(now)).await.0.status, 303, "{asked}");
        let location = browser.get(&back).await.location;
        assert!(location.starts_with("http://localhost:8400?code="), "{asked}: {location}");
    }
    test.end().await;
}
