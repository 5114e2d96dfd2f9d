//! Runs of CI and the closures they push, on both backends.

use niks3_test_support::{Backend, Server, Site, eventually, on_both, run};
use niks3_tests::api::{Answer, Api};
use reqwest::Method;
use serde_json::{Value, json};

on_both!(
    a_push_of_ci_is_found_from_its_run_and_from_its_closure,
    runs_are_found_by_repository_ref_pull_request_and_time_in_pages,
    closures_are_found_by_the_runs_that_pushed_them_in_pages,
    garbage_collection_forgets_runs_with_their_closures,
    a_run_is_completed_by_whoever_may,
    nothing_odd_is_taken_for_a_run,
);

/// Pushes as a job of GitHub Actions.
fn push(site: &Site, path: &str, run_id: &str, git_ref: &str) {
    let mut command = site.command(path);
    for (name, value) in [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "o/r"),
        ("GITHUB_REPOSITORY_ID", "17"),
        ("GITHUB_REPOSITORY_OWNER", "o"),
        ("GITHUB_REF", git_ref),
        ("GITHUB_SHA", "abc"),
        ("GITHUB_WORKFLOW", "CI | <b>"),
        ("GITHUB_JOB", "build"),
        ("GITHUB_RUN_ID", run_id),
        ("GITHUB_RUN_ATTEMPT", "1"),
        ("GITHUB_SERVER_URL", "https://github.com"),
    ] {
        command.env(name, value);
    }
    let _ = run(&mut command).ok();
}

fn niks3(site: &Site, arguments: &[&str]) -> String {
    let mut command = site.server.niks3();
    site.store.prepare(command.args(arguments));
    run(&mut command).ok()
}

fn json_of(site: &Site, arguments: &[&str]) -> Value {
    serde_json::from_str(&niks3(site, &[arguments, &["--json"]].concat())).unwrap()
}

fn paths(closures: &Value) -> Vec<&str> {
    let closures = closures.as_array().unwrap().iter();
    closures
        .map(|closure| closure["path"].as_str().unwrap())
        .collect()
}

