//! Fields of a request, from its JSON body or its query, read one by one with MLflow's own words for what is wrong. Fields
//! that nobody asks for are ignored, and so can mean nothing.

use std::collections::BTreeMap;
use std::borrow::Cow;

use bytes::Bytes;
use domain::tracking::{Query, View, text};
use http::header;
use kernel::{Error, Kind, Result};
use serde_json::{Map, Value};

use super::json;
use crate::Guest;

/// Most items of a list.
const MOST_ITEMS: usize = 20_000;

/// The fields of one object.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(Cow<'a, Map<String, Value>>);

impl Fields<'static> {
    /// The body of a POST, which must say that it is JSON: what a foreign web page can make a browser send does not.
    pub(super) async fn posted(guest: Guest) -> Result<Self> {
        Self::parse(&Self::bytes(guest).await?)
    }

    /// The bytes of such a body.
    pub(super) async fn bytes(guest: Guest) -> Result<Bytes> {
        let kind = guest.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Error::new(Kind::Invalid, "Bad Request. Content-Type must be 'application/json'."));
        }
        guest.bytes().await
    }

    /// The body of a PATCH or DELETE.
    pub(super) async fn body(guest: Guest) -> Result<Self> {
        Self::parse(&guest.bytes().await?)
    }

    /// Reads a body.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let malformed = |fault: String| Error::new(Kind::Invalid, format!("Malformed JSON in the body: {fault}"));
        let mut value = json::parse(bytes).map_err(malformed)?;
        // Very old clients send a JSON text that holds the JSON.
        if let Value::String(inner) = &value {
            value = json::parse(inner.as_bytes()).map_err(malformed)?;
        }
        match value {
            Value::Object(fields) => Ok(Self(Cow::Owned(fields))),
            _ => Err(Error::new(Kind::Invalid, "the body must be a JSON object")),
        }
    }

    /// These fields of the query.
    pub(super) fn query(guest: &Guest, names: &[&str]) -> Self {
        let field = |name: &&str| {
            let mut values: Vec<Value> = guest.query_all(name).into_iter().map(Value::String).collect();
            let value = if values.len() > 1 { Value::Array(values) } else { values.pop()? };
            Some(((*name).to_owned(), value))
        };
        Self(Cow::Owned(names.iter().filter_map(field).collect()))
    }
}

impl Fields<'_> {
    fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Whether a field is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// A text; none when it is absent.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(bad(name, other, "it must be a string")),
        }
    }

    /// A text; empty when it is absent.
    pub(super) fn text_or_empty(&self, name: &str) -> Result<String> {
        Ok(self.text(name)?.unwrap_or_default())
    }

    /// A text that must be there and not be empty.
    pub(super) fn need(&self, name: &str) -> Result<String> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| text::missing(name))
    }

    /// An id or another text with a form of its own.
    pub(super) fn parsed<T: std::str::FromStr>(&self, name: &str, why: &str) -> Result<Option<T>> {
        match self.text(name)?.filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| text::bad(name, &text, why)),
        }
    }

    /// A 64-bit integer, as a number or as text.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| bad(name, value, "it must be a 64-bit integer"))
    }

    /// A count; `usual` when it is absent.
    pub(super) fn count(&self, name: &str, usual: usize) -> Result<usize> {
        match self.integer(name)? {
            None => Ok(usual),
            Some(number) => {
                usize::try_from(number).map_err(|_| text::bad(name, &number.to_string(), "it must not be negative"))
            }
        }
    }

    /// A floating-point number, as a number, as text, or as one of the words that JSON lacks numbers for.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => match text.trim() {
                "NaN" | "nan" => Some(f64::NAN),
                "Infinity" | "inf" | "+Infinity" => Some(f64::INFINITY),
                "-Infinity" | "-inf" => Some(f64::NEG_INFINITY),
                digits if digits.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) => {
                    digits.parse().ok()
                }
                _ => None,
            },
            _ => None,
        };
        number.map(Some).ok_or_else(|| bad(name, value, "it must be a number"))
    }

    /// Whether a flag is set.
    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        match self.value(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(other) => Err(bad(name, other, "it must be true or false")),
        }
    }

    fn items(&self, name: &str) -> Result<&[Value]> {
        match self.value(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) if items.len() <= MOST_ITEMS => Ok(items),
            Some(Value::Array(items)) => Err(text::bad(name, &items.len().to_string(), "the list is too long")),
            Some(one @ (Value::String(_) | Value::Object(_))) => Ok(std::slice::from_ref(one)),
            Some(other) => Err(bad(name, other, "it must be a list")),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        let text = |item: &Value| match item {
            Value::String(text) => Ok(text.clone()),
            other => Err(bad(name, other, "it must be a list of strings")),
        };
        self.items(name)?.iter().map(text).collect()
    }

    /// A list of objects.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Fields<'_>>> {
        let items = self.items(name)?.iter().map(|item| match item {
            Value::Object(fields) => Ok(Fields(Cow::Borrowed(fields))),
            other => Err(bad(name, other, "it must be a list of objects")),
        });
        items.collect()
    }

    /// An object.
    pub(super) fn object(&self, name: &str) -> Result<Option<Fields<'_>>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Fields(Cow::Borrowed(fields)))),
            Some(other) => Err(bad(name, other, "it must be an object")),
        }
    }

    /// A value of any kind; null when it is absent.
    pub(super) fn any(&self, name: &str) -> Value {
        self.value(name).cloned().unwrap_or_default()
    }

    /// Texts by name.
    pub(super) fn map(&self, name: &str) -> Result<BTreeMap<String, String>> {
        let Some(Self(entries)) = self.object(name)? else { return Ok(BTreeMap::new()) };
        if entries.len() > MOST_ITEMS {
            return Err(text::bad(name, &entries.len().to_string(), "it has too many entries"));
        }
        let entry = |(key, value): (String, Value)| match value {
            Value::String(text) => Ok((key, text)),
            other => Err(bad(name, &other, "its values must be strings")),
        };
        entries.into_iter().map(entry).collect()
    }

    /// A list of keys and values.
    pub(super) fn pairs(&self, name: &str) -> Result<Vec<(String, String)>> {
        self.objects(name)?.iter().map(|pair| Ok((pair.need("key")?, pair.text_or_empty("value")?))).collect()
    }

    /// The fields that all searches share.
    pub(super) fn search(&self, usual: usize) -> Result<Query> {
        Ok(Query {
            filter: self.text_or_empty("filter")?,
            order_by: self.texts("order_by")?,
            most: self.count("max_results", usual)?,
            page_token: self.text("page_token")?,
        })
    }

    /// Living, deleted or both; by name or number.
    pub(super) fn view(&self, name: &str) -> Result<View> {
        let word = match self.value(name) {
            Some(Value::Number(number)) => number.to_string(),
            _ => self.text_or_empty(name)?,
        };
        match word.as_str() {
            "" | "ACTIVE_ONLY" | "1" => Ok(View::Active),
            "DELETED_ONLY" | "2" => Ok(View::Deleted),
            "ALL" | "3" => Ok(View::All),
            other => Err(text::bad(name, other, "it must be ACTIVE_ONLY, DELETED_ONLY or ALL")),
        }
    }
}

