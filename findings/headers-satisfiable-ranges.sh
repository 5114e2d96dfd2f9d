#!/usr/bin/env bash
# Part: headers 0.4.2 (crates.io)
# Range::satisfiable_ranges() of the headers crate gives ranges that cannot be satisfied.
#
# One would guess that it leaves out ranges that begin behind the end, that are empty or that run backwards, and cuts the others off at the end:
# it is given the length for that. The length is used for suffixes ("-5") only; all else comes out as it was sent.
# A server that answers 416 if there is no range, and reads the first one otherwise, reads behind the end of the file.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "headers 0.4.2"
guess "0-4: 0..=4, -5: 5..=9, 7-99: 7..=9, and nothing for the others"
result=$(run_rust 'headers = "=0.4.2"' <<'END'
use headers::{HeaderMap, HeaderMapExt, HeaderValue, Range};

fn main() {
    for range in ["0-4", "-5", "7-99", "100-", "5-2", "-0"] {
        let mut map = HeaderMap::new();
        map.insert("range", HeaderValue::from_str(&format!("bytes={range}")).unwrap());
        let ranges: Vec<_> = map.typed_get::<Range>().unwrap().satisfiable_ranges(10).collect();
        println!("{range}: {ranges:?}");
    }
}
END
)
seen "$result"
holds "$result" = "0-4: [(Included(0), Included(4))]
-5: [(Included(5), Unbounded)]
7-99: [(Included(7), Included(99))]
100-: [(Included(100), Unbounded)]
5-2: [(Included(5), Included(2))]
-0: [(Included(10), Unbounded)]"
