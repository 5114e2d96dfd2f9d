//! `GET /whoami`: who the server takes the caller for.

use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};

use super::api_tags::ApiTags;
use super::extract::Known;
use super::problem::ApiProblem;
use crate::auth::{Identity, Who};

/// How somebody is known.
#[derive(Debug, Enum)]
#[oai(rename_all = "lowercase")]
enum Kind {
    /// By the static admin token.
    Admin,
    /// By a token of an OpenID Connect provider.
    Oidc,
    /// By a named token.
    Token,
    /// By a client certificate.
    Certificate,
}

/// Somebody the server knows.
#[derive(Debug, Object)]
struct Whoami {
    /// What the pushes that they open belong to.
    identity: String,
    /// How they are known.
    kind: Kind,
    /// What they may do.
    scopes: Vec<String>,
    /// The rules of the configuration that give them that, where rules do.
    rules: Vec<String>,
    /// Names that their pins may have; `*` and `?` stand for others.
    pins: Vec<String>,
    /// Names of the keys that sign what they push, where a rule chooses; empty: every key.
    signing_keys: Vec<String>,
    /// Unix time at which what proves them ends, if it does.
    #[oai(skip_serializing_if_is_none)]
    expires_at: Option<i64>,
}

impl From<&Identity> for Whoami {
    fn from(identity: &Identity) -> Self {
        let (kind, rules) = match identity.who() {
            Who::Admin => (Kind::Admin, Vec::new()),
            Who::Oidc(oidc) => (Kind::Oidc, oidc.rules.clone()),
            Who::Token { .. } => (Kind::Token, Vec::new()),
            Who::Certificate { rules, .. } => (Kind::Certificate, rules.clone()),
        };
        let grant = identity.grant();
        Self {
            identity: identity.name(),
            kind,
            scopes: grant.scopes.iter().map(|scope| scope.to_string()).collect(),
            rules,
            pins: match &grant.pins {
                Some(pins) => pins.iter().map(ToString::to_string).collect(),
                None => vec!["*".to_owned()],
            },
            signing_keys: grant.signing_keys.iter().flatten().cloned().collect(),
            expires_at: identity.expires_at(),
        }
    }
}

/// The caller.
pub struct WhoamiApi;

#[OpenApi]
impl WhoamiApi {
    /// Who the caller is
    ///
    /// Identity, scopes, end, and the rules that gave them.
    #[oai(
        path = "/whoami",
        method = "get",
        operation_id = "whoami",
        tag = "ApiTags::Access"
    )]
    async fn whoami(&self, Known(who): Known) -> Result<Json<Whoami>, ApiProblem> {
        Ok(Json(Whoami::from(&who)))
    }
}
