//! The Blob service of storage accounts, through its own doors.

mod access;
mod blocks;
mod keeping;
mod lists;
mod plain;
mod signatures;
mod stage;
