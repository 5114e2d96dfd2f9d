//! What a push announces: objects that belong to its claims, recorded before anything is written.

use std::collections::{BTreeMap, HashMap, HashSet};

use niks3_nix::hash::FileHash;
use niks3_nix::store_path::StorePath;

use super::types::UploadKind;
use super::{App, Error, Identity, change, limits};
use crate::catalog::{Claim, ClaimKind, NewLog, NewObject, ObjectRow, Push, UploadedNar, WriteTx};
use crate::deletion::await_deletion;
use crate::http::wire;
use crate::nar_contents::{Wanted, wanted_of};
use crate::push;
use crate::push_limits::{MAX_LISTING, MAX_LOG, PART_SIZE};
use crate::storage::ObjectKey;

/// An object as a request names it.
pub(super) struct Named<'r> {
    pub kind: UploadKind,
    pub path: &'r str,
    pub sha256: FileHash,
    pub size: u64,
    /// A build log that came in the request, in zstd.
    pub body: Vec<u8>,
}

/// The same, typed.
pub(super) struct Item {
    /// The path that it belongs to.
    pub path: StorePath,
    /// What its URL writes.
    pub key: ObjectKey,
    pub size: i64,
    pub sha256: FileHash,
    pub content: Content,
}

pub(super) enum Content {
    Nar {
        claim: Claim,
        key: ObjectKey,
        wanted: Option<Wanted>,
    },
    Listing {
        claim: Claim,
    },
    Log {
        drv: StorePath,
        body: Vec<u8>,
    },
}

/// What the objects of a request are, which are in its field `list`, each named once.
pub(super) async fn parse(
    app: &App,
    push: &Push,
    list: &str,
    named: &[Named<'_>],
) -> Result<Vec<Item>, Error> {
    let mut seen = HashSet::with_capacity(named.len());
    if let Some(twice) = named
        .iter()
        .find(|object| !seen.insert((object.kind, object.path)))
    {
        let detail = format!("{:?} of {} is named twice", twice.kind, twice.path);
        return Err(Error::invalid(list, detail));
    }
    let (path_field, size_field) = (format!("{list}.path"), format!("{list}.size"));
    let paths: Vec<StorePath> = named
        .iter()
        .map(|object| wire::store_path(&path_field, object.path))
        .collect::<Result<_, _>>()?;
    let claims = app.catalog.claims_of(push.id, &paths).await?;
    let logged: Vec<String> = named
        .iter()
        .zip(&paths)
        .filter(|(object, _)| object.kind == UploadKind::Log)
        .map(|(_, path)| path.to_string())
        .collect();
    let derivers = app.catalog.derivers_among(push.id, &logged).await?;
    named
        .iter()
        .zip(paths)
        .map(|(object, path)| {
            let sha256 = object.sha256;
            let claimed = || {
                claims
                    .get(&path)
                    .filter(|claim| claim.kind == ClaimKind::Needed)
                    .cloned()
                    .ok_or_else(|| {
                        Error::invalid(
                            path_field.as_str(),
                            format!("{path} is not a path that this push has to upload"),
                        )
                    })
            };
            // Named after the path as well: paths with equal listings do not share one.
            let staging =
                || ObjectKey::staging(&push.token, &format!("{}.{}", path.hash_part(), sha256.base32()));
            let named = path.clone();
            let (key, most, content) = match object.kind {
                UploadKind::Nar => {
                    let key = ObjectKey::nar(sha256);
                    let claim = claimed()?;
                    let content = Content::Nar {
                        wanted: wanted_of(claim.ca.as_deref(), &path, claim.refers_to_itself),
                        claim,
                        key,
                    };
                    (push::upload_key(app, &push.token, sha256), PART_SIZE, content)
                }
                UploadKind::Listing => (staging(), MAX_LISTING, Content::Listing { claim: claimed()? }),
                UploadKind::Log if derivers.contains(path.as_str()) => {
                    let body = object.body.clone();
                    (staging(), MAX_LOG, Content::Log { drv: path, body })
                }
                UploadKind::Log if path.is_derivation() => {
                    return Err(Error::invalid(
                        path_field.as_str(),
                        format!("{path} is not the deriver of a path that this push claims"),
                    ));
                }
                UploadKind::Log => {
                    return Err(Error::invalid(
                        path_field.as_str(),
                        format!("{path} is not a derivation, so it has no log"),
                    ));
                }
            };
            let size = wire::size(&size_field, object.size, most)?;
            match &content {
                Content::Nar { claim, .. } => limits::nar(&size_field, size, claim.nar_size)?,
                Content::Listing { claim } => limits::listing(&size_field, size, claim.nar_size)?,
                Content::Log { .. } => {}
            }
            Ok(Item {
                path: named,
                key,
                size,
                sha256,
                content,
            })
        })
        .collect()
}

/// Bytes of the objects that a request announces and that the push has not announced before, each once.
#[derive(Default)]
struct Announced<'i> {
    keys: HashSet<&'i str>,
    bytes: u64,
}

