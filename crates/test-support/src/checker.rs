//! The oracle: what a reader finds in the bucket must hold together.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use niks3_nix::hash::{FileHash, NarHash};
use niks3_nix::narinfo::NarInfo;
use niks3_nix::signature::PublicKey;
use niks3_nix::store_path::StoreDir;

use crate::Server;

/// Reads every narinfo of some paths and all they refer to, as far as they are in the
/// cache, and checks each against its signature, its NAR, its listing and its
/// references. The base names found. `external` may be missing.
///
/// # Panics
/// At the first thing that does not hold.
#[must_use]
pub fn check_bucket(
    server: &Server,
    store_dir: &Path,
    paths: &[String],
    external: &[String],
) -> BTreeSet<String> {
    let store_dir: StoreDir = store_dir.to_str().unwrap().parse().unwrap();
    let key: PublicKey = server.public_key().parse().unwrap();
    let base = |path: &String| path.rsplit('/').next().unwrap().to_owned();
    let external: BTreeSet<String> = external.iter().map(base).collect();
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    // What is asked for may be missing; what is referred to may not.
    let mut queue: Vec<(String, bool)> = paths.iter().map(|path| (base(path), false)).collect();
    while let Some((name, needed)) = queue.pop() {
        if !seen.insert((name.clone(), needed)) {
            continue;
        }
        let hash = &name[..32];
        let Some(text) = server.get(&format!("{hash}.narinfo")) else {
            assert!(
                !needed || external.contains(&name),
                "{name} is referred to and has no narinfo"
            );
            continue;
        };
        if !found.insert(name.clone()) {
            continue;
        }
        let text = String::from_utf8(text).expect("text");
        let info = NarInfo::parse(&store_dir, &text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(info.store_path.as_str(), name);
        let fingerprint = info.fingerprint(&store_dir);
        assert!(
            info.sigs
                .iter()
                .any(|sig| key.verify(fingerprint.as_bytes(), sig)),
            "{name} is not signed"
        );
        let nar = server
            .get(info.url.as_str())
            .unwrap_or_else(|| panic!("{name} has no NAR {}", info.url.as_str()));
        assert_eq!(info.file_size, Some(nar.len() as u64), "{name}");
        assert_eq!(info.file_hash, Some(FileHash::of(&nar)), "{name}");
        let mut contents = Vec::new();
        zstd::Decoder::new(&nar[..])
            .unwrap()
            .read_to_end(&mut contents)
            .unwrap();
        assert_eq!(info.nar_size, contents.len() as u64, "{name}");
        assert_eq!(info.nar_hash, NarHash::of(&contents), "{name}");
        let listing = server
            .get(&format!("{hash}.ls"))
            .unwrap_or_else(|| panic!("{name} has no listing"));
        let wanted = niks3_nix::nar::listing_of(&contents[..])
            .unwrap()
            .listing
            .to_json();
        assert!(listing == wanted, "{name}: the listing is of something else");
        queue.extend(
            info.references
                .iter()
                .map(|reference| (reference.to_string(), true)),
        );
    }
    found
}
