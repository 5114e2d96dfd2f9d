//! The GitHub Action of niks3.

fn main() {}
