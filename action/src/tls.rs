//! The inputs about certificates. Each is a file or, as it comes from a secret of the repository, the text of one. What
//! was read stays in memory: no key of the client is written anywhere.

use std::fmt;

use niks3_client::{ConnectOptions, Http, Pem, build_http};
use serde::{Deserialize, Serialize};

use crate::{ActionError, runner::variable};

/// What marks a text in PEM form (RFC 7468).
const PEM_MARK: &str = "-----BEGIN";

/// Certificates and a key, in PEM form.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tls {
    client_cert: Option<String>,
    client_key: Option<String>,
    ca_cert: Option<String>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    pub(crate) fn read(input: impl Fn(&str) -> Option<String>) -> Result<Self, ActionError> {
        let pem = |name: &str| input(name).map(|value| text(name, &value)).transpose();
        let (client_cert, client_key) = (pem("client-cert")?, pem("client-key")?);
        if client_cert.is_some() != client_key.is_some() {
            return Err(ActionError::new(
                "the inputs `client-cert` and `client-key` need each other: give both or none",
            ));
        }
        let of_environment = || {
            variable("NIKS3_CA_CERT")
                .map(|value| text("ca-cert", &value))
                .transpose()
        };
        let ca_cert = match pem("ca-cert")? {
            Some(text) => Some(text),
            None => of_environment()?,
        };
        let tls = Self {
            client_cert,
            client_key,
            ca_cert,
        };
        // What is wrong with them is said before anything else is done.
        tls.http()?;
        Ok(tls)
    }

    /// Authorities to trust besides those of the system, and nothing that is secret.
    pub(crate) fn of_authorities(ca_cert: Option<String>) -> Self {
        Self {
            ca_cert,
            ..Self::default()
        }
    }

    pub(crate) fn ca_cert(&self) -> Option<&str> {
        self.ca_cert.as_deref()
    }

    pub(crate) fn has_client_cert(&self) -> bool {
        self.client_cert.is_some()
    }

    /// HTTP clients that show and trust them.
    pub(crate) fn http(&self) -> Result<Http, ActionError> {
        let pem = |name: &str, text: &Option<String>| {
            text.as_deref()
                .map(|text| Pem::given(format!("the input `{name}`"), text))
        };
        let options = ConnectOptions {
            client_cert: pem("client-cert", &self.client_cert),
            client_key: pem("client-key", &self.client_key),
            ca_cert: pem("ca-cert", &self.ca_cert),
        };
        build_http(&options).map_err(|error| ActionError(error.to_string()))
    }
}

/// The text that an input gives or names.
pub(crate) fn text(name: &str, value: &str) -> Result<String, ActionError> {
    if value.contains(PEM_MARK) {
        return Ok(value.to_owned());
    }
    match std::fs::read(value) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        // A value that cannot be read may be a key that was copied badly.
        Err(error) => Err(ActionError(format!(
            "the input `{name}` is neither text in PEM form nor the name of a file that can be read: {error}"
        ))),
    }
}
