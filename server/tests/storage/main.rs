//! The object store, five times over the same tests: files, the same files as an
//! S3 service, Garage, MinIO and versitygw.

mod copies;
mod listings;
mod parts;
mod places;
mod probes;
mod uploads;

use bytes::Bytes;
use futures::StreamExt as _;
use niks3_nix::hash::FileHash;
use niks3_server::storage::{GetOptions, GetResult, ObjectKey, Range, StorageError};
use places::Place;

/// Runs a test in every place.
#[macro_export]
macro_rules! everywhere {
    ($($name:ident),+ $(,)?) => {
        mod files { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name($crate::places::files()).await; })+ }
        mod http { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name($crate::places::http().await).await; })+ }
        mod garage { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name($crate::places::garage().await).await; })+ }
        mod minio { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name($crate::places::minio().await).await; })+ }
        mod versitygw { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name($crate::places::versitygw().await).await; })+ }
    };
}

everywhere!(
    what_is_put_is_read_back_with_its_size,
    a_range_of_an_object_is_that_range,
    what_the_caller_has_is_not_sent_again,
    what_is_not_there_is_not_found,
    promoting_twice_is_promoting_once,
    deleting_what_is_gone_is_no_error,
);

pub(crate) fn nar(text: &str) -> ObjectKey {
    ObjectKey::nar(FileHash::of(text.as_bytes()))
}

pub(crate) async fn read(place: &Place, key: &ObjectKey, options: GetOptions) -> Option<Vec<u8>> {
    match place.bucket.get(key, &options).await.expect("the bucket answers") {
        GetResult::Found(mut object) => {
            let mut bytes = Vec::new();
            while let Some(chunk) = object.body.next().await {
                bytes.extend_from_slice(&chunk.expect("the body comes"));
            }
            Some(bytes)
        }
        GetResult::NotFound => None,
        GetResult::NotModified(_) => panic!("not modified"),
        GetResult::RangeNotSatisfiable { .. } => panic!("no such range"),
    }
}

async fn what_is_put_is_read_back_with_its_size(place: Place) {
    let key = nar("put");
    place
        .bucket
        .put(&key, Bytes::from_static(b"some bytes"))
        .await
        .expect("put");
    place.bucket.sync().await.expect("sync");
    assert_eq!(
        place
            .bucket
            .head(&key)
            .await
            .expect("head")
            .expect("it is there")
            .size,
        10
    );
    assert_eq!(
        read(&place, &key, GetOptions::default()).await.as_deref(),
        Some(&b"some bytes"[..])
    );
    place
        .bucket
        .put(&key, Bytes::from_static(b"others"))
        .await
        .expect("put again");
    assert_eq!(
        read(&place, &key, GetOptions::default()).await.as_deref(),
        Some(&b"others"[..])
    );
}

async fn a_range_of_an_object_is_that_range(place: Place) {
    let key = nar("range");
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    place
        .bucket
        .put(&key, Bytes::from(bytes.clone()))
        .await
        .expect("put");
    for (header, want) in [
        ("bytes=0-0", &bytes[..1]),
        ("bytes=500000-", &bytes[500_000..]),
        ("bytes=-3", &bytes[999_997..]),
        ("bytes=999999-2000000", &bytes[999_999..]),
    ] {
        let options = GetOptions {
            range: Range::parse(header),
            ..GetOptions::default()
        };
        assert!(
            read(&place, &key, options).await.as_deref() == Some(want),
            "{header}"
        );
    }
    let beyond = GetOptions {
        range: Range::parse("bytes=1000000-"),
        ..GetOptions::default()
    };
    let result = place.bucket.get(&key, &beyond).await.expect("the bucket answers");
    assert!(matches!(
        result,
        GetResult::RangeNotSatisfiable { size: 1_000_000 }
    ));
}

async fn what_the_caller_has_is_not_sent_again(place: Place) {
    let key = nar("conditional");
    place
        .bucket
        .put(&key, Bytes::from_static(b"x"))
        .await
        .expect("put");
    let etag = place
        .bucket
        .head(&key)
        .await
        .expect("head")
        .expect("it is there")
        .etag;
    let same = GetOptions {
        if_none_match: Some(etag),
        ..GetOptions::default()
    };
    assert!(matches!(
        place.bucket.get(&key, &same).await.expect("get"),
        GetResult::NotModified(_)
    ));
    let other = GetOptions {
        if_none_match: Some("\"other\"".into()),
        ..GetOptions::default()
    };
    assert_eq!(read(&place, &key, other).await.as_deref(), Some(&b"x"[..]));
}

async fn what_is_not_there_is_not_found(place: Place) {
    let key = nar("nothing");
    assert!(place.bucket.head(&key).await.expect("head").is_none());
    assert!(read(&place, &key, GetOptions::default()).await.is_none());
    let promoted = place
        .bucket
        .promote(&ObjectKey::staging("none", "none"), &key, 1)
        .await;
    assert!(matches!(promoted, Err(StorageError::NotFound)), "{promoted:?}");
    let parts = place
        .bucket
        .list_parts(&key, "0123456789abcdef0123456789abcdef")
        .await;
    assert!(parts.is_err());
}

async fn promoting_twice_is_promoting_once(place: Place) {
    let (from, to) = (ObjectKey::staging("push", "one"), nar("promoted"));
    place
        .bucket
        .put(&from, Bytes::from_static(b"staged"))
        .await
        .expect("put");
    place.bucket.promote(&from, &to, 6).await.expect("promote");
    place.bucket.promote(&from, &to, 6).await.expect("promote again");
    assert_eq!(
        read(&place, &to, GetOptions::default()).await.as_deref(),
        Some(&b"staged"[..])
    );
}

async fn deleting_what_is_gone_is_no_error(place: Place) {
    let keys: Vec<ObjectKey> = (0..25).map(|number| nar(&number.to_string())).collect();
    for key in &keys[..20] {
        place
            .bucket
            .put(key, Bytes::from_static(b"x"))
            .await
            .expect("put");
    }
    for (key, result) in place.bucket.delete_many(&keys).await {
        assert!(result.is_ok(), "{}: {result:?}", key.as_str());
        assert!(place.bucket.head(&key).await.expect("head").is_none());
    }
}
