//! Tokens of OpenID Connect issuers, against a real one.

mod attacks;
mod faults;
mod push;
mod ranks;
mod renewal;
mod signing;
mod table;
mod world;
