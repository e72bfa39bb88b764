//! Operations over a whole house in memory.

mod images;
mod scoring;
mod stand;
mod tracking;
