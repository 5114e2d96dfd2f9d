//! For every value: what is written parses to it again. For every tree: packed, restored, packed the same.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use common::odd;
use niks3_nix::{
    base32,
    ca::{ContentAddress, ContentAddressMethod},
    hash::{FileHash, Hash, HashAlgorithm, NarHash},
    listing::Listing,
    nar::{self, DumpOptions, RestoreOptions},
    narinfo::{Compression, NarInfo, NarUrl},
    realisation::{BuildTraceEntry, DrvOutput, Realisation},
    signature::{SecretKey, Signature},
    store_path::{StoreDir, StorePath},
};
use proptest::{array::uniform32, collection, prelude::*, sample::select};

fn store_path() -> impl Strategy<Value = StorePath> {
    (
        "[0-9abcdfghijklmnpqrsvwxyz]{32}",
        "[a-zA-Z0-9+_?=][a-zA-Z0-9+\\-._?=]{0,60}",
    )
        .prop_map(|(hash, name)| format!("{hash}-{name}").parse().unwrap())
}

fn hash() -> impl Strategy<Value = Hash> {
    use HashAlgorithm::{Blake3, Md5, Sha1, Sha256, Sha512};
    (
        select(vec![Md5, Sha1, Sha256, Sha512, Blake3]),
        collection::vec(any::<u8>(), 64),
    )
        .prop_map(|(algorithm, bytes)| Hash::new(algorithm, &bytes[..algorithm.size()]).unwrap())
}

fn content_address() -> impl Strategy<Value = ContentAddress> {
    use ContentAddressMethod::{Flat, Git, NixArchive, Text};
    (select(vec![Text, Flat, NixArchive, Git]), hash())
        .prop_filter_map("text goes with SHA-256", |(method, hash)| {
            ContentAddress::new(method, hash).ok()
        })
}

fn signature() -> impl Strategy<Value = Signature> {
    ("[a-z.0-9-]{1,20}", uniform32(any::<u8>()), uniform32(any::<u8>())).prop_map(|(name, first, second)| {
        let bytes: Vec<u8> = first.into_iter().chain(second).collect();
        Signature::new(&name, bytes.try_into().unwrap()).unwrap()
    })
}

prop_compose! {
    fn narinfo()(
        store_path in store_path(),
        file in proptest::option::of((uniform32(any::<u8>()), any::<u64>())),
        nar_hash in uniform32(any::<u8>()),
        nar_size in 1..=u64::MAX,
        references in collection::btree_set(store_path(), 0..6),
        deriver in proptest::option::of(store_path()),
        sigs in collection::btree_set(signature(), 0..4),
        ca in proptest::option::of(content_address()),
        compression in select(vec![Compression::NONE, Compression::ZSTD, Compression::XZ, Compression::BZIP2]),
    ) -> NarInfo {
        let file_hash = file.map(|(hash, _)| FileHash::from_bytes(hash));
        let url = NarUrl::of_file(&FileHash::from_bytes(nar_hash), &compression);
        NarInfo {
            store_path, url, compression, file_hash, nar_size, references, deriver, sigs, ca,
            file_size: file.map(|(_, size)| size),
            nar_hash: NarHash::from_bytes(nar_hash),
        }
    }
}

#[derive(Debug, Clone)]
enum Tree {
    File(Vec<u8>, bool),
    Symlink(Vec<u8>),
    Folder(BTreeMap<Vec<u8>, Tree>),
}

fn bytes_of_a_name() -> impl Strategy<Value = u8> {
    prop_oneof![4 => select(b"ab-._A ~\"\\\xc3\xff\n".to_vec()), 1 => 1..=255u8]
        .prop_filter("a slash", |b| *b != b'/')
}

fn tree() -> impl Strategy<Value = Tree> {
    let name = collection::vec(bytes_of_a_name(), 1..6)
        .prop_filter("dots", |name| !matches!(name.as_slice(), b"." | b".."))
        .boxed();
    let leaf = prop_oneof![
        (collection::vec(any::<u8>(), 0..40), any::<bool>()).prop_map(|(bytes, run)| Tree::File(bytes, run)),
        collection::vec(1..=255u8, 1..20).prop_map(Tree::Symlink),
    ];
    leaf.prop_recursive(6, 40, 8, move |inner| {
        collection::btree_map(name.clone(), inner, 0..8).prop_map(Tree::Folder)
    })
}

fn make(tree: &Tree, path: &Path) {
    match tree {
        Tree::File(contents, executable) => common::write(path, contents, *executable),
        Tree::Symlink(target) => {
            use std::os::unix::ffi::OsStrExt as _;
            std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), path).unwrap();
        }
        Tree::Folder(entries) => {
            fs::create_dir(path).unwrap();
            for (name, entry) in entries {
                make(entry, &odd(path, name));
            }
        }
    }
}

