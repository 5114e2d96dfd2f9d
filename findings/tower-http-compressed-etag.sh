#!/usr/bin/env bash
# Part: tower-http 0.7.1 (crates.io)
# The compressed and the plain answer of tower-http's CompressionLayer have the same strong ETag.
#
# One would guess that the ETag becomes a weak one, as with nginx, or is dropped: a strong one says that two answers are the same bytes, and
# so the encoding has to be part of it. It is left as it is, with Vary: accept-encoding.
# A download that was cut off is resumed with If-Range and that ETag by a client that does not ask for gzip: it gets the rest of other bytes.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "tower-http 0.7.1"
guess 'gzip has W/"abc" or none'
result=$(run_rust 'tower-http = { version = "=0.7.1", features = ["compression-gzip"] }
tower = { version = "0.5", features = ["util"] }
http = "1"
http-body-util = "0.1"
bytes = "1"
tokio = { version = "1", features = ["rt", "macros"] }' <<'END'
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{service_fn, Layer, ServiceExt};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for encoding in ["identity", "gzip"] {
        let inner = service_fn(|_: Request<()>| async {
            let body = Full::new(Bytes::from(vec![b'x'; 5000]));
            Ok::<_, std::convert::Infallible>(Response::builder().header("ETag", "\"abc\"").header("Content-Type", "text/plain").body(body).unwrap())
        });
        let request = Request::get("/").header("Accept-Encoding", encoding).body(()).unwrap();
        let answer = tower_http::compression::CompressionLayer::new().layer(inner).oneshot(request).await.unwrap();
        let etag = answer.headers().get("etag").cloned();
        let length = answer.into_body().collect().await.unwrap().to_bytes().len();
        println!("{encoding}: {etag:?}, {}", if length == 5000 { "5000 bytes" } else { "fewer bytes" });
    }
}
END
)
seen "$result"
holds "$result" = 'identity: Some("\"abc\""), 5000 bytes
gzip: Some("\"abc\""), fewer bytes'
