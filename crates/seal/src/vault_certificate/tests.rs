//! Certificates of all kinds of keys, there and back.

use super::*;
use crate::{VaultCurve, VaultKey, VaultKeyShape};

fn form() -> CertificateForm {
    let text = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    CertificateForm {
        subject: String::from("CN=example.com, O=\"Example, Inc\", C=DE"),
        dns_names: text(&["example.com", "*.example.com"]),
        emails: text(&["a@example.com"]),
        upns: text(&["b@example.com"]),
        uris: text(&["https://example.com/"]),
        addresses: text(&["192.0.2.1", "2001:db8::1"]),
        purposes: text(&["1.3.6.1.5.5.7.3.1", "1.3.6.1.4.1.311.20.2.2"]),
        usages: vec![CertificateUsage::DigitalSignature, CertificateUsage::KeyEncipherment],
    }
}

#[test]
fn a_certificate_says_what_its_form_says_and_is_of_its_key() {
    for shape in
        [VaultKeyShape::Rsa(2048), VaultKeyShape::Curve(VaultCurve::P384), VaultKeyShape::Curve(VaultCurve::P521)]
    {
        let key = VaultKey::generate(shape).unwrap();
        let der = form().self_signed(&key, 1_700_000_000, 1_800_000_000).unwrap();
        let read = ReadCertificate::from_der(&der).unwrap();
        assert_eq!((&read.form, read.from, read.until), (&form(), 1_700_000_000, 1_800_000_000), "{shape:?}");
        assert!(read.is_of(key.public()), "{shape:?}");
        let other = VaultKey::generate(VaultKeyShape::Curve(VaultCurve::P384)).unwrap();
        assert!(!read.is_of(other.public()), "{shape:?}");
        assert_ne!(form().self_signed(&key, 0, 1).unwrap(), form().self_signed(&key, 0, 1).unwrap(), "its own number");
        assert!(!form().request(&key).unwrap().is_empty());
        assert!(ReadCertificate::from_der(&[der.as_slice(), b"x"].concat()).is_err());
        assert_eq!(thumbprint(&der).len(), 20);
    }
}

#[test]
fn a_bundle_is_written_and_read_again_with_the_key_s_own_certificate_first() {
    let key = VaultKey::generate(VaultKeyShape::Curve(VaultCurve::P256)).unwrap();
    let other = VaultKey::generate(VaultKeyShape::Rsa(2048)).unwrap();
    let own = form().self_signed(&key, 0, 1_900_000_000).unwrap();
    let authority = CertificateForm { subject: String::from("CN=authority"), ..CertificateForm::default() };
    let authority = authority.self_signed(&other, 0, 1_900_000_000).unwrap();
    let chain = ordered(&key, vec![authority.clone(), own.clone()]).unwrap();
    assert_eq!(chain, [own.clone(), authority.clone()]);
    let public = |bundle: &CertificateBundle| bundle.key.public().clone();
    let pkcs12 = to_pkcs12(Some(&key), &chain).unwrap();
    let again = CertificateBundle::from_pkcs12(pkcs12.expose(), "").unwrap();
    assert_eq!((public(&again), &again.chain), (key.public().clone(), &chain));
    assert!(CertificateBundle::from_pkcs12(pkcs12.expose(), "wrong").is_err());
    let pem = to_pem(Some(&key), &chain);
    let again = CertificateBundle::from_pem(pem.expose()).unwrap();
    assert_eq!((public(&again), &again.chain), (key.public().clone(), &chain));
    assert_eq!(format!("{again:?}"), "CertificateBundle(2 certificates)");
    // Without a key there is nothing private in it.
    let bare = to_pem(None, &chain);
    assert!(!bare.expose().contains("PRIVATE") && CertificateBundle::from_pem(bare.expose()).is_err());
    let bare = to_pkcs12(None, &chain).unwrap();
    assert!(CertificateBundle::from_pkcs12(bare.expose(), "").is_err());
    assert!(ordered(&key, vec![authority]).is_err(), "none is of this key");
    let mixed = format!("{}{}", to_pem(Some(&other), &[]).expose(), to_pem(None, &[own]).expose());
    assert!(CertificateBundle::from_pem(&mixed).is_err(), "another key's certificate");
}

#[test]
fn what_no_certificate_can_say_is_refused() {
    let with = |change: fn(&mut CertificateForm)| {
        let mut form = form();
        change(&mut form);
        form.check()
    };
    assert!(with(|_| {}).is_ok());
    assert!(with(|form| form.subject = String::new()).is_ok(), "another name is enough");
    type Spoil = fn(&mut CertificateForm);
    let bad: [(&str, Spoil); 9] = [
        ("subject", |form| form.subject = String::from("example.com")),
        ("nothing", |form| *form = CertificateForm::default()),
        ("server", |form| form.dns_names = vec![String::from("a b")]),
        ("mail", |form| form.emails = vec![String::from("a")]),
        ("mail", |form| form.emails = vec![String::from("ä@b")]),
        ("uri", |form| form.uris = vec![String::from("a")]),
        ("address", |form| form.addresses = vec![String::from("1.2.3")]),
        ("purpose", |form| form.purposes = vec![String::from("serverAuth")]),
        ("many", |form| form.dns_names = vec![String::from("a"); 101]),
    ];
    for (what, change) in bad {
        assert!(with(change).is_err(), "{what}");
    }
    assert!(oid("1.40.1").is_none() && oid("3.1").is_none() && oid("1").is_none() && oid("2.999.1").is_some());
}
