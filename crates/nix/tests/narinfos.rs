//! narinfo: read as Nix reads it, written as Nix writes it, signed so that Nix is content.
#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeSet, fs};

use common::{Nix, build_pair, nix_secret_key, write};
use niks3_nix::{
    ca::{ContentAddress, ContentAddressMethod},
    hash::FileHash,
    narinfo::{Compression, NarInfo, NarInfoError, NarUrl},
    signature::SecretKey,
    store_path::StoreDir,
};

const EXAMPLE: &str = "StorePath: /nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.37-8\n\
    URL: nar/1f2bymkbk3vy8s0sf0bzk4jcl47ha0ysbv4hi4h1f6ipmrkhs0hw.nar.xz\n\
    Compression: xz\n\
    FileHash: sha256:1f2bymkbk3vy8s0sf0bzk4jcl47ha0ysbv4hi4h1f6ipmrkhs0hw\n\
    FileSize: 100\n\
    NarHash: sha256:1impfw8zdgisxkghq9a3q7cn7jb9zyzgxdydiamp8z2nlyyl0h5h\n\
    NarSize: 400\n\
    References: 0lkgq22z1cqwqlwv7w5sf5pbyb27q37x-xgcc-12.3.0-libgcc 3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.37-8\n\
    Deriver: 90vx7h4hr4ma6lkq2x1k9v2q4vq6kfsr-glibc-2.37-8.drv\n\
    Sig: cache.nixos.org-1:1pBEYwGzNl4k9ZFCYHgDRsPbIYsJAmFcT8uLJEsmlZSEQ9iAGXpaPKb3xlkyAywDO3fcTDuk2ePhWjIuxlZ2BQ==\n";

fn parse(text: &str) -> Result<NarInfo, NarInfoError> {
    NarInfo::parse(&StoreDir::default(), text)
}

#[test]
fn a_narinfo_of_nix_is_written_again_byte_for_byte() {
    for nix in Nix::all() {
        let (first, second) = build_pair(&nix);
        write(&nix.dir().join("source"), b"source", false);
        let source = nix.store_dir().display(&nix.add(&nix.dir().join("source")));
        fs::write(nix.dir().join("key"), nix_secret_key(&nix, "test-1")).unwrap();
        let key = nix.dir().join("key");
        nix.run(
            "nix",
            [
                "store",
                "sign",
                "--key-file",
                key.to_str().unwrap(),
                "--recursive",
                &second,
            ],
        );
        for compression in ["xz", "zstd", "none"] {
            let parameters = format!("&compression={compression}");
            let _ = fs::remove_dir_all(nix.dir().join("cache"));
            let cache = nix.copy_to_cache(&[&first, &second, &source], &parameters);
            for path in [&first, &second, &source] {
                let store_path = nix.store_dir().parse(path).unwrap();
                let text =
                    fs::read_to_string(cache.join(format!("{}.narinfo", store_path.hash_part()))).unwrap();
                let info = NarInfo::parse(&nix.store_dir(), &text).unwrap();
                assert_eq!(info.to_string(&nix.store_dir()), text);
                assert_eq!(info.store_path, store_path);
                assert_eq!(info.compression.as_str(), compression);
                assert_eq!(
                    NarUrl::of_file(&info.file_hash.unwrap(), &info.compression),
                    info.url
                );
                let file = fs::read(cache.join(info.url.as_str())).unwrap();
                assert_eq!(info.file_hash, Some(FileHash::of(&file)));
                assert_eq!(info.file_size, Some(file.len() as u64));
                assert_eq!(info.ca.is_some(), *path == source);
                assert_eq!(info.deriver.is_some(), *path != source);
            }
        }
    }
}

#[test]
fn a_signature_of_nix_verifies_and_signing_gives_the_same_one() {
    for nix in Nix::all() {
        let (_, second) = build_pair(&nix);
        let secret = nix_secret_key(&nix, "test-1");
        fs::write(nix.dir().join("key"), &secret).unwrap();
        let key_file = nix.dir().join("key");
        nix.run(
            "nix",
            [
                "store",
                "sign",
                "--key-file",
                key_file.to_str().unwrap(),
                "--recursive",
                &second,
            ],
        );
        let cache = nix.copy_to_cache(&[&second], "");
        let store_path = nix.store_dir().parse(&second).unwrap();
        let text = fs::read_to_string(cache.join(format!("{}.narinfo", store_path.hash_part()))).unwrap();
        let info = NarInfo::parse(&nix.store_dir(), &text).unwrap();
        assert_eq!(info.references.len(), 2, "the first path and itself");

        let key: SecretKey = secret.parse().unwrap();
        let fingerprint = info.fingerprint(&nix.store_dir());
        assert!(fingerprint.starts_with(&format!("1;{second};sha256:")));
        assert_eq!(info.sigs, BTreeSet::from([key.sign(fingerprint.as_bytes())]));
        let signature = info.sigs.first().unwrap();
        assert!(key.public_key().verify(fingerprint.as_bytes(), signature));
        assert!(!key.public_key().verify(b"something else", signature));
    }
}

