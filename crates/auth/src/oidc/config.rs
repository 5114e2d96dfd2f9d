//! The file of `--oidc-config`, read strictly: what it does not mean is an error with its
//! line and field, found before the server starts.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use bytesize::ByteSize;
pub use niks3_base::json_cursor::ConfigError;
use niks3_base::json_cursor::Cursor;
use url::Url;

use super::Glob;
use super::rule::{Bound, Rule};
use crate::{Grant, Scope, Scopes};

/// How often keys are fetched for an unknown key unless the file says otherwise.
const KEY_REFETCH: u64 = 60;

/// A provider of tokens.
#[derive(Debug)]
pub struct ProviderSettings {
    /// What the file calls it.
    pub name: String,
    /// Its issuer, as tokens name it.
    pub issuer: String,
    /// Whom its tokens have to be for.
    pub audience: String,
    /// Keys are fetched again for an unknown key at most once in this time.
    pub key_refetch: Duration,
    /// Which tokens are admitted, and to what. Never empty.
    pub rules: Vec<Rule>,
}

/// The whole file.
#[derive(Debug, Default)]
pub struct Settings {
    /// Permits issuers without TLS.
    pub allow_insecure: bool,
    /// In the order of the file.
    pub providers: Vec<ProviderSettings>,
}

impl Settings {
    /// Reads the file's text. `keys` are the names of the server's signing keys.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str, keys: &[&str]) -> Result<Self, ConfigError> {
        let whole = Cursor::new(text)?;
        let members = whole.object()?;
        let mut settings = Self::default();
        // First, since what follows depends on it wherever it stands.
        for (name, value) in &members {
            match name.as_str() {
                "allow_insecure" => settings.allow_insecure = value.truth()?,
                "providers" => {}
                _ => return Err(unknown(value, "allow_insecure, providers")),
            }
        }
        let providers = members
            .iter()
            .find(|(name, _)| name == "providers")
            .ok_or_else(|| whole.wrong("`providers` is missing"))?;
        for (name, value) in providers.1.object()? {
            if name.is_empty() || name.len() > 64 || !name.bytes().all(is_of_name) {
                return Err(value.wrong("a provider's name has 1 to 64 letters, digits, '.', '_' and '-'"));
            }
            let provider = provider(name, &value, settings.allow_insecure, keys)?;
            let twin = |other: &ProviderSettings| {
                other.issuer == provider.issuer && other.audience == provider.audience
            };
            if let Some(other) = settings.providers.iter().find(|other| twin(other)) {
                return Err(value.wrong(format!(
                    "it has the issuer and audience of {}: put the rules into one",
                    other.name
                )));
            }
            settings.providers.push(provider);
        }
        Ok(settings)
    }
}

const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn unknown(value: &Cursor<'_>, known: &str) -> ConfigError {
    value.wrong(format!("there is no such field; the fields are {known}"))
}

fn provider(
    name: String,
    value: &Cursor<'_>,
    allow_insecure: bool,
    keys: &[&str],
) -> Result<ProviderSettings, ConfigError> {
    let (mut issuer, mut audience) = (None, None);
    let mut key_refetch = KEY_REFETCH;
    let mut rules = Vec::new();
    let mut own = Vec::new();
    let mut own_scopes = None;
    for (member, field) in value.object()? {
        match member.as_str() {
            "issuer" => issuer = Some(self::issuer(&field, allow_insecure)?),
            "audience" => audience = Some(non_empty(&field)?),
            "key_refetch_seconds" => {
                key_refetch = field.number()?;
                if !(1..=86_400).contains(&key_refetch) {
                    return Err(field.wrong("1 to 86400 seconds"));
                }
            }
            "rules" => {
                for (index, element) in field.list()?.iter().enumerate() {
                    rules.push(rule(format!("rule {} of {name}", index + 1), element, keys)?);
                }
            }
            "bound_claims" => own.extend(bound_claims(&field)?),
            "bound_subject" => own.push(bound_subject(&field)?),
            "scopes" => own_scopes = Some((scopes(&field)?, field)),
            _ => {
                let known =
                    "issuer, audience, rules, bound_claims, bound_subject, scopes, key_refetch_seconds";
                return Err(unknown(&field, known));
            }
        }
    }
    let missing = |what: &str| value.wrong(format!("`{what}` is missing"));
    if !own.is_empty() {
        rules.push(Rule {
            name: format!("the rule of {name} itself"),
            bounds: own,
            grant: Grant::of(own_scopes.map_or(Scopes::only(Scope::Push), |(scopes, _)| scopes)),
        });
    } else if let Some((_, field)) = own_scopes {
        return Err(field.wrong("scopes here are those of `bound_claims` or `bound_subject` beside them: give these, or scopes in `rules`"));
    }
    if rules.is_empty() {
        return Err(value.wrong("it admits nobody: give `rules`, `bound_claims` or `bound_subject`"));
    }
    Ok(ProviderSettings {
        issuer: issuer.ok_or_else(|| missing("issuer"))?,
        audience: audience.ok_or_else(|| missing("audience"))?,
        key_refetch: Duration::from_secs(key_refetch),
        name,
        rules,
    })
}

