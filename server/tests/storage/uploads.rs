//! Upload URLs: each takes the one object it was made for, and nothing else.

use std::time::Duration;

use niks3_server::storage::{Checksum, ChecksumKind, GetOptions, ObjectKey, Presigned};
use sha2::{Digest as _, Sha256};

use crate::everywhere;
use crate::places::Place;
use crate::{nar, read};

everywhere!(
    a_url_takes_what_it_was_made_for,
    a_url_refuses_other_bytes,
    a_url_refuses_another_size,
    a_url_refuses_to_go_without_its_checksum,
    a_url_refuses_another_key,
    a_url_ends_with_its_time,
    the_service_is_seen_to_check_sha256,
);

const BODY: &[u8] = b"what was signed for";
const LIFE: Duration = Duration::from_secs(60);

pub(crate) fn sha256(bytes: &[u8]) -> Checksum {
    Checksum::Sha256(Sha256::digest(bytes).into())
}

pub(crate) async fn put(request: &Presigned, body: &[u8]) -> u16 {
    let mut put = reqwest::Client::new().put(&request.url).body(body.to_vec());
    for (name, value) in &request.headers {
        put = put.header(name, value);
    }
    put.send().await.expect("an answer").status().as_u16()
}

async fn url(place: &Place, key: &ObjectKey, life: Duration) -> Presigned {
    let size = BODY.len() as u64;
    place
        .bucket
        .presign_put(key, size, &sha256(BODY), life, place.base.as_deref())
        .await
        .expect("a URL")
}

async fn refused(place: &Place, key: &ObjectKey, request: &Presigned, body: &[u8]) {
    let status = put(request, body).await;
    assert!((400..500).contains(&status), "{status}");
    assert!(
        place.bucket.head(key).await.expect("head").is_none(),
        "nothing may be left"
    );
}

async fn a_url_takes_what_it_was_made_for(place: Place) {
    let key = nar("right");
    let request = url(&place, &key, LIFE).await;
    assert_eq!(put(&request, BODY).await, 200);
    assert_eq!(
        put(&request, BODY).await,
        200,
        "an answer can be lost, so it works again"
    );
    assert_eq!(
        read(&place, &key, GetOptions::default()).await.as_deref(),
        Some(BODY)
    );
}

async fn a_url_refuses_other_bytes(place: Place) {
    let key = nar("bytes");
    let request = url(&place, &key, LIFE).await;
    refused(&place, &key, &request, b"what was signed fOr").await;
}

async fn a_url_refuses_another_size(place: Place) {
    let key = nar("size");
    let request = url(&place, &key, LIFE).await;
    refused(&place, &key, &request, b"what was signed for, and more").await;
    refused(&place, &key, &request, b"what").await;
}

async fn a_url_refuses_to_go_without_its_checksum(place: Place) {
    let key = nar("header");
    let mut request = url(&place, &key, LIFE).await;
    request
        .headers
        .retain(|name, _| !name.starts_with("x-amz-checksum"));
    refused(&place, &key, &request, BODY).await;
}

async fn a_url_refuses_another_key(place: Place) {
    let (key, other) = (nar("one"), nar("other"));
    let mut request = url(&place, &key, LIFE).await;
    request.url = request.url.replace(key.as_str(), other.as_str());
    refused(&place, &other, &request, BODY).await;
    let mut request = url(&place, &key, LIFE).await;
    request.url = request
        .url
        .replace(key.as_str(), "00000000000000000000000000000000.narinfo");
    let narinfo = ObjectKey::parse("00000000000000000000000000000000.narinfo").expect("a key");
    refused(&place, &narinfo, &request, BODY).await;
}

async fn a_url_ends_with_its_time(place: Place) {
    let key = nar("late");
    let request = url(&place, &key, Duration::from_secs(1)).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    refused(&place, &key, &request, BODY).await;
}

async fn the_service_is_seen_to_check_sha256(place: Place) {
    let rights = place.bucket.probe_rights(None).await.expect("an answer");
    assert!(rights.is_complete(), "{rights:?}");
    assert_eq!(rights.checksum, Some(ChecksumKind::Sha256));
    let left = place.bucket.list("staging/", "", 10).await.expect("a list");
    assert!(left.is_empty(), "{left:?}");
}

/// What holds of the folder alone.
mod in_the_folder {
    use bytes::Bytes;
    use niks3_server::storage::ObjectKey;

    use crate::places;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_key_that_leaves_the_bucket_is_refused_by_the_s3_service() {
        let place = places::files();
        let request = super::url(&place, &crate::nar("x"), super::LIFE).await;
        for key in ["..", "../api-token", "a/../../b", "a//b", "nar/%00", "%2e%2e/x"] {
            let url = request.url.replace(crate::nar("x").as_str(), key);
            let mut request = request.clone();
            request.url = url;
            let status = super::put(&request, super::BODY).await;
            assert!((400..500).contains(&status), "{key}: {status}");
        }
        let folder = place.folder.expect("a folder");
        // The folders that Nix looks for are there, and nothing in them.
        for entry in std::fs::read_dir(&folder).expect("list") {
            let path = entry.expect("an entry").path();
            let count = std::fs::read_dir(&path).expect("a folder").count();
            assert_eq!(count, 0, "{}", path.display());
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_object_is_the_plain_file_of_its_key() {
        let place = places::files();
        let key = ObjectKey::pin("release").expect("a key");
        place
            .bucket
            .put(&key, Bytes::from_static(b"/nix/store/x\n"))
            .await
            .expect("put");
        let text =
            std::fs::read_to_string(place.folder.expect("a folder").join("pins/release")).expect("a file");
        assert_eq!(text, "/nix/store/x\n");
    }
}
