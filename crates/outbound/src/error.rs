//! What can go wrong when a server is called. Each says what to do; none shows a query or a token.

use std::{error::Error as StdError, io};

use bytes::Bytes;

type Cause = Box<dyn StdError + Send + Sync>;

/// Why a call had no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's address is not an HTTPS origin.
    #[error("`{text}` is not the address of a server; give one like `https://localhost:8443`")]
    Address {
        /// What was given.
        text: String,
    },
    /// The CA file is of no use.
    #[error("the CA file holds no usable certificate; give the `ca.pem` that the server wrote")]
    Ca {
        /// What is wrong with it, when there was something.
        #[source]
        source: Option<Cause>,
    },
    /// A place on another host.
    #[error("`{place}` does not lie on `{base}`, so it is not called")]
    Elsewhere {
        /// The server.
        base: String,
        /// The place.
        place: String,
    },
    /// A header that cannot be sent.
    #[error("the header `{name}` holds characters that cannot be sent")]
    Header {
        /// Its name.
        name: String,
    },
    /// Nobody listens there, or the way there is cut.
    #[error("cannot reach `{base}`; is the server running there?")]
    Unreachable {
        /// The server.
        base: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// Someone listens there who is not our server.
    #[error("`{base}` did not prove to be the expected server; check the address and the CA file")]
    Untrusted {
        /// The server.
        base: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// It took too long.
    #[error("`{base}` did not answer in time; see whether the server is overloaded, then try again")]
    TimedOut {
        /// The server.
        base: String,
    },
    /// The connection failed on the way.
    #[error("the connection to `{base}` failed; try again")]
    CutOff {
        /// The server.
        base: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// An answer that is not a success.
    #[error("the server answered {status}{}", message(body))]
    Answered {
        /// The status.
        status: u16,
        /// The body, at most 64 KiB; empty when there was more.
        body: Bytes,
    },
    /// An answer that is longer than allowed.
    #[error("the answer of `{base}` is longer than {most} bytes; ask for less at once")]
    TooLarge {
        /// The server.
        base: String,
        /// The bound.
        most: usize,
    },
    /// An answer that is not what it should be.
    #[error("the answer of `{base}` cannot be understood; is it a server of the same release?")]
    Malformed {
        /// The server.
        base: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The client itself cannot work.
    #[error("the call cannot be made")]
    Setup {
        /// The cause.
        #[source]
        source: Cause,
    },
}

impl Error {
    pub(crate) fn setup(cause: impl Into<Cause>) -> Self {
        Self::Setup { source: cause.into() }
    }

    /// Finds out what a failed call died of.
    pub(crate) fn calling(base: &str, cause: reqwest::Error) -> Self {
        let base = base.to_owned();
        // The URL may carry a signature in its query.
        let source = cause.without_url();
        if source.is_timeout() {
            Self::TimedOut { base }
        } else if is_about_trust(&source) {
            Self::Untrusted { base, source: source.into() }
        } else if source.is_connect() {
            Self::Unreachable { base, source: source.into() }
        } else if source.is_builder() {
            Self::setup(source)
        } else {
            Self::CutOff { base, source: source.into() }
        }
    }
}

/// Whether TLS refused the peer, or the peer does not speak TLS.
fn is_about_trust(cause: &(dyn StdError + 'static)) -> bool {
    // The source of an `io::Error` is that of the error inside it, so the inside has to be asked for.
    let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match inner {
        Some(inner) => is_about_trust(inner),
        None => cause.is::<rustls::Error>() || cause.source().is_some_and(is_about_trust),
    }
}

/// The sentence in an unsuccessful answer, in any of the forms our faces use. What comes from afar goes to a terminal, so
/// it is shortened and stripped of control characters.
fn message(body: &Bytes) -> String {
    let said = serde_json::from_slice::<serde_json::Value>(body).ok().and_then(|body| {
        ["/error/message", "/error_description", "/message", "/errors/0/message", "/error"]
            .iter()
            .find_map(|place| body.pointer(place)?.as_str().map(str::to_owned))
    });
    match said {
        Some(said) => format!(": {}", said.chars().filter(|c| !c.is_control()).take(500).collect::<String>()),
        None => String::new(),
    }
}
