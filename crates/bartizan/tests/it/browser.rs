//! A browser without JavaScript: it keeps cookies, sends forms, and follows nothing.

use std::{cell::RefCell, collections::BTreeMap};

use outbound::Method;

use crate::house::TestHouse;

/// The admin user of a test house.
pub const USER: &str = "admin";
/// Its password.
pub const PASSWORD: &str = "correct horse battery";

/// What came back.
pub struct Page {
    pub status: u16,
    pub location: String,
    pub headers: BTreeMap<String, String>,
    pub html: String,
}

/// A browser: it keeps cookies, and says where its requests come from.
pub struct Browser<'a> {
    test: &'a TestHouse,
    pub cookies: RefCell<BTreeMap<String, String>>,
    pub language: &'static str,
}

const LOOKED_AT: &[&str] = &[
    "content-type",
    "content-language",
    "content-security-policy",
    "cache-control",
    "cross-origin-opener-policy",
    "referrer-policy",
    "retry-after",
    "set-cookie",
    "vary",
    "x-content-type-options",
    "x-frame-options",
];

impl<'a> Browser<'a> {
    pub fn new(test: &'a TestHouse) -> Self {
        Self { test, cookies: RefCell::default(), language: "en" }
    }

    pub async fn send(
        &self,
        method: Method,
        place: &str,
        headers: &[(&str, &str)],
        fields: Option<&[(&str, &str)]>,
    ) -> Page {
        let jar: Vec<String> = self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut call = self.test.client().call(method, place).header("accept-language", self.language);
        if !jar.is_empty() {
            call = call.header("cookie", &jar.join("; "));
        }
        for (name, value) in headers {
            call = call.header(name, value);
        }
        if let Some(fields) = fields {
            call = call.form(fields);
        }
        let answer = call.send().await.unwrap_or_else(|fault| panic!("{place}: {fault}"));
        let said = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        let headers: BTreeMap<_, _> = LOOKED_AT.iter().map(|name| ((*name).to_owned(), said(name))).collect();
        let (status, location) = (answer.status().as_u16(), said("location"));
        if let Some((name, rest)) = headers["set-cookie"].split_once('=') {
            let value = rest.split(';').next().unwrap().to_owned();
            if value.is_empty() {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.cookies.borrow_mut().insert(name.to_owned(), value);
            }
        }
        let html = String::from_utf8(answer.bytes(1 << 20).await.unwrap().to_vec()).unwrap();
        Page { status, location, headers, html }
    }

    pub async fn get(&self, place: &str) -> Page {
        self.send(Method::GET, place, &[], None).await
    }

    /// Sends a form as a browser does from a page of the same origin.
    pub async fn post(&self, place: &str, fields: &[(&str, &str)]) -> Page {
        self.send(Method::POST, place, &[("sec-fetch-site", "same-origin"), ("origin", "null")], Some(fields)).await
    }

    pub async fn sign_in(&self, password: &str, return_to: &str) -> Page {
        let form = self.get("/signin").await.field("form");
        let fields = [("form", form.as_str()), ("user_name", USER), ("password", password), ("return", return_to)];
        self.post("/signin", &fields).await
    }

    pub fn session(&self) -> Option<String> {
        self.cookies.borrow().get("__Host-bartizan").cloned()
    }
}

impl Page {
    /// The value of a hidden field.
    pub fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.html.split_once(&start).unwrap_or_else(|| panic!("no `{name}` in {}", self.html));
        rest.split('"').next().unwrap().to_owned()
    }

    pub fn says(&self, text: &str) -> bool {
        self.html.contains(text)
    }
}
