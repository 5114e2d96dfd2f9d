//! What one push does to what others have committed: nothing.

use niks3_nix::hash::NarHash;
use niks3_nix::narinfo::NarInfo;
use niks3_test_support::{Backend, Server, ServerOptions, Site, garage_bucket, on_both, run};
use niks3_tests::api::{A, Answer, Api, B};
use serde_json::{Value, json};

on_both!(
    a_path_that_misdescribes_an_intact_nar_is_withdrawn_alone,
    a_push_that_would_close_a_cycle_is_refused_by_name,
    of_two_commits_at_once_that_would_make_a_cycle_together_one_is_refused,
    a_cycle_that_is_there_already_keeps_nobody_from_publishing,
    a_signature_that_a_path_gains_reaches_readers_with_the_next_push,
    a_path_gains_so_many_signatures_and_only_for_its_own_contents,
    a_commit_that_the_database_has_lost_is_made_again_before_a_collection_takes_its_nars,
    a_push_that_readers_see_nothing_of_goes_with_its_lease,
);

const C: &str = "22222222222222222222222222222222-c";

/// A NAR of a file with a text.
fn nar(text: &str) -> Vec<u8> {
    let mut nar = Vec::new();
    for word in ["nix-archive-1", "(", "type", "regular", "contents", text, ")"] {
        nar.extend((word.len() as u64).to_le_bytes());
        nar.extend(word.bytes());
        nar.resize(nar.len().next_multiple_of(8), 0);
    }
    nar
}

/// What a claim says of a path with such a NAR.
fn info(path: &str, text: &str, references: &[&str]) -> Value {
    let nar = nar(text);
    json!({ "path": path, "nar_hash": NarHash::of(&nar).to_string(), "nar_size": nar.len(), "references": references })
}

/// Opens a push, claims a path and uploads what is needed of it.
async fn uploaded(api: &Api, path: &str, text: &str, references: &[&str], external: &[&str]) -> String {
    let push = api.open(path).await;
    let claims = json!({ "paths": [info(path, text, references)], "external": external });
    let answer = api.post(&format!("/pushes/{push}/paths"), &claims).await.ok();
    if answer["needed"] == json!([path]) {
        let nar = zstd::encode_all(&nar(text)[..], 3).unwrap();
        api.upload(&push, "nar", path, &nar).await;
        api.upload(&push, "listing", path, listing(text).as_bytes()).await;
    }
    push
}

fn listing(text: &str) -> String {
    // Up to the contents: seven words of the NAR, and the length of the text.
    json!({ "version": 1, "root": { "type": "regular", "size": text.len(), "narOffset": 96 } }).to_string()
}

async fn commit(api: &Api, push: &str) -> Answer {
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await
}

async fn push(api: &Api, path: &str, text: &str, references: &[&str], external: &[&str]) -> Answer {
    let push = uploaded(api, path, text, references, external).await;
    commit(api, &push).await
}

fn narinfo(server: &Server, path: &str) -> Option<NarInfo> {
    let text = server.get(&format!("{}.narinfo", &path[..32]))?;
    let store_dir = "/nix/store".parse().unwrap();
    Some(NarInfo::parse(&store_dir, std::str::from_utf8(&text).unwrap()).unwrap())
}

/// The kinds and ends of what a check finds.
fn fsck(server: &Server, arguments: &[&str]) -> Vec<String> {
    let output = run(server.niks3().args(["fsck", "--json"]).args(arguments));
    let done: Value =
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(done["fsck"]["state"], "done", "{done}");
    let findings = done["findings"].as_array().unwrap().iter();
    let mut found: Vec<String> = findings
        .map(|finding| {
            format!(
                "{} {}",
                finding["kind"].as_str().unwrap(),
                finding["state"].as_str().unwrap()
            )
        })
        .collect();
    found.sort();
    found
}

