//! Lists that services give in pages.

use std::collections::BTreeSet;

use bytes::Bytes;
use niks3_server::storage::{Bucket, ObjectKey};
use niks3_test_support::{Fault, FaultProxy, S3Service};

use crate::everywhere;
use crate::places::{self, Place, open_uploads};

everywhere!(
    the_list_of_uploads_has_each_once_and_ends,
    a_list_of_objects_goes_on_where_it_ended,
);

async fn the_list_of_uploads_has_each_once_and_ends(place: Place) {
    assert_eq!(open_uploads(&place.bucket).await, []);
    let mut begun = BTreeSet::new();
    for number in 0..7 {
        // Two of one key, among them.
        let key = ObjectKey::staging("parts", &format!("{}", number / 2));
        let id = place.bucket.create_multipart(&key).await.expect("an upload");
        begun.insert((key.as_str().to_owned(), id));
    }
    let listed = open_uploads(&place.bucket).await;
    assert_eq!(listed.len(), begun.len(), "{listed:?}");
    let listed: BTreeSet<(String, String)> =
        listed.into_iter().map(|upload| (upload.key, upload.id)).collect();
    assert_eq!(listed, begun);
    for (key, id) in &begun {
        let key = ObjectKey::parse(key).expect("a key");
        place.bucket.abort_multipart(&key, id).await.expect("an end");
    }
    assert_eq!(open_uploads(&place.bucket).await, []);
}

async fn a_list_of_objects_goes_on_where_it_ended(place: Place) {
    let mut keys = BTreeSet::new();
    for number in 0..23 {
        let key = ObjectKey::staging("list", &format!("{number:02}"));
        place
            .bucket
            .put(&key, Bytes::from_static(b"x"))
            .await
            .expect("put");
        keys.insert(key.as_str().to_owned());
    }
    let mut found = BTreeSet::new();
    let mut after = String::new();
    loop {
        let page = place
            .bucket
            .list("staging/list/", &after, 5)
            .await
            .expect("a list");
        found.extend(page.iter().map(|object| object.key.clone()));
        let Some(last) = page.last().filter(|_| page.len() == 5) else {
            break;
        };
        after.clone_from(&last.key);
    }
    assert_eq!(found, keys);
    assert_eq!(
        place
            .bucket
            .list("staging/other/", "", 5)
            .await
            .expect("a list")
            .len(),
        0
    );
}

/// A thousand uploads and one: more than one answer of S3 has.
async fn more_than_a_page(place: Place) {
    let mut begun = BTreeSet::new();
    for number in 0..1_001 {
        let key = ObjectKey::staging("parts", &format!("{number:04}"));
        begun.insert(place.bucket.create_multipart(&key).await.expect("an upload"));
    }
    let listed = open_uploads(&place.bucket).await;
    assert_eq!(listed.len(), begun.len());
    assert_eq!(
        listed
            .into_iter()
            .map(|upload| upload.id)
            .collect::<BTreeSet<String>>(),
        begun
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_uploads_than_a_page_has_are_all_listed_by_garage() {
    more_than_a_page(places::garage().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_uploads_than_a_page_has_are_all_listed_by_minio() {
    more_than_a_page(places::minio().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_uploads_than_a_page_has_are_all_listed_by_versitygw() {
    more_than_a_page(places::versitygw().await).await;
}

/// A bucket of MinIO behind a proxy that can fail.
async fn behind_a_proxy() -> (Bucket, FaultProxy) {
    let made = tokio::task::spawn_blocking(|| S3Service::Minio.bucket())
        .await
        .expect("a bucket");
    let proxy = FaultProxy::before(&made.endpoint).await;
    let keys = (made.access_key, made.secret_key);
    let settings = places::with_keys(&proxy.url(), &made.name, made.region, keys);
    (Bucket::s3(&settings).await.expect("a bucket"), proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_list_of_uploads_has_none() {
    let (bucket, proxy) = behind_a_proxy().await;
    let key = ObjectKey::staging("parts", "x");
    bucket.create_multipart(&key).await.expect("an upload");
    for status in [400, 403, 404, 405, 501] {
        proxy.fail("GET", "uploads", Fault::Status(status), 1);
        assert_eq!(open_uploads(&bucket).await, [], "{status}");
        assert_eq!(proxy.pending(), 0, "it happened");
    }
    assert_eq!(open_uploads(&bucket).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_does_not_delete_together_it_deletes_one_by_one() {
    let (bucket, proxy) = behind_a_proxy().await;
    for status in [400, 403, 405, 501] {
        let keys: Vec<ObjectKey> = (0..20)
            .map(|number| ObjectKey::staging("many", &format!("{number}")))
            .collect();
        for key in &keys {
            bucket.put(key, Bytes::from_static(b"x")).await.expect("put");
        }
        proxy.fail("POST", "delete", Fault::Status(status), 1);
        for (key, deleted) in bucket.delete_many(&keys).await {
            deleted.unwrap_or_else(|error| panic!("{status}: {}: {error}", key.as_str()));
        }
        assert_eq!(proxy.pending(), 0, "it happened");
        assert_eq!(
            bucket.list("staging/many/", "", 100).await.expect("a list").len(),
            0
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_service_does_not_answer_fits_on_one_line() {
    let settings = places::settings("http://127.0.0.1:9/", "cache", "us-east-1");
    let bucket = Bucket::s3(&settings).await.expect("a bucket");
    let error = bucket
        .head(&ObjectKey::staging("x", "y"))
        .await
        .expect_err("nobody is there");
    assert_eq!(
        error.to_string(),
        "the object store is not available: http://127.0.0.1:9 does not answer: Connection refused (os error 111)"
    );
}
