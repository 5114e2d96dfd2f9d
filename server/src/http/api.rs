//! The API that openapi/niks3.json describes.

use poem_openapi::{OpenApiService, Tags};

use super::cache_config::CacheConfigApi;
use super::gc::GcApi;
use super::pushes::PushesApi;

/// Groups of operations.
#[derive(Tags)]
pub enum ApiTags {
    /// Putting closures into the cache.
    Pushes,
    /// What a client needs to know of the cache.
    Cache,
    /// Deleting what nothing needs.
    Gc,
}

/// All operations.
pub type Api = (PushesApi, CacheConfigApi, GcApi);

/// The operations under `/api/v1`.
#[must_use]
pub fn service() -> OpenApiService<Api, ()> {
    OpenApiService::new(
        (PushesApi, CacheConfigApi, GcApi),
        "niks3",
        env!("CARGO_PKG_VERSION"),
    )
    .description("Uploads into a Nix binary cache in an S3 bucket. Paths are relative to `/api/v1`.")
    .url_prefix("/api/v1")
}

/// The OpenAPI document, the same text for the same program: sorted, without the
/// `charset` that JSON does not have.
#[must_use]
pub fn document(service: &OpenApiService<Api, ()>) -> String {
    let text = service.spec().replace("; charset=utf-8", "");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}
