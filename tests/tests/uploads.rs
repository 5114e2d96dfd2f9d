//! What upload URLs are good for, and what they are given out for.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use niks3_nix::hash::{FileHash, NarHash};
use niks3_test_support::{Backend, Fault, Server, ServerOptions, Site, comes_about, on_both, run};
use niks3_tests::api::{A, Api, B, HASH, nar_of};
use niks3_tests::references::dangling_references;
use serde_json::json;

on_both!(
    every_url_is_short_lived_and_signed_for_host_size_and_checksum,
    a_log_is_taken_of_derivers_of_claimed_paths_alone,
    a_push_that_ends_leaves_nothing_that_it_staged_and_no_nar_in_vain,
    a_nar_that_another_push_has_found_in_the_bucket_stays_when_its_uploader_has_no_use_for_it,
);

/// What the contract calls as briefly as an upload needs: 15 minutes.
const LONGEST: u64 = 900;
const DRV: &str = "22222222222222222222222222222222-a.drv";
const MD5: &str = "0123456789abcdef0123456789abcdef";

fn brief(url: &str, checksum: &str) {
    let url = reqwest::Url::parse(url).unwrap();
    let query = |name: &str| {
        let mut pairs = url.query_pairs();
        let pair = pairs.find(|(found, _)| found.eq_ignore_ascii_case(name));
        pair.unwrap_or_else(|| panic!("{name}: {url}")).1.into_owned()
    };
    let expires: u64 = query("X-Amz-Expires").parse().unwrap();
    assert!((1..=LONGEST).contains(&expires), "{expires} s: {url}");
    let signed = query("X-Amz-SignedHeaders");
    let signed: BTreeSet<&str> = signed.split(';').collect();
    for header in ["host", "content-length", checksum] {
        assert!(signed.contains(header), "{header}: {signed:?}");
    }
}

async fn every_url_is_short_lived_and_signed_for_host_size_and_checksum(backend: Backend) {
    for (mode, checksum) in [("sha256", "x-amz-checksum-sha256"), ("md5", "content-md5")] {
        let api = Api::new(backend, &["--s3-checksum", mode]);
        let push = claimed(&api).await;
        for (kind, path) in [("nar", A), ("listing", A), ("log", DRV)] {
            let upload = json!({ "kind": kind, "path": path, "sha256": HASH, "size": 5, "md5": MD5 });
            let url = format!("/pushes/{push}/uploads");
            let answer = api.post(&url, &json!({ "uploads": [upload] })).await.ok();
            brief(answer["uploads"][0]["url"].as_str().unwrap(), checksum);
        }
        let begin = json!({ "path": A, "part_size": 8 << 20, "compressor": "test" });
        let parts = format!("/pushes/{push}/multipart-uploads");
        let parts = format!("{parts}/{}/parts", api.post(&parts, &begin).await.ok()["id"]);
        let part = json!({ "number": 1, "size": 5, "sha256": HASH, "md5": MD5 });
        let answer = api.post(&parts, &json!({ "parts": [part] })).await.ok();
        brief(answer["parts"][0]["url"].as_str().unwrap(), checksum);
    }
}

/// A push that has to upload a path of a known deriver.
async fn claimed(api: &Api) -> String {
    let push = api.open(A).await;
    let info = json!({ "path": A, "nar_hash": HASH, "nar_size": 20 << 20, "references": [], "deriver": DRV });
    api.claim(&push, json!([info])).await.ok();
    push
}

async fn a_log_is_taken_of_derivers_of_claimed_paths_alone(backend: Backend) {
    let api = Api::new(backend, &[]);
    let push = claimed(&api).await;
    let log = |drv: &str| {
        let sha256 = FileHash::of(b"x").to_string();
        json!({ "uploads": [{ "kind": "log", "path": drv, "sha256": sha256, "size": 1 }] })
    };
    let url = format!("/pushes/{push}/uploads");
    api.post(&url, &log(DRV)).await.ok();
    for stray in [&DRV.replace("-a.drv", "-other.drv"), &format!("{B}.drv")] {
        let problem = api.post(&url, &log(stray)).await.problem(422);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("not the deriver of a path"), "{detail}");
    }
    // Nor of what another push claims.
    let other = api.open(B).await;
    let url = format!("/pushes/{other}/uploads");
    api.post(&url, &log(DRV)).await.problem(422);
}

#[test]
fn an_upload_that_a_server_died_over_is_given_up_when_it_is_old() {
    let server = Server::with(Backend::Embedded, ServerOptions::default());
    let uploads = server.directory().join("uploads");
    let nar = "nar/1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0.nar.zst";
    let in_parts = nar.replace(".nar.zst", &format!("-{}.nar.zst", "0".repeat(32)));
    let hours = |count: u64| SystemTime::now() - Duration::from_secs(count * 3600);
    for command in [
        &["fsck", "--repair"][..],
        &["gc", "--older-than=0s", "--failed-uploads-older-than=1h"],
    ] {
        for (id, key, begun) in [
            ("a", nar, hours(48)),
            // Another server may be copying it now.
            ("b", nar, hours(3)),
            ("c", &*in_parts, hours(48)),
            ("d", "somebody/elses", hours(48)),
            // It may be another's.
            ("e", &*in_parts, hours(3)),
        ] {
            let folder = uploads.join(id.repeat(32));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("key"), key).unwrap();
            std::fs::File::open(&folder).unwrap().set_modified(begun).unwrap();
        }
        let output = run(server.niks3().args(command));
        let left = std::fs::read_dir(&uploads).unwrap();
        let left: BTreeSet<String> = left
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let stay = BTreeSet::from(["b", "d", "e"].map(|id| id.repeat(32)));
        assert_eq!(left, stay, "{command:?}: {output:?}");
    }
}

