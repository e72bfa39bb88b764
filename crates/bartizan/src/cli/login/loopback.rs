//! Where the browser brings the answer: one address on loopback, one answer, a few minutes.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use kernel::Secret;

use super::unexpected;
use crate::failure::Failure;

/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a browser may take to send a request.
const SLOW: Duration = Duration::from_secs(10);
/// The longest request, in bytes.
const LONGEST: usize = 16 << 10;

/// A listener on loopback.
pub(super) struct Loopback {
    listener: TcpListener,
    port: u16,
}

/// What is to be told of a request.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// Not the answer: another page, or somebody else's.
    Other,
    /// The answer, but not of the server that was asked (RFC 9207 §2.4).
    Foreign,
    /// The server refused, for this reason.
    Refused(String),
    /// The server gave this code.
    Answered(String),
}

impl Loopback {
    pub(super) async fn bind() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits for the answer of this issuer to the request with this state; gives its code.
    pub(super) async fn answer(self, state: &str, issuer: &str) -> Result<Secret<String>, Failure> {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let (stream, _) = self.listener.accept().await?;
                match tokio::time::timeout(SLOW, serve(stream, state, issuer)).await {
                    Ok(Ok(Read::Answered(code))) => return Ok(Secret::new(code)),
                    Ok(Ok(Read::Foreign)) => return Err(unexpected()),
                    Ok(Ok(Read::Refused(why))) => return Err(Failure::new(format!("the sign-in was refused: {why}"))),
                    // A connection that says nothing, or breaks off, is not the browser's last word.
                    Ok(Ok(Read::Other) | Err(_)) | Err(_) => {}
                }
            }
        });
        let late = || Failure::new("nobody signed in in the browser in time; run `bartizan login` again");
        waited.await.map_err(|_| late())?
    }
}

async fn serve(mut stream: TcpStream, state: &str, issuer: &str) -> std::io::Result<Read> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < LONGEST {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&request);
    let read = read(text.lines().next().unwrap_or_default(), state, issuer);
    let (status, sentence) = match &read {
        Read::Answered(_) => ("200 OK", "You are signed in. You can close this window."),
        Read::Refused(_) | Read::Foreign => {
            ("200 OK", "You are not signed in. The command line says why; you can close this window.")
        }
        Read::Other => ("404 Not Found", "There is nothing here."),
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Bartizan</title><body><p>{sentence}</p></body></html>"
    );
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nContent-Security-Policy: \
         default-src 'none'\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        page.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(page.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(read)
}

/// Reads a request line. Whoever does not know the state is not the browser that was sent.
fn read(line: &str, state: &str, issuer: &str) -> Read {
    let mut words = line.split(' ');
    let (Some("GET"), Some(target)) = (words.next(), words.next()) else { return Read::Other };
    let Some(query) = target.strip_prefix("/?") else { return Read::Other };
    let pairs = query.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name, unescape(value))
    });
    let value = |wanted: &str| {
        let mut found = pairs.clone().filter(|(name, _)| *name == wanted).map(|(_, value)| value);
        // What comes twice is as good as nothing.
        found.next().filter(|_| found.next().is_none()).flatten()
    };
    if value("state").as_deref() != Some(state) {
        return Read::Other;
    }
    if value("iss").as_deref() != Some(issuer) {
        return Read::Foreign;
    }
    if pairs.clone().any(|(name, _)| name == "error") {
        let words = value("error_description").or_else(|| value("error")).unwrap_or_default();
        return Read::Refused(words.chars().filter(|c| !c.is_control()).take(500).collect());
    }
    match value("code") {
        Some(code) => Read::Answered(code),
        None => Read::Other,
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                out.push(u8::from_str_radix(digits, 16).ok()?);
            }
            b'+' => out.push(b' '),
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_this_request_is_taken() {
        let read = |line: &str| read(line, "s", "https://h");
        let answer = read("GET /?code=a%2Bb&state=s&iss=https%3A%2F%2Fh HTTP/1.1");
        assert_eq!(answer, Read::Answered(String::from("a+b")));
        for line in [
            "",
            "GET / HTTP/1.1",
            "GET /favicon.ico HTTP/1.1",
            "GET /x?code=a&state=s HTTP/1.1",
            "POST /?code=a&state=s HTTP/1.1",
            "GET /?code=a HTTP/1.1",
            "GET /?code=a&state=t HTTP/1.1",
            "GET /?code=a&state=s&state=s HTTP/1.1",
            "GET /?code=a&code=b&state=s&iss=https://h HTTP/1.1",
            "GET /?error=x&state=t HTTP/1.1",
        ] {
            assert_eq!(read(line), Read::Other, "{line}");
        }
        for words in ["code=a", "error=access_denied"] {
            for issuer in ["", "&iss=", "&iss=https://i", "&iss=https://h/", "&iss=https://h&iss=https://h", "&iss=%zz"]
            {
                let line = format!("GET /?{words}&state=s{issuer} HTTP/1.1");
                assert_eq!(read(&line), Read::Foreign, "{line}");
            }
        }
        let refused = read("GET /?error=access_denied&error_description=not+today%0A&state=s&iss=https://h HTTP/1.1");
        assert_eq!(refused, Read::Refused(String::from("not today")));
    }
}
