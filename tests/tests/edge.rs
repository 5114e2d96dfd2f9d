//! The edge of the server: what it takes from whom, how it starts and stops, and what its options do.

mod bodies;
mod gate;
mod memory_of_bodies;
mod options;
mod protocols;
mod reads;
mod stop;
