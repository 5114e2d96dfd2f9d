//! Which repositories report what their jobs use. In the others no rule keeps a use for less than the default.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::MONTH;
use crate::executions::{Executions, RuleSet};
use crate::world::{Outcome, Time};

/// Whether each repository is covered.
///
/// It is if, on each branch that a rule with `last` fits and that has had a run within a month, the newest good run of each
/// workflow that has run within a month has reported all that it used. Where no such branch is, all that have had a run
/// within a month count; where none is either, nothing shows that its jobs report anything.
pub(crate) fn covered(all: &Executions, last_rules: RuleSet, now: Time) -> Vec<bool> {
    let is_recent = |at: Time| now.saturating_sub(at) <= MONTH;
    // Of each run: all of its jobs succeeded, and all reported everything.
    let mut runs = vec![(true, true); all.runs.len()];
    for execution in &all.executions {
        let (is_good, is_complete) = &mut runs[execution.run as usize];
        *is_good &= execution.outcome == Outcome::Success;
        *is_complete &= execution.is_complete;
    }
    let counting: BTreeSet<u32> = all
        .branches
        .iter()
        .filter(|branch| branch.rules & last_rules != 0 && is_recent(branch.last_at))
        .map(|branch| branch.repository)
        .collect();
    // By branch and workflow: when it last ran, and its newest good run.
    let mut workflows: HashMap<(u32, &Arc<str>), (Time, Option<usize>)> = HashMap::new();
    for (index, run) in all.runs.iter().enumerate() {
        let branch = &all.branches[run.branch as usize];
        let is_counted = branch.rules & last_rules != 0 || !counting.contains(&branch.repository);
        if !is_counted || !is_recent(branch.last_at) {
            continue;
        }
        let (last_at, newest) = workflows
            .entry((run.branch, &run.workflow))
            .or_insert((run.at, None));
        *last_at = run.at.max(*last_at);
        let is_newer = newest.is_none_or(|newest| all.runs[newest].order < run.order);
        if runs[index].0 && is_newer {
            *newest = Some(index);
        }
    }
    let mut seen = vec![false; all.repositories.len()];
    let mut covered = vec![true; all.repositories.len()];
    for ((branch, _), (last_at, newest)) in workflows {
        if !is_recent(last_at) {
            continue;
        }
        let repository = all.branches[branch as usize].repository as usize;
        seen[repository] = true;
        covered[repository] &= newest.is_some_and(|newest| runs[newest].1);
    }
    covered
        .iter()
        .zip(seen)
        .map(|(covered, seen)| *covered && seen)
        .collect()
}
