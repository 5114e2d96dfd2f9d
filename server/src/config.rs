//! Configuration: arguments as they are written, then as they are meant.

mod args;
mod credential_files;
mod embedded;
mod resolve;
mod retention;
mod secrets;
mod tls;

pub use args::{Args, BucketLookup, ChecksumChoice, Cli, Command, Import, LogFormat};
pub use credential_files::CredentialFiles;
pub use resolve::{Config, Storage, Store, UsageError};
