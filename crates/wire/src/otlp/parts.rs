//! The messages within a message, without reading them.

use bytes::{Buf, Bytes};
use prost::decode_length_delimiter;

use super::Malformed;

/// The messages that stand in a repeated field; at most `most`.
///
/// Protobuf's encoding: a key (the field's number, and in its three lowest bits how long the value is), then the value. Lengths and
/// keys are both variable-length integers, so that one reader of the library serves for both.
pub(super) fn parts(message: &Bytes, wanted: usize, most: usize) -> Result<Vec<Bytes>, Malformed> {
    let mut rest = message.clone();
    let mut found = Vec::new();
    while rest.has_remaining() {
        let key = number(&mut rest)?;
        let length = match key & 7 {
            0 => {
                number(&mut rest)?;
                continue;
            }
            1 => 8,
            2 => number(&mut rest)?,
            5 => 4,
            _ => return Err(Malformed::Bytes),
        };
        if length > rest.remaining() {
            return Err(Malformed::Bytes);
        }
        let value = rest.split_to(length);
        if key == (wanted << 3 | 2) {
            if found.len() >= most {
                return Err(Malformed::TooMany);
            }
            found.push(value);
        }
    }
    Ok(found)
}

fn number(rest: &mut Bytes) -> Result<usize, Malformed> {
    decode_length_delimiter(rest).map_err(|_| Malformed::Bytes)
}
