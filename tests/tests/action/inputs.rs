//! What the inputs for pushes, certificates and other caches do.

use niks3_test_support::{Backend, Server, ServerOptions, Store, Upstream, Use, run};
use niks3_tests::tls_files::Files;

use super::bench::{Bench, has};

/// The narinfo of a path.
fn narinfo(server: &Server, path: &str) -> String {
    let hash = &path.rsplit('/').next().unwrap()[..32];
    String::from_utf8(server.get(&format!("{hash}.narinfo")).unwrap()).unwrap()
}

fn field<'n>(narinfo: &'n str, name: &str) -> &'n str {
    narinfo
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap()
        .trim()
}

#[test]
fn what_the_filter_matches_is_pushed_only_if_something_needs_it() {
    for mode in ["hook", "scan"] {
        let mut bench = Bench::with_token(Backend::Embedded);
        let mut action = bench.action(&[("mode", mode), ("push-filter", "-(source|lib)$")]);
        bench.job.main(&mut action).green();
        let built = bench.job.build(
            "let lib = build \"lib\" \"echo lib > $out\"; in
                [ (build \"app\" \"echo ${lib} > $out\") (build \"source\" \"echo source > $out\") ]",
            &[],
        );
        let lib = bench.store.build("build \"lib\" \"echo lib > $out\"").remove(0);
        let flush = bench.job.main(&mut Use::of("flush", &[])).green();
        assert_eq!(
            (flush.count("paths-pushed"), flush.count("paths-failed")),
            (2, 0),
            "{flush:#?}"
        );
        assert_eq!(flush.list("closures"), [built[0].as_str()]);
        assert!(!flush.outputs["store-paths"].contains("-source"), "{flush:#?}");
        let post = bench.job.post(&mut action).green();
        assert_eq!(post.counts(), (2, 0, 0), "{post:#?}");
        has(&post, "1 left out by `push-filter`");
        assert!(bench.cached(&built[0]) && bench.cached(&lib) && !bench.cached(&built[1]));
        let notices = post.annotations("notice");
        assert!(
            notices.len() == 1 && notices[0].contains("-lib matches the input `push-filter`"),
            "{post:#?}"
        );
        assert!(
            post.summary.contains("-source` | left out | `push-filter` |"),
            "{}",
            post.summary
        );
        bench.job.left_nothing();
    }
}

#[test]
fn what_is_named_is_pushed_whatever_the_filter_says() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let path = bench
        .store
        .build("build \"source\" \"echo source > $out\"")
        .remove(0);
    let mut action = bench.action(&[("mode", "paths"), ("paths", &path), ("push-filter", "source")]);
    bench.job.main(&mut action).green();
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (1, 0, 0), "{post:#?}");
    assert!(post.annotations("notice").is_empty(), "{post:#?}");
    assert!(bench.cached(&path));
    bench.job.left_nothing();
}

#[test]
fn what_is_pushed_is_compressed_as_the_input_says() {
    let sizes = ["1", "19"].map(|level| {
        let mut bench = Bench::with_token(Backend::Embedded);
        let mut action = bench.action(&[("compression-level", level), ("max-concurrent-uploads", "1")]);
        bench.job.main(&mut action).green();
        let script = "i=0; while [ $i -lt 2000 ]; do echo $i $((i * i)); i=$((i + 1)); done > $out";
        let path = bench
            .job
            .build(&format!("build \"x\" \"{script}\""), &[])
            .remove(0);
        bench.job.post(&mut action).green();
        let narinfo = narinfo(&bench.server, &path);
        field(&narinfo, "FileSize:").parse::<u64>().unwrap()
    });
    assert!(sizes[0] > sizes[1], "{sizes:?}");
}

#[test]
fn what_the_bucket_has_lost_is_sent_again_if_the_input_asks_for_it() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let path = bench.store.build("build \"x\" \"echo x > $out\"").remove(0);
    let mut counts = |verify: &str| {
        let inputs = [
            ("mode", "paths"),
            ("paths", path.as_str()),
            ("verify-s3-integrity", verify),
        ];
        let mut action = bench.action(&inputs);
        bench.job.main(&mut action).green();
        let counts = bench.job.post(&mut action).green().counts();
        if counts == (1, 0, 0) {
            let narinfo = narinfo(&bench.server, &path);
            bench.server.bucket().delete(field(&narinfo, "URL:"));
        }
        counts
    };
    assert_eq!(counts("true"), (1, 0, 0));
    assert_eq!(counts("false"), (0, 1, 0), "the server believes that it is there");
    assert_eq!(counts("true"), (1, 0, 0));
}

