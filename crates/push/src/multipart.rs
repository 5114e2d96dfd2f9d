//! A big NAR in parts: several on their way while the next ones are still being packed.

use std::sync::Arc;

use niks3_client::Error as ApiError;
use niks3_nix::{hash::FileHash, store_path::StorePath};
use reqwest::StatusCode;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::task::TaskTracker;

use crate::{
    error::PushError,
    pack::Piece,
    server::{Checksums, PartInfo},
    upload::{Sent, Uploader},
};

/// URLs that are asked for in one request: parts are large, so a few are enough.
const URLS_AT_ONCE: usize = 16;

/// What is to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) path: StorePath,
    pub(crate) part_size: u64,
    pub(crate) compressor: String,
    /// Do not go on with what an earlier push left behind.
    pub(crate) fresh: bool,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// What an earlier push left behind does not fit: pack again, fresh.
    Restart,
}

enum Message {
    Part(Piece),
    End { file_hash: FileHash, file_size: u64 },
}

/// The sending end, for the packer.
pub(crate) struct Multipart {
    messages: mpsc::UnboundedSender<Message>,
    outcome: oneshot::Receiver<Result<Outcome, PushError>>,
}

impl Multipart {
    pub(crate) fn start(
        uploader: Arc<Uploader>,
        plan: Plan,
        tasks: &TaskTracker,
        runtime: &tokio::runtime::Handle,
    ) -> Self {
        // Pieces hold their share of the memory budget, so the channel needs no bound of its own.
        let (messages, receiver) = mpsc::unbounded_channel();
        let (sender, outcome) = oneshot::channel();
        tasks.spawn_on(
            async move {
                let stop = uploader.stop.clone();
                let result = tokio::select! {
                    result = run(&uploader, &plan, receiver) => result,
                    () = stop.stopped() => Err(PushError::Stopped),
                };
                let _ = sender.send(result);
            },
            runtime,
        );
        Self { messages, outcome }
    }

    /// Hands over the next part; false when nobody takes it any more, and `outcome` says why.
    pub(crate) fn send(&self, piece: Piece) -> bool {
        self.messages.send(Message::Part(piece)).is_ok()
    }

    /// There are no more parts.
    pub(crate) fn end(&self, file_hash: FileHash, file_size: u64) {
        let _ = self.messages.send(Message::End { file_hash, file_size });
    }

    pub(crate) async fn outcome(self) -> Result<Outcome, PushError> {
        drop(self.messages);
        self.outcome.await.unwrap_or(Err(PushError::Stopped))
    }
}

async fn run(
    uploader: &Arc<Uploader>,
    plan: &Plan,
    mut messages: mpsc::UnboundedReceiver<Message>,
) -> Result<Outcome, PushError> {
    let server = &uploader.server;
    let id = server
        .begin_multipart(&plan.path, plan.part_size, &plan.compressor, plan.fresh)
        .await?;
    let mut known: Vec<PartInfo> = Vec::new();
    let mut transfers: JoinSet<Result<(Sent, u64), PushError>> = JoinSet::new();
    let mut arrived = 0;
    let mut batch = Vec::with_capacity(URLS_AT_ONCE);
    let outcome = 'parts: loop {
        tokio::select! {
            Some(transfer) = transfers.join_next() => match joined(transfer)? {
                (Sent::Done, nar_bytes) => arrived += nar_bytes,
                (Sent::MultipartGone, _) => break Outcome::Restart,
            },
            count = messages.recv_many(&mut batch, URLS_AT_ONCE) => {
                // The packer gave up.
                if count == 0 {
                    return Err(PushError::Stopped);
                }
                let mut end = None;
                let mut pieces = Vec::with_capacity(count);
                for message in batch.drain(..) {
                    match message {
                        Message::Part(piece) => {
                            known.push(info(known.len(), &piece));
                            pieces.push(piece);
                        }
                        Message::End { file_hash, file_size } => end = Some((file_hash, file_size)),
                    }
                }
                if !pieces.is_empty() && !begin_transfers(uploader, plan, id, &known, pieces, &mut transfers).await? {
                    break Outcome::Restart;
                }
                let Some((file_hash, file_size)) = end else { continue };
                while let Some(transfer) = transfers.join_next().await {
                    match joined(transfer)? {
                        (Sent::Done, nar_bytes) => arrived += nar_bytes,
                        (Sent::MultipartGone, _) => break 'parts Outcome::Restart,
                    }
                }
                match server.complete_multipart(id, file_hash, file_size, &known).await {
                    Err(error) if is_conflict(&error) => break Outcome::Restart,
                    result => result?,
                }
                return Ok(Outcome::Done);
            }
        }
    };
    transfers.shutdown().await;
    uploader.progress.nar_bytes(-i64::try_from(arrived).unwrap_or(0));
    tracing::info!(
        "{}: an earlier upload in parts does not fit, beginning again",
        plan.path
    );
    Ok(outcome)
}

/// Asks for the URLs of `pieces` and sends them; false when the server knows a part with other bytes.
async fn begin_transfers(
    uploader: &Arc<Uploader>,
    plan: &Plan,
    id: i64,
    known: &[PartInfo],
    pieces: Vec<Piece>,
    transfers: &mut JoinSet<Result<(Sent, u64), PushError>>,
) -> Result<bool, PushError> {
    let infos = &known[known.len() - pieces.len()..];
    let targets = match uploader.server.parts(id, infos).await {
        Err(error) if is_conflict(&error) => return Ok(false),
        targets => targets?,
    };
    for ((piece, info), target) in pieces.into_iter().zip(infos).zip(targets) {
        let (uploader, info) = (Arc::clone(uploader), info.clone());
        let what = format!("part {} of {}", info.number, plan.path);
        transfers.spawn(async move {
            let sent = match target {
                None => Sent::Done,
                Some(target) => {
                    let new_url = || async {
                        let targets = uploader.server.parts(id, std::slice::from_ref(&info)).await?;
                        Ok(targets.into_iter().next().flatten())
                    };
                    match uploader.transfer(&what, target, &piece.bytes, new_url).await {
                        // The upload ended while this part was on its way, without it.
                        Err(PushError::Api(error)) if is_conflict(&error) => Sent::MultipartGone,
                        sent => sent?,
                    }
                }
            };
            if sent == Sent::Done {
                uploader
                    .progress
                    .nar_bytes(i64::try_from(piece.nar_bytes).unwrap_or(0));
            }
            drop(piece.reservation);
            Ok((sent, piece.nar_bytes))
        });
    }
    Ok(true)
}

fn info(before: usize, piece: &Piece) -> PartInfo {
    PartInfo {
        number: u32::try_from(before + 1).unwrap_or(u32::MAX),
        checksums: Checksums {
            sha256: piece.sha256,
            md5: piece.md5,
            size: piece.bytes.len() as u64,
        },
    }
}

fn joined<T>(result: Result<Result<T, PushError>, tokio::task::JoinError>) -> Result<T, PushError> {
    result.unwrap_or_else(|error| Err(PushError::Internal(error.to_string())))
}

fn is_conflict(error: &ApiError) -> bool {
    error.status() == Some(StatusCode::CONFLICT)
}
