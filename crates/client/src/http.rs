//! One HTTP client for the server and the bucket: quick to connect, quick to notice a dead peer, never redirected.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// What the user said about TLS.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    /// PEM file with the certificate that the client shows.
    pub client_cert: Option<PathBuf>,
    /// PEM file with its key.
    pub client_key: Option<PathBuf>,
    /// PEM file with certificates of authorities that are trusted besides those of the system.
    pub ca_cert: Option<PathBuf>,
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
    /// A file that an option names is not what it should be.
    #[error("{path} ({option}) does not hold {expected} in PEM form", path = path.display())]
    Pem {
        /// The option that names the file.
        option: &'static str,
        /// The file.
        path: PathBuf,
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

/// The HTTP client that everything goes through.
///
/// It follows no redirect: a token must not end up with another host, and an upload URL is final.
pub fn build_http(options: &ConnectOptions) -> Result<reqwest::Client, HttpError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("niks3/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        // Many connections side by side beat one shared HTTP/2 window when bodies are large.
        .http1_only()
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(20))
        .connect_timeout(Duration::from_secs(15))
        .pool_idle_timeout(Duration::from_secs(50))
        .pool_max_idle_per_host(64);
    if let Some(path) = &options.ca_cert {
        let pem = read("--ca-cert", path)?;
        let expected = "a certificate";
        let invalid = || HttpError::Pem {
            option: "--ca-cert",
            path: path.clone(),
            expected,
        };
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| invalid())?;
        if certificates.is_empty() {
            return Err(invalid());
        }
        builder = builder.tls_certs_merge(certificates);
    }
    match (&options.client_cert, &options.client_key) {
        (None, None) => {}
        (Some(cert), Some(key)) => {
            let mut pem = read("--client-cert", cert)?;
            pem.push(b'\n');
            pem.extend(read("--client-key", key)?);
            let identity = reqwest::Identity::from_pem(&pem).map_err(|_| HttpError::Pem {
                option: "--client-cert",
                path: cert.clone(),
                expected: "a certificate with a key to it in --client-key, both",
            })?;
            builder = builder.identity(identity);
        }
        _ => return Err(HttpError::HalfIdentity),
    }
    builder.build().map_err(HttpError::Build)
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, HttpError> {
    std::fs::read(path).map_err(|source| HttpError::Read {
        option,
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let options = ConnectOptions {
            client_cert: Some("/x".into()),
            ..ConnectOptions::default()
        };
        assert!(matches!(build_http(&options), Err(HttpError::HalfIdentity)));
    }

    #[test]
    fn a_file_that_holds_no_certificate_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello").unwrap();
        let options = ConnectOptions {
            ca_cert: Some(file.path().into()),
            ..ConnectOptions::default()
        };
        let message = build_http(&options).unwrap_err().to_string();
        assert!(
            message.contains("--ca-cert") && message.contains("certificate"),
            "{message}"
        );
    }
}
