//! Finding out which checksum a service minds, of services that mind this and that.

use std::sync::{Arc, Mutex};

use niks3_server::storage::{Bucket, ChecksumKind, PartChecks, Right, Rights, StorageError};
use poem::http::{Method, StatusCode};
use poem::{EndpointExt as _, Request, Response};
use sha2::{Digest as _, Sha256};

use crate::places::{listen, settings};

/// What a service answers to an upload with a kind of checksum, which fits or does not.
type Answers = fn(ChecksumKind, bool) -> u16;

const LISTED: &str = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
const UPLOADS: &str =
    "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";

/// What is found of a service that answers so; `keeps`: whether it has what it refused.
async fn found(answers: Answers, keeps: bool) -> Result<Rights, StorageError> {
    let stored = Arc::new(Mutex::new(Vec::new()));
    let service = poem::endpoint::make(move |mut request: Request| {
        let stored = stored.clone();
        async move {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let (status, text) = match *request.method() {
                Method::PUT => {
                    let sha256 = request.header("x-amz-checksum-sha256").map(str::to_owned);
                    let md5 = request.header("content-md5").map(str::to_owned);
                    let body = request.take_body().into_vec().await?;
                    let encoded = |bytes: &[u8]| {
                        use base64::Engine as _;
                        base64::engine::general_purpose::STANDARD.encode(bytes)
                    };
                    let status = match (sha256, md5) {
                        (Some(sha256), None) => {
                            answers(ChecksumKind::Sha256, sha256 == encoded(&Sha256::digest(&body)))
                        }
                        (None, Some(md5)) => {
                            use md5::Digest as _;
                            answers(ChecksumKind::Md5, md5 == encoded(&md5::Md5::digest(&body)))
                        }
                        _ => 500,
                    };
                    if keeps || status == 200 {
                        *stored.lock().expect("nobody panicked") = body;
                    }
                    (status, Vec::new())
                }
                Method::GET if query.contains("list-type") => (200, LISTED.into()),
                Method::GET if query.contains("uploads") => (200, UPLOADS.into()),
                Method::GET => (200, stored.lock().expect("nobody panicked").clone()),
                Method::DELETE => (204, Vec::new()),
                Method::HEAD => (200, Vec::new()),
                // It knows no uploads in parts.
                _ => (501, Vec::new()),
            };
            let status = StatusCode::from_u16(status).unwrap_or_default();
            Ok::<_, poem::Error>(Response::builder().status(status).body(text))
        }
    });
    let address = listen(service.map_to_response().boxed());
    let settings = settings(&address, "probed", "us-east-1");
    let bucket = Bucket::s3(&settings);
    bucket.await.expect("a bucket").probe_rights(None).await
}

fn minds(right: bool) -> u16 {
    if right { 200 } else { 400 }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_kind_is_used_that_takes_what_fits_and_refuses_what_does_not() {
    use ChecksumKind::{Md5, Sha256};
    let cases: [(&str, Answers, Option<ChecksumKind>); 6] = [
        ("both", |_, right| minds(right), Some(Sha256)),
        // As Backblaze B2 does.
        (
            "a header it does not know",
            |kind, right| if kind == Sha256 { 400 } else { minds(right) },
            Some(Md5),
        ),
        (
            "a header it has not implemented",
            |kind, right| if kind == Sha256 { 501 } else { minds(right) },
            Some(Md5),
        ),
        (
            "a header it ignores",
            |kind, right| if kind == Sha256 { 200 } else { minds(right) },
            Some(Md5),
        ),
        ("neither", |_, _| 200, None),
        (
            "one it does not know, the other ignored",
            |kind, _| if kind == Sha256 { 400 } else { 200 },
            None,
        ),
    ];
    for (name, answers, want) in cases {
        let rights = found(answers, false).await.expect("an answer");
        assert_eq!(rights.checksum, want, "{name}");
        assert!(rights.missing.is_empty(), "{name}: {rights:?}");
        let without_parts = matches!(rights.parts, PartChecks::Unsupported(_));
        assert_eq!(without_parts, want.is_some(), "{name}: {rights:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_keeps_what_it_refuses_minds_nothing() {
    assert_eq!(
        found(|_, right| minds(right), true)
            .await
            .expect("an answer")
            .checksum,
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_takes_no_upload_at_all_minds_nothing() {
    let refusing: [Answers; 3] = [|_, _| 404, |_, _| 405, |_, _| 400];
    for answers in refusing {
        let error = found(answers, false).await.expect_err("nothing was taken");
        assert!(matches!(error, StorageError::Denied(_)), "{error}");
    }
    let rights = found(|_, _| 403, false).await.expect("a missing permission");
    let missing: Vec<Right> = rights.missing.iter().map(|(right, _)| *right).collect();
    assert_eq!(missing, [Right::Put]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_passes_nothing_is_concluded() {
    let too_many = found(|_, right| if right { 200 } else { 429 }, false).await;
    assert!(
        matches!(too_many, Err(StorageError::Throttled { .. })),
        "{too_many:?}"
    );
    let passing: [Answers; 3] = [
        |_, _| 503,
        |_, right| if right { 200 } else { 503 },
        |_, right| if right { 200 } else { 404 },
    ];
    for answers in passing {
        let error = found(answers, false)
            .await
            .expect_err("it may be otherwise later");
        assert!(matches!(error, StorageError::Unavailable(_)), "{error}");
    }
}
