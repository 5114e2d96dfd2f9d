//! The pages: who sees them, what hostile names do to them, and how they are in a browser.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use niks3_test_support::{Backend, Server, ServerOptions, Site, on_both, run};
use niks3_tests::api::Api;
use reqwest::Method;
use serde_json::{Value, json};

on_both!(
    only_those_with_the_scope_see_a_page,
    a_page_leads_to_what_was_pushed,
    whatever_is_asked_for_a_page_answers,
    lists_go_on_from_page_to_page,
    the_page_in_the_bucket_says_how_to_use_the_cache,
);

const PAGES: [&str; 7] = [
    "/dashboard",
    "/dashboard/closures",
    "/dashboard/runs",
    "/dashboard/pins",
    "/dashboard/gc",
    "/dashboard/search?q=hello",
    "/dashboard/nothing",
];

/// Tries to leave its place in every language that it might end up in.
const HOSTILE: &str = "\u{202e}</title></style></script><script>window.pwned=true</script>\
     <img src=x onerror=\"window.pwned=true\">'\"><svg onload='window.pwned=true'>&lt;{{7*7}}";

async fn page(api: &Api, path: &str) -> String {
    let answer = api.send(Method::GET, path, &api.token, "", "").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    assert_eq!(answer.content_type, "text/html; charset=utf-8");
    answer.body
}

async fn only_those_with_the_scope_see_a_page(backend: Backend) {
    let api = Api::new(backend, &[]);
    for path in PAGES {
        for token in ["", "nobody"] {
            let answer = api.send(Method::GET, path, token, "", "").await;
            let challenges: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
            assert!(
                challenges
                    .iter()
                    .any(|value| value.to_str().unwrap().starts_with("Basic "))
            );
            let _ = answer.problem(401);
        }
        let url = format!("{}{path}", api.server.url());
        let wrong = api.client.get(&url).basic_auth("somebody", Some("nobody"));
        let wrong = wrong.header("accept", "text/html").send().await.unwrap();
        assert_eq!(wrong.status(), 401);
        assert_eq!(wrong.headers()["content-type"], "text/html; charset=utf-8");
        assert!(wrong.text().await.unwrap().contains("Sign in"));
        let right = api.client.get(&url).basic_auth("somebody", Some(&api.token));
        let right = right.send().await.unwrap();
        assert_eq!(right.status(), if path.ends_with("nothing") { 404 } else { 200 });
        let policy = right.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(right.headers()["cache-control"], "private, no-store");
        assert_eq!(right.headers()["x-content-type-options"], "nosniff");
        let posted = api.send(Method::POST, path, &api.token, "text/plain", "x").await;
        let _ = posted.problem(405);
    }
}

/// A site with a closure of two paths, pushed by a run and pinned.
async fn pushed(backend: Backend) -> (Site, String) {
    let site = Site::new(backend).await;
    let root = site
        .store
        .build("let words = build \"words-1.0\" \"echo hello > $out\"; in build \"reader-2.0\" \"echo ${words} > $out\"")
        .remove(0);
    let mut push = site.command(&root);
    push.args(["--pin", "release"]);
    for (name, value) in [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "owner/name"),
        ("GITHUB_RUN_ID", "77"),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_WORKFLOW", "build"),
    ] {
        push.env(name, value);
    }
    let _ = run(&mut push).ok();
    (site, root)
}

async fn a_page_leads_to_what_was_pushed(backend: Backend) {
    let (site, root) = pushed(backend).await;
    let api = Api::of(site.server);
    let base = root.rsplit('/').next().unwrap();
    let overview = page(&api, "/dashboard").await;
    for part in [base, "release", "owner/name", "refs/heads/main"] {
        assert!(overview.contains(part), "{part}: {overview}");
    }
    let (hash, name) = base.split_at(32);
    for (query, found) in [
        (root.clone(), true),
        (format!("{root}/bin/x"), true),
        (format!("{hash}.narinfo"), true),
        (hash[..8].to_owned(), true),
        (name[1..].to_owned(), true),
        ("READER".to_owned(), true),
        ("reader-3".to_owned(), false),
        ("r%r".to_owned(), false),
        ("reade_".to_owned(), false),
    ] {
        let asked = reqwest::Url::parse_with_params("http://x/dashboard/search", [("q", &query)]).unwrap();
        let answer = page(&api, &format!("{}?{}", asked.path(), asked.query().unwrap())).await;
        assert_eq!(
            answer.contains(&format!("bdi class=\"path\">{base}")),
            found,
            "{query}: {answer}"
        );
    }
    let closure = page(&api, &format!("/dashboard/closures/{base}")).await;
    for part in [
        "words-1.0",
        "release",
        "owner/name",
        "<b>2</b>paths",
        "1 reference<",
        "unpacked",
    ] {
        assert!(closure.contains(part), "{part}: {closure}");
    }
    let runs = page(&api, "/dashboard/runs?repository=owner/name").await;
    let (_, rest) = runs.split_once("href=\"/dashboard/runs/").unwrap();
    let run = page(
        &api,
        &format!("/dashboard/runs/{}", rest.split('"').next().unwrap()),
    )
    .await;
    assert!(run.contains(base) && run.contains("refs/heads/main"), "{run}");
    let others = page(&api, "/dashboard/runs?repository=owner/other").await;
    assert!(others.contains("There are none"), "{others}");

    let mut gc = api.server.niks3();
    let _ = niks3_test_support::run(gc.args(["gc", "--older-than=0s", "--dry-run"])).ok();
    let collections = page(&api, "/dashboard/gc").await;
    assert!(
        collections.contains("dry run") && collections.contains("would free"),
        "{collections}"
    );
}

