//! Retention: which closures stay in the cache, and why.
//!
//! This crate reads policies and judges; it knows neither database nor clock. What it is given is a [`World`]: runs of CI,
//! closures, the links between them, lists of open pull requests, and the time. It answers with a [`Plan`]: a decision with
//! its reason for each closure.

mod coverage;
mod executions;
mod judge;
mod kind;
pub mod policy;
mod quota;
mod world;

pub use judge::{Decision, Judge, Plan, Reason, Verdict};
pub use kind::{Kind, kind};
pub use policy::{Keep, MAX_RULES, Policy, Rule};
pub use quota::{FILL_PERCENT, Fill, fill};
pub use world::{Closure, Link, OpenPulls, Outcome, Release, Run, Time, World};

/// Seconds for which whatever was used stays, whatever the policy says.
pub const ALWAYS_KEPT: i64 = 24 * 3600;
/// Seconds after which a job that its branch has run without is retired, and a branch without a run counts as idle where
/// the rule does not say when.
pub const MONTH: i64 = 30 * 24 * 3600;
