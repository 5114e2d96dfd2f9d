//! The server signs only what it has read: whatever an upload is that is not what its push says, the push fails with
//! the path and the difference, and whoever has the true contents still brings them.

use std::collections::BTreeSet;
use std::io::Write as _;

use niks3_nix::ca::{ContentAddress, ContentAddressMethod};
use niks3_nix::hash::{FileHash, Hash, HashAlgorithm, NarHash};
use niks3_nix::store_path::{StoreDir, StorePath};
use niks3_test_support::{Backend, ServerOptions, Site, comes_about, on_both, run};
use niks3_tests::api::{A, Answer, Api, B, nar, nar_of};
use serde_json::{Value, json};
use sha2::Digest as _;

on_both!(
    what_is_not_what_its_push_says_is_refused_and_the_owner_brings_it,
    the_same_where_the_service_checks_md5_alone,
    every_kind_of_nar_is_verified_and_listed_by_the_server,
    a_content_address_has_to_be_that_of_path_and_contents,
    a_nar_that_expands_without_end_is_refused_in_bounded_memory,
    two_paths_with_one_nar_are_read_once,
    what_was_read_before_a_restart_is_not_read_again,
    without_verification_false_contents_are_found_out_later,
    what_is_false_is_withdrawn_when_nothing_waits_to_be_read,
    trusted_identities_are_exempt_where_the_option_says_so,
    closures_by_the_real_client_are_verified_while_they_arrive,
);

const VERIFIED: [&str; 1] = ["--verify-uploads=all"];

fn packed(nar: &[u8]) -> Vec<u8> {
    zstd::encode_all(nar, 3).unwrap()
}

/// What a claim says of a path with a NAR.
fn claim(path: &str, nar: &[u8]) -> Value {
    json!({ "path": path, "nar_hash": NarHash::of(nar).to_string(), "nar_size": nar.len(), "references": [] })
}

/// Pushes a path of which something is said, with some bytes.
async fn push(api: &Api, info: Value, file: &[u8]) -> Answer {
    let path = info["path"].as_str().unwrap().to_owned();
    let push = api.open(&path).await;
    let claimed = api.claim(&push, json!([info])).await;
    if !claimed.status.is_success() {
        return claimed;
    }
    if claimed.json()["needed"] == json!([path]) {
        api.upload(&push, "nar", &path, file).await;
    }
    commit(api, &push).await
}

async fn commit(api: &Api, push: &str) -> Answer {
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await
}

fn narinfo(api: &Api, path: &str) -> Option<String> {
    let found = api.server.get(&format!("{}.narinfo", &path[..32]))?;
    Some(String::from_utf8(found).unwrap())
}

fn metric(api: &Api, name: &str) -> u64 {
    let text = String::from_utf8(api.server.get("metrics").unwrap()).unwrap();
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next()).unwrap_or("0");
    value.parse::<f64>().unwrap() as u64
}

/// A frame of zstd whose window has so many bytes, as a power of two, with a raw block.
fn frame_with_window(log: u8, contents: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3];
    let header = 1 | (contents.len() as u32) << 3;
    frame.extend_from_slice(&header.to_le_bytes()[..3]);
    frame.extend_from_slice(contents);
    frame
}

async fn what_is_not_what_its_push_says_is_refused_and_the_owner_brings_it(backend: Backend) {
    refused_and_brought(backend, &VERIFIED).await;
}

/// Where the service checks MD5 alone, what is staged is read before it gets the name of its hash.
async fn the_same_where_the_service_checks_md5_alone(backend: Backend) {
    refused_and_brought(backend, &["--verify-uploads=all", "--s3-checksum=md5"]).await;
}

