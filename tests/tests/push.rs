//! The main job, on both backends: what is pushed is what Nix gets back.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use niks3_test_support::{Backend, Output, Server, Store, Upstream, check_bucket, run};
use serde_json::{Value, json};

/// Runs each test on SQLite with the embedded store, and on PostgreSQL with Garage.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod embedded { $(#[test] fn $name() { super::$name(super::Backend::Embedded); })+ }
        mod services { $(#[test] fn $name() { super::$name(super::Backend::Services); })+ }
    };
}

on_both!(
    a_pushed_closure_is_substituted_byte_for_byte,
    a_second_push_sends_nothing,
    roots_can_be_links_and_inner_paths_and_come_from_standard_input,
    a_pin_names_the_path_in_the_bucket,
    build_logs_and_listings_are_read_by_nix,
    a_large_path_goes_up_in_parts_and_comes_back,
    signatures_that_a_path_carries_are_kept,
    equal_contents_are_one_object,
    without_its_closure_a_path_goes_alone,
    what_an_upstream_has_is_left_to_it_until_a_push_completes_the_closure,
    what_the_bucket_lost_is_sent_again,
);

const CLOSURE: &str = "let words = build \"words\" \"echo logged words; mkdir $out; echo hello > $out/words\"; in \
    build \"app\" ''echo logged app; mkdir -p $out/bin; ln -s ${words}/words $out/link; touch $out/empty; \
    mkdir $out/none; echo odd > \"$out/a name with spaces\"; printf '#!/bin/sh\\ncat ${words}/words\\n' > $out/bin/app; \
    chmod +x $out/bin/app''";

fn push(server: &Server, store: &Store, arguments: &[&str]) -> Output {
    let mut command = server.niks3();
    store.prepare(command.arg("push").args(arguments));
    run(&mut command)
}

fn pushed(server: &Server, store: &Store, arguments: &[&str]) -> serde_json::Value {
    push(server, store, &[arguments, &["--json"]].concat()).json()
}

fn a_pushed_closure_is_substituted_byte_for_byte(backend: Backend) {
    let store = Store::default();
    let server = Server::start(backend, &store.dir());
    let app = store.build(CLOSURE).remove(0);
    let other = store.build("build \"other\" \"echo other > $out\"").remove(0);
    let summary = pushed(&server, &store, &[&app, &other]);
    assert_eq!(summary["paths"], 3);
    assert_eq!(summary["uploaded"], 3);
    assert_eq!(summary["already_cached"], 0);
    assert!(
        summary["nar_bytes"].as_u64() > Some(0) && summary["bytes_sent"].as_u64() > Some(0),
        "{summary}"
    );
    assert_eq!(summary["closures"].as_array().map(Vec::len), Some(2));
    store.substitutes(&server.url(), server.public_key(), &app);
    store.substitutes(&server.url(), server.public_key(), &other);
    assert_eq!(
        check_bucket(&server, &store.dir(), &[app.clone(), other], &[]).len(),
        3
    );
    let (bucket, key) = (server.bucket_url().to_owned(), server.public_key().to_owned());
    let mut server = server;
    server.terminate();
    store.substitutes(&bucket, &key, &app);
}

fn a_second_push_sends_nothing(backend: Backend) {
    let store = Store::default();
    let server = Server::start(backend, &store.dir());
    let app = store.build(CLOSURE).remove(0);
    assert_eq!(pushed(&server, &store, &[&app])["uploaded"], 2);
    let again = pushed(&server, &store, &[&app]);
    assert_eq!(
        (&again["uploaded"], &again["already_cached"], &again["bytes_sent"]),
        (&0.into(), &2.into(), &0.into())
    );
}

fn roots_can_be_links_and_inner_paths_and_come_from_standard_input(backend: Backend) {
    let store = Store::default();
    let server = Server::start(backend, &store.dir());
    let app = store.build(CLOSURE).remove(0);
    let link = store.path("result");
    symlink(&app, &link).unwrap();
    let summary = pushed(&server, &store, &[link.to_str().unwrap()]);
    assert_eq!(summary["closures"], serde_json::json!([app]));
    let inner = format!("{app}/bin/app");
    assert_eq!(
        pushed(&server, &store, &[&inner])["closures"],
        serde_json::json!([app])
    );
    let listed = store.path("list");
    std::fs::write(&listed, format!("{inner}\n\n{}\n", link.display())).unwrap();
    let mut command = server.niks3();
    store.prepare(command.args(["push", "--stdin", "--json"]));
    let output = command
        .stdin(std::fs::File::open(listed).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["closures"], serde_json::json!([app]));
}

