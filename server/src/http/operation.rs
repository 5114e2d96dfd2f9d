//! Which operation a request asks for, as metrics and the log name it: one of a list, whatever
//! the caller writes.

use std::sync::Arc;

use poem::http::Method;
use serde_json::Value;

use crate::storage::ObjectKey;

/// The operations of the API by their paths, and the pages.
#[derive(Debug)]
pub struct Operations {
    api: Vec<(Method, Vec<String>, Arc<str>)>,
    /// First part of the path of the embedded object store.
    bucket: Option<String>,
}

/// What a request asks for.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Its name.
    pub name: Arc<str>,
    /// The push that it is about.
    pub push: Option<&'a str>,
}

/// Where the API is.
pub(super) const API: &str = "/api/v1/";
/// Most characters of the name of a push.
const MAX_PUSH: usize = 64;

impl Operations {
    /// Reads the operations of an OpenAPI document.
    #[must_use]
    pub fn new(document: &str, bucket: Option<&str>) -> Self {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let paths = document["paths"].as_object().into_iter().flatten();
        let api = paths.flat_map(|(path, verbs)| {
            let verbs = verbs.as_object().into_iter().flatten();
            verbs.filter_map(move |(verb, operation)| {
                let name = operation["operationId"].as_str()?;
                let parts = parts(path).map(str::to_owned).collect();
                Some((verb.to_uppercase().parse().ok()?, parts, name.into()))
            })
        });
        Self {
            api: api.collect(),
            bucket: bucket.map(str::to_owned),
        }
    }

    /// What a request asks for.
    #[must_use]
    pub fn of<'a>(&self, method: &Method, path: &'a str) -> Asked<'a> {
        let Some(below) = path.strip_prefix(API) else {
            return Asked {
                name: self.page(path).into(),
                push: None,
            };
        };
        let fits = |pattern: &[String]| {
            let mut found = parts(path);
            pattern.iter().all(|wanted| {
                found
                    .next()
                    .is_some_and(|part| wanted.starts_with('{') || wanted == part)
            }) && found.next().is_none()
        };
        let name = self
            .api
            .iter()
            .find(|(verb, pattern, _)| verb == method && fits(pattern))
            .map_or_else(|| "unknown".into(), |(_, _, name)| name.clone());
        let push = below
            .strip_prefix("pushes/")
            .and_then(|rest| rest.split('/').next());
        let is_name = |push: &&str| {
            (1..=MAX_PUSH).contains(&push.len()) && push.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        Asked {
            name,
            push: push.filter(is_name),
        }
    }

    fn page(&self, path: &str) -> &'static str {
        let path = path.strip_prefix('/').unwrap_or(path);
        let first = path.split('/').next().unwrap_or_default();
        match first {
            "health" | "ready" | "metrics" | "openapi.json" if first != path => "unknown",
            "health" => "health",
            "ready" => "ready",
            "metrics" => "metrics",
            "openapi.json" | "docs" => "docs",
            "dashboard" => "dashboard",
            "" if path.is_empty() => "read_page",
            _ if self.bucket.as_deref() == Some(first) => "object_store",
            _ => match ObjectKey::parse(path).ok().filter(ObjectKey::is_public) {
                None => "unknown",
                Some(_) if path.ends_with(".narinfo") => "read_narinfo",
                Some(_) if path.ends_with(".ls") => "read_listing",
                Some(_) => match first {
                    "nar" => "read_nar",
                    "log" => "read_log",
                    "pins" => "read_pin",
                    "realisations" | "build-trace-v2" => "read_realisation",
                    "nix-cache-info" => "read_cache_info",
                    _ => "read_page",
                },
            },
        }
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{ "paths": {
        "/api/v1/pushes": { "post": { "operationId": "create_push" } },
        "/api/v1/pushes/{id}/commit": { "post": { "operationId": "commit_push" } } } }"#;

    #[test]
    fn whatever_a_caller_writes_the_operation_is_one_of_a_list() {
        let operations = Operations::new(DOCUMENT, Some("niks3"));
        for (method, path, name, push) in [
            (Method::POST, "/api/v1/pushes", "create_push", None),
            (
                Method::POST,
                "/api/v1/pushes/abc/commit",
                "commit_push",
                Some("abc"),
            ),
            (Method::GET, "/api/v1/pushes/abc/commit", "unknown", Some("abc")),
            (Method::POST, "/api/v1/pushes/a%0ab/commit", "commit_push", None),
            (
                Method::POST,
                "/api/v1/pushes/abc/commit/more",
                "unknown",
                Some("abc"),
            ),
            (Method::GET, "/metrics", "metrics", None),
            (Method::GET, "/metrics/more", "unknown", None),
            (Method::GET, "/niks3/nar/x", "object_store", None),
            (Method::GET, "/nix-cache-info", "read_cache_info", None),
            (
                Method::GET,
                "/00000000000000000000000000000000.narinfo",
                "read_narinfo",
                None,
            ),
            (Method::GET, "/whatever", "unknown", None),
            (Method::GET, "/", "read_page", None),
        ] {
            let asked = operations.of(&method, path);
            assert_eq!((&*asked.name, asked.push), (name, push), "{method} {path}");
        }
    }
}
