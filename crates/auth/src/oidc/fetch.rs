//! Fetching an issuer's keys by discovery: two documents, small, quick, and from where
//! they were asked for.

use std::time::Duration;

use futures::StreamExt as _;
use url::Url;

use super::keys::KeySet;

/// Bytes that a document may have.
const MAX_DOCUMENT: usize = 512 << 10;
/// How long both documents may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An HTTP client for issuers: it follows no redirect.
///
/// # Errors
/// When TLS cannot be set up.
pub fn client() -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(PATIENCE)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("niks3-server/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())
}

/// Asks the issuer where its keys are, and fetches them.
///
/// # Errors
/// What about the answers is wrong.
pub async fn keys(client: &reqwest::Client, issuer: &str, allow_insecure: bool) -> Result<KeySet, String> {
    tokio::time::timeout(PATIENCE, async {
        let well_known = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let document = document(client, &well_known).await?;
        let keys_at = keys_at(&document, issuer, allow_insecure)?;
        KeySet::parse(&self::document(client, keys_at.as_str()).await?)
    })
    .await
    .unwrap_or_else(|_| Err(format!("it took longer than {} s", PATIENCE.as_secs())))
}

/// Where the discovery document says the keys are.
fn keys_at(document: &[u8], issuer: &str, allow_insecure: bool) -> Result<Url, String> {
    #[derive(serde::Deserialize)]
    struct Discovery {
        issuer: String,
        jwks_uri: String,
    }
    let discovery: Discovery = serde_json::from_slice(document)
        .map_err(|_| "its discovery document is not JSON with `issuer` and `jwks_uri`".to_owned())?;
    if discovery.issuer != issuer {
        return Err("its discovery document is that of another issuer".into());
    }
    let url: Url = discovery
        .jwks_uri
        .parse()
        .map_err(|_| "the jwks_uri in its discovery document is not a URL".to_owned())?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if allow_insecure => Ok(url),
        _ => Err("the jwks_uri in its discovery document is not an https URL".into()),
    }
}

async fn document(client: &reqwest::Client, url: &str) -> Result<Vec<u8>, String> {
    let failed = |error: reqwest::Error| {
        let mut text = error.to_string();
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    };
    let response = client.get(url).send().await.map_err(failed)?;
    let status = response.status();
    if status.is_redirection() {
        return Err(format!("{url} redirects elsewhere, which is not followed"));
    }
    if !status.is_success() {
        return Err(format!("{url} answers HTTP {}", status.as_u16()));
    }
    let mut bytes = Vec::new();
    let mut body = response.bytes_stream();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(failed)?);
        if bytes.len() > MAX_DOCUMENT {
            return Err(format!("{url} answers more than {MAX_DOCUMENT} bytes"));
        }
    }
    Ok(bytes)
}
