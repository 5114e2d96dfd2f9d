//! Who brings the contents of a path when two identities of different key ranks disagree: whoever comes first and whatever
//! differs, the one with the higher key.

use std::collections::BTreeSet;
use std::time::Duration;

use niks3_nix::hash::{FileHash, NarHash};
use niks3_test_support::{
    Backend, Fault, FaultProxy, FlawKind, ServerOptions, check_whole_bucket, garage_bucket, on_both, run,
};
use niks3_tests::api::{A, Answer, Api, B, nar_of};
use serde_json::{Value, json};

use super::signing::key;
use super::world::World;

on_both!(
    the_push_with_the_higher_key_has_its_contents_whoever_comes_first,
    what_was_replaced_stays_for_as_long_as_the_option_says,
    a_path_that_was_not_read_is_signed_by_a_key_only_after_it_has_been,
    of_two_claims_of_one_rank_the_references_that_occur_in_the_nar_win,
    a_path_has_the_rank_of_the_keys_that_are_configured_now_and_have_signed_what_was_read,
);

/// Name of a path, the references that two pushes claim, and those that it has in the end.
type References<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str]);

const C: &str = "22222222222222222222222222222222-c";

struct Ranks {
    world: World,
    verify: &'static str,
    _keys: tempfile::TempDir,
}

impl Ranks {
    fn new(backend: Backend, verify: &'static str, more: &[&str]) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let mut arguments = vec![format!("--verify-uploads={verify}")];
        for name in ["main-1", "pr-1"] {
            arguments.extend(["--sign-key-path".to_owned(), key(keys.path(), name)]);
        }
        arguments.extend(more.iter().map(ToString::to_string));
        let rules = json!([
            { "bound_subject": "pr", "signing_keys": ["pr-1"] },
            { "bound_subject": "other-pr", "signing_keys": ["pr-1"] },
            { "bound_subject": "main", "signing_keys": ["main-1"] },
        ]);
        let world = World::new(backend, None::<&niks3_test_support::Store>, &rules, &arguments);
        Self {
            world,
            verify,
            _keys: keys,
        }
    }

    /// Pushes paths as somebody, the first of which is the root; what the claim and the commit have answered.
    async fn push(&mut self, who: &str, paths: &[(Value, &[u8])]) -> (Value, Answer) {
        self.world.api.token = self.world.token(&json!({ "sub": who }));
        push(&self.world.api, paths, self.verify == "none").await
    }
}

async fn push(api: &Api, paths: &[(Value, &[u8])], listings: bool) -> (Value, Answer) {
    let id = open(api, paths, listings).await;
    (
        id.1,
        api.post(&format!("/pushes/{}/commit", id.0), &json!({})).await,
    )
}

/// Opens a push and uploads what it needs.
async fn open(api: &Api, paths: &[(Value, &[u8])], listings: bool) -> (String, Value) {
    let id = api.open(paths[0].0["path"].as_str().unwrap()).await;
    let infos: Vec<&Value> = paths.iter().map(|(info, _)| info).collect();
    let claimed = api.claim(&id, json!(infos)).await.ok();
    for (info, nar) in paths {
        if claimed["needed"].as_array().unwrap().contains(&info["path"]) {
            let path = info["path"].as_str().unwrap();
            api.upload(&id, "nar", path, &packed(nar)).await;
            if listings {
                let listing = niks3_nix::nar::listing_of(*nar).unwrap().listing.to_json();
                api.upload(&id, "listing", path, &listing).await;
            }
        }
    }
    (id, claimed)
}

fn packed(nar: &[u8]) -> Vec<u8> {
    zstd::encode_all(nar, 3).unwrap()
}

fn info(path: &str, nar: &[u8], references: &[&str]) -> Value {
    json!({ "path": path, "nar_hash": NarHash::of(nar).to_string(), "nar_size": nar.len(), "references": references })
}

fn nar_key(nar: &[u8]) -> String {
    format!("nar/{}.nar.zst", FileHash::of(&packed(nar)).base32())
}