#[test]
fn nix_trusts_a_path_by_a_signature_made_here_and_by_no_other() {
    for nix in Nix::all() {
        let (first, second) = build_pair(&nix);
        let cache = nix.copy_to_cache(&[&first, &second], "");
        let ours = SecretKey::generate("ours-1", [7; 32]).unwrap();
        let other = SecretKey::generate("ours-1", [8; 32]).unwrap();
        for path in [&first, &second] {
            let store_path = nix.store_dir().parse(path).unwrap();
            let file = cache.join(format!("{}.narinfo", store_path.hash_part()));
            let mut info = NarInfo::parse(&nix.store_dir(), &fs::read_to_string(&file).unwrap()).unwrap();
            info.sigs
                .insert(ours.sign(info.fingerprint(&nix.store_dir()).as_bytes()));
            fs::write(&file, info.to_string(&nix.store_dir())).unwrap();
        }
        let store = format!("file://{}", cache.display());
        let verify = |key: &SecretKey| {
            let trusted = key.public_key().to_string();
            let args = [
                "store",
                "verify",
                "--recursive",
                "--sigs-needed",
                "1",
                "--store",
                &store,
            ];
            let args = args
                .into_iter()
                .chain(["--option", "trusted-public-keys", &trusted, &second]);
            nix.run("nix", args);
        };
        verify(&ours);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| verify(&other))).is_err());
    }
}

#[test]
fn what_nix_tolerates_is_tolerated() {
    let info = parse(EXAMPLE).unwrap();
    assert_eq!(info.to_string(&StoreDir::default()), EXAMPLE);
    let more = format!("{EXAMPLE}System: x86_64-linux\nFuture: a: b\nSig: not a signature\nCA: \n");
    assert_eq!(parse(&more).unwrap(), info);
    let unknown = EXAMPLE.replace(
        "90vx7h4hr4ma6lkq2x1k9v2q4vq6kfsr-glibc-2.37-8.drv",
        "unknown-deriver",
    );
    assert_eq!(parse(&unknown).unwrap().deriver, None);
    let none = EXAMPLE.replace("Compression: xz\n", "");
    assert_eq!(parse(&none).unwrap().compression, Compression::BZIP2);
    let hash = info.nar_hash;
    let sri = EXAMPLE.replace(&hash.to_nix(), &hash.to_sri());
    assert_eq!(parse(&sri).unwrap(), info);
    let hex = EXAMPLE.replace(&hash.base32(), &hash.hex());
    assert_eq!(parse(&hex).unwrap(), info);
    let bare = EXAMPLE.replace("References: 0", "References:\nIgnored: 0");
    assert!(parse(&bare).unwrap().references.is_empty());
}

#[test]
fn what_is_corrupt_is_refused_with_its_line() {
    let without = |field: &str| {
        EXAMPLE
            .split_inclusive('\n')
            .filter(|line| !line.starts_with(field))
            .collect::<String>()
    };
    let ca = "CA: text:sha256:1impfw8zdgisxkghq9a3q7cn7jb9zyzgxdydiamp8z2nlyyl0h5h\n";
    let cases = [
        (without("StorePath"), "a narinfo without StorePath"),
        (without("URL"), "a narinfo without URL"),
        (without("NarHash"), "a narinfo without NarHash"),
        (without("NarSize"), "a narinfo without NarSize"),
        (
            EXAMPLE.replace("NarSize: 400", "NarSize: 0"),
            "a narinfo without NarSize",
        ),
        (
            EXAMPLE.replace("NarSize: 400", "NarSize: +400"),
            "narinfo line 7: '+400' is not a size",
        ),
        (
            EXAMPLE.replace("NarSize: 400", "NarSize: 18446744073709551616"),
            "narinfo line 7",
        ),
        (
            EXAMPLE.replace("FileSize: ", "FileSize:"),
            "narinfo line 5: 'FileSize:100\\n' is not",
        ),
        (
            EXAMPLE.replace("Compression: xz", "Compression: x z"),
            "'x z' is not the name of a compression",
        ),
        (
            EXAMPLE.replace("/nix/store/", "/other/store/"),
            "narinfo line 1: '/other/store/3n58",
        ),
        (
            EXAMPLE.replace("FileHash: sha256", "FileHash: sha1"),
            "narinfo line 4",
        ),
        (
            format!("{EXAMPLE}References: 0lkgq22z1cqwqlwv7w5sf5pbyb27q37x-x\n"),
            "line 11: a second References",
        ),
        (format!("{EXAMPLE}{ca}{ca}"), "narinfo line 12: a second CA"),
        (
            format!("{EXAMPLE}no field\n"),
            "narinfo line 11: 'no field\\n' is not",
        ),
        (EXAMPLE.trim_end().to_owned(), "narinfo line 10"),
        (String::new(), "a narinfo without StorePath"),
    ];
    for (text, expected) in cases {
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} should say {expected:?}");
    }
    assert!(matches!(
        parse(&"A: b\n".repeat(1 << 20)),
        Err(NarInfoError::TooLong(_))
    ));
}

#[test]
fn content_addresses_are_read_and_written_in_every_form() {
    use ContentAddressMethod::{Flat, Git, NixArchive, Text};
    let hash = "sha256:1impfw8zdgisxkghq9a3q7cn7jb9zyzgxdydiamp8z2nlyyl0h5h";
    for (prefix, method) in [
        ("text:", Text),
        ("fixed:", Flat),
        ("fixed:r:", NixArchive),
        ("fixed:git:", Git),
    ] {
        let text = format!("{prefix}{hash}");
        let ca: ContentAddress = text.parse().unwrap();
        assert_eq!((ca.method(), ca.to_string()), (method, text));
    }
    let sha1 = "fixed:git:sha1:4r5ydj35ihv5j9mzqvvlk3x2zmb5rqaz";
    assert_eq!(sha1.parse::<ContentAddress>().unwrap().to_string(), sha1);
    for wrong in [
        "",
        "text:",
        "fixed:r:",
        "text:sha1:4r5ydj35ihv5j9mzqvvlk3x2zmb5rqaz",
        "r:sha256:x",
        "fixed:x:sha256:x",
    ] {
        assert!(wrong.parse::<ContentAddress>().is_err(), "{wrong}");
    }
}
