//! `/tokens`: tokens with names. Each verb is a file beside this one.

mod create;
mod list;
mod revoke;
mod types;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};

use super::api_tags::ApiTags;
use super::extract::Administrator;
use super::json_body::JsonBody;
use super::problem::ApiProblem;
use crate::app::App;
use crate::auth::TokenName;
use crate::error::Error;
use types::{CreateToken, CreatedToken, Tokens};

/// Operations on named tokens.
pub struct TokensApi;

#[derive(ApiResponse)]
enum Created {
    /// The token, which is shown this once.
    #[oai(status = 201)]
    Created(Json<CreatedToken>),
}

#[derive(ApiResponse)]
enum Revoked {
    /// It is good for nothing any more.
    #[oai(status = 204)]
    Revoked,
}

#[OpenApi(prefix_path = "/tokens", tag = "ApiTags::Access")]
impl TokensApi {
    /// List tokens
    ///
    /// In the order of their names; those that have ended too.
    #[oai(path = "/", method = "get", operation_id = "list_tokens")]
    async fn list(
        &self,
        Data(app): Data<&Arc<App>>,
        Administrator(_who): Administrator,
        /// `next` of the page before.
        Query(after): Query<Option<String>>,
        /// Entries, 100 by default, at most 1000.
        Query(limit): Query<Option<u32>>,
    ) -> Result<Json<Tokens>, ApiProblem> {
        Ok(Json(list::list(app, after.as_deref(), limit).await?))
    }

    /// Create a token
    ///
    /// The answer is the only place where it can be read: the server keeps its hash.
    #[oai(path = "/", method = "post", operation_id = "create_token")]
    async fn create(
        &self,
        Data(app): Data<&Arc<App>>,
        Administrator(who): Administrator,
        JsonBody(body): JsonBody<CreateToken>,
    ) -> Result<Created, ApiProblem> {
        Ok(Created::Created(Json(create::create(app, &who, &body).await?)))
    }

    /// Revoke a token
    ///
    /// From the next request on it is refused.
    #[oai(path = "/:name", method = "delete", operation_id = "revoke_token")]
    async fn revoke(
        &self,
        Data(app): Data<&Arc<App>>,
        Administrator(who): Administrator,
        Path(name): Path<String>,
    ) -> Result<Revoked, ApiProblem> {
        revoke::revoke(app, &who, &parse(&name)?).await?;
        Ok(Revoked::Revoked)
    }
}

fn parse(name: &str) -> Result<TokenName, Error> {
    name.parse().map_err(|why: String| Error::invalid("name", why))
}
