//! Who is asking, and what they may do.
//!
//! [`Credentials`] are what a request brings, [`Authenticator`] finds the
//! [`Identity`] they prove, and an operation takes the extractor of the scope
//! it needs ([`Reader`], [`Pusher`], [`Collector`], [`Administrator`]), which is
//! also what the OpenAPI document says of it.

mod admin_token;
mod allowed;
mod authenticator;
mod certificates;
mod credentials;
mod failures;
mod grant;
mod identity;
mod limits;
pub mod named_token;
pub mod oidc;
mod refusal;
mod scope;

pub use admin_token::AdminToken;
pub use allowed::{Administrator, Collector, Known, Pusher, Reader};
pub use authenticator::{Authenticator, Door};
pub use certificates::{CertificateSettings, Peer, TrustedHeaders};
pub use credentials::Credentials;
pub use failures::FailureLimit;
pub use grant::Grant;
pub use identity::{Identity, Who};
pub use limits::Limits;
pub use named_token::TokenName;
pub use refusal::{FAILURES, Refusal};
pub use scope::{Scope, Scopes};
