//! Keys of objects: exactly the layout that readers know, and what waits to become it.

use niks3_nix::hash::{FileHash, NarHash};
use niks3_nix::realisation::{BuildTraceKey, DrvOutput};
use niks3_nix::store_path::{StorePath, StorePathHash};

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the key of an object of a binary cache")]
pub struct KeyError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    CacheInfo,
    LandingPage,
    Owner,
    NarInfo,
    Nar,
    Listing,
    Log,
    Realisation,
    Pin,
    DebugInfo,
    Staging,
}

/// Characters of a SHA-256 in Nix's base 32.
const HASH_LENGTH: usize = 52;
/// Characters of what makes the name of a NAR in parts its own.
const ID_LENGTH: usize = 32;
/// The object that names the database to which the bucket belongs.
const OWNER: &str = "niks3-owner.json";

/// The key of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    text: String,
    kind: Kind,
}

impl ObjectKey {
    fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            kind,
        }
    }

    /// `nix-cache-info`
    #[must_use]
    pub fn cache_info() -> Self {
        Self::new(Kind::CacheInfo, "nix-cache-info")
    }

    /// `index.html`
    #[must_use]
    pub fn landing_page() -> Self {
        Self::new(Kind::LandingPage, "index.html")
    }

    /// `niks3-owner.json`
    #[must_use]
    pub fn owner() -> Self {
        Self::new(Kind::Owner, OWNER)
    }

    /// `<hash part>.narinfo`
    #[must_use]
    pub fn narinfo(hash: &StorePathHash) -> Self {
        Self::new(Kind::NarInfo, format!("{}.narinfo", hash.as_str()))
    }

    /// `<hash part>.ls`
    #[must_use]
    pub fn listing(hash: &StorePathHash) -> Self {
        Self::new(Kind::Listing, format!("{}.ls", hash.as_str()))
    }

    /// `nar/<file hash>.nar.zst`
    #[must_use]
    pub fn nar(hash: FileHash) -> Self {
        Self::new(Kind::Nar, format!("nar/{}.nar.zst", hash.base32()))
    }

    /// `nar/<NAR hash>-<id>.nar.zst`: one that comes in parts, and has a name before anybody knows its file hash.
    /// The id is the server's own word of 32 characters of Nix base 32, and never given twice.
    #[must_use]
    pub fn nar_in_parts(hash: NarHash, id: &[u8; 20]) -> Self {
        let id = niks3_nix::base32::encode(id);
        Self::new(Kind::Nar, format!("nar/{}-{id}.nar.zst", hash.base32()))
    }

    /// `log/<base name of the derivation>`
    #[must_use]
    pub fn log(drv: &StorePath) -> Self {
        Self::new(Kind::Log, format!("log/{drv}"))
    }

    /// `pins/<name>`
    ///
    /// # Errors
    /// When the name could leave the folder.
    pub fn pin(name: &str) -> Result<Self, KeyError> {
        if !plain(name) {
            return Err(KeyError);
        }
        Ok(Self::new(Kind::Pin, format!("pins/{name}")))
    }

    /// `staging/<group>/<name>`: what clients upload before it is published.
    /// Both parts are the server's own words, of the characters of Nix base 32.
    #[must_use]
    pub fn staging(group: &str, name: &str) -> Self {
        debug_assert!(plain(group) && plain(name), "the server makes these names");
        Self::new(Kind::Staging, format!("staging/{group}/{name}"))
    }

    /// What the start of a server tries the object store with: one key, so that nothing piles up where it cannot be
    /// deleted.
    #[must_use]
    pub fn probe() -> Self {
        Self::staging("probe", "object")
    }

    /// Where in the bucket it is, as a policy would name it: `nar/*`, `*.narinfo`, or the key.
    #[must_use]
    pub fn area(&self) -> String {
        match self.kind {
            Kind::NarInfo => "*.narinfo".to_owned(),
            Kind::Listing => "*.ls".to_owned(),
            _ => match self.text.split_once('/') {
                Some((folder, _)) => format!("{folder}/*"),
                None => self.text.clone(),
            },
        }
    }

    /// Reads a key out of a URL, the database or a listing of the bucket.
    ///
    /// # Errors
    /// When nothing that a binary cache has is called so.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let kind = match text {
            "nix-cache-info" => Kind::CacheInfo,
            "index.html" => Kind::LandingPage,
            OWNER => Kind::Owner,
            _ => Self::kind(text).ok_or(KeyError)?,
        };
        Ok(Self::new(kind, text))
    }

    fn kind(text: &str) -> Option<Kind> {
        if text.len() > 1024 {
            return None;
        }
        let Some((folder, rest)) = text.split_once('/') else {
            let (hash, extension) = text.split_once('.')?;
            hash.parse::<StorePathHash>().ok()?;
            return match extension {
                "narinfo" => Some(Kind::NarInfo),
                "ls" => Some(Kind::Listing),
                _ => None,
            };
        };
        match folder {
            // Narinfos of other writers name any.
            "nar" => rest.split('/').all(plain_url).then_some(Kind::Nar),
            "debuginfo" => {
                let id = rest.strip_suffix(".debug").unwrap_or(rest);
                let hex = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                ((8..=128).contains(&id.len()) && hex).then_some(Kind::DebugInfo)
            }
            "log" => rest
                .parse::<StorePath>()
                .ok()
                .filter(StorePath::is_derivation)
                .map(|_| Kind::Log),
            "pins" => plain(rest).then_some(Kind::Pin),
            "realisations" => rest
                .strip_suffix(".doi")?
                .parse::<DrvOutput>()
                .ok()
                .map(|_| Kind::Realisation),
            "build-trace-v2" => {
                let (drv, output) = rest.strip_suffix(".doi")?.split_once('/')?;
                BuildTraceKey::new(drv.parse().ok()?, output.parse().ok()?)
                    .ok()
                    .map(|_| Kind::Realisation)
            }
            "staging" => {
                let (group, name) = rest.split_once('/')?;
                (plain(group) && plain(name)).then_some(Kind::Staging)
            }
            _ => None,
        }
    }

    /// The key as S3 has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The group of a staged object: its push.
    #[must_use]
    pub fn staging_group(&self) -> Option<&str> {
        self.text
            .strip_prefix("staging/")?
            .split_once('/')
            .map(|(group, _)| group)
    }

    /// Hash part of the path whose listing it is.
    #[must_use]
    pub fn listed_path(&self) -> Option<StorePathHash> {
        self.text.strip_suffix(".ls")?.parse().ok()
    }

    /// Whether it is a NAR.
    #[must_use]
    pub fn is_nar(&self) -> bool {
        self.kind == Kind::Nar
    }

    /// Whether servers of this cache write NARs under such a name.
    #[must_use]
    pub fn is_uploaded_nar(&self) -> bool {
        self.nar_name().is_some_and(|name| {
            let id = name
                .strip_prefix('-')
                .and_then(|rest| rest.strip_suffix(".nar.zst"));
            name == ".nar.zst" || id.is_some_and(is_id)
        })
    }

    /// Whether a cache names NARs so: `nar/<hash>.nar` and the extension of a compression. Others may be NARs too.
    #[must_use]
    pub fn is_named_like_nar(&self) -> bool {
        let extensions = ["", ".zst", ".xz", ".bz2", ".gz", ".br"].map(|end| format!(".nar{end}"));
        let named = |name: &str| extensions.iter().any(|end| end == name);
        self.is_uploaded_nar() || self.nar_name().is_some_and(named)
    }

    /// What follows the hash in the name of a NAR.
    fn nar_name(&self) -> Option<&str> {
        let (hash, extension) = self.text.strip_prefix("nar/")?.split_at_checked(HASH_LENGTH)?;
        FileHash::from_base32(hash).ok().map(|_| extension)
    }

    /// Whether readers may see the object.
    #[must_use]
    pub fn is_public(&self) -> bool {
        !matches!(self.kind, Kind::Staging | Kind::Owner)
    }

    /// `Content-Type` of the object.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match self.kind {
            Kind::CacheInfo => "text/x-nix-cache-info",
            Kind::LandingPage => "text/html; charset=utf-8",
            Kind::NarInfo => "text/x-nix-narinfo",
            Kind::Nar => "application/x-nix-nar",
            Kind::Listing | Kind::Realisation | Kind::DebugInfo | Kind::Owner => "application/json",
            Kind::Log | Kind::Pin => "text/plain; charset=utf-8",
            Kind::Staging => "application/octet-stream",
        }
    }

    /// `Cache-Control` of the object. A narinfo never changes, but it can go.
    #[must_use]
    pub fn cache_control(&self) -> &'static str {
        match self.kind {
            Kind::Nar => "public, max-age=31536000, immutable",
            Kind::NarInfo | Kind::Listing | Kind::Realisation | Kind::Log | Kind::DebugInfo => {
                "public, max-age=3600"
            }
            Kind::CacheInfo | Kind::LandingPage => "public, max-age=300",
            Kind::Pin => "no-cache",
            Kind::Staging | Kind::Owner => "no-store",
        }
    }
}

/// Whether a text is what makes the name of a NAR in parts its own.
fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && niks3_nix::base32::decode(text).is_ok()
}

/// A part of the URL of a NAR: the same characters and some more.
fn plain_url(part: &str) -> bool {
    let extra = |c: char| matches!(c, '+' | '=' | '@' | ',');
    plain(&part.replace(extra, "-"))
}

/// A name of one part: letters, digits, `.`, `_`, `-`, not dots alone.
fn plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 256
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        && !name.bytes().all(|byte| byte == b'.')
}
