//! Project Wycheproof's vectors against a vault's keys: what must hold holds, and every trick is refused.

use aws_lc_rs::digest;
use kernel::Secret;
use seal::{
    EncryptionAlgorithm, SignatureAlgorithm, VaultCiphertext, VaultCurve, VaultKey, VaultKeyFault, VaultPrivateKey,
    VaultPublicKey,
};
use wycheproof::{RsaPrivate, TestResult, aead, cipher, ecdsa, keywrap, rsa_oaep, rsa_pkcs1_verify, rsa_pss_verify};

fn symmetric(key: &[u8]) -> Option<VaultKey> {
    VaultPrivateKey::Symmetric(Secret::new(key.to_vec())).checked().ok()
}

fn bits(length: usize) -> u32 {
    u32::try_from(length * 8).unwrap()
}

/// Vectors say of each case whether it must hold; of few, that both are right.
fn judge(what: &str, result: TestResult, holds: bool) {
    match result {
        TestResult::Valid => assert!(holds, "{what} must hold"),
        TestResult::Invalid => assert!(!holds, "{what} must not hold"),
        TestResult::Acceptable => {}
    }
}

/// A key of the vectors as somebody brings it, its numbers changed at will.
fn brought(key: &RsaPrivate, change: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> VaultPrivateKey {
    let number = |name: &str, bytes: &[u8]| change(name, bytes.to_vec());
    VaultPrivateKey::Rsa {
        n: number("n", &key.n),
        e: number("e", &key.e),
        d: number("d", &key.d).into(),
        p: number("p", &key.p).into(),
        q: number("q", &key.q).into(),
        dp: number("dp", &key.d1).into(),
        dq: number("dq", &key.d2).into(),
        qi: number("qi", &key.c).into(),
    }
}

#[test]
fn a_key_that_is_brought_must_be_whole_and_fit_together() {
    let set = rsa_oaep::TestSet::load(rsa_oaep::TestName::Rsa2048Sha256Mgf1Sha256).unwrap();
    let numbers = &set.test_groups[0].key;
    let key = brought(numbers, |_, number| number).checked().unwrap();
    assert!(matches!(key.public(), VaultPublicKey::Rsa { n, .. } if n.len() == 256));
    let padded = brought(numbers, |_, number| [&[0, 0], number.as_slice()].concat()).checked().unwrap();
    assert_eq!(padded.public(), key.public());
    for name in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        let damages: [fn(Vec<u8>) -> Vec<u8>; 3] = [
            |mut number| {
                *number.last_mut().unwrap() ^= 4;
                number
            },
            |_| Vec::new(),
            |number| number[..number.len() - 1].to_vec(),
        ];
        for damage in damages {
            let damaged = brought(numbers, |this, number| if this == name { damage(number) } else { number });
            assert!(matches!(damaged.checked(), Err(VaultKeyFault::Invalid(_))), "{name}");
        }
    }
    let small = brought(numbers, |this, number| if this == "e" { vec![3] } else { number });
    assert!(matches!(small.checked(), Err(VaultKeyFault::Invalid(why)) if why.contains("65537")));
    let set = rsa_oaep::TestSet::load(rsa_oaep::TestName::RsaMisc).unwrap();
    let odd = set.test_groups.iter().map(|group| &group.key).filter(|key| unpadded(&key.n).len() < 256);
    for key in odd {
        assert!(matches!(brought(key, |_, number| number).checked(), Err(VaultKeyFault::Invalid(_))), "too small");
    }
}

