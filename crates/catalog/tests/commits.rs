//! Two commits at once, step by step, in the orders that go wrong most easily.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::{BTreeSet, HashMap};

use niks3_base::signing::{KeyChoice, Signer};
use niks3_catalog::{
    ArrivedObject, Catalog, ClaimKind, CommitAttempt, CommitBegin, CommitClaim, Finish, Finishing, NewObject,
    NewPush, ObjectRow, Owned, PathId, PathMeta, Publishable, PushId, PushRank, UploadedNar, claimed_names,
};
use niks3_nix::hash::{FileHash, NarHash};
use niks3_nix::store_path::StorePath;

/// Runs a test on both databases.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            let folder = tempfile::tempdir().expect("a folder");
            let url = format!("sqlite://{}", folder.path().join("niks3.db").display());
            super::$name(super::World::new(&url).await).await;
        })+ }
        mod postgres { $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            super::$name(super::World::new(&niks3_test_support::database()).await).await;
        })+ }
    };
}

on_both!(
    a_path_that_gets_another_key_while_a_push_publishes_is_signed_by_it_before_that_push_counts,
    a_narinfo_that_may_have_been_overwritten_by_an_older_one_is_written_again,
    a_narinfo_that_others_publish_first_is_written_again_by_whoever_has_written_an_older_one,
    a_narinfo_found_lost_while_a_push_publishes_is_written_before_that_push_counts,
    a_listing_that_another_push_has_staged_anew_is_not_forgotten,
    a_push_whose_nar_is_lost_while_it_publishes_does_not_count,
    what_a_push_that_is_given_up_has_overwritten_is_written_again,
    what_a_push_that_is_given_up_has_overwritten_others_who_publish_it_write_again,
    a_nar_lost_between_look_and_decision_is_looked_for_again,
);

struct World {
    catalog: Catalog,
}

/// A push as its commit knows it.
struct Push {
    id: PushId,
    token: String,
    attempt: CommitAttempt,
    seen: i64,
    own: Vec<i64>,
    published: HashMap<PathId, i64>,
}

fn path(number: usize) -> StorePath {
    format!("{number:032}-p{number}").parse().expect("a store path")
}

fn no_keys() -> Signer {
    Signer::new(Vec::new())
}

fn keys(name: &str) -> KeyChoice {
    KeyChoice::from_text(&format!("{name}\n"))
}

fn nar(number: usize) -> String {
    format!("nar/{number:052}.nar.zst")
}

impl World {
    async fn new(url: &str) -> Self {
        Self {
            catalog: Catalog::open(url).await.expect("a database"),
        }
    }

    /// Opens a push of some paths, each of which refers to the one before, and uploads what it lacks.
    async fn open(&self, token: &str, key: &str, numbers: &[usize]) -> Push {
        let mut tx = self.catalog.write().await.unwrap();
        let id = tx
            .open_push(&NewPush {
                exempt: true,
                token: token.into(),
                identity: "somebody".into(),
                pin: None,
                verify: false,
                lease: 600,
                run_id: None,
                keys: keys(key),
            })
            .await
            .unwrap();
        let paths: Vec<PathMeta> = numbers
            .iter()
            .enumerate()
            .map(|(place, number)| PathMeta {
                path: path(*number),
                nar_hash: NarHash::of(number.to_string().as_bytes()),
                nar_size: 100,
                references: numbers[..place]
                    .iter()
                    .rev()
                    .take(1)
                    .map(|number| path(*number))
                    .collect(),
                deriver: None,
                sigs: Vec::new(),
                ca: None,
            })
            .collect();
        tx.commit().await.unwrap();
        let found = self.catalog.intern_most(&claimed_names(&paths)).await.unwrap();
        let mut tx = self.catalog.write().await.unwrap();
        assert!(tx.change_push(id).await.unwrap());
        tx.claim(id, &paths, &found, &PushRank::of(&no_keys(), &KeyChoice::none()))
            .await
            .unwrap();
        let new = |number: &usize| {
            (
                nar(*number),
                NewObject::uploaded(50, FileHash::of(nar(*number).as_bytes())),
            )
        };
        let wanted: HashMap<String, NewObject> = numbers.iter().map(new).collect();
        let objects = tx.objects(&wanted).await.unwrap();
        tx.commit().await.unwrap();
        let names: Vec<StorePath> = numbers.iter().map(|number| path(*number)).collect();
        let claims = self.catalog.claims_of(id, &names).await.unwrap();
        let mut tx = self.catalog.write().await.unwrap();
        assert!(tx.change_push(id).await.unwrap());
        let (mut nars, mut listings) = (Vec::new(), Vec::new());
        for number in numbers {
            let claim = &claims[&path(*number)];
            if claim.kind == ClaimKind::Needed {
                nars.push(UploadedNar {
                    path_id: claim.path_id,
                    nar_hash: claim.nar_hash,
                    nar_size: claim.nar_size,
                    object_id: objects[&nar(*number)].id,
                });
                listings.push((claim.path_id, format!("staging/{token}/{number:032}.x"), 10));
            }
        }
        assert!(tx.set_nars(id, &nars).await.unwrap());
        tx.set_listings(id, &listings).await.unwrap();
        let arrived = |(key, object): (&String, &ObjectRow)| ArrivedObject {
            id: object.id,
            key: key.clone(),
            size: 50,
        };
        let arrived: Vec<ArrivedObject> = objects.iter().map(arrived).collect();
        tx.objects_arrived(id, &arrived).await.unwrap();
        tx.commit().await.unwrap();
        Push {
            id,
            token: token.into(),
            attempt: CommitAttempt {
                push_id: id,
                owner: format!("the attempt of {token}"),
            },
            seen: 0,
            own: Vec::new(),
            published: HashMap::new(),
        }
    }

