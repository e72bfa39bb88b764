//! The frozen form of a vault's keys: what was stored once reads, and works as a second implementation's does.

use kernel::Secret;
use seal::{EncryptionAlgorithm, SignatureAlgorithm, VaultKey, VaultPublicKey};

use crate::{bytes, list, text, vectors};

#[test]
fn stored_keys_read_and_work_and_damaged_ones_do_not() {
    let file = vectors("vault-key-v1.json");
    for case in list(&file["good"]) {
        let name = text(&case["name"]);
        let key = VaultKey::from_bytes(&Secret::new(bytes(&case["stored"]))).unwrap();
        assert_eq!(key.to_bytes().expose(), &bytes(&case["stored"]), "{name}");
        assert_eq!(serde_json::to_value(key.public()).unwrap(), case["public"], "{name}");
        assert_eq!(&serde_json::from_value::<VaultPublicKey>(case["public"].clone()).unwrap(), key.public());
        if let Some(algorithm) = SignatureAlgorithm::from_name(text(&case["algorithm"])) {
            let digest = bytes(&case["digest"]);
            assert_eq!(key.public().verify(algorithm, &digest, &bytes(&case["signature"])), Ok(true), "{name}");
            let signature = key.sign(algorithm, &digest).unwrap();
            assert_eq!(key.public().verify(algorithm, &digest, &signature), Ok(true), "{name}");
            assert!(signature == bytes(&case["signature"]) || name != "RSA", "PKCS #1 signs without chance");
        } else {
            let algorithm = EncryptionAlgorithm::from_name(text(&case["algorithm"])).unwrap();
            let wrapped = key.encrypt(algorithm, &bytes(&case["plain"]), None, &[]).unwrap();
            assert_eq!(wrapped.value, bytes(&case["wrapped"]), "{name}");
        }
    }
    for case in list(&file["bad"]) {
        assert!(VaultKey::from_bytes(&Secret::new(bytes(&case["stored"]))).is_err(), "{}", case["name"]);
    }
}
