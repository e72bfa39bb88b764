//! Functions that depend on their arguments alone.

use kernel::Result;
use seal::Sha256;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::fault::{invalid, unsupported};

/// Calls a function.
///
/// # Errors
/// `Invalid` for wrong arguments, `Unsupported` for a function that is not offered. No message holds a value.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value> {
    let call = Call { name, arguments };
    match name.to_ascii_lowercase().as_str() {
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        "null" => Ok(Value::Null),
        "concat" => call.concat(),
        "format" => call.format(),
        "tolower" => Ok(call.text(0)?.to_lowercase().into()),
        "toupper" => Ok(call.text(0)?.to_uppercase().into()),
        "trim" => Ok(call.text(0)?.trim().into()),
        "replace" => Ok(call.replace()?.into()),
        "split" => Ok(call.text(0)?.split(call.text(1)?).map(Value::from).collect::<Vec<_>>().into()),
        "join" => Ok(call.join()?.into()),
        "substring" => call.substring(),
        "startswith" => Ok(folded(call.text(0)?).starts_with(&folded(call.text(1)?)).into()),
        "endswith" => Ok(folded(call.text(0)?).ends_with(&folded(call.text(1)?)).into()),
        "contains" => call.contains(),
        "first" | "last" => call.end(name.eq_ignore_ascii_case("first")),
        "empty" => Ok((call.length()? == 0).into()),
        "length" => Ok(call.length()?.into()),
        "string" => Ok(string_of(call.argument(0)?).into()),
        "int" => call.int(),
        "bool" => call.boolean(),
        "array" | "createarray" => call.array(),
        "createobject" => call.object(),
        "json" => serde_json::from_str(call.text(0)?).map_err(|_| call.wrong("a text that is JSON")),
        "coalesce" => Ok(arguments.iter().find(|value| !value.is_null()).cloned().unwrap_or(Value::Null)),
        "equals" => Ok((call.argument(0)? == call.argument(1)?).into()),
        "not" => Ok((!call.truth(0)?).into()),
        "less" => Ok(call.order()?.is_lt().into()),
        "lessorequals" => Ok(call.order()?.is_le().into()),
        "greater" => Ok(call.order()?.is_gt().into()),
        "greaterorequals" => Ok(call.order()?.is_ge().into()),
        "add" | "sub" | "mul" | "div" | "mod" => call.arithmetic(),
        "guid" => Ok(guid(&call.texts()?).to_string().into()),
        "uniquestring" => Ok(unique(&call.texts()?).into()),
        _ => Err(unsupported(format_args!("the template function `{}`", shortened(name)))),
    }
}

/// A value as text, as `string()` and `format()` give it.
fn string_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => String::from("True"),
        Value::Bool(false) => String::from("False"),
        other => other.to_string(),
    }
}

fn folded(text: &str) -> String {
    text.to_lowercase()
}

fn shortened(name: &str) -> String {
    name.chars().take(60).collect()
}

fn digest(texts: &[&str]) -> [u8; 32] {
    // A length before each, so that `('ab', 'c')` and `('a', 'bc')` differ.
    let joined: String = texts.iter().map(|text| format!("{}:{text}", text.len())).collect();
    Sha256::of(joined.as_bytes())
}

