//! One function for each parser: hostile bytes never panic, and what parses is written so that it parses to
//! the same again.

use std::{
    fmt::{Debug, Display},
    fs,
    str::FromStr,
    sync::atomic::{AtomicUsize, Ordering},
};

use niks3_nix::{
    base32,
    ca::ContentAddress,
    hash::{Hash, NarHash},
    listing::Listing,
    nar::{self, DumpOptions, RestoreOptions},
    narinfo::{Compression, NarInfo, NarUrl},
    realisation::{BuildTraceEntry, BuildTraceKey, DrvOutput, Realisation},
    signature::{PublicKey, SecretKey, Signature},
    store_path::{StoreDir, StorePath, StorePathHash},
};

/// Checks what one parser makes of the bytes.
pub type Entry = fn(&[u8]);

/// Every entry by the name of its fuzz target.
pub const ALL: &[(&str, Entry)] = &[
    ("base32", base32),
    ("hash", hash),
    ("store_path", store_path),
    ("narinfo", narinfo),
    ("signature", signature),
    ("realisation", realisation),
    ("nar", nar),
    ("restore", restore),
    ("listing", listing),
    ("ca", ca),
];

fn text(bytes: &[u8], check: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check(text);
    }
}

fn round_trip<T: FromStr<Err: Display> + Display + PartialEq + Debug>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => match value.to_string().parse::<T>() {
            Ok(again) => assert_eq!(again, value),
            Err(error) => panic!("{value} does not parse again: {error}"),
        },
        Err(error) => assert!(error.to_string().len() < 2000, "the message is bounded"),
    }
}

/// Bytes survive Nix's base32, and its text is the only one for them.
pub fn base32(bytes: &[u8]) {
    assert_eq!(base32::decode(&base32::encode(bytes)).as_deref(), Ok(bytes));
    text(bytes, |text| {
        if let Ok(decoded) = base32::decode(text) {
            assert_eq!(base32::encode(&decoded), text);
        }
    });
}

/// Hashes in every spelling.
pub fn hash(bytes: &[u8]) {
    text(bytes, |text| {
        round_trip::<Hash>(text);
        round_trip::<NarHash>(text);
        if let Ok(hash) = text.parse::<Hash>() {
            assert_eq!(hash.to_sri().parse(), Ok(hash));
        }
    });
}

/// Store paths, their hashes, and the folder of a store.
pub fn store_path(bytes: &[u8]) {
    text(bytes, |text| {
        round_trip::<StorePath>(text);
        round_trip::<StorePathHash>(text);
        round_trip::<StoreDir>(text);
        let store_dir = StoreDir::default();
        if let Ok(path) = store_dir.parse(text) {
            assert_eq!(store_dir.display(&path), text);
        }
        if let Ok((path, rest)) = store_dir.parse_inner(text) {
            assert!(text.starts_with(&store_dir.display(&path)) && text.ends_with(rest));
        }
    });
}

/// Narinfos: one that parses is written so that it parses to the same.
pub fn narinfo(bytes: &[u8]) {
    let store_dir = StoreDir::default();
    text(bytes, |text| {
        round_trip::<NarUrl>(text);
        round_trip::<Compression>(text);
        if let Ok(info) = NarInfo::parse(&store_dir, text) {
            let written = info.to_string(&store_dir);
            assert_eq!(NarInfo::parse(&store_dir, &written).as_ref(), Ok(&info));
            assert!(!info.fingerprint(&store_dir).contains('\n'));
        }
    });
}

/// Signatures and keys: what a key that parses has signed is right.
pub fn signature(bytes: &[u8]) {
    text(bytes, |text| {
        round_trip::<Signature>(text);
        round_trip::<PublicKey>(text);
        if let Ok(key) = text.parse::<SecretKey>() {
            assert!(key.public_key().verify(bytes, &key.sign(bytes)));
            let again = key.to_secret_string().parse::<SecretKey>();
            assert_eq!(again.map(|key| key.public_key()), Ok(key.public_key()));
        }
    });
}

/// Realisations and entries of the build trace.
pub fn realisation(bytes: &[u8]) {
    text(bytes, |text| {
        let _ = text
            .parse::<DrvOutput>()
            .map(|id| assert_eq!(id.to_string().parse().ok(), Some(id)));
        let _ = text
            .parse::<BuildTraceKey>()
            .map(|key| assert_eq!(key.to_string().parse().ok(), Some(key)));
    });
    if let Ok(realisation) = Realisation::parse(bytes) {
        let again = Realisation::parse(realisation.to_json().as_bytes());
        assert_eq!(again.ok(), Some(realisation));
    }
    if let Ok(entry) = BuildTraceEntry::parse(bytes) {
        let again = BuildTraceEntry::parse(entry.to_json().as_bytes());
        assert_eq!(again.ok(), Some(entry));
    }
}

/// NARs: one that is accepted is as long as the bytes, and its listing parses.
pub fn nar(bytes: &[u8]) {
    if let Ok(packed) = nar::listing_of(bytes) {
        assert_eq!(packed.nar_size, bytes.len() as u64);
        assert_eq!(Listing::parse(&packed.listing.to_json()), Ok(packed.listing));
    }
}

/// What is unpacked lies where it was to lie, and packs to the same again.
pub fn restore(bytes: &[u8]) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("niks3-restore-{}-{number}", std::process::id());
    let parent = std::env::temp_dir().join(name);
    fs::create_dir(&parent).expect("a temporary folder");
    for case_hack in [true, false] {
        let dest = parent.join("tree");
        let restored = nar::restore(bytes, &dest, RestoreOptions { case_hack });
        let made = fs::read_dir(&parent).expect("a folder");
        for entry in made {
            assert_eq!(entry.expect("an entry").file_name(), "tree");
        }
        if let (Ok(size), false) = (&restored, case_hack) {
            assert_eq!(*size, bytes.len() as u64);
            let mut again = Vec::new();
            nar::dump(&dest, &mut again, DumpOptions { case_hack }).expect("what was unpacked packs");
            assert_eq!(again, bytes);
        }
        if dest.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            fs::remove_dir_all(&dest).expect("a folder that can be removed");
        } else {
            let _ = fs::remove_file(&dest);
        }
    }
    fs::remove_dir(&parent).expect("nothing else in the folder");
}

/// Listings of NARs.
pub fn listing(bytes: &[u8]) {
    if let Ok(listing) = Listing::parse(bytes) {
        for entry in listing.entries().iter().take(16) {
            let _ = listing.find(entry.name());
        }
        assert_eq!(Listing::parse(&listing.to_json()), Ok(listing));
    }
}

/// Content addresses.
pub fn ca(bytes: &[u8]) {
    text(bytes, round_trip::<ContentAddress>);
}