    async fn revision(&self, push: &Push) -> i64 {
        self.catalog.push(&push.token).await.unwrap().unwrap().revision
    }

    async fn begin(&self, push: &Push, revision: i64) -> CommitBegin {
        assert!(self.catalog.lease_commit(&push.attempt, 60).await.unwrap());
        let mut tx = self.catalog.write().await.unwrap();
        let begin = tx.begin_commit(&push.attempt, revision).await.unwrap();
        tx.commit().await.unwrap();
        begin
    }

    async fn decide(&self, push: &mut Push) {
        let revision = self.revision(push).await;
        push.seen = self.catalog.publications().await.unwrap();
        let references = self.catalog.seen_references(push.id).await.unwrap();
        let claims = self.catalog.commit_claims(push.id).await.unwrap();
        assert_eq!(self.begin(push, revision).await, CommitBegin::Begun);
        let mut tx = self.catalog.write().await.unwrap();
        let ids: Vec<PathId> = claims.iter().map(|claim| claim.path_id).collect();
        assert!(
            tx.add_signing_keys(&push.attempt, &ids, &no_keys())
                .await
                .unwrap()
        );
        tx.commit().await.unwrap();
        let offered: Vec<&CommitClaim> = claims.iter().filter(|claim| claim.offer.is_some()).collect();
        for claim in offered {
            let mut tx = self.catalog.write().await.unwrap();
            let known = (push.own.last().copied().unwrap_or(push.seen), push.own.len());
            let owned = tx
                .claim_ownership(&push.attempt, &[claim], &references, known, &no_keys())
                .await
                .unwrap();
            let Owned::Paths { publication, .. } = owned else {
                panic!("{owned:?}");
            };
            push.own.push(publication);
            tx.commit().await.unwrap();
        }
    }

    /// Reads what a push has to publish, as narinfos are written from it.
    async fn publish(&self, push: &mut Push) -> Vec<Publishable> {
        let found = self.catalog.publishables(push.id).await.unwrap();
        let written = found.iter().map(|path| (path.path_id, path.publication));
        push.published.extend(written);
        found
    }

    async fn finish(&self, push: &mut Push) -> Finish {
        let commit = Finishing {
            attempt: &push.attempt,
            pin: None,
            result: "{}",
            seen: push.seen,
            own: &push.own,
            published: &push.published,
            strangers: &[],
            realisations: &[],
            signer: &no_keys(),
        };
        let finish = self.catalog.finish_commit(&commit).await.unwrap();
        push.seen = self.catalog.publications().await.unwrap();
        push.own.clear();
        finish
    }

    /// Commits a push whole.
    async fn commit(&self, push: &mut Push) {
        self.decide(push).await;
        self.publish(push).await;
        let finish = self.finish(push).await;
        assert!(matches!(finish, Finish::Committed), "{finish:?}");
    }

    /// Numbers of the paths whose narinfo may not be there.
    async fn publishing(&self) -> Vec<PathId> {
        self.catalog.publishing_ids(PathId::default(), 100).await.unwrap()
    }
}

fn names(paths: &[Publishable]) -> BTreeSet<String> {
    paths.iter().map(|path| path.path.to_string()).collect()
}

fn only(number: usize) -> BTreeSet<String> {
    BTreeSet::from([path(number).to_string()])
}

