//! The reader takes every NAR that is one, nothing else, and never writes outside of where it restores.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    io::{self, Read},
};

use common::{odd_tree, write};
use niks3_nix::nar::{self, DumpOptions, FileHead, ReadError, RestoreOptions, Visitor};

/// The strings of a NAR, each with its length and padding.
fn strings(texts: &[&[u8]]) -> Vec<u8> {
    let mut nar = Vec::new();
    for text in texts {
        nar.extend_from_slice(&(text.len() as u64).to_le_bytes());
        nar.extend_from_slice(text);
        nar.resize(nar.len().next_multiple_of(8), 0);
    }
    nar
}

/// A NAR from the words of `text`; `_` stands for the empty string.
fn words(text: &str) -> Vec<u8> {
    let words = text
        .split_whitespace()
        .map(|word| if word == "_" { "" } else { word });
    let all: Vec<&[u8]> = ["nix-archive-1"]
        .into_iter()
        .chain(words)
        .map(str::as_bytes)
        .collect();
    strings(&all)
}

fn folder_of(names: &[&[u8]]) -> Vec<u8> {
    let mut all: Vec<&[u8]> = vec![b"nix-archive-1", b"(", b"type", b"directory"];
    for name in names {
        all.extend([&b"entry"[..], b"(", b"name", name, b"node"]);
        all.extend([&b"("[..], b"type", b"symlink", b"target", b"x", b")", b")"]);
    }
    all.push(b")");
    strings(&all)
}

fn error_of(nar: &[u8]) -> ReadError {
    match nar::listing_of(nar) {
        Err(error) => error,
        Ok(packed) => panic!("read as {packed:?}"),
    }
}

#[test]
fn a_nar_by_another_encoder_reads_and_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    odd_tree(&tree);
    // nix-nar takes UTF-8 names and targets only.
    for odd in fs::read_dir(&tree).unwrap().map(|entry| entry.unwrap()) {
        let name_is_odd = odd.file_name().to_str().is_none();
        if name_is_odd || odd.file_name() == "odd link" {
            fs::remove_file(odd.path()).unwrap();
        }
    }
    let mut theirs = Vec::new();
    nix_nar::Encoder::new(&tree)
        .unwrap()
        .read_to_end(&mut theirs)
        .unwrap();
    let mut ours = Vec::new();
    let packed = nar::dump(&tree, &mut ours, DumpOptions::default()).unwrap();
    assert!(ours == theirs, "the NARs differ");
    assert_eq!(nar::listing_of(theirs.as_slice()).unwrap(), packed);

    let decoder = nix_nar::Decoder::new(ours.as_slice()).unwrap();
    let unpacked = dir.path().join("unpacked");
    decoder.unpack(&unpacked).unwrap();
    let mut again = Vec::new();
    nar::dump(&unpacked, &mut again, DumpOptions::default()).unwrap();
    assert!(again == ours, "what the other decoder unpacks differs");
}