async fn a_push_of_ci_is_found_from_its_run_and_from_its_closure(backend: Backend) {
    let site = Site::new(backend).await;
    let built = site.store.build(
        "let lib = build \"lib\" \"echo lib > $out\"; in \
         [ (build \"a\" \"echo ${lib} > $out\") (build \"b\" \"echo ${lib} b > $out\") ]",
    );
    push(&site, &built[0], "1", "refs/heads/main");
    push(&site, &built[1], "1", "refs/heads/main");
    push(&site, &built[0], "2", "refs/pull/12/merge");
    let _ = site
        .push(&site.store.build("build \"by-hand\" \"echo x > $out\"")[0])
        .ok();

    let runs = json_of(&site, &["runs", "list"]);
    assert_eq!(runs.as_array().unwrap().len(), 2, "{runs}");
    assert_eq!(
        (&runs[0]["run_id"], &runs[0]["pull_request"], &runs[0]["closures"]),
        (&json!("2"), &json!(12), &json!(1))
    );
    let first = json_of(&site, &["runs", "show", runs[1]["id"].as_str().unwrap()]);
    assert_eq!(first["url"], "https://github.com/o/r/actions/runs/1/attempts/1");
    assert_eq!(
        (
            &first["verified"],
            &first["workflow"],
            &first["job"],
            &first["ref"]
        ),
        (
            &json!(false),
            &json!("CI | <b>"),
            &json!("build"),
            &json!("refs/heads/main")
        )
    );
    let mut pushed = paths(&first["closures"]);
    pushed.sort_unstable();
    let mut both: Vec<&str> = built.iter().map(String::as_str).collect();
    both.sort_unstable();
    assert_eq!(pushed, both);

    let closure = json_of(&site, &["closures", "show", &built[0]]);
    let ids: Vec<&Value> = closure["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["run_id"])
        .collect();
    assert_eq!(ids, ["2", "1"]);
    assert_eq!(closure["paths"], 2);
    let size = |path: &str| {
        let size = site.store.nix("nix-store", &["--query", "--size", path]);
        size.trim().parse::<u64>().unwrap()
    };
    let nar_bytes: u64 = site.store.closure(&built[0]).iter().map(|path| size(path)).sum();
    assert_eq!(closure["nar_bytes"], nar_bytes);
    assert!(closure["file_bytes"].as_u64().unwrap() > 0);

    let of_main = json_of(&site, &["closures", "list", "--ref", "main"]);
    assert_eq!(paths(&of_main).len(), 2);
    let of_pull_request = json_of(
        &site,
        &["closures", "list", "--repository", "o/r", "--pull-request", "12"],
    );
    assert_eq!(paths(&of_pull_request), [built[0].as_str()]);
    let all = json_of(&site, &["closures", "list", "--since", "1h"]);
    assert_eq!(paths(&all).len(), 3);
    let of_b = json_of(&site, &["runs", "list", "--closure", &built[1]]);
    assert_eq!(of_b.as_array().unwrap().len(), 1);
    let fitting = json_of(&site, &["ls", "*"]);
    assert_eq!(paths(&fitting).len(), 3);
    let name = built[0].rsplit('/').next().unwrap().split_once('-').unwrap().1;
    let fitting = json_of(&site, &["ls", &format!("{}*", &name[..name.len() - 1])]);
    assert!(paths(&fitting).contains(&built[0].as_str()), "{fitting}");
    let listed = niks3(&site, &["ls", name]);
    assert!(
        listed.starts_with("NAME") && listed.lines().nth(1).is_some_and(|line| line.starts_with(name)),
        "{listed}"
    );
    assert!(
        listed.contains(" B  ") || listed.contains("iB  "),
        "sizes have units: {listed}"
    );
    // For people: a line each, whatever a workflow is called, below a header.
    let lines = niks3(&site, &["runs", "list"]);
    assert!(
        lines.lines().count() == 3 && lines.starts_with("REPOSITORY") && lines.contains("CI | <b>/build"),
        "{lines}"
    );
    assert!(niks3(&site, &["closures", "show", &built[0]]).contains("runs           2"));
}

async fn get(api: &Api, path: &str) -> Answer {
    let path = format!("/api/v1{path}");
    api.send(Method::GET, &path, &api.token, "", "").await
}

async fn patch(api: &Api, path: &str, body: &Value) -> Answer {
    let path = format!("/api/v1{path}");
    api.send(
        Method::PATCH,
        &path,
        &api.token,
        "application/json",
        body.to_string(),
    )
    .await
}

/// All entries of a listing, page by page.
async fn walk(api: &Api, path: &str, list: &str, limit: usize) -> Vec<Value> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = get(api, &format!("{path}&limit={limit}{after}")).await.ok();
        let entries = page[list].as_array().unwrap();
        assert!(entries.len() <= limit);
        all.extend(entries.iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return all,
        }
    }
}

async fn runs_are_found_by_repository_ref_pull_request_and_time_in_pages(backend: Backend) {
    let api = Api::new(backend, &[]);
    for number in 0..23_u64 {
        let statement = json!({
            "provider": "ci", "repository": format!("o/{}", number % 2), "run_id": number.to_string(),
            "ref": format!("refs/heads/{}", number % 3), "pull_request": if number % 5 == 0 { number } else { 0 },
        });
        api.post("/runs", &statement).await.ok();
        let again = api.post("/runs", &statement).await.ok();
        assert_eq!(again["run_id"], number.to_string());
    }
    let numbers = |runs: Vec<Value>| -> Vec<u64> {
        runs.iter()
            .map(|run| run["run_id"].as_str().unwrap().parse().unwrap())
            .collect()
    };
    for limit in [1, 7, 23, 1000] {
        let all = numbers(walk(&api, "/runs?", "runs", limit).await);
        assert_eq!(all, (0..23).rev().collect::<Vec<_>>(), "pages of {limit}");
    }
    let odd = numbers(walk(&api, "/runs?repository=o/1&ref=refs/heads/0", "runs", 2).await);
    assert_eq!(odd, [21, 15, 9, 3]);
    assert_eq!(
        numbers(walk(&api, "/runs?pull_request=20", "runs", 10).await),
        [20]
    );
    let newest = walk(&api, "/runs?", "runs", 1000).await.remove(0);
    let time = newest["created_at"].as_i64().unwrap();
    let since = numbers(walk(&api, &format!("/runs?since={time}"), "runs", 3).await);
    let before = numbers(walk(&api, &format!("/runs?until={time}"), "runs", 3).await);
    assert!(since.contains(&22) && !before.contains(&22));
    assert_eq!([since, before].concat(), (0..23).rev().collect::<Vec<_>>());
    assert!(walk(&api, "/runs?repository=o/%25", "runs", 3).await.is_empty());
}

