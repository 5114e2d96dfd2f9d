//! Where the token comes from, and a fresh one before the old one ends; it is never shown to anybody but the server.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::http::without_userinfo;

/// A token is renewed this long before it ends.
const RENEW_BEFORE: chrono::TimeDelta = chrono::TimeDelta::seconds(60);
/// A script that takes longer hangs.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_TOKEN_LEN: usize = 64 * 1024;
/// Who issues the tokens of jobs at github.com.
const GITHUB: &str = "https://token.actions.githubusercontent.com";

/// What the user and the surroundings say about tokens.
#[derive(Debug, Clone, Default)]
pub struct TokenOptions {
    /// `--auth-token-script`: a command that prints a token.
    pub script: Option<String>,
    /// `--auth-token-path`.
    pub path: Option<PathBuf>,
    /// `--auth-token`: the token itself.
    pub given: Option<SecretString>,
    /// File with the token that was stored for this very server. It is refused when others can read it.
    pub stored: Option<PathBuf>,
    /// The server was chosen by the name under which it is stored, so that its own token wins over those of variables.
    pub stored_first: bool,
    /// Servers are stored, so that the file `auth-token`, which is for any server, does not count.
    pub no_default_file: bool,
    /// The audience for tokens from GitHub Actions, if not the one that the server names.
    pub audience: Option<String>,
    /// Something else tells the server who asks, a client certificate for example: no token is needed.
    pub optional: bool,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token file {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Others can read the file.
    #[error("others can read {} (mode {mode:04o}): run `chmod {right} {}`, and replace the token if it may be known", path.display(), path.display())]
    Shared {
        /// The file, or its folder.
        path: PathBuf,
        /// The permissions that it has.
        mode: u32,
        /// Those that it should have.
        right: &'static str,
    },
    /// What was found is not a token.
    #[error("{origin} {fault}")]
    Malformed {
        /// Where it was found.
        origin: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The script failed.
    #[error("the token script {0}")]
    Script(String),
    /// GitHub gave none.
    #[error("GitHub Actions gave no token: {0}")]
    Github(String),
    /// The token itself is in a variable.
    #[error(
        "no token: NIKS3_AUTH_TOKEN is not read, since other programs can see variables: write the token to a file, and name it \
         in NIKS3_AUTH_TOKEN_FILE, or pipe it to `niks3 login NAME URL`"
    )]
    Variable,
    /// Nothing to find one in.
    #[error(
        "no token: `niks3 login NAME URL` stores one; or give --auth-token-path or --auth-token-script, set \
         NIKS3_AUTH_TOKEN_FILE, or put it into {0}; in GitHub Actions, `permissions: id-token: write` is enough"
    )]
    None(String),
}

impl TokenError {
    /// Whether the next try may work.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Github(_))
    }
}

enum Source {
    Anonymous,
    Given(SecretString),
    File(PathBuf),
    /// Of which others may not read.
    PrivateFile(PathBuf),
    Script(Vec<String>),
    Github {
        url: String,
        request_token: SecretString,
        audience: Option<String>,
    },
    Missing {
        default_path: String,
    },
}

impl Source {
    fn script(text: &str) -> Result<Self, TokenError> {
        match shlex::split(text) {
            Some(words) if !words.is_empty() => Ok(Self::Script(words)),
            _ => Err(TokenError::Script(format!(
                "`{text}` is not a command: check its quotes"
            ))),
        }
    }
}

struct Cached {
    token: SecretString,
    expires_at: Option<DateTime<Utc>>,
}

/// Gives out tokens.
pub struct TokenProvider {
    source: Source,
    cached: Mutex<Option<Cached>>,
}

impl std::fmt::Debug for TokenProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenProvider").finish_non_exhaustive()
    }
}

impl TokenProvider {
    fn of(source: Source) -> Self {
        Self {
            source,
            cached: Mutex::new(None),
        }
    }

