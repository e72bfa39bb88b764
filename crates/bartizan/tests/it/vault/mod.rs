//! Vaults through their doors: who may what, what is kept, what is refused.

mod doors;
mod resources;
mod secrets;
mod stand;

pub use stand::Bank;
