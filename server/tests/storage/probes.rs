//! Finding out which checksum a service minds, of services that mind this and that.

use niks3_server::storage::{Bucket, ChecksumKind, StorageError};
use poem::http::{Method, StatusCode};
use poem::{EndpointExt as _, Request, Response};
use sha2::{Digest as _, Sha256};

use crate::places::{listen, settings};

/// What a service answers to an upload with a kind of checksum, which fits or does not.
type Answers = fn(ChecksumKind, bool) -> u16;

/// What is found of a service that answers so; `keeps`: whether it has what it was sent then.
async fn found(answers: Answers, keeps: bool) -> Result<Option<ChecksumKind>, StorageError> {
    let service = poem::endpoint::make(move |mut request: Request| async move {
        let status = match *request.method() {
            Method::PUT => {
                let sha256 = request.header("x-amz-checksum-sha256").map(str::to_owned);
                let md5 = request.header("content-md5").map(str::to_owned);
                let body = request.take_body().into_vec().await?;
                let encoded = |bytes: &[u8]| {
                    use base64::Engine as _;
                    base64::engine::general_purpose::STANDARD.encode(bytes)
                };
                match (sha256, md5) {
                    (Some(sha256), None) => {
                        answers(ChecksumKind::Sha256, sha256 == encoded(&Sha256::digest(&body)))
                    }
                    (None, Some(md5)) => {
                        use md5::Digest as _;
                        answers(ChecksumKind::Md5, md5 == encoded(&md5::Md5::digest(&body)))
                    }
                    _ => 500,
                }
            }
            Method::HEAD if keeps => 200,
            Method::HEAD => 404,
            Method::DELETE => 204,
            _ => 400,
        };
        let status = StatusCode::from_u16(status).unwrap_or_default();
        Ok::<_, poem::Error>(Response::builder().status(status).finish())
    });
    let address = listen(service.map_to_response().boxed());
    let settings = settings(&address, "probed", "us-east-1");
    let bucket = Bucket::s3(&settings);
    bucket.await.expect("a bucket").probe_checksum().await
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
        assert_eq!(found(answers, false).await.expect("an answer"), want, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_keeps_what_it_refuses_minds_nothing() {
    assert_eq!(
        found(|_, right| minds(right), true).await.expect("an answer"),
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_takes_no_upload_at_all_minds_nothing() {
    let refusing: [Answers; 4] = [|_, _| 403, |_, _| 404, |_, _| 405, |_, _| 400];
    for answers in refusing {
        let error = found(answers, false).await.expect_err("nothing was taken");
        assert!(matches!(error, StorageError::Denied(_)), "{error}");
    }
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
