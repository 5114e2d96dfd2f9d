//! The inputs of action.yml, as types.

mod parse;

use std::{ops::RangeInclusive, time::Duration};

use niks3_client::shown_address;
use niks3_push::{DEFAULT_LEVEL, Upstream};
use regex::Regex;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{ActionError, runner, tls::Tls};

use parse::number;
pub(crate) use parse::{flag, http_url, input, is_loopback, one_of, seconds, server_address, words};

/// What is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Auto,
    Hook,
    Scan,
    Paths,
    Off,
}

/// What a failure does to the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnError {
    Fail,
    Warn,
    Ignore,
}

impl OnError {
    /// The value of an input `on-error`; none if it is not given.
    pub(crate) fn read(value: Option<&str>) -> Result<Option<Self>, ActionError> {
        match value {
            None => Ok(None),
            Some("fail") => Ok(Some(Self::Fail)),
            Some("warn") => Ok(Some(Self::Warn)),
            Some("ignore") => Ok(Some(Self::Ignore)),
            Some(other) => Err(one_of("on-error", other, "fail, warn or ignore")),
        }
    }

    /// Reports an error at the level that this asks for.
    pub(crate) fn annotate(self, text: &str) {
        match self {
            Self::Fail => runner::error("niks3", text),
            Self::Warn => runner::warning("niks3", text),
            Self::Ignore => runner::log(&format!("niks3: {text}")),
        }
    }
}

/// How the job stands: the context `job.status`, when the step begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobStatus {
    Success,
    Failure,
    Cancelled,
}

impl JobStatus {
    fn read(value: Option<&str>) -> Option<Self> {
        match value? {
            "success" => Some(Self::Success),
            "failure" => Some(Self::Failure),
            "cancelled" => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// What the server records as the conclusion.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
        }
    }
}

/// After a cancellation GitHub kills post steps after 5 minutes; a drain that is longer than this is cut off by that.
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation>
pub(crate) const MAX_CANCELLED_DRAIN: Duration = Duration::from_secs(240);
const MAX_SAFE_DRAIN: Duration = Duration::from_secs(270);

/// As the command line has them.
const COMPRESSION_LEVELS: RangeInclusive<i32> = 1..=19;
const DEFAULT_UPLOADS: u16 = 32;
const MAX_UPLOADS: u16 = 1024;

/// All inputs.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) server_url: Url,
    pub(crate) mode: Mode,
    pub(crate) paths: Vec<String>,
    pub(crate) pin: Option<String>,
    pub(crate) skip_upstream: Vec<Upstream>,
    pub(crate) auth_token: Option<SecretString>,
    pub(crate) audience: Option<String>,
    pub(crate) on_error: OnError,
    pub(crate) substituter: Option<String>,
    pub(crate) configure_nix: bool,
    pub(crate) drain_timeout: Duration,
    /// None where the runner does not say.
    pub(crate) job_status: Option<JobStatus>,
    /// To ask GitHub about the run.
    pub(crate) github_token: Option<SecretString>,
    pub(crate) tls: Tls,
    pub(crate) allow_http: bool,
    /// Level of zstd.
    pub(crate) compression_level: i32,
    /// Uploads at the same time.
    pub(crate) max_concurrent_uploads: u16,
    /// Let the server look into the bucket for what it believes is there.
    pub(crate) verify_s3_integrity: bool,
    /// Other caches that Nix reads.
    pub(crate) extra_substituters: Vec<String>,
    /// Public keys of these.
    pub(crate) extra_trusted_public_keys: Vec<String>,
    /// Paths whose base names match are no roots of pushes.
    pub(crate) push_filter: Option<Regex>,
}

