//! The quota: what stays is filled in, most deserving first, until it is full.

use std::cmp::Reverse;

use crate::judge::{Plan, Verdict};
use crate::policy::Policy;
use crate::world::{Time, World};

/// A collection over the quota fills to this part of it, so that the next one has nothing to do.
pub const FILL_PERCENT: u64 = 90;

/// What the quota has made of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    /// Bytes of what the quota never takes.
    pub exempt: u64,
    /// Bytes that stay.
    pub kept: u64,
    /// Closures that give way.
    pub released: usize,
}

/// Makes what does not fit into the quota give way, if what the plan keeps is above it. `base` are the bytes of what stays
/// whatever becomes of the closures. `reach` marks all that a closure refers to, and answers the bytes of that which
/// nothing has marked before.
pub fn fill(
    policy: &Policy,
    world: &World,
    plan: &mut Plan,
    base: u64,
    mut reach: impl FnMut(usize) -> u64,
) -> Option<Fill> {
    let quota = policy.quota?;
    let mut exempt = Vec::new();
    let mut others: Vec<(u8, Reverse<Option<Time>>, i64, usize)> = Vec::new();
    for (index, decision) in plan.decisions.iter().enumerate() {
        match decision.reason {
            Some(reason) if reason.is_exempt() => exempt.push(index),
            Some(reason) => others.push((
                reason.rule().unwrap_or(u8::MAX),
                Reverse(decision.last_at),
                world.closures[index].id,
                index,
            )),
            None => {}
        }
    }
    others.sort_unstable();
    let mut fill = Fill {
        exempt: base + exempt.into_iter().map(&mut reach).sum::<u64>(),
        ..Fill::default()
    };
    // To be above the quota is more than to be above what it fills to, so all is marked before anything gives way.
    let mut total = fill.exempt;
    let limit = quota / 100 * FILL_PERCENT + quota % 100 * FILL_PERCENT / 100;
    let mut fitting = None;
    for (number, (.., index)) in others.iter().enumerate() {
        let before = total;
        total += reach(*index);
        if total > limit && fitting.is_none() {
            fitting = Some((number, before));
        }
    }
    fill.kept = total;
    if total <= quota {
        return Some(fill);
    }
    if let Some((number, kept)) = fitting {
        fill.kept = kept;
        for (.., index) in &others[number..] {
            let decision = &mut plan.decisions[*index];
            decision.reason = None;
            decision.verdict = match (decision.verdict, world.closures[*index].released) {
                (Verdict::Restore, Some(release)) => match release.at.saturating_add(policy.undo) {
                    purge_at if world.now < purge_at => Verdict::Wait(purge_at),
                    _ => Verdict::Purge,
                },
                _ => Verdict::Release,
            };
            fill.released += 1;
        }
    }
    Some(fill)
}