fn a_pin_names_the_path_in_the_bucket(backend: Backend) {
    let store = Store::default();
    let server = Server::start(backend, &store.dir());
    let app = store.build(CLOSURE).remove(0);
    let other = store.build("build \"other\" \"echo other > $out\"").remove(0);
    pushed(&server, &store, &[&app, "--pin", "release-1"]);
    assert_eq!(
        server.get("pins/release-1"),
        Some(format!("{app}\n").into_bytes())
    );
    pushed(&server, &store, &[&other, "--pin", "release-1"]);
    assert_eq!(
        server.get("pins/release-1"),
        Some(format!("{other}\n").into_bytes())
    );
    for name in ["a/b", "..", "", "a b"] {
        let refused = push(&server, &store, &[&app, "--pin", name]);
        assert!(refused.code == 1 || refused.code == 2, "{name:?}: {refused:?}");
    }
    assert_eq!(
        push(&server, &store, &[&app, &other, "--pin", "two"])
            .code
            .clamp(1, 2),
        2
    );
    assert!(server.get("pins/two").is_none());
}

fn build_logs_and_listings_are_read_by_nix(backend: Backend) {
    let store = Store::default();
    let server = Server::start(backend, &store.dir());
    let app = store.build(CLOSURE).remove(0);
    // As Nix keeps it: bz2. The other one plain, as with `compress-build-log = false`.
    let plain = store.nix(
        "nix-build",
        &["--no-out-link", "--option", "compress-build-log", "false", "-E", "derivation { name = \"plain\"; system = \
          builtins.currentSystem; builder = \"/bin/sh\"; args = [ \"-c\" \"echo logged plain; echo x > $out\" ]; }"],
    );
    let plain = plain.trim();
    pushed(&server, &store, &[&app, plain]);
    for (path, log) in [(app.as_str(), "logged app\n"), (plain, "logged plain\n")] {
        assert_eq!(store.nix("nix", &["log", "--store", &server.url(), path]), log);
    }
    let listed = store.nix(
        "nix",
        &["store", "ls", "--store", &server.url(), "--recursive", &app],
    );
    let mut names: Vec<&str> = listed.lines().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "./a name with spaces",
            "./bin",
            "./bin/app",
            "./empty",
            "./link",
            "./none"
        ]
    );
    let inner = format!("{app}/a name with spaces");
    assert_eq!(
        store.nix("nix", &["store", "cat", "--store", &server.url(), &inner]),
        "odd\n"
    );
}

fn a_large_path_goes_up_in_parts_and_comes_back(backend: Backend) {
    let store = Store::default();
    let server = Server::start(backend, &store.dir());
    let large = store.build("build \"large\" \"mkdir $out; head -c 30000000 /dev/urandom > $out/noise; head -c 90000000 /dev/zero > $out/zero\"");
    let summary = pushed(&server, &store, &[&large[0]]);
    assert!(summary["bytes_sent"].as_u64() > Some(30_000_000), "{summary}");
    store.substitutes(&server.url(), server.public_key(), &large[0]);
    assert_eq!(check_bucket(&server, &store.dir(), &large, &[]).len(), 1);
    if backend == Backend::Embedded {
        let left = |name: &str| std::fs::read_dir(server.directory().join(name)).map_or(0, Iterator::count);
        assert_eq!((left("bucket/staging"), left("uploads"), left("tmp")), (0, 0, 0));
    }
}

