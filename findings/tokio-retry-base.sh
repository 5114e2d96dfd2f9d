#!/usr/bin/env bash
# Part: tokio-retry 0.3.2 (crates.io)
# The third delay of ExponentialBackoff::from_millis(100) of tokio-retry is 17 minutes.
#
# One would guess 100, 200, 400 and 800 ms, as other libraries double what they are given, and as FibonacciBackoff::from_millis() of the
# same crate takes it for the first delay. The number is the base of the power as well: 100 ms, 10 s, 1000 s, 100000 s.
# The first retry looks as meant, so that a test with one failure passes; after the second failure the program seems to hang.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "tokio-retry 0.3.2"
guess "exponential: 100, 200, 400, 800 ms"
result=$(run_rust 'tokio-retry = "=0.3.2"' <<'END'
use tokio_retry::strategy::{ExponentialBackoff, FibonacciBackoff};

fn main() {
    println!("exponential: {:?}", ExponentialBackoff::from_millis(100).take(4).collect::<Vec<_>>());
    println!("fibonacci: {:?}", FibonacciBackoff::from_millis(100).take(4).collect::<Vec<_>>());
    println!("exponential, base 2, factor 50: {:?}", ExponentialBackoff::from_millis(2).factor(50).take(4).collect::<Vec<_>>());
}
END
)
seen "$result"
holds "$result" = "exponential: [100ms, 10s, 1000s, 100000s]
fibonacci: [100ms, 100ms, 200ms, 300ms]
exponential, base 2, factor 50: [100ms, 200ms, 400ms, 800ms]"