#[test]
fn rsa_oaep_decrypts_what_was_encrypted_for_it_and_nothing_else() {
    use rsa_oaep::TestName::{
        Rsa2048Sha1Mgf1Sha1, Rsa2048Sha256Mgf1Sha256, Rsa3072Sha256Mgf1Sha256, Rsa4096Sha256Mgf1Sha256,
    };
    let sets = [
        (Rsa2048Sha1Mgf1Sha1, EncryptionAlgorithm::RsaOaep),
        (Rsa2048Sha256Mgf1Sha256, EncryptionAlgorithm::RsaOaep256),
        (Rsa3072Sha256Mgf1Sha256, EncryptionAlgorithm::RsaOaep256),
        (Rsa4096Sha256Mgf1Sha256, EncryptionAlgorithm::RsaOaep256),
    ];
    let mut seen = 0;
    for (name, algorithm) in sets {
        for group in rsa_oaep::TestSet::load(name).unwrap().test_groups {
            let key = brought(&group.key, |_, number| number).checked().unwrap();
            // A vault's protocol has no place for a label.
            for test in group.tests.iter().filter(|test| test.label.is_empty()) {
                let sealed = VaultCiphertext { value: test.ct.to_vec(), ..VaultCiphertext::default() };
                let opened = key.decrypt(algorithm, &sealed, &[]);
                let holds = opened.as_ref().is_ok_and(|plain| plain.expose() == &test.pt.to_vec());
                judge(&format!("{name:?} {}", test.tc_id), test.result, holds);
                assert!(opened.is_ok() || opened.unwrap_err() == VaultKeyFault::Undecryptable);
                seen += 1;
            }
        }
    }
    assert!(seen > 80, "{seen} cases");
}

fn verified(key: &VaultPublicKey, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
    let hash = match algorithm.digest_length() {
        32 => &digest::SHA256,
        48 => &digest::SHA384,
        _ => &digest::SHA512,
    };
    key.verify(algorithm, digest::digest(hash, message).as_ref(), signature).unwrap()
}

/// As a key would have been brought: without leading zeros.
fn unpadded(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|byte| *byte == 0).collect()
}

#[test]
fn rsa_signatures_with_pkcs1_padding_are_told_from_forged_ones() {
    use rsa_pkcs1_verify::TestName::{
        Rsa2048Sha256, Rsa2048Sha384, Rsa2048Sha512, Rsa3072Sha256, Rsa3072Sha384, Rsa3072Sha512, Rsa4096Sha256,
        Rsa4096Sha384, Rsa4096Sha512,
    };
    let sets = [
        (Rsa2048Sha256, SignatureAlgorithm::Rs256),
        (Rsa2048Sha384, SignatureAlgorithm::Rs384),
        (Rsa2048Sha512, SignatureAlgorithm::Rs512),
        (Rsa3072Sha256, SignatureAlgorithm::Rs256),
        (Rsa3072Sha384, SignatureAlgorithm::Rs384),
        (Rsa3072Sha512, SignatureAlgorithm::Rs512),
        (Rsa4096Sha256, SignatureAlgorithm::Rs256),
        (Rsa4096Sha384, SignatureAlgorithm::Rs384),
        (Rsa4096Sha512, SignatureAlgorithm::Rs512),
    ];
    let mut seen = 0;
    for (name, algorithm) in sets {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let key = VaultPublicKey::Rsa { n: unpadded(&group.key.n), e: unpadded(&group.key.e) };
            for test in &group.tests {
                let holds = verified(&key, algorithm, &test.msg, &test.sig);
                judge(&format!("{name:?} {}", test.tc_id), test.result, holds);
                seen += 1;
            }
        }
    }
    assert!(seen > 2000, "{seen} cases");
}

#[test]
fn rsa_signatures_with_pss_padding_are_told_from_forged_ones() {
    use rsa_pss_verify::TestName::{
        RsaPss2048Sha256Mgf1SaltLen32, RsaPss2048Sha384Mgf1SaltLen48, RsaPss3072Sha256Mgf1SaltLen32,
        RsaPss4096Sha256Mgf1SaltLen32, RsaPss4096Sha384Mgf1SaltLen48, RsaPss4096Sha512Mgf1SaltLen64,
    };
    let sets = [
        (RsaPss2048Sha256Mgf1SaltLen32, SignatureAlgorithm::Ps256),
        (RsaPss2048Sha384Mgf1SaltLen48, SignatureAlgorithm::Ps384),
        (RsaPss3072Sha256Mgf1SaltLen32, SignatureAlgorithm::Ps256),
        (RsaPss4096Sha256Mgf1SaltLen32, SignatureAlgorithm::Ps256),
        (RsaPss4096Sha384Mgf1SaltLen48, SignatureAlgorithm::Ps384),
        (RsaPss4096Sha512Mgf1SaltLen64, SignatureAlgorithm::Ps512),
    ];
    let mut seen = 0;
    for (name, algorithm) in sets {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let key = VaultPublicKey::Rsa { n: unpadded(&group.key.n), e: unpadded(&group.key.e) };
            for test in &group.tests {
                let holds = verified(&key, algorithm, &test.msg, &test.sig);
                judge(&format!("{name:?} {}", test.tc_id), test.result, holds);
                seen += 1;
            }
        }
    }
    assert!(seen > 500, "{seen} cases");
}

