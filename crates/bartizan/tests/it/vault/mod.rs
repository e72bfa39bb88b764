//! Vaults through their doors: who may what, what is kept, what is refused.

mod accounts;
mod break_glass;
mod certificates;
mod customer_keys;
mod doors;
mod elsewhere;
mod keys;
mod renewal;
mod resources;
mod rotation;
mod secrets;
mod stand;

pub use customer_keys::Customer;
pub use stand::Bank;
