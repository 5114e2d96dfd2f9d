//! The clock of the service, by the `Date` of an answer, whatever the answer says.

use std::sync::{Arc, OnceLock};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};

use super::{READY, S3Bucket};

/// Keeps the `Date` of the first answer.
#[derive(Debug, Clone, Default)]
struct DateOf(Arc<OnceLock<i64>>);

impl Intercept for DateOf {
    fn name(&self) -> &'static str {
        "DateOf"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        if let Some(date) = date {
            let _ = self.0.set(date.secs());
        }
        Ok(())
    }
}

impl S3Bucket {
    /// Unix time by the clock of the service; `None` when it does not answer, or does not say.
    pub(in crate::storage) async fn clock(&self) -> Option<i64> {
        let date = DateOf::default();
        let asked = async {
            let _turn = self.pace.turn().await;
            let head = self.client.head_bucket().bucket(&self.bucket);
            head.customize().interceptor(date.clone()).send().await
        };
        // A refusal, which a wrong clock is a reason for, has a date, too.
        let _ = tokio::time::timeout(READY, asked).await;
        date.0.get().copied()
    }
}