async fn whatever_is_asked_for_a_page_answers(backend: Backend) {
    let api = Api::new(backend, &[]);
    let long = "x".repeat(2000);
    for (path, status) in [
        ("/dashboard/closures/x", 422),
        ("/dashboard/closures/00000000000000000000000000000000-a", 404),
        ("/dashboard/closures/%00", 422),
        ("/dashboard/closures/%ff", 404),
        ("/dashboard/closures?after=x", 422),
        ("/dashboard/closures?after=9999999999999999999999.1", 422),
        ("/dashboard/runs/x", 404),
        ("/dashboard/runs/%3Cscript%3E", 404),
        ("/dashboard/runs?before=x", 400),
        ("/dashboard/runs?before=-9223372036854775808", 200),
        ("/dashboard/runs?repository=%00", 422),
        ("/dashboard/pins?after=%00", 422),
        ("/dashboard/pins?after=%F0%9F%92%A9", 200),
        ("/dashboard/gc?before=1.5", 400),
        ("/dashboard/search?q=%00", 422),
        ("/dashboard/search?q=%25%5F%5C", 200),
        ("/dashboard/search?q=a&before=-1", 200),
        (&format!("/dashboard/search?q={long}"), 422),
        ("/dashboard/search?q=%E2%80%AE%3Cscript%3E", 200),
    ] {
        let answer = api.send(Method::GET, path, &api.token, "", "").await;
        if status == 200 {
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            assert!(!answer.body.contains("<script"), "{path}: {}", answer.body);
        } else {
            let _ = answer.problem(status);
        }
    }
}

async fn lists_go_on_from_page_to_page(backend: Backend) {
    let api = Api::new(backend, &[]);
    for run in 0..53 {
        let statement = json!({ "provider": "ci", "repository": "o/r", "run_id": run.to_string() });
        let _ = api.post("/runs", &statement).await.ok();
    }
    let first = page(&api, "/dashboard/runs?repository=o/r").await;
    assert_eq!(first.matches("href=\"/dashboard/runs/").count(), 50);
    let (_, rest) = first.split_once("rel=\"next\" href=\"").unwrap();
    let next = rest.split('"').next().unwrap().replace("&amp;", "&");
    let second = page(&api, &next).await;
    assert_eq!(second.matches("href=\"/dashboard/runs/").count(), 3);
    assert!(!second.contains("rel=\"next\""));
}

