//! A netrc file for the job, by which Nix shows a cache its token: the entries of the file that Nix reads anyway, and
//! ours. What gives out the token of the job ends it after minutes, so the file is written anew before that.
//!
//! <https://curl.se/docs/manpage.html#-n>

use std::{
    convert::Infallible,
    fs::File,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use niks3_client::Api;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// The name by which our tokens are shown; servers look at the password alone.
pub(crate) const LOGIN: &str = "niks3";
/// How often the end of the token and the file of others are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A token that cannot be renewed is asked for again after this.
const RETRY_INTERVAL: TimeDelta = TimeDelta::seconds(10);
/// Nobody renews a token more often than this, however short it lives.
const MIN_AGE: TimeDelta = TimeDelta::seconds(2);

/// The file: where it is, and what it is made of besides the token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Netrc {
    pub(crate) path: PathBuf,
    /// The file that Nix would read without us.
    pub(crate) base: PathBuf,
    pub(crate) host: String,
}

/// A token and its time.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) secret: SecretString,
    pub(crate) issued_at: DateTime<Utc>,
    /// None if it says no end.
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl Token {
    /// Asks for one.
    pub(crate) async fn issue(api: &Api) -> Result<Option<Self>, niks3_client::Error> {
        let issued_at = Utc::now();
        let issued = api.issue_token().await?;
        Ok(issued.map(|(secret, expires_at)| Self {
            secret,
            issued_at,
            expires_at,
        }))
    }

    /// When it should be replaced: at 60 % of its life.
    fn renew_at(&self) -> Option<DateTime<Utc>> {
        let life = self.expires_at? - self.issued_at;
        Some(self.issued_at + (life * 3 / 5).max(MIN_AGE))
    }
}

impl Netrc {
    /// The entries of others, as they are now. A file that is not there has none.
    pub(crate) fn base_text(&self) -> io::Result<String> {
        read(&self.base)
    }

    /// Replaces the file: whoever reads it sees the old one or the new one.
    pub(crate) fn write(&self, base_text: &str, secret: &SecretString) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let _ = std::fs::remove_file(&new);
        let mut file = File::options()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(with_entry(base_text, &self.host, secret.expose_secret()).as_bytes())?;
        std::fs::rename(&new, &self.path)
    }

    /// Keeps the file up to date as long as it is polled.
    pub(crate) async fn keep(&self, api: &Api, mut token: Token) -> Infallible {
        let mut written = self.base_text().unwrap_or_default();
        let mut retry_at = None;
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let now = Utc::now();
            let mut is_old = false;
            if retry_at.or(token.renew_at()).is_some_and(|due| now >= due) {
                match Token::issue(api).await {
                    Ok(Some(new)) => {
                        (token, retry_at, is_old) = (new, None, true);
                        tracing::info!("the token for reading the cache is renewed");
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!("the token for reading the cache cannot be renewed: {error}");
                        retry_at = Some(now + RETRY_INTERVAL);
                    }
                }
            }
            // A file that cannot be read now keeps the entries that it had.
            let base_text = self.base_text().unwrap_or_else(|_| written.clone());
            if is_old || base_text != written {
                match self.write(&base_text, &token.secret) {
                    Ok(()) => written = base_text,
                    // Post has removed the folder.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => tracing::warn!("cannot write {}: {error}", self.path.display()),
                }
            }
        }
    }
}

/// A netrc file; one that is not there is empty.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// The name under which a netrc file has the host of an address.
pub(crate) fn host(url: &url::Url) -> Option<String> {
    Some(match url.host()? {
        url::Host::Domain(name) => name.to_owned(),
        url::Host::Ipv4(address) => address.to_string(),
        // Without the brackets.
        url::Host::Ipv6(address) => address.to_string(),
    })
}

/// What a netrc file has for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) login: String,
    pub(crate) password: String,
    /// It is for all hosts that have none of their own.
    pub(crate) is_default: bool,
}

