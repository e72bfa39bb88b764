//! The Blob service of storage accounts, through its own doors.

mod access;
mod blocks;
mod delegation;
mod keeping;
mod lists;
mod lost;
mod managed;
mod plain;
mod signatures;
mod stage;
mod versions;

pub use stage::told;