#[test]
fn signatures_on_curves_are_told_from_forged_ones() {
    use ecdsa::TestName::{EcdsaSecp256r1Sha256P1363, EcdsaSecp384r1Sha384P1363, EcdsaSecp521r1Sha512P1363};
    let sets = [
        (EcdsaSecp256r1Sha256P1363, VaultCurve::P256, SignatureAlgorithm::Es256),
        (EcdsaSecp384r1Sha384P1363, VaultCurve::P384, SignatureAlgorithm::Es384),
        (EcdsaSecp521r1Sha512P1363, VaultCurve::P521, SignatureAlgorithm::Es512),
    ];
    let mut seen = 0;
    for (name, crv, algorithm) in sets {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let (x, y) = group.key.key[1..].split_at((group.key.key.len() - 1) / 2);
            let key = VaultPublicKey::Curve { crv, x: x.to_vec(), y: y.to_vec() };
            for test in &group.tests {
                let holds = verified(&key, algorithm, &test.msg, &test.sig);
                judge(&format!("{name:?} {}", test.tc_id), test.result, holds);
                seen += 1;
            }
        }
    }
    assert!(seen > 700, "{seen} cases");
}

#[test]
fn aes_key_wrap_gives_the_vectors_and_unwraps_nothing_else() {
    let mut seen = 0;
    for group in keywrap::TestSet::load(keywrap::TestName::AesKeyWrap).unwrap().test_groups {
        for test in &group.tests {
            let Some(key) = symmetric(&test.key) else { continue };
            let algorithm = EncryptionAlgorithm::AesKeyWrap(bits(test.key.len()));
            let sealed = VaultCiphertext { value: test.ct.to_vec(), ..VaultCiphertext::default() };
            let opened = key.decrypt(algorithm, &sealed, &[]);
            let holds = opened.is_ok_and(|plain| plain.expose() == &test.pt.to_vec());
            judge(&format!("unwrapping {}", test.tc_id), test.result, holds);
            let wrapped = key.encrypt(algorithm, &test.pt, None, &[]);
            if test.result == TestResult::Valid {
                assert_eq!(wrapped.unwrap().value, test.ct.to_vec(), "wrapping {}", test.tc_id);
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen} cases");
}

#[test]
fn aes_gcm_opens_the_vectors_and_nothing_else() {
    let mut seen = 0;
    for group in aead::TestSet::load(aead::TestName::AesGcm).unwrap().test_groups {
        // A vault's vectors have 96 bits and its tags 128, as those of its protocol do.
        if (group.nonce_size, group.tag_size) != (96, 128) {
            continue;
        }
        for test in &group.tests {
            let key = symmetric(&test.key).unwrap();
            let sealed = VaultCiphertext {
                value: test.ct.to_vec(),
                iv: Some(test.nonce.to_vec()),
                tag: Some(test.tag.to_vec()),
            };
            let opened = key.decrypt(EncryptionAlgorithm::AesGcm(bits(test.key.len())), &sealed, &test.aad);
            let holds = opened.is_ok_and(|plain| plain.expose() == &test.pt.to_vec());
            judge(&format!("case {}", test.tc_id), test.result, holds);
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen} cases");
}

#[test]
fn aes_cbc_gives_the_vectors_and_takes_no_other_padding() {
    let mut seen = 0;
    for group in cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).unwrap().test_groups {
        for test in &group.tests {
            let key = symmetric(&test.key).unwrap();
            let algorithm = EncryptionAlgorithm::AesCbcPad(bits(test.key.len()));
            let sealed = VaultCiphertext { value: test.ct.to_vec(), iv: Some(test.nonce.to_vec()), tag: None };
            let opened = key.decrypt(algorithm, &sealed, &[]);
            let holds = opened.is_ok_and(|plain| plain.expose() == &test.pt.to_vec());
            judge(&format!("case {}", test.tc_id), test.result, holds);
            if test.result == TestResult::Valid {
                let again = key.encrypt(algorithm, &test.pt, Some(&test.nonce), &[]).unwrap();
                assert_eq!(again.value, test.ct.to_vec(), "case {}", test.tc_id);
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen} cases");
}