/// Lines of a narinfo that begin with a word.
fn lines(api: &Api, path: &str, word: &str) -> BTreeSet<String> {
    let text = api.server.get(&format!("{}.narinfo", &path[..32])).unwrap();
    let text = String::from_utf8(text).unwrap();
    let found = text.lines().filter_map(|line| line.strip_prefix(word));
    found.map(|line| line.trim().to_owned()).collect()
}

fn signers(api: &Api, path: &str) -> Vec<String> {
    let lines = lines(api, path, "Sig: ");
    lines
        .iter()
        .map(|line| line.split(':').next().unwrap().to_owned())
        .collect()
}

/// Readers find these contents of a path, and their listing.
#[track_caller]
fn has(api: &Api, path: &str, nar: &[u8], references: &[&str]) {
    assert_eq!(
        lines(api, path, "NarHash: "),
        [NarHash::of(nar).to_string()].into()
    );
    assert_eq!(lines(api, path, "References:"), [references.join(" ")].into());
    let url = lines(api, path, "URL: ").pop_first().unwrap();
    assert_eq!(
        zstd::decode_all(api.server.get(&url).unwrap().as_slice()).unwrap(),
        nar
    );
}

/// Of a file the listing has its size.
#[track_caller]
fn is_listed(api: &Api, path: &str, nar: &[u8]) {
    let listing = api.server.get(&format!("{}.ls", &path[..32])).unwrap();
    let listing: Value = serde_json::from_slice(&listing).unwrap();
    let size = listing["root"]["size"].as_u64().unwrap() as usize;
    assert_eq!(nar_of(&vec![0; size]).len(), nar.len(), "{listing}");
}

/// Neither the server nor the independent checker finds anything wrong; what was staged for nothing is gone soon.
async fn sound(api: &Api) {
    let report = || run(api.server.niks3().args(["fsck", "--json"])).json();
    let staged = |report: &Value| {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().all(|finding| finding["left_to_gc"] == true) && !findings.is_empty()
    };
    let mut found = report();
    for _ in 0..100 {
        if !staged(&found) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        found = report();
    }
    assert_eq!(found["findings"], json!([]), "{found}");
    let report = check_whole_bucket(&api.server, std::path::Path::new("/nix/store"));
    assert!(report.flaws.is_empty(), "{report}");
}

