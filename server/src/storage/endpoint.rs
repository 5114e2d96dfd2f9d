//! The embedded object store as an endpoint beside the API.

use std::time::Duration;

use http_body_util::BodyExt as _;
use poem::http::header;
use poem::{Body, Endpoint, IntoResponse as _, Request, Response, Result};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use secrecy::ExposeSecret as _;

use super::FileBucket;
use crate::http::problem::Problem;

/// How long a peer may send nothing in the middle of a body.
const SILENCE: Duration = Duration::from_secs(60);

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
        Self {
            service: builder.build(),
        }
    }
}

impl Endpoint for S3Endpoint {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        if let Some(stray) = unsigned_header(&request) {
            let detail = format!("the header {stray} is not one that the URL was signed for");
            return Err(problem(Problem::forbidden(detail)));
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
            .map_err(|error| problem(Problem::malformed(error.to_string())))?;
        *forwarded.headers_mut() = request.headers().clone();
        let answer = self
            .service
            .call(forwarded)
            .await
            .map_err(|error| problem(Problem::internal(format!("{error:?}"))))?;
        let (head, body) = answer.into_parts();
        let stream = futures::StreamExt::map(body.into_data_stream(), |chunk| {
            chunk.map_err(std::io::Error::other)
        });
        let mut response = Response::builder()
            .status(head.status)
            .body(Body::from_bytes_stream(stream));
        *response.headers_mut() = head.headers;
        Ok(response)
    }
}

/// A header that means something to S3 and that the signature of a presigned URL does
/// not cover: with it, whoever has the URL could do something else, as copy.
fn unsigned_header(request: &Request) -> Option<String> {
    let query = request.original_uri().query().unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let signed = pairs
        .find(|(name, _)| name.eq_ignore_ascii_case("X-Amz-SignedHeaders"))?
        .1
        .into_owned();
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

fn problem(problem: Problem) -> poem::Error {
    poem::Error::from_response(problem.into_response())
}