async fn refused_and_brought(backend: Backend, arguments: &[&str]) {
    let api = Api::new(backend, arguments);
    let own = nar_of(b"what the owner has built");
    let true_claim = claim(A, &own);
    let sized = |size: usize| {
        let mut claim = claim(A, &own);
        claim["nar_size"] = json!(size);
        claim
    };
    let hash_of_other = |nar: &[u8]| claim(A, nar);
    let other = nar_of(b"other bytes of that size");
    assert_eq!(own.len(), other.len());
    let file = packed(&own);
    let mut garbage = file.clone();
    garbage.extend_from_slice(b"garbage");
    let link = |name: &'static [u8]| -> Vec<&'static [u8]> {
        let entry: [&[u8]; 12] = [
            b"entry", b"(", b"name", name, b"node", b"(", b"type", b"symlink", b"target", b"x", b")", b")",
        ];
        entry.to_vec()
    };
    let folder = |entries: Vec<Vec<&'static [u8]>>| {
        let mut strings: Vec<&[u8]> = vec![b"(", b"type", b"directory"];
        strings.extend(entries.concat());
        strings.push(b")");
        nar(&strings)
    };
    let unsorted = folder(vec![link(b"b"), link(b"a")]);
    let mut padding = nar_of(b"12345");
    let place = padding.windows(5).position(|window| window == b"12345").unwrap();
    padding[place + 6] = 1;
    let mut trailing = own.clone();
    trailing.extend_from_slice(&[0; 8]);
    let cases: Vec<(&str, Value, Vec<u8>, &str)> = vec![
        ("other bytes", true_claim.clone(), packed(&other), "nar-hash"),
        (
            "no zstd",
            true_claim.clone(),
            b"no zstd at all".to_vec(),
            "compression",
        ),
        ("nothing compressed", true_claim.clone(), packed(b""), "(nar)"),
        ("trailing garbage", true_claim.clone(), garbage, "compression"),
        (
            "a truncated frame",
            true_claim.clone(),
            file[..file.len() - 3].to_vec(),
            "compression",
        ),
        (
            "too large a window",
            true_claim.clone(),
            frame_with_window(28, &own),
            "compression",
        ),
        (
            "less than it was said",
            sized(own.len() + 8),
            file.clone(),
            "nar-size",
        ),
        (
            "more than it was said",
            sized(own.len() - 8),
            file.clone(),
            "nar-size",
        ),
        (
            "unsorted entries",
            hash_of_other(&unsorted),
            packed(&unsorted),
            "(nar)",
        ),
        ("bad padding", hash_of_other(&padding), packed(&padding), "(nar)"),
        (
            "trailing bytes",
            hash_of_other(&trailing),
            packed(&trailing),
            "(nar)",
        ),
        (
            "not a NAR",
            hash_of_other(b"not a NAR"),
            packed(b"not a NAR"),
            "(nar)",
        ),
    ];
    let count = cases.len() as u64;
    for (what, claim, bytes, kind) in cases {
        let problem = push(&api, claim, &bytes).await.problem(422);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(kind) && detail.contains(A), "{what}: {detail}");
        assert_eq!(narinfo(&api, A), None, "{what}");
        let left = api.server.bucket().keys();
        let nars: Vec<&String> = left.iter().filter(|key| key.starts_with("nar/")).collect();
        assert!(nars.is_empty(), "{what} is deleted: {nars:?}");
    }
    assert_eq!(
        [
            "file-hash",
            "compression",
            "nar\"",
            "nar-size",
            "nar-hash",
            "content-address"
        ]
        .iter()
        .map(|kind| metric(&api, &format!("niks3_verification_failures_total{{kind=\"{kind}")))
        .sum::<u64>(),
        count
    );
    assert!(
        api.server
            .log()
            .contains("audit: an upload is not what its push says")
    );
    // The owner's push is not in the way of any of that.
    push(&api, true_claim.clone(), &file).await.ok();
    let text = narinfo(&api, A).unwrap();
    assert!(text.contains(&NarHash::of(&own).to_string()), "{text}");
    assert!(text.contains("Sig: "), "{text}");
    // A window of 128 MiB is not too large.
    let roomy = nar_of(b"roomy");
    push(&api, claim(B, &roomy), &frame_with_window(27, &roomy))
        .await
        .ok();
}

