//! What goes to an object store and comes from it.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::stream::BoxStream;
use http::{HeaderMap, header};

use super::{ObjectKey, StorageError};

/// Kinds of checksums that uploads carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumKind {
    /// `x-amz-checksum-sha256`
    Sha256,
    /// `Content-MD5`
    Md5,
}

/// What the service checks an upload against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256.
    Sha256([u8; 32]),
    /// MD5.
    Md5([u8; 16]),
}

/// What is known of an object.
#[derive(Debug, Clone, Default)]
pub struct Meta {
    /// Bytes.
    pub size: u64,
    /// Entity tag, with its quotes.
    pub etag: String,
    /// Unix time of the last write.
    pub last_modified: i64,
    /// `Content-Encoding`, if it has one.
    pub content_encoding: Option<String>,
}

/// A request that whoever has it may make.
#[derive(Debug, Clone)]
pub struct Presigned {
    /// URL.
    pub url: String,
    /// Headers that have to be sent as they are.
    pub headers: BTreeMap<String, String>,
}

/// What a client staged, and where it belongs.
#[derive(Debug, Clone)]
pub struct Staged {
    /// Where it is.
    pub from: ObjectKey,
    /// Where readers look for it.
    pub to: ObjectKey,
    /// Bytes.
    pub size: u64,
}

/// An object of the server's own, and what has to be moved before it appears.
#[derive(Debug, Clone)]
pub struct Published {
    /// What has to be there first.
    pub staged: Option<Staged>,
    /// Another object of the server's own that has to be there first.
    pub first: Option<(ObjectKey, Bytes)>,
    /// Its key.
    pub key: ObjectKey,
    /// Its bytes.
    pub body: Bytes,
}

/// How a store is best given many objects of which each has to come after others.
#[derive(Debug, Clone, Copy)]
pub enum Publishing {
    /// So many at once, those that need not wait for each other.
    Together(usize),
    /// One after the other, `batch` by one call, while `ahead` calls prepare others.
    InTurn {
        /// Objects of a call.
        batch: usize,
        /// Calls at once.
        ahead: usize,
    },
}

/// An object of a listing.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its key, whatever it is.
    pub key: String,
    /// Bytes.
    pub size: u64,
}

/// An upload in parts that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// What it would become, whatever that is.
    pub key: String,
    /// Id of the upload.
    pub id: String,
    /// Unix time at which it was begun.
    pub begun_at: i64,
}

/// Where a list of uploads goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadMarker {
    /// After this key,
    pub key: String,
    /// or after this upload of it.
    pub id: Option<String>,
}

/// Some uploads in parts, and where the list goes on if there are more.
#[derive(Debug, Clone, Default)]
pub struct UploadPage {
    /// In the order of their keys.
    pub uploads: Vec<Upload>,
    /// Nothing at the end.
    pub next: Option<UploadMarker>,
}

/// Seconds for which an upload that the database does not know is left alone: it may be another's.
const STRANGE: i64 = 24 * 3600;

impl Upload {
    /// Its key, if it is one that a server of this cache begins uploads for, and has left: it would have written it down
    /// long ago. Others may have uploads in the bucket, too.
    #[must_use]
    pub fn abandoned(&self, now: i64) -> Option<ObjectKey> {
        let key = ObjectKey::parse(&self.key).ok()?;
        (key.is_uploaded_nar() && self.begun_at < now.saturating_sub(STRANGE)).then_some(key)
    }
}

/// What is known of an object that was to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// It is not there.
    Gone,
    /// The service said no: it is there as before.
    Refused(String),
    /// No answer that says which: it may go yet.
    Unknown(String),
}

/// What is known of one request to write or delete an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// It had its effect, and has none later.
    Done,
    /// The service said no: nothing has changed, and nothing will.
    Refused(String),
    /// The same, since a policy does not allow it; the whole sentence.
    Forbidden(String),
    /// No answer that says which: it may have its effect yet, for at most
    /// [`super::REQUEST_LIFETIME`] after it began.
    Unknown(String),
}

/// What has to hold for an object to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// There is none of that key.
    Absent,
    /// The one of that key has this entity tag.
    Unchanged(String),
}

/// What became of a write with a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionalWrite {
    /// It is written. Not every service minds the condition.
    Written,
    /// The condition did not hold; nothing has changed.
    Refused,
}

/// A part that has arrived.
#[derive(Debug, Clone)]
pub struct ListedPart {
    /// 1 to 10,000.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// Entity tag.
    pub etag: String,
}

/// A part to make an object of.
#[derive(Debug, Clone)]
pub struct CompletedPart {
    /// 1 to 10,000.
    pub number: u32,
    /// Entity tag that the service gave it.
    pub etag: String,
    /// SHA-256 that it was checked against.
    pub sha256: [u8; 32],
}

/// Most bytes of an object in S3.
const MAX_OBJECT: u64 = 5 << 40;

