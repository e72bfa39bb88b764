//! The container registry, through its doors.

mod built;
mod held;
mod keeping;
mod must;
mod rights;
mod stage;
