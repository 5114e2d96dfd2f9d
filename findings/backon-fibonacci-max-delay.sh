#!/usr/bin/env bash
# Part: backon 1.6.0 (crates.io)
# FibonacciBuilder of backon waits longer than its max_delay.
#
# One would guess that no delay is above with_max_delay(), as ExponentialBuilder of the same crate has it. The limit is compared with the
# delay before, so that the first one above it is kept: 5 s for ever with a limit of 4 s.
# A limit that was chosen to stay below somebody's timeout is exceeded, by up to a whole step of the sequence.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "backon 1.6.0"
guess "at most 4 s each time"
result=$(run_rust 'backon = "=1.6.0"' <<'END'
use backon::{BackoffBuilder, ExponentialBuilder, FibonacciBuilder};
use std::time::Duration;

fn main() {
    let (shortest, longest) = (Duration::from_secs(1), Duration::from_secs(4));
    let exponential = ExponentialBuilder::default().with_min_delay(shortest).with_max_delay(longest).with_max_times(7).build();
    let fibonacci = FibonacciBuilder::default().with_min_delay(shortest).with_max_delay(longest).with_max_times(7).build();
    println!("exponential: {:?}", exponential.map(|delay| delay.as_secs()).collect::<Vec<_>>());
    println!("Fibonacci: {:?}", fibonacci.map(|delay| delay.as_secs()).collect::<Vec<_>>());
}
END
)
seen "$result"
holds "$result" = "exponential: [1, 2, 4, 4, 4, 4, 4]
Fibonacci: [1, 1, 2, 3, 5, 5, 5]"