async fn a_path_that_misdescribes_an_intact_nar_is_withdrawn_alone(backend: Backend) {
    let api = Api::new(backend, &[]);
    for (path, references) in [(A, &[][..]), (B, &[]), (C, &[B])] {
        push(&api, path, "one text", references, &[B]).await.ok();
        let pin = format!("pin-{}", &path[33..]);
        let _ = run(api
            .server
            .niks3()
            .args(["pins", "create", &pin, &format!("/nix/store/{path}")]))
        .ok();
    }
    let url = narinfo(&api.server, A).unwrap().url.as_str().to_owned();
    assert_eq!(narinfo(&api.server, B).unwrap().url.as_str(), url);
    assert_eq!(fsck(&api.server, &[]), [""; 0]);

    // As whoever pushed it would have said it: another NAR, or a shorter one than is there.
    let empty = if backend == Backend::Embedded {
        "zeroblob(32)"
    } else {
        r"decode(repeat('00', 32), 'hex')"
    };
    for lie in [format!("nar_hash = {empty}"), "nar_size = 1".to_owned()] {
        let _ = api
            .server
            .sql(&format!("UPDATE paths SET {lie} WHERE name = '{B}'"));
        assert_eq!(
            fsck(&api.server, &[]),
            ["wrong-nar-hash open", "wrong-narinfo open"]
        );
        assert_eq!(
            fsck(&api.server, &["--repair"]),
            [
                "dangling-pin failed",
                "lost-root failed",
                "wrong-nar-hash mended",
                "wrong-narinfo mended"
            ]
        );
        assert!(narinfo(&api.server, B).is_none());
        for path in [A, C] {
            assert_eq!(narinfo(&api.server, path).unwrap().url.as_str(), url);
        }
        assert!(api.server.get(&url).is_some());
        assert!(api.server.get("pins/pin-a").is_some());

        // Whoever has it brings it again.
        push(&api, B, "one text", &[], &[]).await.ok();
        assert_eq!(narinfo(&api.server, B).unwrap().url.as_str(), url);
        assert_eq!(fsck(&api.server, &[]), [""; 0]);
    }
}

async fn a_push_that_would_close_a_cycle_is_refused_by_name(backend: Backend) {
    let api = Api::new(backend, &[]);
    // A refers to B, which it leaves out; a push that has begun before does it the other way round.
    let late = uploaded(&api, B, "b", &[A], &[A]).await;
    push(&api, A, "a", &[B], &[B]).await.ok();
    for push in [late, uploaded(&api, B, "b", &[A], &[A]).await] {
        let problem = commit(&api, &push).await.problem(422);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("{B} -> {A} -> {B}")), "{detail}");
    }
    assert!(narinfo(&api.server, B).is_none() && narinfo(&api.server, A).is_some());

    // Through a third one, and with one that was in the cache before.
    push(&api, C, "c", &[A], &[A]).await.ok();
    let problem = push(&api, B, "b", &[C], &[C]).await.problem(422);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("{B} -> {C} -> {A} -> {B}")), "{detail}");

    // What was left out and refers to nothing, or to itself, is welcome.
    push(&api, B, "b", &[B], &[]).await.ok();
    assert_eq!(fsck(&api.server, &[]), [""; 0]);

    // A path whose NAR is lost comes back with other references than it had.
    let url = narinfo(&api.server, B).unwrap().url.as_str().to_owned();
    api.server.bucket().delete(&url);
    assert!(fsck(&api.server, &["--repair"]).contains(&"missing-nar mended".to_owned()));
    push(&api, B, "b", &[C], &[C]).await.problem(422);
    push(&api, B, "b", &[], &[]).await.ok();
    assert!(narinfo(&api.server, B).is_some());
}

async fn of_two_commits_at_once_that_would_make_a_cycle_together_one_is_refused(backend: Backend) {
    let api = Api::new(backend, &[]);
    for round in 0..5 {
        let [one, other] = ["one", "other"].map(|name| {
            format!(
                "{}{round}-{name}",
                if name == "one" { "4" } else { "5" }.repeat(31)
            )
        });
        let first = uploaded(&api, &one, &one, &[&other], &[&other]).await;
        let second = uploaded(&api, &other, &other, &[&one], &[&one]).await;
        let (first, second) = tokio::join!(commit(&api, &first), commit(&api, &second));
        let mut statuses = [first.status.as_u16(), second.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 422], "{} {}", first.body, second.body);
    }
}

async fn a_cycle_that_is_there_already_keeps_nobody_from_publishing(backend: Backend) {
    let api = Api::new(backend, &[]);
    push(&api, A, "a", &[B], &[B]).await.ok();
    push(&api, B, "b", &[], &[]).await.ok();
    let id = &api
        .server
        .sql(&format!("SELECT id FROM paths WHERE name = '{A}'"))[0];
    let packed: String = id
        .parse::<i64>()
        .unwrap()
        .to_le_bytes()
        .map(|byte| format!("{byte:02x}"))
        .concat();
    let packed = match backend {
        Backend::Embedded => format!("x'{packed}'"),
        Backend::Services => format!("decode('{packed}', 'hex')"),
    };
    let _ = api
        .server
        .sql(&format!("UPDATE paths SET refs = {packed} WHERE name = '{B}'"));
    for path in [A, B] {
        api.server.bucket().delete(&format!("{}.narinfo", &path[..32]));
    }
    assert_eq!(fsck(&api.server, &["--repair"]), ["missing-narinfo mended"; 2]);
    assert!(narinfo(&api.server, A).is_some() && narinfo(&api.server, B).is_some());
    assert_eq!(fsck(&api.server, &[]), [""; 0]);

    // Whoever relies on both has nothing to do with it, also when their narinfos have to be written.
    api.server.bucket().delete(&format!("{}.narinfo", &B[..32]));
    let _ = api.server.sql("UPDATE paths SET state = 1");
    let answer = push(&api, C, "c", &[A, B], &[A, B]).await.ok();
    assert_eq!(answer["paths_added"], 1, "{answer}");
    assert!([A, B, C].iter().all(|path| narinfo(&api.server, path).is_some()));
    assert_eq!(fsck(&api.server, &[]), [""; 0]);
}

