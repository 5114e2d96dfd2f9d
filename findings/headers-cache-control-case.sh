#!/usr/bin/env bash
# Part: headers 0.4.2 (crates.io)
# The headers crate ignores Cache-Control directives that are not written in small letters.
#
# One would guess that Max-Age and No-Store are understood, since the names of directives are case-insensitive (RFC 9111), or that
# they are an error. They are dropped as unknown ones: the header parses and says nothing.
# A client that keeps an issuer's keys or a narinfo as long as the header allows has no limit for some servers.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "headers 0.4.2"
guess "60 s and no-store each time"
result=$(run_rust 'headers = "=0.4.2"' <<'END'
use headers::{CacheControl, HeaderMap, HeaderMapExt, HeaderValue};

fn main() {
    for value in ["max-age=60, no-store", "Max-Age=60, No-Store"] {
        let mut map = HeaderMap::new();
        map.insert("cache-control", HeaderValue::from_static(value));
        let parsed = map.typed_try_get::<CacheControl>().unwrap().unwrap();
        println!("{value}: max-age {:?}, no-store {}", parsed.max_age(), parsed.no_store());
    }
}
END
)
seen "$result"
holds "$result" = "max-age=60, no-store: max-age Some(60s), no-store true
Max-Age=60, No-Store: max-age None, no-store false"