fn bad(name: &str, value: &Value, why: &str) -> Error {
    text::bad(name, &value.to_string(), why)
}

/// A floating-point number that is a whole one.
#[expect(clippy::as_conversions, clippy::float_cmp, reason = "both conversions are checked by coming back unchanged")]
fn whole(number: f64) -> Option<i64> {
    let integer = number as i64;
    (integer as f64 == number && number.abs() < 9.0e18).then_some(integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields<'static> {
        Fields::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn numbers_come_in_every_form() {
        let read =
            fields(r#"{"a":5,"b":"6","c":7.0,"d":"NaN","e":"-Infinity","f":1e300,"g":null,"h":"x","i":7.5,"j":true}"#);
        assert_eq!(read.integer("a").unwrap(), Some(5));
        assert_eq!(read.integer("b").unwrap(), Some(6));
        assert_eq!(read.integer("c").unwrap(), Some(7));
        assert!(read.number("d").unwrap().unwrap().is_nan());
        assert_eq!(read.number("e").unwrap(), Some(f64::NEG_INFINITY));
        assert_eq!(read.integer("g").unwrap(), None);
        for name in ["f", "h", "i", "j"] {
            assert!(read.integer(name).is_err(), "{name}");
        }
        assert!(read.number("h").is_err());
        assert!(read.number("j").is_err());
    }

    #[test]
    fn bodies_come_wrapped_or_not() {
        assert_eq!(fields(r#""{\"name\": \"n\"}""#).need("name").unwrap(), "n");
        assert!(fields("").text("name").unwrap().is_none());
        for bad in ["[]", "1", "{", "{\"a\": NaN}", "\"\\\"\\\\\\\"{}\\\\\\\"\\\"\""] {
            assert!(Fields::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let twice = r#""{\"name\": \"n\", \"name\": \"m\"}""#;
        for twice in [twice, r#"{"tags": [{"key": "a", "value": "b", "value": "c"}]}"#] {
            let fault = Fields::parse(twice.as_bytes()).unwrap_err();
            assert_eq!(fault.kind(), Kind::Invalid, "{twice}");
            assert!(fault.public().contains("is given twice"), "{}", fault.public());
        }
        let fault = fields("{\"name\": \"\"}").need("name").unwrap_err();
        let words = "Missing value for required parameter 'name'. See the API docs for more information about request parameters.";
        assert_eq!(fault.public(), words);
    }
}
