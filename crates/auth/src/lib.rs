//! Who is asking, and what they may do.
//!
//! [`Credentials`] are what a request brings, [`Authenticator`] finds the
//! [`Identity`] they prove, and `http/extract.rs` of the server asks it for the scope that an
//! operation needs.

mod admin_token;
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
pub use authenticator::{AuthContext, Authenticator, Presented};
pub use certificates::{CertificateSettings, Peer, TrustedHeaders};
pub use credentials::Credentials;
pub use failures::FailureLimit;
pub use grant::Grant;
pub use identity::{Identity, Who};
pub use limits::Limits;
pub use named_token::TokenName;
pub use refusal::AuthError;
pub use scope::{Scope, Scopes};
