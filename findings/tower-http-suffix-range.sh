#!/usr/bin/env bash
# Part: tower-http 0.7.1 (crates.io)
# ServeDir of tower-http answers 416 to a request for the last 100 bytes of a shorter file.
#
# One would guess 206 with the whole file: RFC 9110 says that all of the contents are used if they are shorter than the suffix. A range
# from the front that goes beyond the end is cut, as it should be, and that alone.
# Readers of formats with an index at the end ask for "the last 64 KiB" first, and cannot open the small files.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "tower-http 0.7.1"
guess "206 each time"
printf 0123456789 >"$work/file"
cd "$work"
result=$(run_rust 'tower-http = { version = "=0.7.1", features = ["fs"] }
tower = { version = "0.5", features = ["util"] }
http = "1"
http-body-util = "0.1"
bytes = "1"
tokio = { version = "1", features = ["rt", "macros"] }' <<'END'
use tower::ServiceExt;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for range in ["bytes=5-100", "bytes=-5", "bytes=-10", "bytes=-100"] {
        let request = http::Request::get("/file").header("Range", range).body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
        let answer = tower_http::services::ServeDir::new(".").oneshot(request).await.unwrap();
        println!("{range}: {} {:?}", answer.status().as_u16(), answer.headers()["content-range"]);
    }
}
END
)
seen "$result"
holds "$result" = 'bytes=5-100: 206 "bytes 5-9/10"
bytes=-5: 206 "bytes 5-9/10"
bytes=-10: 206 "bytes 0-9/10"
bytes=-100: 416 "bytes */10"'
