//! What happens to the one who pushes: killed, stopped, interrupted, with contents that
//! changed, with a token that ended. The same push, run again, completes it.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use niks3_test_support::{APP, Backend, Fault, ServerOptions, Site, finish, on_both, run, spawn};
use serde_json::Value;

on_both!(
    a_client_that_is_interrupted_says_so_and_lets_go,
    a_path_that_is_not_what_nix_recorded_is_refused_and_named,
    names_and_shapes_of_every_kind_come_back,
    other_options_than_before_go_on_with_what_another_push_began,
    a_client_that_slept_through_its_lease_begins_again,
    a_lease_is_renewed_for_as_long_as_uploads_take,
    a_token_that_ends_during_a_push_is_renewed,
    contents_that_do_not_compress_or_are_empty_come_back,
);

const LARGE: &str = "build \"large\" ''mkdir $out; head -c 20000000 /dev/urandom > $out/noise; \
    echo ${build \"small\" \"echo logged; echo x > $out\"} > $out/ref''";
fn signal(child: &Child, name: &str) {
    let _ = run(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()])).ok();
}

async fn a_client_that_is_interrupted_says_so_and_lets_go(backend: Backend) {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let site = Site::new(backend).await;
        let path = site.store.build(LARGE).remove(0);
        site.s3.fail("PUT", "partNumber=2", Fault::Hold, 1);
        let child = spawn(&mut site.command(&path));
        site.s3.happened().await;
        signal(&child, name);
        let output = finish(child);
        assert_eq!(output.code, code, "{output:?}");
        assert_eq!(output.stdout, "");
        assert!(output.stderr.contains("interrupted"), "{output:?}");
        assert!(
            site.api
                .requests()
                .iter()
                .any(|request| request.starts_with("DELETE /api/v1/pushes/")),
            "the push is given up"
        );
        assert_eq!(site.consistent(&path), 0);
        site.s3.release();
        let _ = site.push(&path).json();
        site.whole(&path);
    }
}

async fn a_path_that_is_not_what_nix_recorded_is_refused_and_named(backend: Backend) {
    type Change = fn(&Path);
    let changes: [(&str, Change); 9] = [
        ("a byte is another", |path| {
            std::fs::write(path.join("words"), "jello\n").unwrap()
        }),
        ("a byte more", |path| {
            std::fs::write(path.join("words"), "hello\n\n").unwrap()
        }),
        ("a byte less", |path| {
            std::fs::write(path.join("words"), "hello").unwrap()
        }),
        ("a file more", |path| {
            std::fs::write(path.join("more"), "").unwrap()
        }),
        ("a file less", |path| {
            std::fs::remove_file(path.join("words")).unwrap()
        }),
        ("another name", |path| {
            std::fs::rename(path.join("words"), path.join("Words")).unwrap()
        }),
        ("executable", |path| {
            std::fs::set_permissions(path.join("words"), std::fs::Permissions::from_mode(0o555)).unwrap();
        }),
        ("a link instead", |path| {
            std::fs::remove_file(path.join("words")).unwrap();
            symlink("hello", path.join("words")).unwrap();
        }),
        ("gone", |path| std::fs::remove_dir_all(path).unwrap()),
    ];
    let site = Site::new(backend).await;
    for (number, (what, change)) in changes.into_iter().enumerate() {
        let expression = APP.replace("\"words\"", &format!("\"words{number}\""));
        let path = site.store.build(&expression).remove(0);
        let closure = site.store.closure(&path);
        let words = closure.iter().find(|path| path.contains("-words")).unwrap();
        let _ = run(Command::new("chmod").args(["-R", "u+w", words])).ok();
        change(Path::new(words));
        let output = site.push(&path);
        assert_eq!(output.code, 1, "{what}: {output:?}");
        assert!(output.stderr.contains(words.as_str()), "{what}: {output:?}");
        assert_eq!(output.stdout, "", "{what}");
        assert_eq!(site.consistent(&path), 0, "{what}");
    }
}