impl Inputs {
    /// What is odd about them, though they work.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.drain_timeout > MAX_SAFE_DRAIN && input("drain-timeout").is_some() {
            warnings.push(format!(
                "the input `drain-timeout` is {} s, and GitHub kills the end of a cancelled job after 300 s: what is not \
                 pushed by then is lost",
                self.drain_timeout.as_secs()
            ));
        }
        if !self.configure_nix && !self.extra_substituters.is_empty() {
            warnings.push(
                "the input `extra-substituters` has no effect, since `configure-nix` is `false`".to_owned(),
            );
        }
        warnings
    }

    /// How long the end of the job may wait for pushes.
    pub(crate) fn drain_limit(&self) -> Duration {
        match self.job_status {
            Some(JobStatus::Cancelled) => self.drain_timeout.min(MAX_CANCELLED_DRAIN),
            _ => self.drain_timeout,
        }
    }

    /// Whether an earlier step has failed, or somebody has cancelled the job.
    pub(crate) fn is_job_broken(&self) -> bool {
        matches!(self.job_status, Some(JobStatus::Failure | JobStatus::Cancelled))
    }

    /// Those of this step.
    pub(crate) fn from_environment() -> Result<Self, ActionError> {
        Self::read(input)
    }

    fn read(input: impl Fn(&str) -> Option<String>) -> Result<Self, ActionError> {
        let input = |name: &str| {
            input(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let server_url = input("server-url").ok_or_else(|| {
            ActionError::new("the input `server-url` is missing: give the address of your niks3 server")
        })?;
        let mut mode = match input("mode").as_deref() {
            None | Some("auto") => Mode::Auto,
            Some("hook") => Mode::Hook,
            Some("scan") => Mode::Scan,
            Some("paths") => Mode::Paths,
            Some("off") => Mode::Off,
            Some(other) => return Err(one_of("mode", other, "auto, hook, scan, paths or off")),
        };
        if flag("skip-push", input("skip-push"), false)? {
            mode = Mode::Off;
        }
        let on_error = OnError::read(input("on-error").as_deref())?.unwrap_or(OnError::Fail);
        let drain_timeout = seconds("drain-timeout", input("drain-timeout"), 600)?;
        let paths = input("paths").map(|text| words(&text)).unwrap_or_default();
        if mode == Mode::Paths && paths.is_empty() {
            return Err(ActionError::new(
                "`mode: paths` needs the input `paths`: store paths, result links or globs",
            ));
        }
        let pin = input("pin");
        if let Some(pin) = &pin {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if pin.len() > 256 || !pin.chars().all(allowed) {
                return Err(one_of("pin", pin, "1 to 256 letters, digits, `.`, `_` and `-`"));
            }
            if paths.is_empty() && mode != Mode::Off {
                return Err(ActionError::new(
                    "`pin` names one path: say in the input `paths` which, `./result` for example",
                ));
            }
        }
        let allow_http = flag("allow-http", input("allow-http"), false)?;
        let list = |name: &str| input(name).map(|text| words(&text)).unwrap_or_default();
        let push_filter = input("push-filter").map(|text| {
            Regex::new(&text).map_err(|error| {
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default();
                one_of("push-filter", &text, &format!("a regular expression ({reason})"))
            })
        });
        Ok(Self {
            server_url: server_address(&server_url, allow_http)?,
            mode,
            paths,
            pin,
            skip_upstream: upstreams(&list("skip-upstream"))?,
            auth_token: input("auth-token").map(SecretString::from),
            audience: input("audience"),
            on_error,
            substituter: input("substituter"),
            configure_nix: flag("configure-nix", input("configure-nix"), true)?,
            drain_timeout,
            job_status: JobStatus::read(input("job-status").as_deref()),
            github_token: input("github-token").map(SecretString::from),
            tls: Tls::read(input)?,
            allow_http,
            compression_level: number(
                "compression-level",
                input("compression-level"),
                DEFAULT_LEVEL,
                COMPRESSION_LEVELS,
            )?,
            max_concurrent_uploads: number(
                "max-concurrent-uploads",
                input("max-concurrent-uploads"),
                DEFAULT_UPLOADS,
                1..=MAX_UPLOADS,
            )?,
            verify_s3_integrity: flag("verify-s3-integrity", input("verify-s3-integrity"), false)?,
            extra_substituters: list("extra-substituters"),
            extra_trusted_public_keys: list("extra-trusted-public-keys"),
            push_filter: push_filter.transpose()?,
        })
    }
}

/// Caches whose paths are left out; none if there is only the word `none`.
fn upstreams(words: &[String]) -> Result<Vec<Upstream>, ActionError> {
    if words == ["none"] {
        return Ok(Vec::new());
    }
    let upstream = |word: &String| {
        word.parse::<Upstream>().map_err(|error| {
            let shown = shown_address(word.split('#').next().unwrap_or_default());
            ActionError(format!("the input `skip-upstream` has '{shown}': {error}"))
        })
    };
    words.iter().map(upstream).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Inputs, ActionError> {
        let all = [&[("server-url", "https://niks3.example.com")], pairs].concat();
        Inputs::read(|name| {
            all.iter()
                .rev()
                .find(|pair| pair.0 == name)
                .map(|pair| pair.1.to_owned())
        })
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let inputs = read(&[("mode", " "), ("auth-token", "")]).unwrap();
        assert_eq!((inputs.mode, inputs.on_error), (Mode::Auto, OnError::Fail));
        assert!(inputs.configure_nix && inputs.auth_token.is_none());
        assert_eq!(inputs.drain_timeout, Duration::from_secs(600));
    }

    #[test]
    fn a_server_without_encryption_is_one_of_this_machine_or_allowed() {
        for url in [
            "http://127.0.0.1:5751",
            "http://[::1]:5751",
            "http://localhost",
            "http://niks3.localhost",
        ] {
            assert!(read(&[("server-url", url)]).is_ok(), "{url}");
        }
        let remote = ("server-url", "http://192.0.2.1:5751");
        assert!(read(&[remote]).unwrap_err().to_string().contains("allow-http"));
        assert!(read(&[remote, ("allow-http", "true")]).is_ok());
    }

    #[test]
    fn a_cancelled_job_is_drained_before_github_kills_it() {
        for (status, limit) in [("success", 600), ("failure", 600), ("cancelled", 240), ("", 600)] {
            let inputs = read(&[("job-status", status)]).unwrap();
            assert_eq!(inputs.drain_limit(), Duration::from_secs(limit), "{status}");
        }
        let short = read(&[("job-status", "cancelled"), ("drain-timeout", "9")]).unwrap();
        assert_eq!(short.drain_limit(), Duration::from_secs(9));
    }

    #[test]
    fn lists_are_words_on_any_number_of_lines() {
        let inputs = read(&[("paths", "./result  ./result-*\n# a comment\n\n/nix/store/x\n")]).unwrap();
        assert_eq!(inputs.paths, ["./result", "./result-*", "/nix/store/x"]);
    }

    #[test]
    fn pushing_can_be_switched_off_in_two_ways() {
        assert_eq!(read(&[("skip-push", "true")]).unwrap().mode, Mode::Off);
        assert_eq!(read(&[("mode", "off")]).unwrap().mode, Mode::Off);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (name, value) in [
            ("server-url", ""),
            ("server-url", "niks3.example.com"),
            ("server-url", "ftp://x"),
            ("mode", "all"),
            ("mode", "paths"),
            ("on-error", "explode"),
            ("drain-timeout", "soon"),
            ("drain-timeout", "-1"),
            ("configure-nix", "yes"),
            ("pin", "a b"),
            ("pin", "good-but-of-what"),
            ("server-url", "https://user:secret@niks3.example.com"),
            ("server-url", "http://niks3.example.com"),
            ("allow-http", "maybe"),
            ("skip-upstream", "cache.nixos.org"),
            ("skip-upstream", "https://example.org"),
            ("skip-upstream", "none https://cache.nixos.org"),
            ("compression-level", "0"),
            ("compression-level", "20"),
            ("max-concurrent-uploads", "0"),
            ("max-concurrent-uploads", "many"),
            ("verify-s3-integrity", "maybe"),
            ("push-filter", "("),
            ("client-cert", "/nowhere"),
            ("client-key", "-----BEGIN PRIVATE KEY-----"),
            ("ca-cert", "/nowhere"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name), "{name}={value}: {error}");
        }
        for secret in [
            "user:secret@niks3.example.com",
            "https://user:secret@niks3.example.com",
            "ftp://user:secret@niks3.example.com",
        ] {
            let error = read(&[("server-url", secret)]).unwrap_err().to_string();
            assert!(
                error.contains("niks3.example.com") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
