//! Vaults through their doors: who may what, what is kept, what is refused.

mod customer_keys;
mod doors;
mod keys;
mod resources;
mod rotation;
mod secrets;
mod stand;

pub use stand::Bank;
