//! A vault's keys: what they are made of, what each does, and what is refused.

use kernel::Secret;

use super::*;

const SHAPES: [VaultKeyShape; 7] = [
    VaultKeyShape::Rsa(2048),
    VaultKeyShape::Curve(VaultCurve::P256),
    VaultKeyShape::Curve(VaultCurve::P384),
    VaultKeyShape::Curve(VaultCurve::P521),
    VaultKeyShape::Symmetric(128),
    VaultKeyShape::Symmetric(192),
    VaultKeyShape::Symmetric(256),
];

fn restored(key: &VaultKey) -> VaultKey {
    VaultKey::from_bytes(&key.to_bytes()).unwrap()
}

#[test]
fn what_a_key_signed_holds_after_it_was_stored_and_under_no_other_digest_or_algorithm() {
    for shape in SHAPES {
        let key = VaultKey::generate(shape).unwrap();
        let again = restored(&key);
        assert_eq!(again.public(), key.public());
        for algorithm in SignatureAlgorithm::ALL {
            let digest = vec![7; algorithm.digest_length()];
            let fits = match shape {
                VaultKeyShape::Rsa(_) => algorithm.rsa().is_some(),
                VaultKeyShape::Curve(curve) => curve.signature() == algorithm,
                VaultKeyShape::Symmetric(_) => false,
            };
            let signed = again.sign(algorithm, &digest);
            assert_eq!(signed.is_ok(), fits, "{shape:?} {algorithm:?}");
            let Ok(signature) = signed else { continue };
            assert_eq!(key.public().verify(algorithm, &digest, &signature), Ok(true));
            assert_eq!(key.public().verify(algorithm, &vec![8; digest.len()], &signature), Ok(false));
            assert_eq!(key.public().verify(algorithm, &digest, &signature[1..]), Ok(false));
            assert!(matches!(again.sign(algorithm, &digest[1..]), Err(VaultKeyFault::Invalid(_))));
        }
    }
}

#[test]
fn what_a_key_encrypted_decrypts_under_it_alone() {
    for shape in SHAPES {
        let (key, other) = (VaultKey::generate(shape).unwrap(), VaultKey::generate(shape).unwrap());
        let again = restored(&key);
        for algorithm in EncryptionAlgorithm::ALL {
            let fits = match (shape, algorithm) {
                (VaultKeyShape::Rsa(_), algorithm) => algorithm.oaep().is_some(),
                (
                    VaultKeyShape::Symmetric(bits),
                    EncryptionAlgorithm::AesKeyWrap(size)
                    | EncryptionAlgorithm::AesGcm(size)
                    | EncryptionAlgorithm::AesCbcPad(size),
                ) => bits == size,
                _ => false,
            };
            let encrypted = key.encrypt(algorithm, &[9; 32], None, &[]);
            assert_eq!(encrypted.is_ok(), fits, "{shape:?} {algorithm:?}");
            let Ok(encrypted) = encrypted else { continue };
            assert_eq!(again.decrypt(algorithm, &encrypted, &[]).unwrap().expose(), &[9; 32]);
            // Unauthenticated CBC may find a padding that happens to fit; then it is other bytes.
            let wrong = other.decrypt(algorithm, &encrypted, &[]);
            assert!(wrong.is_err() || wrong.unwrap().expose() != &[9; 32]);
            let mut altered = encrypted.clone();
            altered.value[3] ^= 1;
            let wrong = again.decrypt(algorithm, &altered, &[]);
            assert!(wrong.is_err() || wrong.unwrap().expose() != &[9; 32]);
        }
    }
}

#[test]
fn gcm_binds_what_goes_with_the_value_and_chooses_its_own_vector() {
    let key = VaultKey::generate(VaultKeyShape::Symmetric(256)).unwrap();
    let algorithm = EncryptionAlgorithm::AesGcm(256);
    let encrypted = key.encrypt(algorithm, b"value", None, b"place").unwrap();
    assert_eq!(key.decrypt(algorithm, &encrypted, b"place").unwrap().expose(), b"value");
    assert_eq!(key.decrypt(algorithm, &encrypted, b"elsewhere").unwrap_err(), VaultKeyFault::Undecryptable);
    assert!(matches!(key.encrypt(algorithm, b"value", Some(&[0; 12]), b""), Err(VaultKeyFault::Invalid(_))));
    for damaged in [
        VaultCiphertext { tag: None, ..encrypted.clone() },
        VaultCiphertext { tag: Some(vec![0; 4]), ..encrypted.clone() },
        VaultCiphertext { iv: None, ..encrypted.clone() },
        VaultCiphertext { iv: Some(vec![0; 16]), ..encrypted.clone() },
    ] {
        assert!(matches!(key.decrypt(algorithm, &damaged, b"place"), Err(VaultKeyFault::Invalid(_))));
    }
}