async fn a_path_that_gets_another_key_while_a_push_publishes_is_signed_by_it_before_that_push_counts(
    world: World,
) {
    world.commit(&mut world.open("first", "pr", &[1]).await).await;
    let mut pr = world.open("pr", "pr", &[1, 2]).await;
    world.decide(&mut pr).await;
    assert_eq!(names(&world.publish(&mut pr).await), only(2));
    // The one of the main branch dies right after its decision.
    let mut main = world.open("main", "main", &[1]).await;
    world.decide(&mut main).await;
    let finish = world.finish(&mut pr).await;
    assert!(matches!(finish, Finish::Overtaken(_)), "{finish:?}");
    let again = world.publish(&mut pr).await;
    assert_eq!(names(&again), only(1));
    assert!(again[0].keys.includes("main") && again[0].keys.includes("pr"));
    let finish = world.finish(&mut pr).await;
    assert!(matches!(finish, Finish::Committed), "{finish:?}");
    assert!(world.publishing().await.is_empty());
    let finish = world.finish(&mut main).await;
    assert!(matches!(finish, Finish::Committed), "{finish:?}");
}

async fn a_narinfo_that_may_have_been_overwritten_by_an_older_one_is_written_again(world: World) {
    let mut slow = world.open("slow", "pr", &[1]).await;
    let mut fast = world.open("fast", "pr", &[1]).await;
    world.decide(&mut slow).await;
    assert!(!world.publish(&mut slow).await[0].keys.includes("main"));
    world.commit(&mut fast).await;
    world.commit(&mut world.open("main", "main", &[1]).await).await;
    // Only now the narinfo of the slow one is written, without the signature of main.
    let finish = world.finish(&mut slow).await;
    assert!(matches!(finish, Finish::Overtaken(_)), "{finish:?}");
    assert!(world.publish(&mut slow).await[0].keys.includes("main"));
    let finish = world.finish(&mut slow).await;
    assert!(matches!(finish, Finish::Committed), "{finish:?}");
    assert!(world.publishing().await.is_empty());
}

async fn a_narinfo_that_others_publish_first_is_written_again_by_whoever_has_written_an_older_one(
    world: World,
) {
    let mut slow = world.open("slow", "pr", &[1]).await;
    world.decide(&mut slow).await;
    let id = world.publish(&mut slow).await[0].path_id;
    let mut main = world.open("main", "main", &[1]).await;
    world.decide(&mut main).await;
    // The narinfo of the slow one, without the signature of main, may land before or after that of main.
    let Finish::Overtaken(stale) = world.finish(&mut slow).await else {
        panic!("nobody is told that main is about to publish");
    };
    assert_eq!(stale, [id]);
    world.publish(&mut main).await;
    let finish = world.finish(&mut main).await;
    assert!(matches!(finish, Finish::Committed), "{finish:?}");
    assert!(world.publish(&mut slow).await.is_empty());
    world.catalog.publish_again(&stale).await.unwrap();
    assert!(world.publish(&mut slow).await[0].keys.includes("main"));
    let finish = world.finish(&mut slow).await;
    assert!(matches!(finish, Finish::Committed), "{finish:?}");
    assert!(world.publishing().await.is_empty());
}

async fn a_narinfo_found_lost_while_a_push_publishes_is_written_before_that_push_counts(world: World) {
    world.commit(&mut world.open("first", "", &[1]).await).await;
    let mut push = world.open("push", "", &[1, 2]).await;
    world.decide(&mut push).await;
    assert_eq!(names(&world.publish(&mut push).await), only(2));
    let mut tx = world.catalog.write().await.unwrap();
    tx.narinfo_lost(&path(1)).await.unwrap();
    tx.commit().await.unwrap();
    let finish = world.finish(&mut push).await;
    assert!(matches!(finish, Finish::Overtaken(_)), "{finish:?}");
    assert_eq!(names(&world.publish(&mut push).await), only(1));
    let finish = world.finish(&mut push).await;
    assert!(matches!(finish, Finish::Committed), "{finish:?}");
}

async fn a_listing_that_another_push_has_staged_anew_is_not_forgotten(world: World) {
    let mut old = world.open("old", "", &[1]).await;
    world.decide(&mut old).await;
    let id = world.publish(&mut old).await[0].path_id;
    // Its NAR is lost, and another push brings all of it again.
    let mut tx = world.catalog.write().await.unwrap();
    tx.mark_nar_missing(&path(1), &nar(1)).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.catalog.write().await.unwrap();
    tx.bury_paths(&[id]).await.unwrap();
    tx.commit().await.unwrap();
    let mut new = world.open("new", "", &[1]).await;
    world.decide(&mut new).await;
    let finish = world.finish(&mut old).await;
    assert!(matches!(finish, Finish::Overtaken(_)), "{finish:?}");
    let found = world.publish(&mut new).await;
    assert!(found[0].listing.starts_with("staging/new/"), "{:?}", found[0]);
}

