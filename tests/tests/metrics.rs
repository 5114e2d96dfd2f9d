//! What people on call see: the metrics, with what is written of them, and the log.

use std::collections::BTreeSet;
use std::path::PathBuf;

use niks3_test_support::{Backend, Server, ServerOptions, Site, on_both, run};
use niks3_tests::api::Api;
use openmetrics_parser::openmetrics::parse_openmetrics;
use promql_parser::parser::{self, Expr};
use promql_parser::util::{ExprVisitor, walk_expr};
use reqwest::Method;
use serde_json::{Value, json};

on_both!(
    what_is_pushed_and_collected_is_counted_and_everything_counted_is_documented,
    metrics_have_no_label_that_a_caller_makes_up,
    every_line_of_a_request_names_it_and_the_push_and_who_pushes,
);

fn file(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// Every sample: its whole name with labels as they are written, and its value.
fn samples(text: &str) -> Vec<(String, f64)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// Names of metrics as queries write them.
fn names(text: &str) -> BTreeSet<String> {
    samples(text)
        .into_iter()
        .map(|(name, _)| {
            let name = name.split('{').next().unwrap();
            let of_histogram = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            of_histogram.unwrap_or(name).to_owned()
        })
        .collect()
}

fn value(text: &str, name: &str) -> f64 {
    let found = samples(text).into_iter().find(|(sample, _)| sample == name);
    found.unwrap_or_else(|| panic!("{name} is not in\n{text}")).1
}

/// The exposition, read by a parser that knows the format.
fn scrape(server: &Server) -> String {
    let text = String::from_utf8(server.get("metrics").unwrap()).unwrap();
    let parsed = parse_openmetrics(&text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    assert!(parsed.families.len() > 30, "{text}");
    text
}

struct Selected(BTreeSet<String>);

impl ExprVisitor for Selected {
    type Error = ();

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, ()> {
        match expr {
            Expr::VectorSelector(selector) => self.0.extend(selector.name.clone()),
            Expr::MatrixSelector(matrix) => self.0.extend(matrix.vs.name.clone()),
            _ => {}
        }
        Ok(true)
    }
}

/// The metrics that a query asks for.
fn queried(query: &str) -> BTreeSet<String> {
    let query = query.replace("$__rate_interval", "5m");
    let expr = parser::parse(&query).unwrap_or_else(|error| panic!("{error}: {query}"));
    let mut selected = Selected(BTreeSet::new());
    walk_expr(&mut selected, &expr).unwrap();
    assert!(!selected.0.is_empty(), "{query}");
    let of_histogram = |name: String| name.strip_suffix("_bucket").map_or(name.clone(), str::to_owned);
    selected.0.into_iter().map(of_histogram).collect()
}

fn texts<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(text) if name == key => found.push(text),
                    _ => texts(value, key, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, key, found)),
        _ => {}
    }
}

fn queries(document: &Value) -> BTreeSet<String> {
    let mut found = Vec::new();
    texts(document, "expr", &mut found);
    assert!(found.len() > 10);
    found.into_iter().flat_map(queried).collect()
}

fn documented() -> BTreeSet<String> {
    let text = file("docs/metrics.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `niks3_"));
    rows.map(|row| format!("niks3_{}", row.split('`').next().unwrap()))
        .collect()
}

