//! What the OpenAPI document says of a path: which methods it knows, and which of them take a body.

use std::collections::BTreeMap;

use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse as _, Request, Response, Result};
use serde_json::Value;

use super::problem::Problem;

/// The document, as questions are put to it.
#[derive(Debug)]
pub(super) struct Described {
    /// Of each path and method, whether it takes a body.
    paths: Vec<(String, BTreeMap<Method, bool>)>,
}

impl Described {
    /// Reads the text of a document.
    pub(super) fn new(text: &str) -> Self {
        let document: Value = serde_json::from_str(text).unwrap_or_default();
        let paths = document["paths"].as_object().into_iter().flatten();
        let paths = paths.map(|(path, verbs)| {
            let verbs = verbs.as_object().into_iter().flatten();
            let verbs = verbs.filter_map(|(verb, operation)| {
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                Some((verb.to_uppercase().parse().ok()?, !schema.is_null()))
            });
            (path.clone(), verbs.collect())
        });
        Self {
            paths: paths.collect(),
        }
    }

    fn verbs(&self, path: &str) -> Option<&BTreeMap<Method, bool>> {
        let fits = |pattern: &str| {
            let (mut wanted, mut found) = (pattern.split('/'), path.trim_end_matches('/').split('/'));
            loop {
                match (wanted.next(), found.next()) {
                    (None, None) => return true,
                    (Some(wanted), Some(found)) if wanted.starts_with('{') || wanted == found => {}
                    _ => return false,
                }
            }
        };
        self.paths
            .iter()
            .find_map(|(pattern, verbs)| fits(pattern).then_some(verbs))
    }

    /// Whether an operation asks for a body.
    pub(super) fn takes_body(&self, method: &Method, path: &str) -> bool {
        self.verbs(path)
            .and_then(|verbs| verbs.get(method))
            .is_some_and(|takes_body| *takes_body)
    }

    /// `Allow` for a path; what the document does not have are pages.
    fn allow(&self, path: &str) -> String {
        let Some(verbs) = self.verbs(path) else {
            return "GET, HEAD".into();
        };
        let mut names: Vec<&str> = verbs.keys().map(Method::as_str).collect();
        if names.contains(&"GET") {
            names.push("HEAD");
        }
        names.join(", ")
    }
}

/// Says more of failures that the framework finds before any operation begins.
pub(super) async fn layer<E>(described: &Described, next: E, request: Request) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let error = match next.call(request).await {
        Err(error) if !error.is_from_response() => error,
        result => return result,
    };
    if error.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allow = described.allow(&path);
        let detail = format!("this path does not know {method}, but {allow}");
        let mut response = Problem::from_status(StatusCode::METHOD_NOT_ALLOWED, detail).into_response();
        if let Ok(value) = HeaderValue::from_str(&allow) {
            response.headers_mut().insert(header::ALLOW, value);
        }
        return Ok(response);
    }
    Err(error)
}