impl<'i> Announced<'i> {
    fn add(&mut self, item: &'i Item, new: bool) {
        if new && self.keys.insert(item.key.as_str()) {
            self.bytes = self.bytes.saturating_add(item.size.unsigned_abs());
        }
    }
}

/// Records what is about to be written, before any URL for it exists.
pub(super) async fn record(
    app: &App,
    who: &Identity,
    push: &Push,
    items: &[Item],
) -> Result<HashMap<String, ObjectRow>, Error> {
    let mut wanted = HashMap::new();
    for item in items {
        let Content::Nar { key, .. } = &item.content else {
            continue;
        };
        if wanted
            .insert(
                key.as_str().to_owned(),
                NewObject::uploaded(item.size, item.sha256),
            )
            .is_some_and(|other| other.size != item.size)
        {
            return Err(Error::invalid(
                "uploads.size",
                format!("two sizes for {}", item.sha256),
            ));
        }
    }
    let (mut tx, objects) = announce(app, push, &wanted).await?;
    let mut nars = Vec::new();
    let mut listings = Vec::new();
    let mut logs = BTreeMap::new();
    let mut announced = Announced::default();
    for item in items {
        match &item.content {
            Content::Nar { claim, key, .. } => {
                let object = &objects[key.as_str()];
                if object.present && object.size != item.size {
                    let detail = format!(
                        "{} is known with {} bytes, not {}",
                        item.sha256, object.size, item.size
                    );
                    return Err(Error::conflict(detail));
                }
                announced.add(item, !object.present && claim.object_id != object.id);
                nars.push(UploadedNar {
                    path_id: claim.path_id,
                    nar_hash: claim.nar_hash,
                    nar_size: claim.nar_size,
                    object_id: object.id,
                });
            }
            // The server makes the listings of what it reads.
            Content::Listing { .. } if !push.exempt => {}
            Content::Listing { claim } => {
                announced.add(item, claim.listing != item.key.as_str());
                listings.push((claim.path_id, item.key.as_str().to_owned(), item.size));
            }
            Content::Log { drv, body } => {
                let log = NewLog {
                    staging: item.key.as_str().to_owned(),
                    size: item.size,
                    body: body.clone(),
                };
                logs.insert(drv.to_string(), log);
            }
        }
    }
    if !tx.set_nars(push.id, &nars).await? {
        return Err(Error::conflict(
            "the push has claimed other contents for one of these paths meanwhile",
        ));
    }
    tx.set_listings(push.id, &listings).await?;
    let new_logs = tx.set_logs(push.id, &logs).await?;
    for item in items {
        if let Content::Log { drv, .. } = &item.content {
            announced.add(item, new_logs.contains(drv.as_str()));
        }
    }
    tx.count_announced(push.id, announced.bytes).await?;
    limits::check(app, who, push, &mut tx).await?;
    tx.commit().await?;
    Ok(objects)
}

/// The rows of NARs, inside a transaction that changes the push. None of them is being
/// deleted: what is written there stays.
pub(super) async fn announce(
    app: &App,
    push: &Push,
    wanted: &HashMap<String, NewObject>,
) -> Result<(WriteTx, HashMap<String, ObjectRow>), Error> {
    loop {
        let mut tx = change(app, push).await?;
        let objects = tx.objects(wanted).await?;
        let doomed: Vec<String> = objects
            .iter()
            .filter(|(_, object)| object.deleting)
            .map(|(key, _)| key.clone())
            .collect();
        if doomed.is_empty() {
            return Ok((tx, objects));
        }
        drop(tx);
        await_deletion::objects(app, &doomed).await?;
    }
}
