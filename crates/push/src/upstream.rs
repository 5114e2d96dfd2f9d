//! Upstream caches: what they have, signed by a key that the user trusts, need not be pushed.
//!
//! An upstream is asked once for each path, over HTTP/2 where it speaks that. Its first failure ends that for the whole
//! push: nothing is left to it then, since pushing what another cache has is harmless, and leaving out what it lacks is
//! not. Everything that it answers is checked and bounded: it may belong to anybody.

mod ask;
mod memory;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use niks3_client::without_userinfo;
use niks3_nix::{
    signature::PublicKey,
    store_path::{StoreDir, StorePath},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

use crate::path_info::{PathInfo, PathInfos};
use memory::Memory;

/// What is skipped unless the user says otherwise.
pub const DEFAULT_UPSTREAM: &str = "https://cache.nixos.org";
const DEFAULT_HOST: &str = "cache.nixos.org";
/// The keys with which that cache signs.
const DEFAULT_KEYS: [&str; 1] = ["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="];
/// The store directory of all that it has.
const DEFAULT_STORE_DIR: &str = "/nix/store";
/// Keys of one upstream. A cache that changes its key has two.
const MAX_KEYS: usize = 16;
/// One that has failed is not asked again for this long by a process that pushes often, and not warned about either.
const RETRY_AFTER: Duration = Duration::from_secs(300);

/// Upstreams that have failed in this process, and when.
static FAILED: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());

/// A cache whose paths are not pushed, and the public keys by one of which they have to be signed.
///
/// Written `URL#KEY,KEY`, a key being `NAME:BASE64`; the URL alone means <https://cache.nixos.org> with its own key.
#[derive(Clone, PartialEq, Eq)]
pub struct Upstream {
    /// With a slash at the end, and without `?priority=…` and the like.
    base: Url,
    keys: Vec<PublicKey>,
}

impl Upstream {
    /// Its address as it may be shown: without a password, and without a slash at the end.
    #[must_use]
    pub fn address(&self) -> String {
        let shown = without_userinfo(&self.base);
        shown.as_str().trim_end_matches('/').to_owned()
    }

    /// All caches that a list names, with white space between them.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        text.split_whitespace().map(str::parse).collect()
    }

    /// Whether its store directory is known without asking, and is another one.
    fn is_of_another_store(&self, store_dir: &StoreDir) -> bool {
        self.base.host_str() == Some(DEFAULT_HOST) && store_dir.as_str() != DEFAULT_STORE_DIR
    }

    fn failed_lately(&self) -> bool {
        let failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
        failed
            .get(self.base.as_str())
            .is_some_and(|failed| failed.elapsed() < RETRY_AFTER)
    }

    fn note_failure(&self) {
        let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
        failed.insert(self.base.as_str().to_owned(), Instant::now());
    }
}

impl FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, keys) = text.split_once('#').unwrap_or((text, ""));
        let mut base: Url = address
            .parse()
            .map_err(|error| format!("{error}: an address begins with http:// or https://"))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err("an address begins with http:// or https://".to_owned());
        }
        base.set_query(None);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let keys: Vec<&str> = match keys {
            "" if base.host_str() == Some(DEFAULT_HOST) => DEFAULT_KEYS.to_vec(),
            "" => {
                return Err(
                    "the public key of this cache is missing: give URL#NAME:BASE64, more keys after commas"
                        .to_owned(),
                );
            }
            keys => keys.split(',').collect(),
        };
        if keys.len() > MAX_KEYS {
            return Err(format!("{} keys, and {MAX_KEYS} at most are taken", keys.len()));
        }
        let keys = keys.into_iter().map(|key| key.parse::<PublicKey>());
        let keys = keys
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        Ok(Self { base, keys })
    }
}

/// As it is written, password included.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str())?;
        for (number, key) in self.keys.iter().enumerate() {
            let separator = if number == 0 { '#' } else { ',' };
            write!(f, "{separator}{key}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({})", self.address())
    }
}

impl Serialize for Upstream {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Upstream {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// The name of an upstream in a sentence: its address without `https://`.
#[must_use]
pub fn upstream_name(address: &str) -> &str {
    address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"))
        .unwrap_or(address)
}

/// Which of these paths an upstream has, with the same contents and signed: the index of the first one that has it.
///
/// `warnings` gets a sentence for each that cannot be asked.
pub(crate) async fn present(
    http: &reqwest::Client,
    upstreams: &[Upstream],
    store_dir: &StoreDir,
    infos: &PathInfos,
    wanted: impl Fn(&StorePath, &PathInfo) -> bool,
    warnings: &mut Vec<String>,
) -> HashMap<StorePath, usize> {
    let mut present = HashMap::new();
    for (index, upstream) in upstreams.iter().enumerate() {
        if upstream.is_of_another_store(store_dir) || upstream.failed_lately() {
            tracing::debug!("{} is not asked", upstream.address());
            continue;
        }
        let mut memory = Memory::open(upstream, store_dir);
        let (known, unknown): (Vec<_>, Vec<_>) = infos
            .iter()
            .filter(|(path, info)| wanted(path, info) && !present.contains_key(*path))
            .partition(|(path, info)| memory.has(path, info));
        let found = if unknown.is_empty() {
            Ok(Vec::new())
        } else {
            ask::present(http, upstream, store_dir, &unknown).await
        };
        match found {
            Ok(found) => {
                memory.remember(&found);
                let has = known.into_iter().chain(found);
                present.extend(has.map(|(path, _)| (path.clone(), index)));
            }
            Err(failure) => {
                upstream.note_failure();
                warnings.push(format!(
                    "cannot find out what {} has: {failure}; no path is left to it",
                    upstream.address()
                ));
            }
        }
    }
    present
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "example-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

    #[test]
    fn an_upstream_is_an_address_and_its_keys() {
        for (given, address, keys) in [
            ("https://cache.nixos.org", "https://cache.nixos.org", 1),
            (
                "https://cache.nixos.org/?priority=10",
                "https://cache.nixos.org",
                1,
            ),
            (
                &format!("https://example.org/cache#{KEY}"),
                "https://example.org/cache",
                1,
            ),
            (
                &format!("https://u:p@example.org#{KEY},{KEY}"),
                "https://example.org",
                2,
            ),
        ] {
            let upstream: Upstream = given.parse().unwrap();
            assert_eq!(
                (upstream.address().as_str(), upstream.keys.len()),
                (address, keys)
            );
            assert_eq!(upstream.to_string().parse(), Ok(upstream));
        }
    }

    #[test]
    fn an_upstream_without_an_address_or_a_key_is_refused_without_its_password() {
        for wrong in [
            "cache.nixos.org",
            "ftp://u:secret@cache.nixos.org",
            "https://u:secret@example.org",
            "https://u:secret@example.org#example-1",
            "https://u:secret@example.org#example-1:AAAA",
            &format!("https://u:secret@example.org#{}", [KEY; 17].join(",")),
        ] {
            let error = wrong.parse::<Upstream>().unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn no_other_store_than_its_own_is_looked_for_in_the_default_upstream() {
        let upstream: Upstream = DEFAULT_UPSTREAM.parse().unwrap();
        assert!(!upstream.is_of_another_store(&StoreDir::default()));
        assert!(upstream.is_of_another_store(&"/tmp/store".parse().unwrap()));
    }
}
