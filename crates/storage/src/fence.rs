//! Requests that are void after a while, whoever holds them up.
//!
//! A request that the server has given up, or died over, may still be on its way to
//! the service. One that deletes, landing after the same key was written again,
//! would lose an object. So each write of the server is signed for a short time
//! only, by the query string as in a presigned URL: the service itself refuses it
//! later, and what comes after that time cannot be undone by what came before.

use std::time::Duration;

use aws_runtime::auth::{HttpSignatureType, SigV4OperationSigningConfig};
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Builder, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sigv4::http_request::SignableBody;

/// How long the signature of one attempt is good for.
pub(super) const SIGNED_FOR: Duration = Duration::from_secs(20);

/// How long all attempts of a request may take together.
pub(super) const ATTEMPTS: Duration = Duration::from_secs(25);

/// How far the clock of the service may be behind ours.
const SKEW: Duration = Duration::from_secs(5);

/// After so long, no request that was begun before can have any effect.
pub const REQUEST_LIFETIME: Duration =
    Duration::from_secs(SIGNED_FOR.as_secs() + ATTEMPTS.as_secs() + SKEW.as_secs());

/// The configuration by which all attempts end in time.
pub(super) fn bounded() -> Builder {
    Builder::new().timeout_config(
        TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(Duration::from_secs(15))
            .operation_timeout(ATTEMPTS)
            .build(),
    )
}

/// Signs each attempt for [`SIGNED_FOR`].
#[derive(Debug)]
pub(super) struct Expiring;

impl Intercept for Expiring {
    fn name(&self) -> &'static str {
        "Expiring"
    }

    fn modify_before_signing(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut signing = config
            .load::<SigV4OperationSigningConfig>()
            .cloned()
            .ok_or("the request is not signed by SigV4")?;
        signing.signing_options.expires_in = Some(SIGNED_FOR);
        signing.signing_options.signature_type = HttpSignatureType::HttpRequestQueryParams;
        // As in every signature by the query string; a checksum in a signed header covers the
        // body: Content-MD5, or what the SDK adds where S3 wants one.
        signing.signing_options.payload_override = Some(SignableBody::UnsignedPayload);
        config
            .interceptor_state()
            .store_put::<SigV4OperationSigningConfig>(signing);
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // The SDK never signs it, and services want every header of theirs signed here.
        context.request_mut().headers_mut().remove("x-amz-user-agent");
        Ok(())
    }
}
