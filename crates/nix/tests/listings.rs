//! Listings: whatever order they are in, at any depth, with names of any bytes.
#![allow(clippy::unwrap_used)]

use niks3_nix::listing::{Listing, ListingError, Node};

const SMALL: &str = r#"{"version":1,"root":{"type":"directory","entries":{"a":{"type":"directory","entries":{"run":{"type":"regular","size":3,"executable":true,"narOffset":400}}},"b":{"type":"symlink","target":"a/run"},"c":{"type":"regular","size":0,"executable":false,"narOffset":900}}}}"#;

#[test]
fn a_listing_is_written_as_it_was_read() {
    let roots = [
        r#"{"version":1,"root":{"type":"symlink","target":"x"}}"#,
        r#"{"version":1,"root":{"type":"regular","size":1,"executable":false}}"#,
        r#"{"version":1,"root":{"type":"directory","entries":{}}}"#,
        r#"{"version":1,"root":{"type":"directory","entries":{"a":{"type":"directory","entries":{}}}}}"#,
        SMALL,
    ];
    for json in roots {
        assert_eq!(
            String::from_utf8(Listing::parse(json.as_bytes()).unwrap().to_json()).unwrap(),
            json
        );
    }
}

#[test]
fn sorted_keys_white_space_and_unknown_fields_are_read() {
    let newer = r#" { "root" : { "entries" : {
        "c" : { "narOffset" : 900 , "size" : 0 , "type" : "regular", "executable": false },
        "b" : { "target" : "a\/ru\u006e" , "type" : "symlink" },
        "a" : { "entries" : { "run" : { "executable" : true, "narOffset" : 400, "size" : 3, "type" : "regular",
                "new": [1.5e3, {"x": "]}"}, null, "y"] } }, "type" : "directory" }
      } , "type" : "directory" } , "extra" : -1 , "version" : 1 } "#;
    assert_eq!(
        String::from_utf8(Listing::parse(newer.as_bytes()).unwrap().to_json()).unwrap(),
        SMALL
    );
}

#[test]
fn what_is_not_executable_is_read_with_the_field_and_without() {
    // Nix up to 2.34 leaves it out, 2.35 writes it.
    let without = SMALL.replace(r#""executable":false,"#, "");
    assert_ne!(without, SMALL);
    assert_eq!(
        Listing::parse(without.as_bytes()).unwrap(),
        Listing::parse(SMALL.as_bytes()).unwrap()
    );
}

#[test]
fn entries_are_found_by_path() {
    let listing = Listing::parse(SMALL.as_bytes()).unwrap();
    assert_eq!(listing.find(b"").unwrap().node(), &Node::Directory);
    let run = Node::Regular {
        size: 3,
        executable: true,
        nar_offset: Some(400),
    };
    assert_eq!(listing.find(b"a/run").unwrap().node(), &run);
    assert_eq!(listing.find(b"c").unwrap().name(), b"c");
    for missing in [&b"run"[..], b"a/b", b"c/d", b"d", b"a/run/x"] {
        assert!(listing.find(missing).is_none());
    }
    let depths: Vec<u32> = listing.entries().iter().map(|entry| entry.depth()).collect();
    assert_eq!(depths, [0, 1, 2, 1, 1]);
}

#[test]
fn names_keep_their_bytes() {
    let odd = b"{\"version\":1,\"root\":{\"type\":\"directory\",\"entries\":{\"\\u0001\\n\\\"\\\\\xff\":{\"type\":\"symlink\",\"target\":\"\xfe\"}}}}";
    let listing = Listing::parse(odd).unwrap();
    assert_eq!(listing.entries()[1].name(), b"\x01\n\"\\\xff");
    assert_eq!(listing.to_json(), odd);
    let escaped = br#"{"version":1,"root":{"type":"symlink","target":"\ud83d\ude00\b\f\/"}}"#;
    let target = "\u{1f600}\u{8}\u{c}/".as_bytes().into();
    assert_eq!(
        Listing::parse(escaped).unwrap().root(),
        Some(&Node::Symlink { target })
    );
}

#[test]
fn what_is_no_listing_is_refused() {
    let root = |root: &str| format!(r#"{{"version":1,"root":{root}}}"#);
    let entry = |name: &str| {
        root(&format!(
            r#"{{"type":"directory","entries":{{"{name}":{{"type":"symlink","target":"x"}}}}}}"#
        ))
    };
    let twice = r#"{"type":"directory","entries":{"a":{"type":"symlink","target":"x"},"a":{"type":"symlink","target":"y"}}}"#;
    for wrong in [
        "",
        "null",
        "{}",
        r#"{"version":1}"#,
        &SMALL.replace(r#""version":1"#, r#""version":2"#),
        &SMALL.replace(r#""version":1,"#, ""),
        &format!("{SMALL}x"),
        &SMALL[..SMALL.len() - 1],
        &root("[]"),
        &root(r#"{"type":"regular"}"#),
        &root(r#"{"type":"regular","size":-1}"#),
        &root(r#"{"type":"regular","size":1.5}"#),
        &root(r#"{"type":"regular","size":18446744073709551616}"#),
        &root(r#"{"type":"regular","size":1,"executable":1}"#),
        &root(r#"{"type":"regular","size":1,"entries":{}}"#),
        &root(r#"{"type":"symlink"}"#),
        &root(r#"{"type":"directory"}"#),
        &root(r#"{"type":"directory","entries":{},"entries":{}}"#),
        &root(r#"{"type":"directory","entries":{},}"#),
        &root(r#"{"type":"fifo"}"#),
        &root(r#"{"size":1}"#),
        &root(twice),
        &entry(""),
        &entry("."),
        &entry(".."),
        &entry("a/b"),
        &entry("a\\u0000"),
        &entry("\\ud800"),
        &entry("\\ud800\\u0041"),
        &entry("\\x"),
        &entry("\n"),
        &entry("\\u12"),
        &entry("\\u+123"),
    ] {
        assert!(Listing::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn depth_costs_no_stack_and_is_bounded() {
    let nested = |depth: usize| {
        let mut json = String::from(r#"{"version":1,"root":"#);
        json.push_str(&r#"{"type":"directory","entries":{"d":"#.repeat(depth));
        json.push_str(r#"{"type":"directory","entries":{}}"#);
        json.push_str(&"}}".repeat(depth));
        json.push('}');
        json
    };
    let deep = nested(4000);
    assert_eq!(
        Listing::parse(deep.as_bytes()).unwrap().to_json(),
        deep.as_bytes()
    );
    assert_eq!(
        Listing::parse(nested(100_000).as_bytes()),
        Err(ListingError::TooDeep)
    );
    let unknown = format!(r#"{{"x":{}"#, "[".repeat(1_000_000));
    assert!(Listing::parse(unknown.as_bytes()).is_err());
}

#[test]
fn an_empty_folder_is_read_whatever_order_its_fields_have() {
    let [typed, sorted] = [
        r#""type":"directory","entries":{}"#,
        r#""entries":{},"type":"directory""#,
    ]
    .map(|folder| format!(r#"{{"version":1,"root":{{"entries":{{"a":{{{folder}}}}},"type":"directory"}}}}"#))
    .map(|json| Listing::parse(json.as_bytes()));
    assert!(typed.is_ok());
    assert_eq!(sorted, typed);
    let comma = r#"{"version":1,"root":{"entries":{},,"type":"directory"}}"#;
    assert!(Listing::parse(comma.as_bytes()).is_err());
}
