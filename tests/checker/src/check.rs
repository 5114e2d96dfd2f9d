//! The check itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::bucket::Bucket;
use crate::content_address::{self, Verdict};
use crate::narinfo::{self, HASH_LEN, NarInfo, is_base_name};
use crate::objects::{self, Nar, decompress};
use crate::report::{Kind, Report};
use crate::signature::{self, PublicKey};
use crate::{base32, realisation};

/// What is to be checked.
#[derive(Debug)]
pub struct Options {
    /// Store directory of the cache, `/nix/store` by default.
    pub store_dir: String,
    /// Keys one of which has to have signed each path; no signature is checked without any.
    pub keys: Vec<PublicKey>,
    /// Base names that may be referred to without being in the cache.
    pub external: BTreeSet<String>,
    /// Base names whose closures are checked instead of the whole bucket.
    pub paths: Option<Vec<String>>,
    /// Pins to check where the bucket cannot be listed.
    pub pins: Vec<String>,
    /// Bytes of the smallest NAR that needs a listing in the bucket.
    pub listings_from: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            store_dir: "/nix/store".to_owned(),
            keys: Vec::new(),
            external: BTreeSet::new(),
            paths: None,
            pins: Vec::new(),
            listings_from: 0,
        }
    }
}

struct Checker<'a> {
    bucket: &'a dyn Bucket,
    options: &'a Options,
    report: Report,
    /// By the hash in their names; `None` if there is none, or it does not parse.
    narinfos: BTreeMap<String, Option<Rc<NarInfo>>>,
    /// By URL and compression.
    nars: HashMap<(String, String), Option<Rc<Nar>>>,
}

