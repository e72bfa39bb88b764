//! Secrets in runs: named in variables, handed to the run's agent alone, and looked for where they should not be.

mod by_name;
mod handed;
mod literal;
mod scanned;
mod stand;
