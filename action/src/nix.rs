//! What Nix is set to, and whether it lets this user set more.

use std::{collections::HashMap, process::Stdio, time::Duration};

use tokio::process::Command;

use crate::Trouble;

const TIMEOUT: Duration = Duration::from_secs(60);

/// The settings in force: names and values, as `nix config show` prints them.
pub(crate) async fn settings(user_conf_files: Option<&str>) -> Result<HashMap<String, String>, Trouble> {
    let mut error = Trouble::new("no answer");
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
    Err(Trouble(format!(
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
    match nix(&["store", "ping"], None).await {
        Ok(text) if !is_daemon(&text) => true,
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

fn is_daemon(ping: &str) -> bool {
    ping.lines()
        .filter_map(|line| line.split_once(':'))
        .any(|(name, url)| {
            name.eq_ignore_ascii_case("store url")
                && (url.trim() == "daemon" || url.trim().starts_with("unix"))
        })
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

async fn nix(arguments: &[&str], user_conf_files: Option<&str>) -> Result<String, Trouble> {
    let mut command = Command::new("nix");
    command
        .args(["--extra-experimental-features", "nix-command"])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(files) = user_conf_files {
        command.env("NIX_USER_CONF_FILES", files);
    }
    let output = tokio::time::timeout(TIMEOUT, command.output())
        .await
        .map_err(|_| Trouble::new("`nix` does not answer"))?
        .map_err(|error| Trouble::io("run `nix`", &error))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Trouble(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
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
    fn the_daemon_is_told_from_a_store_that_is_ours() {
        assert!(is_daemon("Store URL: daemon\nVersion: 2.8.0\n"));
        assert!(is_daemon("Store URL: unix:///x/socket\n"));
        assert!(!is_daemon("Store URL: local\n"));
    }

    #[test]
    fn users_and_groups_are_trusted_by_name() {
        assert!(lists("root runner", "runner", ""));
        assert!(lists("@wheel", "runner", "users wheel"));
        assert!(lists("*", "runner", ""));
        assert!(!lists("root @wheel", "runner", "users"));
    }
}