async fn a_signature_that_a_path_gains_reaches_readers_with_the_next_push(backend: Backend) {
    let site = Site::new(backend).await;
    let app = site.store.build(niks3_test_support::APP).remove(0);
    let _ = site.push(&app).ok();
    let secret = site
        .store
        .nix("nix", &["key", "generate-secret", "--key-name", "builder-1"]);
    let key = site.store.path("secret").display().to_string();
    std::fs::write(&key, &secret).unwrap();
    site.store
        .nix("nix", &["store", "sign", "-k", &key, "--recursive", &app]);
    let secret: niks3_nix::signature::SecretKey = secret.trim().parse().unwrap();
    let public = secret.public_key().to_string();
    for _ in 0..2 {
        let pushed = site.push(&app).json();
        assert_eq!(pushed["uploaded"], 0, "{pushed}");
        for path in site.store.closure(&app) {
            let name = path.rsplit('/').next().unwrap();
            let text = site.server.get(&format!("{}.narinfo", &name[..32])).unwrap();
            let store_dir = site.store.dir().to_str().unwrap().parse().unwrap();
            let info = NarInfo::parse(&store_dir, std::str::from_utf8(&text).unwrap()).unwrap();
            let keys: Vec<&str> = info.sigs.iter().map(|signature| signature.key_name()).collect();
            assert_eq!(keys.len(), 2, "{keys:?}");
            assert!(keys.contains(&"builder-1"), "{keys:?}");
        }
        // Who trusts only one of them is served as well as who trusts the other.
        site.store.substitutes(&site.server.url(), public.trim(), &app);
        site.whole(&app);
        assert_eq!(fsck(&site.server, &[]), [""; 0]);
    }
}

async fn a_path_gains_so_many_signatures_and_only_for_its_own_contents(backend: Backend) {
    let api = Api::new(backend, &[]);
    push(&api, A, "a", &[], &[]).await.ok();
    let signatures = |names: std::ops::Range<usize>| -> Vec<String> {
        names
            .map(|name| format!("key-{name:02}:{}==", "A".repeat(86)))
            .collect()
    };
    let count = || narinfo(&api.server, A).unwrap().sigs.len();
    let offered = async |text: &str, signatures: Vec<String>| {
        let push = api.open(A).await;
        let mut info = info(A, text, &[]);
        info["signatures"] = json!(signatures);
        api.claim(&push, json!([info])).await.ok();
        commit(&api, &push).await.ok();
    };
    assert_eq!(count(), 1);
    offered("another text", signatures(0..2)).await;
    assert_eq!(count(), 1);
    offered("a", signatures(0..2)).await;
    assert_eq!(count(), 3);
    offered("a", signatures(0..40)).await;
    assert_eq!(count(), 17);
    offered("a", signatures(40..60)).await;
    assert_eq!(count(), 17);
    assert_eq!(fsck(&api.server, &[]), [""; 0]);
}

const DRV: &str = "33333333333333333333333333333333-c.drv";

/// Opens a pinned push of C, which refers to A and has a log and a realisation, and uploads all of it.
async fn ready(api: &Api) -> String {
    let opened = json!({ "store_dir": "/nix/store", "roots": [C], "pin": "release" });
    let push = api.post("/pushes", &opened).await.ok()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut root = info(C, "c", &[A]);
    root["deriver"] = json!(DRV);
    api.claim(&push, json!([info(A, "a", &[]), root])).await.ok();
    for (path, text) in [(A, "a"), (C, "c")] {
        let nar = zstd::encode_all(&nar(text)[..], 3).unwrap();
        api.upload(&push, "nar", path, &nar).await;
        api.upload(&push, "listing", path, listing(text).as_bytes()).await;
    }
    api.upload(&push, "log", DRV, b"built").await;
    let realisation = json!({ "realisations": [{ "output": "out", "path": C, "drv": DRV }] });
    let path = format!("/api/v1/pushes/{push}/realisations");
    api.send(
        reqwest::Method::PUT,
        &path,
        &api.token,
        "application/json",
        realisation.to_string(),
    )
    .await
    .ok();
    push
}

fn collect(server: &Server) {
    // Its lease has run out, and nothing that it wrote can still be on its way.
    let _ = server.sql("UPDATE pushes SET lease_until = lease_until - 7200 WHERE state IN (0, 1)");
    let grace = ["--older-than=1h", "--failed-uploads-older-than=0s", "--force"];
    let _ = run(server.niks3().arg("gc").args(grace)).ok();
}

