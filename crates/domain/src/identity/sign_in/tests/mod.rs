//! The rules of sign-in, on a house over memory with a clock to turn.

mod guessing;
mod password;
mod sessions;
pub(in crate::identity) mod stand;
