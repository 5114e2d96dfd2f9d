//! Uploads in parts.

use std::time::Duration;

use niks3_server::storage::{CompletedPart, GetOptions, ObjectKey, Presigned, StorageError};
use sha2::{Digest as _, Sha256};

use crate::everywhere;
use crate::places::Place;
use crate::uploads::{put, sha256};
use crate::{nar, read};

everywhere!(
    parts_become_one_object,
    a_part_refuses_other_bytes,
    parts_that_arrived_are_listed_for_whoever_goes_on,
    an_upload_given_up_is_gone,
    a_part_that_is_missing_stops_the_whole,
);

const PART: usize = 5 << 20;

fn bytes() -> Vec<u8> {
    (0..2 * PART + 12345).map(|at| (at * 31 % 253) as u8).collect()
}

async fn url(place: &Place, key: &ObjectKey, upload: &str, number: u32, part: &[u8]) -> Presigned {
    let (size, life) = (part.len() as u64, Duration::from_secs(60));
    let base = place.base.as_deref();
    place
        .bucket
        .presign_part(key, upload, number, size, &sha256(part), life, base)
        .await
        .expect("a URL")
}

async fn send(place: &Place, key: &ObjectKey, upload: &str, numbers: &[u32]) {
    let bytes = bytes();
    for (number, part) in (1..).zip(bytes.chunks(PART)) {
        if numbers.contains(&number) {
            let request = url(place, key, upload, number, part).await;
            assert_eq!(put(&request, part).await, 200);
        }
    }
}

async fn completed(place: &Place, key: &ObjectKey, upload: &str) -> Vec<CompletedPart> {
    let bytes = bytes();
    let hashes: Vec<[u8; 32]> = bytes
        .chunks(PART)
        .map(|part| Sha256::digest(part).into())
        .collect();
    let listed = place.bucket.list_parts(key, upload).await.expect("a list");
    listed
        .into_iter()
        .map(|part| CompletedPart {
            number: part.number,
            etag: part.etag,
            sha256: hashes[part.number as usize - 1],
        })
        .collect()
}

async fn parts_become_one_object(place: Place) {
    let staged = ObjectKey::staging("parts", "whole");
    let upload = place.bucket.create_multipart(&staged).await.expect("an upload");
    send(&place, &staged, &upload, &[3, 1, 2]).await;
    let parts = completed(&place, &staged, &upload).await;
    place
        .bucket
        .complete_multipart(&staged, &upload, &parts)
        .await
        .expect("complete");
    let key = nar("whole");
    let size = bytes().len() as u64;
    place.bucket.promote(&staged, &key, size).await.expect("promote");
    assert!(read(&place, &key, GetOptions::default()).await == Some(bytes()));
    let again = place.bucket.list_parts(&staged, &upload).await;
    assert!(matches!(again, Err(StorageError::NotFound)), "{again:?}");
}

async fn a_part_refuses_other_bytes(place: Place) {
    let staged = ObjectKey::staging("parts", "wrong");
    let upload = place.bucket.create_multipart(&staged).await.expect("an upload");
    let mut part = bytes()[..PART].to_vec();
    let request = url(&place, &staged, &upload, 1, &part).await;
    part[1000] ^= 1;
    let status = put(&request, &part).await;
    assert!((400..500).contains(&status), "{status}");
    assert!(
        place
            .bucket
            .list_parts(&staged, &upload)
            .await
            .expect("a list")
            .is_empty()
    );
}

async fn parts_that_arrived_are_listed_for_whoever_goes_on(place: Place) {
    let staged = ObjectKey::staging("parts", "half");
    let upload = place.bucket.create_multipart(&staged).await.expect("an upload");
    send(&place, &staged, &upload, &[1, 3]).await;
    let listed = place.bucket.list_parts(&staged, &upload).await.expect("a list");
    let listed: Vec<(u32, u64)> = listed.iter().map(|part| (part.number, part.size)).collect();
    assert_eq!(listed, [(1, PART as u64), (3, 12345)]);
    send(&place, &staged, &upload, &[2]).await;
    let parts = completed(&place, &staged, &upload).await;
    place
        .bucket
        .complete_multipart(&staged, &upload, &parts)
        .await
        .expect("complete");
    assert_eq!(
        place
            .bucket
            .head(&staged)
            .await
            .expect("head")
            .expect("there")
            .size,
        bytes().len() as u64
    );
}

async fn an_upload_given_up_is_gone(place: Place) {
    let staged = ObjectKey::staging("parts", "given-up");
    let upload = place.bucket.create_multipart(&staged).await.expect("an upload");
    send(&place, &staged, &upload, &[1]).await;
    place
        .bucket
        .abort_multipart(&staged, &upload)
        .await
        .expect("abort");
    place
        .bucket
        .abort_multipart(&staged, &upload)
        .await
        .expect("abort again");
    assert!(matches!(
        place.bucket.list_parts(&staged, &upload).await,
        Err(StorageError::NotFound)
    ));
    assert!(place.bucket.head(&staged).await.expect("head").is_none());
}

async fn a_part_that_is_missing_stops_the_whole(place: Place) {
    let staged = ObjectKey::staging("parts", "missing");
    let upload = place.bucket.create_multipart(&staged).await.expect("an upload");
    send(&place, &staged, &upload, &[1, 2, 3]).await;
    let mut parts = completed(&place, &staged, &upload).await;
    parts[1].etag = "\"0123456789abcdef0123456789abcdef\"".into();
    assert!(
        place
            .bucket
            .complete_multipart(&staged, &upload, &parts)
            .await
            .is_err()
    );
    assert!(place.bucket.head(&staged).await.expect("head").is_none());
}
