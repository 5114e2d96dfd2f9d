//! Copies within a service, of which large ones go in parts.

use std::net::SocketAddr;

use bytes::Bytes;
use niks3_server::storage::{Bucket, ChecksumKind, GetOptions, ObjectKey};
use niks3_test_support::{Fault, FaultProxy, garage_bucket};

use crate::places::{self, Place};
use crate::{nar, read};

const PART: u64 = 5 << 20;

/// The same bucket, which copies more than one part in parts.
fn in_parts(bucket: Bucket, checksum: ChecksumKind) -> Bucket {
    match bucket {
        Bucket::S3(bucket) => Bucket::S3(bucket.copying(PART, PART)).checking(checksum),
        Bucket::Files(_) => panic!("not a service"),
    }
}

fn bytes(size: u64) -> Vec<u8> {
    (0..size).map(|at| (at * 31 % 253) as u8).collect()
}

async fn staged(bucket: &Bucket, name: &str, size: u64) -> (ObjectKey, ObjectKey) {
    let from = ObjectKey::staging("parts", name);
    bucket.put(&from, Bytes::from(bytes(size))).await.expect("put");
    (from, nar(name))
}

async fn what_is_copied_in_parts_is_whole(mut place: Place, checksum: ChecksumKind) {
    place.bucket = in_parts(place.bucket, checksum);
    for (name, size) in [
        ("even", 2 * PART),
        ("one-more", 2 * PART + 1),
        ("odd", 3 * PART - 4321),
    ] {
        let (from, to) = staged(&place.bucket, name, size).await;
        place.bucket.promote(&from, &to, size).await.expect("promote");
        assert!(
            read(&place, &to, GetOptions::default()).await == Some(bytes(size)),
            "{name}"
        );
        assert!(place.bucket.head(&from).await.expect("head").is_none());
        assert!(places::open_uploads(&place.bucket).await.is_empty());
        place
            .bucket
            .promote(&from, &to, size)
            .await
            .expect("promote again");
    }
}

macro_rules! by_each_checksum {
    ($($place:ident),+) => {
        $(mod $place {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn what_is_copied_in_parts_is_whole_with_sha256() {
                what_is_copied_in_parts_is_whole(places::$place().await, ChecksumKind::Sha256).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn what_is_copied_in_parts_is_whole_without_sha256() {
                what_is_copied_in_parts_is_whole(places::$place().await, ChecksumKind::Md5).await;
            }
        })+
    };
}

by_each_checksum!(http, garage, minio, versitygw);

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_what_its_new_key_says_however_it_was_made() {
    let mut place = places::garage().await;
    let web: reqwest::Url = place.web.take().expect("an address").parse().expect("a URL");
    let (host, port) = (web.host_str().expect("a host"), web.port().expect("a port"));
    let readers = reqwest::Client::builder()
        .resolve(host, SocketAddr::from(([127, 0, 0, 1], port)))
        .build()
        .expect("a client");
    place.bucket = in_parts(place.bucket, ChecksumKind::Sha256);
    for (name, size) in [("at-once", PART), ("in-parts", PART + 1)] {
        let (from, to) = staged(&place.bucket, name, size).await;
        place.bucket.promote(&from, &to, size).await.expect("promote");
        let url = web.join(to.as_str()).expect("a URL");
        let answer = readers.get(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], to.content_type(), "{name}");
        assert_eq!(answer.headers()["cache-control"], to.cache_control(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_cannot_be_completed_leaves_no_upload_behind() {
    let made = tokio::task::spawn_blocking(garage_bucket)
        .await
        .expect("a bucket");
    let proxy = FaultProxy::before(&made.endpoint).await;
    let settings = places::settings(&proxy.url(), &made.name, made.region);
    let bucket = Bucket::s3(&settings);
    let bucket = in_parts(bucket.await.expect("a bucket"), ChecksumKind::Sha256);
    let size = 2 * PART + 1;
    let (from, to) = staged(&bucket, "unfinished", size).await;
    for (method, part) in [("POST", "uploadId="), ("PUT", "partNumber=2")] {
        proxy.fail(method, part, Fault::Status(400), 1);
        bucket.promote(&from, &to, size).await.expect_err("refused");
        assert_eq!(proxy.pending(), 0, "it happened");
        assert!(places::open_uploads(&bucket).await.is_empty());
        assert!(bucket.head(&to).await.expect("head").is_none());
    }
    bucket.promote(&from, &to, size).await.expect("promote");
}
