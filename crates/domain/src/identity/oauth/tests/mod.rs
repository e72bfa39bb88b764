//! Scenarios over a house in memory: what only many at once, or time, can show. The whole of it is in the server's own tests.

mod assertions;
mod networks;
mod races;
mod revocation;
mod shut_out;
mod stand;
mod upkeep;
mod workload;
