//! The certificate of the door inside a job's jail.

use compute::DoorIdentity;
use kernel::{Clock, SystemClock};
use seal::Authority;

/// Makes one, signed by an authority that nobody else trusts and whose key is gone at once.
pub(crate) fn make(names: &[String]) -> Result<DoorIdentity, String> {
    let now = SystemClock.now().rfc3339();
    let year = now.get(..4).and_then(|year| year.parse().ok()).ok_or("the clock tells no year")?;
    let authority = Authority::generate(year).map_err(|error| error.to_string())?;
    let issued = authority.issue(names, year).map_err(|error| error.to_string())?;
    let authority_pem = authority.certificate_pem().to_owned();
    Ok(DoorIdentity { chain_pem: issued.chain_pem, key_pem: issued.key_pem, authority_pem })
}
