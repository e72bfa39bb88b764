//! Providers of the root key.

mod file;

pub use file::KeyFile;
