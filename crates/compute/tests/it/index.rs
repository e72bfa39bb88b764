//! A package index over TLS, with one small wheel.
