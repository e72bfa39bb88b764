//! Vaults through their doors: who may what, what is kept, what is refused.

mod certificates;
mod customer_keys;
mod doors;
mod keys;
mod renewal;
mod resources;
mod rotation;
mod secrets;
mod stand;

pub use stand::Bank;
