//! The API that openapi/niks3.json describes.

use poem_openapi::OpenApiService;

use super::cache_config::CacheConfigApi;
use super::closures::ClosuresApi;
use super::fsck::FsckApi;
use super::gc::GcApi;
use super::paths::PathsApi;
use super::pins::PinsApi;
use super::pushes::PushesApi;
use super::retention::{RetentionApi, UsageApi};
use super::runs::RunsApi;
use super::tokens::TokensApi;
use super::whoami::WhoamiApi;

/// All operations.
pub type Api = (
    PushesApi,
    CacheConfigApi,
    GcApi,
    FsckApi,
    PinsApi,
    RunsApi,
    ClosuresApi,
    RetentionApi,
    UsageApi,
    PathsApi,
    TokensApi,
    WhoamiApi,
);

/// The operations under `/api/v1`.
#[must_use]
pub fn service() -> OpenApiService<Api, ()> {
    OpenApiService::new(
        (
            PushesApi,
            CacheConfigApi,
            GcApi,
            FsckApi,
            PinsApi,
            RunsApi,
            ClosuresApi,
            RetentionApi,
            UsageApi,
            PathsApi,
            TokensApi,
            WhoamiApi,
        ),
        "niks3",
        env!("CARGO_PKG_VERSION"),
    )
    .description("Uploads into a Nix binary cache in an S3 bucket. Paths are relative to `/api/v1`.")
    .url_prefix("/api/v1")
}

/// The OpenAPI document, the same text for the same program: sorted, without the
/// `charset` that JSON does not have, with the scope that each operation needs, and in
/// forms that generators of clients understand.
#[must_use]
pub fn document(service: &OpenApiService<Api, ()>) -> String {
    let text = service.spec().replace("; charset=utf-8", "");
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    name_scopes(&mut value);
    refer_plainly(&mut value);
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

/// Says in `x-required-scope` and in words what `security` says by reference: that
/// holds no scopes for tokens in OpenAPI 3.0, so each scope is a scheme there.
fn name_scopes(document: &mut serde_json::Value) {
    let Some(paths) = document.get_mut("paths").and_then(|paths| paths.as_object_mut()) else {
        return;
    };
    let operations = paths
        .values_mut()
        .filter_map(|path| path.as_object_mut())
        .flat_map(|path| path.values_mut())
        .filter_map(|operation| operation.as_object_mut());
    for operation in operations {
        let scope = operation
            .get("security")
            .and_then(|security| security.as_array()?.first()?.as_object()?.keys().next().cloned());
        let words = match scope.as_deref() {
            None => "Needs no token.".to_owned(),
            Some("any") => "Needs any token that the server accepts.".to_owned(),
            Some(scope) => format!("Needs the scope `{scope}`."),
        };
        let description = operation.get("description").and_then(|text| text.as_str());
        let description = match description.unwrap_or_default().trim_end() {
            "" => words,
            text => format!("{text}\n\n{words}"),
        };
        operation.insert("description".into(), description.into());
        if let Some(scope) = scope.filter(|scope| scope != "any") {
            operation.insert("x-required-scope".into(), scope.into());
        }
    }
}

/// Makes a bare reference of one that stands with a description under `allOf`: some
/// generators take that for another type, or refuse it where the type is an enumeration.
fn refer_plainly(value: &mut serde_json::Value) {
    let reference = value.get("allOf").and_then(|parts| {
        let (first, rest) = parts.as_array()?.split_first()?;
        let only_describes = |part: &serde_json::Value| {
            part.as_object()
                .is_some_and(|part| part.keys().all(|key| key == "description"))
        };
        let is_reference = first.as_object()?.keys().eq(["$ref"]);
        (is_reference && rest.iter().all(only_describes)).then(|| first.clone())
    });
    if let Some(reference) = reference {
        *value = reference;
    } else if let Some(object) = value.as_object_mut() {
        object.values_mut().for_each(refer_plainly);
    } else if let Some(array) = value.as_array_mut() {
        array.iter_mut().for_each(refer_plainly);
    }
}