async fn what_is_pushed_and_collected_is_counted_and_everything_counted_is_documented(backend: Backend) {
    let site = Site::new(backend).await;
    let old = site
        .store
        .build("let a = build \"a\" \"echo a > $out\"; in build \"old\" \"echo old ${a} > $out\"")
        .remove(0);
    let _ = site.push(&old).ok();
    let again = run(site.server.niks3().args(["pins", "create", "kept", &old]));
    let _ = again.ok();
    let _ = site.push(&old).ok();
    let pushed = scrape(&site.server);
    assert_eq!(value(&pushed, "niks3_pushes_opened_total"), 2.0);
    assert_eq!(value(&pushed, "niks3_pushes_total{result=\"committed\"}"), 2.0);
    let added = value(&pushed, "niks3_push_nar_bytes_total{source=\"added\"}");
    assert!(added > 0.0);
    assert_eq!(
        value(&pushed, "niks3_push_nar_bytes_total{source=\"cached\"}"),
        added
    );
    assert!(value(&pushed, "niks3_upload_bytes_total") > 0.0);
    assert_eq!(
        value(
            &pushed,
            "niks3_http_requests_total{operation=\"commit_push\",status=\"200\"}"
        ),
        2.0
    );

    let _ = run(site.server.niks3().args(["pins", "delete", "kept"])).ok();
    let _ = run(site.server.niks3().args(["gc", "--older-than=0s", "--force"])).ok();
    let collected = scrape(&site.server);
    assert_eq!(value(&collected, "niks3_gc_runs_total{result=\"done\"}"), 1.0);
    assert_eq!(value(&collected, "niks3_gc_closures_deleted_total"), 1.0);
    assert!(value(&collected, "niks3_gc_objects_deleted_total") >= 4.0);
    assert!(value(&collected, "niks3_gc_freed_bytes_total") > 0.0);
    let phases = samples(&collected)
        .into_iter()
        .filter(|(name, seconds)| name.starts_with("niks3_gc_phase_seconds_total") && *seconds > 0.0);
    assert!(phases.count() >= 6, "{collected}");
    let deletes: f64 = samples(&collected)
        .iter()
        .filter(|(name, _)| {
            name.starts_with("niks3_s3_requests_total{operation=\"Delete") && name.contains("\"ok\"")
        })
        .map(|(_, count)| count)
        .sum();
    assert_eq!(deletes > 0.0, backend == Backend::Services, "{collected}");

    let (documented, exposed) = (documented(), names(&collected));
    let undocumented: Vec<_> = exposed.difference(&documented).collect();
    assert!(
        undocumented.is_empty(),
        "not in docs/metrics.md: {undocumented:?}"
    );
    let unseen: Vec<_> = documented.difference(&exposed).collect();
    assert!(unseen.is_empty(), "nowhere but in docs/metrics.md: {unseen:?}");
    let dashboard = queries(&serde_json::from_str(&file("contrib/grafana/niks3.json")).unwrap());
    assert_eq!(dashboard, documented, "the dashboard shows what is documented");
    let rules: Value = serde_saphyr::from_str(&file("contrib/prometheus/niks3.rules.yaml")).unwrap();
    let strange: Vec<_> = queries(&rules).difference(&documented).cloned().collect();
    assert!(strange.is_empty(), "asked for by alerts alone: {strange:?}");
}

async fn metrics_have_no_label_that_a_caller_makes_up(backend: Backend) {
    let api = Api::new(backend, &["--protect-metrics"]);
    let secret = "made-up-by-a-caller";
    for path in [
        format!("/{secret}"),
        format!("/api/v1/{secret}"),
        format!("/api/v1/pushes/{secret}/commit"),
        format!("/api/v1/pins/{secret}"),
        format!("/dashboard/{secret}"),
        format!("/metrics/{secret}"),
    ] {
        for method in [
            Method::GET,
            Method::POST,
            Method::from_bytes(secret.as_bytes()).unwrap(),
        ] {
            for token in ["", secret, &api.token] {
                let _ = api.send(method.clone(), &path, token, secret, secret).await;
            }
        }
    }
    let refused = api.send(Method::GET, "/metrics", "", "", "").await;
    let _ = refused.problem(401);
    let basic = api.client.get(format!("{}/metrics", api.server.url()));
    let answer = basic
        .basic_auth("anybody", Some(&api.token))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let text = api.send(Method::GET, "/metrics", &api.token, "", "").await;
    assert_eq!(
        text.content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(!text.body.contains(secret), "{}", text.body);
    for reason in ["no_token", "invalid_token"] {
        assert!(
            value(
                &text.body,
                &format!("niks3_auth_failures_total{{reason=\"{reason}\"}}")
            ) > 0.0
        );
    }
}

async fn every_line_of_a_request_names_it_and_the_push_and_who_pushes(backend: Backend) {
    let options = ServerOptions {
        arguments: ["--log-format", "json"].map(str::to_owned).to_vec(),
        ..ServerOptions::default()
    };
    let api = Api::of(Server::with(backend, options));
    let body = json!({ "store_dir": "/nix/store", "roots": [niks3_tests::api::A] });
    let opened = api.post("/pushes", &body).await;
    let request = opened.headers["x-request-id"].to_str().unwrap().to_owned();
    let push = opened.ok()["id"].as_str().unwrap().to_owned();
    let gone = api
        .send(
            Method::DELETE,
            &format!("/api/v1/pushes/{push}"),
            &api.token,
            "",
            "",
        )
        .await;
    assert_eq!(gone.status, 204);
    let log = api.server.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for message in ["push opened", "push given up by its client"] {
        let line = lines.iter().find(|line| line["message"] == message).unwrap();
        assert_eq!(line["span"]["push"], *push, "{line}");
        assert_eq!(line["span"]["identity"], "admin", "{line}");
    }
    let opened = lines.iter().find(|line| line["message"] == "push opened");
    assert_eq!(opened.unwrap()["span"]["request_id"], *request);
    assert!(!log.contains(&api.token));
}
