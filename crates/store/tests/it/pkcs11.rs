//! PKCS#11 against the contract, with SoftHSM. Its configuration is a variable of the environment, so the test runs itself again
//! with that set.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use kernel::{KeyProvider, Secret, StoreError};
use store::key::{Pkcs11, Pkcs11Config};
use testkit::{
    ToySealing,
    conformance::{self, Persistence},
};

const DIRECTORY: &str = "BARTIZAN_TEST_TOKENS";

/// SoftHSM's module; installed when it is missing and may be.
fn module() -> Option<PathBuf> {
    let places = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"];
    let found = || places.iter().map(PathBuf::from).find(|place| place.exists());
    found().or_else(|| {
        for step in [&["update", "-q"][..], &["install", "-y", "-q", "--no-install-recommends", "softhsm2"]] {
            let apt = Command::new("apt-get").args(step).env("DEBIAN_FRONTEND", "noninteractive").output();
            apt.ok().filter(|done| done.status.success())?;
        }
        found()
    })
}

#[test]
fn pkcs11_conforms_with_softhsm() {
    if module().is_none() {
        let _ = writeln!(std::io::stderr(), "pkcs11: 1 suite skipped: softhsm2 is missing and cannot be installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (tokens, config) = (dir.path().join("tokens"), dir.path().join("softhsm2.conf"));
    fs::create_dir(&tokens).unwrap();
    fs::write(
        &config,
        format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display()),
    )
    .unwrap();
    for token in ["one", "two"] {
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", token, "--so-pin", "12345678", "--pin", "87654321"])
            .env("SOFTHSM2_CONF", &config)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }
    let inner = Command::new(std::env::current_exe().unwrap())
        .args(["pkcs11::inner", "--exact", "--ignored", "--nocapture"])
        .env("SOFTHSM2_CONF", &config)
        .env(DIRECTORY, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inner.stdout);
    assert!(inner.status.success() && said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&inner.stderr));
}

fn config(dir: &Path, token: &str, key: &str, pin: &str) -> Pkcs11Config {
    let pin_file = dir.join(format!("pin-{pin}"));
    fs::write(&pin_file, pin).unwrap();
    fs::set_permissions(&pin_file, fs::Permissions::from_mode(0o600)).unwrap();
    Pkcs11Config { module: module().unwrap(), token: token.to_owned(), key: key.to_owned(), pin_file }
}

fn provider(config: Pkcs11Config) -> Pkcs11 {
    Pkcs11::new(config, Arc::new(ToySealing))
}

fn refusal<T: std::fmt::Debug>(end: Result<T, StoreError>) -> String {
    match end {
        Err(StoreError::Key(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs within the test above, which makes its tokens"]
async fn inner() {
    let dir = PathBuf::from(std::env::var_os(DIRECTORY).unwrap());
    let open = async |place: usize| {
        let token = if place == 1 { "one" } else { "two" };
        let opened = provider(config(&dir, token, "bartizan", "87654321"));
        opened.make().await.unwrap();
        opened
    };
    conformance::dear_key(Persistence::Kept, open).await;
    conformance::rotating_key(open).await;

    let key = Secret::new(vec![7; 32]);
    let one = open(1).await;
    assert!(!one.describe().contains("87654321"));
    let wrapped = one.wrap(b"p", &key).await.unwrap();
    // Another label is another key, in the same token.
    let other = provider(config(&dir, "one", "other", "87654321"));
    assert!(refusal(other.wrap(b"p", &key).await).contains("no AES key"));
    other.make().await.unwrap();
    assert!(other.unwrap(b"p", &wrapped).await.is_err());
    let wrong = provider(config(&dir, "one", "bartizan", "00000000"));
    let why = refusal(wrong.unwrap(b"p", &wrapped).await);
    assert!(why.contains("refused the PIN") && !why.contains("00000000"), "{why}");
    let why = refusal(wrong.unwrap(b"p", &wrapped).await);
    assert!(why.contains("still holds"), "a token locks when it is asked too often: {why}");
    conformance::away(&provider(config(&dir, "three", "bartizan", "87654321"))).await;
    let nothing = Pkcs11Config { module: dir.join("softhsm2.conf"), ..config(&dir, "one", "bartizan", "87654321") };
    assert!(refusal(provider(nothing).wrap(b"p", &key).await).contains("cannot be loaded"));
    // Calls at once wait for one another.
    let calls = (0..8).map(|_| async { one.unwrap(b"p", &wrapped).await.is_ok() });
    assert!(futures::future::join_all(calls).await.into_iter().all(|ok| ok));
}
