//! Retention: what the database says of runs, closures, pushes and uses is judged by a policy.

pub mod explain;
pub(crate) mod holds;
pub mod open_pulls;
pub mod reference_graph;
pub mod server_list;
pub mod usage;
pub(crate) mod wording;
pub(crate) mod world;
