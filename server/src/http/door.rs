//! Who may see pages and metrics: whoever has the scope `read`. Browsers and scrapers know HTTP
//! Basic, so the token may come as its password.

use std::sync::Arc;

use base64::Engine as _;
use poem::Request;
use poem::http::{HeaderMap, HeaderValue, header};

use super::problem::Problem;
use crate::app::App;
use crate::auth::{Identity, Scope};
use crate::metrics::metrics;

/// Lets those in who have the scope `read`.
///
/// # Errors
/// 401 and 403, as the API has them.
pub(super) async fn reader(app: &Arc<App>, headers: &HeaderMap) -> Result<Identity, Problem> {
    let mut request = Request::default();
    *request.headers_mut() = headers.clone();
    if let Some(token) = basic_password(headers) {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| Problem::invalid_token("the password of HTTP Basic is not a token"))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
    }
    let identity = app.auth.identify(&request).await?;
    identity.require(Scope::Read).inspect_err(|_| {
        tracing::info!(scope = %Scope::Read, "the scope is missing");
        metrics().auth_failure("missing_scope");
    })?;
    Ok(identity)
}

fn basic_password(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (_, password) = text.split_once(':')?;
    Some(password.to_owned())
}
