//! What an identity may do.

use std::collections::BTreeSet;

use niks3_base::signing::KeyChoice;

use super::oidc::Glob;
use super::{Limits, Scope, Scopes};

/// What somebody may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Kinds of operations.
    pub scopes: Scopes,
    /// Names that their pins may have; `None` for any.
    pub pins: Option<Vec<Glob>>,
    /// Names of the keys that sign what they push; `None` for all keys.
    pub signing_keys: Option<BTreeSet<String>>,
    /// How much they may have under way, where that is not what the server says of all.
    pub limits: Limits,
    /// With `--verify-uploads=untrusted`, what they upload becomes visible before the server has read it.
    pub trusted: bool,
}

impl Grant {
    /// Everything.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            trusted: true,
            ..Self::of(Scopes::ADMIN)
        }
    }

    /// Those scopes, with any pin and all keys.
    #[must_use]
    pub fn of(scopes: Scopes) -> Self {
        Self {
            scopes,
            ..Self::default()
        }
    }

    /// What both together allow. Pins, keys and limits are of pushes, so those of a grant without
    /// the scope count for nothing.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let scopes = self.scopes.union(other.scopes);
        match (self.scopes.allow(Scope::Push), other.scopes.allow(Scope::Push)) {
            (true, false) => Self {
                scopes,
                ..self.clone()
            },
            (false, true) => Self {
                scopes,
                ..other.clone()
            },
            _ => Self {
                scopes,
                pins: self
                    .pins
                    .as_ref()
                    .zip(other.pins.as_ref())
                    .map(|(some, more)| some.iter().chain(more).cloned().collect()),
                signing_keys: self
                    .signing_keys
                    .as_ref()
                    .zip(other.signing_keys.as_ref())
                    .map(|(some, more)| some.union(more).cloned().collect()),
                limits: self.limits.union(other.limits),
                trusted: self.trusted || other.trusted,
            },
        }
    }

    /// Whether a pin may have that name.
    #[must_use]
    pub(crate) fn allows_pin(&self, name: &str) -> bool {
        self.pins
            .as_ref()
            .is_none_or(|pins| pins.iter().any(|glob| glob.matches(name)))
    }

    /// Whether pushes may be signed by those keys.
    #[must_use]
    pub fn allows_keys(&self, keys: &KeyChoice) -> bool {
        match (&self.signing_keys, keys) {
            (None, _) => true,
            (Some(_), KeyChoice::All) => false,
            (Some(own), KeyChoice::Only(keys)) => keys.is_subset(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(scope: Scope, pins: Option<&[&str]>, keys: Option<&[&str]>) -> Grant {
        Grant {
            scopes: [scope].into_iter().collect(),
            pins: pins.map(|pins| pins.iter().map(|pin| Glob::new(pin)).collect()),
            signing_keys: keys.map(|keys| keys.iter().map(ToString::to_string).collect()),
            limits: Limits::default(),
            trusted: false,
        }
    }

    #[test]
    fn rules_unite_without_lending_each_other_what_they_limit() {
        let pull_request = grant(Scope::Push, Some(&["pr-*"]), Some(&["pr"]));
        let release = grant(Scope::Push, Some(&["release-*"]), Some(&["main"]));
        let both = pull_request.union(&release);
        assert!(both.allows_pin("pr-1") && both.allows_pin("release-1") && !both.allows_pin("x"));
        assert_eq!(both.signing_keys.unwrap().len(), 2);

        // A rule that only collects has no limits, and lifts none.
        let with_gc = pull_request.union(&grant(Scope::Gc, None, None));
        assert!(with_gc.scopes.allow(Scope::Gc) && with_gc.scopes.allow(Scope::Push));
        assert!(!with_gc.allows_pin("x") && !with_gc.allows_keys(&KeyChoice::All));
        assert_eq!(with_gc, grant(Scope::Gc, None, None).union(&pull_request));

        let free = pull_request.union(&grant(Scope::Push, None, None));
        assert!(free.allows_pin("x") && free.allows_keys(&KeyChoice::All));
    }
}
