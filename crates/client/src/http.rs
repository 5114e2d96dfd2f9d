//! The HTTP clients: quick to connect, quick to notice a dead peer; the one that carries tokens is never redirected.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::redirect;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use secrecy::{ExposeSecret as _, SecretSlice};

/// Text in PEM form (RFC 7468), and where it comes from.
#[derive(Debug, Clone)]
pub struct Pem {
    origin: String,
    text: SecretSlice<u8>,
}

impl Pem {
    /// Reads the file that an option names.
    pub fn read(option: &'static str, path: &Path) -> Result<Self, HttpError> {
        let bytes = std::fs::read(path).map_err(|source| HttpError::Read {
            option,
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::given(format!("{} ({option})", path.display()), bytes))
    }

    /// Text from elsewhere; `origin` names it in errors.
    #[must_use]
    pub fn given(origin: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        Self {
            origin: origin.into(),
            text: text.into().into(),
        }
    }

    fn does_not_hold(&self, expected: &'static str) -> HttpError {
        HttpError::Pem {
            origin: self.origin.clone(),
            expected,
        }
    }
}

/// What the user said about TLS.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    /// The certificate that the client shows.
    pub client_cert: Option<Pem>,
    /// Its key.
    pub client_key: Option<Pem>,
    /// Certificates of authorities that are trusted besides those of the system.
    pub ca_cert: Option<Pem>,
}

/// Why there is no HTTP client.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A file that an option names cannot be read.
    #[error("cannot read {path} ({option}): {source}", path = path.display())]
    Read {
        /// The option that names the file.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What was given is not what it should be.
    #[error("{origin} does not hold {expected} in PEM form")]
    Pem {
        /// Where it comes from, as a file and the option that names it.
        origin: String,
        /// What was looked for.
        expected: &'static str,
    },
    /// Only one of the two was given.
    #[error("--client-cert and --client-key need each other: give both or none")]
    HalfIdentity,
    /// The TLS library refuses to start.
    #[error("cannot set up HTTPS: {0}")]
    Build(#[source] reqwest::Error),
}

/// Redirects of one request that are followed where any are.
const MAX_REDIRECTS: usize = 10;

/// The HTTP clients that everything goes through.
#[derive(Debug, Clone)]
pub struct Http {
    /// For the server and its bucket. It follows no redirect: a token must not end up with another host, and an upload
    /// URL is final.
    pub own: reqwest::Client,
    /// For what others serve to everybody: it speaks HTTP/2, follows redirects, and shows no certificate of the user's.
    pub others: reqwest::Client,
}

/// Makes them.
pub fn build_http(options: &ConnectOptions) -> Result<Http, HttpError> {
    let mut authorities = authorities(options.ca_cert.as_ref())?;
    authorities.extend(authorities_of_nix()?);
    let client = || {
        let client = builder();
        if authorities.is_empty() {
            client
        } else {
            client.tls_certs_merge(authorities.clone())
        }
    };
    // Many connections side by side beat one shared HTTP/2 window when bodies are large.
    let mut own = client().http1_only().redirect(redirect::Policy::none());
    if let Some(identity) = identity(options)? {
        own = own.identity(identity);
    }
    let others = client().redirect(redirect::Policy::custom(follow));
    Ok(Http {
        own: own.build().map_err(HttpError::Build)?,
        others: others.build().map_err(HttpError::Build)?,
    })
}

fn builder() -> reqwest::ClientBuilder {
    let without_proxy = ["NO_PROXY", "no_proxy"]
        .iter()
        .any(|name| std::env::var(name).is_ok_and(|hosts| hosts.split(',').any(|host| host.trim() == "*")));
    let builder = reqwest::Client::builder();
    // The library takes the asterisk for names, and not for addresses.
    let builder = if without_proxy {
        builder.no_proxy()
    } else {
        builder
    };
    builder
        .user_agent(concat!("niks3/", env!("CARGO_PKG_VERSION")))
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(20))
        .connect_timeout(Duration::from_secs(15))
        .pool_idle_timeout(Duration::from_secs(50))
        .pool_max_idle_per_host(64)
}

/// Follows a redirect, unless it leads from an encrypted connection to another one.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let was_encrypted = attempt
        .previous()
        .last()
        .is_some_and(|url| url.scheme() == "https");
    if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("too many redirects")
    } else if was_encrypted && attempt.url().scheme() != "https" {
        attempt.error("it redirects from https:// to another scheme")
    } else {
        attempt.follow()
    }
}

