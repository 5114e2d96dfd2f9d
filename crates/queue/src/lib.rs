//! The queue between Nix's post-build hook and the cache.
//!
//! The hook writes a file for each build into a folder and rings; whoever serves the queue pushes what the files
//! name and removes them. The files are the truth: whoever serves may be killed at any time.

mod built;
mod engine;
mod failure;
mod folder;
mod journal;
mod process;
mod roots;
mod serve;
mod socket;
mod spool;
mod wire;

pub use built::{built_paths, is_post_build_hook};
pub use engine::{DEFAULT_BATCH, Engine, Pusher, ServerPusher};
pub use failure::Kind;
pub use folder::{Folder, Lock};
pub use journal::{Entry, Journal, Outcome};
pub use process::Process;
pub use roots::Roots;
pub use serve::{Ending, ServeOptions, serve};
pub use socket::{Address, QueueListener, ring, send_paths};
pub use spool::{Batch, SpoolError, Waiting};
pub use wire::{Request, Status, ask};
