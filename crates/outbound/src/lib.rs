//! The only HTTP clients.
//!
//! A [`Client`] speaks to one Bartizan server, over HTTPS, and trusts the one CA that it is given: no system roots, no
//! proxies from the environment, no redirects, no other host. The command line and the agent use it.
//!
//! A [`WebClient`] fetches small documents from servers elsewhere, those that the operator named. The server uses it, for
//! the keys of issuers of tokens. What either reads into memory is bounded.

mod answer;
mod call;
mod client;
mod error;
mod line;
mod reach;
mod web;

pub use answer::Answer;
pub use call::Call;
pub use client::{Client, Timeouts};
pub use error::Error;
pub use reach::{Host, Network, Reach, Unreadable};
pub use reqwest::{Method, StatusCode};
pub use web::WebClient;

/// A result of calling a server.
pub type Result<T, E = Error> = std::result::Result<T, E>;