#[test]
fn sizes_that_are_not_offered_are_refused() {
    for shape in [1024, 2047, 2049, 8192, 0].map(VaultKeyShape::Rsa) {
        assert!(matches!(VaultKey::generate(shape), Err(VaultKeyFault::Invalid(_))), "{shape:?}");
    }
    for shape in [0, 8, 127, 512].map(VaultKeyShape::Symmetric) {
        assert!(matches!(VaultKey::generate(shape), Err(VaultKeyFault::Invalid(_))), "{shape:?}");
    }
    let rsa = VaultKey::generate(VaultKeyShape::Rsa(2048)).unwrap();
    assert!(rsa.encrypt(EncryptionAlgorithm::RsaOaep256, &[1; 190], None, &[]).is_ok());
    assert!(rsa.encrypt(EncryptionAlgorithm::RsaOaep256, &[1; 191], None, &[]).is_err());
    let wrapping = VaultKey::generate(VaultKeyShape::Symmetric(192)).unwrap();
    for length in [0, 8, 15, 17] {
        let wrapped = wrapping.encrypt(EncryptionAlgorithm::AesKeyWrap(192), &vec![1; length], None, &[]);
        assert!(matches!(wrapped, Err(VaultKeyFault::Invalid(_))), "{length}");
    }
}

#[test]
fn a_damaged_stored_key_is_refused() {
    let bytes = VaultKey::generate(VaultKeyShape::Curve(VaultCurve::P256)).unwrap().to_bytes();
    for length in 0..bytes.expose().len() {
        assert!(VaultKey::from_bytes(&Secret::new(bytes.expose()[..length].to_vec())).is_err(), "{length}");
    }
    for (index, byte) in [(0, 2), (1, 1), (1, 3), (1, 6)] {
        let mut other = bytes.expose().clone();
        other[index] = byte;
        assert!(VaultKey::from_bytes(&Secret::new(other)).is_err());
    }
}

#[test]
fn a_point_that_is_not_its_number_s_is_refused() {
    let numbers = |key: &VaultKey| match key.public() {
        VaultPublicKey::Curve { x, y, .. } => (x.clone(), y.clone()),
        _ => panic!("no curve"),
    };
    let (key, other) = (VaultKey::generate(SHAPES[1]).unwrap(), VaultKey::generate(SHAPES[1]).unwrap());
    let Material::Curve(_, document) = &key.material else { panic!("no curve") };
    let pair = EcdsaKeyPair::from_pkcs8(VaultCurve::P256.signing(), document.expose()).unwrap();
    let d: aws_lc_rs::encoding::EcPrivateKeyBin<'_> =
        aws_lc_rs::encoding::AsBigEndian::as_be_bytes(&pair.private_key()).unwrap();
    let brought = |(x, y): (Vec<u8>, Vec<u8>), crv: VaultCurve, d: &[u8]| {
        VaultPrivateKey::Curve { crv, x, y, d: Secret::new(d.to_vec()) }.checked()
    };
    assert_eq!(brought(numbers(&key), VaultCurve::P256, d.as_ref()).unwrap().public(), key.public());
    assert!(brought(numbers(&other), VaultCurve::P256, d.as_ref()).is_err());
    assert!(brought(numbers(&key), VaultCurve::P384, d.as_ref()).is_err());
    assert!(brought(numbers(&key), VaultCurve::P256, &[0; 32]).is_err());
    assert!(brought(numbers(&key), VaultCurve::P256, &[1; 40]).is_err());
    assert!(brought((vec![1; 32], vec![2; 32]), VaultCurve::P256, d.as_ref()).is_err(), "not on the curve");
}