async fn every_kind_of_nar_is_verified_and_listed_by_the_server(backend: Backend) {
    let api = Api::new(backend, &VERIFIED);
    let nars = [
        (
            "0",
            nar_of(b""),
            json!({ "type": "regular", "executable": false, "size": 0, "narOffset": 96 }),
        ),
        (
            "1",
            nar(&[b"(", b"type", b"symlink", b"target", b"elsewhere", b")"]),
            json!({ "type": "symlink", "target": "elsewhere" }),
        ),
        (
            "2",
            nar(&[
                b"(",
                b"type",
                b"regular",
                b"executable",
                b"",
                b"contents",
                b"#!",
                b")",
            ]),
            json!({ "type": "regular", "size": 2, "executable": true, "narOffset": 128 }),
        ),
        (
            "3",
            nar(&[b"(", b"type", b"directory", b")"]),
            json!({ "type": "directory", "entries": {} }),
        ),
    ];
    for (digit, nar, root) in &nars {
        let path = format!("{}-path", digit.repeat(32));
        let id = api.open(&path).await;
        api.claim(&id, json!([claim(&path, nar)])).await.ok();
        api.upload(&id, "nar", &path, &packed(nar)).await;
        // A client that does not know better offers one, which nobody wants.
        assert_eq!(api.upload(&id, "listing", &path, b"{\"lies\":1}").await, None);
        commit(&api, &id).await.ok();
        let listing = api.server.get(&format!("{}.ls", &path[..32])).unwrap();
        let listing: Value = serde_json::from_slice(&listing).unwrap();
        assert_eq!(listing, json!({ "version": 1, "root": root }));
    }
    let staged: Vec<String> = api.server.bucket().keys();
    assert!(
        !staged.iter().any(|key| key.starts_with("staging/")),
        "{staged:?}"
    );
}

fn hash_of(algorithm: HashAlgorithm, bytes: &[u8]) -> Hash {
    let digest = match algorithm {
        HashAlgorithm::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
        HashAlgorithm::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
        other => panic!("{other}"),
    };
    Hash::new(algorithm, &digest).unwrap()
}

async fn a_content_address_has_to_be_that_of_path_and_contents(backend: Backend) {
    use ContentAddressMethod::{Flat, Git, NixArchive, Text};
    use HashAlgorithm::{Blake3, Md5, Sha1, Sha256, Sha512};
    let api = Api::new(backend, &VERIFIED);
    let contents = b"contents with an address";
    let own = nar_of(contents);
    let path_of = |ca: &ContentAddress| -> StorePath {
        ca.store_path(&StoreDir::default(), "addressed", [], false)
            .unwrap()
    };
    for (method, algorithm) in [
        (Text, Sha256),
        (Flat, Sha256),
        (Flat, Sha512),
        (NixArchive, Sha256),
        (NixArchive, Sha512),
    ] {
        let hashed: &[u8] = if method == NixArchive { &own } else { contents };
        let right = ContentAddress::new(method, hash_of(algorithm, hashed)).unwrap();
        let wrong = ContentAddress::new(method, hash_of(algorithm, b"other contents")).unwrap();
        let with = |path: &StorePath, ca: &ContentAddress| {
            let mut claim = claim(path.as_str(), &own);
            claim["ca"] = json!(ca.to_string());
            claim
        };
        // It makes another path.
        let path = path_of(&wrong);
        let problem = push(&api, with(&path, &right), &packed(&own)).await.problem(422);
        assert_eq!(problem["field"], "paths.ca", "{problem}");
        // It makes the path, and other contents have it.
        let problem = push(&api, with(&path, &wrong), &packed(&own)).await.problem(422);
        let detail = problem["detail"].as_str().unwrap();
        for part in [
            "content-address",
            path.as_str(),
            &wrong.to_string(),
            &right.to_string(),
        ] {
            assert!(detail.contains(part), "{part}: {detail}");
        }
        assert_eq!(narinfo(&api, path.as_str()), None);
        let path = path_of(&right);
        push(&api, with(&path, &right), &packed(&own)).await.ok();
        let text = narinfo(&api, path.as_str()).unwrap();
        assert!(text.contains(&format!("CA: {right}")), "{text}");
    }
    // Of every other kind Nix makes those that are right (`nix_versions.rs`); here are some that are not.
    for method in [Flat, NixArchive, Git] {
        for algorithm in [Md5, Sha1, Sha256, Sha512, Blake3] {
            let digest = vec![7; algorithm.size()];
            let wrong = ContentAddress::new(method, Hash::new(algorithm, &digest).unwrap()).unwrap();
            let path = path_of(&wrong);
            let mut info = claim(path.as_str(), &own);
            info["ca"] = json!(wrong.to_string());
            let problem = push(&api, info, &packed(&own)).await.problem(422);
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("content-address"), "{wrong}: {detail}");
            assert!(detail.contains(&wrong.to_string()), "{wrong}: {detail}");
        }
    }
    // What is no file has no address of one.
    let folder = nar(&[b"(", b"type", b"directory", b")"]);
    let ca = ContentAddress::new(Flat, hash_of(Sha256, b"")).unwrap();
    let mut info = claim(path_of(&ca).as_str(), &folder);
    info["ca"] = json!(ca.to_string());
    let problem = push(&api, info, &packed(&folder)).await.problem(422);
    assert!(
        problem["detail"].as_str().unwrap().contains("content-address"),
        "{problem}"
    );
}