/// A copy of the database of a server that does not run, as a standby has it; its URL.
fn copied(server: &Server) -> String {
    let url = server.db();
    match url.strip_prefix("sqlite://") {
        Some(path) => {
            for end in ["", "-wal"] {
                let from = format!("{path}{end}");
                if std::path::Path::new(&from).exists() {
                    std::fs::copy(&from, path.replace("niks3.db", "copy.db") + end).unwrap();
                }
            }
            url.replace("niks3.db", "copy.db")
        }
        None => {
            let mut parts = url.split(['/', '?']);
            let name = parts.find(|part| part.starts_with("test_")).unwrap();
            let _ = server.sql(&format!("CREATE DATABASE {name}_copy TEMPLATE {name}"));
            url.replacen(name, &format!("{name}_copy"), 1)
        }
    }
}

/// What `decide` makes of the paths of the only push.
const DECIDED: [&str; 2] = [
    "UPDATE paths SET state = 1, nar_hash = c.nar_hash, nar_size = c.nar_size, refs = c.refs, deriver = c.deriver, \
     object_id = c.object_id, listing = c.listing, listing_size = c.listing_size \
     FROM push_paths c WHERE c.path_id = paths.id AND c.kind = 1",
    "UPDATE pushes SET state = 1, result = '2'",
];

async fn a_commit_that_the_database_has_lost_is_made_again_before_a_collection_takes_its_nars(
    backend: Backend,
) {
    // Lost with the decision, or after it; and given up by a client that did not hear of its success.
    for (decided, aborted) in [(false, false), (true, false), (false, true)] {
        let bucket = (backend == Backend::Services).then(garage_bucket);
        let folder = tempfile::tempdir().unwrap();
        let options = |db| ServerOptions {
            data_dir: Some(folder.path().to_owned()),
            bucket: bucket.clone(),
            db,
            ..ServerOptions::default()
        };
        let mut api = Api::of(Server::with(backend, options(None)));
        let push = ready(&api).await;
        api.server.kill();
        let copy = copied(&api.server);
        api.server.resume();
        commit(&api, &push).await.ok();
        assert!(api.server.get("pins/release").is_some());
        api.server.kill();

        let server = Server::with(backend, options(Some(copy)));
        if decided {
            for statement in DECIDED {
                let _ = server.sql(statement);
            }
        }
        if aborted {
            let url = format!("{}/api/v1/pushes/{push}", server.url());
            let answer = api
                .client
                .delete(url)
                .bearer_auth(server.token())
                .send()
                .await
                .unwrap();
            assert!(answer.status().is_success(), "{answer:?}");
        }
        collect(&server);
        for path in [A, C] {
            let info = narinfo(&server, path).unwrap();
            assert!(server.get(info.url.as_str()).is_some(), "the NAR of {path}");
        }
        assert_eq!(fsck(&server, &[]), [""; 0]);
        let text = |key: &str| server.get(key).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(text("pins/release").unwrap(), format!("/nix/store/{C}\n"));
        assert_eq!(text(&format!("log/{DRV}")).unwrap(), "built");
        assert!(text(&format!("build-trace-v2/{DRV}/out.doi")).is_some());
        let said = run(server.niks3().args(["pins", "list", "--json"])).ok();
        assert!(said.contains(C), "{said}");
        let said = run(server.niks3().args(["closures", "list", "--json"])).ok();
        assert!(said.contains(C), "{said}");
        // It is a push like any: its client hears the same again, and it goes when the retention says.
        let api = Api::of(server);
        commit(&api, &push).await.ok();
        let _ = run(api.server.niks3().args(["pins", "delete", "release"])).ok();
        let _ = run(api.server.niks3().args(["gc", "--older-than=0s", "--force"])).ok();
        assert!([A, C].iter().all(|path| narinfo(&api.server, path).is_none()));
        assert_eq!(fsck(&api.server, &[]), [""; 0]);
    }
}

async fn a_push_that_readers_see_nothing_of_goes_with_its_lease(backend: Backend) {
    let api = Api::new(backend, &[]);
    let push = ready(&api).await;
    // Of another path with the same name's hash part, but not of what the push says, readers may see something.
    let stray = format!("{}.narinfo", &A[..32]);
    api.server.bucket().put(&stray, b"nonsense");
    collect(&api.server);
    commit(&api, &push).await.problem(404);
    assert!(
        api.server
            .bucket()
            .keys()
            .iter()
            .all(|key| !key.starts_with("nar/"))
    );
    assert_eq!(
        api.server.sql("SELECT count(*) FROM paths WHERE state <> 0"),
        ["0"]
    );
}
