//! What the OpenAPI document says of a request that failed: which methods its path knows,
//! and which field of its body is not of the shape that is asked for.

use std::collections::BTreeMap;

use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Body, Endpoint, IntoResponse as _, Request, Response, Result};
use poem_openapi::error::ParseRequestPayloadError;
use serde_json::Value;

use super::problem::Problem;

/// How deep schemas may refer to each other.
const MAX_DEPTH: usize = 16;

/// The document, as questions are put to it.
#[derive(Debug)]
pub(super) struct Described {
    paths: Vec<(String, BTreeMap<Method, Value>)>,
    document: Value,
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
                Some((verb.to_uppercase().parse().ok()?, schema.clone()))
            });
            (path.clone(), verbs.collect())
        });
        Self {
            paths: paths.collect(),
            document,
        }
    }

    fn verbs(&self, path: &str) -> Option<&BTreeMap<Method, Value>> {
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
            .is_some_and(|schema| !schema.is_null())
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

    /// The first field of a body that is not as the document has it, and why.
    fn wrong_field(&self, method: &Method, path: &str, body: &[u8]) -> Option<(String, String)> {
        let schema = self.verbs(path)?.get(method)?;
        let body: Value = serde_json::from_slice(body).ok()?;
        self.check(schema, &body, MAX_DEPTH)
            .err()
            .filter(|(field, _)| !field.is_empty())
    }

    fn check(&self, schema: &Value, value: &Value, depth: usize) -> Result<(), (String, String)> {
        let Some(depth) = depth.checked_sub(1) else {
            return Ok(());
        };
        if let Some(pointer) = schema["$ref"].as_str().and_then(|text| text.strip_prefix('#')) {
            let schema = self.document.pointer(pointer).unwrap_or(&Value::Null);
            return self.check(schema, value, depth);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.check(part, value, depth)?;
        }
        let wrong = |why: &str| Err((String::new(), why.to_owned()));
        match schema["type"].as_str() {
            Some("object") => {
                let Some(fields) = value.as_object() else {
                    return wrong("an object is needed");
                };
                let required = |name: &String| {
                    let names = schema["required"].as_array();
                    names.is_some_and(|names| names.iter().any(|required| required == name))
                };
                for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                    match fields.get(name).filter(|value| !value.is_null()) {
                        None if required(name) => return Err((name.clone(), "it is missing".into())),
                        None => {}
                        Some(value) => {
                            self.check(schema, value, depth).map_err(|(inner, why)| {
                                match inner.is_empty() {
                                    true => (name.clone(), why),
                                    false => (format!("{name}.{inner}"), why),
                                }
                            })?;
                        }
                    }
                }
                Ok(())
            }
            Some("array") => {
                let Some(items) = value.as_array() else {
                    return wrong("a list is needed");
                };
                items
                    .iter()
                    .try_for_each(|item| self.check(&schema["items"], item, depth))
            }
            Some("integer") => {
                let most = match schema["format"].as_str() {
                    Some("uint16") => u64::from(u16::MAX),
                    Some("uint32") => u64::from(u32::MAX),
                    Some("uint64") => u64::MAX,
                    _ => {
                        return if value.is_i64() {
                            Ok(())
                        } else {
                            wrong("a whole number is needed")
                        };
                    }
                };
                match value.as_u64() {
                    Some(number) if number <= most => Ok(()),
                    _ => wrong(&format!("a whole number from 0 to {most} is needed")),
                }
            }
            Some("boolean") if !value.is_boolean() => wrong("true or false is needed"),
            Some("string") => {
                // Numbers are taken for their text.
                if value.is_array() || value.is_object() || value.is_boolean() {
                    return wrong("a text is needed");
                }
                let text = value.as_str().unwrap_or_default();
                if let Some(known) = schema["enum"].as_array()
                    && !known.iter().any(|known| known == value)
                {
                    let known: Vec<&str> = known.iter().filter_map(Value::as_str).collect();
                    return wrong(&format!("it is one of {}", known.join(", ")));
                }
                match schema["maxLength"].as_u64() {
                    Some(most) if text.chars().count() as u64 > most => {
                        wrong(&format!("it has at most {most} characters"))
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// Says more of failures that the framework finds before any operation begins.
pub(super) async fn layer<E>(described: &Described, next: E, mut request: Request) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // Read already, within its bounds.
    let body = request.take_body().into_bytes().await?;
    request.set_body(Body::from_bytes(body.clone()));
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
    if error.is::<ParseRequestPayloadError>()
        && let Some((field, why)) = described.wrong_field(&method, &path, &body)
    {
        let detail = format!("{field}: {why}");
        return Ok(Problem::malformed(detail).with_field(field).into_response());
    }
    Err(error)
}
