//! Where clients reach the embedded object store: at the address by which they
//! reached the server.

use std::sync::Arc;

use poem::http::header;
use poem::{FromRequest, Request, RequestBody, Result};

use crate::app::App;

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
        let base = request.data::<Arc<App>>().and_then(|app| {
            if !app.embedded_store {
                return None;
            }
            if let Some(url) = &app.server_url {
                return Some(url.as_str().trim_end_matches('/').to_owned());
            }
            let host = request.headers().get(header::HOST)?.to_str().ok()?;
            // The caller's own word, used for the caller's own uploads, and never elsewhere.
            let parsed = url::Url::parse(&format!("http://{host}")).ok()?;
            let bare = parsed.path() == "/" && parsed.query().is_none() && parsed.username().is_empty();
            bare.then(|| format!("{}://{host}", request.scheme().as_str()))
        });
        Ok(Self(base))
    }
}
