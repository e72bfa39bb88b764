//! Message authentication codes for receivers elsewhere.

use aws_lc_rs::hmac;
use kernel::Secret;

/// HMAC-SHA256 (RFC 2104) of a message under a key that a receiver shares.
pub fn message_code(key: &Secret<Vec<u8>>, message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), message);
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    out
}

/// Whether this is the code of a message; in constant time.
pub fn is_message_code(key: &Secret<Vec<u8>>, message: &[u8], code: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), message, code).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn the_code_is_that_of_the_rfc() {
        let code = message_code(&Secret::new(b"Jefe".to_vec()), b"what do ya want for nothing?");
        let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(crate::hex(&code), known);
        let key = Secret::new(b"Jefe".to_vec());
        assert!(is_message_code(&key, b"what do ya want for nothing?", &code));
        assert!(!is_message_code(&key, b"what do ya want for nothing!", &code));
        assert!(!is_message_code(&key, b"what do ya want for nothing?", &code[..16]), "no part of it");
    }
}
