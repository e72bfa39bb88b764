//! Files of runs and models through MLflow's face: ranges, paths, uploads in parts, tickets, and what is looked for in models.

mod files;
mod pages;
mod parts;
mod scanned;
mod stage;