async fn the_page_in_the_bucket_says_how_to_use_the_cache(backend: Backend) {
    let options = ServerOptions {
        arguments: vec!["--cache-url=https://cache.example.com/".into()],
        server_url: Some("https://niks3.example.com".into()),
        ..ServerOptions::default()
    };
    let server = Server::with(backend, options);
    let page = String::from_utf8(server.get("").unwrap()).unwrap();
    let key = server.public_key();
    for part in [
        key,
        "extra-substituters = https://cache.example.com\n",
        &format!("extra-trusted-public-keys = [ &quot;{key}&quot; ];"),
        "nix.settings",
        "nixConfig",
        "server-url: https://niks3.example.com }",
        "<b>0</b>paths",
        "Content-Security-Policy",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

/// What a visitor finds on some pages.
fn visit(visits: &Value) -> Vec<Value> {
    let chromium = std::env::var("NIKS3_TEST_CHROMIUM").expect("eval \"$(scripts/setup --print-env)\" first");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("browser/visit.mjs");
    let profile = tempfile::tempdir().unwrap();
    let mut node = Command::new("timeout")
        .arg("180")
        .arg("node")
        .arg(script)
        .arg(chromium)
        .arg(profile.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    write!(node.stdin.take().unwrap(), "{visits}").unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Pushes a run whose every field tries to be more than text.
async fn hostile_run(api: &Api) {
    let text = |field: &str| format!("{field} {HOSTILE}");
    let statement = json!({
        "provider": text("provider"), "repository": text("repository"), "repository_id": text("rid"),
        "owner": text("owner"), "owner_id": text("oid"), "ref": text("refs/heads/"), "sha": text("sha"),
        "event": text("event"), "workflow": text("workflow"), "job": text("job"), "job_id": text("jid"),
        "run_id": text("run"), "run_attempt": text("1"), "actor": text("actor"),
        "url": "https://example.com/\"><script>window.pwned=true</script>",
    });
    // What the API refuses is taken out, so that the rest arrives.
    let mut statement = statement;
    loop {
        let answer = api.post("/runs", &statement).await;
        if answer.status.is_success() {
            return;
        }
        let problem = answer.problem(422);
        let field = problem["field"].as_str().unwrap().to_owned();
        let value = &mut statement[field.rsplit('.').next().unwrap()];
        let safer = value.as_str().unwrap().replace('\u{202e}', "");
        assert_ne!(*value, safer, "{problem}");
        *value = safer.into();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pages_are_whole_in_a_browser_whatever_things_are_called() {
    let (site, root) = pushed(Backend::Embedded).await;
    let api = Api::of(site.server);
    hostile_run(&api).await;
    let mut gc = api.server.niks3();
    let _ = niks3_test_support::run(gc.args(["gc", "--older-than=0s", "--dry-run"])).ok();
    // Names that no pin can get by the API may be there from elsewhere.
    let database = api.server.directory().join("niks3.db");
    let update = "import sqlite3, sys, glob\n\
         c = sqlite3.connect(sys.argv[1], timeout=30)\n\
         c.execute('UPDATE pins SET name = ?', (sys.argv[2],))\n\
         c.execute('UPDATE runs SET conclusion = ?, job_url = ?, identity = ? WHERE provider <> ?', (sys.argv[2], 'javascript:window.pwned=true', sys.argv[2], 'github'))\n\
         c.execute('UPDATE tasks SET identity = ?, error = ?', (sys.argv[2], sys.argv[2]))\n\
         c.execute('UPDATE paths SET deriver = ?, ca = ?', (sys.argv[2], sys.argv[2]))\n\
         c.commit()";
    let changed = run(Command::new("python3")
        .args(["-c", update])
        .arg(&database)
        .arg(HOSTILE));
    let _ = changed.ok();

    let base = root.rsplit('/').next().unwrap();
    let runs = page(&api, "/dashboard/runs").await;
    let mut paths: Vec<String> = PAGES.map(str::to_owned).to_vec();
    paths.push(format!("/dashboard/closures/{base}"));
    let hrefs = runs
        .split("href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap());
    paths.extend(
        hrefs
            .filter(|href| href.starts_with("/dashboard/runs/"))
            .map(str::to_owned),
    );
    let asked = reqwest::Url::parse_with_params("http://x/dashboard/search", [("q", HOSTILE)]).unwrap();
    paths.push(format!("{}?{}", asked.path(), asked.query().unwrap()));

    let token = base64::engine::general_purpose::STANDARD.encode(format!("me:{}", api.token));
    let pictures = std::env::var("NIKS3_TEST_PICTURES").ok();
    let mut visits = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        for (width, dark, script) in [
            (390, true, true),
            (390, false, false),
            (1280, false, true),
            (1280, true, false),
        ] {
            visits.push(json!({
                "url": format!("{}{path}", api.server.url()), "authorization": format!("Basic {token}"),
                "width": width, "dark": dark, "script": script,
                "picture": pictures.as_ref().map(|folder| format!("{folder}/{number}-{width}-{}.png", if dark { "dark" } else { "light" })),
            }));
        }
    }
    let found = visit(&Value::Array(visits));
    for page in &found {
        let missing = page["url"].as_str().unwrap().ends_with("/nothing");
        assert_eq!(page["status"], if missing { 404 } else { 200 }, "{page}");
        if missing {
            continue;
        }
        assert_eq!(page["pwned"], false, "{page}");
        assert_eq!(page["dangerous"], 0, "{page}");
        for nothing in ["outside", "violations", "faint", "unlabelled"] {
            assert_eq!(page[nothing], json!([]), "{nothing}: {page}");
        }
        assert!(page["overflow"].as_i64().unwrap() <= 0, "{page}");
        assert_eq!(page["landmarks"], json!([1, 1, "en"]), "{page}");
        assert!(!page["text"].as_str().unwrap().contains('\u{202e}'), "{page}");
    }
    let backgrounds: std::collections::BTreeSet<_> =
        found.iter().map(|page| page["background"].to_string()).collect();
    assert_eq!(backgrounds.len(), 2, "light and dark: {backgrounds:?}");
}
