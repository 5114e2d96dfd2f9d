//! The API of the original niks3, for clients of it that meet this server: how to use the cache they are told as they ask
//! for it, and with everything else which client to install.

use std::sync::Arc;

use poem::http::StatusCode;
use poem::web::{Data, Json, Query};
use poem::{IntoResponse as _, Response, Route, get, handler};
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use crate::app::App;

/// Where this client is.
const RELEASES: &str = "https://github.com/niks3/push/releases";

/// A route that knows that API too.
pub(super) fn add_to(route: Route) -> Route {
    route
        .at("/api/cache-config", get(cache_config))
        .at("/api/*rest", other)
}

#[derive(Debug, Deserialize)]
struct Question {
    issuer: Option<String>,
}

/// How to use the cache, in the words of the original.
#[derive(Debug, Serialize)]
struct CacheConfig {
    /// Empty where the server does not know it.
    substituter_url: String,
    public_keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc_audience: Option<String>,
}

#[handler]
fn cache_config(Data(app): Data<&Arc<App>>, Query(asked): Query<Question>) -> Json<CacheConfig> {
    let address = app
        .cache_url
        .as_ref()
        .map(|url| url.as_str().trim_end_matches('/'));
    let audience = |issuer: String| app.auth.oidc().audience(&issuer).map(str::to_owned);
    Json(CacheConfig {
        substituter_url: address.unwrap_or_default().to_owned(),
        public_keys: app.signer.public_keys(),
        oidc_audience: asked.issuer.and_then(audience),
    })
}

#[handler]
fn other() -> Response {
    let detail = format!(
        "this is not a server of the original niks3, whose API is asked for: install the client of this server, niks3 {} \
         from {RELEASES}, which takes the same commands and options",
        env!("CARGO_PKG_VERSION")
    );
    Problem::from_status(StatusCode::NOT_FOUND, detail).into_response()
}
