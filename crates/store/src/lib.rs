//! Drivers for the storage ports: metadata, blobs and root keys.
//!
//! What lies here is untrusted by design: a driver sees keys made of ids and keyed hashes, sizes and ciphertext
//! ([`kernel::Sealed`]), and holds no cryptography. What it promises is order, atomicity and durability: *acknowledged*
//! means that it survives power loss, and after an fsync error nothing more is acknowledged.
//!
//! | port | drivers |
//! | --- | --- |
//! | `MetaStore` | [`meta::Sqlite`], [`meta::Memory`] |
//! | `BlobStore` | [`blob::LocalDisk`], [`blob::Memory`] |
//! | `KeyProvider` | [`key::KeyFile`], [`key::Passphrase`], [`key::Transit`], [`key::Pkcs11`], [`key::AzureVault`] |
//! | `KeyHolders` | [`Holders`], over those of `KeyProvider` |
//!
//! A new driver is one file, one variant of [`MetaConfig`], [`BlobConfig`] or [`KeyConfig`], and one line in `tests/it` that runs the
//! conformance suite.

pub mod blob;
mod config;
mod disk;
mod fault;
mod holders;
pub mod key;
mod lock;
pub mod meta;

pub use holders::Holders;

pub use config::{BlobConfig, Config, KeyConfig, KeySurroundings, MetaConfig, Stores, open, open_key};
