//! Client of the niks3 API: generated from `openapi/niks3.json`, with tokens, retries and plain errors around it.

mod describe;
mod error;
mod http;
mod retry;
mod session;
mod token;

/// What progenitor makes of `openapi/niks3.json`.
#[rustfmt::skip]
#[allow(
    missing_docs,
    unreachable_pub,
    unused,
    mismatched_lifetime_syntaxes,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used
)]
pub mod generated;

pub use describe::{describe, is_temporary_name_failure};
pub use error::{Error, Problem, is_certificate};
pub use generated::types;
pub use http::{ConnectOptions, Http, HttpError, Pem, build_http, shown_address, without_userinfo};
pub use retry::{Hint, RetryPolicy, Retryable, is_waiting, retry, retry_after};
pub use secrecy::{ExposeSecret, SecretString};
pub use session::{Api, Called, PROTOCOL_VERSION};
pub use token::{TokenError, TokenOptions, TokenProvider};