    /// For questions that need no token.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::of(Source::Anonymous)
    }

    pub(crate) const fn is_anonymous(&self) -> bool {
        matches!(self.source, Source::Anonymous)
    }

    /// This very token, which is for `origin` to name if it cannot be one.
    pub fn given(token: &SecretString, origin: &str) -> Result<Self, TokenError> {
        let token = checked(token.expose_secret().as_bytes(), || origin.to_owned())?;
        Ok(Self::of(Source::Given(token)))
    }

    /// Tokens of the job, from the endpoint that GitHub Actions names in the environment, if it names one.
    ///
    /// `audience` is the one that the server names unless it is given.
    #[must_use]
    pub fn github(audience: Option<String>) -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Some(Self::of(Source::Github {
            url: variable("ACTIONS_ID_TOKEN_REQUEST_URL")?,
            request_token: variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?.into(),
            audience,
        }))
    }

    /// Decides where tokens come from: script, path, `NIKS3_AUTH_TOKEN_SCRIPT`, `NIKS3_AUTH_TOKEN_FILE`, the user's
    /// configuration, GitHub Actions.
    pub fn new(options: TokenOptions) -> Result<Self, TokenError> {
        Self::with_environment(options, |name| {
            std::env::var(name).ok().filter(|value| !value.is_empty())
        })
    }

    fn with_environment(
        options: TokenOptions,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, TokenError> {
        let config = environment("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(environment("HOME")?).join(".config")))
            .map(|config| config.join("niks3/auth-token"));
        let (stored_first, stored_last) = if options.stored_first {
            (options.stored, None)
        } else {
            (None, options.stored)
        };
        let source = if let Some(script) = options.script {
            Source::script(&script)?
        } else if let Some(path) = options.path {
            Source::File(path)
        } else if let Some(token) = options.given {
            Source::Given(checked(token.expose_secret().as_bytes(), || {
                "--auth-token".to_owned()
            })?)
        } else if let Some(path) = stored_first {
            Source::PrivateFile(path)
        } else if let Some(script) = environment("NIKS3_AUTH_TOKEN_SCRIPT") {
            Source::script(&script)?
        } else if let Some(path) = environment("NIKS3_AUTH_TOKEN_FILE") {
            Source::File(path.into())
        } else if let Some(path) = stored_last {
            Source::PrivateFile(path)
        } else if let Some(path) = config
            .clone()
            .filter(|path| !options.no_default_file && path.exists())
        {
            Source::File(path)
        } else if let (Some(url), Some(request_token)) = (
            environment("ACTIONS_ID_TOKEN_REQUEST_URL"),
            environment("ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
        ) {
            Source::Github {
                url,
                request_token: request_token.into(),
                audience: options.audience,
            }
        } else if options.optional {
            Source::Anonymous
        } else {
            if environment("NIKS3_AUTH_TOKEN").is_some() {
                return Err(TokenError::Variable);
            }
            let default_path = config.unwrap_or_else(|| "~/.config/niks3/auth-token".into());
            Source::Missing {
                default_path: default_path.display().to_string(),
            }
        };
        Ok(Self {
            source,
            cached: Mutex::new(None),
        })
    }

    /// The token to send now.
    pub(crate) async fn token(
        &self,
        http: &reqwest::Client,
        base: &str,
    ) -> Result<Option<SecretString>, TokenError> {
        if matches!(self.source, Source::Anonymous) {
            return Ok(None);
        }
        let mut cached = self.cached.lock().await;
        let fresh = |cached: &Cached| {
            cached
                .expires_at
                .is_none_or(|end| end - Utc::now() > RENEW_BEFORE)
        };
        if let Some(known) = cached.as_ref().filter(|known| fresh(known)) {
            return Ok(Some(known.token.clone()));
        }
        let new = self.fetch(http, base).await?;
        let token = new.token.clone();
        *cached = Some(new);
        Ok(Some(token))
    }

    /// Another token than `refused`, if there is one.
    pub(crate) async fn renewed(
        &self,
        http: &reqwest::Client,
        base: &str,
        refused: Option<&SecretString>,
    ) -> Result<Option<SecretString>, TokenError> {
        let is_refused =
            |token: &SecretString| refused.is_some_and(|old| old.expose_secret() == token.expose_secret());
        {
            let mut cached = self.cached.lock().await;
            if cached.as_ref().is_some_and(|known| is_refused(&known.token)) {
                *cached = None;
            }
        }
        Ok(self.token(http, base).await?.filter(|token| !is_refused(token)))
    }

    /// A token that has just been issued, with its end if it says one; none if nothing is asked for.
    pub(crate) async fn issued(
        &self,
        http: &reqwest::Client,
        base: &str,
    ) -> Result<Option<(SecretString, Option<DateTime<Utc>>)>, TokenError> {
        if matches!(self.source, Source::Anonymous) {
            return Ok(None);
        }
        let new = self.fetch(http, base).await?;
        Ok(Some((new.token, new.expires_at)))
    }

    async fn fetch(&self, http: &reqwest::Client, base: &str) -> Result<Cached, TokenError> {
        match &self.source {
            Source::Given(token) => Ok(Cached {
                token: token.clone(),
                expires_at: None,
            }),
            // Nobody asks: `token` answers for it.
            Source::Anonymous => Err(TokenError::None("nothing".to_owned())),
            Source::Missing { default_path } => Err(TokenError::None(default_path.clone())),
            Source::File(path) => from_file(path),
            Source::PrivateFile(path) => {
                refuse_shared(path)?;
                from_file(path)
            }
            Source::Script(words) => from_script(words).await,
            Source::Github {
                url,
                request_token,
                audience,
            } => {
                if let Some(audience) = audience {
                    return from_github(http, url, request_token, audience).await;
                }
                let own = base.parse().map_or_else(
                    |_| base.to_owned(),
                    |base| without_userinfo(&base).as_str().trim_end_matches('/').to_owned(),
                );
                // The first token says who issues them here: GitHub, or an Enterprise server.
                let first = from_github(http, url, request_token, &own).await?;
                match server_audience(http, base, &issuer(&first.token)).await {
                    Some(audience) if audience != own => {
                        from_github(http, url, request_token, &audience).await
                    }
                    _ => Ok(first),
                }
            }
        }
    }
}

/// Refuses a file, or the folder that it is in, when others than the owner can read it.
fn refuse_shared(path: &Path) -> Result<(), TokenError> {
    let folder = path.parent().unwrap_or(path);
    for (checked_path, right) in [(folder, "700"), (path, "600")] {
        let metadata = std::fs::metadata(checked_path).map_err(|source| TokenError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Shared {
                path: checked_path.to_owned(),
                mode,
                right,
            });
        }
    }
    Ok(())
}

fn from_file(path: &Path) -> Result<Cached, TokenError> {
    let bytes = std::fs::read(path).map_err(|source| TokenError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let token = checked(&bytes, || format!("the token file {}", path.display()))?;
    // Read again now and then: whoever rotates the file should not have to start us again.
    Ok(Cached {
        token,
        expires_at: Some(Utc::now() + RENEW_BEFORE * 2),
    })
}

/// One line of visible ASCII, or what is wrong with it.
fn checked(bytes: &[u8], origin: impl Fn() -> String) -> Result<SecretString, TokenError> {
    let text = bytes.trim_ascii();
    let fault = if text.is_empty() {
        "is empty"
    } else if text.len() > MAX_TOKEN_LEN {
        "is too long for a token"
    } else if text.contains(&b'\n') {
        "has more than one line; it must hold the token and nothing else"
    } else if !text.iter().all(u8::is_ascii_graphic) {
        "holds characters that no token has (spaces, control or non-ASCII characters)"
    } else {
        return Ok(String::from_utf8_lossy(text).into_owned().into());
    };
    Err(TokenError::Malformed {
        origin: origin(),
        fault,
    })
}

/// What a script may print instead of the bare token.
#[derive(Deserialize)]
struct ScriptAnswer {
    token: SecretString,
    expires_at: Option<ExpiresAt>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ExpiresAt {
    Seconds(i64),
    Date(DateTime<Utc>),
}

async fn from_script(words: &[String]) -> Result<Cached, TokenError> {
    let failed = |text: String| TokenError::Script(format!("`{}` {text}", words[0]));
    let child = tokio::process::Command::new(&words[0])
        .args(&words[1..])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(SCRIPT_TIMEOUT, child)
        .await
        .map_err(|_| failed(format!("did not end within {} s", SCRIPT_TIMEOUT.as_secs())))?
        .map_err(|error| {
            let cause = if error.kind() == std::io::ErrorKind::NotFound {
                "there is no such program; it is run without a shell, which `sh -c '…'` starts".to_owned()
            } else {
                error.to_string()
            };
            failed(format!("cannot be run: {cause}"))
        })?;
    if !output.status.success() {
        return Err(failed(format!("failed ({})", output.status)));
    }
    script_answer(&output.stdout, &words[0])
}

fn script_answer(stdout: &[u8], name: &str) -> Result<Cached, TokenError> {
    let origin = || format!("what the token script `{name}` printed");
    if !stdout.trim_ascii_start().starts_with(b"{") {
        return Ok(Cached {
            token: checked(stdout, origin)?,
            expires_at: None,
        });
    }
    // The parser's own words could repeat the token.
    let answer: ScriptAnswer = serde_json::from_slice(stdout).map_err(|_| TokenError::Malformed {
        origin: origin(),
        fault: "is neither a token nor {\"token\": …, \"expires_at\": …}",
    })?;
    let expires_at = match answer.expires_at {
        None => None,
        Some(ExpiresAt::Date(date)) => Some(date),
        Some(ExpiresAt::Seconds(seconds)) => DateTime::from_timestamp(seconds, 0),
    };
    Ok(Cached {
        token: checked(answer.token.expose_secret().as_bytes(), origin)?,
        expires_at,
    })
}

/// The audience that the server's configuration names for an issuer, if it names one.
async fn server_audience(http: &reqwest::Client, base: &str, issuer: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct CacheConfig {
        audience: Option<String>,
    }
    let asked = async {
        http.get(format!("{base}/api/v1/cache-config"))
            .query(&[("issuer", issuer)])
            .timeout(Duration::from_secs(20))
            .send()
            .await?
            .error_for_status()?
            .json::<CacheConfig>()
            .await
    };
    asked.await.ok()?.audience
}

async fn from_github(
    http: &reqwest::Client,
    url: &str,
    request_token: &SecretString,
    audience: &str,
) -> Result<Cached, TokenError> {
    #[derive(Deserialize)]
    struct Answer {
        value: SecretString,
    }
    let failed = |error: reqwest::Error| TokenError::Github(crate::describe::describe(&error.without_url()));
    let response = http
        .get(url)
        .query(&[("audience", audience)])
        .bearer_auth(request_token.expose_secret())
        .timeout(Duration::from_secs(30))
        .send()
        .await
        .map_err(failed)?;
    if !response.status().is_success() {
        return Err(TokenError::Github(format!(
            "its endpoint answers HTTP {}",
            response.status().as_u16()
        )));
    }
    let answer: Answer = response.json().await.map_err(failed)?;
    let token = checked(answer.value.expose_secret().as_bytes(), || {
        "the token of GitHub Actions".to_owned()
    })?;
    let expires_at = Some(expiry(&token).unwrap_or_else(|| Utc::now() + RENEW_BEFORE * 4));
    Ok(Cached { token, expires_at })
}

/// What a JSON web token says about itself, unchecked: it only decides what to ask for next.
fn claims<T: serde::de::DeserializeOwned>(token: &SecretString) -> Option<T> {
    let payload = token.expose_secret().split('.').nth(1)?;
    serde_json::from_slice(&base64_url(payload)?).ok()
}

/// When it ends.
fn expiry(token: &SecretString) -> Option<DateTime<Utc>> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    DateTime::from_timestamp(claims::<Claims>(token)?.exp, 0)
}

/// Who issued it: GitHub, unless it says otherwise.
fn issuer(token: &SecretString) -> String {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
    }
    claims::<Claims>(token).map_or_else(|| GITHUB.to_owned(), |claims| claims.iss)
}

fn base64_url(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests;
