//! In which order readers come to see the parts of a closure: never a narinfo before its
//! NAR, its listing and the narinfos that it refers to.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use niks3_nix::narinfo::NarInfo;
use niks3_nix::store_path::StoreDir;
use niks3_test_support::{Backend, Fault, Site, Store, eventually, finish};
use rustix::fs::inotify;

/// A diamond of paths over paths, so that order matters.
fn lattice(store: &Store, rows: usize) -> String {
    let mut text =
        "let p0a = build \"0a\" \"echo a > $out\"; p0b = build \"0b\" \"echo b > $out\"; ".to_owned();
    for row in 1..rows {
        let below = row - 1;
        for side in ["a", "b"] {
            text += &format!(
                "p{row}{side} = build \"{row}{side}\" \"echo ${{p{below}a}} ${{p{below}b}} > $out\"; "
            );
        }
    }
    let top = rows - 1;
    let top = format!("{text} in build \"top\" \"echo ${{p{top}a}} ${{p{top}b}} > $out\"");
    store.build(&top).remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_who_looks_between_the_narinfos_finds_a_part_that_hangs_together() {
    let site = Site::new(Backend::Services).await;
    let path = lattice(&site.store, 6);
    let count = site.store.closure(&path).len();
    site.s3.fail("PUT", ".narinfo", Fault::Hold, count);
    let child = site.spawn(&path);
    let mut seen = BTreeSet::new();
    for written in 1..=count {
        eventually("another narinfo is on its way", || {
            site.s3.pending() <= count - written
        });
        // Panics at the first narinfo whose NAR or whose references are not there.
        seen.insert(site.consistent(&path));
        site.s3.release();
    }
    let _ = finish(child).ok();
    // The last one is only sent when all others are there, and was let go after a look.
    assert!(
        seen.contains(&0) && seen.iter().any(|found| (1..count).contains(found)),
        "{seen:?}"
    );
    site.whole(&path);
}

/// What has come into folders, in the order in which it came.
struct Arrivals {
    queue: rustix::fd::OwnedFd,
    folders: Vec<(i32, PathBuf)>,
}

impl Arrivals {
    fn into(folders: &[&Path]) -> Self {
        let queue = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap();
        let comes = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        let folders = folders
            .iter()
            .map(|folder| {
                (
                    inotify::add_watch(&queue, *folder, comes).unwrap(),
                    folder.to_path_buf(),
                )
            })
            .collect();
        Self { queue, folders }
    }

    fn so_far(&self) -> Vec<PathBuf> {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = inotify::Reader::new(&self.queue, &mut buffer);
        let mut all = Vec::new();
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(rustix::io::Errno::AGAIN) => return all,
                Err(error) => panic!("{error}"),
            };
            assert!(!event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW));
            let (_, folder) = self
                .folders
                .iter()
                .find(|(watch, _)| *watch == event.wd())
                .unwrap();
            let name = event.file_name().unwrap();
            all.push(folder.join(OsStr::new(name.to_str().unwrap())));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn files_of_the_embedded_store_come_after_all_that_they_point_to() {
    let site = Site::new(Backend::Embedded).await;
    let path = lattice(&site.store, 60);
    let closure = site.store.closure(&path);
    let bucket = site.server.directory().join("bucket");
    std::fs::create_dir_all(bucket.join("nar")).unwrap();
    let arrivals = Arrivals::into(&[&bucket, &bucket.join("nar")]);
    let _ = site.push(&path).ok();
    let store_dir: StoreDir = site.store.dir().to_str().unwrap().parse().unwrap();
    let mut there = BTreeSet::new();
    let mut narinfos = 0;
    for file in arrivals.so_far() {
        if file.extension().is_some_and(|extension| extension == "narinfo") {
            let info = NarInfo::parse(&store_dir, &std::fs::read_to_string(&file).unwrap()).unwrap();
            let references = info
                .references
                .iter()
                .filter(|reference| **reference != info.store_path);
            let points_to = references
                .map(|reference| bucket.join(format!("{}.narinfo", &reference.as_str()[..32])))
                .chain([file.with_extension("ls"), bucket.join(info.url.as_str())]);
            for needed in points_to {
                assert!(
                    there.contains(&needed),
                    "{} came before {}",
                    file.display(),
                    needed.display()
                );
            }
            narinfos += 1;
        }
        there.insert(file);
    }
    assert_eq!(narinfos, closure.len());
    site.whole(&path);
}
