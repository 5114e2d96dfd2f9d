//! How a service is spoken to: with which patience, and what its refusals mean.

use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::{Client, Config};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use url::Url;

use super::credentials::CredentialSource;
use super::metered::Metered;
use crate::storage::StorageError;

/// How long a service may take over an operation.
#[derive(Debug, Clone, Copy)]
pub(in crate::storage) struct Patience {
    /// Until an answer begins, in each attempt.
    pub(super) answer: Duration,
    /// Until it is given up, all attempts together.
    all: Duration,
}

/// What is answered out of an index, and small objects.
pub(in crate::storage) const BRIEF: Patience = Patience {
    answer: Duration::from_secs(15),
    all: Duration::from_secs(40),
};
/// What makes the service move as many bytes as an object has.
pub(super) const LONG: Patience = Patience {
    answer: Duration::from_secs(120),
    all: Duration::from_secs(300),
};

/// A client for a bucket at an address.
pub(in crate::storage) fn client(
    endpoint: Option<&Url>,
    region: &str,
    path_style: bool,
    credentials: &CredentialSource,
    patience: Patience,
) -> Client {
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .force_path_style(path_style)
        .interceptor(Metered)
        // Services other than AWS refuse, or ignore, what the SDK would add by itself.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(4)
                .with_initial_backoff(Duration::from_millis(200))
                .with_max_backoff(Duration::from_secs(5)),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(5))
                .read_timeout(patience.answer)
                .operation_timeout(patience.all)
                .build(),
        )
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .grace_period(Duration::from_secs(20))
                .build(),
        );
    config = credentials.configure(config);
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint.as_str().trim_end_matches('/'));
    }
    Client::from_conf(config.build())
}

/// What an error of the SDK means.
pub(super) fn failed<E>(error: SdkError<E, HttpResponse>) -> StorageError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.code().unwrap_or_default().to_owned();
    let response = error.raw_response();
    let status = response.map(|response| response.status().as_u16());
    let retry_after = response
        .and_then(|response| response.headers().get("retry-after"))
        .and_then(|value| value.parse().ok())
        .map(Duration::from_secs);
    let text = || {
        DisplayErrorContext(&error)
            .to_string()
            .chars()
            .take(500)
            .collect::<String>()
    };
    meaning(status, &code, retry_after, text)
}

/// What a service means by a status and a code.
fn meaning(
    status: Option<u16>,
    code: &str,
    retry_after: Option<Duration>,
    text: impl FnOnce() -> String,
) -> StorageError {
    match (status, code) {
        (_, "SlowDown" | "TooManyRequests" | "RequestLimitExceeded") | (Some(429), _) => {
            StorageError::Throttled { retry_after }
        }
        (_, "NoSuchKey" | "NotFound" | "NoSuchUpload") | (Some(404), "") => StorageError::NotFound,
        // The body was another one when it came: sent again it is right.
        (_, "BadDigest" | "InvalidDigest") => StorageError::Unavailable(text()),
        (_, "NoSuchBucket") => StorageError::Denied("the bucket does not exist".into()),
        // Credentials that end are replaced by others.
        (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") | (Some(401 | 403), _) => {
            StorageError::Denied(text())
        }
        (Some(507), _) => StorageError::Full,
        (Some(404), _) => StorageError::NotFound,
        // A request that came too slowly, too early, or met another: it may be sent again.
        (_, "RequestTimeout") | (Some(408 | 409 | 425), _) => StorageError::Unavailable(text()),
        (Some(400..500), _) => StorageError::Invalid(text()),
        _ => StorageError::Unavailable(text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_a_service_means_what_a_caller_can_do() {
        for (expected, refusals) in [
            (
                "unavailable",
                &[
                    (None, ""),
                    (Some(200_u16), "InternalError"),
                    (Some(400), "RequestTimeout"),
                    (Some(400), "BadDigest"),
                    (Some(408), ""),
                    (Some(409), "OperationAborted"),
                    (Some(409), "ConditionalRequestConflict"),
                    (Some(500), "InternalError"),
                    (Some(502), ""),
                    (Some(503), "ServiceUnavailable"),
                ] as &[(Option<u16>, &str)],
            ),
            (
                "throttled",
                &[
                    (Some(429), ""),
                    (Some(503), "SlowDown"),
                    (Some(400), "RequestLimitExceeded"),
                ],
            ),
            (
                "denied",
                &[
                    (Some(400), "ExpiredToken"),
                    (Some(400), "InvalidToken"),
                    (Some(401), ""),
                    (Some(403), "AccessDenied"),
                    (Some(403), "RequestTimeTooSkewed"),
                    (Some(404), "NoSuchBucket"),
                ],
            ),
            (
                "not found",
                &[
                    (Some(404), ""),
                    (Some(404), "NoSuchKey"),
                    (Some(404), "NoSuchUpload"),
                    (Some(404), "other"),
                ],
            ),
            ("full", &[(Some(507), "InsufficientStorage")]),
            (
                "invalid",
                &[
                    (Some(400), ""),
                    (Some(405), "MethodNotAllowed"),
                    (Some(412), "PreconditionFailed"),
                ],
            ),
        ] {
            for (status, code) in refusals {
                let meant = match meaning(*status, code, None, String::new) {
                    StorageError::Unavailable(_) => "unavailable",
                    StorageError::Throttled { .. } => "throttled",
                    StorageError::Denied(_) => "denied",
                    StorageError::NotFound => "not found",
                    StorageError::Full => "full",
                    StorageError::Invalid(_) => "invalid",
                };
                assert_eq!(meant, expected, "{status:?} {code}");
            }
        }
    }
}
