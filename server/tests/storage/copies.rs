//! Copies within a service.

use std::net::SocketAddr;

use bytes::Bytes;
use niks3_server::storage::{Bucket, ChecksumKind, GetOptions, ObjectKey};
use niks3_test_support::{Fault, FaultProxy, garage_bucket};

use crate::places::{self, Place};
use crate::{nar, read};

fn bytes(size: u64) -> Vec<u8> {
    (0..size).map(|at| (at * 31 % 253) as u8).collect()
}

async fn staged(bucket: &Bucket, name: &str, size: u64) -> (ObjectKey, ObjectKey) {
    let from = ObjectKey::staging("push", name);
    bucket.put(&from, Bytes::from(bytes(size))).await.expect("put");
    (from, nar(name))
}

async fn what_is_copied_is_whole(mut place: Place, checksum: ChecksumKind) {
    place.bucket = place.bucket.checking(checksum);
    for (name, size) in [("one", 1), ("some", 4321), ("many", 6 << 20)] {
        let (from, to) = staged(&place.bucket, name, size).await;
        place.bucket.promote(&from, &to, size).await.expect("promote");
        assert!(
            read(&place, &to, GetOptions::default()).await == Some(bytes(size)),
            "{name}"
        );
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
            async fn what_is_copied_is_whole_with_sha256() {
                what_is_copied_is_whole(places::$place().await, ChecksumKind::Sha256).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn what_is_copied_is_whole_without_sha256() {
                what_is_copied_is_whole(places::$place().await, ChecksumKind::Md5).await;
            }
        })+
    };
}

by_each_checksum!(http, garage, minio, versitygw);

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_what_its_new_key_says() {
    let mut place = places::garage().await;
    let web: reqwest::Url = place.web.take().expect("an address").parse().expect("a URL");
    let (host, port) = (web.host_str().expect("a host"), web.port().expect("a port"));
    let readers = reqwest::Client::builder()
        .resolve(host, SocketAddr::from(([127, 0, 0, 1], port)))
        .build()
        .expect("a client");
    let (from, to) = staged(&place.bucket, "copied", 4321).await;
    place.bucket.promote(&from, &to, 4321).await.expect("promote");
    let url = web.join(to.as_str()).expect("a URL");
    let answer = readers.get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], to.content_type());
    assert_eq!(answer.headers()["cache-control"], to.cache_control());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_refused_leaves_everything_where_it_was() {
    let made = tokio::task::spawn_blocking(garage_bucket)
        .await
        .expect("a bucket");
    let proxy = FaultProxy::before(&made.endpoint).await;
    let settings = places::settings(&proxy.url(), &made.name, made.region);
    let bucket = Bucket::s3(&settings).await.expect("a bucket");
    let (from, to) = staged(&bucket, "unfinished", 4321).await;
    proxy.fail("PUT", "x-id=CopyObject", Fault::Status(400), 1);
    bucket.promote(&from, &to, 4321).await.expect_err("refused");
    assert_eq!(proxy.pending(), 0, "it happened");
    assert!(bucket.head(&to).await.expect("head").is_none());
    assert!(bucket.head(&from).await.expect("head").is_some());
    bucket.promote(&from, &to, 4321).await.expect("promote");
}
