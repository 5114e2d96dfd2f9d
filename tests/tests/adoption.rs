//! Buckets that others have filled: `niks3 fsck --repair` adopts what Nix can read, in every compression and encoding,
//! deletes nothing, and the rules of collections hold for it afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use niks3_test_support::{
    Backend, Bucket, Output, S3Bucket, S3Service, Server, ServerOptions, Store, check_bucket, eventually,
    garage_bucket, on_both, run,
};
use serde_json::{Value, json};

on_both!(
    what_nix_copy_has_written_is_adopted_whole_in_every_compression,
    what_the_original_has_written_is_adopted_whole,
    what_only_others_have_signed_waits_for_trust_key,
    a_narinfo_whose_nar_is_gone_is_removed_and_nothing_else,
    nothing_is_collected_while_a_repair_adopts,
);

/// A bucket that somebody else fills before a server comes.
struct Place {
    backend: Backend,
    service: Option<S3Bucket>,
    folder: tempfile::TempDir,
    store: Store,
    public_key: String,
}

impl Place {
    fn new(backend: Backend) -> Self {
        let service = (backend == Backend::Services).then(garage_bucket);
        Self::on(backend, service, Store::default())
    }

    fn on(backend: Backend, service: Option<S3Bucket>, store: Store) -> Self {
        let public_key = key(&store, "cache-1");
        Self {
            backend,
            service,
            folder: tempfile::tempdir().unwrap(),
            public_key,
            store,
        }
    }

    fn bucket(&self) -> Bucket {
        match &self.service {
            Some(bucket) => Bucket::Service(Box::new(bucket.clone())),
            None => Bucket::Folder(self.folder.path().join("bucket")),
        }
    }

    /// A server that takes the bucket over, and signs with the key of whoever has filled it.
    fn start(&self) -> Server {
        Server::with(
            self.backend,
            ServerOptions {
                data_dir: Some(self.folder.path().to_owned()),
                bucket: self.service.clone(),
                store_dir: Some(self.store.dir()),
                arguments: vec![
                    "--adopt-bucket=none".into(),
                    format!("--sign-key-path={}", self.store.path("cache-1.secret").display()),
                ],
                ..ServerOptions::default()
            },
        )
    }

    /// Fills a folder by `nix copy`.
    fn copy(&self, cache: &Path, options: &str, path: &str) {
        let url = format!("file://{}?write-nar-listing=true&{options}", cache.display());
        let _ = self.store.nix("nix", &["copy", "--to", &url, path]);
    }

    fn put(&self, key: &str, bytes: &[u8], encoding: Option<&str>) {
        match encoding {
            Some(encoding) => self.bucket().put_encoded(key, bytes, encoding),
            None => self.bucket().put(key, bytes),
        }
    }

    fn fill(&self, cache: &Path) {
        for (key, bytes) in files(cache) {
            self.put(&key, &bytes, None);
        }
    }
}

/// Makes a key; its public part.
fn key(store: &Store, name: &str) -> String {
    let (secret, public) = (
        store.path(&format!("{name}.secret")),
        store.path(&format!("{name}.public")),
    );
    let _ = store.nix(
        "nix-store",
        &[
            "--generate-binary-cache-key",
            name,
            secret.to_str().unwrap(),
            public.to_str().unwrap(),
        ],
    );
    fs::read_to_string(public).unwrap()
}

fn secret(store: &Store, name: &str) -> String {
    format!("secret-key={}", store.path(&format!("{name}.secret")).display())
}

/// The files below a folder, by their names in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn fsck(server: &Server, arguments: &[&str]) -> (Output, Value) {
    let output = run(server.niks3().args(["fsck", "--json"]).args(arguments));
    let done: Value =
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(done["fsck"]["state"], "done", "{done}");
    (output, done)
}

/// Kind, key, state and reason of every finding but those about objects of others.
fn findings(done: &Value) -> Vec<(String, String, String, String)> {
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap_or_default().to_owned();
    let findings = done["findings"].as_array().unwrap().iter();
    let findings = findings.map(|finding| {
        (
            text(finding, "kind"),
            text(finding, "subject"),
            text(finding, "state"),
            text(finding, "reason"),
        )
    });
    findings.filter(|(kind, ..)| kind != "foreign-object").collect()
}

