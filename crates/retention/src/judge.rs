//! What becomes of each closure, and why.

use std::sync::Arc;

use crate::ALWAYS_KEPT;
use crate::coverage::covered;
use crate::executions::{Executions, RuleSet, rules};
use crate::policy::{Keep, Policy};
use crate::world::{Closure, Link, Time, World};

/// Closures that a collection may release whatever part of all they are.
const ALWAYS_ALLOWED: usize = 100;

/// Why a closure stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A pin names it.
    Pinned,
    /// A push in progress needs it.
    InPush,
    /// A rule keeps it for ever.
    Forever {
        /// Index of the rule.
        rule: u8,
    },
    /// It was used in the last 24 hours.
    Recent {
        /// The last second for which it does.
        until: Time,
    },
    /// It is among what the last executions of a job pushed or used.
    Last {
        /// Index of the rule.
        rule: u8,
    },
    /// Its pull request is open.
    Open {
        /// Index of the rule.
        rule: u8,
    },
    /// It was used a short time ago.
    For {
        /// Index of the rule.
        rule: u8,
        /// The last second for which it does.
        until: Time,
    },
    /// It was used a short time ago, and no rule fits, or its repository does not report what its jobs use.
    Default {
        /// The last second for which it does.
        until: Time,
    },
}

/// What becomes of a closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It was released, and stays after all.
    Restore,
    /// It is released now.
    Release,
    /// It was released, and is deleted from that time on.
    Wait(Time),
    /// It was released, and goes now.
    Purge,
}

/// A verdict with what led to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why it stays; of several reasons the one that the quota takes last.
    pub reason: Option<Reason>,
    /// Its last use or push; `None` where there is none.
    pub last_at: Option<Time>,
    /// The rule of its last use or push.
    pub last_rule: Option<u8>,
}

/// What a link does for its closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkVerdict {
    /// Index of the rule that judges it; `None`: the default.
    pub rule: Option<u8>,
    /// Why it keeps its closure, if it does.
    pub reason: Option<Reason>,
}

/// What becomes of all closures.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In the order of the closures.
    pub decisions: Vec<Decision>,
    /// How many links each rule judges.
    pub judged: Vec<u64>,
    /// Names of the repositories that do not report what their jobs use.
    pub uncovered: Vec<Arc<str>>,
}

impl Plan {
    /// How many closures it releases.
    #[must_use]
    pub fn released(&self) -> usize {
        let released = |decision: &&Decision| decision.verdict == Verdict::Release;
        self.decisions.iter().filter(released).count()
    }

    /// Whether it releases so much that the first collection under a changed policy is held.
    #[must_use]
    pub fn is_large(&self, policy: &Policy) -> bool {
        let released = self.released();
        released > ALWAYS_ALLOWED && released * 100 > self.decisions.len() * usize::from(policy.max_release)
    }
}

/// A policy over a world, ready to judge.
#[derive(Debug)]
pub struct Judge<'a> {
    policy: &'a Policy,
    world: &'a World,
    executions: Executions,
    covered: Vec<bool>,
    /// The rules that fit a push without a run.
    without_run: RuleSet,
    /// The rules that fit the root of any closure, and those that look at it.
    any_root: RuleSet,
}

impl<'a> Judge<'a> {
    /// Puts all runs in order. Takes time and memory as sorting them does.
    #[must_use]
    pub fn new(policy: &'a Policy, world: &'a World) -> Self {
        let executions = Executions::new(policy, world);
        let last_rules = rules(policy, |rule| rule.last().is_some());
        Self {
            covered: covered(&executions, last_rules, world.now),
            without_run: rules(policy, crate::policy::Rule::fits_no_run),
            any_root: rules(policy, |rule| rule.roots.is_empty()),
            policy,
            world,
            executions,
        }
    }

