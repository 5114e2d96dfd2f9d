//! From store paths to uploaded closures: shared by the command line and the Action.

mod budget;
mod ci;
mod commit;
mod compress;
mod error;
mod lease;
mod logs;
mod multipart;
mod nix;
mod open_files;
mod pack;
mod path_info;
mod plan;
mod progress;
mod push;
mod put;
mod realisations;
mod server;
mod small_objects;
mod stop;
mod upload;
mod upstream;
mod work;

pub use budget::{Budget, Reservation};
pub use ci::run_of_environment;
pub use compress::{Compressor, DEFAULT_LEVEL, THREADED_FROM, fingerprint};
pub use error::PushError;
pub use nix::{LocalStore, NixError};
pub use pack::PackError;
pub use path_info::{PathInfo, PathInfos, query as path_infos, valid_paths};
pub use progress::{Conflict, Difference, Left, LeftTo, Progress, Pushed, Silent, Summary};
pub use push::{PushOptions, push};
pub use tokio_util::sync::CancellationToken;
pub use upstream::{DEFAULT_UPSTREAM, Upstream, upstream_name};
