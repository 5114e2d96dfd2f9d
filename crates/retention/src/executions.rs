//! Runs put in order: which rows are one execution of a job, what is newer than what, and which branch has gone idle.

use std::collections::HashMap;
use std::sync::Arc;

use crate::MONTH;
use crate::kind::{Kind, kind};
use crate::policy::Policy;
use crate::world::{Outcome, Run, Time, World};

/// A repository: its provider, and its id or else its name.
type RepositoryKey = (Arc<str>, bool, Arc<str>);
/// Of a run: its number, and for runs of one number, or none, the first row of each.
type RunOrder = (u64, i64);

/// Which rules of a policy fit, a bit each.
pub(crate) type RuleSet = u128;

/// A repository.
#[derive(Debug)]
pub(crate) struct Repository {
    /// Its newest name, from a verified run if there is one.
    pub(crate) name: Arc<str>,
    pub(crate) id: Arc<str>,
    /// Of the row that the name is from: verified, when, which.
    named_by: (bool, Time, i64),
}

/// What runs of a repository are of: a branch, a tag, a pull request. Verified runs and others are apart, so that these
/// never displace those.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) repository: u32,
    pub(crate) kind: OwnedKind,
    /// The rules that fit its runs, their closures aside.
    pub(crate) rules: RuleSet,
    /// When its last run was.
    pub(crate) last_at: Time,
    /// When its newest run by number was.
    newest: (RunOrder, Time),
}

/// [`Kind`] with a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum OwnedKind {
    Branch(Arc<str>),
    Tag(Arc<str>),
    PullRequest,
    Other,
}

impl OwnedKind {
    pub(crate) fn get(&self) -> Kind<'_> {
        match self {
            Self::Branch(name) => Kind::Branch(name),
            Self::Tag(name) => Kind::Tag(name),
            Self::PullRequest => Kind::PullRequest,
            Self::Other => Kind::Other,
        }
    }
}

/// All rows of one run.
#[derive(Debug)]
pub(crate) struct RunGroup {
    pub(crate) order: RunOrder,
    pub(crate) branch: u32,
    pub(crate) workflow: Arc<str>,
    pub(crate) at: Time,
}

/// All rows of one run and one job name.
#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) run: u32,
    job: Arc<str>,
    attempt: u64,
    /// Of its highest attempt.
    pub(crate) outcome: Outcome,
    /// Of its highest attempt.
    pub(crate) is_complete: bool,
    at: Time,
    is_linked: bool,
    pub(crate) rank: Rank,
}

/// Where an execution stands among those of its job on its branch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rank {
    /// Its job has not run for a month in which the branch did.
    is_retired: bool,
    /// Successes up to this one, from the newest.
    successes: u32,
    /// Unknown ones up to this one, from the newest.
    unknowns: u32,
}

impl Execution {
    /// Whether it is among the last N.
    pub(crate) fn is_among_last(&self, count: u32) -> bool {
        let Rank {
            is_retired,
            successes,
            unknowns,
        } = self.rank;
        !is_retired
            && match self.outcome {
                Outcome::Success => successes <= count,
                // Newer than the N-th newest success: fewer than N are newer than it.
                Outcome::Unknown => unknowns <= count && successes < count,
                Outcome::Failed => false,
            }
    }
}

/// All runs, in order.
#[derive(Debug, Default)]
pub(crate) struct Executions {
    pub(crate) repositories: Vec<Repository>,
    pub(crate) branches: Vec<Branch>,
    pub(crate) runs: Vec<RunGroup>,
    pub(crate) executions: Vec<Execution>,
    /// The execution of each row.
    pub(crate) of_row: Vec<u32>,
    /// Whether the pull request of each row is closed.
    pub(crate) is_closed: Vec<bool>,
}

#[derive(Default)]
struct Keys {
    repositories: HashMap<RepositoryKey, u32>,
    branches: HashMap<(u32, bool, u8, Arc<str>), u32>,
    runs: HashMap<(u32, bool, Arc<str>), u32>,
    executions: HashMap<(u32, Arc<str>), u32>,
}

