//! What a handler asks for: an identity with a scope. The same type tells the
//! OpenAPI document, so that neither can differ from the other.

use std::sync::Arc;

use poem::{Request, RequestBody, Result};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::presented::presented;
use super::problem::refuse;
use crate::app::App;
use crate::auth::{AuthContext, Identity, Scope};
use crate::error::Error;
use crate::metrics::metrics;

async fn identify(request: &Request, scope: Option<Scope>) -> Result<Identity> {
    let app: &Arc<App> = request
        .data()
        .ok_or_else(|| refuse(Error::internal("a request without the application")))?;
    let identity = match request.data::<Identity>() {
        // Found out before the body was read.
        Some(identity) => identity.clone(),
        None => app
            .auth
            .identify(presented(request), AuthContext::Api)
            .await
            .map_err(refuse)?,
    };
    if let Some(scope) = scope {
        identity.require(scope).map_err(|problem| {
            tracing::info!(%scope, "the scope is missing");
            metrics().auth_failure("missing_scope");
            refuse(problem)
        })?;
    }
    if !request.method().is_safe() {
        app.ownership.current().await.map_err(refuse)?;
    }
    Ok(identity)
}

macro_rules! allowed {
    ($(#[$doc:meta])* $name:ident, $scheme:literal, $scope:expr, $description:literal) => {
        $(#[$doc])*
        pub struct $name(pub Identity);

        impl<'a> ApiExtractor<'a> for $name {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                let scheme = MetaSecurityScheme {
                    ty: "http",
                    description: Some($description),
                    name: None,
                    key_in: None,
                    scheme: Some("bearer"),
                    bearer_format: None,
                    flows: None,
                    openid_connect_url: None,
                };
                registry.create_security_scheme($scheme, scheme);
            }

            fn security_schemes() -> Vec<&'static str> {
                vec![$scheme]
            }

            async fn from_request(
                request: &'a Request,
                _body: &mut RequestBody,
                _options: ExtractParamOptions<()>,
            ) -> Result<Self> {
                identify(request, $scope).await.map(Self)
            }
        }
    };
}

allowed!(
    /// Somebody who may read.
    Reader,
    "read",
    Some(Scope::Read),
    "A token with the scope `read` (or `admin`)."
);
allowed!(
    /// Somebody who may push.
    Pusher,
    "push",
    Some(Scope::Push),
    "A token with the scope `push` (or `admin`)."
);
allowed!(
    /// Somebody who may collect garbage.
    Collector,
    "gc",
    Some(Scope::Gc),
    "A token with the scope `gc` (or `admin`)."
);
allowed!(
    /// Somebody who may do everything.
    Administrator,
    "admin",
    Some(Scope::Admin),
    "A token with the scope `admin`."
);
allowed!(
    /// Somebody the server knows, whatever they may do.
    Known,
    "any",
    None,
    "Any token that this server accepts."
);