fn signatures_that_a_path_carries_are_kept(backend: Backend) {
    let store = Store::default();
    let server = Server::start(backend, &store.dir());
    let app = store.build(CLOSURE).remove(0);
    let secret = store.nix("nix", &["key", "generate-secret", "--key-name", "builder-1"]);
    std::fs::write(store.path("secret"), &secret).unwrap();
    store.nix(
        "nix",
        &[
            "store",
            "sign",
            "-k",
            store.path("secret").to_str().unwrap(),
            "--recursive",
            &app,
        ],
    );
    let mut command = Command::new("nix");
    store.prepare(command.args(["key", "convert-secret-to-public"]));
    let public = {
        let output = command
            .stdin(std::fs::File::open(store.path("secret")).unwrap())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    pushed(&server, &store, &[&app]);
    store.substitutes(&server.url(), public.trim(), &app);
    store.substitutes(&server.url(), server.public_key(), &app);
}

fn equal_contents_are_one_object(backend: Backend) {
    let store = Store::default();
    let server = Server::start(backend, &store.dir());
    let twins = store.build("[ (build \"one\" \"echo same > $out\") (build \"two\" \"echo same > $out\") ]");
    pushed(&server, &store, &[&twins[0], &twins[1]]);
    let url = |path: &String| {
        let hash = &Path::new(path).file_name().unwrap().to_str().unwrap()[..32];
        let narinfo = String::from_utf8(server.get(&format!("{hash}.narinfo")).unwrap()).unwrap();
        narinfo
            .lines()
            .find_map(|line| line.strip_prefix("URL: ").map(str::to_owned))
            .unwrap()
    };
    assert_eq!(url(&twins[0]), url(&twins[1]));
    assert_eq!(check_bucket(&server, &store.dir(), &twins, &[]).len(), 2);
}

fn without_its_closure_a_path_goes_alone(backend: Backend) {
    let store = Store::default();
    let server = Server::start(backend, &store.dir());
    let app = store.build(CLOSURE).remove(0);
    assert_eq!(pushed(&server, &store, &[&app, "--no-closure"])["uploaded"], 1);
    let found = check_bucket(
        &server,
        &store.dir(),
        std::slice::from_ref(&app),
        &store.closure(&app),
    );
    assert_eq!(found.len(), 1);
    // The rest comes later.
    assert_eq!(pushed(&server, &store, &[&app])["uploaded"], 1);
    store.substitutes(&server.url(), server.public_key(), &app);
}

fn what_an_upstream_has_is_left_to_it_until_a_push_completes_the_closure(backend: Backend) {
    let store = Store::default();
    let server = Server::start(backend, &store.dir());
    let app = store.build(CLOSURE).remove(0);
    let words = store
        .closure(&app)
        .into_iter()
        .find(|path| path.ends_with("words"))
        .unwrap();
    let upstream = Upstream::start(&store, "upstream", &[&words]);
    let summary = pushed(&server, &store, &[&app, "--skip-upstream", &upstream.argument()]);
    assert_eq!(
        (&summary["uploaded"], &summary["skipped_upstream"]),
        (&1.into(), &1.into())
    );
    let left_to = json!([{ "cache": upstream.url(), "paths": 1 }]);
    assert_eq!(summary["left_to"], left_to);
    let folder = store.dir();
    assert_eq!(
        check_bucket(
            &server,
            &folder,
            std::slice::from_ref(&app),
            std::slice::from_ref(&words)
        )
        .len(),
        1
    );
    let show = |arguments: &[&str]| {
        let mut command = server.niks3();
        store.prepare(command.args(["closures", "show", &app]).args(arguments));
        run(&mut command).ok()
    };
    let line = format!(
        "not here       1 path left to {}\n",
        upstream.url().replace("http://", "")
    );
    assert!(show(&[]).contains(&line), "{}", show(&[]));
    let closure: Value = serde_json::from_str(&show(&["--json"])).unwrap();
    assert_eq!((&closure["paths"], &closure["left_to"]), (&1.into(), &left_to));
    // Another push leaves nothing out: what is missing comes, and nothing is left any more.
    let complete = pushed(&server, &store, &[&app, "--no-skip-upstream"]);
    assert_eq!(
        (
            &complete["uploaded"],
            &complete["already_cached"],
            &complete["left_to"]
        ),
        (&1.into(), &1.into(), &json!([]))
    );
    let closure: Value = serde_json::from_str(&show(&["--json"])).unwrap();
    assert_eq!((&closure["paths"], &closure["left_to"]), (&2.into(), &json!([])));
    store.substitutes(&server.url(), server.public_key(), &app);
}

fn what_the_bucket_lost_is_sent_again(backend: Backend) {
    if backend == Backend::Services {
        return lost_in_garage();
    }
    let store = Store::default();
    let server = Server::start(backend, &store.dir());
    let app = store.build(CLOSURE).remove(0);
    pushed(&server, &store, &[&app]);
    let bucket = server.directory().join("bucket");
    let lose = |extension: &str| {
        let folder = if extension == "zst" {
            bucket.join("nar")
        } else {
            bucket.clone()
        };
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|found| found == extension) {
                std::fs::remove_file(path).unwrap();
            }
        }
    };
    for extension in ["narinfo", "zst", "ls"] {
        lose(extension);
        assert_eq!(
            pushed(&server, &store, &[&app])["uploaded"],
            0,
            "it is not looked for unasked"
        );
        pushed(&server, &store, &[&app, "--verify-s3-integrity"]);
        store.substitutes(&server.url(), server.public_key(), &app);
        assert_eq!(
            check_bucket(&server, &store.dir(), std::slice::from_ref(&app), &[]).len(),
            2,
            "{extension}"
        );
    }
}

fn lost_in_garage() {
    let store = Store::default();
    let app = store.build(CLOSURE).remove(0);
    let server = Server::start(Backend::Services, &store.dir());
    pushed(&server, &store, &[&app]);
    let bucket = server.bucket();
    for key in bucket
        .keys()
        .iter()
        .filter(|key| !matches!(key.as_str(), "niks3-owner.json" | "nix-cache-info"))
    {
        bucket.delete(key);
    }
    assert_eq!(pushed(&server, &store, &[&app])["uploaded"], 0);
    assert_eq!(
        pushed(&server, &store, &[&app, "--verify-s3-integrity"])["uploaded"],
        2
    );
    store.substitutes(&server.url(), server.public_key(), &app);
}