async fn names_and_shapes_of_every_kind_come_back(backend: Backend) {
    let site = Site::new(backend).await;
    let source = site.store.path("source");
    let folder = source.join("a/deep");
    std::fs::create_dir_all(&folder).unwrap();
    let deepest = (0..60).fold(folder, |folder, _| folder.join("down"));
    std::fs::create_dir_all(&deepest).unwrap();
    std::fs::write(deepest.join("file"), "deep").unwrap();
    for name in [
        &b"plain"[..],
        b" leading and trailing ",
        b"quote\"'`$(x)",
        b"back\\slash",
        b"new\nline",
        b"tab\tand\x01control\x7f",
        "\u{fc}ml\u{e4}ut \u{1f980}".as_bytes(),
        b"-rf",
        b"~",
        b"#1?query=%20&x",
        b"...",
        b".hidden",
        &[b'x'; 255],
    ] {
        std::fs::write(source.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    symlink("/nowhere/at all\n", source.join("link")).unwrap();
    symlink(".", source.join("self")).unwrap();
    std::fs::create_dir(source.join("empty folder")).unwrap();
    std::fs::write(source.join("empty"), "").unwrap();
    std::fs::write(source.join("run"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(source.join("run"), std::fs::Permissions::from_mode(0o755)).unwrap();
    for size in 1..=17 {
        std::fs::write(source.join(format!("size {size}")), "y".repeat(size)).unwrap();
    }
    let add = |path: &Path| {
        let added = site.store.nix("nix-store", &["--add", path.to_str().unwrap()]);
        added.trim().to_owned()
    };
    let mut paths = vec![add(&source)];
    std::fs::write(site.store.path("one.file"), "just a file").unwrap();
    symlink("/nowhere", site.store.path("one.link")).unwrap();
    std::fs::create_dir(site.store.path("nothing")).unwrap();
    for name in ["one.file", "one.link", "nothing"] {
        paths.push(add(&site.store.path(name)));
    }
    // As long as a name can be, and one of each character.
    std::fs::write(site.store.path("odd+-._?=Name09"), "").unwrap();
    paths.push(add(&site.store.path("odd+-._?=Name09")));
    let long = "x".repeat(211);
    std::fs::write(site.store.path(&long), "").unwrap();
    paths.push(add(&site.store.path(&long)));
    for path in &paths {
        let _ = site.push(path).json();
        site.whole(path);
    }
}

async fn other_options_than_before_go_on_with_what_another_push_began(backend: Backend) {
    let site = Site::new(backend).await;
    let path = site.store.build(LARGE).remove(0);
    site.s3.fail("PUT", "partNumber=2", Fault::Hold, 1);
    let mut child = spawn(&mut site.command(&path));
    site.s3.happened().await;
    child.kill().unwrap();
    child.wait().unwrap();
    site.s3.heal();
    let mut other = site.command(&path);
    other.args([
        "--compression-level",
        "1",
        "--max-concurrent-uploads",
        "1",
        "--pin",
        "other",
    ]);
    let _ = run(&mut other).json();
    site.whole(&path);
    site.s3.release();
    site.whole(&path);
    assert_eq!(
        site.server.get("pins/other"),
        Some(format!("{path}\n").into_bytes())
    );
}

async fn a_client_that_slept_through_its_lease_begins_again(backend: Backend) {
    let options = ServerOptions {
        arguments: vec!["--push-lease".into(), "3s".into()],
        ..ServerOptions::default()
    };
    let site = Site::with(backend, options).await;
    site.api.without_small_objects();
    let path = site.store.build(APP).remove(0);
    for step in ["/paths", "/uploads", "/commit"] {
        let path = site.store.build(&APP.replace("hello", step)).remove(0);
        site.api.fail("POST", step, Fault::Hold, 1);
        let child = spawn(&mut site.command(&path));
        site.api.happened().await;
        signal(&child, "STOP");
        let requests = site.api.requests();
        let held = requests.iter().rfind(|request| request.ends_with(step)).unwrap();
        let push = held.split('/').nth(4).unwrap();
        let mut status = Command::new("curl");
        status.args([
            "-fsS",
            "-H",
            &format!("Authorization: Bearer {}", site.server.token()),
        ]);
        status.arg(format!("{}/api/v1/pushes/{push}", site.server.url()));
        loop {
            let state: Value = run(&mut status).json();
            if state["state"] == "expired" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        site.api.release();
        signal(&child, "CONT");
        let _ = finish(child).json();
        site.whole(&path);
    }
    let _ = site.push(&path).json();
    site.whole(&path);
}

async fn a_lease_is_renewed_for_as_long_as_uploads_take(backend: Backend) {
    let options = ServerOptions {
        arguments: vec!["--push-lease".into(), "9s".into()],
        ..ServerOptions::default()
    };
    let site = Site::with(backend, options).await;
    site.api.without_small_objects();
    let path = site.store.build(APP).remove(0);
    site.s3.fail("PUT", "/nar/", Fault::Hold, 2);
    let child = spawn(&mut site.command(&path));
    site.s3.happened().await;
    let renewals = || {
        let requests = site.api.requests();
        requests
            .iter()
            .filter(|request| request.ends_with("/lease"))
            .count()
    };
    // So many renewals take longer than the lease that the push began with.
    while renewals() < 6 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    site.s3.release();
    let _ = finish(child).json();
    let begun = site
        .api
        .requests()
        .iter()
        .filter(|request| request.as_str() == "POST /api/v1/pushes")
        .count();
    assert_eq!(begun, 1, "it was one push all the time");
    site.whole(&path);
}

async fn a_token_that_ends_during_a_push_is_renewed(backend: Backend) {
    for step in ["/api/v1/pushes", "/paths", "/uploads", "/commit"] {
        let site = Site::new(backend).await;
        site.api.without_small_objects();
        let path = site.store.build(APP).remove(0);
        // Another word for the same token each time: what is refused is not tried again.
        let script = site.store.path("script");
        std::fs::write(
            &script,
            format!(
                "#!/bin/sh\necho >> {runs}\nif [ $(wc -l < {runs}) = 1 ]; then echo an-old-token; else cat {token}; fi\n",
                runs = site.store.path("runs").display(),
                token = site.server.token_path().display()
            ),
        )
        .unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        site.api.fail("POST", step, Fault::WrongToken, 1);
        // Before that step, the old token is as good as the new one: the proxy lets it pass as that.
        site.api
            .replace_header("authorization", &format!("Bearer {}", site.server.token()));
        let mut command = site.command(&path);
        command.args(["--auth-token-script", script.to_str().unwrap()]);
        let _ = run(&mut command).json();
        assert_eq!(site.api.pending(), 0);
        let runs = std::fs::read_to_string(site.store.path("runs")).unwrap();
        assert_eq!(runs.lines().count(), 2, "{step}");
        site.whole(&path);
    }
}

async fn contents_that_do_not_compress_or_are_empty_come_back(backend: Backend) {
    let site = Site::new(backend).await;
    // Around the size of a part, before and after compression.
    for (number, script) in [
        "head -c 8388608 /dev/urandom > $out",
        "head -c 8388000 /dev/urandom > $out",
        "head -c 16777216 /dev/urandom > $out",
        "head -c 300000000 /dev/zero > $out",
        "touch $out",
        "mkdir $out",
        "ln -s nowhere $out",
    ]
    .into_iter()
    .enumerate()
    {
        let path = site
            .store
            .build(&format!("build \"path{number}\" \"{script}\""))
            .remove(0);
        let _ = site.push(&path).json();
        site.whole(&path);
        let again = site.push(&path).json();
        assert_eq!(
            (&again["uploaded"], &again["bytes_sent"]),
            (&0.into(), &0.into()),
            "{script}"
        );
    }
}
