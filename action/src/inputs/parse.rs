//! Values of inputs: what they may be, and what is said when they are not.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr, time::Duration};

use niks3_client::shown_address;
use url::Url;

use crate::ActionError;

/// The longest time that an input may ask for, in seconds.
const MAX_TIMEOUT: u64 = 7 * 24 * 3600;

/// An input that is given.
pub(crate) fn input(name: &str) -> Option<String> {
    let value = std::env::var(format!("INPUT_{}", name.to_uppercase())).ok()?;
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Separated by white space; lines that begin with `#` are comments.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect()
}

pub(crate) fn flag(name: &str, value: Option<String>, default: bool) -> Result<bool, ActionError> {
    match value.as_deref() {
        None => Ok(default),
        Some("true" | "True" | "TRUE") => Ok(true),
        Some("false" | "False" | "FALSE") => Ok(false),
        Some(other) => Err(one_of(name, other, "true or false")),
    }
}

/// A whole number within bounds.
pub(crate) fn number<T>(
    name: &str,
    value: Option<String>,
    default: T,
    bounds: RangeInclusive<T>,
) -> Result<T, ActionError>
where
    T: FromStr + PartialOrd + Display,
{
    let Some(text) = value else { return Ok(default) };
    match text.parse::<T>() {
        Ok(number) if bounds.contains(&number) => Ok(number),
        _ => Err(one_of(
            name,
            &text,
            &format!("a number from {} to {}", bounds.start(), bounds.end()),
        )),
    }
}

/// A length of time in seconds.
pub(crate) fn seconds(name: &str, value: Option<String>, default: u64) -> Result<Duration, ActionError> {
    let seconds = match value {
        None => default,
        Some(text) => match text.parse::<u64>() {
            Ok(seconds) if seconds <= MAX_TIMEOUT => seconds,
            _ => return Err(one_of(name, &text, "a number of seconds, a week at most")),
        },
    };
    Ok(Duration::from_secs(seconds))
}

pub(crate) fn http_url(name: &str, text: &str) -> Result<Url, ActionError> {
    match text.parse::<Url>() {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(one_of(
            name,
            &shown_address(text),
            "an address that begins with https:// or http://",
        )),
    }
}

/// Whether nothing that is sent there leaves this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The address of a server that a token may be sent to.
pub(crate) fn server_address(text: &str, allow_http: bool) -> Result<Url, ActionError> {
    let url = http_url("server-url", text)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ActionError(format!(
            "the input `server-url` has credentials in it: give {} and the input `auth-token`",
            shown_address(url.as_str())
        )));
    }
    if url.scheme() == "http" && !is_loopback(&url) && !allow_http {
        return Err(ActionError(format!(
            "the input `server-url` is '{url}': anybody on the way could read the job's token. Use https://, or set the \
             input `allow-http` to `true`"
        )));
    }
    Ok(url)
}

pub(crate) fn one_of(name: &str, value: &str, allowed: &str) -> ActionError {
    ActionError(format!("the input `{name}` is '{value}': it has to be {allowed}"))
}
