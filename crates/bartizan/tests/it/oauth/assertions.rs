//! Assertions under certificates (RFC 7523 §2.2).

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    robot::Robot,
    stage::{Stage, Told, claims_of},
};

const ARM: &str = "https://management.azure.com/.default";
const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

struct Scene {
    stage: Stage,
    app: String,
    robot: Robot,
}

impl Scene {
    async fn new(robot: Robot) -> Self {
        let stage = Stage::new().await;
        let certificate = robot.registered();
        let app = stage.register(|app| app.certificates = vec![certificate]).await;
        Self { stage, app, robot }
    }

    /// As Microsoft's library makes them: times are fractions.
    fn claims(&self) -> Value {
        let now = f64::from(u32::try_from(self.stage.test.house.now().seconds()).unwrap()) + 0.25;
        let place = format!("{}{}", self.stage.test.house.settings().url, self.stage.token_place());
        json!({"iss": self.app, "sub": self.app, "aud": place, "jti": Uuid::new_v4(), "iat": now, "exp": now + 600.0})
    }

    fn without(&self, name: &str) -> Value {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().remove(name);
        claims
    }

    fn with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[name] = value;
        claims
    }

    async fn show(&self, assertion: &str, scope: &str) -> Told {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.app.as_str()),
            ("client_assertion_type", KIND),
            ("client_assertion", assertion),
            ("scope", scope),
        ];
        self.stage.token(&form).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_s_assertion_is_believed_in_each_of_its_forms() {
    for (robot, algorithms) in [(Robot::rsa(), vec!["RS256", "PS256"]), (Robot::curve(), vec!["ES256"])] {
        let scene = Scene::new(robot).await;
        for alg in algorithms {
            for header in [scene.robot.header(alg), scene.robot.header_s256(alg)] {
                let told = scene.show(&scene.robot.sign(&header, &scene.claims()), ARM).await;
                assert_eq!(told.status, 200, "{alg}: {}", told.body);
                assert_eq!(claims_of(&told.text("access_token"))["appid"], scene.app);
            }
        }
        // The issuer is as good an audience, and the client id may be left to the assertion.
        let header = scene.robot.header_s256(scene.robot.algorithm());
        let assertion = scene.robot.sign(&header, &scene.with("aud", json!(scene.stage.issuer())));
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", KIND),
            ("client_assertion", assertion.as_str()),
            ("scope", ARM),
        ];
        assert_eq!(scene.stage.token(&form).await.status, 200);
        scene.stage.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_or_foreign_assertion_is_not() {
    let scene = Scene::new(Robot::curve()).await;
    let now = scene.stage.test.house.now().seconds();
    let (header, stranger) = (scene.robot.header_s256("ES256"), Robot::curve());
    let bad = [
        ("another's signature", stranger.sign(&header, &scene.claims())),
        ("another's certificate", stranger.sign(&stranger.header_s256("ES256"), &scene.claims())),
        ("no signature", scene.robot.sign(&scene.robot.header_s256("none"), &scene.claims())),
        ("a keyed hash under the certificate", scene.robot.sign(&scene.robot.header_s256("HS256"), &scene.claims())),
        ("another algorithm's name", scene.robot.sign(&scene.robot.header_s256("RS256"), &scene.claims())),
        ("no certificate named", scene.robot.sign(&json!({"alg": "ES256", "kid": "1"}), &scene.claims())),
        ("a critical extension", {
            let mut header = header.clone();
            header["crit"] = json!(["exp"]);
            scene.robot.sign(&header, &scene.claims())
        }),
        ("another audience", scene.robot.sign(&header, &scene.with("aud", json!("https://login.evil.example/token")))),
        ("two audiences", scene.robot.sign(&header, &scene.with("aud", json!([scene.stage.issuer(), "x"])))),
        (
            "another issuer",
            scene.robot.sign(&header, &scene.with("iss", json!("6f9619ff-8b86-d011-b42d-00c04fc964ff"))),
        ),
        ("another subject", scene.robot.sign(&header, &scene.with("sub", json!(scene.stage.test.founded.app)))),
        ("no name of its own", scene.robot.sign(&header, &scene.without("jti"))),
        ("no audience", scene.robot.sign(&header, &scene.without("aud"))),
        ("no end", scene.robot.sign(&header, &scene.without("exp"))),
        ("no token", String::from("x")),
    ];
    for (what, assertion) in &bad {
        let told = scene.show(assertion, ARM).await;
        assert_eq!(told.body["error"], "invalid_client", "{what}");
        told.refuses("invalid_client", 700_027);
    }
    let times = [
        ("expired", scene.with("exp", json!(now))),
        ("for an hour", scene.with("exp", json!(now + 3600))),
        ("from the future", scene.with("iat", json!(now + 120))),
        ("not yet valid", scene.with("nbf", json!(now + 120))),
    ];
    for (what, claims) in times {
        let told = scene.show(&scene.robot.sign(&header, &claims), ARM).await;
        assert_eq!(told.body["error_codes"][0], 700_024, "{what}");
        told.refuses("invalid_client", 700_024);
    }
    // The same claims, untouched, are fine.
    assert_eq!(scene.show(&scene.robot.sign(&header, &scene.claims()), ARM).await.status, 200);
    scene.stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_is_not_shown_twice() {
    let scene = Scene::new(Robot::curve()).await;
    let assertion = scene.robot.sign(&scene.robot.header_s256("ES256"), &scene.claims());
    assert_eq!(scene.show(&assertion, ARM).await.status, 200);
    scene.show(&assertion, ARM).await.refuses("invalid_client", 700_023);
    // For another resource it is another request: Microsoft's libraries keep one for nine minutes.
    assert_eq!(scene.show(&assertion, "https://storage.azure.com/.default").await.status, 200);
    scene.show(&assertion, "https://storage.azure.com/.default").await.refuses("invalid_client", 700_023);
    // It is bound to its application.
    let certificate = scene.robot.registered();
    let other = scene.stage.register(|app| app.certificates = vec![certificate]).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", other.as_str()),
        ("client_assertion_type", KIND),
        ("client_assertion", assertion.as_str()),
        ("scope", ARM),
    ];
    scene.stage.token(&form).await.refuses("invalid_client", 700_027);
    scene.stage.test.clock.advance(Duration::from_secs(601));
    scene.show(&assertion, ARM).await.refuses("invalid_client", 700_024);
    scene.stage.end().await;
}

/// A certificate that has ended, or was taken away, is nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_proves_nothing() {
    let scene = Scene::new(Robot::curve()).await;
    let mut certificate = scene.robot.registered();
    certificate.expires_at = scene.stage.test.house.now();
    let app = scene.stage.register(|app| app.certificates = vec![certificate]).await;
    let mut claims = scene.claims();
    (claims["iss"], claims["sub"]) = (json!(app), json!(app));
    let assertion = scene.robot.sign(&scene.robot.header("ES256"), &claims);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", app.as_str()),
        ("client_assertion_type", KIND),
        ("client_assertion", assertion.as_str()),
        ("scope", ARM),
    ];
    scene.stage.token(&form).await.refuses("invalid_client", 700_027);
    scene.stage.end().await;
}