async fn closures_are_found_by_the_runs_that_pushed_them_in_pages(backend: Backend) {
    let site = Site::new(backend).await;
    let expression = "builtins.genList (n: build \"p${toString n}\" \"echo ${toString n} > $out\") 12";
    let built = site.store.build(expression);
    let mut command = site.command(&built[0]);
    command.args(&built[1..]).envs([
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "o/r"),
        ("GITHUB_RUN_ID", "1"),
    ]);
    let _ = run(&mut command).ok();
    let api = Api::of(site.server);
    let id = walk(&api, "/runs?", "runs", 10).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut sorted = built.clone();
    sorted.sort();
    for limit in [1, 5, 12, 100] {
        for filter in ["repository=o/r".to_owned(), format!("run={id}"), String::new()] {
            let found = walk(&api, &format!("/closures?{filter}"), "closures", limit).await;
            let mut found: Vec<&str> = found
                .iter()
                .map(|closure| closure["path"].as_str().unwrap())
                .collect();
            found.sort_unstable();
            assert_eq!(found, sorted, "{filter} in pages of {limit}");
        }
    }
    assert!(
        walk(&api, "/closures?repository=o/other", "closures", 5)
            .await
            .is_empty()
    );
    assert!(walk(&api, "/closures?run=nobody", "closures", 5).await.is_empty());
}

fn gc(server: &Server, arguments: &[&str]) -> Value {
    let mut command = server.niks3();
    command
        .args(["gc", "--older-than=0s", "--force", "--json"])
        .args(arguments);
    run(&mut command).json()
}

async fn garbage_collection_forgets_runs_with_their_closures(backend: Backend) {
    let site = Site::new(backend).await;
    let built = site
        .store
        .build("[ (build \"kept\" \"echo kept > $out\") (build \"old\" \"echo old > $out\") ]");
    push(&site, &built[0], "1", "refs/heads/main");
    push(&site, &built[1], "1", "refs/heads/main");
    push(&site, &built[1], "2", "refs/heads/main");
    let _ = niks3(&site, &["pins", "create", "kept", &built[0]]);
    // Closures of this very second stay.
    eventually("the closure is older than this very second", || {
        gc(&site.server, &["--dry-run"]);
        gc(&site.server, &[]);
        paths(&json_of(&site, &["closures", "list"])) == [built[0].as_str()]
    });
    eventually("the run is older than this very second", || {
        gc(&site.server, &[]);
        json_of(&site, &["runs", "list"]).as_array().unwrap().len() == 1
    });
    let runs = json_of(&site, &["runs", "list"]);
    assert_eq!(
        (&runs[0]["run_id"], &runs[0]["closures"]),
        (&json!("1"), &json!(1))
    );
    let mut gone = site.server.niks3();
    site.store.prepare(gone.args(["closures", "show", &built[1]]));
    assert!(run(&mut gone).fails(1).contains("nobody has pushed the closure"));
    // What is pushed anew starts anew.
    push(&site, &built[1], "3", "refs/heads/main");
    let closure = json_of(&site, &["closures", "show", &built[1]]);
    assert_eq!(closure["runs"].as_array().unwrap().len(), 1, "{closure}");
}