/// Variable with a file of authorities, for Nix and all that are started by it.
const NIX_AUTHORITIES: &str = "NIX_SSL_CERT_FILE";

/// The authorities that Nix trusts on this machine, if a variable says so. Nix skips what its library cannot read in such
/// a bundle, so it is skipped here as well.
fn authorities_of_nix() -> Result<Vec<reqwest::Certificate>, HttpError> {
    let Some(path) = std::env::var_os(NIX_AUTHORITIES).filter(|path| !path.is_empty()) else {
        return Ok(Vec::new());
    };
    let path = PathBuf::from(path);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        // Of an image that was built elsewhere, perhaps; the system's authorities are trusted anyway.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(HttpError::Read {
                option: NIX_AUTHORITIES,
                path,
                source,
            });
        }
    };
    Ok(CertificateDer::pem_slice_iter(&text)
        .filter_map(Result::ok)
        .filter(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok())
        .filter_map(|certificate| reqwest::Certificate::from_der(&certificate).ok())
        .collect())
}

fn authorities(pem: Option<&Pem>) -> Result<Vec<reqwest::Certificate>, HttpError> {
    let Some(pem) = pem else { return Ok(Vec::new()) };
    let certificates = reqwest::Certificate::from_pem_bundle(pem.text.expose_secret());
    certificates
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| pem.does_not_hold("a certificate"))
}

fn identity(options: &ConnectOptions) -> Result<Option<reqwest::Identity>, HttpError> {
    match (&options.client_cert, &options.client_key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => {
            let both = [cert.text.expose_secret(), b"\n", key.text.expose_secret()].concat();
            let identity = reqwest::Identity::from_pem(&both)
                .map_err(|_| cert.does_not_hold("a certificate that belongs to the client key"))?;
            Ok(Some(identity))
        }
        _ => Err(HttpError::HalfIdentity),
    }
}

/// An address as it may be shown: without a user's name and password.
#[must_use]
pub fn without_userinfo(url: &url::Url) -> url::Url {
    let mut shown = url.clone();
    // Neither fails for an address with a host, and others have none to hide.
    let _ = shown.set_password(None);
    let _ = shown.set_username("");
    shown
}

/// A text that is an address or was meant to be one, as it may be shown. What cannot be read as an address loses
/// all before its last `@` but a scheme.
#[must_use]
pub fn shown_address(text: &str) -> String {
    if !text.contains('@') {
        return text.to_owned();
    }
    if let Ok(url) = text.parse::<url::Url>()
        && url.has_host()
    {
        return without_userinfo(&url).to_string();
    }
    let (scheme, rest) = match text.find("://") {
        Some(end) => text.split_at(end + "://".len()),
        None => ("", text),
    };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}{host}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let options = ConnectOptions {
            client_cert: Some(Pem::given("x", "")),
            ..ConnectOptions::default()
        };
        assert!(matches!(build_http(&options), Err(HttpError::HalfIdentity)));
    }

    #[test]
    fn a_shown_address_has_no_password() {
        let shown = |text: &str| without_userinfo(&text.parse().unwrap()).to_string();
        assert_eq!(
            shown("https://user:secret@cache.example.com/a?b"),
            "https://cache.example.com/a?b"
        );
        assert_eq!(shown("http://127.0.0.1:5751/"), "http://127.0.0.1:5751/");
    }

    #[test]
    fn what_is_no_address_has_no_password_either() {
        for (text, shown) in [
            (
                "https://user:secret@cache.example.com/a",
                "https://cache.example.com/a",
            ),
            ("user:secret@cache.example.com", "cache.example.com"),
            ("user:se@cret@cache.example.com:80/x", "cache.example.com:80/x"),
            ("//user:secret@cache.example.com", "cache.example.com"),
            ("https://user:secret@:x", "https://:x"),
            ("https://user:se/cret@[cache", "https://[cache"),
            ("cache.example.com", "cache.example.com"),
            ("", ""),
        ] {
            assert_eq!(shown_address(text), shown, "{text}");
        }
    }

    #[test]
    fn a_file_that_holds_no_certificate_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello").unwrap();
        let options = ConnectOptions {
            ca_cert: Some(Pem::read("--ca-cert", file.path()).unwrap()),
            ..ConnectOptions::default()
        };
        let message = build_http(&options).unwrap_err().to_string();
        assert!(
            message.contains("--ca-cert") && message.contains("certificate"),
            "{message}"
        );
    }
}
