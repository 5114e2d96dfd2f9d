//! Verdicts and reasons in words.

use std::time::{Duration, UNIX_EPOCH};

use niks3_retention::{Decision, Keep, Policy, Reason, Rule};

/// A time as people read it.
pub(crate) fn time(at: i64) -> String {
    let at = UNIX_EPOCH + Duration::from_secs(at.max(0).unsigned_abs());
    humantime::format_rfc3339_seconds(at).to_string()
}

/// A length of time, in days where it is whole ones.
pub(crate) fn span(seconds: i64) -> String {
    let days = seconds / 86_400;
    if days > 0 && seconds % 86_400 == 0 {
        return format!("{days}d");
    }
    humantime::format_duration(Duration::from_secs(seconds.max(0).unsigned_abs())).to_string()
}

/// The name of a rule.
pub(crate) fn rule_name(policy: &Policy, index: u8) -> &str {
    let rule = policy.rules.get(usize::from(index));
    rule.map_or("?", |rule| rule.name.as_str())
}

/// Why a closure stays.
pub(crate) fn reason(policy: &Policy, reason: Reason) -> String {
    let rule = |index| format!("rule {:?}", rule_name(policy, index));
    match reason {
        Reason::Pinned => "a pin names it".to_owned(),
        Reason::InPush => "a push in progress needs it".to_owned(),
        Reason::Forever { rule: index } => format!("{} keeps it forever", rule(index)),
        Reason::Recent { until } => {
            format!("it was used in the last 24 hours: it stays until {}", time(until))
        }
        Reason::Last { rule: index } => {
            let count = policy.rules.get(usize::from(index)).and_then(Rule::last);
            match count.unwrap_or(1) {
                1 => format!(
                    "{} keeps what the last execution of a job pushed or used",
                    rule(index)
                ),
                count => format!(
                    "{} keeps what the last {count} executions of a job pushed or used",
                    rule(index)
                ),
            }
        }
        Reason::Open { rule: index } => format!("{} keeps it while its pull request is open", rule(index)),
        Reason::For { rule: index, until } => format!("{} keeps it until {}", rule(index), time(until)),
        Reason::Default { until } => format!(
            "the default of {} keeps it until {}",
            span(policy.default),
            time(until)
        ),
    }
}

/// Why a closure goes.
pub(crate) fn departure(policy: &Policy, decision: &Decision, by_hand: bool, over_quota: bool) -> String {
    let last = match decision.last_at {
        Some(at) => format!("last used {}", time(at)),
        None => "no push or use of it is known".to_owned(),
    };
    if by_hand {
        return format!("deleted by hand; {last}");
    }
    if over_quota {
        return format!("it does not fit into the quota; {last}");
    }
    let rule = decision.last_rule.map(usize::from);
    match rule.and_then(|index| policy.rules.get(index)) {
        Some(rule) if rule.keep == Keep::Nothing => format!("rule {:?} keeps nothing; {last}", rule.name),
        Some(rule) => format!("rule {:?} keeps it no longer; {last}", rule.name),
        None if decision.last_at.is_some() => {
            format!("the default of {} is over; {last}", span(policy.default))
        }
        None => last,
    }
}
