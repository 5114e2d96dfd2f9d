//! What takes long, or much room.

use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use niks3_test_support::{Bucket, Store, check_whole_bucket, finish, run, spawn};
use niks3_tests::on_service::on;

use super::paths::{is_there, noise, pushing};
use crate::cell::Outcome;
use crate::service::Service;

/// Pushes of the soak, and of how many clients at once.
const PUSHES: u32 = 200;
const CLIENTS: u32 = 4;
/// Objects that a collection deletes beside uploads of others.
const OBJECTS: usize = 20_000;
const UPLOADS: usize = 500;
/// Bytes of the largest NAR.
const HUGE: u64 = 6 << 30;
/// What client and server may take for it.
const MEMORY: u64 = 200 << 20;

pub(super) fn soak(service: &Service) -> Outcome {
    let store = Store::default();
    let mut server = on(service.bucket(), &store);
    let (next, killed, collected) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let over = AtomicBool::new(false);
    let paths: Vec<String> = (0..PUSHES)
        .map(|number| {
            noise(
                &store,
                &format!("path-{number}"),
                if number % 8 == 0 { 20 << 20 } else { 30_000 },
            )
        })
        .collect();
    // Commands of clients, whoever serves them: the server keeps its address.
    let command = |path: &str| pushing(&server, &store, path);
    let gc = || {
        let mut gc = server.niks3();
        gc.args([
            "gc",
            "--older-than=30s",
            "--failed-uploads-older-than=30s",
            "--force",
        ]);
        gc
    };
    let commands: Vec<_> = paths.iter().map(|path| [command(path), command(path)]).collect();
    let commands = std::sync::Mutex::new(commands.into_iter());
    let mut collections = gc();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some([mut first, mut again]) = commands.lock().unwrap().next() else {
                            return;
                        };
                        if number % 5 == 0 {
                            let mut child = spawn(&mut first);
                            std::thread::sleep(Duration::from_millis(u64::from(number % 11) * 150));
                            child.kill().unwrap();
                            let _ = child.wait();
                            killed.fetch_add(1, Ordering::Relaxed);
                        }
                        let pushed = run(&mut again);
                        assert_eq!(pushed.code, 0, "push {number}: {}", pushed.stderr);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // One that meets a dead server fails, and that is right.
                let done = run(&mut collections).code == 0;
                collected.fetch_add(u32::from(done), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        let servers = &mut server;
        while clients.iter().any(|client| !client.is_finished()) {
            std::thread::sleep(Duration::from_secs(8));
            servers.kill();
            std::thread::sleep(Duration::from_millis(300));
            servers.resume();
        }
        over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap();
        }
    });
    let last = noise(&store, "last", 30_000);
    let _ = run(&mut pushing(&server, &store, &last)).ok();
    is_there(&server, &store, &last);
    let report = check_whole_bucket(&server, &store.dir());
    assert!(report.flaws.is_empty(), "{report}");
    let checked = run(server.niks3().args(["fsck"]));
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    let (killed, collected) = (killed.into_inner(), collected.into_inner());
    assert!(collected > 0, "no collection has ended");
    Outcome::Works(format!(
        "{killed} clients killed, {collected} collections, checker and fsck clean"
    ))
}

pub(super) fn uploads(service: &Service) -> Outcome {
    let store = Store::default();
    let bucket = service.bucket();
    let server = on(bucket.clone(), &store);
    // Each with its narinfo and its NAR, and a root of them all.
    let paths = OBJECTS / 2;
    // So many names are too long for an argument of a builder.
    let script = format!(
        "let many = map (n: builtins.toFile \"n${{toString n}}\" (toString n)) (builtins.genList (n: n) {paths}); in \
         derivation {{ name = \"many\"; system = builtins.currentSystem; builder = \"/bin/sh\"; PATH = \"/usr/bin:/bin\"; \
         args = [ \"-ec\" \"cat $manyPath > $out\" ]; passAsFile = [ \"many\" ]; many = toString many; }}"
    );
    let root = store.build(&script).remove(0);
    let _ = run(&mut pushing(&server, &store, &root)).ok();
    let behind = Bucket::Service(Box::new(bucket));
    for number in 0..UPLOADS {
        behind.begin_upload(&format!("other/upload-{number:03}"));
    }
    let begun = Instant::now();
    let gc = [
        "gc",
        "--older-than=0s",
        "--failed-uploads-older-than=0s",
        "--force",
        "--json",
    ];
    let collected = run(server.niks3().args(gc)).json();
    let seconds = begun.elapsed().as_secs();
    let counts = &collected["gc"]["counts"];
    assert_eq!(counts["objects_failed_to_delete"], 0, "{counts}");
    let deleted = counts["objects_deleted_after_grace_period"]
        .as_u64()
        .unwrap_or_default();
    assert!(deleted >= OBJECTS as u64, "{counts}");
    let keys = behind.keys();
    assert!(keys.len() < 10, "{} objects are left", keys.len());
    Outcome::Works(format!("{deleted} objects in {seconds} s"))
}

/// The most memory that a process has had so far, in bytes; nothing of one that has ended.
fn peak(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

fn watch(child: &mut Child) -> u64 {
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(peak(child.id()).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(100));
    }
    most
}

pub(super) fn huge(service: &Service) -> Outcome {
    let store = Store::default();
    let server = on(service.bucket(), &store);
    let path = noise(&store, "huge", HUGE);
    let begun = Instant::now();
    let mut child = spawn(&mut pushing(&server, &store, &path));
    let client = watch(&mut child);
    let _ = finish(child).ok();
    let seconds = begun.elapsed().as_secs();
    let serving = peak(server.id()).unwrap_or_default();
    let checked = run(server.niks3().args(["fsck"]));
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    let measured = format!(
        "client {} MiB, server {} MiB, {seconds} s",
        client >> 20,
        serving >> 20
    );
    assert!(client.max(serving) < MEMORY, "{measured}");
    let collect = ["gc", "--older-than=0s", "--force"];
    let _ = run(server.niks3().args(collect)).ok();
    Outcome::Works(measured)
}
