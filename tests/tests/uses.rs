//! What runs of CI report as used, on both backends: it is linked to the run, and counts like a push.

use niks3_test_support::{Backend, Server, ServerOptions, Site, on_both, run};
use niks3_tests::api::{A, Answer, Api, B};
use serde_json::{Value, json};

on_both!(
    what_a_run_uses_is_linked_to_it_and_counts_like_a_push,
    a_used_path_that_is_no_root_becomes_one_and_keeps_what_it_refers_to,
    uses_are_forgotten_when_they_keep_nothing_any_more,
    only_the_run_itself_reports_what_it_used,
    a_report_has_bounds_and_one_beyond_them_changes_nothing,
    a_root_that_a_later_run_pushes_again_is_kept_without_a_report,
);

async fn recorded(api: &Api, run_id: &str) -> String {
    let statement = json!({ "provider": "ci", "repository": "o/r", "run_id": run_id });
    let run = api.post("/runs", &statement).await.ok();
    run["id"].as_str().unwrap().to_owned()
}

async fn uses(api: &Api, run: &str, paths: &[&str], complete: bool) -> Answer {
    let report = json!({ "paths": paths, "complete": complete });
    api.post(&format!("/runs/{run}/uses"), &report).await
}

/// Lets time pass for all that has been pushed and used.
fn age(server: &Server, seconds: i64) {
    for statement in [
        format!("UPDATE closures SET pushed_at = pushed_at - {seconds}, used_at = used_at - {seconds}"),
        format!("UPDATE closure_uses SET used_at = used_at - {seconds}"),
        format!("UPDATE closure_runs SET pushed_at = pushed_at - {seconds}"),
        format!("UPDATE runs SET used_at = used_at - {seconds}"),
    ] {
        let _ = server.sql(&statement);
    }
}

/// Deletes what was neither pushed nor used for an hour; how many closures.
fn collect(server: &Server, arguments: &[&str]) -> Value {
    let mut command = server.niks3();
    command
        .args(["gc", "--older-than=1h", "--force", "--json"])
        .args(arguments);
    run(&mut command).json()["gc"]["counts"]["old_closures_deleted"].clone()
}

fn closures(server: &Server) -> Vec<String> {
    server.sql("SELECT p.name FROM closures c JOIN paths p ON p.id = c.path_id ORDER BY p.name")
}

async fn what_a_run_uses_is_linked_to_it_and_counts_like_a_push(backend: Backend) {
    let api = Api::new(backend, &[]);
    for path in [A, B] {
        api.push(path, path.as_bytes()).await.ok();
    }
    age(&api.server, 7200);
    let run = recorded(&api, "1").await;
    // What the cache does not have is ignored, and so is one of the same hash and another name.
    let unknown = [
        "22222222222222222222222222222222-c",
        &format!("{}-other", &B[..32]),
    ];
    let reported = uses(&api, &run, &[&[A], unknown.as_slice()].concat(), false)
        .await
        .ok();
    assert_eq!(reported["used"], 1, "{reported}");
    assert_eq!(
        (
            &reported["run"]["closures_used"],
            &reported["run"]["uses_complete"]
        ),
        (&json!(1), &json!(false))
    );
    let reported = uses(&api, &run, &[A, A], true).await.ok();
    assert_eq!(
        (&reported["used"], &reported["run"]["uses_complete"]),
        (&json!(1), &json!(true))
    );
    // A later report that knows less takes nothing back.
    let reported = uses(&api, &run, &[], false).await.ok();
    assert_eq!(
        (
            &reported["run"]["closures_used"],
            &reported["run"]["uses_complete"]
        ),
        (&json!(1), &json!(true))
    );
    assert_eq!(collect(&api.server, &["--dry-run"]), 1);
    assert_eq!(collect(&api.server, &[]), 1);
    assert_eq!(closures(&api.server), [A]);
    assert!(api.server.get(&format!("{}.narinfo", &A[..32])).is_some());
    assert!(api.server.get(&format!("{}.narinfo", &B[..32])).is_none());
}

async fn a_used_path_that_is_no_root_becomes_one_and_keeps_what_it_refers_to(backend: Backend) {
    let site = Site::new(backend).await;
    let expression = "let base = build \"base\" \"echo base > $out\"; lib = build \"lib\" \"echo ${base} > $out\"; in \
         { inherit base lib; app = build \"app\" \"echo ${lib} > $out\"; }";
    let [app, lib, base] =
        ["app", "lib", "base"].map(|name| site.store.build(&format!("({expression}).{name}")).remove(0));
    let _ = site.push(&app).ok();
    age(&site.server, 7200);
    let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let api = Api::of(site.server);
    let run = recorded(&api, "1").await;
    assert_eq!(uses(&api, &run, &[&name(&lib)], true).await.ok()["used"], 1);
    assert_eq!(collect(&api.server, &[]), 1);
    assert_eq!(closures(&api.server), [name(&lib)]);
    let has = |path: &str| {
        api.server
            .get(&format!("{}.narinfo", &name(path)[..32]))
            .is_some()
    };
    assert!(has(&lib) && has(&base) && !has(&app));
}

