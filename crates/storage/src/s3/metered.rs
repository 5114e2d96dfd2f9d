//! Counts every attempt of a request to the service, with the time until its answer began.

use std::time::Instant;

use aws_sdk_s3::config::interceptors::{BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use niks3_base::metrics::metrics;

/// When the attempt was sent.
#[derive(Debug)]
struct Sent(Instant);

impl Storable for Sent {
    type Storer = StoreReplace<Self>;
}

/// Counts requests.
#[derive(Debug)]
pub(super) struct Metered;

impl Intercept for Metered {
    fn name(&self) -> &'static str {
        "Metered"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(Sent(Instant::now()));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Signing a URL sends nothing.
        let Some(sent) = config.load::<Sent>() else {
            return Ok(());
        };
        let name = config.load::<Metadata>().map_or("", |metadata| metadata.name());
        // That an object is not there, or is as the reader has it, is an answer.
        let status = context.response().map(|response| response.status().as_u16());
        let answered = status.is_some_and(|status| status < 400 || matches!(status, 404 | 412 | 416));
        metrics().s3_request(name, answered, sent.0.elapsed());
        Ok(())
    }
}