/// Refused for all at once, deletions are refused for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn paths_that_the_bucket_refuses_to_delete_together_are_there_for_the_next_push() {
    let site = Site::new(Backend::Services).await;
    let paths = site
        .store
        .build("[ (build \"one\" \"echo 1 > $out\") (build \"two\" \"echo 2 > $out\") ]");
    for path in &paths {
        let _ = site.push(path).ok();
    }
    site.s3.fail("POST", "delete", Fault::Status(403), usize::MAX / 4);
    site.s3.fail("DELETE", "", Fault::Status(403), usize::MAX / 4);
    let collected = run(site
        .server
        .niks3()
        .args(["gc", "--older-than=0s", "--force", "--json"]));
    assert_eq!(collected.code, 0, "{collected:?}");
    let before = site
        .s3
        .requests()
        .iter()
        .filter(|request| request.starts_with("POST"))
        .count();
    assert!(before > 0, "they went in one request");
    for path in &paths {
        let summary = site.push(path).json();
        assert_eq!(summary["uploaded"], 0, "{summary}");
        site.whole(path);
    }
}

/// A body that the server sends is checked, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_narinfo_with_a_bit_flipped_on_its_way_is_written_again() {
    let site = Site::new(Backend::Services).await;
    let path = site.store.build("build \"one\" \"echo 1 > $out\"").remove(0);
    site.s3.fail("PUT", ".narinfo", Fault::FlipBit, 1);
    let _ = site.push(&path).ok();
    assert_eq!(site.s3.pending(), 0, "it happened");
    site.whole(&path);
}

/// An open push that has uploaded all of a path that it has to, with a NAR of its own.
async fn uploaded(api: &Api, path: &str, nar: &[u8], packed: &[u8]) -> String {
    let push = api.open(path).await;
    let hash = NarHash::of(nar).to_string();
    let info =
        json!({ "path": path, "nar_hash": hash, "nar_size": nar.len(), "references": [], "deriver": DRV });
    let needed = api.claim(&push, json!([info])).await.ok();
    assert_eq!(needed["needed"], json!([path]));
    api.upload(&push, "nar", path, packed).await;
    let listing = niks3_nix::nar::listing_of(nar).unwrap().listing.to_json();
    api.upload(&push, "listing", path, &listing).await;
    api.upload(&push, "log", DRV, b"built").await;
    push
}

/// The same NAR, compressed in several ways.
fn packings(nar: &[u8]) -> Vec<Vec<u8>> {
    let in_two_frames = |at: usize| {
        let (head, tail) = nar.split_at(at);
        let frames = [head, tail].map(|part| zstd::encode_all(part, 3).unwrap());
        frames.concat()
    };
    (1..=10).map(in_two_frames).collect()
}

async fn commit(api: &Api, push: &str) {
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await.ok();
}

async fn a_push_that_ends_leaves_nothing_that_it_staged_and_no_nar_in_vain(backend: Backend) {
    let api = Api::new(backend, &[]);
    let nar = nar_of(b"contents");
    let packings = packings(&nar);
    let mut pushes = Vec::new();
    for packed in &packings {
        pushes.push(uploaded(&api, A, &nar, packed).await);
    }
    let (given_up, committed) = pushes.split_last().unwrap();
    futures::future::join_all(committed.iter().map(|push| commit(&api, push))).await;
    let path = format!("/api/v1/pushes/{given_up}");
    let gone = api.send(reqwest::Method::DELETE, &path, &api.token, "", "").await;
    assert_eq!(gone.status, 204);
    let key = |packed: &[u8]| format!("nar/{}.nar.zst", FileHash::of(packed).base32());
    // Two objects of the server's own; a narinfo, a listing, a log, a NAR; that of the push that was given up is there for the next one.
    let (mut last, bucket) = (Vec::new(), api.server.bucket());
    comes_about("the bucket has what readers see, and one NAR", || {
        last = bucket.keys();
        last.len() == 7
    })
    .await;
    assert!(last.contains(&key(packings.last().unwrap())), "{last:?}");
    assert!(!last.iter().any(|key| key.starts_with("staging/")), "{last:?}");
    let narinfo = api.server.get(&format!("{}.narinfo", &A[..32])).unwrap();
    let narinfo = String::from_utf8(narinfo).unwrap();
    let url = narinfo
        .lines()
        .find_map(|line| line.strip_prefix("URL: "))
        .unwrap();
    assert!(last.iter().any(|key| key == url), "{url}: {last:?}");
    assert_eq!(dangling_references(&api.server), [""; 0]);
}

async fn a_nar_that_another_push_has_found_in_the_bucket_stays_when_its_uploader_has_no_use_for_it(
    backend: Backend,
) {
    let api = Api::new(backend, &[]);
    let nar = nar_of(b"contents");
    let packings = packings(&nar);
    let winner = uploaded(&api, A, &nar, &packings[0]).await;
    let loser = uploaded(&api, A, &nar, &packings[1]).await;
    commit(&api, &winner).await;
    // Another path with the same contents, by somebody with the loser's compressor.
    let other = uploaded(&api, B, &nar, &packings[1]).await;
    commit(&api, &loser).await;
    comes_about("what the loser staged is gone", || {
        let staged = format!("staging/{loser}/");
        !api.server
            .bucket()
            .keys()
            .iter()
            .any(|key| key.starts_with(&staged))
    })
    .await;
    commit(&api, &other).await;
    let key = format!("nar/{}.nar.zst", FileHash::of(&packings[1]).base32());
    assert!(api.server.get(&key).unwrap() == packings[1]);
    assert_eq!(dangling_references(&api.server), [""; 0]);
}
