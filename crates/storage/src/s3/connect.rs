//! How a service is spoken to: with which patience, and what its refusals mean.

use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::{Client, Config};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use url::Url;

use super::clock::{RetryWithRightTime, ServiceClock};
use super::credentials::CredentialSource;
use super::metered::Metered;
use crate::StorageError;

/// How long a service may take over an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Until an answer begins, in each attempt.
    pub(super) answer: Duration,
    /// Until it is given up, all attempts together.
    all: Duration,
}

/// What is answered out of an index, and small objects.
pub(crate) const BRIEF: Patience = Patience {
    answer: Duration::from_secs(15),
    all: Duration::from_secs(40),
};
/// What makes the service move as many bytes as an object has.
pub(super) const LONG: Patience = Patience {
    answer: Duration::from_secs(120),
    all: Duration::from_secs(300),
};

/// Characters of what a service says that are shown.
const MAX_CAUSE: usize = 300;

/// An operation of S3 that the server asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    HeadBucket,
    ListObjects,
    GetObject,
    HeadObject,
    PutObject,
    CopyObject,
    DeleteObject,
    DeleteObjects,
    CreateMultipartUpload,
    UploadPart,
    ListParts,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListMultipartUploads,
    ListObjectVersions,
    DeleteObjectVersion,
    GetBucketVersioning,
}

impl Operation {
    /// As S3 calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::HeadBucket => "HeadBucket",
            Self::ListObjects => "ListObjectsV2",
            Self::GetObject => "GetObject",
            Self::HeadObject => "HeadObject",
            Self::PutObject => "PutObject",
            Self::CopyObject => "CopyObject",
            Self::DeleteObject => "DeleteObject",
            Self::DeleteObjects => "DeleteObjects",
            Self::CreateMultipartUpload => "CreateMultipartUpload",
            Self::UploadPart => "UploadPart",
            Self::ListParts => "ListParts",
            Self::CompleteMultipartUpload => "CompleteMultipartUpload",
            Self::AbortMultipartUpload => "AbortMultipartUpload",
            Self::ListMultipartUploads => "ListMultipartUploads",
            Self::ListObjectVersions => "ListObjectVersions",
            Self::DeleteObjectVersion => "DeleteObject of a version",
            Self::GetBucketVersioning => "GetBucketVersioning",
        }
    }

    /// The permission that a policy has to give for it.
    pub(super) const fn permission(self) -> &'static str {
        match self {
            Self::HeadBucket | Self::ListObjects => "s3:ListBucket",
            Self::GetObject | Self::HeadObject => "s3:GetObject",
            Self::PutObject
            | Self::CreateMultipartUpload
            | Self::UploadPart
            | Self::CompleteMultipartUpload => "s3:PutObject",
            Self::CopyObject => "s3:GetObject and s3:PutObject",
            Self::DeleteObject | Self::DeleteObjects => "s3:DeleteObject",
            Self::ListParts => "s3:ListMultipartUploadParts",
            Self::AbortMultipartUpload => "s3:AbortMultipartUpload",
            Self::ListMultipartUploads => "s3:ListBucketMultipartUploads",
            Self::ListObjectVersions => "s3:ListBucketVersions",
            Self::DeleteObjectVersion => "s3:DeleteObjectVersion",
            Self::GetBucketVersioning => "s3:GetBucketVersioning",
        }
    }
}

/// A client for a bucket at an address.
pub(crate) fn client(
    endpoint: Option<&Url>,
    region: &str,
    path_style: bool,
    credentials: &CredentialSource,
    patience: Patience,
    clock: ServiceClock,
) -> Client {
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .force_path_style(path_style)
        .interceptor(Metered)
        .interceptor(clock.clone())
        .time_source(clock)
        .retry_classifier(RetryWithRightTime)
        // The SDK corrects no signature in a query string, and what it corrects would be corrected twice.
        .disable_clock_skew_correction(true)
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
        config = config.endpoint_url(base(endpoint));
    }
    Client::from_conf(config.build())
}

/// The address that the SDK puts the bucket behind: it joins paths as they are, so that one has to end in a slash.
fn base(endpoint: &Url) -> String {
    let text = endpoint.as_str().trim_end_matches('/');
    match endpoint.path().trim_matches('/') {
        "" => text.to_owned(),
        _ => format!("{text}/"),
    }
}

/// What an error of the SDK means, of a service at an address.
pub(super) fn failed<E>(
    operation: Operation,
    address: &str,
    area: String,
) -> impl FnOnce(SdkError<E, HttpResponse>) -> StorageError + use<'_, E>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    move |error| meaning_of(operation, address, &area, &error)
}

/// A refusal that names the operation, the keys and the permission.
pub(super) fn forbidden(operation: Operation, area: &str, said: &str) -> StorageError {
    StorageError::Forbidden(format!(
        "{} on {area}: {}; the credentials of the server need {}",
        operation.name(),
        said.trim_end_matches('.'),
        operation.permission()
    ))
}

