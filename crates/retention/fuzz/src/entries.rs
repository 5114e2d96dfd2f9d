//! One function for the parser of what administrators write: no bytes panic, and nothing is accepted that should not be.

use niks3_retention::Policy;

/// Checks what the reader makes of the bytes.
pub type Entry = fn(&[u8]);

/// Every entry by the name of its fuzz target.
pub const ALL: &[(&str, Entry)] = &[("policy", policy)];

/// A policy file: it is refused with a line that it has, or each of its rules can fit and says what it keeps.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Policy::parse(text) {
        Err(error) => assert!(error.line <= text.split('\n').count(), "{error}"),
        Ok(policy) => {
            assert!(policy.rules.len() <= niks3_retention::MAX_RULES);
            assert!(policy.default >= 0 && policy.undo >= 0 && policy.max_release <= 100);
            for rule in &policy.rules {
                let kinds = [
                    rule.branches.is_empty(),
                    rule.tags.is_empty(),
                    !rule.pull_requests,
                ];
                assert!(kinds.iter().filter(|absent| !**absent).count() <= 1, "{rule:?}");
            }
        }
    }
}
