//! Real parts for tests: servers, databases, object stores, Nix stores; and what
//! goes wrong between them.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says why"
)]

mod bucket;
mod checker;
mod clock;
mod eventually;
mod garage;
mod github_issuer;
mod http;
mod issuer;
mod mounts;
mod pooler;
mod postgres;
mod process;
mod proxy;
mod runner;
mod s3_bucket;
mod s3_services;
mod server;
mod site;
mod store;
mod upstream;

pub use bucket::Bucket;
pub use checker::{check_bucket, check_whole_bucket};
pub use clock::Clock;
pub use eventually::{comes_about, eventually};
pub use garage::{Garage, garage_bucket};
pub use github_issuer::GithubIssuer;
pub use http::WebServer;
pub use issuer::{Issuer, IssuerFault, IssuerKey};
pub use mounts::with_own_mounts;
pub use niks3_check_bucket::{Finding, Kind as FlawKind, Report};
pub use pooler::Pooler;
pub use postgres::{Postgres, database, database_with, give_to_postgres};
pub use process::{Output, Running, free_port, program, run};
pub use proxy::{Fault, FaultProxy};
pub use runner::{Github, GithubApi, Job, Pairs, Started, Step, TokenEndpoint, Use};
pub use s3_bucket::S3Bucket;
pub use s3_services::S3Service;
pub use server::{Backend, Server, ServerOptions};
pub use site::{Site, finish, spawn};
pub use store::{APP, Store};
pub use upstream::Upstream;