/// The same GUID for the same texts (RFC 9562 §5.8). Azure's own values differ.
fn guid(texts: &[&str]) -> Uuid {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(digest(texts)) {
        *to = from;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Thirteen letters and digits, the same for the same texts. Azure's own values differ.
fn unique(texts: &[&str]) -> String {
    const LETTERS: [char; 32] = [
        'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v',
        'w', 'x', 'y', 'z', '2', '3', '4', '5', '6', '7',
    ];
    let letter = |byte: &u8| LETTERS.get(usize::from(byte & 31)).copied().unwrap_or('a');
    digest(texts).iter().take(13).map(letter).collect()
}

struct Call<'a> {
    name: &'a str,
    arguments: &'a [Value],
}

impl<'a> Call<'a> {
    fn wrong(&self, wanted: &str) -> kernel::Error {
        invalid(format_args!("the function `{}` wants {wanted}", shortened(self.name)))
    }

    fn argument(&self, at: usize) -> Result<&'a Value> {
        self.arguments.get(at).ok_or_else(|| self.wrong("more arguments"))
    }

    fn text(&self, at: usize) -> Result<&'a str> {
        self.argument(at)?.as_str().ok_or_else(|| self.wrong("text"))
    }

    fn texts(&self) -> Result<Vec<&'a str>> {
        self.argument(0)?;
        (0..self.arguments.len()).map(|at| self.text(at)).collect()
    }

    fn number(&self, at: usize) -> Result<i64> {
        self.argument(at)?.as_i64().ok_or_else(|| self.wrong("a whole number"))
    }

    fn truth(&self, at: usize) -> Result<bool> {
        self.argument(at)?.as_bool().ok_or_else(|| self.wrong("true or false"))
    }

    fn concat(&self) -> Result<Value> {
        if self.argument(0)?.is_array() {
            let parts = self.arguments.iter().map(|part| part.as_array().ok_or_else(|| self.wrong("arrays alone")));
            return Ok(parts.collect::<Result<Vec<_>>>()?.into_iter().flatten().cloned().collect::<Vec<_>>().into());
        }
        let is_simple = |part: &Value| !part.is_array() && !part.is_object();
        if !self.arguments.iter().all(is_simple) {
            return Err(self.wrong("texts, or arrays"));
        }
        Ok(self.arguments.iter().map(string_of).collect::<String>().into())
    }

    /// `{0}` and `{1}`; braces are doubled. Formats after a colon are not offered.
    fn format(&self) -> Result<Value> {
        let (mut rest, mut out) = (self.text(0)?, String::new());
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                out.extend(from.chars().next());
                rest = after;
                continue;
            }
            let hole = from.strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let (number, after) = hole.ok_or_else(|| self.wrong("braces in pairs"))?;
            let number: usize = number.trim().parse().map_err(|_| self.wrong("holes like `{0}`"))?;
            out.push_str(&string_of(self.argument(number.saturating_add(1))?));
            // One argument, evaluated once, may be put into every hole.
            self.bounded(out.len())?;
            rest = after;
        }
        out.push_str(rest);
        Ok(out.into())
    }

    fn replace(&self) -> Result<String> {
        let (text, from, to) = (self.text(0)?, self.text(1)?, self.text(2)?);
        if from.is_empty() {
            return Err(self.wrong("something to replace"));
        }
        self.bounded(text.matches(from).count().saturating_mul(to.len()))?;
        Ok(text.replace(from, to))
    }

    /// Refuses a result before it is made: what is charged afterwards has been allocated already.
    fn bounded(&self, size: usize) -> Result<()> {
        if size > super::evaluate::LARGEST { Err(self.wrong("a result of bounded size")) } else { Ok(()) }
    }

    fn join(&self) -> Result<String> {
        let parts = self.argument(0)?.as_array().ok_or_else(|| self.wrong("an array"))?;
        let (parts, between): (Vec<String>, _) = (parts.iter().map(string_of).collect(), self.text(1)?);
        let own = parts.iter().map(String::len).fold(0, usize::saturating_add);
        self.bounded(own.saturating_add(between.len().saturating_mul(parts.len())))?;
        Ok(parts.join(between))
    }

    fn substring(&self) -> Result<Value> {
        let text = self.text(0)?;
        let place = |at| usize::try_from(self.number(at)?).map_err(|_| self.wrong("places from 0 on"));
        let start = place(1)?;
        let length = if self.arguments.len() > 2 { place(2)? } else { text.chars().count().saturating_sub(start) };
        if start.saturating_add(length) > text.chars().count() {
            return Err(self.wrong("a place within the text"));
        }
        Ok(text.chars().skip(start).take(length).collect::<String>().into())
    }

    fn contains(&self) -> Result<Value> {
        let wanted = self.argument(1)?;
        Ok(match self.argument(0)? {
            Value::Array(all) => all.contains(wanted),
            Value::Object(fields) => {
                let name = folded(self.text(1)?);
                fields.keys().any(|key| folded(key) == name)
            }
            Value::String(text) => text.contains(self.text(1)?),
            _ => return Err(self.wrong("a text, an array or an object")),
        }
        .into())
    }

    fn end(&self, is_first: bool) -> Result<Value> {
        Ok(match self.argument(0)? {
            Value::Array(all) if is_first => all.first().cloned().unwrap_or(Value::Null),
            Value::Array(all) => all.last().cloned().unwrap_or(Value::Null),
            Value::String(text) if is_first => text.chars().take(1).collect::<String>().into(),
            Value::String(text) => text.chars().next_back().map(String::from).unwrap_or_default().into(),
            _ => return Err(self.wrong("a text or an array")),
        })
    }

    fn length(&self) -> Result<usize> {
        Ok(match self.argument(0)? {
            Value::Null => 0,
            Value::String(text) => text.chars().count(),
            Value::Array(all) => all.len(),
            Value::Object(fields) => fields.len(),
            _ => return Err(self.wrong("a text, an array or an object")),
        })
    }

    fn int(&self) -> Result<Value> {
        let wrong = || self.wrong("a whole number");
        Ok(match self.argument(0)? {
            Value::String(text) => text.trim().parse::<i64>().map_err(|_| wrong())?.into(),
            number => number.as_i64().ok_or_else(wrong)?.into(),
        })
    }

    fn boolean(&self) -> Result<Value> {
        Ok(match self.argument(0)? {
            Value::Bool(truth) => (*truth).into(),
            Value::String(text) if text.eq_ignore_ascii_case("true") || text == "1" => true.into(),
            Value::String(text) if text.eq_ignore_ascii_case("false") || text == "0" => false.into(),
            Value::Number(number) => (number.as_i64() != Some(0)).into(),
            _ => return Err(self.wrong("something true or false")),
        })
    }

    fn array(&self) -> Result<Value> {
        match self.arguments {
            [Value::Array(all)] if self.name.eq_ignore_ascii_case("array") => Ok(Value::Array(all.clone())),
            all => Ok(Value::Array(all.to_vec())),
        }
    }

    fn object(&self) -> Result<Value> {
        let mut fields = Map::new();
        for at in (0..self.arguments.len()).step_by(2) {
            fields.insert(self.text(at)?.to_owned(), self.argument(at.saturating_add(1))?.clone());
        }
        Ok(Value::Object(fields))
    }

    fn order(&self) -> Result<std::cmp::Ordering> {
        match (self.argument(0)?, self.argument(1)?) {
            (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
            _ => Ok(self.number(0)?.cmp(&self.number(1)?)),
        }
    }

    fn arithmetic(&self) -> Result<Value> {
        let (a, b) = (self.number(0)?, self.number(1)?);
        let result = match self.name.to_ascii_lowercase().as_str() {
            "add" => a.checked_add(b),
            "sub" => a.checked_sub(b),
            "mul" => a.checked_mul(b),
            "div" => a.checked_div(b),
            _ => a.checked_rem(b),
        };
        result.map(Value::from).ok_or_else(|| self.wrong("numbers whose result is one"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn functions_give_what_azure_documents() {
        for (name, arguments, wanted) in [
            ("concat", json!(["a", 1, true]), json!("a1True")),
            ("concat", json!([[1], [2]]), json!([1, 2])),
            ("format", json!(["{0}-{{x}}-{1}", "a", 7]), json!("a-{x}-7")),
            ("toLower", json!(["AB"]), json!("ab")),
            ("replace", json!(["a-b", "-", ""]), json!("ab")),
            ("split", json!(["a,b", ","]), json!(["a", "b"])),
            ("substring", json!(["hello", 1, 3]), json!("ell")),
            ("contains", json!([{"Key": 1}, "key"]), json!(true)),
            ("empty", json!([""]), json!(true)),
            ("empty", json!([null]), json!(true)),
            ("length", json!([[1, 2]]), json!(2)),
            ("int", json!(["12"]), json!(12)),
            ("bool", json!(["TRUE"]), json!(true)),
            ("array", json!(["a"]), json!(["a"])),
            ("array", json!([["a"]]), json!(["a"])),
            ("createObject", json!(["a", 1]), json!({"a": 1})),
            ("json", json!(["{\"a\": null}"]), json!({"a": null})),
            ("coalesce", json!([null, "b"]), json!("b")),
            ("equals", json!([[1], [1]]), json!(true)),
            ("lessOrEquals", json!([1, 1]), json!(true)),
            ("mod", json!([7, 3]), json!(1)),
        ] {
            assert_eq!(call(name, arguments.as_array().unwrap()).unwrap(), wanted, "{name} {arguments}");
        }
    }

    #[test]
    fn wrong_arguments_are_refused_without_showing_them() {
        for (name, arguments) in [
            ("toLower", json!([])),
            ("toLower", json!([1])),
            ("format", json!(["{9}", "s3cret"])),
            ("format", json!(["{"])),
            ("int", json!(["s3cret"])),
            ("json", json!(["s3cret"])),
            ("div", json!([1, 0])),
            ("add", json!([i64::MAX, 1])),
            ("replace", json!(["a", "", "b"])),
            ("substring", json!(["a", 5])),
            ("listKeys", json!(["s3cret"])),
        ] {
            let fault = call(name, arguments.as_array().unwrap()).unwrap_err();
            assert!(!fault.public().contains("s3cret"), "{fault}");
        }
    }

    #[test]
    fn what_grows_by_repeating_is_refused_before_it_is_made() {
        let large = "s".repeat(1 << 20);
        for (name, arguments) in [
            ("join", json!([vec![""; 100_000], large])),
            ("format", json!(["{0}".repeat(30_000), large])),
            ("replace", json!([",".repeat(100_000), ",", large])),
        ] {
            let fault = call(name, arguments.as_array().unwrap()).unwrap_err();
            assert!(fault.public().contains("bounded size"), "{name}: {fault}");
        }
        assert_eq!(call("join", json!([["a", 1], ", "]).as_array().unwrap()).unwrap(), json!("a, 1"));
    }

    #[test]
    fn names_made_from_texts_are_the_same_each_time_and_differ_between_texts() {
        let unique_of = |texts: &[&str]| unique(texts);
        assert_eq!(unique_of(&["a", "b"]), unique_of(&["a", "b"]));
        assert_ne!(unique_of(&["ab", "c"]), unique_of(&["a", "bc"]));
        assert_eq!(unique_of(&["a"]).len(), 13);
        assert_ne!(guid(&["a"]), guid(&["b"]));
    }
}
