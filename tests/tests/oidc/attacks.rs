//! A table of attackers and an owner: what identities of every key rank have pushed of the owner's paths before it, by raw
//! requests and by the real client, with and without verification. Then the owner pushes what it has built.

use std::collections::BTreeSet;
use std::path::Path;

use niks3_nix::ca::ContentAddress;
use niks3_nix::hash::NarHash;
use niks3_nix::nar::{DumpOptions, dump, listing_of};
use niks3_test_support::{Backend, FlawKind, Store, check_whole_bucket, on_both, run};
use niks3_tests::api::{Answer, Api, nar_of};
use serde_json::{Value, json};

use super::signing::key;
use super::world::World;

on_both!(
    an_owner_has_its_contents_whatever_others_have_pushed_that_are_read,
    an_owner_has_its_contents_whatever_others_have_pushed_that_are_not_trusted,
    an_owner_has_its_contents_again_once_a_check_has_found_what_was_not_read,
);

/// The keys of the server, the highest first; the last is taken away before the owner pushes.
const KEYS: [&str; 4] = ["top-1", "main-1", "pr-1", "gone-1"];

/// How the key of an attacker ranks beside that of the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    Higher,
    Equal,
    Lower,
    /// It is not configured any more.
    None,
}

impl Rank {
    const ALL: [Self; 4] = [Self::Higher, Self::Equal, Self::Lower, Self::None];

    const fn key(self) -> &'static str {
        match self {
            Self::Higher => KEYS[0],
            Self::Equal => KEYS[1],
            Self::Lower => KEYS[2],
            Self::None => KEYS[3],
        }
    }

    const fn subject(self) -> &'static str {
        match self {
            Self::Higher => "attacker-of-higher-rank",
            Self::Equal => "attacker-of-equal-rank",
            Self::Lower => "attacker-of-lower-rank",
            Self::None => "attacker-of-no-rank",
        }
    }
}

/// What an attacker pushes of a path of the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attack {
    /// The true hash over other bytes of that size.
    OtherBytes,
    /// The true hash over what cannot be decompressed.
    NoZstd,
    /// The true hash over a part.
    Truncated,
    SmallerSize,
    LargerSize,
    /// The true content address over something else.
    AddressOfOwner,
    /// Something else, and that is what it is said to be.
    OtherContents,
    FewerReferences,
    MoreReferences,
    OtherReferences,
    /// The same of a path that the owner claims with its content address, which the attacker leaves out.
    OtherContentsOfAddressed,
}

impl Attack {
    const ALL: [Self; 11] = [
        Self::OtherBytes,
        Self::NoZstd,
        Self::Truncated,
        Self::SmallerSize,
        Self::LargerSize,
        Self::AddressOfOwner,
        Self::OtherContents,
        Self::FewerReferences,
        Self::MoreReferences,
        Self::OtherReferences,
        Self::OtherContentsOfAddressed,
    ];

    const fn is_of_addressed(self) -> bool {
        matches!(self, Self::AddressOfOwner | Self::OtherContentsOfAddressed)
    }

    /// A server that reads finds out.
    const fn is_lie(self) -> bool {
        matches!(
            self,
            Self::OtherBytes
                | Self::NoZstd
                | Self::Truncated
                | Self::SmallerSize
                | Self::LargerSize
                | Self::AddressOfOwner
        )
    }

    /// What the attacker has brought is still there when the owner has pushed.
    fn stays(self, rank: Rank) -> bool {
        // Of equal claims the references win that occur in the NAR.
        let ties = matches!(self, Self::FewerReferences | Self::OtherReferences);
        !self.is_lie() && (rank == Rank::Higher || (rank == Rank::Equal && !ties))
    }
}

/// A path as its owner has built it.
struct OwnPath {
    /// Full name.
    name: String,
    nar: Vec<u8>,
    references: Vec<String>,
    ca: Option<ContentAddress>,
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn packed(nar: &[u8]) -> Vec<u8> {
    zstd::encode_all(nar, 3).unwrap()
}

impl OwnPath {
    fn of(name: &str, references: &[&str]) -> Self {
        let mut nar = Vec::new();
        dump(Path::new(name), &mut nar, DumpOptions::default()).unwrap();
        Self {
            name: name.to_owned(),
            nar,
            references: references.iter().map(|path| base(path).to_owned()).collect(),
            ca: None,
        }
    }

    fn base(&self) -> &str {
        base(&self.name)
    }

