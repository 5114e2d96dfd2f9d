//! From strings on the wire to types: each conversion names the field it failed in.

use niks3_nix::hash::{FileHash, NarHash};
use niks3_nix::store_path::StorePath;

use crate::error::Error;

/// A store path's base name.
pub(super) fn store_path(field: &str, text: &str) -> Result<StorePath, Error> {
    text.parse()
        .map_err(|error| Error::invalid(field, format!("{error}")))
}

/// A NAR hash.
pub(super) fn nar_hash(field: &str, text: &str) -> Result<NarHash, Error> {
    text.parse()
        .map_err(|error| Error::invalid(field, format!("{error}")))
}

/// SHA-256 of an object.
pub(super) fn file_hash(field: &str, text: &str) -> Result<FileHash, Error> {
    text.parse()
        .map_err(|error| Error::invalid(field, format!("{error}")))
}

/// A number of bytes, from 0 to `most`.
pub(super) fn size(field: &str, bytes: u64, most: u64) -> Result<i64, Error> {
    match i64::try_from(bytes) {
        Ok(size) if bytes <= most => Ok(size),
        _ => Err(Error::invalid(
            field,
            format!("{bytes} bytes are more than the {most} that are possible here"),
        )),
    }
}

/// A list with a bound on its length.
pub(super) fn list<'a, T>(field: &str, items: &'a [T], most: usize) -> Result<&'a [T], Error> {
    if items.len() > most {
        let detail = format!("{} entries in one request; send at most {most}", items.len());
        return Err(Error::invalid(field, detail));
    }
    Ok(items)
}

/// Longest address of another cache: each path that is left to it has a copy.
const MAX_CACHE_ADDRESS: usize = 256;

/// The address of another cache, to be shown: without a password, and without a slash at the end.
pub(super) fn cache_address(text: &str) -> Result<String, Error> {
    let wrong = |detail: &str| Error::invalid("left_to", detail);
    if text.len() > MAX_CACHE_ADDRESS {
        return Err(wrong("an address of a cache has 256 bytes at most"));
    }
    let url: url::Url = text.parse().map_err(|_| wrong("it is no address"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("the address of a cache begins with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("the address of a cache has no credentials here"));
    }
    let address = url.as_str().trim_end_matches('/').to_owned();
    if address.len() > MAX_CACHE_ADDRESS {
        return Err(wrong("an address of a cache has 256 bytes at most"));
    }
    Ok(address)
}

/// An MD5 checksum in hexadecimal.
pub(super) fn md5(field: &str, text: &str) -> Result<[u8; 16], Error> {
    let mut bytes = [0; 16];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| Error::invalid(field, "an MD5 checksum has 32 hexadecimal digits"))?;
    Ok(bytes)
}

/// Most entries of a page.
const MAX_PAGE: u32 = 1000;

/// A text that rows are compared with.
pub(super) fn wanted(field: &str, text: Option<String>) -> Result<Option<String>, Error> {
    match text {
        Some(text) if text.len() > 1024 || text.chars().any(char::is_control) => {
            Err(Error::invalid(field, "nothing can be called that"))
        }
        text => Ok(text),
    }
}

/// How many entries a page has, 100 unless said otherwise.
pub(super) fn page(limit: Option<u32>) -> Result<i64, Error> {
    match limit.unwrap_or(100) {
        limit @ 1..=MAX_PAGE => Ok(i64::from(limit)),
        _ => Err(Error::invalid(
            "limit",
            format!("a page has 1 to {MAX_PAGE} entries"),
        )),
    }
}

/// The name after which a page begins; the first page begins after none.
pub(super) fn after(name: Option<&str>) -> Result<&str, Error> {
    let name = name.unwrap_or_default();
    // A database that holds text has no place for NUL, and no name is as long.
    if name.len() > 1024 || name.contains('\0') {
        return Err(Error::invalid("after", "it is no place in this list"));
    }
    Ok(name)
}
