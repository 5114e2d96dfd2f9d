//! Pushes what waits: all of it together, and when that fails for a path, in halves until that path is alone.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use niks3_client::Api;
use niks3_nix::store_path::StorePath;
use niks3_push::{CancellationToken, LocalStore, Progress, PushError, PushOptions, Summary, push};
use regex::Regex;

use crate::{
    failure::Kind,
    folder::Folder,
    journal::{Entry, Outcome},
    spool::Batch,
};

/// One push takes this many roots at most unless somebody says otherwise, so that what is ready first is in the cache soon.
pub const DEFAULT_BATCH: usize = 500;
/// What may be the fault of a path or of the object store is tried this often.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(2);

/// Pushes roots together.
pub trait Pusher: Send + Sync {
    /// All of them, or none.
    fn push(
        &self,
        roots: &[StorePath],
        interrupt: &CancellationToken,
    ) -> impl Future<Output = Result<Summary, PushError>>;
}

/// Pushes to a server.
pub struct ServerPusher {
    /// The server.
    pub api: Api,
    /// The store.
    pub store: LocalStore,
    /// How; the roots are those of the queue.
    pub options: PushOptions,
    /// Bytes that went over the wire, so far.
    pub sent: Arc<AtomicU64>,
}

impl std::fmt::Debug for ServerPusher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerPusher").finish_non_exhaustive()
    }
}

struct Counting(Arc<AtomicU64>);

impl Progress for Counting {
    fn sent(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn warning(&self, text: &str) {
        tracing::warn!("{text}");
    }
}

impl Pusher for ServerPusher {
    async fn push(&self, roots: &[StorePath], interrupt: &CancellationToken) -> Result<Summary, PushError> {
        let options = PushOptions {
            roots: roots.to_vec(),
            ..self.options.clone()
        };
        let progress: Arc<dyn Progress> = Arc::new(Counting(Arc::clone(&self.sent)));
        push(&self.api, &self.store, &options, &progress, interrupt).await
    }
}

/// How a round ended.
#[derive(Debug)]
pub(crate) enum Round {
    /// What it began with is done, for better or worse.
    Done,
    /// Nothing can be pushed now.
    Later {
        error: String,
        /// Or until somebody changes something.
        passing: bool,
    },
    /// It was told to end.
    Interrupted,
}

/// Empties a queue.
#[derive(Debug)]
pub struct Engine<P> {
    /// The queue.
    pub folder: Folder,
    /// Where it goes.
    pub pusher: P,
    /// Write down what becomes of each path.
    pub journal: bool,
    /// Paths whose base names match are no roots of pushes.
    pub filter: Option<Regex>,
    /// Most roots of one push.
    pub batch: usize,
}

impl<P: Pusher> Engine<P> {
    /// Pushes `batches`, as many as go together, and removes from the queue what is done.
    pub(crate) async fn round(&self, batches: &[Batch], interrupt: &CancellationToken) -> io::Result<Round> {
        let mut open = Open::default();
        for batch in batches {
            if !open.left.is_empty() && open.order.len() + batch.paths.len() > self.batch {
                break;
            }
            open.take(batch);
        }
        self.leave_out(&mut open)?;
        let mut groups = vec![open.order.clone()];
        while let Some(group) = groups.pop() {
            if group.is_empty() {
                continue;
            }
            match self.group(&group, interrupt).await {
                Ok(summary) => {
                    self.write(&pushed(&group, &summary))?;
                    tracing::info!(
                        "pushed {}: {} uploaded, {} bytes sent",
                        some(&group),
                        summary.uploaded,
                        summary.bytes_sent
                    );
                }
                Err(error) => match Kind::of(&error) {
                    Kind::Interrupted => return Ok(Round::Interrupted),
                    Kind::Passing => {
                        return Ok(Round::Later {
                            error: error.to_string(),
                            passing: true,
                        });
                    }
                    Kind::Lasting => {
                        return Ok(Round::Later {
                            error: error.to_string(),
                            passing: false,
                        });
                    }
                    Kind::Path | Kind::Unclear if group.len() > 1 => {
                        tracing::info!("pushing {} in halves: {error}", some(&group));
                        let (first, second) = group.split_at(group.len() / 2);
                        groups.push(second.to_vec());
                        groups.push(first.to_vec());
                        continue;
                    }
                    Kind::Path | Kind::Unclear => {
                        tracing::error!("{} cannot be pushed: {error}", group[0]);
                        self.write(&[failed(&group[0], &error.to_string())])?;
                    }
                },
            }
            for name in open.done(&group) {
                self.folder.done(&name)?;
            }
        }
        Ok(Round::Done)
    }

