//! Where clients reach the embedded object store: at the address by which they reached the server.

use std::sync::Arc;

use poem::http::{HeaderMap, header};
use poem::{FromRequest, Request, RequestBody, Result};

use super::presented::presented;
use super::problem::refuse;
use crate::app::App;
use crate::error::Error;

/// What a reverse proxy says of the request that it had from the client.
const FORWARDED: [&str; 3] = ["x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix"];

/// Scheme and authority for upload URLs, and perhaps a path; `None` where the store has an address of its own.
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
        let seen = address(
            request.scheme().as_str(),
            value(request.headers(), header::HOST.as_str()),
            "",
        );
        let forwarded = forwarded(request);
        let peer = presented(request).address;
        match (seen, forwarded) {
            (Some(seen), None) => Ok(Self(Some(seen))),
            (_, Some(forwarded)) if peer.is_some_and(|peer| app.auth.is_proxy(peer)) => {
                Ok(Self(Some(forwarded)))
            }
            (Some(seen), Some(forwarded)) if seen == forwarded => Ok(Self(Some(seen))),
            (_, Some(forwarded)) => {
                let peer = peer.map_or_else(|| "ADDRESS".to_owned(), |peer| peer.to_canonical().to_string());
                Err(refuse(Error::malformed(format!(
                    "a proxy says that clients reach this server at {forwarded}, and is not trusted: start the server with \
                     --server-url {forwarded}, or with --trusted-proxy {peer}"
                ))))
            }
            (None, None) => Err(refuse(Error::malformed(
                "the Host header does not say where the upload URLs should lead",
            ))),
        }
    }
}

/// The path below which clients find this server, without a slash at its end: that of --server-url, or else what a trusted
/// proxy says.
pub fn path_prefix(app: &App, request: &Request) -> String {
    if let Some(url) = &app.server_url {
        return url.path().trim_end_matches('/').to_owned();
    }
    let is_trusted = presented(request)
        .address
        .is_some_and(|peer| app.auth.is_proxy(peer));
    forwarded(request)
        .filter(|_| is_trusted)
        .and_then(|address| address.parse::<url::Url>().ok())
        .map(|url| url.path().trim_end_matches('/').to_owned())
        .unwrap_or_default()
}

fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    // Of several proxies, the first has spoken with the client.
    let text = headers.get(name)?.to_str().ok()?.split(',').next()?.trim();
    Some(text).filter(|text| !text.is_empty())
}

/// Scheme, host and path as an address without a slash at its end, if they make one.
fn address(scheme: &str, host: Option<&str>, path: &str) -> Option<String> {
    let host = host?;
    let bare = url::Url::parse(&format!("http://{host}")).ok()?;
    let is_bare = bare.path() == "/"
        && bare.query().is_none()
        && bare.fragment().is_none()
        && bare.username().is_empty();
    if !is_bare || !matches!(scheme, "http" | "https") {
        return None;
    }
    let path = path.trim_matches('/');
    let is_path = path
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/-._~".contains(c));
    match path {
        "" => Some(format!("{scheme}://{host}")),
        path if is_path => Some(format!("{scheme}://{host}/{path}")),
        _ => None,
    }
}

/// The address that a proxy says, if it says anything.
fn forwarded(request: &Request) -> Option<String> {
    let headers = request.headers();
    let [scheme, host, path] = FORWARDED.map(|name| value(headers, name));
    if scheme.is_none() && host.is_none() && path.is_none() {
        return None;
    }
    let seen = request.scheme();
    address(
        scheme.unwrap_or(seen.as_str()),
        host.or_else(|| value(headers, header::HOST.as_str())),
        path.unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_made_of_what_can_be_one() {
        assert_eq!(
            address("https", Some("a.example:8443"), "/niks3/").as_deref(),
            Some("https://a.example:8443/niks3")
        );
        assert_eq!(
            address("http", Some("[::1]:80"), "").as_deref(),
            Some("http://[::1]:80")
        );
        for (scheme, host, path) in [
            ("ftp", "a.example", ""),
            ("http", "a.example/path", ""),
            ("http", "user@a.example", ""),
            ("http", "a.example", "/a b"),
            ("http", "a.example", "/a?b"),
        ] {
            assert_eq!(address(scheme, Some(host), path), None, "{scheme} {host} {path}");
        }
    }
}
