//! Linli.
fn main() {}
