//! High business impact: of workspaces and of single jobs, and what is collected for diagnostics.

mod doors;
mod scenes;
mod stand;
