//! The bucket's objects over HTTP: GET and HEAD of the keys a reader knows, one
//! request to the object store each, streamed.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use poem::web::Data;
use poem::{Body, IntoResponse as _, Request, Response, handler};

use super::problem::Problem;
use super::read_access;
use crate::app::App;
use crate::error::Error;
use crate::push::listing;
use crate::storage::{GetOptions, GetResult, Meta, Object, ObjectKey, StorageError};

/// How long an answer may take to begin, the wait for a turn included.
const PATIENCE: Duration = Duration::from_secs(45);
/// Folders of objects whose keys have the name of a derivation.
const NAMED_BY_DERIVATION: [&str; 2] = ["log/", "build-trace-v2/"];

/// How long the URL is good for to which a reader is redirected: a read that has begun goes on after that.
const REDIRECT_LIFE: Duration = Duration::from_secs(300);
/// For how long a reader may follow the same redirect again; what is left is for clocks and the way.
const REDIRECT_CACHE: &str = "private, max-age=240";

/// Answers every path that nothing else answers.
#[handler]
pub(super) async fn endpoint(Data(app): Data<&Arc<App>>, request: &Request) -> Response {
    let mut response = match read(app, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    // A build log holds what a builder printed: no browser may take it for a page.
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

async fn read(app: &Arc<App>, request: &Request) -> Result<Response, Problem> {
    let nothing = || Problem::from(Error::not_found("there is nothing under this path"));
    if !app.read_proxy {
        return Err(nothing());
    }
    if app.protect_reads {
        read_access::reader(app, request).await?;
    }
    let head_only = match *request.method() {
        Method::GET => false,
        Method::HEAD => true,
        _ => {
            let problem = Problem::from_status(
                StatusCode::METHOD_NOT_ALLOWED,
                "this cache is read only here; use niks3 push".into(),
            );
            let mut response = problem.into_response();
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Ok(response);
        }
    };
    let key = key_of(request.uri()).ok_or_else(nothing)?;
    if app.read_redirect && key.is_nar() {
        let url = app.bucket.presign_read(&key, head_only, REDIRECT_LIFE).await;
        if let Some(url) = url.map_err(Error::from)? {
            let location = HeaderValue::from_str(&url).map_err(Error::internal)?;
            return Ok(redirect(app, location));
        }
    }
    let options = GetOptions::from_headers(request.headers());
    let asked = async {
        if head_only {
            app.bucket.head_as_get(&key, &options).await
        } else {
            app.bucket.get(&key, &options).await
        }
    };
    let Ok(result) = tokio::time::timeout(PATIENCE, asked).await else {
        return Err(Error::unavailable("the object store does not answer", 2).into());
    };
    let found = match result {
        Ok(GetResult::NotFound) | Err(StorageError::NotFound) => {
            Ok(kept_listing(app, &key, &options, head_only).await?)
        }
        result => result,
    };
    match found {
        Ok(GetResult::Found(object)) => {
            let mut response = Response::builder().finish();
            describe(response.headers_mut(), app, &key, &object.meta);
            let length = match &object.range {
                Some(range) => {
                    response.set_status(StatusCode::PARTIAL_CONTENT);
                    let text = format!("bytes {}-{}/{}", range.first, range.last, object.meta.size);
                    if let Ok(value) = HeaderValue::from_str(&text) {
                        response.headers_mut().insert(header::CONTENT_RANGE, value);
                    }
                    range.last - range.first + 1
                }
                None => object.meta.size,
            };
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, length.into());
            if !head_only {
                response.set_body(Body::from_bytes_stream(
                    object.body.map(|chunk| chunk.map_err(std::io::Error::other)),
                ));
            }
            Ok(response)
        }
        Ok(GetResult::NotModified(meta)) => {
            let mut response = Response::builder().status(StatusCode::NOT_MODIFIED).finish();
            describe(response.headers_mut(), app, &key, &meta);
            Ok(response)
        }
        Ok(GetResult::RangeNotSatisfiable { size }) => {
            let problem = Problem::from_status(
                StatusCode::RANGE_NOT_SATISFIABLE,
                format!("the object has {size} bytes"),
            );
            let mut response = problem.into_response();
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                response.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            Ok(response)
        }
        Ok(GetResult::NotFound) | Err(StorageError::NotFound) => Err(nothing()),
        // The request was the server's own: whatever is wrong with it, the reader asked for what it may.
        Err(error @ StorageError::Invalid(_)) => {
            Err(Error::unavailable("the object store refuses the read", 60)
                .with_cause(error)
                .into())
        }
        Err(error) => Err(Error::from(error).into()),
    }
}

/// The listing of a small NAR, which is in the database instead of the bucket; whole, whatever range is asked for.
async fn kept_listing(
    app: &App,
    key: &ObjectKey,
    options: &GetOptions,
    head_only: bool,
) -> Result<GetResult, Error> {
    let Some(hash) = key.listed_path() else {
        return Ok(GetResult::NotFound);
    };
    let Some(kept) = listing::kept(app, &hash).await? else {
        return Ok(GetResult::NotFound);
    };
    let meta = Meta {
        size: kept.json.len() as u64,
        etag: kept.etag,
        last_modified: kept.made_at,
        content_encoding: None,
    };
    if options.not_modified(&meta) {
        return Ok(GetResult::NotModified(meta));
    }
    let body: Vec<Result<_, StorageError>> = (!head_only).then_some(Ok(kept.json)).into_iter().collect();
    Ok(GetResult::Found(Object {
        meta,
        range: None,
        body: Box::pin(futures::stream::iter(body)),
    }))
}

/// Sends a reader to the object store. Ranges and conditions are in headers, which it sends there again.
fn redirect(app: &App, location: HeaderValue) -> Response {
    let mut response = Response::builder()
        .status(StatusCode::TEMPORARY_REDIRECT)
        .finish();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(REDIRECT_CACHE));
    if app.protect_reads {
        headers.insert(header::VARY, HeaderValue::from_static("Authorization"));
    }
    response
}