/// Part of an object, as RFC 9110 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// `first-` or `first-last`
    From(u64, Option<u64>),
    /// `-count`
    Last(u64),
}

/// Bytes of an object, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The first byte.
    pub first: u64,
    /// The last byte.
    pub last: u64,
}

impl Range {
    /// Reads the one range of a header; several, or other units, are read as none,
    /// which is what RFC 9110 lets a server do.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().unwrap_or(u64::MAX))
        };
        match (first.is_empty(), last.is_empty()) {
            (true, false) => Some(Self::Last(number(last)?)),
            (false, true) => Some(Self::From(number(first)?, None)),
            (false, false) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From(first, Some(last)))
            }
            (true, true) => None,
        }
    }

    /// The same for any object that can be, in numbers that every service reads; `None` when
    /// it lies beyond them all.
    #[must_use]
    pub(crate) fn bounded(self) -> Option<Self> {
        match self {
            Self::From(first, _) if first >= MAX_OBJECT => None,
            Self::From(first, last) => Some(Self::From(first, last.map(|last| last.min(MAX_OBJECT)))),
            Self::Last(0) => None,
            Self::Last(count) => Some(Self::Last(count.min(MAX_OBJECT))),
        }
    }

    /// What it means for an object of `size` bytes; `None` when it lies beyond.
    #[must_use]
    pub fn of(self, size: u64) -> Option<Extent> {
        let end = size.checked_sub(1)?;
        match self {
            Self::From(first, last) => (first <= end).then(|| Extent {
                first,
                last: last.map_or(end, |last| last.min(end)),
            }),
            Self::Last(0) => None,
            Self::Last(count) => Some(Extent {
                first: size.saturating_sub(count),
                last: end,
            }),
        }
    }

    /// As a header has it.
    #[must_use]
    pub fn header(self) -> String {
        match self {
            Self::From(first, None) => format!("bytes={first}-"),
            Self::From(first, Some(last)) => format!("bytes={first}-{last}"),
            Self::Last(count) => format!("bytes=-{count}"),
        }
    }
}

/// Conditions of a read.
#[derive(Debug, Clone, Default)]
pub struct GetOptions {
    /// Only this part.
    pub range: Option<Range>,
    /// Not if the object has one of these entity tags.
    pub if_none_match: Option<String>,
    /// Not unless it was written after this Unix time.
    pub if_modified_since: Option<i64>,
}

impl GetOptions {
    /// Reads the conditions of a request. `If-Range` is honoured by giving the whole.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        // A list may come in several lines.
        let lines = headers.get_all(header::IF_NONE_MATCH).iter();
        let if_none_match = lines
            .map(|line| line.to_str().ok())
            .collect::<Option<Vec<_>>>()
            .filter(|lines| !lines.is_empty())
            .and_then(|lines| tags(&lines.join(", ")));
        Self {
            range: text(header::RANGE)
                .filter(|_| !headers.contains_key(header::IF_RANGE))
                .and_then(Range::parse),
            // RFC 9110: If-None-Match wins, also one that cannot be read.
            if_modified_since: text(header::IF_MODIFIED_SINCE)
                .filter(|_| !headers.contains_key(header::IF_NONE_MATCH))
                .and_then(|text| chrono::DateTime::parse_from_rfc2822(text).ok())
                .map(|time| time.timestamp()),
            if_none_match,
        }
    }

    /// Whether an object with this meta need not be sent.
    #[must_use]
    pub fn not_modified(&self, meta: &Meta) -> bool {
        if let Some(tags) = &self.if_none_match {
            return tags
                .split(',')
                .map(str::trim)
                .any(|tag| tag == "*" || tag == meta.etag);
        }
        self.if_modified_since
            .is_some_and(|since| meta.last_modified <= since)
    }
}

/// A header with `*` or a list of entity tags, as every service reads it: for reading, weak
/// tags are as good as strong ones.
fn tags(text: &str) -> Option<String> {
    if text.trim() == "*" {
        return Some("*".to_owned());
    }
    let tag = |tag: &str| {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        let opaque = tag.strip_prefix('"')?.strip_suffix('"')?;
        let graphic = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
        opaque.bytes().all(graphic).then(|| tag.to_owned())
    };
    let tags: Option<Vec<String>> = text.split(',').map(tag).collect();
    Some(tags?.join(", "))
}

/// The bytes of an object as they come.
pub type ByteStream = BoxStream<'static, Result<Bytes, StorageError>>;

/// An object being read.
pub struct Object {
    /// What is known of the whole.
    pub meta: Meta,
    /// The part that is being read; `None` for the whole.
    pub range: Option<Extent>,
    /// Its bytes.
    pub body: ByteStream,
}

/// How a read came out.
pub enum GetResult {
    /// Here it is.
    Found(Object),
    /// The caller has it already.
    NotModified(Meta),
    /// The range lies beyond the object.
    RangeNotSatisfiable {
        /// Bytes of the object.
        size: u64,
    },
    /// There is no such object.
    NotFound,
}