    /// Decides about all closures.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let mut plan = Plan {
            judged: vec![0; self.policy.rules.len()],
            ..Plan::default()
        };
        let roots: Vec<RuleSet> = self
            .world
            .closures
            .iter()
            .map(|closure| self.roots(closure))
            .collect();
        let mut found = vec![Found::default(); self.world.closures.len()];
        for link in &self.world.links {
            let index = link.closure as usize;
            let verdict = self.judge(link, roots[index]);
            if let Some(rule) = verdict.rule {
                plan.judged[usize::from(rule)] += 1;
            }
            found[index].add(link, verdict, &self.world.closures[index], self.world.now);
        }
        let closures = self.world.closures.iter().zip(found);
        plan.decisions = closures
            .map(|(closure, found)| self.decision(closure, found))
            .collect();
        let repositories = self.executions.repositories.iter().zip(&self.covered);
        plan.uncovered = repositories
            .filter(|(_, covered)| !**covered)
            .map(|(repository, _)| repository.name.clone())
            .collect();
        plan.uncovered.sort_unstable();
        plan
    }

    /// What a link does for its closure.
    #[must_use]
    pub fn link(&self, link: &Link) -> LinkVerdict {
        self.judge(link, self.roots(&self.world.closures[link.closure as usize]))
    }

    /// The rules that fit the root of a closure.
    fn roots(&self, closure: &Closure) -> RuleSet {
        match self.policy.rules.len() {
            0 => 0,
            _ if self.any_root.count_ones() as usize == self.policy.rules.len() => self.any_root,
            _ => rules(self.policy, |rule| rule.fits_root(&closure.name)),
        }
    }

    fn judge(&self, link: &Link, roots: RuleSet) -> LinkVerdict {
        let row = link.run.map(|run| run as usize);
        let branch = row.map(|row| {
            let execution = &self.executions.executions[self.executions.of_row[row] as usize];
            let run = &self.executions.runs[execution.run as usize];
            &self.executions.branches[run.branch as usize]
        });
        let fitting = roots & branch.map_or(self.without_run, |branch| branch.rules);
        let rule = (fitting != 0).then(|| u8::try_from(fitting.trailing_zeros()).unwrap_or(u8::MAX));
        let by_rule = rule.and_then(|rule| self.by_rule(rule, link));
        let has_default =
            rule.is_none() || branch.is_some_and(|branch| !self.covered[branch.repository as usize]);
        let by_default = || {
            let until = link.at.saturating_add(self.policy.default);
            (has_default && self.world.now <= until).then_some(Reason::Default { until })
        };
        LinkVerdict {
            rule,
            reason: by_rule.or_else(by_default),
        }
    }

    fn by_rule(&self, rule: u8, link: &Link) -> Option<Reason> {
        let now = self.world.now;
        let settings = &self.policy.rules[usize::from(rule)];
        let terms = match settings.keep {
            Keep::Forever => return Some(Reason::Forever { rule }),
            Keep::Nothing => return None,
            Keep::While(terms) => terms,
        };
        if let Some(row) = link.run {
            if terms.until_closed && self.executions.is_closed[row as usize] {
                return None;
            }
            let execution = &self.executions.executions[self.executions.of_row[row as usize] as usize];
            let run = &self.executions.runs[execution.run as usize];
            let branch = &self.executions.branches[run.branch as usize];
            let is_idle = settings
                .idle(branch.kind.get())
                .is_some_and(|idle| now > branch.last_at.saturating_add(idle));
            if !is_idle && terms.last.is_some_and(|count| execution.is_among_last(count)) {
                return Some(Reason::Last { rule });
            }
            let only_closes = terms.last.is_none() && terms.for_seconds.is_none();
            if !is_idle && only_closes {
                return Some(Reason::Open { rule });
            }
        }
        let until = link.at.saturating_add(terms.for_seconds?);
        (now <= until).then_some(Reason::For { rule, until })
    }

    fn decision(&self, closure: &Closure, found: Found) -> Decision {
        let reason = if closure.pinned {
            Some(Reason::Pinned)
        } else if closure.in_push {
            Some(Reason::InPush)
        } else {
            found.reason
        };
        let verdict = match (reason, closure.released) {
            (Some(_), None) => Verdict::Keep,
            (Some(_), Some(_)) => Verdict::Restore,
            (None, None) => Verdict::Release,
            (None, Some(release)) => {
                let purge_at = release.at.saturating_add(self.policy.undo);
                if self.world.now < purge_at {
                    Verdict::Wait(purge_at)
                } else {
                    Verdict::Purge
                }
            }
        };
        Decision {
            verdict,
            reason,
            last_at: found.last.map(|(at, _)| at),
            last_rule: found.last.and_then(|(_, rule)| rule),
        }
    }
}

/// What the links of a closure seen so far do for it.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    reason: Option<Reason>,
    /// The last use or push, and its rule.
    last: Option<(Time, Option<u8>)>,
}

impl Found {
    fn add(&mut self, link: &Link, verdict: LinkVerdict, closure: &Closure, now: Time) {
        let this = (link.at, verdict.rule);
        self.last = self.last.max(Some(this));
        // What somebody has deleted comes back by what happens after that alone.
        if closure
            .released
            .is_some_and(|release| release.by_hand && link.at < release.at)
        {
            return;
        }
        let until = link.at.saturating_add(ALWAYS_KEPT);
        let recent = (now <= until).then_some(Reason::Recent { until });
        for reason in [recent, verdict.reason].into_iter().flatten() {
            if self.reason.is_none_or(|known| reason.rank() < known.rank()) {
                self.reason = Some(reason);
            }
        }
    }
}

impl Reason {
    /// What the quota takes last comes first; of equals what lasts longest.
    fn rank(&self) -> (u8, u8, i64) {
        match *self {
            Self::Pinned => (0, 0, 0),
            Self::InPush => (1, 0, 0),
            Self::Forever { rule } => (2, rule, 0),
            Self::Recent { until } => (3, 0, -until),
            Self::Last { rule } => (4, rule, i64::MIN),
            Self::Open { rule } => (4, rule, i64::MIN + 1),
            Self::For { rule, until } => (4, rule, -until),
            Self::Default { until } => (5, 0, -until),
        }
    }

    /// The quota takes nothing that has this reason.
    #[must_use]
    pub const fn is_exempt(&self) -> bool {
        matches!(
            self,
            Self::Pinned | Self::InPush | Self::Forever { .. } | Self::Recent { .. }
        )
    }

    /// Index of the rule that keeps it; `None`: the default, which comes after all of them.
    #[must_use]
    pub const fn rule(&self) -> Option<u8> {
        match *self {
            Self::Forever { rule } | Self::Last { rule } | Self::Open { rule } | Self::For { rule, .. } => {
                Some(rule)
            }
            _ => None,
        }
    }
}
