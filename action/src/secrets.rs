//! Masks for everything secret that a step is given, before anything else is done or said.

use url::Url;

use crate::{
    inputs::{input, words},
    netrc::{self, LOGIN},
    runner,
    state::State,
    tls,
};

/// Inputs that are secret as they are. The runner masks what comes from its secrets, and nothing else.
const SECRETS: [&str; 2] = ["auth-token", "github-token"];
/// Inputs with addresses, which can hold a password.
const ADDRESSES: [&str; 5] = [
    "server-url",
    "substituter",
    "extra-substituters",
    "skip-upstream",
    "releases-url",
];

/// Masks the secrets among the inputs.
pub(crate) fn mask_inputs() {
    for secret in SECRETS.iter().filter_map(|name| input(name)) {
        runner::mask(&secret);
    }
    // Lines that begin so are the same in every key.
    let key = input("client-key").map(|value| tls::text("client-key", &value).unwrap_or(value));
    for line in key.iter().flat_map(|key| key.lines()) {
        if !line.trim_start().starts_with("-----") {
            runner::mask(line.trim());
        }
    }
    for text in ADDRESSES.iter().filter_map(|name| input(name)) {
        words(&text)
            .iter()
            .flat_map(|word| passwords(word))
            .for_each(|password| runner::mask(&password));
    }
}

/// Masks the token that a use of the action has in its netrc file now: the process that renews it has no log of the job.
pub(crate) fn mask_token(state: &State) {
    let text = netrc::read(&state.netrc_path()).unwrap_or_default();
    for line in text.lines() {
        if let Some((_, password)) = line.split_once(&format!(" login {LOGIN} password ")) {
            runner::mask(password);
        }
    }
}

/// The password in an address, as it stands there and as it is meant.
fn passwords(address: &str) -> Vec<String> {
    let Ok(url) = address.parse::<Url>() else {
        return Vec::new();
    };
    let Some(password) = url.password().filter(|password| !password.is_empty()) else {
        return Vec::new();
    };
    let decoded = url::form_urlencoded::parse(format!("p={}", password.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned());
    let mut all = vec![password.to_owned()];
    all.extend(decoded.filter(|decoded| decoded != password));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_secret_in_both_its_forms() {
        assert_eq!(passwords("https://u:a%40b@cache.example.com"), ["a%40b", "a@b"]);
        assert_eq!(passwords("https://u:a+b@cache.example.com"), ["a+b"]);
        assert!(passwords("https://u@cache.example.com").is_empty());
        assert!(passwords("cache.example.com").is_empty());
    }
}