/// The key of the public object that a reader asks for.
fn key_of(uri: &Uri) -> Option<ObjectKey> {
    // Readers differ in which characters of a key they encode.
    let decoded = |text: &str| {
        let text = text.strip_prefix('/').unwrap_or(text);
        let text = percent_encoding::percent_decode_str(text).decode_utf8().ok()?;
        Some(text.into_owned())
    };
    let path = decoded(uri.path())?;
    let key = if path.is_empty() {
        Some(ObjectKey::landing_page())
    } else {
        ObjectKey::parse(&path).ok()
    };
    let key = key.or_else(|| {
        // Names of derivations may have a question mark, which Nix sends as it is: what follows it is no query.
        let with_query = decoded(uri.path_and_query()?.as_str())?;
        let is_named = NAMED_BY_DERIVATION
            .iter()
            .any(|folder| with_query.starts_with(folder));
        is_named.then(|| ObjectKey::parse(&with_query).ok()).flatten()
    });
    key.filter(ObjectKey::is_public)
}

fn describe(headers: &mut HeaderMap, app: &App, key: &ObjectKey, meta: &Meta) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(key.content_type()));
    if app.protect_reads {
        // No cache on the way may give to others what was given to somebody.
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        );
        headers.insert(header::VARY, HeaderValue::from_static("Authorization"));
    } else {
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static(key.cache_control()),
        );
    }
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let mut text = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    text(header::ETAG, &meta.etag);
    text(header::LAST_MODIFIED, &httpdate(meta.last_modified));
    if let Some(encoding) = &meta.content_encoding {
        text(header::CONTENT_ENCODING, encoding);
    }
}

/// A Unix time as HTTP writes it.
fn httpdate(seconds: i64) -> String {
    chrono::DateTime::from_timestamp(seconds, 0)
        .map(|time| time.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or_default()
}