async fn a_run_is_completed_by_whoever_may(backend: Backend) {
    let api = Api::new(backend, &[]);
    let statement = json!({ "provider": "ci", "repository": "o/r", "run_id": "1" });
    let recorded = api.post("/runs", &statement).await.ok();
    let path = format!("/runs/{}", recorded["id"].as_str().unwrap());
    assert_eq!(recorded["job"], Value::Null);
    let body = json!({ "job": "build (x86)", "pull_request": 3, "conclusion": "success", "url": "https://x/1", "job_url": "https://x/1/job" });
    let completed = patch(&api, &path, &body).await.ok();
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(&completed[field], value);
    }
    // What is not given stays; what is stated again is no news.
    let changed = patch(&api, &path, &json!({ "conclusion": "failure" })).await.ok();
    assert_eq!(
        (&changed["conclusion"], &changed["job"]),
        (&json!("failure"), &json!("build (x86)"))
    );
    let again = json!({ "provider": "ci", "repository": "o/r", "run_id": "1", "pull_request": 9 });
    assert_eq!(api.post("/runs", &again).await.ok()["pull_request"], 3);
    assert_eq!(get(&api, &path).await.ok(), changed);

    let url = format!("/api/v1{path}");
    let body = json!({ "job": "mine" }).to_string();
    api.send(Method::PATCH, &url, "", "application/json", body.clone())
        .await
        .problem(401);
    api.send(Method::GET, &url, "", "", "").await.problem(401);
    patch(&api, "/runs/unknown", &json!({ "job": "x" }))
        .await
        .problem(404);
}

async fn nothing_odd_is_taken_for_a_run(backend: Backend) {
    let api = Api::new(backend, &[]);
    let with = |field: &str, value: Value| {
        let mut statement = json!({ "provider": "ci", "repository": "o/r", "run_id": "1" });
        statement[field] = value;
        statement
    };
    for (field, value) in [
        ("run_id", json!("")),
        ("provider", Value::Null),
        ("job", json!("x".repeat(600))),
        ("sha", json!("a\u{0}b")),
        ("workflow", json!("a\nb")),
        ("url", json!("javascript:alert(1)")),
        ("url", json!("nowhere")),
        ("pull_request", json!(u64::MAX)),
    ] {
        let statement = with(field, value.clone());
        api.post("/runs", &statement).await.problem(422);
        if !["run_id", "provider"].contains(&field) {
            let push = json!({ "store_dir": "/nix/store", "roots": [niks3_tests::api::A], "run": statement });
            api.post("/pushes", &push).await.problem(422);
        }
    }
    let id = api.post("/runs", &with("actor", json!("a"))).await.ok()["id"].clone();
    let path = format!("/runs/{}", id.as_str().unwrap());
    for body in [
        json!({ "url": "ftp://x" }),
        json!({ "job": "\u{0}" }),
        json!({ "conclusion": "x".repeat(600) }),
        json!({ "pull_request": u64::MAX }),
    ] {
        patch(&api, &path, &body).await.problem(422);
    }
    for query in [
        "/runs?limit=0",
        "/runs?limit=1001",
        "/runs?after=nothing",
        "/runs?after=%00",
        "/runs?repository=%00",
        "/runs?closure=nothing",
        "/runs?since=18446744073709551615",
        "/closures?limit=101",
        "/closures?after=1",
        "/closures?after=99999999999999999999.1",
        "/closures?ref=%0a",
        "/closures/nothing",
    ] {
        get(&api, query).await.problem(422);
    }
    for unknown in [
        "/runs/nothing",
        "/runs/%00",
        "/closures?run=%00",
        "/closures/00000000000000000000000000000000-a",
    ] {
        get(&api, unknown).await.problem(404);
    }
    get(&api, "/runs?pull_request=-1").await.problem(400);
}