async fn uses_are_forgotten_when_they_keep_nothing_any_more(backend: Backend) {
    let api = Api::new(backend, &[]);
    api.push(A, b"a").await.ok();
    let [first, second] = [recorded(&api, "1").await, recorded(&api, "2").await];
    uses(&api, &first, &[A], true).await.ok();
    age(&api.server, 7200);
    uses(&api, &second, &[A], true).await.ok();
    assert_eq!(collect(&api.server, &["--dry-run"]), 0);
    assert_eq!(
        api.server.sql("SELECT count(*) FROM closure_uses"),
        ["2"],
        "a dry run changes nothing"
    );
    assert_eq!(collect(&api.server, &[]), 0);
    let left = api
        .server
        .sql("SELECT r.run_id FROM closure_uses u JOIN runs r ON r.id = u.run_id");
    assert_eq!(left, ["2"]);
    // The run that nothing names any more goes with its uses.
    assert_eq!(api.server.sql("SELECT run_id FROM runs"), ["2"]);
    age(&api.server, 7200);
    assert_eq!(collect(&api.server, &[]), 1);
    for table in ["closures", "closure_uses", "runs"] {
        assert_eq!(
            api.server.sql(&format!("SELECT count(*) FROM {table}")),
            ["0"],
            "{table}"
        );
    }
}

async fn only_the_run_itself_reports_what_it_used(backend: Backend) {
    let api = Api::new(backend, &[]);
    api.push(A, b"a").await.ok();
    let run = recorded(&api, "1").await;
    let path = format!("/api/v1/runs/{run}/uses");
    let body = json!({ "paths": [A], "complete": true }).to_string();
    let as_other = |token: String| {
        let (api, path, body) = (&api, &path, body.clone());
        async move {
            let kind = "application/json";
            api.send(reqwest::Method::POST, path, &token, kind, body).await
        }
    };
    let other = |scopes: Value| {
        let name = scopes
            .to_string()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "");
        let api = &api;
        async move {
            let made = api
                .post("/tokens", &json!({ "name": name, "scopes": scopes }))
                .await
                .ok();
            made["token"].as_str().unwrap().to_owned()
        }
    };
    // Somebody who may not push, somebody else who may, and somebody else who may do anything.
    for scopes in [json!(["read", "gc"]), json!(["push"]), json!(["admin"])] {
        as_other(other(scopes).await).await.problem(403);
    }
    as_other(String::new()).await.problem(401);
    uses(&api, "nothing", &[A], true).await.problem(404);
    uses(&api, "%00", &[A], true).await.problem(404);
    assert_eq!(api.server.sql("SELECT count(*) FROM closure_uses"), ["0"]);
    assert_eq!(api.server.sql("SELECT uses_complete FROM runs"), ["0"]);
}

async fn a_report_has_bounds_and_one_beyond_them_changes_nothing(backend: Backend) {
    let api = Api::with(backend, ServerOptions::default());
    let run = recorded(&api, "1").await;
    for paths in [
        json!(["nothing"]),
        json!(["/nix/store"]),
        json!([""]),
        json!(["\u{0}"]),
    ] {
        let answer = api
            .post(&format!("/runs/{run}/uses"), &json!({ "paths": paths }))
            .await;
        answer.problem(422);
    }
    api.post(&format!("/runs/{run}/uses"), &json!({ "complete": true }))
        .await
        .problem(400);
    // As many present paths as there can be links, and one more.
    let name = |number: usize| format!("{number:032}-p");
    let digits = match backend {
        Backend::Embedded => {
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
             INSERT INTO paths (hash, name, state, created_at) SELECT printf('%032d', i), printf('%032d-p', i), 2, 0 FROM n"
        }
        Backend::Services => {
            "INSERT INTO paths (hash, name, state, created_at) \
             SELECT lpad(i::text, 32, '0'), lpad(i::text, 32, '0') || '-p', 2, 0 FROM generate_series(0, 20000) i"
        }
    };
    let _ = api.server.sql(digits);
    let names: Vec<String> = (0..=20_000).map(name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    uses(&api, &run, &names[..5_001], true).await.problem(422);
    let links = || api.server.sql("SELECT count(*) FROM closure_uses")[0].clone();
    assert_eq!(links(), "0");
    for paths in names[..20_000].chunks(5_000) {
        assert_eq!(uses(&api, &run, paths, false).await.ok()["used"], 5_000);
    }
    // What is linked already is no more than that; one more path is too many, and none of its report counts.
    uses(&api, &run, &names[..5_000], false).await.ok();
    uses(&api, &run, &names[15_001..], true).await.problem(422);
    assert_eq!(links(), "20000");
    assert_eq!(api.server.sql("SELECT uses_complete FROM runs"), ["0"]);
    // Another job has links of its own.
    let other = recorded(&api, "2").await;
    assert_eq!(uses(&api, &other, &names[20_000..], true).await.ok()["used"], 1);
}

async fn a_root_that_a_later_run_pushes_again_is_kept_without_a_report(backend: Backend) {
    let site = Site::new(backend).await;
    let path = site.store.build("build \"x\" \"echo x > $out\"").remove(0);
    let push = |run_id: &str| {
        let mut command = site.command(&path);
        command.envs([
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "o/r"),
            ("GITHUB_RUN_ID", run_id),
        ]);
        run(&mut command).ok()
    };
    push("1");
    age(&site.server, 7200);
    // Nothing is uploaded, and the run is linked all the same.
    push("2");
    assert_eq!(collect(&site.server, &[]), 0);
    site.whole(&path);
    let runs = site
        .server
        .sql("SELECT r.run_id FROM closure_runs l JOIN runs r ON r.id = l.run_id ORDER BY r.run_id");
    assert_eq!(runs, ["1", "2"]);
}
