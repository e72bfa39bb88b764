//! The build jail's only way out: a CONNECT proxy to the configured package index.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream, lookup_host},
    sync::Semaphore,
    time::timeout,
};

/// The longest head of a request.
const LONGEST_HEAD: usize = 8 << 10;
/// How long a request's head, and a connection, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many tunnels there may be at once.
const TUNNELS: usize = 32;

/// Hosts that were asked for and refused.
pub type Refused = Arc<Mutex<BTreeSet<String>>>;

/// Serves the listener until it is dropped with the task.
pub async fn serve(listener: TcpListener, hosts: BTreeSet<(String, u16)>, refused: Refused) {
    let hosts = Arc::new(hosts);
    let room = Arc::new(Semaphore::new(TUNNELS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { return };
        let (hosts, refused) = (Arc::clone(&hosts), Arc::clone(&refused));
        tokio::spawn(async move {
            // A broken tunnel is pip's to notice and to try again.
            let _broken = tunnel(stream, &hosts, &refused).await;
            drop(place);
        });
    }
}

async fn tunnel(mut inside: TcpStream, hosts: &BTreeSet<(String, u16)>, refused: &Refused) -> io::Result<()> {
    let head = timeout(PATIENCE, read_head(&mut inside)).await??;
    let Some(wanted) = wanted(&head) else {
        return inside
            .write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
    };
    if !hosts.contains(&wanted) {
        if let Ok(mut refused) = refused.lock()
            && refused.len() < 16
        {
            refused.insert(wanted.0.chars().filter(|letter| !letter.is_control()).take(100).collect());
        }
        return inside.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    }
    let Some(mut outside) = connect(&wanted.0, wanted.1).await else {
        return inside.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    };
    inside.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut inside, &mut outside).await.map(drop)
}

/// Resolves once, and connects to what that look-up said.
async fn connect(host: &str, port: u16) -> Option<TcpStream> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = timeout(PATIENCE, lookup_host((bare, port))).await.ok()?.ok()?;
    for address in addresses {
        if let Ok(Ok(stream)) = timeout(PATIENCE, TcpStream::connect(address)).await {
            return Some(stream);
        }
    }
    None
}

async fn read_head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LONGEST_HEAD {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        // A byte at a time: what follows the head belongs to the tunnel.
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

/// The host and port of `CONNECT host:port HTTP/1.1`.
fn wanted(head: &[u8]) -> Option<(String, u16)> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    let (method, place, version) = (words.next()?, words.next()?, words.next()?);
    if method != "CONNECT" || !version.starts_with("HTTP/1.") || words.next().is_some() {
        return None;
    }
    let (host, port) = place.rsplit_once(':')?;
    let fine = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
    if !fine {
        return None;
    }
    Some((host.to_ascii_lowercase(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_connect_is_understood() {
        assert_eq!(wanted(b"CONNECT PyPI.org:443 HTTP/1.1\r\n\r\n"), Some((String::from("pypi.org"), 443)));
        for head in [
            &b"GET http://pypi.org/ HTTP/1.1\r\n\r\n"[..],
            b"CONNECT pypi.org HTTP/1.1\r\n\r\n",
            b"CONNECT pypi.org:443 HTTP/1.1 x\r\n\r\n",
            b"CONNECT pypi.org%00:443 HTTP/1.1\r\n\r\n",
            b"CONNECT a@pypi.org:443 HTTP/1.1\r\n\r\n",
            b"CONNECT :443 HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(wanted(head), None);
        }
    }
}