/// Whether JSON says the same as a value: level by level, since it may be nested more deeply than a parser goes.
fn is(found: &RawValue, expected: &Value) -> serde_json::Result<bool> {
    let Value::Object(expected) = expected else {
        return Ok(serde_json::from_str::<Value>(found.get())? == *expected);
    };
    let found: BTreeMap<String, &RawValue> = serde_json::from_str(found.get())?;
    // Nix before 2.35 says nothing of a file that is not executable.
    let silent = expected.get("executable") == Some(&Value::Bool(false)) && !found.contains_key("executable");
    if found.len() + usize::from(silent) != expected.len() {
        return Ok(false);
    }
    for (name, found) in found {
        match expected.get(&name) {
            Some(expected) if is(found, expected)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Bytes of the stack that directories take which are nested as deeply as a NAR may have them.
pub(crate) const STACK: usize = 64 << 20;

/// Checks a bucket, or the closures of some paths in it.
///
/// # Errors
/// When the bucket cannot be read, or cannot be listed and no paths and pins are given.
pub fn check(bucket: &dyn Bucket, options: &Options) -> anyhow::Result<Report> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, || check_all(bucket, options))?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn check_all(bucket: &dyn Bucket, options: &Options) -> anyhow::Result<Report> {
    let mut checker = Checker {
        bucket,
        options,
        report: Report::default(),
        narinfos: BTreeMap::new(),
        nars: HashMap::new(),
    };
    let listed = match options.paths {
        Some(_) => None,
        None => bucket.list()?,
    };
    checker.cache_info()?;
    if let Some(keys) = &listed {
        for key in keys {
            if let Some(hash) = narinfo_hash(key)
                && checker.narinfo(hash)?.is_none()
                && !checker.report.flaws.iter().any(|flaw| flaw.key == *key)
            {
                checker
                    .report
                    .add(Kind::Vanished, key, "it was listed and is gone");
            }
        }
        for key in keys {
            checker.other(key)?;
        }
    } else {
        anyhow::ensure!(
            options.paths.is_some() || !options.pins.is_empty(),
            "this bucket cannot be listed: name the paths or pins to check"
        );
        for path in options.paths.iter().flatten() {
            checker.closure(path, true)?;
        }
        for pin in &options.pins {
            checker.pin(&format!("pins/{pin}"))?;
        }
    }
    let infos: Vec<Rc<NarInfo>> = checker.narinfos.values().flatten().cloned().collect();
    for info in &infos {
        checker.path(info)?;
    }
    if let Some(keys) = &listed {
        checker.unreferenced(keys, &infos);
    }
    checker.report.nars = checker.nars.values().flatten().count();
    checker.report.sort();
    Ok(checker.report)
}

/// The hash in the key of a narinfo.
fn narinfo_hash(key: &str) -> Option<&str> {
    key.strip_suffix(".narinfo").filter(|hash| !hash.contains('/'))
}

fn key_of(hash: &str) -> String {
    format!("{hash}.narinfo")
}

impl Checker<'_> {
    fn cache_info(&mut self) -> anyhow::Result<()> {
        let key = "nix-cache-info";
        let Some(text) = self.bucket.get(key)? else {
            self.report.add(Kind::CacheInfo, key, "there is none");
            return Ok(());
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        let dir = text.lines().find_map(|line| line.strip_prefix("StoreDir: "));
        if dir != Some(&self.options.store_dir) {
            let detail = format!("the store directory is {dir:?}, not {}", self.options.store_dir);
            self.report.add(Kind::CacheInfo, key, detail);
        }
        Ok(())
    }

    /// Reads the narinfo of a hash, once.
    fn narinfo(&mut self, hash: &str) -> anyhow::Result<Option<Rc<NarInfo>>> {
        if let Some(known) = self.narinfos.get(hash) {
            return Ok(known.clone());
        }
        let key = key_of(hash);
        let info = match self.bucket.get(&key)? {
            None => None,
            Some(bytes) => {
                let parsed = String::from_utf8(bytes)
                    .map_err(|error| error.to_string())
                    .and_then(|text| narinfo::parse(&self.options.store_dir, &text));
                match parsed {
                    Ok(info) => Some(Rc::new(info)),
                    Err(error) => {
                        self.report.add(Kind::NarinfoSyntax, &key, error);
                        None
                    }
                }
            }
        };
        if let Some(info) = &info {
            if info.hash_part() != hash {
                let detail = format!("it describes {}", info.base_name);
                self.report.add(Kind::NarinfoName, &key, detail);
                self.narinfos.insert(hash.to_owned(), None);
                return Ok(None);
            }
            self.report.paths.insert(info.base_name.clone());
        }
        self.narinfos.insert(hash.to_owned(), info.clone());
        Ok(info)
    }

    /// Reads the narinfos of a closure; the paths that have none.
    fn closure(&mut self, root: &str, asked_for: bool) -> anyhow::Result<BTreeSet<String>> {
        let mut missing = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut queue = vec![root.to_owned()];
        while let Some(name) = queue.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let info = match name.get(..HASH_LEN) {
                Some(hash) => self.narinfo(hash)?,
                None => None,
            };
            match info {
                Some(info) if info.base_name == name => {
                    queue.extend(info.references.iter().cloned());
                }
                _ if self.options.external.contains(&name) => {}
                _ => {
                    if asked_for && name == root {
                        let key = key_of(name.get(..HASH_LEN).unwrap_or(&name));
                        self.report
                            .add(Kind::PathMissing, &key, format!("{name} is not in the cache"));
                    }
                    missing.insert(name);
                }
            }
        }
        Ok(missing)
    }

    /// Why the closure of a path cannot be read whole; `None` if it can.
    fn unreadable(&mut self, root: &str) -> anyhow::Result<Option<String>> {
        if let Some(missing) = self.closure(root, false)?.into_iter().next() {
            return Ok(Some(format!("{missing} has no narinfo")));
        }
        let mut seen = BTreeSet::new();
        let mut queue = vec![root.to_owned()];
        while let Some(name) = queue.pop() {
            let Some(info) = self.narinfo(&name[..HASH_LEN])? else {
                continue;
            };
            if seen.insert(name) {
                if self.nar(&info)?.is_none() {
                    return Ok(Some(format!("{} has no NAR", info.base_name)));
                }
                queue.extend(info.references.iter().cloned());
            }
        }
        Ok(None)
    }

    /// Reads the NAR of a path, once.
    fn nar(&mut self, info: &NarInfo) -> anyhow::Result<Option<Rc<Nar>>> {
        let place = (info.url.clone(), info.compression.clone());
        if let Some(known) = self.nars.get(&place) {
            return Ok(known.clone());
        }
        let nar = self.bucket.get(&info.url)?;
        let nar = nar.map(|stored| Rc::new(objects::read(&info.compression, &stored)));
        self.nars.insert(place, nar.clone());
        Ok(nar)
    }

    /// Checks all that a narinfo says.
    fn path(&mut self, info: &NarInfo) -> anyhow::Result<()> {
        let key = key_of(info.hash_part());
        for reference in &info.references {
            let there = match self.narinfo(&reference[..HASH_LEN])? {
                Some(other) => other.base_name == *reference,
                None => false,
            };
            if !there && !self.options.external.contains(reference) {
                self.report.add(
                    Kind::ReferenceMissing,
                    &key,
                    format!("{reference} has no narinfo"),
                );
            }
        }
        let fingerprint = info.fingerprint(&self.options.store_dir);
        for flaw in signature::flaws(&self.options.keys, &fingerprint, &info.signatures) {
            self.report.add(Kind::Signature, &key, flaw);
        }
        let named = info
            .url
            .strip_prefix("nar/")
            .and_then(|name| name.split_once('.'));
        if let Some(named) = named.and_then(|(hash, _)| base32::decode::<32>(hash))
            && let Some(said) = info.file_hash
            && named != said
        {
            self.report.add(
                Kind::NarinfoContradiction,
                &key,
                "the URL names another hash than FileHash",
            );
        }
        match self.nar(info)? {
            None => self.report.add(
                Kind::NarMissing,
                &key,
                format!("{} is not in the bucket", info.url),
            ),
            Some(nar) => self.stored(&key, info, &nar)?,
        }
        Ok(())
    }

    fn stored(&mut self, key: &str, info: &NarInfo, nar: &Nar) -> anyhow::Result<()> {
        let report = &mut self.report;
        if let Some(said) = info.file_size
            && nar.file_size != said
        {
            let detail = format!("{} bytes instead of {said}", nar.file_size);
            report.add(Kind::FileSize, key, detail);
        }
        if info.file_hash.is_some_and(|said| nar.file_hash != said) {
            let detail = format!("{} has another hash", info.url);
            report.add(Kind::FileHash, key, detail);
        }
        let contents = match &nar.contents {
            Ok(contents) => contents,
            Err(error) => {
                report.add(Kind::NarFormat, key, error);
                return Ok(());
            }
        };
        if contents.size != info.nar_size {
            let detail = format!("{} bytes instead of {}", contents.size, info.nar_size);
            report.add(Kind::NarSize, key, detail);
        }
        if contents.hash != info.nar_hash {
            let detail = format!("the NAR in {} has another hash", info.url);
            report.add(Kind::NarHash, key, detail);
        }
        let tree = match &contents.tree {
            Ok(tree) => tree,
            Err(error) => {
                report.add(Kind::NarFormat, key, error);
                return Ok(());
            }
        };
        if info.ca.is_some()
            && contents.hash == info.nar_hash
            && let Some(stored) = self.bucket.get(&info.url)?
            && let Ok(bytes) = decompress(&info.compression, &stored)
        {
            match content_address::verdict(&self.options.store_dir, info, &bytes, tree) {
                Verdict::Fits => {}
                Verdict::Unknown(what) => self.report.add(Kind::NotChecked, key, what),
                Verdict::Wrong(why) => self.report.add(Kind::ContentAddress, key, why),
            }
        }
        self.listing(info, contents)
    }

    fn listing(&mut self, info: &NarInfo, contents: &objects::Contents) -> anyhow::Result<()> {
        let key = format!("{}.ls", info.hash_part());
        let Some(bytes) = self.bucket.get(&key)? else {
            if info.nar_size < self.options.listings_from {
                return Ok(());
            }
            self.report
                .add(Kind::ListingMissing, &key, format!("{} has none", info.base_name));
            return Ok(());
        };
        let same = match contents.listing() {
            Some(listing) => serde_json::from_slice(&bytes).and_then(|found| is(found, &listing)),
            None => Ok(false),
        };
        match same {
            Err(error) => self.report.add(Kind::Listing, &key, error.to_string()),
            Ok(false) => self.report.add(
                Kind::Listing,
                &key,
                format!("it is not that of the NAR in {}", info.url),
            ),
            Ok(true) => {}
        }
        Ok(())
    }

    /// Checks an object that is no narinfo, listing or NAR.
    fn other(&mut self, key: &str) -> anyhow::Result<()> {
        match key.split_once('/').map_or("", |(folder, _)| folder) {
            "pins" => self.pin(key),
            "realisations" | "build-trace-v2" => self.realisation(key),
            "log" => self.log(key),
            "staging" => {
                self.report
                    .add(Kind::Staged, key, "it waits for a push, or for a collection");
                Ok(())
            }
            "nar" => Ok(()),
            "debuginfo" => self.debug_info(key),
            _ if narinfo_hash(key).is_some() || key.ends_with(".ls") || key == "nix-cache-info" => Ok(()),
            _ if key == "index.html" || key == "niks3-owner.json" => Ok(()),
            _ => {
                self.report
                    .add(Kind::UnknownObject, key, "binary caches have no such object");
                Ok(())
            }
        }
    }

    fn pin(&mut self, key: &str) -> anyhow::Result<()> {
        let Some(text) = self.bucket.get(key)? else {
            self.report.add(Kind::Vanished, key, "there is no such pin");
            return Ok(());
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        let path = text
            .trim_end_matches('\n')
            .strip_prefix(&self.options.store_dir)
            .and_then(|path| path.strip_prefix('/'))
            .filter(|path| is_base_name(path));
        let Some(path) = path else {
            self.report
                .add(Kind::Pin, key, format!("'{text}' is not a store path"));
            return Ok(());
        };
        let name = key.strip_prefix("pins/").unwrap_or(key);
        self.report.pins.insert(name.to_owned(), path.to_owned());
        if let Some(why) = self.unreadable(path)? {
            self.report.add(Kind::Pin, key, format!("{path}: {why}"));
        }
        Ok(())
    }

    fn realisation(&mut self, key: &str) -> anyhow::Result<()> {
        let Some(body) = self.bucket.get(key)? else {
            self.report.add(Kind::Vanished, key, "it was listed and is gone");
            return Ok(());
        };
        self.report.realisations += 1;
        let realisation = match realisation::parse(key, &body) {
            Ok(realisation) => realisation,
            Err(error) => {
                self.report.add(Kind::Realisation, key, error);
                return Ok(());
            }
        };
        for flaw in signature::flaws(
            &self.options.keys,
            &realisation.fingerprint,
            &realisation.signatures,
        ) {
            self.report.add(Kind::Realisation, key, flaw);
        }
        if let Some(why) = self.unreadable(&realisation.out_path)? {
            self.report
                .add(Kind::Realisation, key, format!("{}: {why}", realisation.out_path));
        }
        Ok(())
    }

    /// `debuginfo/<build id>` names the NAR that has the debug information.
    fn debug_info(&mut self, key: &str) -> anyhow::Result<()> {
        let Some(body) = self.bucket.get(key)? else {
            self.report.add(Kind::Vanished, key, "it was listed and is gone");
            return Ok(());
        };
        let archive = serde_json::from_slice::<Value>(&body).ok();
        let archive = archive.and_then(|json| Some(json.get("archive")?.as_str()?.to_owned()));
        let nar = archive.as_deref().and_then(|archive| archive.strip_prefix("../"));
        let there = match nar {
            Some(nar) => self.bucket.get(nar)?.is_some(),
            None => false,
        };
        if !there {
            self.report.add(
                Kind::NarMissing,
                key,
                "it points to a NAR that is not in the bucket",
            );
        }
        Ok(())
    }

    fn log(&mut self, key: &str) -> anyhow::Result<()> {
        /// What compressed files begin with: zstd, bzip2, xz, gzip.
        const COMPRESSED: [&[u8]; 4] = [b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ", b"\x1f\x8b"];
        let Some(body) = self.bucket.get(key)? else {
            self.report.add(Kind::Vanished, key, "it was listed and is gone");
            return Ok(());
        };
        self.report.logs += 1;
        let name = key.strip_prefix("log/").unwrap_or_default();
        if !is_base_name(name) || !name.ends_with(".drv") {
            self.report
                .add(Kind::Log, key, "its name is not that of a derivation");
        }
        if COMPRESSED.iter().any(|magic| body.starts_with(magic)) {
            self.report
                .add(Kind::Log, key, "it is compressed, and nothing tells a reader");
        }
        Ok(())
    }

    /// Notes what no narinfo names.
    fn unreferenced(&mut self, keys: &[String], infos: &[Rc<NarInfo>]) {
        let named: BTreeSet<&str> = infos.iter().map(|info| info.url.as_str()).collect();
        for key in keys {
            if key.starts_with("nar/") && !named.contains(key.as_str()) {
                self.report.add(Kind::UnreferencedNar, key, "no narinfo names it");
            }
            if let Some(hash) = key.strip_suffix(".ls")
                && !self.narinfos.contains_key(hash)
            {
                self.report
                    .add(Kind::UnreferencedListing, key, "there is no narinfo beside it");
            }
        }
    }
}