async fn a_nar_that_expands_without_end_is_refused_in_bounded_memory(backend: Backend) {
    let api = Api::new(backend, &VERIFIED);
    // 10 GiB of zeros in a file: frames of 1 GiB, one behind the other.
    let size: u64 = 10 << 30;
    let mut file = packed(&[&nar_of(b"")[..88], &size.to_le_bytes()].concat());
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1 << 10 {
        encoder.write_all(&zeros).unwrap();
    }
    file.extend(encoder.finish().unwrap().repeat(10));
    assert!(file.len() < 1 << 20, "{}", file.len());
    // Several at once, and reading ends at the size that was claimed, which takes no time and no memory.
    let started = std::time::Instant::now();
    let pushes = (0..4).map(|number| {
        let path = format!("{:032}-expands", number + 2);
        let mut info = claim(&path, &nar_of(b"small"));
        info["nar_size"] = json!((1 << 20) << number);
        // Other bytes each, so that each is read.
        let file = [file.as_slice(), packed(path.as_bytes()).as_slice()].concat();
        let api = &api;
        async move {
            let problem = push(api, info, &file).await.problem(422);
            let detail = problem["detail"].as_str().unwrap();
            assert!(
                detail.contains("nar-size") && detail.contains("more"),
                "{problem}"
            );
            assert_eq!(narinfo(api, &path), None);
        }
    });
    futures::future::join_all(pushes).await;
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    let status = std::fs::read_to_string(format!("/proc/{}/status", api.server.id())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 200_000, "{peak} kB");
    // The next one is served as ever.
    let own = nar_of(b"of an honest push");
    push(&api, claim(A, &own), &packed(&own)).await.ok();
}

async fn two_paths_with_one_nar_are_read_once(backend: Backend) {
    let api = Api::new(backend, &VERIFIED);
    let own = nar_of(b"of two paths");
    let id = api.open(A).await;
    let mut first = claim(A, &own);
    first["references"] = json!([B]);
    api.claim(&id, json!([first, claim(B, &own)])).await.ok();
    for path in [A, B] {
        api.upload(&id, "nar", path, &packed(&own)).await;
    }
    commit(&api, &id).await.ok();
    assert_eq!(metric(&api, "niks3_verified_nars_total"), 1);
    // Another path later has the same NAR, which is there and known.
    let third = format!("{}-third", "2".repeat(32));
    push(&api, claim(&third, &own), &packed(&own)).await.ok();
    assert_eq!(metric(&api, "niks3_verified_nars_total"), 1);
    for path in [A, B, &third] {
        assert!(narinfo(&api, path).is_some());
        let listing = api.server.get(&format!("{}.ls", &path[..32])).unwrap();
        assert_eq!(listing, api.server.get(&format!("{}.ls", &A[..32])).unwrap());
    }
    // One of them says something else of it.
    let fourth = format!("{}-fourth", "3".repeat(32));
    let mut lie = claim(&fourth, &nar_of(b"something else"));
    lie["nar_size"] = json!(own.len());
    push(&api, lie, &packed(&own)).await.problem(422);
    let key = format!("nar/{}.nar.zst", FileHash::of(&packed(&own)).base32());
    assert!(api.server.get(&key).is_some(), "others need it");
}