    fn claim(&self) -> Value {
        json!({
            "path": self.base(), "nar_hash": NarHash::of(&self.nar).to_string(), "nar_size": self.nar.len(),
            "references": self.references,
        })
    }
}

/// What the owner has built: for each attack and rank a path of its own.
struct Built {
    store: Store,
    /// A path that the others refer to.
    referred: OwnPath,
    /// One that they do not refer to.
    other: OwnPath,
    attacked: Vec<(Attack, Rank, OwnPath)>,
}

impl Built {
    fn new() -> Self {
        let store = Store::default();
        let cases: Vec<(Attack, Rank)> = Attack::ALL
            .into_iter()
            .flat_map(|attack| Rank::ALL.map(|rank| (attack, rank)))
            .collect();
        let (addressed, others): (Vec<_>, Vec<_>) = cases
            .into_iter()
            .partition(|(attack, _)| attack.is_of_addressed());
        let builds: String = (0..others.len())
            .map(|number| {
                format!("(build \"path-{number}\" \"mkdir $out; echo {number} ${{referred}} > $out/file\")")
            })
            .collect();
        let referred = "referred = build \"referred\" \"echo referred > $out\"";
        let built = store.build(&format!(
            "let {referred}; in [ referred (build \"other\" \"echo other > $out\") {builds} ]"
        ));
        let texts: String = (0..addressed.len())
            .map(|number| format!("(builtins.toFile \"text-{number}\" \"text {number}\")"))
            .collect();
        let texts = store.nix(
            "nix-instantiate",
            &[
                "--eval",
                "--strict",
                "--json",
                "--read-write-mode",
                "-E",
                &format!("[ {texts} ]"),
            ],
        );
        let texts: Vec<String> = serde_json::from_str(&texts).unwrap();
        let of_texts = addressed.into_iter().zip(texts).map(|((attack, rank), name)| {
            let mut path = OwnPath::of(&name, &[]);
            let text = std::fs::read(&name).unwrap();
            let ca = format!("text:{}", niks3_nix::hash::FileHash::of(&text));
            path.ca = Some(ca.parse().unwrap());
            (attack, rank, path)
        });
        let of_builds = others
            .into_iter()
            .zip(&built[2..])
            .map(|((attack, rank), name)| (attack, rank, OwnPath::of(name, &[&built[0]])));
        let attacked = of_builds.chain(of_texts).collect();
        Self {
            referred: OwnPath::of(&built[0], &[]),
            other: OwnPath::of(&built[1], &[]),
            attacked,
            store,
        }
    }

    /// Claims something of one path, and of all that may be referred to, and uploads what is needed.
    async fn push(&self, api: &Api, path: &OwnPath, claim: Value, file: &[u8]) -> Answer {
        let opened = json!({ "store_dir": self.store.dir(), "roots": [path.base()] });
        let opened = api.post("/pushes", &opened).await.ok();
        let id = opened["id"].as_str().unwrap();
        let claims = json!([claim, self.referred.claim(), self.other.claim()]);
        let claimed = api.claim(id, claims).await;
        if !claimed.status.is_success() {
            return claimed;
        }
        if claimed.json()["needed"] == json!([path.base()]) {
            api.upload(id, "nar", path.base(), file).await;
            if opened["verifies_uploads"] == false {
                let nar = zstd::decode_all(file).ok();
                let listing = nar.and_then(|nar| Some(listing_of(nar.as_slice()).ok()?.listing.to_json()));
                let listing = listing.unwrap_or_else(|| b"{}".to_vec());
                api.upload(id, "listing", path.base(), &listing).await;
            }
        }
        api.post(&format!("/pushes/{id}/commit"), &json!({})).await
    }