#[test]
fn other_caches_are_read_with_their_keys() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let other = Server::start(Backend::Embedded, &bench.store.dir());
    let path = bench.store.build("build \"x\" \"echo x > $out\"").remove(0);
    let mut push = other.niks3();
    bench.store.prepare(push.args(["push", &path]));
    let _ = run(&mut push).ok();
    bench.store.nix("nix-store", &["--delete", &path]);
    let (url, key) = (other.url(), other.public_key().to_owned());
    for (keys, opens) in [("", false), (key.as_str(), true)] {
        let mut action = bench.action(&[
            ("extra-substituters", url.as_str()),
            ("extra-trusted-public-keys", keys),
            ("mode", "hook"),
        ]);
        bench.job.main(&mut action).green();
        let realised = bench.job.run(&["nix-store", "--realise", &path]).code == 0;
        assert_eq!(realised, opens, "only what a known key has signed is taken");
        // What is substituted is not pushed.
        assert_eq!(bench.job.post(&mut action).green().counts(), (0, 0, 0));
        bench.job.left_nothing();
    }
    let ignored = [
        ("extra-substituters", url.as_str()),
        ("configure-nix", "false"),
        ("mode", "off"),
    ];
    let main = bench.job.main(&mut bench.action(&ignored)).green();
    assert!(
        main.annotations("warning")[0].contains("`extra-substituters`"),
        "{main:#?}"
    );
}

#[test]
fn a_client_certificate_pushes_and_its_key_is_nowhere_on_disk() {
    let files = Files::new();
    files.client("ci-1", &files.authority, |_| ());
    let store = Store::default();
    let options = ServerOptions {
        arguments: files.arguments(),
        ..ServerOptions::default()
    };
    let mut bench = Bench::with(Backend::Embedded, store, options);
    let url = bench.server.url().replace("http://", "https://");
    let read = |name: &str| std::fs::read_to_string(files.path(name)).unwrap();
    let key = read("ci-1.key");
    let secret = key.lines().nth(1).unwrap().to_owned();
    // Certificates as files, the key as text: a secret of the repository is text.
    let mut action = bench.action(&[
        ("server-url", url.as_str()),
        ("ca-cert", files.path("ca.pem").to_str().unwrap()),
        ("client-cert", files.path("ci-1.pem").to_str().unwrap()),
        ("client-key", &key),
        ("mode", "hook"),
    ]);
    let main = bench.job.main(&mut action).green();
    assert!(main.log.contains(&format!("::add-mask::{secret}")), "{main:#?}");
    let path = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    let on_disk = run(std::process::Command::new("grep")
        .args(["-rlF", &secret])
        .arg(bench.job.temporary()));
    assert_eq!((on_disk.code, on_disk.stdout.as_str()), (1, ""));
    let flush = bench.job.main(&mut Use::of("flush", &[])).green();
    assert_eq!(flush.list("closures"), [path]);
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (1, 0, 0), "{post:#?}");
    bench.job.left_nothing();

    // The other action goes there, too; this certificate may not collect garbage, and a token may.
    let token = bench.server.token();
    let ca = files.path("ca.pem");
    let mut collect = Use::of(
        "gc",
        &[
            ("server-url", url.as_str()),
            ("ca-cert", ca.to_str().unwrap()),
            ("client-cert", &read("ci-1.pem")),
            ("client-key", &key),
        ],
    );
    let refused = bench.job.main(&mut collect).red();
    has(&refused, "needs the scope gc");
    has(&refused, &format!("::add-mask::{secret}"));
    let gc = bench.job.main(&mut collect.with("auth-token", &token)).green();
    assert!(gc.log.contains(&format!("::add-mask::{token}")), "{gc:#?}");

    let mut half = bench.action(&[("server-url", url.as_str()), ("client-key", &key)]);
    let main = bench.job.main(&mut half).red();
    assert!(
        main.annotations("error")[0].contains("`client-cert`"),
        "{main:#?}"
    );
    // Without the authority nothing is believed.
    let main = bench
        .job
        .main(&mut bench.action(&[("server-url", url.as_str())]))
        .red();
    has(&main, &url);
}

#[test]
fn what_an_upstream_has_is_left_to_it_and_the_summary_says_so() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let theirs = bench
        .store
        .build("build \"theirs\" \"echo theirs > $out\"")
        .remove(0);
    let upstream = Upstream::start(&bench.store, "upstream", &[&theirs]);
    bench.store.nix("nix-store", &["--delete", &theirs]);
    let dead = format!("http://127.0.0.1:1#{}", upstream.key());
    let skip = format!("{dead} {}", upstream.argument());
    let mut action = bench.action(&[("skip-upstream", &skip), ("mode", "hook")]);
    bench.job.main(&mut action).green();
    // Built here, although the cache has it.
    let both = "[ (build \"theirs\" \"echo theirs > $out\") (build \"ours\" \"echo ours > $out\") ]";
    let built = bench.job.build(both, &[]);
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (1, 0, 0), "{post:#?}");
    let name = upstream.url().replace("http://", "");
    for text in [
        format!("1 path left to {name}"),
        format!("-theirs` | left out | {name} has it |"),
        "-ours` | pushed |".to_owned(),
    ] {
        assert!(post.summary.contains(&text), "{text}: {}", post.summary);
    }
    let warnings = post.annotations("warning");
    assert!(
        warnings.len() == 1 && warnings[0].contains("http://127.0.0.1:1 has: "),
        "{warnings:?}"
    );
    assert!(bench.cached(&built[1]) && !bench.cached(&theirs));
    bench.job.left_nothing();
    // Pushed with the next job, which leaves nothing out.
    let mut action = bench.action(&[("skip-upstream", "none"), ("mode", "paths"), ("paths", &theirs)]);
    bench.job.main(&mut action).green();
    assert_eq!(bench.job.post(&mut action).green().counts(), (1, 0, 0));
}