async fn what_was_read_before_a_restart_is_not_read_again(backend: Backend) {
    let mut api = Api::new(backend, &VERIFIED);
    let own = nar_of(b"read before the restart");
    let id = api.open(A).await;
    api.claim(&id, json!([claim(A, &own)])).await.ok();
    api.upload(&id, "nar", A, &packed(&own)).await;
    // A client says what has arrived.
    let arrived = json!({ "uploads": [], "arrived": [FileHash::of(&packed(&own)).to_string()] });
    api.post(&format!("/pushes/{id}/uploads"), &arrived).await.ok();
    comes_about("the NAR is verified", || {
        api.server
            .sql("SELECT count(*) FROM verifications WHERE flaw = ''")
            == ["1"]
    })
    .await;
    api.server.kill();
    api.server.resume();
    let before = api.server.log().len();
    commit(&api, &id).await.ok();
    assert_eq!(metric(&api, "niks3_verified_nars_total"), 0);
    let read = |line: &str| line.contains("GetObject") && line.contains("\"nar/");
    assert!(
        !api.server.log()[before..].lines().any(read),
        "nobody has read the NAR"
    );
    assert!(narinfo(&api, A).is_some());
    assert!(api.server.get(&format!("{}.ls", &A[..32])).is_some());
}

async fn without_verification_false_contents_are_found_out_later(backend: Backend) {
    let api = Api::new(backend, &["--verify-uploads=none"]);
    let own = nar_of(b"what the owner has built");
    let id = api.open(A).await;
    api.claim(&id, json!([claim(A, &own)])).await.ok();
    api.upload(&id, "nar", A, &packed(&nar_of(b"what an attacker puts in")))
        .await;
    api.upload(&id, "listing", A, b"{}").await;
    commit(&api, &id).await.ok();
    // The NAR is the one that is claimed, and the content address is of something else.
    let wrong = Hash::new(HashAlgorithm::Sha1, &[7; 20]).unwrap();
    let wrong = ContentAddress::new(ContentAddressMethod::Git, wrong).unwrap();
    let addressed = wrong
        .store_path(&StoreDir::default(), "addressed", [], false)
        .unwrap();
    let id = api.open(addressed.as_str()).await;
    let mut info = claim(addressed.as_str(), &own);
    info["ca"] = json!(wrong.to_string());
    api.claim(&id, json!([info])).await.ok();
    api.upload(&id, "nar", addressed.as_str(), &packed(&own)).await;
    api.upload(&id, "listing", addressed.as_str(), b"{}").await;
    commit(&api, &id).await.ok();
    assert_eq!(metric(&api, "niks3_verified_nars_total"), 0);
    for path in [A, addressed.as_str()] {
        assert!(narinfo(&api, path).is_some());
    }
    let report = run(api.server.niks3().args(["fsck", "--repair", "--json"]));
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    let found: BTreeSet<(&str, &str)> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            (
                finding["kind"].as_str().unwrap(),
                finding["subject"].as_str().unwrap(),
            )
        })
        .filter(|(kind, _)| kind.starts_with("wrong-"))
        .collect();
    let key = |path: &str| format!("{}.narinfo", &path[..32]);
    assert_eq!(
        found,
        BTreeSet::from([
            ("wrong-nar-hash", key(A).as_str()),
            ("wrong-content-address", key(addressed.as_str()).as_str())
        ])
    );
    for path in [A, addressed.as_str()] {
        assert_eq!(narinfo(&api, path), None);
    }
    let id = api.open(A).await;
    let claimed = api.claim(&id, json!([claim(A, &own)])).await.ok();
    assert_eq!(claimed["needed"], json!([A]));
    api.upload(&id, "nar", A, &packed(&own)).await;
    api.upload(&id, "listing", A, b"{}").await;
    commit(&api, &id).await.ok();
    assert!(narinfo(&api, A).unwrap().contains(&NarHash::of(&own).to_string()));
}

