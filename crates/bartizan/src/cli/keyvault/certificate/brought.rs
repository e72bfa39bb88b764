//! A certificate that somebody brings, from its file.

use std::{io::Read, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::Secret;
use serde_json::{Map, Value, json};

use crate::{cli::secret, failure::Failure};

/// Bytes of the longest file that is read.
const LONGEST: usize = 64 * 1024;
/// What PEM begins its parts with.
const PEM: &[u8] = b"-----BEGIN ";

/// Says in a body what is brought, and under which password.
pub(super) fn say(body: &mut Map<String, Value>, file: &Path, password: Option<&Path>) -> Result<(), Failure> {
    let bytes = read(file)?;
    let is_pem = bytes.expose().windows(PEM.len()).any(|part| part == PEM);
    body.insert(String::from("value"), json!(STANDARD.encode(bytes.expose())));
    if let Some(password) = password {
        if is_pem {
            return Err(Failure::usage("--password-file is for PKCS #12; PEM is taken when it is not encrypted"));
        }
        body.insert(String::from("pwd"), json!(secret::read(password)?.expose()));
    }
    Ok(())
}

fn read(file: &Path) -> Result<Secret<Vec<u8>>, Failure> {
    if file == Path::new("-") {
        let text = secret::read_up_to(file, LONGEST)?;
        return Ok(Secret::new(text.expose().as_bytes().to_vec()));
    }
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::with_capacity(LONGEST.saturating_add(1));
    std::fs::File::open(file)?.take(most).read_to_end(&mut bytes)?;
    let bytes = Secret::new(bytes);
    if bytes.expose().len() > LONGEST {
        return Err(Failure::usage(format!("{} is longer than {LONGEST} bytes", file.display())));
    }
    Ok(bytes)
}
