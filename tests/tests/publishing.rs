//! Commits that end in the middle of publishing: no reader sees half of them, and whoever comes next completes them,
//! whatever happens in between.

use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use niks3_test_support::{Backend, Fault, ServerOptions, Site, finish, on_both, run, spawn};
use niks3_tests::api::{A, Api};
use reqwest::Method;
use serde_json::Value;

on_both!(
    a_server_killed_after_any_number_of_narinfos_leaves_none_that_dangles,
    what_was_decided_outlasts_a_collection_with_grace_until_the_next_push,
    a_staged_listing_that_is_lost_is_made_of_the_nar,
    a_lost_listing_is_made_again_without_anything_else_going,
    what_is_lost_for_good_while_it_is_published_is_brought_by_the_same_command,
    a_nar_that_cannot_be_listed_while_it_is_published_is_brought_by_the_same_command,
    a_committed_push_needs_no_lease_and_may_renew_it,
);

/// Paths of the chain, each of which refers to the one before.
const LENGTH: usize = 4;
const CHAIN: &str = "let one = build \"one\" \"echo 1 > $out\"; two = build \"two\" \"echo ${one} > $out\"; \
     three = build \"three\" \"echo ${two} > $out\"; in build \"four\" \"echo ${three} ${one} > $out\"";

fn hash(path: &str) -> &str {
    &path.rsplit('/').next().unwrap()[..32]
}

/// A closure in which each path refers to the one before, and a place where publishing it stops.
struct Chain {
    backend: Backend,
    site: Site,
    /// What refers to nothing comes first.
    paths: Vec<String>,
}

impl Chain {
    async fn new(backend: Backend) -> Self {
        // With listings that clients stage: the server makes those of what it verifies.
        let options = ServerOptions {
            arguments: vec!["--verify-uploads=none".into()],
            ..ServerOptions::default()
        };
        let site = Site::with(backend, options).await;
        site.api.without_small_objects();
        let root = site.store.build(CHAIN).remove(0);
        let mut paths = site.store.closure(&root);
        paths.sort_by_key(|path| ["one", "two", "three", "four"].map(|name| path.ends_with(name)));
        paths.reverse();
        assert_eq!(paths.len(), LENGTH);
        Self { backend, site, paths }
    }

    fn root(&self) -> &str {
        &self.paths[LENGTH - 1]
    }

    fn narinfo(&self, place: usize) -> String {
        format!("{}.narinfo", hash(&self.paths[place]))
    }

    fn embedded(&self) -> bool {
        self.backend == Backend::Embedded
    }

    fn folder(&self) -> PathBuf {
        self.site.server.directory().join("bucket")
    }

    /// From now on the narinfo of a path cannot be written.
    fn obstruct(&self, place: usize) {
        if self.embedded() {
            let narinfo = self.folder().join(self.narinfo(place));
            // One that a round before has written makes room.
            let _ = std::fs::remove_file(&narinfo);
            std::fs::create_dir(narinfo).unwrap();
        } else {
            self.site
                .s3
                .fail("PUT", &self.narinfo(place), Fault::Silence, usize::MAX / 4);
        }
    }

    fn clear(&self, place: usize) {
        if self.embedded() {
            std::fs::remove_dir(self.folder().join(self.narinfo(place))).unwrap();
        }
        self.site.s3.heal();
    }