proptest! {
    #[test]
    fn base32_round_trips(bytes in collection::vec(any::<u8>(), 0..100)) {
        let text = base32::encode(&bytes);
        prop_assert_eq!(text.len(), base32::encoded_len(bytes.len()));
        prop_assert_eq!(base32::decode(&text), Ok(bytes));
    }

    #[test]
    fn hashes_round_trip_in_every_form(hash in hash()) {
        let hex = format!("{}:{}", hash.algorithm(), hash.hex());
        for text in [hash.to_nix(), hash.to_sri(), hex] {
            prop_assert_eq!(text.parse(), Ok(hash));
        }
        prop_assert_eq!(serde_json::from_str::<Hash>(&serde_json::to_string(&hash).unwrap()).unwrap(), hash);
    }

    #[test]
    fn store_paths_round_trip(path in store_path(), rest in "[a-z/]{0,10}") {
        let store_dir = StoreDir::default();
        prop_assert_eq!(store_dir.parse(&store_dir.display(&path)), Ok(path.clone()));
        let inner = format!("{}/{rest}", store_dir.display(&path));
        prop_assert_eq!(store_dir.parse_inner(&inner), Ok((path.clone(), rest.as_str())));
        prop_assert_eq!(format!("{}-{}", path.hash_part(), path.name()), path.to_string());
    }

    #[test]
    fn content_addresses_round_trip(ca in content_address()) {
        prop_assert_eq!(ca.to_string().parse(), Ok(ca));
    }

    #[test]
    fn narinfos_round_trip(info in narinfo()) {
        let store_dir = "/some/other store".parse().unwrap();
        prop_assert_eq!(NarInfo::parse(&store_dir, &info.to_string(&store_dir)), Ok(info));
    }

    #[test]
    fn realisations_round_trip(
        hash in uniform32(any::<u8>()),
        out in store_path(),
        signatures in collection::vec(signature(), 0..3),
    ) {
        let id = DrvOutput::new(hash, "out".parse().unwrap());
        let mut realisation = Realisation::new(id, out.clone());
        let mut entry = BuildTraceEntry::new(out);
        for signature in signatures {
            realisation.add_signature(signature.clone());
            entry.add_signature(signature);
        }
        prop_assert_eq!(Realisation::parse(realisation.to_json().as_bytes()).unwrap(), realisation);
        prop_assert_eq!(BuildTraceEntry::parse(entry.to_json().as_bytes()).unwrap(), entry);
    }

    #[test]
    fn signatures_sort_as_their_texts_do(all in collection::btree_set(signature(), 0..8)) {
        let texts: BTreeSet<String> = all.iter().map(Signature::to_string).collect();
        prop_assert!(all.iter().map(Signature::to_string).eq(texts));
    }

    #[test]
    fn what_is_signed_verifies(seed in uniform32(any::<u8>()), message in collection::vec(any::<u8>(), 0..200)) {
        let key = SecretKey::generate("k", seed).unwrap();
        let signature: Signature = key.sign(&message).to_string().parse().unwrap();
        prop_assert!(key.public_key().verify(&message, &signature));
    }

    #[test]
    fn a_nar_in_pieces_is_read_as_a_whole_one(
        tree in tree(),
        pieces in collection::vec(1..40usize, 1..8),
        changes in collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in 0..20usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        make(&tree, &dir.path().join("tree"));
        let mut nar = Vec::new();
        nar::dump(&dir.path().join("tree"), &mut nar, DumpOptions::default()).unwrap();
        for (place, byte) in &changes {
            let place = place.index(nar.len());
            nar[place] = *byte;
        }
        if changes.len() == 2 {
            nar.truncate(nar.len() - cut);
        }
        let mut scanner = nar::Scanner::default();
        let (mut rest, mut root, mut sizes) = (nar.as_slice(), Vec::new(), pieces.iter().cycle());
        let mut outcome = Ok(());
        while !rest.is_empty() && outcome.is_ok() {
            let (now, later) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            outcome = scanner.push(now, &mut |bytes| root.extend_from_slice(bytes));
            rest = later;
        }
        let scanned = outcome.and_then(|()| scanner.finish());
        match (nar::listing_of(nar.as_slice()), scanned) {
            (Ok(packed), Ok(size)) => {
                prop_assert_eq!(packed.nar_size, size);
                prop_assert_eq!(packed.listing.to_json(), scanner.listing().text().to_vec());
                if let Some(file) = scanner.root_file() {
                    prop_assert_eq!(file.size, root.len() as u64);
                }
            }
            (Err(whole), Err(pieces)) => prop_assert_eq!(whole.to_string(), pieces.to_string()),
            (whole, pieces) => prop_assert!(false, "{whole:?} {pieces:?}"),
        }
    }

    #[test]
    fn a_nar_that_ends_early_is_read_in_pieces_as_a_whole_one(tree in tree(), size in 1..40usize) {
        let dir = tempfile::tempdir().unwrap();
        make(&tree, &dir.path().join("tree"));
        let mut nar = Vec::new();
        nar::dump(&dir.path().join("tree"), &mut nar, DumpOptions::default()).unwrap();
        for end in nar.len().saturating_sub(400)..nar.len() {
            let cut = &nar[..end];
            let mut scanner = nar::Scanner::default();
            let pushed = cut.chunks(size).try_for_each(|piece| scanner.push(piece, &mut |_| {}));
            let pieces = pushed.and_then(|()| scanner.finish()).unwrap_err();
            let whole = nar::listing_of(cut).unwrap_err();
            prop_assert_eq!(whole.to_string(), pieces.to_string());
        }
    }

    #[test]
    fn every_tree_packs_restores_and_packs_the_same(tree in tree()) {
        let dir = tempfile::tempdir().unwrap();
        let (before, after) = (dir.path().join("before"), dir.path().join("after"));
        make(&tree, &before);
        let mut nar = Vec::new();
        let packed = nar::dump(&before, &mut nar, DumpOptions::default()).unwrap();
        prop_assert_eq!(&nar::listing_of(nar.as_slice()).unwrap(), &packed);
        prop_assert_eq!(Listing::parse(&packed.listing.to_json()), Ok(packed.listing));
        nar::restore(nar.as_slice(), &after, RestoreOptions::default()).unwrap();
        let mut again = Vec::new();
        nar::dump(&after, &mut again, DumpOptions::default()).unwrap();
        prop_assert_eq!(again, nar);
    }
}
