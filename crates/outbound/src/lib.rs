//! The only HTTP client. Today it has one use: the command line and the agent call a Bartizan server.
//!
//! A [`Client`] speaks to one server, over HTTPS, and trusts the one CA that it is given: no system roots, no proxies
//! from the environment, no redirects, no other host. What it reads into memory is bounded.

mod answer;
mod call;
mod client;
mod error;

pub use answer::Answer;
pub use call::Call;
pub use client::{Client, Timeouts};
pub use error::Error;
pub use reqwest::{Method, StatusCode};

/// A result of calling a server.
pub type Result<T, E = Error> = std::result::Result<T, E>;
