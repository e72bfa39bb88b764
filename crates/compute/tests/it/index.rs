//! A package index over TLS, with one small wheel and one link to a host that is not the index.

use std::{collections::BTreeMap, convert::Infallible, path::Path, process::Command, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::house::tls;

/// Makes a wheel of a module that says hello, with a script and a `.pth` file.
const MAKE: &str = r#"
import sys, zipfile
name = "bartizan_tiny-1.0-py3-none-any.whl"
info = "bartizan_tiny-1.0.dist-info"
files = {
    "bartizan_tiny.py": "def hello():\n    return 'tiny hello'\ndef main():\n    print(hello())\n",
    info + "/METADATA": "Metadata-Version: 2.1\nName: bartizan-tiny\nVersion: 1.0\n",
    info + "/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    info + "/entry_points.txt": "[console_scripts]\ntiny = bartizan_tiny:main\n",
}
record = "".join(f"{n},,\n" for n in files) + info + "/RECORD,,\n"
with zipfile.ZipFile(sys.argv[1] + "/" + name, "w") as wheel:
    for n, text in files.items():
        wheel.writestr(n, text)
    wheel.writestr(info + "/RECORD", record)
"#;

/// The index and where its authority's certificate lies.
pub struct Index {
    pub url: String,
    pub ca: std::path::PathBuf,
}

pub async fn open(directory: &Path) -> Index {
    let made = Command::new("python3").args(["-I", "-c", MAKE]).arg(directory).status().unwrap();
    assert!(made.success());
    let wheel = std::fs::read(directory.join("bartizan_tiny-1.0-py3-none-any.whl")).unwrap();
    let (pem, acceptor) = tls();
    let ca = directory.join("index-ca.pem");
    std::fs::write(&ca, pem).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // Nobody listens there, and it is not the index: the jail's gate must refuse it by itself.
    let elsewhere = "https://files.elsewhere.test/astray-1.0-py3-none-any.whl";
    let pages: BTreeMap<String, Vec<u8>> = BTreeMap::from([
        (
            String::from("/simple/bartizan-tiny/"),
            b"<a href=\"/files/bartizan_tiny-1.0-py3-none-any.whl\">bartizan_tiny-1.0-py3-none-any.whl</a>".to_vec(),
        ),
        (String::from("/files/bartizan_tiny-1.0-py3-none-any.whl"), wheel),
        (
            String::from("/simple/astray/"),
            format!("<a href=\"{elsewhere}\">astray-1.0-py3-none-any.whl</a>").into_bytes(),
        ),
    ]);
    let pages = Arc::new(pages);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (pages, acceptor) = (Arc::clone(&pages), acceptor.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request: Request<Incoming>| {
                    let pages = Arc::clone(&pages);
                    async move {
                        let mut answer = Response::new(Full::new(Bytes::new()));
                        match pages.get(request.uri().path()) {
                            Some(page) => *answer.body_mut() = Full::new(Bytes::from(page.clone())),
                            None => *answer.status_mut() = StatusCode::NOT_FOUND,
                        }
                        if request.uri().path().starts_with("/simple") {
                            answer.headers_mut().insert("content-type", "text/html".parse().unwrap());
                        }
                        Ok::<_, Infallible>(answer)
                    }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Index { url: format!("https://localhost:{port}/simple"), ca }
}
