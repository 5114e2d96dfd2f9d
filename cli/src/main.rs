//! niks3: push closures into a Nix binary cache.

fn main() {}
