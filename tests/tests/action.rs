//! The action, from main to post, with real builds between: what the runner sees, and what is in the cache after it.

mod act;
mod admission;
mod bench;
mod builds;
mod delivery;
mod faults;
mod figures;
mod flush;
mod identity;
mod inputs;
mod private;
mod runs;
mod secrets;
mod surroundings;
mod uses;
