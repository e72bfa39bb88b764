//! The device grant (RFC 8628).

use std::time::Duration;

use domain::{
    gate::enter,
    identity::{
        AZURE_DEVELOPER_CLIENT, COMMAND_LINE_CLIENT, DecideDevice, DeviceRefusal, DeviceRequest, GetDeviceRequest,
    },
};
use kernel::{Caller, Secret, Source};

use super::stage::{SCOPE, Stage, Told, second_factor, with};
use crate::browser::{Browser, PASSWORD};

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

impl Stage {
    async fn start(&self, more: &[(&str, &str)]) -> Told {
        let client = COMMAND_LINE_CLIENT.to_string();
        let place = format!("/{}/oauth2/v2.0/devicecode", self.test.founded.tenant);
        self.post(&place, &with(&[("client_id", &client), ("scope", SCOPE)], more)).await
    }

    async fn poll(&self, code: &str, more: &[(&str, &str)]) -> Told {
        let client = COMMAND_LINE_CLIENT.to_string();
        let form = [
            ("grant_type", DEVICE),
            ("client_id", &client),
            ("client_info", "1"),
            ("device_code", code),
            ("code", code),
        ];
        self.token(&with(&form, more)).await
    }

    async fn look(&self, user_code: &str) -> Result<DeviceRequest, DeviceRefusal> {
        let op = GetDeviceRequest { session: self.cookie.clone(), user_code: user_code.to_owned() };
        enter(&self.test.house, &Caller::nobody(Source::internal()), op).await.unwrap()
    }

