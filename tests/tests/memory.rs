//! Memory that does not grow with what is pushed.

use niks3_test_support::{Backend, Fault, Site, finish, on_both};

on_both!(a_nar_five_times_as_large_takes_no_more_memory);

const MIB: u64 = 1 << 20;
/// What parts may wait in memory in a client, whether they come to that or not.
const BUDGET: u64 = 96 * MIB;

/// The most memory that a process has had so far, in bytes.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    kib * 1024
}

/// What client and server have taken for a path of so many MiB that do not compress.
async fn peaks(backend: Backend, size: u64) -> [u64; 2] {
    let site = Site::new(backend).await;
    let path = site
        .store
        .build(&format!(
            "build \"large\" \"head -c {size}M /dev/urandom > $out\""
        ))
        .remove(0);
    site.api.fail("POST", "/commit", Fault::Hold, 1);
    let child = site.spawn(&path);
    site.api.happened().await;
    // All has been packed, sent, read back and moved; the client waits.
    let client = peak(child.id());
    site.api.release();
    let _ = finish(child).ok();
    [client, peak(site.server.id())]
}

async fn a_nar_five_times_as_large_takes_no_more_memory(backend: Backend) {
    // Both are packed by several threads, each of which has its own memory.
    let [client, server] = peaks(backend, 80).await;
    let [client_later, server_later] = peaks(backend, 400).await;
    for (who, before, later) in [("client", client, client_later), ("server", server, server_later)] {
        assert!(
            later < before + BUDGET + 32 * MIB,
            "{who}: {} MiB, and then {} MiB",
            before / MIB,
            later / MIB
        );
    }
}
