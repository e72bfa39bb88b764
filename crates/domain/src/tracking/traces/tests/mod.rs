//! Traces over stores in memory.
