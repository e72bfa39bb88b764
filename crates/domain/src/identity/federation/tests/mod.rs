//! Scenarios of sign-in through providers, good ones and rogues.

mod administration;
mod again;
mod ending;
mod people;
mod rogues;
mod stand;
mod workload;