    /// Pushes until only the narinfo that is obstructed is next; then the client dies.
    async fn push_up_to(&self, place: usize) {
        let before = self.site.s3.requests().len();
        let mut child = self.site.spawn(self.root());
        if self.embedded() {
            // Its commit has been refused, so that nothing of it is under way.
            let refused = || self.site.server.log().matches("Is a directory").count();
            let before = refused();
            while refused() == before {
                running(&mut child).await;
            }
        } else {
            let obstructed = format!("/{}", self.narinfo(place));
            let reached = |request: &String| request.starts_with("PUT") && request.contains(&obstructed);
            while !self.site.s3.requests()[before..].iter().any(reached) {
                running(&mut child).await;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// How many narinfos readers see, of which none dangles.
    fn seen(&self) -> usize {
        self.site.consistent(self.root())
    }

    /// A push that was cut off before its third narinfo; its lease is over.
    async fn cut_off(backend: Backend) -> Self {
        let mut chain = Self::new(backend).await;
        chain.obstruct(2);
        chain.push_up_to(2).await;
        if backend == Backend::Services {
            chain.site.server.kill();
            chain.site.server.resume();
        }
        assert_eq!(chain.seen(), 2);
        let _ = chain
            .site
            .server
            .sql("UPDATE pushes SET lease_until = lease_until - 3600");
        chain.clear(2);
        chain
    }

    fn completed(&self) {
        let _ = self.site.push(self.root()).ok();
        self.site.whole(self.root());
        let _ = run(self.site.server.niks3().arg("fsck")).ok();
    }
}

/// A moment, in which the program does not end.
async fn running(child: &mut Child) {
    assert!(child.try_wait().unwrap().is_none(), "it was to be obstructed");
    tokio::time::sleep(Duration::from_millis(20)).await;
}

async fn a_server_killed_after_any_number_of_narinfos_leaves_none_that_dangles(backend: Backend) {
    let mut chain = Chain::new(backend).await;
    for written in 0..LENGTH {
        chain.obstruct(written);
        chain.push_up_to(written).await;
        chain.site.server.kill();
        chain.site.server.resume();
        assert_eq!(chain.seen(), written);
        chain.clear(written);
    }
    chain.completed();
}

async fn what_was_decided_outlasts_a_collection_with_grace_until_the_next_push(backend: Backend) {
    let chain = Chain::cut_off(backend).await;
    let _ = run(chain.site.server.niks3().args(["gc", "--older-than=30d"])).ok();
    let expired = chain
        .site
        .server
        .sql("SELECT count(*) FROM pushes WHERE state = 4");
    assert_eq!(expired, ["1"], "the collection has ended the push");
    assert_eq!(chain.seen(), 2);
    chain.completed();
    // What the push had staged is where it belongs, or goes now.
    let _ = run(chain.site.server.niks3().args(["gc", "--older-than=30d"])).ok();
    chain.site.whole(chain.root());
}

async fn a_staged_listing_that_is_lost_is_made_of_the_nar(backend: Backend) {
    let chain = Chain::cut_off(backend).await;
    let staged = chain
        .site
        .server
        .sql("SELECT listing FROM paths WHERE listing <> '' ORDER BY id");
    let bucket = chain.site.server.bucket();
    let mut lost = 0;
    for key in &staged {
        // Those of the paths that have a narinfo were moved.
        if !chain.embedded() || chain.folder().join(key).exists() {
            bucket.delete(key);
            lost += 1;
        }
    }
    assert!(lost > 0, "{staged:?}");
    chain.completed();
}

fn pushed(site: &Site, path: &str, options: &[&str]) -> Value {
    let output = run(site.command(path).args(options));
    output.json()
}

async fn a_lost_listing_is_made_again_without_anything_else_going(backend: Backend) {
    let chain = Chain::new(backend).await;
    let site = &chain.site;
    pushed(site, chain.root(), &[]);
    let listing = format!("{}.ls", hash(&chain.paths[0]));
    site.server.bucket().delete(&listing);
    let before = site.s3.requests().len();
    let done = pushed(site, chain.root(), &["--verify-s3-integrity"]);
    assert_eq!(done["uploaded"], 0, "{done}");
    site.whole(chain.root());
    let requests = site.s3.requests().split_off(before);
    let deleted = requests
        .iter()
        .find(|request| request.starts_with("DELETE") && request.contains(".narinfo"));
    assert_eq!(deleted, None);
}

/// Cut off before its last paths, of which the root has lost its listing; and the key of the root's NAR.
async fn without_listing(backend: Backend) -> (Chain, String) {
    let chain = Chain::cut_off(backend).await;
    let name = chain.root().rsplit('/').next().unwrap();
    let keys = format!(
        "SELECT p.listing, o.key FROM paths p JOIN objects o ON o.id = p.object_id WHERE p.name = '{name}'"
    );
    let keys = chain.site.server.sql(&keys).remove(0);
    let (listing, nar) = keys.split_once('|').unwrap();
    chain.site.server.bucket().delete(listing);
    (chain, nar.to_owned())
}

async fn what_is_lost_for_good_while_it_is_published_is_brought_by_the_same_command(backend: Backend) {
    let (chain, nar) = without_listing(backend).await;
    chain.site.server.bucket().delete(&nar);
    chain.completed();
}

async fn a_nar_that_cannot_be_listed_while_it_is_published_is_brought_by_the_same_command(backend: Backend) {
    let (chain, nar) = without_listing(backend).await;
    chain.site.server.bucket().put(&nar, b"neither zstd nor a NAR");
    chain.completed();
}

async fn a_committed_push_needs_no_lease_and_may_renew_it(backend: Backend) {
    let api = Api::new(backend, &[]);
    let push = api.open(A).await;
    let nar = b"a nar";
    let hash = niks3_nix::hash::NarHash::of(nar).to_string();
    let info = serde_json::json!({ "path": A, "nar_hash": hash, "nar_size": nar.len(), "references": [] });
    api.claim(&push, serde_json::json!([info])).await.ok();
    api.upload(&push, "nar", A, &zstd::encode_all(&nar[..], 3).unwrap())
        .await;
    api.upload(&push, "listing", A, b"{}").await;
    let lease = format!("/api/v1/pushes/{push}/lease");
    let renew = || api.send(Method::PUT, &lease, &api.token, "", "");
    renew().await.ok();
    api.post(&format!("/pushes/{push}/commit"), &serde_json::json!({}))
        .await
        .ok();
    let before = api.server.sql("SELECT state, lease_until FROM pushes");
    renew().await.ok();
    assert_eq!(api.server.sql("SELECT state, lease_until FROM pushes"), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_start_writes_again_what_a_power_cut_has_left_empty() {
    for lease_over in [false, true] {
        let mut chain = Chain::new(Backend::Embedded).await;
        chain.obstruct(2);
        chain.push_up_to(2).await;
        chain.site.server.kill();
        assert!(chain.folder().join(chain.narinfo(1)).exists());
        // Their bytes were not on the disk yet.
        for place in [0, 1] {
            std::fs::write(chain.folder().join(chain.narinfo(place)), "").unwrap();
        }
        if lease_over {
            let _ = chain
                .site
                .server
                .sql("UPDATE pushes SET lease_until = lease_until - 3600");
        }
        chain.clear(2);
        chain.site.server.resume();
        assert_eq!(chain.seen(), LENGTH);
        let closures = chain.site.server.sql("SELECT count(*) FROM closures");
        assert_eq!(closures, [if lease_over { "0" } else { "1" }]);
        chain.completed();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_found_lost_while_a_push_publishes_is_written_before_that_push_counts() {
    let chain = Chain::new(Backend::Services).await;
    let site = &chain.site;
    pushed(site, &chain.paths[0], &[]);
    let (lost, held) = (chain.narinfo(0), chain.narinfo(1));
    site.s3.fail("PUT", &held, Fault::Hold, 1);
    let push = site.spawn(&chain.paths[1]);
    site.s3.happened().await;
    // Another push finds that the first has lost its narinfo, and dies before it writes that.
    site.server.bucket().delete(&lost);
    site.s3.fail("PUT", &lost, Fault::Status(403), 1);
    let mut finder = spawn(site.command(&chain.paths[0]).arg("--verify-s3-integrity"));
    site.s3.happened().await;
    finder.kill().unwrap();
    finder.wait().unwrap();
    site.s3.release();
    let _ = finish(push).ok();
    assert_eq!(site.consistent(&chain.paths[1]), 2);
    let _ = run(site.server.niks3().arg("fsck")).ok();
}