#[test]
fn words_other_than_the_format_has_are_refused() {
    let good = "( type directory entry ( name a node ( type regular executable _ contents hi ) ) )";
    assert!(nar::listing_of(words(good).as_slice()).is_ok());
    for (text, expected) in [
        ("", "cannot read the NAR"),
        ("[", "expected '('"),
        ("( kind regular contents hi )", "expected 'type'"),
        ("( type socket )", "expected 'regular', 'directory' or 'symlink'"),
        (
            "( type regular executable x contents hi )",
            "expected an empty string",
        ),
        (
            "( type regular executable _ executable _ contents hi )",
            "expected 'contents'",
        ),
        ("( type regular )", "expected 'contents'"),
        ("( type regular contents hi contents hi )", "expected ')'"),
        ("( type symlink )", "expected 'target'"),
        ("( type symlink target _ )", "cannot be the target"),
        ("( type directory file )", "expected 'entry' or ')'"),
        ("( type directory entry ( node )", "expected 'name'"),
        ("( type directory entry ( name a type )", "expected 'node'"),
        (
            "( type directory entry ( name a node ( type directory ) ]",
            "expected ')'",
        ),
        (
            "( type directory entry ( name a node ( type directory )",
            "cannot read the NAR",
        ),
        ("( type regular contents hi ) )", "there is more after the end"),
    ] {
        let error = error_of(&words(text)).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn what_does_not_begin_as_a_nar_is_refused_at_once() {
    for wrong in [
        &b""[..],
        b"\x0d",
        b"<html>not found</html>",
        &strings(&[b"nix-archive-2"]),
        &[0xff; 4096],
    ] {
        assert!(matches!(error_of(wrong), ReadError::Magic));
    }
}

#[test]
fn names_that_are_no_names_or_not_sorted_are_refused() {
    let long = [b'x'; 1025];
    for wrong in [
        &b""[..],
        b".",
        b"..",
        b"a/b",
        b"/",
        b"../x",
        b"a\0b",
        &long[..1025],
    ] {
        let error = error_of(&folder_of(&[wrong]));
        assert!(
            matches!(error, ReadError::Name { .. } | ReadError::TooLong { .. }),
            "{error}"
        );
    }
    for wrong in [
        [&b"a"[..], b"a"],
        [b"b", b"a"],
        [b"a", b"A"],
        [b"a.", b"a-"],
        [b"\xff", b"a"],
    ] {
        let error = error_of(&folder_of(&wrong));
        assert!(matches!(error, ReadError::Unsorted { .. }), "{error}");
    }
    assert!(nar::listing_of(folder_of(&[b"...", b"A", b"a", b"a-", b"a.", b"\xff"]).as_slice()).is_ok());
}

#[test]
fn padding_must_be_zero() {
    let good = words("( type regular contents hi )");
    let mut in_magic = good.clone();
    in_magic[8 + 13] = 1;
    assert!(matches!(error_of(&in_magic), ReadError::Magic));
    let hi = good.windows(2).rposition(|pair| pair == b"hi").unwrap();
    let mut after_contents = good.clone();
    after_contents[hi + 7] = 1;
    assert!(matches!(error_of(&after_contents), ReadError::Padding { .. }));
    let mut after_word = good;
    after_word[24 + 8 + 1] = 1;
    assert!(matches!(error_of(&after_word), ReadError::Padding { .. }));
}

#[test]
fn a_nar_cut_anywhere_is_refused() {
    let nar = words("( type directory entry ( name a node ( type regular contents hello ) ) )");
    for length in 0..nar.len() {
        let error = error_of(&nar[..length]);
        assert!(
            matches!(error, ReadError::Magic | ReadError::Read { .. }),
            "{length}: {error}"
        );
    }
}

#[test]
fn lengths_beyond_what_is_there_take_no_memory() {
    let mut huge = strings(&[b"nix-archive-1", b"(", b"type", b"regular", b"contents"]);
    huge.extend_from_slice(&u64::MAX.to_le_bytes());
    huge.extend_from_slice(b"short");
    assert!(matches!(error_of(&huge), ReadError::Read { .. }));
    let mut name = strings(&[
        b"nix-archive-1",
        b"(",
        b"type",
        b"directory",
        b"entry",
        b"(",
        b"name",
    ]);
    name.extend_from_slice(&(u64::MAX / 2).to_le_bytes());
    assert!(matches!(error_of(&name), ReadError::TooLong { .. }));
}

#[test]
fn folders_without_end_are_refused_without_a_stack_overflow() {
    let mut deep = strings(&[b"nix-archive-1", b"(", b"type", b"directory"]);
    let level = strings(&[
        b"entry",
        b"(",
        b"name",
        b"d",
        b"node",
        b"(",
        b"type",
        b"directory",
    ]);
    for _ in 0..100_000 {
        deep.extend_from_slice(&level);
    }
    assert!(matches!(error_of(&deep), ReadError::TooDeep));
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("dest");
    assert!(nar::restore(deep.as_slice(), &dest, RestoreOptions::default()).is_err());
    // By hand: what removes a temporary folder recurses.
    std::process::Command::new("rm")
        .arg("-rf")
        .arg(&dest)
        .status()
        .unwrap();
}

#[test]
fn a_prefix_is_read_to_its_last_byte_and_no_further() {
    let mut stream = words("( type regular contents one )");
    let first = stream.len() as u64;
    stream.extend_from_slice(&words("( type regular contents two )"));
    let mut rest = stream.as_slice();
    assert_eq!(nar::read_prefix(&mut rest, &mut Ignore).unwrap(), first);
    assert_eq!(
        nar::read_prefix(&mut rest, &mut Ignore).unwrap(),
        stream.len() as u64 - first
    );
    assert!(rest.is_empty());
    assert!(matches!(nar::read(stream.as_slice(), &mut Ignore), Err(ReadError::Trailing(at)) if at == first));
}

struct Ignore;

impl Visitor for Ignore {
    fn directory(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn leave(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn file(&mut self, _: &[u8], _: FileHead, contents: &mut dyn Read) -> io::Result<()> {
        contents.read_exact(&mut [0; 1])
    }

    fn symlink(&mut self, _: &[u8], _: &[u8]) -> io::Result<()> {
        Err(io::Error::other("no symlinks, please"))
    }
}

#[test]
fn a_failure_of_the_visitor_is_told_from_one_of_the_input() {
    let link = words("( type symlink target x )");
    assert!(matches!(
        nar::read(link.as_slice(), &mut Ignore),
        Err(ReadError::Visitor { .. })
    ));
    let mut cut = strings(&[b"nix-archive-1", b"(", b"type", b"regular", b"contents"]);
    cut.extend_from_slice(&8u64.to_le_bytes());
    assert!(matches!(
        nar::read(cut.as_slice(), &mut Ignore),
        Err(ReadError::Read { .. })
    ));
}

#[test]
fn restoring_follows_no_symlink_and_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    write(&outside, b"precious", false);
    let dest = dir.path().join("dest");
    let file = words("( type regular contents evil )");
    let folder = words("( type directory entry ( name a node ( type regular contents evil ) ) )");
    for target in [outside.clone(), dir.path().to_owned(), dir.path().join("none")] {
        std::os::unix::fs::symlink(&target, &dest).unwrap();
        for nar in [&file, &folder] {
            let error = nar::restore(nar.as_slice(), &dest, RestoreOptions::default()).unwrap_err();
            assert!(matches!(error, ReadError::Visitor { .. }), "{error}");
        }
        fs::remove_file(&dest).unwrap();
    }
    assert_eq!(fs::read(&outside).unwrap(), b"precious");
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing else was made"
    );
    let error = nar::restore(file.as_slice(), &outside, RestoreOptions::default()).unwrap_err();
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert!(reason.contains("outside"), "{reason}");
}
