//! Why a collection releases nothing until somebody says that its policy is meant.

use niks3_base::error::Error;
use niks3_catalog::{Catalog, RetentionPolicy, TaskId, TaskKind};
use niks3_retention::{Judge, Plan, Policy, Reason, World};

use crate::policy_file::PolicyFile;

/// Rules that an explanation names.
const MAX_RULES: usize = 20;

/// What is known when it is decided.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// The policy that has judged.
    pub file: &'a PolicyFile,
    /// What it has judged.
    pub world: &'a World,
    /// What it would do.
    pub plan: &'a Plan,
    /// The hash that somebody has accepted.
    pub accepted: Option<&'a str>,
    /// Hashes of the policies of other servers that run.
    pub others: &'a [String],
    /// This collection.
    pub task: TaskId,
    /// Unix time of its beginning.
    pub started_at: i64,
}

/// Why the collection is held, if it is.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn hold(catalog: &Catalog, question: &Question<'_>) -> Result<Option<String>, Error> {
    let Question { file, plan, .. } = *question;
    if question.accepted == Some(file.hash.as_str()) {
        return Ok(None);
    }
    let before = catalog.retention_policy().await?;
    let is_changed = before.as_ref().is_none_or(|before| before.hash != file.hash);
    if is_changed
        && let Some(before) = &before
        && question.others.contains(&before.hash)
    {
        return Ok(Some(format!(
            "another server of this database has the policy {}, by which the last collection went, and this one has {}: \
             give both the same file, or say --accept-policy {}",
            before.hash, file.hash, file.hash
        )));
    }
    if !plan.is_large(&file.policy) {
        return Ok(None);
    }
    let last = catalog.tasks(TaskKind::Gc, Some(question.task), 1).await?;
    let behind = last
        .first()
        .map_or(0, |last| last.started_at - question.started_at);
    let large = format!(
        "it would release {} of {} closures, which is more than {} %",
        plan.released(),
        plan.decisions.len(),
        file.policy.max_release
    );
    if behind > 0 {
        return Ok(Some(format!(
            "the clock is {behind} s behind the start of the last collection, and {large}; if that is right, \
             say --accept-policy {}",
            file.hash
        )));
    }
    let details = details(before.as_ref(), question);
    Ok(is_changed.then(|| {
        format!(
            "the policy is new, and {large}{details}; if that is meant, say --accept-policy {}",
            file.hash
        )
    }))
}

/// What is remarkable in a policy that releases much.
fn details(before: Option<&RetentionPolicy>, question: &Question<'_>) -> String {
    let mut clauses = unmatched_rules(&question.file.policy, question.plan);
    if let Some(before) = before.and_then(|before| Policy::parse(&before.text).ok()) {
        clauses.extend(rules_that_keep_less(&before, question));
    }
    if clauses.is_empty() {
        return String::new();
    }
    format!(" ({})", clauses.join("; "))
}

/// The rules that judge no push and no use.
fn unmatched_rules(policy: &Policy, plan: &Plan) -> Vec<String> {
    let rules = policy.rules.iter().zip(&plan.judged);
    rules
        .filter(|(_, judged)| **judged == 0)
        .take(MAX_RULES)
        .map(|(rule, _)| format!("rule {:?} matches no run", rule.name))
        .collect()
}

/// How many closures each rule keeps, by its name; the default comes last.
fn kept_by_rule(policy: &Policy, plan: &Plan) -> Vec<(String, usize)> {
    let mut kept = vec![0; policy.rules.len() + 1];
    for reason in plan.decisions.iter().filter_map(|decision| decision.reason) {
        if !matches!(reason, Reason::Pinned | Reason::InPush | Reason::Recent { .. }) {
            kept[reason.rule().map_or(policy.rules.len(), usize::from)] += 1;
        }
    }
    let names = policy.rules.iter().map(|rule| format!("rule {:?}", rule.name));
    names.chain(["the default".to_owned()]).zip(kept).collect()
}

fn rules_that_keep_less(before: &Policy, question: &Question<'_>) -> Vec<String> {
    let plan_before = Judge::new(before, question.world).plan();
    let now = kept_by_rule(&question.file.policy, question.plan);
    let before = kept_by_rule(before, &plan_before).into_iter();
    let fewer = before.filter_map(|(name, was)| {
        let found = now.iter().find(|(other, _)| *other == name);
        let is = found.map_or(0, |(_, kept)| *kept);
        (is < was).then(|| format!("{name} keeps {is} closures, {was} before"))
    });
    fewer.take(MAX_RULES).collect()
}
