//! TLS and client certificates, as options mean them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use poem::http::HeaderName;

use super::UsageError;
use super::args::Args;
use crate::auth::{CertificateSettings, TrustedHeaders};
use crate::tls::Tls;

/// TLS of this server, if it has any.
pub(super) fn native(args: &Args) -> Result<Option<Tls>, UsageError> {
    match (&args.tls_cert, &args.tls_key) {
        (None, None) if args.tls_client_ca.is_some() => {
            Err(UsageError::new("--tls-client-ca needs --tls-cert and --tls-key"))
        }
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Tls::load(cert, key, args.tls_client_ca.as_deref())
            .map(Some)
            .map_err(UsageError::new),
        (Some(_), None) => Err(UsageError::new("--tls-cert needs --tls-key FILE")),
        (None, Some(_)) => Err(UsageError::new("--tls-key needs --tls-cert FILE")),
    }
}

/// Which client certificates are good for what.
pub(super) fn certificates(args: &Args) -> Result<CertificateSettings, UsageError> {
    let headers = headers(args)?;
    let bound = !args.mtls_bound_subject.is_empty() || !args.mtls_bound_subject_read.is_empty();
    let shown = args.tls_client_ca.is_some() || headers.is_some();
    if bound && !shown {
        return Err(UsageError::new(
            "--mtls-bound-subject and --mtls-bound-subject-read need --tls-client-ca, or --mtls-proxy-header behind a proxy",
        ));
    }
    if shown && !bound {
        return Err(UsageError::new(
            "--mtls-bound-subject or --mtls-bound-subject-read has to say which client certificates are admitted",
        ));
    }
    for (option, patterns) in [
        ("--mtls-bound-subject", &args.mtls_bound_subject),
        ("--mtls-bound-subject-read", &args.mtls_bound_subject_read),
    ] {
        if patterns.iter().any(|pattern| pattern.trim().is_empty()) {
            return Err(UsageError::new(format!(
                "{option} is empty: write a subject, as CN=ci,O=Example"
            )));
        }
    }
    Ok(CertificateSettings {
        push: args.mtls_bound_subject.clone(),
        read: args.mtls_bound_subject_read.clone(),
        headers,
    })
}

/// Where the original niks3 looks for the subject of a certificate that a proxy has checked.
const SUBJECT_HEADER: &str = "X-SSL-Client-Dn";

fn headers(args: &Args) -> Result<Option<TrustedHeaders>, UsageError> {
    let Some(verified) = &args.mtls_proxy_header else {
        return if args.mtls_subject_header.is_none() && args.mtls_trusted_proxy.is_empty() {
            Ok(None)
        } else {
            Err(UsageError::new(
                "--mtls-proxy-header is missing: name the header in which the proxy says SUCCESS",
            ))
        };
    };
    let subject = args.mtls_subject_header.as_deref().unwrap_or(SUBJECT_HEADER);
    let proxies = if !args.mtls_trusted_proxy.is_empty() {
        networks("--mtls-trusted-proxy", &args.mtls_trusted_proxy)?
    } else if !args.trusted_proxy.is_empty() {
        networks("--trusted-proxy", &args.trusted_proxy)?
    } else {
        vec![
            IpAddr::from(Ipv4Addr::LOCALHOST).into(),
            IpAddr::from(Ipv6Addr::LOCALHOST).into(),
        ]
    };
    let name = |option: &str, text: &str| {
        text.parse::<HeaderName>()
            .map_err(|_| UsageError::new(format!("{option}: {text:?} is not the name of a header")))
    };
    Ok(Some(TrustedHeaders {
        verified: name("--mtls-proxy-header", verified)?,
        subject: name("--mtls-subject-header", subject)?,
        proxies,
    }))
}

/// The addresses and networks of an option.
pub(super) fn networks(option: &str, texts: &[String]) -> Result<Vec<IpNet>, UsageError> {
    let network = |text: &String| {
        let text = text.trim();
        text.parse::<IpNet>()
            .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
            .map_err(|_| {
                UsageError::new(format!(
                    "{option}: {text:?} is not an address: write 10.0.0.1 or 10.0.0.0/8"
                ))
            })
    };
    texts.iter().map(network).collect()
}