    async fn decide(&self, user_code: &str, approve: bool) -> Result<(), DeviceRefusal> {
        let op = DecideDevice { session: self.cookie.clone(), user_code: user_code.to_owned(), approve };
        enter(&self.test.house, &Caller::nobody(Source::internal()), op).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_gets_its_tokens_once_the_person_said_yes() {
    let stage = Stage::new().await;
    let device = stage.start(&[]).await;
    assert_eq!(
        (device.status, device.body["expires_in"].as_i64(), device.body["interval"].as_i64()),
        (200, Some(900), Some(5))
    );
    let (user_code, code) = (device.text("user_code"), device.text("device_code"));
    assert!(user_code.len() == 9 && user_code.as_bytes()[4] == b'-');
    let page = format!("{}/device", stage.test.house.settings().url);
    assert_eq!(device.text("verification_uri"), page);
    assert_eq!(device.text("verification_uri_complete"), format!("{page}?user_code={user_code}"));
    assert!(device.text("message").contains(&page) && device.text("message").contains(&user_code));

    stage.poll(&code, &[]).await.refuses("authorization_pending", 70_016);
    let shown = stage.look(&user_code.to_lowercase().replace('-', " ")).await.unwrap();
    assert_eq!(
        (shown.application.as_str(), shown.address.map(|ip| ip.to_string())),
        ("Bartizan command line", Some(String::from("127.0.0.1")))
    );
    assert!(shown.scope.contains("https://management.azure.com/.default"));
    stage.decide(&user_code, true).await.unwrap();
    assert_eq!(stage.decide(&user_code, false).await, Err(DeviceRefusal::UnknownCode), "decided is decided");

    // Of another client, or with two codes that differ, nothing is given.
    let azure = AZURE_DEVELOPER_CLIENT.to_string();
    stage.poll(&code, &[("client_id", &azure)]).await.refuses("invalid_grant", 70_000);
    stage.poll(&code, &[("code", "bzd_other")]).await.refuses("invalid_request", 900_144);
    let told = stage.poll(&code, &[]).await;
    assert_eq!((told.status, stage.status(&told.bearer()).await), (200, 200), "{}", told.body);
    for name in ["refresh_token", "id_token", "client_info", "scope"] {
        told.text(name);
    }
    // Single use: whoever redeems it again ends what it gave.
    stage.poll(&code, &[]).await.refuses("invalid_grant", 70_000);
    assert_eq!(stage.status(&told.bearer()).await, 401);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_waits_declines_and_expires_in_the_standard_s_words() {
    let stage = Stage::new().await;
    let device = stage.start(&[]).await;
    let code = device.text("device_code");
    // Either name of the code will do.
    stage.poll(&code, &[("code", "")]).await.refuses("authorization_pending", 70_016);
    stage.poll(&code, &[]).await.refuses("slow_down", 70_016);
    stage.test.clock.advance(Duration::from_secs(6));
    stage.poll(&code, &[]).await.refuses("slow_down", 70_016);
    stage.test.clock.advance(Duration::from_secs(16));
    let pending = stage.poll(&code, &[("device_code", "")]).await;
    pending.refuses("authorization_pending", 70_016);
    stage.decide(&device.text("user_code"), false).await.unwrap();
    stage.test.clock.advance(Duration::from_secs(16));
    stage.poll(&code, &[]).await.refuses("authorization_declined", 70_001);
    stage.poll(&code, &[]).await.refuses("invalid_grant", 70_000);

    let device = stage.start(&[]).await;
    stage.test.clock.advance(Duration::from_secs(899));
    assert!(stage.look(&device.text("user_code")).await.is_ok());
    stage.test.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.look(&device.text("user_code")).await, Err(DeviceRefusal::UnknownCode));
    stage.poll(&device.text("device_code"), &[]).await.refuses("expired_token", 70_020);

    stage.poll("bzd_x", &[]).await.refuses("invalid_grant", 70_000);
    stage.poll("", &[]).await.refuses("invalid_request", 900_144);
    let confidential = stage.register(|_| {}).await;
    stage
        .start(&[("client_id", &confidential), ("client_secret", stage.secret())])
        .await
        .refuses("unauthorized_client", 700_051);
    stage.start(&[("scope", "https://evil.example/.default")]).await.refuses("invalid_scope", 70_011);
    stage.end().await;
}

/// Somebody else's code is not found by trying, and a page without a session says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn user_codes_are_not_guessed() {
    let stage = Stage::new().await;
    let user_code = stage.start(&[]).await.text("user_code");
    for _ in 0..5 {
        assert_eq!(stage.look("BBBB-BBBB").await, Err(DeviceRefusal::UnknownCode));
    }
    assert_eq!(stage.look(&user_code).await, Err(DeviceRefusal::Throttled { seconds: 30 }), "the right one too");
    assert_eq!(stage.decide(&user_code, true).await, Err(DeviceRefusal::Throttled { seconds: 30 }));
    stage.test.clock.advance(Duration::from_secs(31));
    assert_eq!(stage.look("BBBB-BBBB").await, Err(DeviceRefusal::UnknownCode));
    assert_eq!(stage.look(&user_code).await, Err(DeviceRefusal::Throttled { seconds: 60 }), "the delay grows");
    stage.test.clock.advance(Duration::from_secs(61));
    assert!(stage.look(&user_code).await.is_ok());

    let stranger = Stage { cookie: Secret::new(String::from("x.y")), ..stage };
    assert_eq!(stranger.look(&user_code).await, Err(DeviceRefusal::SignIn));
    assert_eq!(stranger.decide(&user_code, true).await, Err(DeviceRefusal::SignIn));
    stranger.end().await;
}

/// The same at the page that people see.
#[tokio::test(flavor = "multi_thread")]
async fn the_device_page_slows_guesses_down_and_shows_nothing_to_nobody() {
    let stage = Stage::new().await;
    let device = stage.start(&[]).await;
    let user_code = device.text("user_code");
    let stranger = Browser::new(&stage.test);
    let form = stranger.get("/signin").await.field("form");
    for place in ["/device", "/device/decide"] {
        let fields = [("form", form.as_str()), ("user_code", &user_code), ("decision", "approve")];
        let page = stranger.post(place, &fields).await;
        assert_eq!(page.status, 303, "{place}: {}", page.html);
        assert!(page.location.starts_with("/signin?return=%2Fdevice"), "{place}: {}", page.location);
        assert!(!page.says("Bartizan command line"), "{place}");
    }
    stage.poll(&device.text("device_code"), &[]).await.refuses("authorization_pending", 70_016);

    let person = Browser::new(&stage.test);
    person.sign_in(PASSWORD, "").await;
    let form = person.get("/device").await.field("form");
    let enter = async |place: &str, code: &str| {
        person.post(place, &[("form", form.as_str()), ("user_code", code), ("decision", "approve")]).await
    };
    for _ in 0..5 {
        let page = enter("/device", "BBBB-BBBB").await;
        assert!(page.status == 400 && page.headers["retry-after"].is_empty(), "{}", page.html);
    }
    for place in ["/device", "/device/decide"] {
        let page = enter(place, &user_code).await;
        assert_eq!((page.status, page.headers["retry-after"].as_str()), (429, "30"), "{place}: the right one too");
        assert!(!page.says("Bartizan command line"), "{place}");
    }
    stage.test.clock.advance(Duration::from_secs(31));
    stage.poll(&device.text("device_code"), &[]).await.refuses("authorization_pending", 70_016);
    let page = enter("/device", &user_code).await;
    assert!(page.status == 200 && page.says("Bartizan command line"), "{}", page.html);
    assert_eq!(enter("/device/decide", &user_code).await.status, 200);
    stage.test.clock.advance(Duration::from_secs(6));
    assert_eq!(stage.poll(&device.text("device_code"), &[]).await.status, 200);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_does_not_fill_the_waiting_room() {
    let stage = Stage::new().await;
    for _ in 0..100 {
        assert_eq!(stage.start(&[]).await.status, 200);
    }
    let told = stage.start(&[]).await;
    assert_eq!((told.status, told.text("error").as_str()), (429, "temporarily_unavailable"));
    assert!(told.retry_after.is_some());
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_needs_a_second_factor_waits_for_one() {
    let stage = Stage::new().await;
    let claims = second_factor();
    let device = stage.start(&[("claims", &claims)]).await;
    assert_eq!(stage.decide(&device.text("user_code"), true).await, Err(DeviceRefusal::SecondFactor));
    stage.poll(&device.text("device_code"), &[]).await.refuses("authorization_pending", 70_016);
    // Saying no takes one factor.
    stage.decide(&device.text("user_code"), false).await.unwrap();
    stage.end().await;
}