fn issuer(value: &Cursor<'_>, allow_insecure: bool) -> Result<String, ConfigError> {
    let text = value.text()?;
    let url: Url = text
        .parse()
        .map_err(|error| value.wrong(format!("not a URL ({error}): write https://host")))?;
    match url.scheme() {
        "https" => {}
        "http" if allow_insecure => {}
        "http" => {
            return Err(
                value.wrong("an issuer without TLS: write https://…, or \"allow_insecure\": true for a test")
            );
        }
        _ => return Err(value.wrong("an issuer is an https:// URL")),
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || !url.has_host() {
        return Err(value.wrong("an issuer is a URL of host and path alone"));
    }
    Ok(text)
}

fn non_empty(value: &Cursor<'_>) -> Result<String, ConfigError> {
    let text = value.text()?;
    if text.trim().is_empty() {
        return Err(value.wrong("it is empty"));
    }
    Ok(text)
}

fn rule(name: String, value: &Cursor<'_>, keys: &[&str]) -> Result<Rule, ConfigError> {
    let mut bounds = Vec::new();
    let mut grant = Grant::of(Scopes::only(Scope::Push));
    for (member, field) in value.object()? {
        match member.as_str() {
            "bound_claims" => bounds.extend(bound_claims(&field)?),
            "bound_subject" => bounds.push(bound_subject(&field)?),
            "scopes" => grant.scopes = scopes(&field)?,
            "pins" => grant.pins = Some(pins(&field)?),
            "signing_keys" => grant.signing_keys = Some(signing_keys(&field, keys)?),
            "trusted" => grant.trusted = field.truth()?,
            "max_pushes" => grant.limits.pushes = Some(limit(&field, field.number())?),
            "max_multipart_uploads" => grant.limits.multiparts = Some(limit(&field, field.number())?),
            "max_claimed_bytes" => grant.limits.claimed_bytes = Some(limit(&field, size(&field))?),
            _ => {
                let known = "bound_claims, bound_subject, scopes, pins, signing_keys, trusted, max_pushes, max_multipart_uploads, max_claimed_bytes";
                return Err(unknown(&field, known));
            }
        }
    }
    if bounds.is_empty() {
        return Err(value.wrong(
            "it would admit every token of the issuer: give `bound_claims` or `bound_subject` (\"*\" means all)",
        ));
    }
    Ok(Rule { name, bounds, grant })
}

fn bound_claims(value: &Cursor<'_>) -> Result<Vec<Bound>, ConfigError> {
    let members = value.object()?;
    if members.is_empty() {
        return Err(value.wrong("it names no claim"));
    }
    members
        .into_iter()
        .map(|(claim, values)| {
            if claim.is_empty() {
                return Err(values.wrong("a claim has a name"));
            }
            Ok(Bound {
                claim,
                values: globs(&values)?,
            })
        })
        .collect()
}

fn bound_subject(value: &Cursor<'_>) -> Result<Bound, ConfigError> {
    Ok(Bound {
        claim: "sub".into(),
        values: globs(value)?,
    })
}

fn globs(value: &Cursor<'_>) -> Result<Vec<Glob>, ConfigError> {
    let values = value.one_or_more()?;
    if values.is_empty() {
        return Err(value.wrong("an empty list matches nothing"));
    }
    values
        .iter()
        .map(|value| Ok(Glob::new(&value.scalar()?)))
        .collect()
}

fn scopes(value: &Cursor<'_>) -> Result<Scopes, ConfigError> {
    let scopes = value
        .list()?
        .iter()
        .map(|scope| match scope.text()?.as_str() {
            // As the original niks3 calls it.
            "write" => Ok(Scope::Push),
            name => name.parse::<Scope>().map_err(|error| scope.wrong(error)),
        })
        .collect::<Result<Scopes, ConfigError>>()?;
    if scopes.is_empty() {
        return Err(value.wrong("a rule without scopes allows nothing"));
    }
    Ok(scopes)
}

/// Patterns of pin names; an empty list means no pin.
fn pins(value: &Cursor<'_>) -> Result<Vec<Glob>, ConfigError> {
    value
        .list()?
        .iter()
        .map(|pin| {
            let text = pin.text()?;
            let fits = |byte: u8| is_of_name(byte) || matches!(byte, b'*' | b'?');
            if text.is_empty() || text.len() > 256 || !text.bytes().all(fits) {
                return Err(pin.wrong(
                    "no pin has such a name: letters, digits, '.', '_' and '-', with * and ? as wildcards",
                ));
            }
            Ok(Glob::new(&text))
        })
        .collect()
}

fn limit(value: &Cursor<'_>, number: Result<u64, ConfigError>) -> Result<u64, ConfigError> {
    match number? {
        0 => Err(value.wrong("nothing could be pushed: leave it out, or allow 1")),
        most => Ok(most),
    }
}

/// A number of bytes, or a text as "10GiB".
fn size(value: &Cursor<'_>) -> Result<u64, ConfigError> {
    value
        .scalar()?
        .parse::<ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| value.wrong("a number of bytes is expected, or a text as \"10GiB\""))
}

fn signing_keys(value: &Cursor<'_>, keys: &[&str]) -> Result<BTreeSet<String>, ConfigError> {
    let names = value.list()?;
    if names.is_empty() {
        return Err(value.wrong("without a key nothing is signed: leave it out to sign with every key"));
    }
    names
        .iter()
        .map(|name| {
            let text = name.text()?;
            if keys.contains(&text.as_str()) {
                return Ok(text);
            }
            Err(name.wrong(format!(
                "no key of --sign-key-path has this name: there are {}",
                keys.join(", ")
            )))
        })
        .collect()
}