/// The first entry that counts for a host.
pub(crate) fn entry(text: &str, host: &str) -> Option<Entry> {
    let mut words = entries(text).flat_map(|(_, line)| line.split_whitespace());
    let (mut is_ours, mut is_default) = (false, false);
    let (mut login, mut password) = (String::new(), None);
    while let Some(word) = words.next() {
        match word {
            "machine" | "default" if password.is_some() => break,
            "machine" => is_ours = words.next().is_some_and(|name| name.eq_ignore_ascii_case(host)),
            "default" => (is_ours, is_default) = (true, true),
            "login" => login = words.next().filter(|_| is_ours).unwrap_or_default().to_owned(),
            "password" => password = words.next().filter(|_| is_ours).map(str::to_owned),
            _ => {}
        }
    }
    password.map(|password| Entry {
        login,
        password,
        is_default,
    })
}

/// The lines that have entries, and where each begins: no comments, and no macro, which goes on up to an empty line.
fn entries(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let (mut at, mut is_macro) = (0, false);
    text.split_inclusive('\n').filter_map(move |line| {
        let begin = at;
        at += line.len();
        let trimmed = line.trim();
        if trimmed.is_empty() {
            is_macro = false;
        }
        is_macro |= trimmed.starts_with("macdef");
        (!is_macro && !trimmed.starts_with('#')).then_some((begin, line))
    })
}

/// The text with an entry of ours, which comes before the one for all other hosts: whoever looks takes the first.
fn with_entry(text: &str, host: &str, password: &str) -> String {
    let default = entries(text)
        .find(|(_, line)| line.split_whitespace().next() == Some("default"))
        .map_or(text.len(), |(begin, _)| begin);
    let (before, after) = text.split_at(default);
    // An empty line ends whatever stands before it.
    let gap = if before.is_empty() {
        ""
    } else if before.ends_with('\n') {
        "\n"
    } else {
        "\n\n"
    };
    format!("{before}{gap}machine {host} login {LOGIN} password {password}\n{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entries_of_others_stay_and_ours_counts() {
        for text in [
            "",
            "machine other.example.com login a password b",
            "machine other.example.com\n  login a\n  password b\n",
            "# machine cache.example.com login x password wrong\n",
            "default login anonymous password guest\n",
            "machine other.example.com login a password b\ndefault login x password y\n",
            "macdef init\nmachine cache.example.com login x password wrong\ndefault\n",
        ] {
            let merged = with_entry(text, "cache.example.com", "secret");
            let ours = entry(&merged, "cache.example.com").unwrap();
            assert_eq!(
                (ours.login.as_str(), ours.password.as_str()),
                (LOGIN, "secret"),
                "{merged}"
            );
            for line in text.lines() {
                assert!(merged.lines().any(|other| other == line), "{merged}");
            }
            if text.contains("other") {
                let other = entry(&merged, "other.example.com").unwrap();
                assert_eq!((other.login.as_str(), other.password.as_str()), ("a", "b"));
            }
        }
        let theirs = "machine cache.example.com login a password theirs\n";
        let merged = with_entry(theirs, "cache.example.com", "ours");
        assert_eq!(
            entry(&merged, "cache.example.com").unwrap().password,
            "theirs",
            "the first counts"
        );
        assert_eq!(entry("machine x login a password b\n", "cache.example.com"), None);
        assert!(
            entry("default login a password b\n", "cache.example.com")
                .unwrap()
                .is_default
        );
    }

    #[test]
    fn a_token_is_renewed_at_three_fifths_of_its_life() {
        let issued_at = DateTime::UNIX_EPOCH;
        let at = |life: Option<i64>| {
            let token = Token {
                secret: SecretString::from("x"),
                issued_at,
                expires_at: life.map(|life| issued_at + TimeDelta::seconds(life)),
            };
            token.renew_at().map(|at| (at - issued_at).num_seconds())
        };
        assert_eq!(at(Some(300)), Some(180));
        assert_eq!(
            at(Some(-60)),
            Some(2),
            "a clock that is off costs no flood of requests"
        );
        assert_eq!(at(None), None);
    }

    #[test]
    fn the_file_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let netrc = Netrc {
            path: dir.path().join("netrc"),
            base: dir.path().join("base"),
            host: "x".to_owned(),
        };
        for secret in ["one", "two"] {
            netrc.write("", &SecretString::from(secret)).unwrap();
            let mode = std::fs::metadata(&netrc.path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert_eq!(entry(&read(&netrc.path).unwrap(), "x").unwrap().password, secret);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
