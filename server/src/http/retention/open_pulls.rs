//! `PUT /retention/open-pulls`

use super::types::{KeptOpenPulls, OpenPulls};
use super::{App, Error};
use crate::auth::{Identity, Who};
use crate::http::wire;
use crate::retention::open_pulls::{self, MAX_NUMBERS};

/// Most characters of a name.
const MAX_NAME: usize = 256;

/// The provider where the list names none.
const DEFAULT_PROVIDER: &str = "github";

pub(super) async fn put(app: &App, identity: &Identity, body: OpenPulls) -> Result<KeptOpenPulls, Error> {
    let provider = body.provider.unwrap_or_else(|| match identity.who() {
        Who::Oidc(oidc) => oidc.provider.clone(),
        _ => DEFAULT_PROVIDER.to_owned(),
    });
    wire::list("numbers", &body.numbers, MAX_NUMBERS)?;
    for (field, text) in [("provider", &provider), ("repository_id", &body.repository_id)] {
        if text.is_empty() || text.len() > MAX_NAME || text.chars().any(char::is_control) {
            let detail = format!("1 to {MAX_NAME} bytes without control characters are expected");
            return Err(Error::invalid(field, detail));
        }
    }
    let at = i64::try_from(body.at).map_err(|_| Error::invalid("at", "it is no Unix time"))?;
    let kept = open_pulls::keep(&app.catalog, &provider, &body.repository_id, body.numbers, at).await?;
    Ok(KeptOpenPulls { kept })
}
