//! The order of text in PostgreSQL is that of its bytes, whatever the collation of the database is, was or
//! becomes.

use std::collections::BTreeSet;

use niks3_test_support::{Backend, Server, ServerOptions, database, database_with, run};
use niks3_tests::api::{A, Answer, Api, B, nar_of};
use reqwest::Method;
use serde_json::{Value, json};

#[test]
fn every_column_of_text_is_compared_by_its_bytes() {
    let options = ServerOptions {
        db: Some(database()),
        ..ServerOptions::default()
    };
    let server = Server::with(Backend::Embedded, options);
    // One table is that of the library that applies the migrations.
    let columns = |condition: &str| {
        server.sql(&format!(
            "SELECT table_name || '.' || column_name FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name <> '_sqlx_migrations' \
             AND data_type IN ('text', 'character varying', 'character', 'name', '\"char\"', 'ARRAY', 'USER-DEFINED') \
             AND {condition} ORDER BY 1"
        ))
    };
    assert!(columns("collation_name = 'C'").contains(&"pins.name".to_owned()));
    let others = columns("collation_name IS DISTINCT FROM 'C'");
    assert!(others.is_empty(), "say COLLATE \"C\": {others:?}");
}

/// Names whose order depends on the collation.
fn names() -> Vec<String> {
    let words = [
        "a", "C", "b", "D", "a-b", "a_b", "ab", "a.b", "AC", "z", "Y", "zz", "1", "10", "9", "a1", "a-1",
    ];
    words
        .iter()
        .flat_map(|word| {
            (0..6).map(move |number| format!("{word}{}{number}", ["-", "_", ".", ""][number % 4]))
        })
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

async fn pin(api: &Api, method: Method, name: &str, path: Option<&str>) -> Answer {
    let body = path.map_or_else(String::new, |path| json!({ "path": path }).to_string());
    let kind = if path.is_some() { "application/json" } else { "" };
    api.send(method, &format!("/api/v1/pins/{name}"), &api.token, kind, body)
        .await
}

/// Every name of a listing, page by page.
async fn listed(api: &Api) -> Vec<String> {
    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/api/v1/pins?limit=7{after}");
        let page = api.send(Method::GET, &path, &api.token, "", "").await.ok();
        let entries = page["pins"].as_array().unwrap();
        names.extend(entries.iter().map(|pin| pin["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else {
            return names;
        };
        after = format!("&after={next}");
    }
}

async fn found_by_hash(api: &Api, beginning: &str) -> bool {
    let path = format!("/dashboard/search?q={beginning}");
    let page = api.send(Method::GET, &path, &api.token, "", "").await;
    page.body.contains(&format!("bdi class=\"path\">{A}"))
}

/// Everything that compares text works.
async fn works(api: &Api, names: &[String]) {
    assert_eq!(listed(api).await, names);
    for name in names {
        assert_eq!(pin(api, Method::GET, name, None).await.ok()["name"], **name);
    }
    assert!(found_by_hash(api, &A[..8]).await);
    assert_eq!(
        api.server.sql("SELECT count(*), count(DISTINCT name) FROM pins"),
        [format!("{0}|{0}", names.len())]
    );
    let found = run(api.server.niks3().args(["fsck", "--json"]));
    assert_eq!(found.code, 0, "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_whose_collation_changes_under_it_finds_everything_and_duplicates_nothing() {
    let db = database_with("TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'");
    let options = ServerOptions {
        db: Some(db),
        ..ServerOptions::default()
    };
    let mut api = Api::with(Backend::Embedded, options);
    api.push(A, &nar_of(b"a")).await.ok();
    api.push(B, &nar_of(b"b")).await.ok();
    let names = names();
    for name in &names {
        pin(&api, Method::PUT, name, Some(A)).await.ok();
    }
    works(&api, &names).await;
    // What goes by the collation of the database is in another order afterwards, which shows that it changed.
    let order = |api: &Api| {
        api.server
            .sql("SELECT string_agg(name, ' ' ORDER BY name COLLATE \"default\") FROM pins")
            .concat()
    };
    let before = order(&api);
    assert_ne!(before, names.join(" "));
    api.server.kill();
    let locale = "SELECT column_name FROM information_schema.columns WHERE table_name = 'pg_database' \
                  AND column_name IN ('daticulocale', 'datlocale')";
    let locale = api.server.sql(locale).concat();
    let _ = api.server.sql(&format!(
        "UPDATE pg_database SET datlocprovider = 'c', {locale} = NULL WHERE datname = current_database()"
    ));
    api.server.resume();
    assert_eq!(order(&api), names.join(" "));
    works(&api, &names).await;
    // A pin that is there is moved, and a path that is there is not brought again.
    for name in &names {
        pin(&api, Method::PUT, name, Some(B)).await.ok();
    }
    let pushed: Value = api.push(A, &nar_of(b"a")).await.ok();
    assert_eq!(pushed["paths_added"], 0, "{pushed}");
    works(&api, &names).await;
    for name in &names {
        assert_eq!(pin(&api, Method::DELETE, name, None).await.status, 204);
    }
    works(&api, &[]).await;
}
