//! Where clients reach the embedded object store: at the address by which they
//! reached the server.

use std::sync::Arc;

use poem::http::header;
use poem::{FromRequest, Request, RequestBody, Result};

use super::problem::refuse;
use crate::app::App;
use crate::error::Error;

/// Scheme and authority for upload URLs; `None` where the store has an address of its own.
pub struct UploadBase(Option<String>);

impl UploadBase {
    /// As text.
    pub fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<'a> FromRequest<'a> for UploadBase {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        let Some(app) = request.data::<Arc<App>>().filter(|app| app.embedded_store) else {
            return Ok(Self(None));
        };
        if let Some(url) = &app.server_url {
            return Ok(Self(Some(url.as_str().trim_end_matches('/').to_owned())));
        }
        // The caller's own word, used for the caller's own uploads, and never elsewhere.
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let bare = |host: &&str| {
            url::Url::parse(&format!("http://{host}"))
                .is_ok_and(|url| url.path() == "/" && url.query().is_none() && url.username().is_empty())
        };
        let Some(host) = host.filter(bare) else {
            return Err(refuse(Error::malformed(
                "the Host header does not say where the upload URLs should lead",
            )));
        };
        let base = Some(format!("{}://{host}", request.scheme().as_str()));
        Ok(Self(base))
    }
}
