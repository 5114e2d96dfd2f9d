//! `PUT /pushes/{id}/objects`

use std::collections::{BTreeMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use niks3_nix::hash::FileHash;

use super::announced::{Content, Item, Named, parse, record};
use super::types::{Empty, SmallObject, SmallObjects, UploadKind};
use super::{App, Error, Identity, find_open};
use crate::catalog::Push;
use crate::http::wire;
use crate::push::{self, ReadNar, SmallNar};
use crate::push_limits::{MAX_SMALL_BYTES, MAX_SMALL_NAR, MAX_SMALL_OBJECT, MAX_SMALL_OBJECTS};
use crate::verification::ClaimedNar;

/// How hard a build log is compressed while it waits for the commit.
const LOG_LEVEL: i32 = 1;

pub(super) async fn put(app: &App, who: &Identity, id: &str, body: SmallObjects) -> Result<Empty, Error> {
    let push = find_open(app, who, id).await?;
    wire::list("objects", &body.objects, MAX_SMALL_OBJECTS)?;
    if body.objects.is_empty() {
        return Ok(Empty {});
    }
    let receiving = tokio::task::spawn_blocking(move || receive(body.objects));
    let mut received = receiving.await.map_err(Error::internal)??;
    let named: Vec<Named<'_>> = received.iter_mut().map(Received::named).collect();
    let items = parse(app, &push, "objects", &named).await?;
    drop(named);
    let nars = read(app, &push, &items, &received).await?;
    let objects = record(app, who, &push, &items).await?;
    let mut present = HashSet::new();
    let mut stored = Vec::with_capacity(nars.len());
    for (key, (nar, read)) in nars {
        let object = objects
            .get(&key)
            .ok_or_else(|| Error::internal("no row of a NAR"))?;
        if object.present {
            present.insert(object.id);
        }
        stored.push((object.id, nar, read));
    }
    push::store_nars(app, &push, stored, &present).await?;
    Ok(Empty {})
}

/// An object of the request with its bytes.
struct Received {
    kind: UploadKind,
    path: String,
    sha256: FileHash,
    bytes: Bytes,
    /// A build log in zstd.
    log: Vec<u8>,
}

impl Received {
    fn named(&mut self) -> Named<'_> {
        Named {
            kind: self.kind,
            path: &self.path,
            sha256: self.sha256,
            size: self.bytes.len() as u64,
            body: std::mem::take(&mut self.log),
        }
    }
}

/// Takes the bytes out of a request, if they are as many as it may have and have the hashes that it says.
fn receive(objects: Vec<SmallObject>) -> Result<Vec<Received>, Error> {
    let mut left = MAX_SMALL_BYTES;
    let mut received = Vec::with_capacity(objects.len());
    for object in objects {
        let wrong = |detail: String| Error::invalid("objects.data", format!("{}: {detail}", object.path));
        let bytes = STANDARD
            .decode(&object.data)
            .map_err(|error| wrong(format!("this is no base64 ({error})")))?;
        if bytes.len() > MAX_SMALL_OBJECT {
            return Err(wrong(format!(
                "an object in a request may have {MAX_SMALL_OBJECT} bytes; ask for an upload URL"
            )));
        }
        left = left.checked_sub(bytes.len()).ok_or_else(|| {
            let detail = format!("the objects of a request may have {MAX_SMALL_BYTES} bytes together");
            Error::invalid("objects", detail)
        })?;
        let sha256 = wire::file_hash("objects.sha256", &object.sha256)?;
        let found = FileHash::of(&bytes);
        if found != sha256 {
            return Err(wrong(format!(
                "the bytes have the SHA-256 {found}, and not {sha256}"
            )));
        }
        let log = match object.kind {
            UploadKind::Nar => Vec::new(),
            UploadKind::Log => zstd::encode_all(bytes.as_slice(), LOG_LEVEL).map_err(Error::internal)?,
            UploadKind::Listing => {
                let detail = "the server makes the listings of the NARs that come in requests";
                return Err(Error::invalid("objects.kind", detail));
            }
        };
        received.push(Received {
            kind: object.kind,
            path: object.path,
            sha256,
            bytes: bytes.into(),
            log,
        });
    }
    Ok(received)
}

/// Reads the NARs of a request, each once, and compares them with what the push claims; by their keys.
async fn read(
    app: &App,
    push: &Push,
    items: &[Item],
    received: &[Received],
) -> Result<BTreeMap<String, (SmallNar, ReadNar)>, Error> {
    let mut nars: BTreeMap<String, SmallNar> = BTreeMap::new();
    for (item, received) in items.iter().zip(received) {
        let Content::Nar { claim, key, wanted } = &item.content else {
            continue;
        };
        let nar_size = claim.nar_size.unsigned_abs();
        if nar_size > MAX_SMALL_NAR {
            let detail = format!(
                "{}: a NAR in a request may have {MAX_SMALL_NAR} bytes, and the push claims {nar_size}; ask for an upload URL",
                received.path
            );
            return Err(Error::invalid("objects.data", detail));
        }
        let nar = nars.entry(key.as_str().to_owned()).or_insert_with(|| SmallNar {
            key: key.clone(),
            bytes: received.bytes.clone(),
            most: 0,
            wanted: Vec::new(),
        });
        nar.most = nar.most.max(nar_size);
        nar.wanted.extend(*wanted);
    }
    let (keys, nars): (Vec<String>, Vec<SmallNar>) = nars.into_iter().unzip();
    let read = push::read_nars(app, &nars).await?;
    let nars: BTreeMap<String, (SmallNar, ReadNar)> =
        keys.into_iter().zip(nars.into_iter().zip(read)).collect();
    let paths = items.iter().filter_map(|item| {
        let Content::Nar { claim, key, .. } = &item.content else {
            return None;
        };
        Some((item, claim, key))
    });
    let claims = paths.filter_map(|(item, claim, key)| {
        let (_, read) = nars.get(key.as_str())?;
        let said = ClaimedNar {
            path: &item.path,
            key: key.as_str(),
            nar_hash: claim.nar_hash,
            nar_size: claim.nar_size.unsigned_abs(),
            ca: claim.ca.as_deref(),
            refers_to_itself: claim.refers_to_itself,
        };
        Some((said, &read.verdict))
    });
    push::compare_nars(push, claims)?;
    Ok(nars)
}
