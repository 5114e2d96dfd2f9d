//! A tree that changes while it is packed is an error that names what changed, never a wrong NAR.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use common::write;
use niks3_nix::nar::{self, Change, DumpError, DumpOptions};
use tempfile::TempDir;

/// Does something to the tree once, when the first bytes arrive.
struct Meddle<F>(Option<F>);

impl<F: FnOnce()> Write for Meddle<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(meddle) = self.0.take() {
            meddle();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A folder where `big` is packed first, with several writes, then `other` and `sub`.
fn tree() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("tree");
    fs::create_dir_all(root.join("sub")).unwrap();
    write(&root.join("big"), &vec![b'x'; 4 << 20], false);
    write(&root.join("other"), &[b'y'; 1000], false);
    write(&root.join("sub/inner"), b"z", false);
    (dir, root)
}

fn change(root: &Path, meddle: impl FnOnce()) -> (String, Change) {
    match nar::dump(root, Meddle(Some(meddle)), DumpOptions::default()) {
        Err(DumpError::Changed { path, change }) => (
            path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(),
            change,
        ),
        other => panic!("expected an error of change, got {other:?}"),
    }
}

#[test]
fn a_file_that_grows_between_two_reads_is_an_error() {
    let (_dir, root) = tree();
    let big = root.join("big");
    let grow = || {
        OpenOptions::new()
            .append(true)
            .open(&big)
            .unwrap()
            .write_all(b"more")
            .unwrap();
    };
    assert_eq!(change(&root, grow), ("big".into(), Change::Grew));
}

#[test]
fn a_file_that_shrinks_between_two_reads_is_an_error() {
    let (_dir, root) = tree();
    let big = root.join("big");
    let shrink = || {
        OpenOptions::new()
            .write(true)
            .open(&big)
            .unwrap()
            .set_len(3 << 20)
            .unwrap();
    };
    assert_eq!(change(&root, shrink), ("big".into(), Change::Shrank));
    let truncate = || drop(File::create(&big).unwrap());
    assert_eq!(change(&root, truncate).1, Change::Shrank);
}

#[test]
fn a_file_that_vanishes_after_its_folder_was_read_is_an_error() {
    let (_dir, root) = tree();
    let vanish = || fs::remove_file(root.join("other")).unwrap();
    assert_eq!(change(&root, vanish), ("other".into(), Change::Vanished));
}

#[test]
fn a_folder_that_vanishes_after_its_parent_was_read_is_an_error() {
    let (_dir, root) = tree();
    let vanish = || fs::remove_dir_all(root.join("sub")).unwrap();
    assert_eq!(change(&root, vanish), ("sub".into(), Change::Vanished));
}

#[test]
fn a_file_that_becomes_a_symlink_is_not_followed() {
    let (dir, root) = tree();
    write(&dir.path().join("secret"), b"secret", false);
    let swap = || {
        fs::remove_file(root.join("other")).unwrap();
        std::os::unix::fs::symlink("../secret", root.join("other")).unwrap();
    };
    assert_eq!(change(&root, swap), ("other".into(), Change::Replaced));
}

#[test]
fn a_folder_that_becomes_a_symlink_is_not_followed() {
    let (_dir, root) = tree();
    let swap = || {
        fs::rename(root.join("sub"), root.join("was sub")).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("sub")).unwrap();
    };
    assert_eq!(change(&root, swap), ("sub".into(), Change::Replaced));
}

#[test]
fn a_file_that_becomes_a_folder_and_a_symlink_that_becomes_a_file_are_errors() {
    let (_dir, root) = tree();
    let swap = || {
        fs::remove_file(root.join("other")).unwrap();
        fs::create_dir(root.join("other")).unwrap();
    };
    assert_eq!(change(&root, swap), ("other".into(), Change::Replaced));

    let (_dir, root) = tree();
    std::os::unix::fs::symlink("big", root.join("link")).unwrap();
    let swap = || {
        fs::remove_file(root.join("link")).unwrap();
        write(&root.join("link"), b"", false);
    };
    assert_eq!(change(&root, swap), ("link".into(), Change::Replaced));
}

#[test]
fn a_tree_moved_while_packed_is_still_packed_from_where_it_went() {
    let (dir, root) = tree();
    let mut before = Vec::new();
    nar::dump(&root, &mut before, DumpOptions::default()).unwrap();
    let moved = || fs::rename(&root, dir.path().join("moved")).unwrap();
    let packed = nar::dump(&root, Meddle(Some(moved)), DumpOptions::default()).unwrap();
    assert_eq!(packed.nar_size, before.len() as u64);
}

#[test]
fn a_socket_and_a_fifo_are_refused_by_name_without_waiting() {
    let (_dir, root) = tree();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let error = nar::dump(&root, io::sink(), DumpOptions::default()).unwrap_err();
    assert!(
        matches!(&error, DumpError::UnsupportedType(path) if path.ends_with("socket")),
        "{error}"
    );
    fs::remove_file(root.join("socket")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(root.join("fifo"))
        .status();
    assert!(made.unwrap().success());
    let error = nar::dump(&root, io::sink(), DumpOptions::default()).unwrap_err();
    assert!(
        matches!(&error, DumpError::UnsupportedType(path) if path.ends_with("fifo")),
        "{error}"
    );
}

#[test]
fn what_is_missing_and_a_sink_that_fails_are_told_apart() {
    let (_dir, root) = tree();
    let error = nar::dump(&root.join("none"), io::sink(), DumpOptions::default()).unwrap_err();
    assert!(
        matches!(&error, DumpError::Read { path, .. } if path.ends_with("none")),
        "{error}"
    );
    let mut full = [0u8; 100];
    let error = nar::dump(&root, &mut full[..], DumpOptions::default()).unwrap_err();
    assert!(matches!(error, DumpError::Write(_)), "{error}");
}
