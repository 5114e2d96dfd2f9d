//! The calls of a push to the server, from typed values to the generated client and back.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use niks3_client::{Api, Error as ApiError, types};
use niks3_nix::{
    hash::FileHash,
    store_path::{StoreDir, StorePath},
};
use reqwest::StatusCode;

use crate::{error::PushError, path_info::PathInfo, put::Target};

/// How long it may take the server to make one object of parts, and to commit, however small.
const LEAST_WORK: Duration = Duration::from_secs(600);
/// It reads the whole of a NAR that came in parts, this many bytes in a second at least.
const BYTES_PER_SECOND: u64 = 5_000_000;
/// It writes so much for each path of a commit at most this long.
const PATH_WORK: Duration = Duration::from_millis(20);
/// Pause before a commit in progress is asked for again; the server holds each request until it is done, or for a while.
const COMMIT_PAUSE: Duration = Duration::from_secs(1);

/// What the server said when the push was opened.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) lease_seconds: u64,
    pub(crate) with_md5: bool,
    pub(crate) part_size: u64,
    pub(crate) max_batch: usize,
    pub(crate) max_log_size: u64,
    /// The server makes the listings.
    pub(crate) verifies_uploads: bool,
    /// What may ride in requests to it; an older server takes nothing so.
    pub(crate) small_objects: Option<SmallObjectLimits>,
}

/// What may ride in requests to the server.
#[derive(Debug, Clone)]
pub(crate) struct SmallObjectLimits {
    pub(crate) max_object_size: u64,
    pub(crate) max_nar_size: u64,
    pub(crate) max_objects: usize,
    pub(crate) max_request_size: u64,
}

/// An open push.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    api: Api,
    id: Arc<str>,
    pub(crate) opened: Opened,
}

/// What is to be done for the paths of one batch.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    pub(crate) needed: Vec<StorePath>,
    pub(crate) logs_needed: Vec<StorePath>,
}

/// Bytes to upload, by their checksums.
#[derive(Debug, Clone)]
pub(crate) struct Checksums {
    pub(crate) sha256: FileHash,
    pub(crate) md5: Option<[u8; 16]>,
    pub(crate) size: u64,
}

/// Kinds of objects.
pub(crate) use types::UploadKind;

/// What a path is called on the wire and in messages.
#[derive(Debug, Clone)]
pub(crate) struct ObjectName {
    pub(crate) kind: UploadKind,
    pub(crate) path: StorePath,
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            UploadKind::Nar => write!(f, "{}", self.path),
            UploadKind::Listing => write!(f, "the listing of {}", self.path),
            UploadKind::Log => write!(f, "the build log of {}", self.path),
        }
    }
}

/// A small object with its bytes.
#[derive(Debug, Clone)]
pub(crate) struct SmallObject {
    pub(crate) name: ObjectName,
    pub(crate) sha256: FileHash,
    pub(crate) bytes: Bytes,
}

/// A part of an upload in parts.
#[derive(Debug, Clone)]
pub(crate) struct PartInfo {
    pub(crate) number: u32,
    pub(crate) checksums: Checksums,
}

/// What `commit` found.
#[derive(Debug)]
pub(crate) enum Committed {
    Done(Box<types::Commit>),
    /// The server has read so many of so many NARs; the commit goes on.
    Verifying(u64, u64),
    Missing(Vec<String>),
}

/// What a commit waits for, by the clock of this machine.
fn waiting(wait: &types::Deleting) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = u64::try_from(wait.until)
        .unwrap_or_default()
        .saturating_sub(now.as_secs());
    let objects = if wait.objects == 1 { "object" } else { "objects" };
    format!(
        "the commit waits up to {left} s for the deletion of {} {objects} of this push, which a server process has \
         begun that may be gone",
        wait.objects
    )
}

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unexpected(what: impl std::fmt::Display) -> ApiError {
    ApiError::Unintelligible(what.to_string())
}

fn target(target: types::UploadTarget) -> Option<Target> {
    Some(Target {
        url: target.url?,
        headers: target.headers,
    })
}

fn store_paths(names: &[String]) -> Result<Vec<StorePath>, ApiError> {
    names
        .iter()
        .map(|name| name.parse().map_err(unexpected))
        .collect()
}