    async fn attack(&self, api: &Api, attack: Attack, path: &OwnPath, rank: Rank) -> Answer {
        let mut claim = path.claim();
        let mut file = packed(&path.nar);
        let mut others = |claim: &mut Value| {
            let nar = nar_of(format!("{attack:?} by {rank:?}").as_bytes());
            claim["nar_hash"] = json!(NarHash::of(&nar).to_string());
            claim["nar_size"] = json!(nar.len());
            claim["references"] = json!([]);
            file = packed(&nar);
        };
        match attack {
            Attack::OtherBytes => {
                let mut nar = path.nar.clone();
                let place = nar.windows(6).position(|window| window == b"/store").unwrap();
                nar[place] = b'!';
                file = packed(&nar);
            }
            Attack::NoZstd => file = format!("no zstd by {rank:?}").into_bytes(),
            Attack::Truncated => file.truncate(file.len() - 3),
            Attack::SmallerSize => claim["nar_size"] = json!(path.nar.len() - 8),
            Attack::LargerSize => claim["nar_size"] = json!(path.nar.len() + 8),
            Attack::AddressOfOwner => {
                others(&mut claim);
                claim["ca"] = json!(path.ca.as_ref().unwrap().to_string());
            }
            Attack::OtherContents | Attack::OtherContentsOfAddressed => others(&mut claim),
            Attack::FewerReferences => claim["references"] = json!([]),
            Attack::MoreReferences => {
                claim["references"] = json!([self.referred.base(), self.other.base()]);
            }
            Attack::OtherReferences => claim["references"] = json!([self.other.base()]),
        }
        self.push(api, path, claim, &file).await
    }
}

/// Rules for the attackers whose keys are there, and for the owner.
fn rules(keys: &[&str], owner_is_trusted: bool) -> Value {
    let attackers = Rank::ALL
        .into_iter()
        .filter(|rank| keys.contains(&rank.key()))
        .map(|rank| json!({ "bound_subject": rank.subject(), "signing_keys": [rank.key()] }));
    let owner = json!({ "bound_subject": "owner", "signing_keys": ["main-1"], "trusted": owner_is_trusted });
    attackers.chain([owner]).collect()
}

/// A path, all of whose contents come out of a file beside the store, so that it can be built otherwise.
fn unstable(store: &Store, rank: Rank) -> String {
    let flag = store.path("flag").display().to_string();
    format!("(build \"unstable-{rank:?}\" \": ${{referred}}; cat {flag} > $out\")")
}

fn build_unstable(store: &Store, contents: &str) -> Vec<String> {
    std::fs::write(store.path("flag"), contents).unwrap();
    let builds: String = Rank::ALL.map(|rank| unstable(store, rank)).concat();
    store.build(&format!(
        "let referred = build \"referred\" \"echo referred > $out\"; in [ {builds} ]"
    ))
}

fn push_by_client(world: &World, store: &Store, who: &str, paths: &[&str]) -> Value {
    let file = world.token_file(&world.token(&json!({ "sub": who })));
    let mut command = world.api.server.niks3();
    command
        .env("NIKS3_AUTH_TOKEN_FILE", file)
        .args(["push", "--json"])
        .args(paths);
    store.prepare(&mut command);
    run(&mut command).json()
}

/// The independent checker finds nothing, but paths that a key has signed which is not there any more.
#[track_caller]
fn sound(world: &World, store: &Store, gone: bool) {
    let mut report = check_whole_bucket(&world.api.server, &store.dir());
    report.flaws.retain(|flaw| {
        !(gone && flaw.kind == FlawKind::Signature && flaw.detail == "no signature by a trusted key")
    });
    assert!(report.flaws.is_empty(), "{report}");
}

fn names(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().unwrap().iter();
    let name = |item: &Value| {
        item["path"]
            .as_str()
            .or(item.as_str())
            .map(base)
            .unwrap()
            .to_owned()
    };
    list.map(name).collect()
}

async fn table(backend: Backend, verify: &str) {
    let built = Built::new();
    let store = &built.store;
    let keys = tempfile::tempdir().unwrap();
    let mut arguments = vec![format!("--verify-uploads={verify}")];
    for name in KEYS {
        arguments.extend(["--sign-key-path".to_owned(), key(keys.path(), name)]);
    }
    let is_trusted = verify == "untrusted";
    let mut world = World::new(backend, Some(store), &rules(&KEYS, is_trusted), &arguments);
    push_by_client(&world, store, "owner", &[&built.referred.name, &built.other.name]);

    // Attackers come first: by raw requests,
    for (attack, rank, path) in &built.attacked {
        world.api.token = world.token(&json!({ "sub": rank.subject() }));
        let answer = built.attack(&world.api, *attack, path, *rank).await;
        if attack.is_lie() && verify != "none" {
            answer.problem(422);
        } else {
            let committed = answer.ok();
            assert_eq!(
                committed["conflicts"],
                json!([]),
                "{attack:?} {rank:?}: {committed}"
            );
        }
        if verify != "none" && *rank == Rank::None {
            sound(&world, store, false);
        }
    }
    // and by the real client, of what they have built otherwise.
    let unstable = build_unstable(store, "as an attacker has built it");
    for (rank, path) in Rank::ALL.into_iter().zip(&unstable) {
        let pushed = push_by_client(&world, store, rank.subject(), &[path]);
        assert_eq!(pushed["uploaded"], 1, "{rank:?}: {pushed}");
    }
    if verify == "none" {
        // What nobody has read a check finds, and nothing else.
        let report = run(world.api.server.niks3().args(["fsck", "--repair", "--json"]));
        let report: Value = serde_json::from_str(&report.stdout).unwrap();
        let found = report["findings"].as_array().unwrap().iter();
        let wrong = ["wrong-nar-hash", "wrong-content-address"];
        let is_wrong = |finding: &&Value| wrong.iter().any(|kind| finding["kind"] == *kind);
        let found = found.filter(is_wrong).count();
        let lies = Attack::ALL.iter().filter(|attack| attack.is_lie()).count();
        assert_eq!(found, lies * Rank::ALL.len(), "{report}");
    }
    sound(&world, store, false);
    let left = &KEYS[..3];
    world.restart_with(verify, keys.path(), left, &rules(left, is_trusted));
    sound(&world, store, true);

    // The owner pushes what it has built, all at once.
    let mut arguments = vec!["--delete"];
    arguments.extend(unstable.iter().map(String::as_str));
    store.nix("nix-store", &arguments);
    let contents = format!("as its owner has built it, with {}\n", built.referred.name);
    assert_eq!(build_unstable(store, &contents), unstable);
    let all: Vec<&str> = built
        .attacked
        .iter()
        .map(|(_, _, path)| path.name.as_str())
        .collect();
    let all: Vec<&str> = all
        .into_iter()
        .chain(unstable.iter().map(String::as_str))
        .collect();
    let pushed = push_by_client(&world, store, "owner", &all);
    let is_kept = |rank: Rank| matches!(rank, Rank::Higher | Rank::Equal);
    let (mut kept, mut replaced, mut own) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for (attack, rank, path) in &built.attacked {
        if attack.stays(*rank) {
            kept.insert(path.base().to_owned());
        } else {
            own.push(path.name.as_str());
            replaced.extend((!attack.is_lie()).then(|| path.base().to_owned()));
        }
    }
    for (rank, path) in Rank::ALL.into_iter().zip(&unstable) {
        if is_kept(rank) {
            kept.insert(base(path).to_owned());
        } else {
            own.push(path);
            replaced.insert(base(path).to_owned());
        }
    }
    assert_eq!(names(&pushed["conflicts"]), kept, "{verify}");
    assert_eq!(names(&pushed["replaced"]), replaced, "{verify}");
    for conflict in pushed["conflicts"].as_array().unwrap() {
        assert_ne!(conflict["differences"], json!([]), "{conflict}");
    }

    // What is its own is whole, signed by its key, and what Nix substitutes.
    sound(&world, store, false);
    for path in &own {
        let text = world
            .api
            .server
            .get(&format!("{}.narinfo", &base(path)[..32]))
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("\nSig: main-1:"), "{text}");
    }
    let public = world.api.server.public_key().to_owned();
    let public = public.split(' ').find(|key| key.starts_with("main-1:")).unwrap();
    store.substitutes_all(&world.api.server.url(), public, &own);
    let again = push_by_client(&world, store, "owner", &own);
    assert_eq!(
        (&again["uploaded"], &again["conflicts"]),
        (&json!(0), &json!([])),
        "{again}"
    );