/// What the server writes by itself.
fn own(key: &str) -> bool {
    ["niks3-owner.json", "index.html", "nix-cache-info"].contains(&key)
}

/// Adopts everything, and asserts that nothing is changed or deleted by that.
fn adopt_all(place: &Place, server: &Server) {
    let keys: BTreeSet<String> = place
        .bucket()
        .keys()
        .into_iter()
        .filter(|key| !own(key))
        .collect();
    let contents = |key: &String| (key.clone(), server.get(key));
    let before: BTreeMap<String, Option<Vec<u8>>> = keys.iter().map(contents).collect();
    assert!(before.values().all(Option::is_some), "{keys:?}");
    let refused = run(server.niks3().args(["gc", "--older-than=0s"]));
    assert!(
        refused.code == 1 && refused.stderr.contains("fsck --repair"),
        "{refused:?}"
    );
    let (_, planned) = fsck(server, &["--repair", "--dry-run"]);
    for (kind, subject, state, reason) in findings(&planned) {
        assert_eq!(state, "open", "{kind} {subject}");
        assert!(
            kind != "unknown-narinfo" || reason == "it would be adopted",
            "{subject}: {reason}"
        );
    }
    let (output, done) = fsck(server, &["--repair"]);
    let found = findings(&done);
    assert_eq!(found.len(), findings(&planned).len());
    assert!(found.iter().all(|(.., state, _)| state == "mended"), "{found:?}");
    assert_eq!(output.code, 0, "{output:?}");
    let after: BTreeMap<String, Option<Vec<u8>>> = keys.iter().map(contents).collect();
    for key in keys {
        assert!(
            after[&key] == before[&key],
            "{key} is another than before the repair"
        );
    }
    let (output, done) = fsck(server, &[]);
    assert!(output.code == 0 && findings(&done).is_empty(), "{done}");
}