impl Server {
    /// Opens a push of `roots`.
    pub(crate) async fn open(
        api: &Api,
        store_dir: &StoreDir,
        roots: &[StorePath],
        pin: Option<&str>,
        verify_integrity: bool,
        run: Option<&types::RunStatement>,
    ) -> Result<Self, ApiError> {
        let body = types::CreatePush {
            store_dir: store_dir.as_str().try_into().map_err(unexpected)?,
            roots: roots.iter().map(ToString::to_string).collect(),
            pin: pin.map(TryInto::try_into).transpose().map_err(unexpected)?,
            verify_integrity,
            run: run.cloned(),
        };
        let body = &body;
        let created = api
            .call("opening the push", |client| async move {
                client.create_push(body).await
            })
            .await?;
        let opened = Opened {
            lease_seconds: u64::from(created.lease_seconds).max(1),
            with_md5: created.checksum == types::ChecksumAlgorithm::Md5,
            part_size: created.part_size,
            max_batch: usize::try_from(created.max_batch).unwrap_or(1).max(1),
            max_log_size: created.max_log_size,
            verifies_uploads: created.verifies_uploads,
            small_objects: created.small_objects.as_ref().map(|limits| SmallObjectLimits {
                max_object_size: limits.max_object_size,
                max_nar_size: limits.max_nar_size,
                max_objects: usize::try_from(limits.max_objects).unwrap_or(1).max(1),
                max_request_size: limits.max_request_size,
            }),
        };
        Ok(Self {
            api: api.clone(),
            id: created.id.into(),
            opened,
        })
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        self.api.http()
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// Names paths and what is left out on purpose, perhaps since the cache at `left_to` has it; at most `max_batch` of
    /// both.
    pub(crate) async fn claim(
        &self,
        paths: &[(&StorePath, &PathInfo)],
        external: &[StorePath],
        left_to: Option<String>,
    ) -> Result<Claimed, ApiError> {
        let body = types::Claims {
            paths: paths
                .iter()
                .map(|(path, info)| types::PathInfo {
                    path: path.to_string(),
                    nar_hash: info.nar_hash.to_string(),
                    nar_size: info.nar_size,
                    references: info.references.iter().map(ToString::to_string).collect(),
                    deriver: info.deriver.as_ref().map(ToString::to_string),
                    signatures: info.signatures.iter().map(ToString::to_string).collect(),
                    ca: info.ca.as_ref().map(ToString::to_string),
                })
                .collect(),
            external: external.iter().map(ToString::to_string).collect(),
            left_to,
        };
        let (id, body) = (&*self.id, &body);
        let answer = self
            .api
            .call("naming paths", |client| async move {
                client.claim_paths(id, body).await
            })
            .await?;
        let named: HashSet<&StorePath> = paths.iter().map(|(path, _)| *path).collect();
        let needed = store_paths(&answer.needed)?;
        if let Some(other) = needed.iter().find(|path| !named.contains(path)) {
            return Err(unexpected(format!("{other} is needed, which was not named")));
        }
        Ok(Claimed {
            needed,
            logs_needed: store_paths(&answer.logs_needed)?,
        })
    }

    /// Asks where objects go; `None` for those that are there. Tells which NARs have arrived.
    pub(crate) async fn uploads(
        &self,
        objects: &[(ObjectName, Checksums)],
        arrived: &[FileHash],
    ) -> Result<Vec<Option<Target>>, ApiError> {
        let body = types::Uploads {
            uploads: objects
                .iter()
                .map(|(name, checksums)| types::Upload {
                    kind: name.kind,
                    path: name.path.to_string(),
                    sha256: checksums.sha256.to_string(),
                    size: checksums.size,
                    md5: checksums.md5.map(hex),
                })
                .collect(),
            arrived: arrived.iter().map(ToString::to_string).collect(),
        };
        let (id, body) = (&*self.id, &body);
        let answer = self
            .api
            .call("asking for upload URLs", |client| async move {
                client.create_uploads(id, body).await
            })
            .await?;
        if answer.uploads.len() != objects.len() {
            return Err(unexpected("not one URL for each upload"));
        }
        Ok(answer.uploads.into_iter().map(target).collect())
    }

    /// Sends small objects; false when a server that is older than the one that opened the push does not take any.
    pub(crate) async fn put_objects(&self, objects: &[SmallObject]) -> Result<bool, ApiError> {
        let objects: Result<Vec<types::SmallObject>, ApiError> = objects
            .iter()
            .map(|object| {
                let data = STANDARD.encode(&object.bytes);
                Ok(types::SmallObject {
                    kind: object.name.kind,
                    path: object.name.path.to_string(),
                    sha256: object.sha256.to_string(),
                    data: data.try_into().map_err(unexpected)?,
                })
            })
            .collect();
        let body = types::SmallObjects { objects: objects? };
        let (id, body) = (&*self.id, &body);
        let sent = self
            .api
            .call("sending small objects", |client| async move {
                client.put_objects(id, body).await
            })
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error)
                if !error.is_push_gone()
                    && matches!(
                        error.status(),
                        Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
                    ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Begins an upload in parts, or goes on with an unfinished one.
    pub(crate) async fn begin_multipart(
        &self,
        path: &StorePath,
        part_size: u64,
        compressor: &str,
        fresh: bool,
    ) -> Result<i64, ApiError> {
        let body = types::NewMultipart {
            path: path.to_string(),
            part_size,
            compressor: compressor.try_into().map_err(unexpected)?,
            fresh,
        };
        let (id, body) = (&*self.id, &body);
        let answer = self
            .api
            .call("beginning an upload in parts", |client| async move {
                client.create_multipart_upload(id, body).await
            })
            .await?;
        if answer.part_size != part_size {
            return Err(unexpected("another size of parts than asked for"));
        }
        Ok(answer.id)
    }

    /// Asks where parts go; `None` for those that are there.
    pub(crate) async fn parts(
        &self,
        multipart: i64,
        parts: &[PartInfo],
    ) -> Result<Vec<Option<Target>>, ApiError> {
        let body = types::Parts {
            parts: wire_parts(parts),
        };
        let (id, body) = (&*self.id, &body);
        let answer = self
            .api
            .call("asking for upload URLs", |client| async move {
                client.create_part_uploads(id, multipart, body).await
            })
            .await?;
        if answer.parts.len() != parts.len() {
            return Err(unexpected("not one URL for each part"));
        }
        Ok(answer.parts.into_iter().map(target).collect())
    }

    /// Ends an upload in parts.
    pub(crate) async fn complete_multipart(
        &self,
        multipart: i64,
        file_hash: FileHash,
        file_size: u64,
        parts: &[PartInfo],
    ) -> Result<(), ApiError> {
        let body = types::CompleteMultipart {
            file_hash: file_hash.to_string(),
            file_size,
            parts: wire_parts(parts),
        };
        let (id, body) = (&*self.id, &body);
        let max_work = LEAST_WORK + Duration::from_secs(file_size / BYTES_PER_SECOND);
        self.api
            .call_long(max_work, "ending an upload in parts", |client| async move {
                client.complete_multipart_upload(id, multipart, body).await
            })
            .await?;
        Ok(())
    }

    /// Adds realisations.
    pub(crate) async fn realisations(&self, realisations: Vec<types::Realisation>) -> Result<(), ApiError> {
        for chunk in realisations.chunks(self.opened.max_batch) {
            let body = types::Realisations {
                realisations: chunk.to_vec(),
            };
            let (id, body) = (&*self.id, &body);
            self.api
                .call("adding realisations", |client| async move {
                    client.put_realisations(id, body).await
                })
                .await?;
        }
        Ok(())
    }

    /// Keeps the push alive for so many more seconds.
    pub(crate) async fn renew(&self) -> Result<u64, ApiError> {
        let id = &*self.id;
        let lease = self
            .api
            .call("renewing the lease", |client| async move {
                client.renew_push(id).await
            })
            .await?;
        Ok(u64::from(lease.lease_seconds).max(1))
    }

    /// Makes everything visible, so many paths, or says what has not arrived.
    pub(crate) async fn commit(&self, paths: usize) -> Result<Committed, ApiError> {
        let begun = Instant::now();
        let mut told = false;
        let max_work = LEAST_WORK + PATH_WORK * u32::try_from(paths).unwrap_or(u32::MAX);
        loop {
            let left = max_work.saturating_sub(begun.elapsed());
            match self.commit_once(left).await {
                Ok(commit) if commit.state == types::CommitState::Committed => {
                    return Ok(Committed::Done(Box::new(commit)));
                }
                Ok(types::Commit {
                    verifying: Some(progress),
                    ..
                }) => return Ok(Committed::Verifying(progress.verified, progress.total)),
                Ok(_) if left.is_zero() => {
                    return Err(ApiError::Unfinished(format!(
                        "the server has been committing for {} s; run the same push again to wait for it",
                        begun.elapsed().as_secs()
                    )));
                }
                Ok(commit) => {
                    match commit.deleting {
                        Some(wait) if !told => {
                            told = true;
                            tracing::warn!("{}", waiting(&wait));
                        }
                        _ => tracing::info!("the server is still committing"),
                    }
                    tokio::time::sleep(COMMIT_PAUSE).await;
                }
                Err(error) => {
                    let missing = error.problem().and_then(|problem| problem.missing.clone());
                    return match missing.filter(|missing| !missing.is_empty()) {
                        Some(missing) if error.status() == Some(StatusCode::CONFLICT) => {
                            Ok(Committed::Missing(missing))
                        }
                        _ => Err(error),
                    };
                }
            }
        }
    }

    async fn commit_once(&self, max_work: Duration) -> Result<types::Commit, ApiError> {
        let id = &*self.id;
        self.api
            .call_long(max_work, "committing", |client| async move {
                client.commit_push(id).await
            })
            .await
    }

    /// Lets go of everything.
    pub(crate) async fn abort(&self) -> Result<(), ApiError> {
        let id = &*self.id;
        self.api
            .call("giving up the push", |client| async move {
                client.abort_push(id).await
            })
            .await?;
        Ok(())
    }
}

fn wire_parts(parts: &[PartInfo]) -> Vec<types::Part> {
    parts
        .iter()
        .map(|part| types::Part {
            number: part.number,
            size: part.checksums.size,
            sha256: part.checksums.sha256.to_string(),
            md5: part.checksums.md5.map(hex),
        })
        .collect()
}

/// Whether the server no longer knows the push, so that all has to begin again.
pub(crate) fn is_gone(error: &PushError) -> bool {
    matches!(error, PushError::Api(error) if error.is_push_gone())
}