/// By the server itself, and only the paths that say what is false.
async fn what_is_false_is_withdrawn_when_nothing_waits_to_be_read(backend: Backend) {
    let mut api = Api::new(backend, &["--verify-uploads=untrusted"]);
    let true_nar = nar_of(b"what is in the upload");
    let file = packed(&true_nar);
    let false_claim = claim(B, &nar_of(b"what is said of the upload"));
    let address = ContentAddress::new(
        ContentAddressMethod::Flat,
        hash_of(HashAlgorithm::Sha256, b"other contents"),
    )
    .unwrap();
    // Its bytes are those of the claim, and not those of the content address.
    let fixed = address
        .store_path(&StoreDir::default(), "fixed", [], false)
        .unwrap();
    let mut fixed_claim = claim(fixed.as_str(), &true_nar);
    fixed_claim["ca"] = json!(address.to_string());
    // The admin token is trusted.
    for claim in [claim(A, &true_nar), false_claim, fixed_claim] {
        let path = claim["path"].as_str().unwrap();
        let push = api.open(path).await;
        api.claim(&push, json!([claim])).await.ok();
        api.upload(&push, "nar", path, &file).await;
        api.upload(&push, "listing", path, b"{}").await;
        commit(&api, &push).await.ok();
    }
    for path in [A, B, fixed.as_str()] {
        assert!(narinfo(&api, path).is_some(), "{path}");
    }
    // A server begins soon after its start.
    api.server.kill();
    api.server.resume();
    comes_about("what is false is withdrawn", || {
        narinfo(&api, B).is_none() && narinfo(&api, fixed.as_str()).is_none()
    })
    .await;
    assert!(narinfo(&api, A).is_some());
    assert_eq!(metric(&api, "niks3_verified_nars_total"), 1);
    // Who has pushed them is told to do it again, and nothing else is wrong.
    let report = run(api.server.niks3().args(["fsck", "--json"]));
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let findings = findings.iter().map(|finding| {
        (
            finding["kind"].as_str().unwrap(),
            finding["subject"].as_str().unwrap(),
        )
    });
    let findings: BTreeSet<_> = findings.collect();
    assert_eq!(
        findings,
        BTreeSet::from([("lost-root", B), ("lost-root", fixed.as_str())])
    );
}

async fn trusted_identities_are_exempt_where_the_option_says_so(backend: Backend) {
    let mut api = Api::new(backend, &["--verify-uploads=untrusted"]);
    let admin = api.token.clone();
    for (name, trusted, path) in [("trusted", true, A), ("other", false, B)] {
        api.token = admin.clone();
        let wish = json!({ "name": name, "scopes": ["push"], "trusted": trusted });
        let made = api.post("/tokens", &wish).await.ok();
        assert_eq!(made["about"]["trusted"], trusted);
        api.token = made["token"].as_str().unwrap().to_owned();
        let id = api
            .post("/pushes", &json!({ "store_dir": "/nix/store", "roots": [path] }))
            .await
            .ok();
        assert_eq!(id["verifies_uploads"], !trusted);
        let id = id["id"].as_str().unwrap();
        api.claim(id, json!([claim(path, &nar_of(b"claimed"))]))
            .await
            .ok();
        api.upload(id, "nar", path, &packed(&nar_of(b"another"))).await;
        api.upload(id, "listing", path, b"{}").await;
        let answer = commit(&api, id).await;
        match trusted {
            true => drop(answer.ok()),
            false => drop(answer.problem(422)),
        }
        assert_eq!(narinfo(&api, path).is_some(), trusted);
    }
}

async fn closures_by_the_real_client_are_verified_while_they_arrive(backend: Backend) {
    let options = ServerOptions {
        arguments: vec!["--verify-concurrency=1".into()],
        ..ServerOptions::default()
    };
    let site = Site::with(backend, options).await;
    let path = site
        .store
        .build(
            "build \"large\" ''mkdir $out; head -c 20000000 /dev/urandom > $out/noise; ln -s noise $out/link; \
             echo ${build \"small\" \"echo x > $out; chmod +x $out\"} > $out/ref''",
        )
        .remove(0);
    let _ = site.push(&path).ok();
    site.whole(&path);
    let verified = site
        .server
        .sql("SELECT count(*) FROM verifications WHERE flaw = ''");
    let objects = site.server.sql("SELECT count(*) FROM objects");
    assert_eq!(verified, objects);
    let hash = path.rsplit('/').next().unwrap()[..32].to_owned();
    let listing = site.server.get(&format!("{hash}.ls")).unwrap();
    let listing: Value = serde_json::from_slice(&listing).unwrap();
    assert_eq!(listing["root"]["entries"]["noise"]["size"], 20_000_000);
}
