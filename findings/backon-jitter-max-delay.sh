#!/usr/bin/env bash
# Part: backon 1.6.0 (crates.io)
# With jitter, backon waits up to twice as long as its max_delay.
#
# One would guess that with_max_delay() limits what is waited, so that the jitter makes delays shorter or stays below the limit. The random part is
# added to the limited delay and can be as large as it: nearly 4 s with a limit of 2 s.
# Retries that were counted to be over within a deadline take up to twice as long, by chance.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "backon 1.6.0"
guess "the longest of 1000 delays is at most 2 s, with jitter as without"
result=$(run_rust 'backon = "=1.6.0"' <<'END'
use backon::{BackoffBuilder, ExponentialBuilder};
use std::time::Duration;

fn main() {
    let limit = Duration::from_secs(2);
    let builder = ExponentialBuilder::default().with_min_delay(Duration::from_secs(1)).with_max_delay(limit).with_max_times(1000);
    for (name, builder) in [("without jitter", builder), ("with jitter", builder.with_jitter())] {
        let longest = builder.build().max().unwrap();
        println!("{name}: {}", if longest <= limit { "at most 2 s" } else if longest > limit * 19 / 10 { "above 3.8 s" } else { "above 2 s" });
    }
}
END
)
seen "$result"
holds "$result" = "without jitter: at most 2 s
with jitter: above 3.8 s"
