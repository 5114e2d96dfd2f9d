//! Tokens of OpenID Connect issuers, against a real one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod attacks;
mod faults;
mod push;
mod ranks;
mod renewal;
mod signing;
mod table;
mod world;
