//! The outputs of main. GitHub drops every output that a post step sets, so what becomes known only while the job
//! runs is an output of the flush action.

use niks3_client::shown_address;

use crate::{ActionError, inputs::Inputs, runner::set_output, state::Doing};

/// What later steps and jobs can read.
#[derive(Debug)]
pub(crate) struct Outputs {
    server_url: String,
    pub(crate) substituter: Option<String>,
    pub(crate) public_keys: Vec<String>,
    pub(crate) run_url: Option<String>,
    pub(crate) doing: Doing,
    /// Why nothing is pushed, or not in the way that the input `mode` asks for.
    pub(crate) reason: Option<String>,
}

impl Outputs {
    pub(crate) fn new(inputs: &Inputs) -> Self {
        Self {
            server_url: shown_url(inputs.server_url.as_str()),
            substituter: None,
            public_keys: Vec::new(),
            run_url: None,
            doing: Doing::Nothing,
            reason: None,
        }
    }

    pub(crate) fn server_url(&self) -> &str {
        &self.server_url
    }

    pub(crate) fn set(&self) -> Result<(), ActionError> {
        let will_push = (self.doing != Doing::Nothing).to_string();
        let substituter = self.substituter.as_deref().map(shown_url);
        for (name, value) in [
            ("server-url", self.server_url.as_str()),
            ("substituter", substituter.as_deref().unwrap_or_default()),
            ("public-keys", &self.public_keys.join(" ")),
            ("run-url", self.run_url.as_deref().unwrap_or_default()),
            ("mode", self.doing.name()),
            ("will-push", &will_push),
            ("reason", self.reason.as_deref().unwrap_or_default()),
        ] {
            set_output(name, value)?;
        }
        Ok(())
    }
}

/// An address as logs and outputs may show it, without credentials.
pub(crate) fn shown_url(url: &str) -> String {
    shown_address(url).trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (substituter, expected) in [
            (
                "https://user:secret@cache.example.com",
                "https://cache.example.com",
            ),
            ("https://cache.example.com/a", "https://cache.example.com/a"),
            ("s3://bucket?profile=x", "s3://bucket?profile=x"),
            ("/mnt/cache", "/mnt/cache"),
        ] {
            assert_eq!(shown_url(substituter), expected);
        }
    }
}