fn to_index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn number(run: &Run) -> u64 {
    run.run_id.parse().unwrap_or(0)
}

impl Executions {
    pub(crate) fn new(policy: &Policy, world: &World) -> Self {
        let mut all = Self::default();
        let mut keys = Keys::default();
        // The row with the highest attempt, and of these the last, says which branch and workflow it is; so rows come in
        // the order of their ids, in whichever order they are given.
        let mut rows: Vec<usize> = (0..world.runs.len()).collect();
        rows.sort_unstable_by_key(|row| world.runs[*row].id);
        all.of_row = vec![0; rows.len()];
        for row in rows {
            all.of_row[row] = all.add(&world.runs[row], &mut keys);
        }
        for link in &world.links {
            if let Some(run) = link.run {
                all.executions[all.of_row[run as usize] as usize].is_linked = true;
            }
        }
        all.close(world);
        all.find_newest();
        all.rank();
        for branch in &mut all.branches {
            let repository = &all.repositories[branch.repository as usize];
            branch.rules = rules(policy, |rule| {
                rule.fits_run(&repository.name, &repository.id, branch.kind.get())
            });
        }
        all
    }

    /// Takes in a row; its execution.
    fn add(&mut self, run: &Run, keys: &mut Keys) -> u32 {
        let repository = self.repository(run, keys);
        let branch = self.branch(run, repository, keys);
        let group = *keys
            .runs
            .entry((repository, run.verified, run.run_id.clone()))
            .or_insert_with(|| {
                self.runs.push(RunGroup {
                    order: (number(run), run.id),
                    branch,
                    workflow: run.workflow.clone(),
                    at: run.at,
                });
                to_index(self.runs.len() - 1)
            });
        let of_run = &mut self.runs[group as usize];
        of_run.at = of_run.at.max(run.at);
        let key = (group, run.job.clone());
        let index = *keys.executions.entry(key).or_insert_with(|| {
            self.executions.push(Execution {
                run: group,
                job: run.job.clone(),
                attempt: run.attempt,
                outcome: Outcome::Success,
                is_complete: true,
                at: run.at,
                is_linked: false,
                rank: Rank::default(),
            });
            to_index(self.executions.len() - 1)
        });
        let execution = &mut self.executions[index as usize];
        execution.at = execution.at.max(run.at);
        if run.attempt > execution.attempt {
            execution.attempt = run.attempt;
            execution.outcome = Outcome::Success;
            execution.is_complete = true;
        }
        if run.attempt == execution.attempt {
            execution.is_complete &= run.uses_complete;
            execution.outcome = match (execution.outcome, run.outcome) {
                (Outcome::Failed, _) | (_, Outcome::Failed) => Outcome::Failed,
                (Outcome::Unknown, _) | (_, Outcome::Unknown) => Outcome::Unknown,
                _ => Outcome::Success,
            };
        }
        index
    }

    fn repository(&mut self, run: &Run, keys: &mut Keys) -> u32 {
        let has_id = !run.repository_id.is_empty();
        let name = if has_id {
            &run.repository_id
        } else {
            &run.repository
        };
        let key = (run.provider.clone(), has_id, name.clone());
        let named_by = (run.verified, run.at, run.id);
        let index = *keys.repositories.entry(key).or_insert_with(|| {
            self.repositories.push(Repository {
                name: run.repository.clone(),
                id: run.repository_id.clone(),
                named_by,
            });
            to_index(self.repositories.len() - 1)
        });
        let repository = &mut self.repositories[index as usize];
        if named_by > repository.named_by {
            repository.named_by = named_by;
            repository.name = run.repository.clone();
        }
        index
    }

