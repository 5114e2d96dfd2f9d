//! The embedded object store as an endpoint beside the API.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use poem::http::{Method, StatusCode, header};
use poem::{Body, Endpoint, IntoResponse as _, Request, Response, Result};
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use secrecy::ExposeSecret as _;

use super::problem::{Problem, refuse};
use crate::error::Error;
use crate::storage::FileBucket;

/// How long a peer may send nothing in the middle of a body.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes of a body of XML: the longest names ten thousand parts.
const MAX_XML: usize = 4 << 20;

/// Answers S3 requests out of a [`FileBucket`].
pub struct S3Endpoint {
    service: S3Service,
}

impl S3Endpoint {
    /// Puts a service before the store; only its own keys are accepted.
    #[must_use]
    pub fn new(store: &FileBucket) -> Self {
        let (access_key, secret_key) = store.credentials();
        let mut builder = S3ServiceBuilder::new(store.clone());
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key.expose_secret()));
        let mut config = S3Config::default();
        config.xml_max_body_size = MAX_XML;
        // The service would hold a form in memory; none comes this far.
        config.post_object_max_file_size = 0;
        (
            config.form_max_field_size,
            config.form_max_fields_size,
            config.form_max_parts,
        ) = (0, 0, 0);
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        Self {
            service: builder.build(),
        }
    }
}

impl Endpoint for S3Endpoint {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        if let Some(problem) = refusal(&request) {
            return Err(poem::Error::from_response(problem.into_response()));
        }
        let headers = request.headers();
        let has_body =
            headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING);
        let body = if has_body {
            receive(request.take_body())
        } else {
            s3s::Body::empty()
        };
        let mut forwarded = http::Request::builder()
            .method(request.method().clone())
            // The signature covers the path as it came.
            .uri(request.original_uri().clone())
            .version(request.version())
            .body(body)
            .map_err(|error| refuse(Error::malformed(error.to_string())))?;
        *forwarded.headers_mut() = request.headers().clone();
        let answer = self
            .service
            .call(forwarded)
            .await
            .map_err(|error| refuse(Error::internal(format!("{error:?}"))))?;
        let (head, body) = answer.into_parts();
        let stream = futures::StreamExt::map(body.into_data_stream(), |chunk| {
            chunk.map_err(std::io::Error::other)
        });
        let mut response = Response::builder()
            .status(head.status)
            .body(Body::from_bytes_stream(stream));
        *response.headers_mut() = head.headers;
        response.headers_mut().insert(
            header::X_CONTENT_TYPE_OPTIONS,
            header::HeaderValue::from_static("nosniff"),
        );
        Ok(response)
    }
}

/// Why a request is refused by its head alone: nobody has signed it, or could have signed it whole.
fn refusal(request: &Request) -> Option<Problem> {
    if !request.headers().contains_key(header::AUTHORIZATION)
        && parameter(request, "X-Amz-Signature").is_none()
    {
        return Some(Error::forbidden("this needs a signature").into());
    }
    // Its signature would be inside the body.
    let kinds = request.headers().get_all(header::CONTENT_TYPE);
    let is_form = |kind: &header::HeaderValue| {
        let kind = kind.as_bytes().trim_ascii_start();
        kind.get(..10)
            .is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/"))
    };
    if request.method() == Method::POST && kinds.iter().any(is_form) {
        let detail = "objects are uploaded by PUT, not by forms";
        return Some(Problem::from_status(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            detail.into(),
        ));
    }
    let stray = unsigned_header(request)?;
    let detail = format!("the header {stray} is not one that the URL was signed for");
    Some(Error::forbidden(detail).into())
}

/// A parameter of the query of a request.
fn parameter(request: &Request, name: &str) -> Option<String> {
    let query = request.original_uri().query().unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let (_, value) = pairs.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
    Some(value.into_owned())
}

/// A header that means something to S3 and that the signature of a presigned URL does
/// not cover: with it, whoever has the URL could do something else, as copy.
fn unsigned_header(request: &Request) -> Option<String> {
    let signed = parameter(request, "X-Amz-SignedHeaders")?;
    let stray = request.headers().keys().find(|name| {
        name.as_str().starts_with("x-amz-") && !signed.split(';').any(|signed| signed == name.as_str())
    });
    stray.map(ToString::to_string)
}

/// The body of a request as it comes, from a peer that must not fall silent.
fn receive(body: Body) -> s3s::Body {
    let body = tokio_stream::StreamExt::timeout(body.into_bytes_stream(), SILENCE);
    let body = futures::StreamExt::map(body, |chunk| match chunk {
        Ok(chunk) => chunk.map(http_body::Frame::data),
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
    });
    s3s::Body::http_body_unsync(http_body_util::StreamBody::new(body))
}
