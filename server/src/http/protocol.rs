//! The version of the protocol: said in every answer, and asked for by clients
//! that need one, so that an old client and a new server part with a sentence.

use poem::http::{HeaderName, HeaderValue};
use poem::{Endpoint, Request, Response, Result};

use super::problem::answer;
use crate::error::Error;

/// Name of the header, both ways.
pub const HEADER: HeaderName = HeaderName::from_static("niks3-protocol-version");
/// The oldest version this server speaks.
pub const OLDEST: u32 = 1;
/// The newest version this server speaks.
pub const NEWEST: u32 = 1;

/// The newest version, as the header has it.
#[must_use]
pub fn value() -> HeaderValue {
    HeaderValue::from(NEWEST)
}

/// Refuses requests for a version that this server does not speak.
pub async fn layer<E: Endpoint<Output = Response>>(next: E, request: Request) -> Result<Response> {
    if let Some(asked) = request.headers().get(HEADER) {
        let asked: Option<u32> = asked.to_str().ok().and_then(|text| text.trim().parse().ok());
        match asked {
            Some(version) if (OLDEST..=NEWEST).contains(&version) => {}
            Some(version) => {
                let mend = if version < OLDEST {
                    "upgrade the client"
                } else {
                    "upgrade the server"
                };
                let detail = format!(
                    "the client speaks version {version} of the niks3 protocol, this server ({}) speaks {OLDEST} to {NEWEST}: {mend}",
                    env!("CARGO_PKG_VERSION")
                );
                return Ok(answer(Error::malformed(detail)));
            }
            None => {
                let detail = "the header Niks3-Protocol-Version is not a number";
                return Ok(answer(Error::malformed(detail)));
            }
        }
    }
    next.call(request).await
}