fn meaning_of<E>(
    operation: Operation,
    address: &str,
    area: &str,
    error: &SdkError<E, HttpResponse>,
) -> StorageError
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
    let text = || match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => {
            format!("{address} does not answer: {}", cause(error, status))
        }
        _ => format!("{} on {area}: {}", operation.name(), cause(error, status)),
    };
    if is_unintelligible(error) {
        // Asked again, it would say the same.
        return StorageError::Invalid(text());
    }
    let meant = meaning(status, &code, retry_after, text);
    match meant {
        // Garage says so of an access key that it does not know: one that was replaced, and will be here as well.
        StorageError::Denied(why) if code == "AccessDenied" && !why.contains(UNKNOWN_KEY) => {
            forbidden(operation, area, &cause(error, status))
        }
        meant => meant,
    }
}

/// An answer came that is not one of S3.
fn is_unintelligible<E: std::error::Error + 'static>(error: &SdkError<E, HttpResponse>) -> bool {
    let status = error.raw_response().map(|response| response.status());
    matches!(error, SdkError::ResponseError(_))
        && status.is_some_and(|status| status.is_success())
        && innermost(error).starts_with("error parsing XML")
}

/// The text of what an error was caused by in the end, or of the first that speaks of XML.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
        if cause.to_string().starts_with("error parsing XML") {
            break;
        }
    }
    cause.to_string()
}

/// Why a request came to nothing, on one line.
fn cause<E>(error: &SdkError<E, HttpResponse>, status: Option<u16>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let words = match error {
        SdkError::ServiceError(_) => match (error.code(), error.message(), status) {
            (Some(code), Some(message), _) if !message.is_empty() => format!("{code}: {message}"),
            (Some(code), _, Some(status)) => format!("{code} (HTTP {status})"),
            (Some(code), _, None) => code.to_owned(),
            (None, _, status) => format!("HTTP {}", status.unwrap_or_default()),
        },
        SdkError::TimeoutError(_) => "it takes too long".to_owned(),
        SdkError::DispatchFailure(_) => innermost(error),
        SdkError::ResponseError(_) => format!("an answer that cannot be understood: {}", innermost(error)),
        error => innermost(error),
    };
    words
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_CAUSE)
        .collect()
}

/// What a service says that does not know an operation or a header of it.
const NOT_IMPLEMENTED: u16 = 501;

/// What Garage says of a request whose time is up, which it is at once where the clock of this server is behind.
const TOO_OLD: &str = "Date is too old";

/// What Garage says of a request that is signed with an access key that it does not know.
pub(super) const UNKNOWN_KEY: &str = "No such key";
/// What Garage says of a signature by another secret key, instead of `SignatureDoesNotMatch`.
pub(super) const WRONG_SECRET: &str = "Invalid signature";

/// What a service means by a status and a code.
fn meaning(
    status: Option<u16>,
    code: &str,
    retry_after: Option<Duration>,
    text: impl Fn() -> String,
) -> StorageError {
    match (status, code) {
        (_, "SlowDown" | "TooManyRequests" | "RequestLimitExceeded") | (Some(429), _) => {
            StorageError::Throttled { retry_after }
        }
        (_, "NoSuchKey" | "NoSuchVersion" | "NotFound" | "NoSuchUpload") | (Some(404), "") => {
            StorageError::NotFound
        }
        // The body was another one when it came: sent again it is right.
        (_, "BadDigest" | "InvalidDigest") => StorageError::Unavailable(text()),
        (_, "NoSuchBucket") => StorageError::Denied("the bucket does not exist".into()),
        // Garage has no code for that; others answer 403.
        (Some(400), "InvalidRequest") if text().contains(TOO_OLD) => StorageError::Denied(text()),
        // Credentials that end are replaced by others.
        (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") | (Some(401 | 403), _) => {
            StorageError::Denied(text())
        }
        (Some(507), _) => StorageError::Full,
        (Some(404), _) => StorageError::NotFound,
        // A request that came too slowly, too early, or met another: it may be sent again.
        (_, "RequestTimeout") | (Some(408 | 409 | 425), _) => StorageError::Unavailable(text()),
        (_, "NotImplemented") | (Some(400..=499 | NOT_IMPLEMENTED), _) => StorageError::Invalid(text()),
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
                    (Some(501), "NotImplemented"),
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
                    StorageError::Forbidden(_) => "forbidden",
                    StorageError::Unsuitable(_) => "unsuitable",
                };
                assert_eq!(meant, expected, "{status:?} {code}");
            }
        }
        let too_old = || "InvalidRequest: Bad request: Date is too old".to_owned();
        let meant = meaning(Some(400), "InvalidRequest", None, too_old);
        assert!(matches!(meant, StorageError::Denied(_)), "{meant:?}");
    }
}
