//! A key that somebody brings, from its file.

use std::path::Path;

use serde_json::{Value, json};

use super::About;
use crate::{cli::secret, failure::Failure};

/// Bytes of the longest JSON Web Key that is read.
const LONGEST: usize = 16 * 1024;

/// What is sent for it.
pub(super) fn body(file: &Path, about: About) -> Result<Value, Failure> {
    let text = secret::read_up_to(file, LONGEST)?;
    let unread = |_| Failure::usage("the file must hold one JSON Web Key with its private members");
    let mut key: Value = serde_json::from_str(text.expose()).map_err(unread)?;
    let mut body = about.body();
    if let (Some(operations), Some(members)) = (body.remove("key_ops"), key.as_object_mut()) {
        members.insert(String::from("key_ops"), operations);
    }
    body.insert(String::from("key"), json!(key));
    Ok(Value::Object(body))
}