async fn a_push_whose_nar_is_lost_while_it_publishes_does_not_count(world: World) {
    world.commit(&mut world.open("first", "", &[1]).await).await;
    let mut push = world.open("push", "", &[1, 2]).await;
    world.decide(&mut push).await;
    world.publish(&mut push).await;
    let mut tx = world.catalog.write().await.unwrap();
    tx.mark_nar_missing(&path(1), &nar(1)).await.unwrap();
    tx.commit().await.unwrap();
    let finish = world.finish(&mut push).await;
    assert!(
        matches!(&finish, Finish::Lost(lost) if *lost == [path(1)]),
        "{finish:?}"
    );
    let over = world.catalog.push(&push.token).await.unwrap().unwrap();
    assert!(over.expired(), "{over:?}");
    // What it had decided is there for the next one.
    let next = world.open("next", "", &[1, 2]).await;
    assert_eq!(
        names(&world.catalog.publishables(next.id).await.unwrap()),
        only(2)
    );
}

/// A push that has read what it publishes, all of which was lost then; and another that brings
/// the first of it again.
async fn overwriting(world: &World) -> (Push, Push) {
    let mut slow = world.open("slow", "", &[1, 2]).await;
    world.decide(&mut slow).await;
    let found = world.publish(&mut slow).await;
    let ids: Vec<PathId> = found.iter().map(|path| path.path_id).collect();
    let mut tx = world.catalog.write().await.unwrap();
    tx.mark_nar_missing(&path(1), &nar(1)).await.unwrap();
    tx.mark_nar_missing(&path(2), &nar(2)).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.catalog.write().await.unwrap();
    tx.bury_paths(&ids).await.unwrap();
    tx.commit().await.unwrap();
    (slow, world.open("new", "", &[1]).await)
}

async fn what_a_push_that_is_given_up_has_overwritten_is_written_again(world: World) {
    let (mut slow, mut new) = overwriting(&world).await;
    world.commit(&mut new).await;
    assert!(world.publishing().await.is_empty());
    let finish = world.finish(&mut slow).await;
    assert!(
        matches!(&finish, Finish::Lost(lost) if *lost == [path(2)]),
        "{finish:?}"
    );
    assert_eq!(world.publishing().await.len(), 1);
}

async fn what_a_push_that_is_given_up_has_overwritten_others_who_publish_it_write_again(world: World) {
    let (mut slow, mut new) = overwriting(&world).await;
    world.decide(&mut new).await;
    world.publish(&mut new).await;
    let finish = world.finish(&mut slow).await;
    assert!(matches!(finish, Finish::Lost(_)), "{finish:?}");
    let finish = world.finish(&mut new).await;
    assert!(matches!(finish, Finish::Overtaken(_)), "{finish:?}");
    assert_eq!(names(&world.publish(&mut new).await), only(1));
    let finish = world.finish(&mut new).await;
    assert!(matches!(finish, Finish::Committed), "{finish:?}");
}

async fn a_nar_lost_between_look_and_decision_is_looked_for_again(world: World) {
    // Two paths with one NAR: one is there, the other is about to be.
    world.commit(&mut world.open("first", "", &[1]).await).await;
    let push = world.open("push", "", &[2]).await;
    let mut tx = world.catalog.write().await.unwrap();
    let wanted = HashMap::from([(nar(1), NewObject::uploaded(50, FileHash::of(nar(1).as_bytes())))]);
    let shared = tx.objects(&wanted).await.unwrap()[&nar(1)].id;
    let claims = world.catalog.claims_of(push.id, &[path(2)]).await.unwrap();
    assert!(tx.change_push(push.id).await.unwrap());
    let claim = &claims[&path(2)];
    let uploaded = UploadedNar {
        path_id: claim.path_id,
        nar_hash: claim.nar_hash,
        nar_size: claim.nar_size,
        object_id: shared,
    };
    assert!(tx.set_nars(push.id, &[uploaded]).await.unwrap());
    tx.commit().await.unwrap();
    let looked = world.revision(&push).await;
    let mut tx = world.catalog.write().await.unwrap();
    tx.mark_nar_missing(&path(1), &nar(1)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.begin(&push, looked).await, CommitBegin::Changed);
}