    /// Takes out what the filter matches.
    fn leave_out(&self, open: &mut Open) -> io::Result<()> {
        let Some(filter) = &self.filter else { return Ok(()) };
        let (matching, others): (Vec<StorePath>, Vec<StorePath>) = std::mem::take(&mut open.order)
            .into_iter()
            .partition(|path| filter.is_match(path.as_str()));
        open.order = others;
        let entries: Vec<Entry> = matching.iter().map(filtered).collect();
        if !entries.is_empty() {
            self.write(&entries)?;
        }
        open.done(&matching)
            .iter()
            .try_for_each(|name| self.folder.done(name))
    }

    async fn group(&self, group: &[StorePath], interrupt: &CancellationToken) -> Result<Summary, PushError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.pusher.push(group, interrupt).await {
                Err(error) if Kind::of(&error) == Kind::Unclear && tries < TRIES => {
                    tracing::warn!("trying {} again: {error}", some(group));
                    tokio::select! {
                        () = interrupt.cancelled() => return Err(PushError::Interrupted),
                        () = tokio::time::sleep(PAUSE * tries) => {}
                    }
                }
                result => return result,
            }
        }
    }

    fn write(&self, entries: &[Entry]) -> io::Result<()> {
        if self.journal {
            self.folder.record(entries)
        } else {
            Ok(())
        }
    }

    /// Counts all that waits as failed, and empties the queue.
    pub fn give_up(&self, error: &str) -> io::Result<()> {
        let waiting = self.folder.waiting()?;
        if waiting.batches.is_empty() {
            return Ok(());
        }
        let mut entries: Vec<Entry> = waiting
            .batches
            .iter()
            .flat_map(|batch| &batch.paths)
            .map(|path| match &self.filter {
                Some(filter) if filter.is_match(path.as_str()) => filtered(path),
                _ => failed(path, error),
            })
            .collect();
        entries.push(Entry::GivenUp {
            error: error.to_owned(),
        });
        self.write(&entries)?;
        waiting
            .batches
            .iter()
            .try_for_each(|batch| self.folder.done(&batch.name))
    }
}

/// The files that a round has begun, and what of them is not done yet.
#[derive(Default)]
struct Open {
    order: Vec<StorePath>,
    files: HashMap<StorePath, Vec<String>>,
    left: HashMap<String, HashSet<StorePath>>,
}

impl Open {
    fn take(&mut self, batch: &Batch) {
        for path in &batch.paths {
            let files = self.files.entry(path.clone()).or_insert_with(|| {
                self.order.push(path.clone());
                Vec::new()
            });
            files.push(batch.name.clone());
            self.left
                .entry(batch.name.clone())
                .or_default()
                .insert(path.clone());
        }
    }

    /// These paths are done: the files that named nothing else.
    fn done(&mut self, paths: &[StorePath]) -> Vec<String> {
        let mut names = Vec::new();
        for path in paths {
            for name in self.files.get(path).into_iter().flatten() {
                if let Some(left) = self.left.get_mut(name) {
                    left.remove(path);
                    if left.is_empty() {
                        self.left.remove(name);
                        names.push(name.clone());
                    }
                }
            }
        }
        names
    }
}

fn filtered(path: &StorePath) -> Entry {
    Entry::Path {
        path: path.as_str().to_owned(),
        outcome: Outcome::Filtered,
    }
}

fn failed(path: &StorePath, error: &str) -> Entry {
    Entry::Path {
        path: path.as_str().to_owned(),
        outcome: Outcome::Failed {
            error: error.to_owned(),
        },
    }
}

/// What the journal says of a push.
fn pushed(roots: &[StorePath], summary: &Summary) -> Vec<Entry> {
    let named: HashSet<&StorePath> = summary.pushed.iter().map(|pushed| &pushed.path).collect();
    let upstream = summary.left.iter().map(|left| Entry::Path {
        path: left.path.as_str().to_owned(),
        outcome: Outcome::Left {
            cache: left.cache.clone(),
        },
    });
    let warnings = summary
        .warnings
        .iter()
        .map(|text| Entry::Warning { text: text.clone() });
    let mut entries: Vec<Entry> = summary
        .pushed
        .iter()
        .map(|pushed| {
            let nar_size = pushed.nar_size;
            Entry::Path {
                path: pushed.path.as_str().to_owned(),
                outcome: if pushed.uploaded {
                    Outcome::Pushed { nar_size }
                } else {
                    Outcome::Cached { nar_size }
                },
            }
        })
        .chain(upstream)
        .chain(warnings)
        .collect();
    entries.push(Entry::Push {
        roots: roots
            .iter()
            .filter(|root| named.contains(root))
            .map(|root| root.as_str().to_owned())
            .collect(),
        bytes_sent: summary.bytes_sent,
    });
    if summary.verified > 0 || !summary.replaced.is_empty() || !summary.conflicts.is_empty() {
        entries.push(Entry::Verification {
            verified: summary.verified,
            replaced: summary.replaced.iter().cloned().collect(),
            conflicts: summary.conflicts.iter().map(ToString::to_string).collect(),
        });
    }
    entries
}