async fn the_push_with_the_higher_key_has_its_contents_whoever_comes_first(backend: Backend) {
    for verify in ["all", "none"] {
        let mut ranks = Ranks::new(backend, verify, &[]);
        let own = nar_of(b"what the owner has built");
        let larger = nar_of(b"what the attacker has built, which is larger");
        let equal = nar_of(b"what anybody has brought");
        let path = |number: usize, name: &str| format!("{number:032}-{name}");
        let referred = nar_of(b"what is referred to");
        let c = info(C, &referred, &[]);
        ranks.push("main", &[(c.clone(), &referred)]).await.1.ok();
        type Case<'a> = (&'a str, &'a [u8], &'a [&'a str], &'a [&'a str]);
        let cases: [Case<'_>; 4] = [
            ("other-bytes", &equal, &["NarHash"], &[]),
            ("other-size", &larger, &["NarHash", "NarSize"], &[]),
            ("other-references", &own, &["References"], &[C]),
            ("all-of-it", &larger, &["NarHash", "NarSize", "References"], &[C]),
        ];
        for (number, (name, nar, fields, references)) in cases.into_iter().enumerate() {
            // The attacker first.
            let attacked = path(number * 10 + 1, name);
            let theirs = [
                (info(&attacked, nar, references), nar),
                (c.clone(), referred.as_slice()),
            ];
            ranks.push("pr", &theirs).await.1.ok();
            has(&ranks.world.api, &attacked, nar, references);
            let ours = [(info(&attacked, &own, &[]), own.as_slice())];
            let (claimed, committed) = ranks.push("main", &ours).await;
            assert_eq!(claimed["needed"], json!([attacked]), "{name} {verify}");
            let committed = committed.ok();
            assert_eq!(committed["replaced"], json!([attacked]), "{committed}");
            assert_eq!(committed["conflicts"], json!([]), "{committed}");
            assert_eq!(committed["paths_verified"], 1, "{committed}");
            let api = &ranks.world.api;
            has(api, &attacked, &own, &[]);
            is_listed(api, &attacked, &own);
            assert_eq!(signers(api, &attacked), ["main-1"], "{name} {verify}");
            // Readers that have the narinfo before find its NAR.
            assert!(api.server.get(&nar_key(nar)).is_some(), "{name} {verify}");
            // Again, nothing is left to do.
            let (claimed, committed) = ranks.push("main", &ours).await;
            assert_eq!(
                (&claimed["needed"], &claimed["conflicts"]),
                (&json!([]), &json!([]))
            );
            assert_eq!(committed.ok()["replaced"], json!([]));

            // The attacker later, and somebody of equal rank.
            for (first, second, number) in [("main", "pr", 2), ("pr", "other-pr", 3)] {
                let held = path(number_of(number, name), name);
                let ours = [(info(&held, &own, &[]), own.as_slice())];
                ranks.push(first, &ours).await.1.ok();
                let before = lines(&ranks.world.api, &held, "");
                let theirs = [
                    (info(&held, nar, references), nar),
                    (c.clone(), referred.as_slice()),
                ];
                let (claimed, committed) = ranks.push(second, &theirs).await;
                assert_eq!(claimed["needed"], json!([]), "{name} {verify}");
                let conflict = &claimed["conflicts"][0];
                assert_eq!(conflict["path"], held);
                let differences = conflict["differences"].as_array().unwrap();
                let named: Vec<&str> = differences
                    .iter()
                    .map(|difference| difference["field"].as_str().unwrap())
                    .collect();
                assert_eq!(named, fields, "{conflict}");
                for difference in differences {
                    let expected = match difference["field"].as_str().unwrap() {
                        "NarHash" => [NarHash::of(&own).to_string(), NarHash::of(nar).to_string()],
                        "NarSize" => [own.len().to_string(), nar.len().to_string()],
                        _ => [String::new(), references.join(" ")],
                    };
                    assert_eq!(
                        json!([difference["cached"], difference["claimed"]]),
                        json!(expected),
                        "{conflict}"
                    );
                }
                let committed = committed.ok();
                assert_eq!(committed["conflicts"], claimed["conflicts"]);
                assert_eq!(committed["replaced"], json!([]));
                assert_eq!(lines(&ranks.world.api, &held, ""), before);
            }
        }
        // Both at once: the owner is told to upload, and the attacker commits first.
        let raced = path(99, "raced");
        ranks.world.api.token = ranks.world.token(&json!({ "sub": "main" }));
        let ours = [(info(&raced, &own, &[]), own.as_slice())];
        let (id, claimed) = open(&ranks.world.api, &ours, verify == "none").await;
        assert_eq!(claimed["needed"], json!([raced]));
        let main = ranks.world.api.token.clone();
        ranks
            .push("pr", &[(info(&raced, &larger, &[]), &larger)])
            .await
            .1
            .ok();
        ranks.world.api.token = main;
        let committed = ranks
            .world
            .api
            .post(&format!("/pushes/{id}/commit"), &json!({}))
            .await
            .ok();
        assert_eq!(committed["replaced"], json!([raced]));
        has(&ranks.world.api, &raced, &own, &[]);
        // What is replaced is read, whoever is exempt.
        let lie = path(98, "lie");
        ranks
            .push("pr", &[(info(&lie, &equal, &[]), &equal)])
            .await
            .1
            .ok();
        let problem = ranks
            .push("main", &[(info(&lie, &own, &[]), &larger)])
            .await
            .1
            .problem(422);
        assert!(problem["detail"].as_str().unwrap().contains(&lie), "{problem}");
        has(&ranks.world.api, &lie, &equal, &[]);
        sound(&ranks.world.api).await;
        let metrics = String::from_utf8(ranks.world.api.server.get("metrics").unwrap()).unwrap();
        assert!(metrics.contains("niks3_paths_replaced_total 5"), "{metrics}");
    }
}

/// Another number for each name.
fn number_of(number: usize, name: &str) -> usize {
    number * 1000 + name.len()
}

async fn what_was_replaced_stays_for_as_long_as_the_option_says(backend: Backend) {
    for (keep, stays) in [("30d", true), ("0s", false)] {
        let mut ranks = Ranks::new(backend, "all", &[&format!("--keep-replaced={keep}")]);
        let (own, other, referred) = (nar_of(b"own"), nar_of(b"another"), nar_of(b"referred to"));
        let theirs = [
            (info(A, &other, &[B]), other.as_slice()),
            (info(B, &referred, &[]), &referred),
        ];
        ranks.push("pr", &theirs).await.1.ok();
        ranks.push("main", &[(info(A, &own, &[]), &own)]).await.1.ok();
        let api = &ranks.world.api;
        let _ = run(api.server.niks3().args(["gc", "--older-than=720h", "--force"])).ok();
        has(api, A, &own, &[]);
        is_listed(api, A, &own);
        assert_eq!(api.server.get(&nar_key(&other)).is_some(), stays, "{keep}");
        assert_eq!(
            api.server.get(&format!("{}.narinfo", &B[..32])).is_some(),
            stays,
            "{keep}"
        );
        assert_eq!(api.server.get(&nar_key(&referred)).is_some(), stays, "{keep}");
        sound(api).await;
        let page = format!("{}/dashboard/closures/{A}", api.server.url());
        let page = api
            .client
            .get(page)
            .bearer_auth(api.server.token())
            .send()
            .await
            .unwrap();
        let page = page.text().await.unwrap();
        assert!(page.contains(&NarHash::of(&other).to_string()), "{page}");
        // The path itself is kept by its closure alone.
        let _ = run(api.server.niks3().args(["gc", "--older-than=0s", "--force"])).ok();
        assert_eq!(api.server.get(&format!("{}.narinfo", &A[..32])), None);
        assert_eq!(api.server.get(&nar_key(&other)).is_some(), stays, "{keep}");
        sound(api).await;
    }
}

async fn a_path_that_was_not_read_is_signed_by_a_key_only_after_it_has_been(backend: Backend) {
    let keys = tempfile::tempdir().unwrap();
    let mut arguments = vec!["--verify-uploads=untrusted".to_owned()];
    for name in ["main-1", "pr-1"] {
        arguments.extend(["--sign-key-path".to_owned(), key(keys.path(), name)]);
    }
    let rules = json!([
        { "bound_subject": "pr", "signing_keys": ["pr-1"], "trusted": true },
        { "bound_subject": "main", "signing_keys": ["main-1"] },
    ]);
    let mut world = World::new(backend, None::<&niks3_test_support::Store>, &rules, &arguments);
    let (own, other) = (nar_of(b"what it should be"), nar_of(b"what it really is"));
    assert_eq!(own.len(), other.len());
    // Other bytes under the true hash, which nobody has read.
    world.api.token = world.token(&json!({ "sub": "pr" }));
    push(&world.api, &[(info(A, &own, &[]), &other)], true)
        .await
        .1
        .ok();
    push(&world.api, &[(info(B, &own, &[]), &own)], true).await.1.ok();
    world.api.token = world.token(&json!({ "sub": "main" }));
    push(&world.api, &[(info(B, &own, &[]), &own)], false)
        .await
        .1
        .ok();
    assert_eq!(signers(&world.api, B), ["main-1", "pr-1"]);
    let (claimed, committed) = push(&world.api, &[(info(A, &own, &[]), &own)], false).await;
    assert_eq!(claimed["needed"], json!([]));
    let problem = committed.problem(409);
    assert_eq!(problem["missing"], json!([format!("nar {A}")]), "{problem}");
    push(&world.api, &[(info(A, &own, &[]), &own)], false)
        .await
        .1
        .ok();
    has(&world.api, A, &own, &[]);
    assert_eq!(signers(&world.api, A), ["main-1"]);
    sound(&world.api).await;
}

async fn of_two_claims_of_one_rank_the_references_that_occur_in_the_nar_win(backend: Backend) {
    for verify in ["all", "none"] {
        let mut ranks = Ranks::new(backend, verify, &[]);
        let (b, c) = (nar_of(b"referred to"), nar_of(b"referred to as well"));
        // The hash part of C occurs in it, that of B does not.
        let nar = nar_of(format!("/nix/store/{C}/bin").as_bytes());
        let others = [(info(B, &b, &[]), b.as_slice()), (info(C, &c, &[]), c.as_slice())];
        // What two pushes claim, and which references the path has in the end.
        let cases: [References<'_>; 6] = [
            ("more", &[], &[C], &[C]),
            ("less", &[C], &[], &[C]),
            ("invented", &[], &[B], &[]),
            ("another", &[B], &[C], &[C]),
            ("both", &[C], &[B, C], &[C]),
            ("neither", &[B], &[], &[B]),
        ];
        let mut replaced = 0;
        for (number, (name, first, second, expected)) in cases.into_iter().enumerate() {
            let path = format!("{:032}-{name}", number + 1);
            let claim = |references: &[&str]| {
                let mut paths = vec![(info(&path, &nar, references), nar.as_slice())];
                paths.extend(others.iter().cloned());
                paths
            };
            ranks.push("pr", &claim(first)).await.1.ok();
            has(&ranks.world.api, &path, &nar, first);
            let (claimed, committed) = ranks.push("other-pr", &claim(second)).await;
            assert_eq!(claimed["needed"], json!([]), "{name}");
            let committed = committed.ok();
            let wins = expected == second;
            let named = |list: &Value| {
                let list = list.as_array().unwrap();
                list.iter()
                    .map(|conflict| conflict["path"].clone())
                    .collect::<Vec<Value>>()
            };
            let path = path.as_str();
            assert_eq!(
                committed["replaced"],
                json!(if wins { vec![path] } else { vec![] }),
                "{name}"
            );
            assert_eq!(
                json!(named(&committed["conflicts"])),
                json!(if wins { vec![] } else { vec![path] })
            );
            let api = &ranks.world.api;
            has(api, path, &nar, expected);
            assert_eq!(signers(api, path), ["pr-1"]);
            if verify == "all" {
                is_listed(api, path, &nar);
            }
            replaced += usize::from(wins);
            // A key of higher rank does not ask which of them occur.
            if name == "both" {
                let committed = ranks.push("main", &claim(&[B])).await.1.ok();
                assert_eq!(committed["replaced"], json!([path]));
                has(&ranks.world.api, path, &nar, &[B]);
                let committed = ranks.push("pr", &claim(&[C])).await.1.ok();
                assert_eq!(named(&committed["conflicts"]), [json!(path)]);
                has(&ranks.world.api, path, &nar, &[B]);
                replaced += 1;
            }
        }
        sound(&ranks.world.api).await;
        let metrics = String::from_utf8(ranks.world.api.server.get("metrics").unwrap()).unwrap();
        let line = format!("niks3_paths_replaced_total {replaced}");
        assert!(metrics.contains(&line), "{metrics}");
        // However often references change within a rank, a higher one replaces them.
        let path = format!("{:032}-often", 10);
        let others: Vec<String> = (100..111).map(|number| format!("{number:032}-other")).collect();
        let text = others
            .iter()
            .map(|other| format!("/nix/store/{other} "))
            .collect::<String>();
        let (nar, own) = (nar_of(text.as_bytes()), nar_of(b"own"));
        for count in 0..=others.len() {
            let references: Vec<&str> = others[..count].iter().map(String::as_str).collect();
            let mut claim = vec![(info(&path, &nar, &references), nar.as_slice())];
            claim.extend(
                references
                    .iter()
                    .map(|other| (info(other, &b, &[]), b.as_slice())),
            );
            let committed = ranks.push("pr", &claim).await.1.ok();
            let replaced = if (1..=10).contains(&count) {
                vec![&path]
            } else {
                vec![]
            };
            assert_eq!(committed["replaced"], json!(replaced), "{count}: {committed}");
        }
        let committed = ranks
            .push("main", &[(info(&path, &own, &[]), own.as_slice())])
            .await
            .1
            .ok();
        assert_eq!(committed["replaced"], json!([path]), "{committed}");
        has(&ranks.world.api, &path, &own, &[]);
        // What a higher rank found in the cache as it has it, and a lower one changes before it commits, is replaced all the same.
        let path = format!("{:032}-changed", 11);
        let nar = nar_of(format!("/nix/store/{C}/bin").as_bytes());
        ranks
            .push("pr", &[(info(&path, &nar, &[]), nar.as_slice())])
            .await
            .1
            .ok();
        ranks.world.api.token = ranks.world.token(&json!({ "sub": "main" }));
        let ours = [(info(&path, &nar, &[]), nar.as_slice())];
        let (id, claimed) = open(&ranks.world.api, &ours, verify == "none").await;
        assert_eq!(claimed["needed"], json!([]));
        let main = ranks.world.api.token.clone();
        let theirs = [
            (info(&path, &nar, &[C]), nar.as_slice()),
            (info(C, &c, &[]), c.as_slice()),
        ];
        assert_eq!(ranks.push("pr", &theirs).await.1.ok()["replaced"], json!([path]));
        ranks.world.api.token = main;
        let url = format!("/pushes/{id}/commit");
        let committed = ranks.world.api.post(&url, &json!({})).await.ok();
        assert_eq!(committed["replaced"], json!([path]), "{committed}");
        has(&ranks.world.api, &path, &nar, &[]);
        sound(&ranks.world.api).await;
        // A push that does not know a reference does not bring it.
        let path = format!("{:032}-unknown", 9);
        ranks
            .push("pr", &[(info(&path, &nar, &[]), nar.as_slice())])
            .await
            .1
            .ok();
        let claim = [(info(&path, &nar, &[C]), nar.as_slice())];
        let committed = ranks.push("other-pr", &claim).await.1.ok();
        assert_eq!(committed["replaced"], json!([]), "{committed}");
        has(&ranks.world.api, &path, &nar, &[]);
    }
}

/// Rules for an owner, whom every key signs for, and for one identity a key.
fn rules_of(keys: &[&str]) -> Value {
    let of = |key: &&str| json!({ "bound_subject": key, "signing_keys": [key] });
    let rules = keys.iter().map(of).chain([json!({ "bound_subject": "owner" })]);
    rules.collect()
}

async fn a_path_has_the_rank_of_the_keys_that_are_configured_now_and_have_signed_what_was_read(
    backend: Backend,
) {
    let folder = tempfile::tempdir().unwrap();
    let [old, pr, _] = ["old-1", "pr-1", "new-1"].map(|name| key(folder.path(), name));
    let rules = rules_of(&["old-1", "pr-1"]);
    let arguments = [
        "--verify-uploads=all",
        "--sign-key-path",
        &old,
        "--sign-key-path",
        &pr,
    ];
    let arguments = arguments.map(str::to_owned);
    let folder = folder.path();
    let mut world = World::new(backend, None::<&niks3_test_support::Store>, &rules, &arguments);
    let (own, other) = (
        nar_of(b"what is there first"),
        nar_of(b"what comes later and is longer"),
    );
    let name = |number: usize| format!("{number:032}-ranked");
    let [read, unread, of_pr, of_old, of_old_too] = [1, 2, 3, 4, 5].map(name);
    // Whether a push of other contents replaces those of a path, or ends in a conflict.
    async fn replaces(world: &mut World, who: &str, path: &str, nar: &[u8]) -> bool {
        world.api.token = world.token(&json!({ "sub": who }));
        let (claimed, committed) = push(&world.api, &[(info(path, nar, &[]), nar)], true).await;
        let committed = committed.ok();
        let replaced = committed["replaced"] == json!([path]);
        assert_eq!(
            claimed["needed"] == json!([path]),
            replaced,
            "{who} {path}: {committed}"
        );
        let conflicts = committed["conflicts"].as_array().unwrap().len();
        assert_eq!(conflicts, usize::from(!replaced), "{who} {path}: {committed}");
        replaced
    }
    let bring = async |world: &mut World, who: &str, path: &str| {
        world.api.token = world.token(&json!({ "sub": who }));
        push(&world.api, &[(info(path, &own, &[]), own.as_slice())], true)
            .await
            .1
            .ok();
    };
    bring(&mut world, "owner", &read).await;
    for (who, path) in [("pr-1", &of_pr), ("old-1", &of_old), ("old-1", &of_old_too)] {
        bring(&mut world, who, path).await;
    }
    world.restart_with("none", folder, &["old-1", "pr-1"], &rules_of(&["old-1", "pr-1"]));
    // The same bytes would have been read already.
    let unread_nar = nar_of(b"what nobody has read");
    world.api.token = world.token(&json!({ "sub": "owner" }));
    push(
        &world.api,
        &[(info(&unread, &unread_nar, &[]), unread_nar.as_slice())],
        true,
    )
    .await
    .1
    .ok();

    // A key that is added signs what is there in a repair, and counts for what was read.
    world.restart_with(
        "none",
        folder,
        &["new-1", "old-1", "pr-1"],
        &rules_of(&["new-1", "old-1", "pr-1"]),
    );
    let mended = run(world.api.server.niks3().args(["fsck", "--repair", "--json"])).json();
    let kinds: BTreeSet<&str> = mended["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["missing-signature"].into(), "{mended}");
    for path in [&read, &unread] {
        assert_eq!(signers(&world.api, path), ["new-1", "old-1", "pr-1"]);
    }
    assert!(!replaces(&mut world, "new-1", &read, &other).await);
    assert!(replaces(&mut world, "new-1", &unread, &other).await);
    assert_eq!(signers(&world.api, &unread), ["new-1"]);

    // Another order: what the key behind has signed is replaced by the one before it, and no longer the other way round.
    world.restart_with(
        "all",
        folder,
        &["new-1", "pr-1", "old-1"],
        &rules_of(&["new-1", "pr-1", "old-1"]),
    );
    assert!(!replaces(&mut world, "old-1", &of_pr, &other).await);
    assert!(replaces(&mut world, "pr-1", &of_old, &other).await);

    // What only a key has signed that is not configured any more ranks below everything.
    world.restart_with("all", folder, &["new-1", "pr-1"], &rules_of(&["new-1", "pr-1"]));
    assert!(!replaces(&mut world, "pr-1", &read, &other).await);
    assert!(replaces(&mut world, "pr-1", &of_old_too, &other).await);
    has(&world.api, &read, &own, &[]);
    for path in [&unread, &of_old, &of_old_too] {
        has(&world.api, path, &other, &[]);
    }
    sound(&world.api).await;
}

/// Every request by which contents are replaced: they are read, the listing before them goes, and theirs come.
const STEPS: [(&str, &str); 4] = [
    ("GET", "/nar/"),
    ("DELETE", ".ls"),
    ("PUT", ".narinfo"),
    ("PUT", ".ls"),
];

async fn replaced_under(fault: Fault, killed: bool) {
    let bucket = garage_bucket();
    let proxy = FaultProxy::before(&bucket.endpoint).await;
    let keys = tempfile::tempdir().unwrap();
    let issuer = niks3_test_support::Issuer::start(&["RS256"]);
    let folder = tempfile::tempdir().unwrap();
    let rules = json!([
        { "bound_subject": "pr", "signing_keys": ["pr-1"] },
        { "bound_subject": "main", "signing_keys": ["main-1"] },
    ]);
    let provider = json!({ "issuer": issuer.url(), "audience": super::world::AUDIENCE, "rules": rules });
    let file = super::world::rule_file(&folder, &json!({ "ci": provider }));
    let mut arguments = vec!["--oidc-config".to_owned(), file.display().to_string()];
    for name in ["main-1", "pr-1"] {
        arguments.extend(["--sign-key-path".to_owned(), key(keys.path(), name)]);
    }
    arguments.push("--verify-uploads=all".into());
    let mut api = Api::with(
        Backend::Services,
        ServerOptions {
            s3_endpoint: Some(proxy.url()),
            bucket: Some(bucket),
            arguments,
            ..ServerOptions::default()
        },
    );
    let token = |who: &str| issuer.token(super::world::AUDIENCE, &json!({ "sub": who }));
    for (number, (method, words)) in STEPS.into_iter().enumerate() {
        let path = format!("{number:032}-killed");
        let own = nar_of(format!("own {number}").as_bytes());
        let other = nar_of(format!("what is replaced {number}").as_bytes());
        api.token = token("pr");
        push(&api, &[(info(&path, &other, &[]), &other)], false)
            .await
            .1
            .ok();
        api.token = token("main");
        let (id, _) = open(&api, &[(info(&path, &own, &[]), &own)], false).await;
        proxy.fail(method, words, fault.clone(), 1);
        let url = format!("{}/api/v1/pushes/{id}/commit", api.server.url());
        let asked = api
            .client
            .post(url)
            .bearer_auth(&api.token)
            .json(&json!({}))
            .send();
        let asked = tokio::spawn(asked);
        proxy.happened().await;
        if killed {
            api.server.kill();
            api.server.resume();
        }
        if matches!(fault, Fault::Delay(_)) {
            // Others that read meanwhile find either contents, or no listing of them.
            check(&api);
        }
        let _ = asked.await.unwrap();
        check(&api);
        if killed {
            // Either contents are whole.
            let seen = lines(&api, &path, "NarHash: ");
            let nar = if seen.contains(&NarHash::of(&own).to_string()) {
                &own
            } else {
                &other
            };
            has(&api, &path, nar, &[]);
        }
        proxy.release();
        api.token = token("main");
        committed(&api, &id).await;
        has(&api, &path, &own, &[]);
        is_listed(&api, &path, &own);
        assert_eq!(signers(&api, &path), ["main-1"]);
        sound(&api).await;
    }
}

/// Nothing is wrong but that a listing may be missing while it is replaced.
#[track_caller]
fn check(api: &Api) {
    let mut report = check_whole_bucket(&api.server, std::path::Path::new("/nix/store"));
    report.flaws.retain(|flaw| flaw.kind != FlawKind::ListingMissing);
    assert!(report.flaws.is_empty(), "{report}");
}

/// Commits, as often as the server says that it may work later.
async fn committed(api: &Api, id: &str) {
    for _ in 0..20 {
        let answer = api.post(&format!("/pushes/{id}/commit"), &json!({})).await;
        if answer.status == 200 {
            return;
        }
        assert!(
            matches!(answer.status.as_u16(), 202 | 503),
            "{}: {}",
            answer.status,
            answer.body
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("it is never committed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_killed_before_any_request_of_a_replacement_completes_it_when_it_is_asked_again() {
    replaced_under(Fault::HoldAndLose, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_killed_after_any_request_of_a_replacement_completes_it_when_it_is_asked_again() {
    replaced_under(Fault::HoldAnswerAndLose, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_of_a_replacement_that_fails_or_takes_long_only_delays_it() {
    // Beside each other, since most of the time they wait.
    let faults = [
        Fault::Status(503),
        Fault::LoseAnswer,
        Fault::Delay(Duration::from_secs(1)),
    ];
    futures::future::join_all(faults.map(|fault| replaced_under(fault, false))).await;
}