    fn branch(&mut self, run: &Run, repository: u32, keys: &mut Keys) -> u32 {
        let (kind, tag) = match kind(&run.event, &run.git_ref) {
            Kind::Branch(name) => (OwnedKind::Branch(name.into()), 0),
            Kind::Tag(name) => (OwnedKind::Tag(name.into()), 1),
            Kind::PullRequest => (OwnedKind::PullRequest, 2),
            Kind::Other => (OwnedKind::Other, 3),
        };
        let name: Arc<str> = match (&kind, run.pull_request) {
            (OwnedKind::PullRequest, 1..) => format!("#{}", run.pull_request).into(),
            _ => run.git_ref.clone(),
        };
        let key = (repository, run.verified, tag, name);
        let index = *keys.branches.entry(key).or_insert_with(|| {
            self.branches.push(Branch {
                repository,
                kind,
                rules: 0,
                last_at: run.at,
                newest: ((0, i64::MIN), run.at),
            });
            to_index(self.branches.len() - 1)
        });
        let branch = &mut self.branches[index as usize];
        branch.last_at = branch.last_at.max(run.at);
        index
    }

    /// Finds out which pull requests are closed.
    fn close(&mut self, world: &World) {
        let mut lists: HashMap<(&str, &str), (Time, Vec<u64>)> = HashMap::new();
        for list in &world.open_pulls {
            let known = lists
                .entry((&list.provider, &list.repository_id))
                .or_insert_with(|| (list.at, Vec::new()));
            if list.at >= known.0 {
                let mut numbers = list.numbers.clone();
                numbers.sort_unstable();
                *known = (list.at, numbers);
            }
        }
        let key = |run: &Run| (run.provider.clone(), run.repository_id.clone(), run.pull_request);
        let mut newest: HashMap<_, Time> = HashMap::new();
        for run in world.runs.iter().filter(|run| run.pull_request > 0) {
            let at = newest.entry(key(run)).or_insert(run.at);
            *at = run.at.max(*at);
        }
        self.is_closed = world
            .runs
            .iter()
            .map(|run| {
                let Some(at) = newest.get(&key(run)) else {
                    return false;
                };
                let list = lists.get(&(&*run.provider, &*run.repository_id));
                list.is_some_and(|(as_of, numbers)| {
                    at < as_of && numbers.binary_search(&run.pull_request).is_err()
                })
            })
            .collect();
    }

    fn find_newest(&mut self) {
        for run in &self.runs {
            let newest = &mut self.branches[run.branch as usize].newest;
            if run.order >= newest.0 {
                *newest = (run.order, run.at);
            }
        }
    }

    /// Puts the executions of each job of each workflow on each branch in the order of their runs.
    fn rank(&mut self) {
        let mut order: Vec<u32> = (0..to_index(self.executions.len())).collect();
        let line = |index: &u32| {
            let execution = &self.executions[*index as usize];
            let run = &self.runs[execution.run as usize];
            (run.branch, &run.workflow, &execution.job)
        };
        let order_of = |index: &u32| self.runs[self.executions[*index as usize].run as usize].order;
        order.sort_unstable_by(|one, other| {
            line(one)
                .cmp(&line(other))
                .then_with(|| order_of(other).cmp(&order_of(one)))
        });
        let mut ranks = vec![Rank::default(); order.len()];
        for jobs in order.chunk_by(|one, other| line(one) == line(other)) {
            let newest = &self.executions[jobs[0] as usize];
            let branch = &self.branches[self.runs[newest.run as usize].branch as usize];
            let mut rank = Rank {
                is_retired: branch.newest.1.saturating_sub(newest.at) > MONTH,
                ..Rank::default()
            };
            for index in jobs {
                let execution = &self.executions[*index as usize];
                // Without a link it takes no place.
                if execution.is_linked {
                    match execution.outcome {
                        Outcome::Success => rank.successes += 1,
                        Outcome::Unknown => rank.unknowns += 1,
                        Outcome::Failed => {}
                    }
                }
                ranks[*index as usize] = rank;
            }
        }
        for (execution, rank) in self.executions.iter_mut().zip(ranks) {
            execution.rank = rank;
        }
    }
}

/// The rules that fit, a bit each.
pub(crate) fn rules(policy: &Policy, fits: impl Fn(&crate::policy::Rule) -> bool) -> RuleSet {
    let fitting = policy.rules.iter().enumerate().filter(|(_, rule)| fits(rule));
    fitting.fold(0, |set, (index, _)| set | 1 << index)
}
