//! What went wrong with a request, in a few words.

/// The innermost cause says most: "error sending request" helps nobody.
///
/// It has nothing of the URL, which may carry a signature or a password.
#[must_use]
pub fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return if error.is_connect() {
            "no connection in time"
        } else {
            "no answer in time"
        }
        .to_owned();
    }
    in_words(&innermost(error).to_string(), error.is_connect())
}

/// Whether the name could not be resolved now, and perhaps can be soon: a resolver that is not up yet, or is busy.
#[must_use]
pub fn is_temporary_name_failure(error: &reqwest::Error) -> bool {
    is_temporary(&innermost(error).to_string())
}

fn innermost(error: &reqwest::Error) -> &dyn std::error::Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause
}

/// `EAI_AGAIN`, as glibc and macOS word it, and as musl does.
fn is_temporary(cause: &str) -> bool {
    cause.contains("Temporary failure in name resolution")
        || cause.contains("lookup address information: Try again")
}

/// What a library says, in the words of a message.
fn in_words(cause: &str, connecting: bool) -> String {
    let cause = cause.split(" (os error ").next().unwrap_or(cause);
    if cause.contains("Connection refused") {
        "connection refused".to_owned()
    } else if is_temporary(cause) {
        "the name cannot be resolved now (temporary failure in name resolution)".to_owned()
    } else if cause.contains("failed to lookup address information") {
        "unknown host".to_owned()
    } else if cause.contains("InvalidContentType") {
        "the answer is not TLS; is the address http:// instead of https://?".to_owned()
    } else if let Some(refused) = cause.split_once("invalid peer certificate: ") {
        certificate_in_words(refused.1)
    } else if connecting {
        format!("no connection: {cause}")
    } else {
        cause.to_owned()
    }
}

/// Why a certificate is refused; the library has words for a few causes, and names of its types for the others.
fn certificate_in_words(cause: &str) -> String {
    let name: String = cause.chars().take_while(char::is_ascii_alphanumeric).collect();
    match name.as_str() {
        "UnknownIssuer" => {
            "its certificate is not signed by an authority that this machine trusts: name a file with the \
                            authority's certificate in ca-cert (the option --ca-cert) or NIX_SSL_CERT_FILE"
                .to_owned()
        }
        "Expired" | "ExpiredContext" => {
            "its certificate has expired, or the clock of this machine is wrong".to_owned()
        }
        "NotValidYet" | "NotValidYetContext" => {
            "its certificate is not valid yet, or the clock of this machine is wrong".to_owned()
        }
        "NotValidForName" | "NotValidForNameContext" => "its certificate is for another host name".to_owned(),
        "certificate" if cause.contains("expired") => {
            "its certificate has expired, or the clock of this machine is wrong".to_owned()
        }
        "certificate" => format!("its certificate is refused: {cause}"),
        _ if cause.contains("CaUsedAsEndEntity") => {
            "its certificate is that of an authority, and not of a server: have one signed for the host name"
                .to_owned()
        }
        _ => format!("its certificate is refused: {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_in_words_and_without_numbers_of_the_system() {
        for (cause, words) in [
            ("Connection refused (os error 111)", "connection refused"),
            (
                "failed to lookup address information: Name or service not known",
                "unknown host",
            ),
            (
                "failed to lookup address information: nodename nor servname provided, or not known",
                "unknown host",
            ),
            (
                "No route to host (os error 113)",
                "no connection: No route to host",
            ),
        ] {
            assert_eq!(in_words(cause, true), words);
        }
        for (cause, words) in [
            ("invalid peer certificate: UnknownIssuer", "ca-cert"),
            (
                "invalid peer certificate: ExpiredContext { time: UnixTime(1), not_after: UnixTime(0) }",
                "has expired",
            ),
            (
                "invalid peer certificate: certificate expired: verification time 2, but certificate is not valid after 1",
                "has expired",
            ),
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                "of an authority",
            ),
            (
                "invalid peer certificate: certificate not valid for name \"a\"",
                "not valid for name",
            ),
        ] {
            let words_of_it = in_words(cause, true);
            assert!(
                words_of_it.contains(words)
                    && words_of_it.contains("certificate")
                    && !words_of_it.contains('{'),
                "{words_of_it}"
            );
        }
        let tls = in_words("received corrupt message of type InvalidContentType", true);
        assert!(tls.contains("http:// instead of https://"), "{tls}");
        assert_eq!(
            in_words("Connection reset by peer (os error 104)", false),
            "Connection reset by peer"
        );
    }

    #[test]
    fn a_resolver_that_is_busy_is_told_from_a_name_that_does_not_exist() {
        for temporary in [
            "failed to lookup address information: Temporary failure in name resolution",
            "failed to lookup address information: Try again",
        ] {
            assert!(is_temporary(temporary) && in_words(temporary, true).contains("cannot be resolved now"));
        }
        assert!(!is_temporary(
            "failed to lookup address information: Name or service not known"
        ));
    }
}
