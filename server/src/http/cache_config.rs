//! `GET /cache-config`: what a client configures itself with; needs no token.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::api_tags::ApiTags;
use super::problem::ApiProblem;
use super::protocol;
use crate::app::App;

/// How to use the cache.
#[derive(Debug, Object)]
pub struct CacheConfig {
    /// Store directory of all paths in the cache.
    store_dir: String,
    /// URL that readers configure as substituter, where the server knows it.
    #[oai(skip_serializing_if_is_none)]
    substituter: Option<String>,
    /// Public keys that the server signs with, `name:base64`.
    public_keys: Vec<String>,
    /// Audience that tokens of the issuer in the question have to be for, if the server accepts them.
    #[oai(skip_serializing_if_is_none)]
    audience: Option<String>,
    /// Priority among substituters; lower is asked first.
    priority: u32,
    /// Oldest version of the protocol that the server speaks.
    protocol_min: u32,
    /// Newest version of the protocol that the server speaks.
    protocol_max: u32,
}

/// What a client needs to know of the cache.
pub struct CacheConfigApi;

#[OpenApi]
impl CacheConfigApi {
    /// How to use this cache
    #[oai(
        path = "/cache-config",
        method = "get",
        operation_id = "get_cache_config",
        tag = "ApiTags::Cache"
    )]
    async fn get(
        &self,
        Data(app): Data<&Arc<App>>,
        /// Issuer of OpenID Connect tokens, for example `https://token.actions.githubusercontent.com`.
        Query(issuer): Query<Option<String>>,
    ) -> Result<Json<CacheConfig>, ApiProblem> {
        Ok(Json(CacheConfig {
            store_dir: app.store_dir.to_string(),
            substituter: app.cache_url.as_ref().map(ToString::to_string),
            public_keys: app.signer.public_keys(),
            audience: issuer.and_then(|issuer| app.auth.oidc().audience(&issuer).map(str::to_owned)),
            priority: app.priority,
            protocol_min: protocol::OLDEST,
            protocol_max: protocol::NEWEST,
        }))
    }
}