/// Lets go of everything by the rules of a collection.
fn collect_all(place: &Place, server: &Server, pin: &str, pinned: &[String]) {
    let gc = ["gc", "--older-than=0s", "--force"];
    let _ = run(server.niks3().args(gc)).ok();
    let narinfos: BTreeSet<String> = place
        .bucket()
        .keys()
        .into_iter()
        .filter(|key| key.ends_with(".narinfo"))
        .collect();
    let expected = pinned.iter().map(|path| format!("{}.narinfo", hash(path)));
    assert_eq!(narinfos, expected.collect::<BTreeSet<_>>());
    let _ = run(server.niks3().args(["pins", "delete", pin])).ok();
    let _ = run(server.niks3().args(gc)).ok();
    let left: Vec<String> = place
        .bucket()
        .keys()
        .into_iter()
        .filter(|key| !own(key))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn hash(path: &str) -> &str {
    &base(path)[..32]
}

/// What belongs to a path besides narinfo and listing: keys and texts.
fn belongings(store: &Store, path: &str) -> Vec<(String, String)> {
    let drv = store.nix("nix-store", &["--query", "--deriver", path]);
    let drv = base(drv.trim());
    let id = format!("sha256:{}!out", "ab".repeat(32));
    let realisation = json!({"dependentRealisations": {}, "id": id, "outPath": base(path), "signatures": []});
    let trace = json!({"outPath": base(path), "signatures": []});
    vec![
        (format!("log/{drv}"), "a build log\n".into()),
        (format!("realisations/{id}.doi"), realisation.to_string()),
        (format!("build-trace-v2/{drv}/out.doi"), trace.to_string()),
        ("pins/kept".into(), format!("{path}\n")),
    ]
}

fn field(text: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(text).unwrap();
    let prefix = format!("{name}: ");
    let value = text.lines().find_map(|line| line.strip_prefix(&prefix));
    value.map(str::to_owned)
}

const PATHS: &str = "let words = build \"words\" \"mkdir $out; echo hello > $out/words\"; \
    app = build \"app\" ''mkdir -p $out/bin; printf '#!/bin/sh\\ncat ${words}/words\\n' > $out/bin/app''; \
    debug = build \"debug\" \"mkdir -p $out/lib/debug/.build-id/ab; \
    echo x > $out/lib/debug/.build-id/ab/cdef0123456789abcdef0123456789abcdef01.debug\"; \
    plain = build \"plain\" \"echo plain > $out\"; in [ app debug plain ]";

async fn what_nix_copy_has_written_is_adopted_whole_in_every_compression(backend: Backend) {
    let place = Place::new(backend);
    let paths = place.store.build(PATHS);
    let cache = place.store.path("cache");
    let signed = secret(&place.store, "cache-1");
    let formats = ["xz", "zstd&index-debug-info=true", "none"];
    for (path, compression) in paths.iter().zip(formats) {
        place.copy(&cache, &format!("{signed}&compression={compression}"), path);
    }
    place.fill(&cache);
    for (key, text) in belongings(&place.store, &paths[0]) {
        place.put(&key, text.as_bytes(), None);
    }
    assert!(
        place
            .bucket()
            .keys()
            .iter()
            .any(|key| key.starts_with("debuginfo/"))
    );
    let server = place.start();
    let readable = || {
        for path in &paths {
            place.store.substitutes(&server.url(), &place.public_key, path);
        }
    };
    readable();
    adopt_all(&place, &server);
    readable();
    let found = check_bucket(&server, &place.store.dir(), &paths, &[]);
    assert_eq!(found.len(), 4, "{found:?}");

    // It is there for pushes, and its narinfo stays what it is when it has to be written again.
    let mut push = server.niks3();
    place.store.prepare(push.args(["push", "--json"]).args(&paths));
    let pushed: Value = run(&mut push).json();
    assert_eq!(pushed["uploaded"], 0, "{pushed}");
    let narinfo = format!("{}.narinfo", hash(&paths[0]));
    place.bucket().delete(&narinfo);
    let (output, done) = fsck(&server, &["--repair"]);
    assert_eq!(output.code, 0, "{done}");
    let written = server.get(&narinfo).unwrap();
    assert_eq!(field(&written, "Compression").as_deref(), Some("xz"));
    assert!(field(&written, "URL").unwrap().ends_with(".nar.xz"));
    place
        .store
        .substitutes(&server.url(), &place.public_key, &paths[0]);

    // A listing is made of a NAR in any compression.
    let listing = format!("{}.ls", hash(&paths[0]));
    let mut right: Value = serde_json::from_slice(&server.get(&listing).unwrap()).unwrap();
    say_what_is_not_executable(&mut right["root"]);
    place.bucket().delete(&listing);
    let (output, done) = fsck(&server, &["--repair"]);
    assert_eq!(output.code, 0, "{done}");
    let made: Value = serde_json::from_slice(&server.get(&listing).unwrap()).unwrap();
    assert_eq!(made, right);

    let mut pinned = place.store.closure(&paths[0]);
    pinned.sort();
    collect_all(&place, &server, "kept", &pinned);
}

/// Older versions of Nix write of a file only that it is executable, and newer ones also that it is not.
fn say_what_is_not_executable(node: &mut Value) {
    if node["type"] == "regular" && node.get("executable").is_none() {
        node["executable"] = false.into();
    }
    if let Some(entries) = node.get_mut("entries").and_then(Value::as_object_mut) {
        entries.values_mut().for_each(say_what_is_not_executable);
    }
}

/// `nix copy` to a service compresses texts as well, and says so in `Content-Encoding`. Debian's Nix 2.34 signs no
/// request, whatever credentials it is given, so everybody may write to this bucket.
#[test]
fn what_nix_copy_writes_to_a_service_itself_is_adopted_whole() {
    let programs = std::env::var("NIKS3_TEST_NIX_234")
        .expect("NIKS3_TEST_NIX_234: eval \"$(scripts/setup --print-env)\"");
    let bucket = S3Service::Minio.bucket();
    bucket.open_to_everybody();
    let address = format!(
        "s3://{}?endpoint={}&scheme=http&region={}",
        bucket.name,
        bucket.endpoint.trim_start_matches("http://"),
        bucket.region
    );
    let place = Place::on(Backend::Services, Some(bucket), Store::new(Some(programs.into())));
    let store = &place.store;
    let paths = store.build(PATHS);
    let signed = secret(store, "cache-1");
    let formats = [
        "xz&narinfo-compression=gzip&ls-compression=br",
        "zstd&index-debug-info=true&narinfo-compression=zstd&ls-compression=gzip",
        "none&narinfo-compression=br&ls-compression=xz",
    ];
    for (path, compression) in paths.iter().zip(formats) {
        let url = format!("{address}&write-nar-listing=true&{signed}&compression={compression}");
        let _ = store.nix("nix", &["copy", "--to", &url, path]);
    }
    let server = place.start();
    let readable = || {
        for path in &paths {
            store.substitutes(&server.url(), &place.public_key, path);
        }
    };
    readable();
    adopt_all(&place, &server);
    readable();
    let found = check_bucket(&server, &store.dir(), &paths, &[]);
    assert_eq!(found.len(), 4, "{found:?}");

    // What has the contents of a path in another compression is pushed as usual.
    let twins = store.build(
        "[ (build \"twin\" \"mkdir $out; echo hello > $out/words\") \
        (build \"plain-twin\" \"echo plain > $out\") ]",
    );
    let mut push = server.niks3();
    store.prepare(push.args(["push", "--json"]).args(&twins));
    let pushed: Value = run(&mut push).json();
    assert_eq!(pushed["verified"], 2, "{pushed}");
    for path in &twins {
        store.substitutes(&server.url(), &place.public_key, path);
    }
    let everything: Vec<String> = paths.iter().chain(&twins).cloned().collect();
    let _ = check_bucket(&server, &store.dir(), &everything, &[]);
    let mut pinned = store.closure(&paths[0]);
    pinned.sort();
    let _ = run(server.niks3().args(["pins", "create", "kept", &paths[0]])).ok();
    collect_all(&place, &server, "kept", &pinned);
}

async fn what_the_original_has_written_is_adopted_whole(backend: Backend) {
    let place = Place::new(backend);
    let app = place.store.build(PATHS).remove(0);
    let cache = place.store.path("cache");
    let options = format!("{}&compression=zstd", secret(&place.store, "cache-1"));
    place.copy(&cache, &options, &app);
    // Texts are compressed, and narinfos have neither FileHash nor FileSize; NARs are named by the hash of the path.
    let zstd = |text: &[u8]| zstd::encode_all(text, 3).unwrap();
    for (key, bytes) in files(&cache) {
        if let Some(hash) = key.strip_suffix(".narinfo") {
            let url = field(&bytes, "URL").unwrap();
            let own = format!("nar/{hash}.nar.zst");
            let lines = std::str::from_utf8(&bytes).unwrap().lines();
            let lines = lines.filter(|line| !line.starts_with("File"));
            let text: String = lines
                .map(|line| format!("{line}\n").replace(&url, &own))
                .collect();
            place.put(&own, &fs::read(cache.join(url)).unwrap(), None);
            place.put(&key, &zstd(text.as_bytes()), Some("zstd"));
        } else if key.ends_with(".ls") {
            place.put(&key, &zstd(&bytes), Some("zstd"));
        }
    }
    for (key, text) in belongings(&place.store, &app) {
        match key.starts_with("pins/") {
            true => place.put(&key, text.trim_end().as_bytes(), None),
            false => place.put(&key, &zstd(text.as_bytes()), Some("zstd")),
        }
    }
    let server = place.start();
    place.store.substitutes(&server.url(), &place.public_key, &app);
    // A pin is written anew with its line feed.
    place.put("pins/kept", format!("{app}\n").as_bytes(), None);
    adopt_all(&place, &server);
    place.store.substitutes(&server.url(), &place.public_key, &app);
    let found = check_bucket(&server, &place.store.dir(), std::slice::from_ref(&app), &[]);
    assert_eq!(found.len(), 2, "{found:?}");
    // What is missing has been computed: it is in the narinfo when that is written again.
    let narinfo = format!("{}.narinfo", hash(&app));
    place.bucket().delete(&narinfo);
    let (output, done) = fsck(&server, &["--repair"]);
    assert_eq!(output.code, 0, "{done}");
    let written = server.get(&narinfo).unwrap();
    let nar = server.get(&field(&written, "URL").unwrap()).unwrap();
    assert_eq!(field(&written, "FileSize"), Some(nar.len().to_string()));
    assert!(field(&written, "FileHash").is_some());
    let found = check_bucket(&server, &place.store.dir(), std::slice::from_ref(&app), &[]);
    assert_eq!(found.len(), 2, "{found:?}");
    collect_all(&place, &server, "kept", &place.store.closure(&app));
}

async fn what_only_others_have_signed_waits_for_trust_key(backend: Backend) {
    let place = Place::new(backend);
    let app = place.store.build(PATHS).remove(0);
    let other = key(&place.store, "other-1");
    let cache = place.store.path("cache");
    place.copy(&cache, &secret(&place.store, "other-1"), &app);
    place.fill(&cache);
    place.put("pins/kept", format!("{app}\n").as_bytes(), None);
    let server = place.start();
    let keys = || place.bucket().keys();
    let before = keys();
    let (output, done) = fsck(&server, &["--repair"]);
    assert_eq!(output.code, 1, "{output:?}");
    for (kind, subject, state, reason) in findings(&done) {
        assert_eq!(state, "failed", "{kind} {subject}");
        assert!(!reason.is_empty(), "{kind} {subject}");
        if kind == "unknown-narinfo" {
            assert!(
                reason.contains("other-1") && reason.contains("--trust-key"),
                "{reason}"
            );
        }
    }
    assert_eq!(keys(), before);
    let said = run(server.niks3().args(["fsck", "--repair"]));
    assert!(said.stdout.contains("--trust-key"), "{said:?}");
    let wrong = run(server.niks3().args(["fsck", "--repair", "--trust-key=nonsense"]));
    assert!(
        wrong.code == 1 && wrong.stderr.contains("trust_keys"),
        "{wrong:?}"
    );
    let unrelated = key(&place.store, "unrelated-1");
    let (output, _) = fsck(&server, &["--repair", "--trust-key", &unrelated]);
    assert_eq!(output.code, 1, "{output:?}");
    let (output, done) = fsck(
        &server,
        &["--repair", "--trust-key", &unrelated, "--trust-key", &other],
    );
    assert_eq!(output.code, 0, "{done}");
    assert_eq!(keys(), before);
    place.store.substitutes(&server.url(), &other, &app);
    let (output, done) = fsck(&server, &[]);
    assert!(output.code == 0 && findings(&done).is_empty(), "{done}");
    collect_all(&place, &server, "kept", &place.store.closure(&app));
}

async fn a_narinfo_whose_nar_is_gone_is_removed_and_nothing_else(backend: Backend) {
    let place = Place::new(backend);
    let paths = place.store.build(PATHS);
    let cache = place.store.path("cache");
    let signed = secret(&place.store, "cache-1");
    for path in &paths {
        place.copy(&cache, &signed, path);
    }
    place.fill(&cache);
    let closure = place.store.closure(&paths[0]);
    let words = closure.iter().find(|path| **path != paths[0]).unwrap();
    let narinfo = format!("{}.narinfo", hash(words));
    let lost = field(&fs::read(cache.join(&narinfo)).unwrap(), "URL").unwrap();
    place.bucket().delete(&lost);
    place.put(&format!("{}.narinfo", "3".repeat(32)), b"nonsense", None);
    place.put("nar/whatever", b"x", None);
    let server = place.start();
    let keys = || -> BTreeSet<String> {
        place
            .bucket()
            .keys()
            .into_iter()
            .filter(|key| !own(key))
            .collect()
    };
    let before = keys();
    let (_, planned) = fsck(&server, &["--repair", "--dry-run"]);
    let of = |done: &Value, key: &str| findings(done).into_iter().find(|(_, subject, ..)| subject == key);
    let (.., reason) = of(&planned, &narinfo).unwrap();
    assert!(reason.contains(&lost) && reason.contains("removes"), "{reason}");
    assert_eq!(keys(), before);
    let (output, done) = fsck(&server, &["--repair"]);
    assert_eq!(output.code, 1, "{output:?}");
    let (.., state, reason) = of(&done, &narinfo).unwrap();
    assert!(state == "mended" && reason.contains(&lost), "{reason}");
    let (.., state, reason) = of(&done, &format!("{}.narinfo", "3".repeat(32))).unwrap();
    assert!(state == "failed" && !reason.is_empty(), "{reason}");
    let gone: BTreeSet<String> = before.difference(&keys()).cloned().collect();
    assert_eq!(gone, BTreeSet::from([narinfo, format!("{}.ls", hash(words))]));
    // What refers to it is adopted, and says that something is missing until a push brings it.
    let (_, done) = fsck(&server, &[]);
    let missing = findings(&done);
    assert!(
        missing.iter().any(|(kind, ..)| kind == "missing-reference"),
        "{missing:?}"
    );
    let mut push = server.niks3();
    place.store.prepare(push.args(["push", "--json", &paths[0]]));
    let pushed: Value = run(&mut push).json();
    assert_eq!(pushed["uploaded"], 1, "{pushed}");
    place
        .store
        .substitutes(&server.url(), &place.public_key, &paths[0]);
    place.bucket().delete(&format!("{}.narinfo", "3".repeat(32)));
    let (output, done) = fsck(&server, &["--repair"]);
    assert!(output.code == 0, "{done}");
}

/// A closure is adopted before the pin that keeps it, and is as old as its narinfo.
async fn nothing_is_collected_while_a_repair_adopts(backend: Backend) {
    let place = Place::new(backend);
    let server = place.start();
    let gc = || run(server.niks3().args(["gc", "--older-than=0s", "--force"]));
    // The last task of a kind is taken for one that another server works on, or not any more.
    let running = |kind: &str, running: bool| {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let state = if running { 0 } else { 1 };
        let _ = server.sql(&format!(
            "UPDATE tasks SET state = {state}, finished_at = 0, lease_until = {} \
             WHERE id = (SELECT max(id) FROM tasks WHERE kind = '{kind}')",
            now + 600
        ));
    };
    // Collections are off until a bucket that was taken over has been repaired.
    let (output, _) = fsck(&server, &["--repair"]);
    assert_eq!(output.code, 0, "{output:?}");
    running("fsck", true);
    let said = gc().fails(1);
    assert!(said.contains("check that repairs is in progress"), "{said}");
    running("fsck", false);
    let _ = gc().ok();

    // The other way round, a repair waits.
    running("gc", true);
    std::thread::scope(|scope| {
        let repair = scope.spawn(|| fsck(&server, &["--repair"]));
        let progress = "SELECT progress FROM tasks WHERE kind = 'fsck' AND state = 0";
        eventually("the repair is about to adopt", || {
            server.sql(progress).concat().contains("mend")
        });
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(server.sql(progress).len(), 1, "it does not wait");
        running("gc", false);
        let (output, _) = repair.join().unwrap();
        assert_eq!(output.code, 0, "{output:?}");
    });
}

/// The age of a closure that was adopted is that of its narinfo.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_adopted_closure_is_as_old_as_its_narinfo() {
    let place = Place::new(Backend::Embedded);
    let paths = place.store.build(PATHS);
    let cache = place.store.path("cache");
    for path in &paths {
        place.copy(&cache, &secret(&place.store, "cache-1"), path);
    }
    place.fill(&cache);
    let old = format!("{}.narinfo", hash(&paths[1]));
    let file = fs::File::options()
        .write(true)
        .open(place.folder.path().join("bucket").join(&old))
        .unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(40 * 24 * 3600))
        .unwrap();
    let server = place.start();
    let (output, done) = fsck(&server, &["--repair"]);
    assert_eq!(output.code, 0, "{done}");
    let _ = run(server.niks3().args(["gc", "--older-than=30d", "--force"])).ok();
    assert!(server.get(&old).is_none());
    assert!(server.get(&format!("{}.narinfo", hash(&paths[0]))).is_some());
    place
        .store
        .substitutes(&server.url(), &place.public_key, &paths[0]);
}