fn some(group: &[StorePath]) -> String {
    match group {
        [one] => one.as_str().to_owned(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        [] => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use niks3_nix::store_path::StoreDir;
    use niks3_push::{NixError, Pushed};

    use super::*;

    #[derive(Default)]
    struct Fake {
        bad: HashSet<StorePath>,
        down: bool,
        pushes: Mutex<Vec<usize>>,
    }

    impl Pusher for Fake {
        async fn push(&self, roots: &[StorePath], _: &CancellationToken) -> Result<Summary, PushError> {
            self.pushes.lock().unwrap().push(roots.len());
            if self.down {
                return Err(PushError::Api(niks3_client::Error::Transport {
                    server: None,
                    message: "down".to_owned(),
                    hint: niks3_client::Hint::Again(None),
                    sent: false,
                }));
            }
            match roots.iter().find(|root| self.bad.contains(root)) {
                Some(bad) => Err(NixError::Invalid(bad.to_string()).into()),
                None => Ok(Summary {
                    pushed: roots
                        .iter()
                        .map(|path| Pushed {
                            path: path.clone(),
                            nar_size: 1,
                            uploaded: true,
                        })
                        .collect(),
                    ..Summary::default()
                }),
            }
        }
    }

    fn path(number: usize) -> StorePath {
        format!("0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-{number}")
            .parse()
            .unwrap()
    }

    fn queue(count: usize, fake: Fake) -> (tempfile::TempDir, Engine<Fake>) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(dir.path()).unwrap();
        for number in 0..count {
            let full = StoreDir::default().display(&path(number));
            folder.enqueue(&StoreDir::default(), &[&full]).unwrap();
        }
        (
            dir,
            Engine {
                folder,
                pusher: fake,
                journal: true,
                filter: None,
                batch: DEFAULT_BATCH,
            },
        )
    }

    async fn empty(engine: &Engine<Fake>) {
        loop {
            let batches = engine.folder.waiting().unwrap().batches;
            if batches.is_empty() {
                return;
            }
            let round = engine.round(&batches, &CancellationToken::new()).await.unwrap();
            assert!(matches!(round, Round::Done), "{round:?}");
        }
    }

    #[tokio::test]
    async fn a_path_that_cannot_be_pushed_fails_alone() {
        let bad = [path(3), path(17), path(18)];
        let fake = Fake {
            bad: bad.iter().cloned().collect(),
            ..Fake::default()
        };
        let (_dir, engine) = queue(40, fake);
        empty(&engine).await;
        let journal = engine.folder.read_journal().unwrap();
        assert_eq!((journal.pushed(), journal.failed()), (37, 3));
        assert!(
            bad.iter()
                .all(|path| matches!(journal.paths[path], Outcome::Failed { .. }))
        );
        // Halving finds three of forty sooner than asking for each.
        assert!(engine.pusher.pushes.lock().unwrap().len() < 40);
    }

    #[tokio::test]
    async fn thousands_go_in_a_few_pushes() {
        let (_dir, engine) = queue(2000, Fake::default());
        empty(&engine).await;
        assert_eq!(*engine.pusher.pushes.lock().unwrap(), [500, 500, 500, 500]);
        assert_eq!(engine.folder.read_journal().unwrap().pushed(), 2000);
    }

    #[tokio::test]
    async fn what_a_server_that_is_down_does_not_take_stays_until_it_is_given_up() {
        let (_dir, engine) = queue(
            5,
            Fake {
                down: true,
                ..Fake::default()
            },
        );
        let batches = engine.folder.waiting().unwrap().batches;
        let round = engine.round(&batches, &CancellationToken::new()).await.unwrap();
        assert!(matches!(round, Round::Later { passing: true, .. }), "{round:?}");
        assert_eq!(engine.pusher.pushes.lock().unwrap().len(), 1);
        assert_eq!(engine.folder.waiting().unwrap().batches.len(), 5);
        engine.give_up("down").unwrap();
        assert!(engine.folder.waiting().unwrap().batches.is_empty());
        let journal = engine.folder.read_journal().unwrap();
        assert_eq!((journal.failed(), journal.given_up.as_deref()), (5, Some("down")));
    }

    #[tokio::test]
    async fn what_the_filter_matches_is_no_root_and_fails_with_nobody() {
        let (_dir, mut engine) = queue(12, Fake::default());
        engine.filter = Some(Regex::new("-1[01]?$").unwrap());
        empty(&engine).await;
        let journal = engine.folder.read_journal().unwrap();
        assert_eq!(
            (journal.pushed(), journal.filtered(), journal.failed()),
            (9, 3, 0)
        );
        assert_eq!(*engine.pusher.pushes.lock().unwrap(), [9]);

        let (_dir, mut engine) = queue(2, Fake::default());
        engine.filter = Some(Regex::new("-1$").unwrap());
        engine.give_up("down").unwrap();
        let journal = engine.folder.read_journal().unwrap();
        assert_eq!((journal.filtered(), journal.failed()), (1, 1));
    }
}
