//! Retention on both backends: what is released, by whom, what brings it back, and what says why.

mod by_hand;
mod by_policy;
mod examples;
mod holds;
mod world;
