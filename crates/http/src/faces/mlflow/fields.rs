//! Fields of a request, from its JSON body or its query, read one by one with MLflow's own words for what is wrong. Fields
//! that nobody asks for are ignored, and so can mean nothing.

use std::collections::BTreeMap;

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
pub(super) struct Fields {
    map: Map<String, Value>,
    /// What stands before a field's name when an error names it: `tags[0].`.
    place: String,
    /// Whether they came in an address, where a list of one looks like a text.
    is_query: bool,
    /// Those that were written as `runId`: protobuf's other spelling, which does for what is optional.
    respelled: Vec<String>,
}

impl Fields {
    /// The body of a POST, which must say that it is JSON: what a foreign web page can make a browser send does not.
    pub(super) async fn posted(guest: Guest) -> Result<Self> {
        let most = guest.limits().body;
        Self::posted_to(guest, most).await
    }

    /// The same, of at most so many bytes.
    pub(super) async fn posted_to(guest: Guest, most: usize) -> Result<Self> {
        Self::parse(&Self::bytes_to(guest, most).await?)
    }

    /// The bytes of such a body.
    pub(super) async fn bytes(guest: Guest) -> Result<Bytes> {
        let most = guest.limits().body;
        Self::bytes_to(guest, most).await
    }

    async fn bytes_to(guest: Guest, most: usize) -> Result<Bytes> {
        let Some(kind) = guest.header(header::CONTENT_TYPE.as_str()) else {
            return Err(Error::new(Kind::Invalid, "Bad Request. Content-Type header is missing."));
        };
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Error::new(Kind::Invalid, "Bad Request. Content-Type must be one of ['application/json']."));
        }
        guest.bytes_to(most).await
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
            Value::Object(map) => Self::of(map, String::new()),
            _ => Err(Error::new(Kind::Invalid, "the body must be a JSON object")),
        }
    }

    /// The fields of an object of a body, each under the one spelling.
    fn of(mut map: Map<String, Value>, place: String) -> Result<Self> {
        let mut respelled = Vec::new();
        let other: Vec<String> =
            map.keys().filter(|key| key.bytes().any(|c| c.is_ascii_uppercase())).cloned().collect();
        for key in other {
            let name = snake(&key);
            if map.contains_key(&name) {
                let (name, key) = (text::echo(&name), text::echo(&key));
                let words = format!("Request specifies both '{name}' and '{key}'; provide only one of them.");
                return Err(Error::new(Kind::Invalid, words));
            }
            if let Some(value) = map.remove(&key) {
                map.insert(name.clone(), value);
                respelled.push(name);
            }
        }
        Ok(Self { map, place, is_query: false, respelled })
    }

    /// These fields of the query.
    pub(super) fn query(guest: &Guest, names: &[&str]) -> Self {
        let field = |name: &&str| {
            let mut values: Vec<Value> = guest.query_all(name).into_iter().map(Value::String).collect();
            let value = if values.len() > 1 { Value::Array(values) } else { values.pop()? };
            Some(((*name).to_owned(), value))
        };
        Self { map: names.iter().filter_map(field).collect(), is_query: true, ..Self::default() }
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A field's name with its place.
    fn at(&self, name: &str) -> String {
        format!("{}{name}", self.place)
    }

    /// The error for a field that is missing.
    pub(super) fn missing(&self, name: &str) -> Error {
        text::missing(&self.at(name))
    }

    fn mistyped(&self, name: &str, value: &Value) -> Error {
        let kind = match value {
            Value::Null => "NoneType",
            Value::Bool(_) => "bool",
            Value::Number(number) if number.is_f64() => "float",
            Value::Number(_) => "int",
            Value::String(_) => "str",
            Value::Array(_) => "list",
            Value::Object(_) => "dict",
        };
        text::mistyped(&self.at(name), &value.to_string(), kind)
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
            Some(other) => Err(self.mistyped(name, other)),
        }
    }

    /// A text; empty when it is absent.
    pub(super) fn text_or_empty(&self, name: &str) -> Result<String> {
        Ok(self.text(name)?.unwrap_or_default())
    }

    /// A text that is not empty, under the one spelling that does for what is required.
    pub(super) fn given(&self, name: &str) -> Result<Option<String>> {
        let is_spelled = !self.respelled.iter().any(|other| other == name);
        Ok(self.text(name)?.filter(|text| is_spelled && !text.is_empty()))
    }

    /// A text that must be there and not be empty.
    pub(super) fn need(&self, name: &str) -> Result<String> {
        self.given(name)?.ok_or_else(|| self.missing(name))
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
        number.map(Some).ok_or_else(|| self.mistyped(name, value))
    }

    /// A count; `usual` when it is absent.
    pub(super) fn count(&self, name: &str, usual: usize) -> Result<usize> {
        match self.integer(name)? {
            None => Ok(usual),
            Some(number) => usize::try_from(number).map_err(|_| text::bad_page(number, None)),
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
        number.map(Some).ok_or_else(|| self.mistyped(name, value))
    }

    /// Whether a flag is set.
    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        match self.value(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(other) => Err(self.mistyped(name, other)),
        }
    }

    fn items(&self, name: &str) -> Result<&[Value]> {
        match self.value(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) if items.len() <= MOST_ITEMS => Ok(items),
            Some(Value::Array(items)) => Err(text::bad(name, &items.len().to_string(), "the list is too long")),
            Some(one @ Value::String(_)) if self.is_query => Ok(std::slice::from_ref(one)),
            Some(other) => Err(self.mistyped(name, other)),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        let text = |item: &Value| match item {
            Value::String(text) => Some(text.clone()),
            _ => None,
        };
        let texts: Option<Vec<String>> = self.items(name)?.iter().map(text).collect();
        texts.ok_or_else(|| self.mistyped(name, self.value(name).unwrap_or(&Value::Null)))
    }

    /// A list of objects.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>> {
        let object = |(at, item): (usize, &Value)| match item {
            Value::Object(map) => Self::of(map.clone(), self.at(&format!("{name}[{at}]."))),
            _ => Err(self.mistyped(name, self.value(name).unwrap_or(&Value::Null))),
        };
        self.items(name)?.iter().enumerate().map(object).collect()
    }

    /// An object.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Self::of(map.clone(), self.at(&format!("{name}."))).map(Some),
            Some(other) => Err(self.mistyped(name, other)),
        }
    }

    /// A value of any kind; null when it is absent.
    pub(super) fn any(&self, name: &str) -> Value {
        self.value(name).cloned().unwrap_or_default()
    }

    /// Texts by name.
    pub(super) fn map(&self, name: &str) -> Result<BTreeMap<String, String>> {
        let entries = match self.value(name) {
            None => return Ok(BTreeMap::new()),
            Some(Value::Object(entries)) => entries,
            Some(other) => return Err(self.mistyped(name, other)),
        };
        if entries.len() > MOST_ITEMS {
            return Err(text::bad(name, &entries.len().to_string(), "it has too many entries"));
        }
        let entry = |(key, value): (&String, &Value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            other => Err(self.mistyped(name, other)),
        };
        entries.iter().map(entry).collect()
    }

    /// A list of keys and values.
    pub(super) fn pairs(&self, name: &str) -> Result<Vec<(String, String)>> {
        self.objects(name)?.iter().map(|pair| Ok((pair.need("key")?, pair.text_or_empty("value")?))).collect()
    }

    /// The fields that all searches share; `limit` is the most items of a page that the face refuses by the value's kind.
    pub(super) fn search(&self, usual: usize, limit: Option<usize>) -> Result<Query> {
        let filter = self.text_or_empty("filter")?;
        let most = self.count("max_results", usual)?;
        if limit.is_some_and(|limit| most > limit) {
            return Err(self.mistyped("max_results", self.value("max_results").unwrap_or(&Value::Null)));
        }
        Ok(Query { filter, order_by: self.texts("order_by")?, most, page_token: self.text("page_token")? })
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

/// A name as protobuf's files spell it.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
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

    fn fields(json: &str) -> Fields {
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
        let camel = fields(r#"{"runId": "a", "runName": "b"}"#);
        assert!(camel.need("run_id").is_err());
        assert_eq!(camel.text("run_name").unwrap().as_deref(), Some("b"));
        assert!(Fields::parse(br#"{"run_id": "a", "runId": "a"}"#).is_err());
        let fault = fields("{\"name\": \"\"}").need("name").unwrap_err();
        let words = "Missing value for required parameter 'name'. See the API docs for more information about request parameters.";
        assert_eq!(fault.public(), words);
    }
}
