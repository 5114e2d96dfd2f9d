//! openapi/niks3.json is what the server serves.

use niks3_server::http::api;

#[test]
fn the_committed_openapi_document_is_what_the_server_serves() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/niks3.json");
    let current = api::document(&api::service());
    if std::env::var_os("NIKS3_UPDATE").is_some() {
        std::fs::write(path, &current).expect("the document can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == current,
        "openapi/niks3.json is not current: run scripts/generate"
    );
}