    if verify == "all" {
        later_attacks(&mut world, &built).await;
    }
}

/// Attackers of no higher rank come later, and change nothing.
async fn later_attacks(world: &mut World, built: &Built) {
    let narinfo = |world: &World, path: &OwnPath| {
        let text = world
            .api
            .server
            .get(&format!("{}.narinfo", &path.base()[..32]))
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("Sig: "));
        lines.map(str::to_owned).collect::<Vec<String>>()
    };
    for (attack, rank, path) in &built.attacked {
        if !matches!(rank, Rank::Equal | Rank::Lower) || attack.stays(*rank) {
            continue;
        }
        let before = narinfo(world, path);
        world.api.token = world.token(&json!({ "sub": rank.subject() }));
        let answer = built.attack(&world.api, *attack, path, *rank).await;
        answer.ok();
        assert_eq!(narinfo(world, path), before, "{attack:?} {rank:?}");
    }
    sound(world, &built.store, false);
}

async fn an_owner_has_its_contents_whatever_others_have_pushed_that_are_read(backend: Backend) {
    table(backend, "all").await;
}

async fn an_owner_has_its_contents_whatever_others_have_pushed_that_are_not_trusted(backend: Backend) {
    table(backend, "untrusted").await;
}

async fn an_owner_has_its_contents_again_once_a_check_has_found_what_was_not_read(backend: Backend) {
    table(backend, "none").await;
}
