//! What Nix is set to, and whether it lets this user set more.

use std::{
    collections::HashMap,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::process::Command;

use crate::ActionError;

const TIMEOUT: Duration = Duration::from_secs(60);

/// The settings in force: names and values, as `nix config show` prints them.
pub(crate) async fn settings(user_conf_files: Option<&str>) -> Result<HashMap<String, String>, ActionError> {
    let mut error = ActionError::new("no answer");
    // Older versions know only the second.
    for command in [&["config", "show"][..], &["show-config"]] {
        match nix(command, user_conf_files).await {
            Ok(text) => {
                let pairs = text.lines().filter_map(|line| line.split_once(" ="));
                return Ok(pairs
                    .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                    .collect());
            }
            Err(failure) => error = failure,
        }
    }
    Err(ActionError(format!(
        "cannot ask Nix for its settings: {error}; is Nix installed before this step?"
    )))
}

/// Whether Nix takes settings such as a post-build hook from this user.
pub(crate) async fn trusts_us(settings: &HashMap<String, String>) -> bool {
    for command in [&["store", "info", "--json"][..], &["store", "ping", "--json"]] {
        if let Some(trusted) = nix(command, None).await.ok().as_deref().and_then(trusted_in) {
            return trusted;
        }
    }
    // Too old to say: whoever writes to the store directly is trusted, and else the list of users decides.
    let ping = run(&["store", "ping"], None).await.ok();
    let ping = ping
        .map(|output| [output.stdout, output.stderr].concat())
        .unwrap_or_default();
    match store_url(&String::from_utf8_lossy(&ping)) {
        Some(url) if url != "daemon" && !url.starts_with("unix") => true,
        _ => is_listed(settings.get("trusted-users").map_or("", String::as_str)).await,
    }
}

fn trusted_in(json: &str) -> Option<bool> {
    match serde_json::from_str::<serde_json::Value>(json)
        .ok()?
        .get("trusted")?
    {
        serde_json::Value::Bool(trusted) => Some(*trusted),
        serde_json::Value::Number(number) => Some(number.as_u64() == Some(1)),
        _ => None,
    }
}

/// What `nix store ping` says, on standard error up to 2.8.
fn store_url(ping: &str) -> Option<&str> {
    ping.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("store url"))
        .map(|(_, url)| url.trim())
}

async fn is_listed(trusted_users: &str) -> bool {
    let id = async |option: &str| {
        let mut command = Command::new("id");
        command.arg(option).stdin(Stdio::null());
        command
            .output()
            .await
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default()
    };
    let (user, groups) = (id("-un").await, id("-Gn").await);
    user.trim() == "root" || lists(trusted_users, user.trim(), &groups)
}

fn lists(trusted_users: &str, user: &str, groups: &str) -> bool {
    trusted_users
        .split_whitespace()
        .any(|entry| match entry.strip_prefix('@') {
            Some(group) => groups.split_whitespace().any(|ours| ours == group),
            None => entry == "*" || entry == user,
        })
}

async fn nix(arguments: &[&str], user_conf_files: Option<&str>) -> Result<String, ActionError> {
    let output = run(arguments, user_conf_files).await?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(ActionError(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ))
    }
}

async fn run(arguments: &[&str], user_conf_files: Option<&str>) -> Result<Output, ActionError> {
    let mut command = Command::new("nix");
    command
        .args(["--extra-experimental-features", "nix-command"])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(files) = user_conf_files {
        command.env("NIX_USER_CONF_FILES", files);
    }
    tokio::time::timeout(TIMEOUT, command.output())
        .await
        .map_err(|_| ActionError::new("`nix` does not answer"))?
        .map_err(|error| ActionError::io("run `nix`", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_nix_say_in_several_ways_whether_they_trust() {
        assert_eq!(trusted_in(r#"{"trusted":1,"url":"local"}"#), Some(true));
        assert_eq!(trusted_in(r#"{"trusted":false}"#), Some(false));
        assert_eq!(trusted_in(r#"{"url":"local"}"#), None);
        assert_eq!(trusted_in("Store URL: local"), None);
    }

    #[test]
    fn the_store_is_told_from_what_ping_says() {
        assert_eq!(store_url("Store URL: daemon\nVersion: 2.8.0\n"), Some("daemon"));
        assert_eq!(
            store_url("warning: x\nStore URL: unix:///x/socket\n"),
            Some("unix:///x/socket")
        );
        assert_eq!(store_url(""), None);
    }

    #[test]
    fn users_and_groups_are_trusted_by_name() {
        assert!(lists("root runner", "runner", ""));
        assert!(lists("@wheel", "runner", "users wheel"));
        assert!(lists("*", "runner", ""));
        assert!(!lists("root @wheel", "runner", "users"));
    }
}
