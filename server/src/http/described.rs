//! What the OpenAPI document says of a path: which methods it knows, which of them take a body, and what their parameters
//! may be. The framework's own messages name its types; those that leave are made of this.

use std::collections::BTreeMap;

use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse as _, Request, Response, Result};
use poem_openapi::error::{ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError};
use serde_json::Value;

use super::problem::{Problem, answer};
use crate::error::Error;

/// Characters of a message that somebody else has worded.
const MAX_DETAIL: usize = 500;

/// The document, as questions are put to it.
#[derive(Debug)]
pub(super) struct Described {
    /// The operations of each path, by method.
    paths: Vec<(String, BTreeMap<Method, Operation>)>,
}

/// What the document says of an operation.
#[derive(Debug)]
struct Operation {
    takes_body: bool,
    /// What each parameter has to be, by its name: `must be true or false`.
    parameters: BTreeMap<String, String>,
}

impl Operation {
    fn new(operation: &Value, document: &Value) -> Self {
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let parameters = parameters.filter_map(|parameter| {
            let name = parameter["name"].as_str()?;
            Some((name.to_owned(), expected(&parameter["schema"], document)))
        });
        Self {
            takes_body: !body.is_null(),
            parameters: parameters.collect(),
        }
    }
}

/// What a value of a schema has to be, in words.
fn expected(schema: &Value, document: &Value) -> String {
    let named = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    let schema = named.and_then(|path| document.pointer(path)).unwrap_or(schema);
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        return format!("must be one of: {}", values.join(", "));
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("integer"), Some("uint32")) => format!("must be a whole number from 0 to {}", u32::MAX),
        (Some("integer"), Some("uint64")) => format!("must be a whole number from 0 to {}", u64::MAX),
        (Some("integer"), _) => "must be a whole number".to_owned(),
        (Some("boolean"), _) => "must be true or false".to_owned(),
        _ => "is missing or malformed".to_owned(),
    }
}

impl Described {
    /// Reads the text of a document.
    pub(super) fn new(text: &str) -> Self {
        let document: Value = serde_json::from_str(text).unwrap_or_default();
        let paths = document["paths"].as_object().into_iter().flatten();
        let paths = paths.map(|(path, verbs)| {
            let verbs = verbs.as_object().into_iter().flatten();
            let verbs = verbs.filter_map(|(verb, operation)| {
                let method = verb.to_uppercase().parse().ok()?;
                Some((method, Operation::new(operation, &document)))
            });
            (path.clone(), verbs.collect())
        });
        Self {
            paths: paths.collect(),
        }
    }

    fn verbs(&self, path: &str) -> Option<&BTreeMap<Method, Operation>> {
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
        self.operation(method, path)
            .is_some_and(|operation| operation.takes_body)
    }

    fn operation(&self, method: &Method, path: &str) -> Option<&Operation> {
        self.verbs(path).and_then(|verbs| verbs.get(method))
    }

    /// What is wrong with a parameter.
    fn wrong_parameter(&self, method: &Method, path: &str, name: &str) -> Error {
        // A HEAD request is answered as the GET request is.
        let operation = match self.operation(method, path) {
            None if method == Method::HEAD => self.operation(&Method::GET, path),
            operation => operation,
        };
        let expected = operation.and_then(|operation| operation.parameters.get(name));
        let expected = expected.map_or("is missing or malformed", String::as_str);
        Error::malformed(format!("the parameter {name} {expected}")).with_field(name)
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
    let failure = if let Some(ParseParamError { name, .. }) = error.downcast_ref() {
        described.wrong_parameter(&method, &path, name)
    } else if let Some(ParsePathError { name, .. }) = error.downcast_ref() {
        described.wrong_parameter(&method, &path, name)
    } else if let Some(ParseRequestPayloadError { reason }) = error.downcast_ref() {
        Error::malformed(reason.chars().take(MAX_DETAIL).collect::<String>())
    } else if error.downcast_ref::<poem::error::ParseQueryError>().is_some() {
        Error::malformed("the query string cannot be read: a parameter is given twice, or is malformed")
    } else if error.downcast_ref::<ContentTypeError>().is_some() {
        let detail = "the body must be JSON, and say so: Content-Type: application/json".to_owned();
        return Ok(Problem::from_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).into_response());
    } else {
        return Err(error);
    };
    Ok(answer(failure))
}
