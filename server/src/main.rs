//! The niks3 server: uploads, signatures, garbage collection.

fn main() {}
