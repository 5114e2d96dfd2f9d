//! Somebody the server knows.

use std::sync::Arc;

use super::{Scope, Scopes};
use crate::http::problem::Problem;

/// How somebody is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The bearer of the static admin token.
    Admin,
}

/// What somebody may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Kinds of operations.
    pub scopes: Scopes,
}

impl Grant {
    /// Everything.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            scopes: Scopes::ADMIN,
        }
    }
}

/// Somebody the server knows, and what they may do.
#[derive(Debug, Clone)]
pub struct Identity {
    who: Who,
    grant: Arc<Grant>,
}

impl Identity {
    /// Somebody with rights.
    #[must_use]
    pub fn new(who: Who, grant: Grant) -> Self {
        Self {
            who,
            grant: Arc::new(grant),
        }
    }

    /// How they are known.
    #[must_use]
    pub const fn who(&self) -> &Who {
        &self.who
    }

    /// What they may do.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// A name that is theirs alone and stays the same: what they open belongs to it.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.who {
            Who::Admin => "admin".into(),
        }
    }

    /// Whether they may go on with what belongs to that name.
    #[must_use]
    pub fn owns(&self, owner: &str) -> bool {
        self.grant.scopes.allow(Scope::Admin) || self.name() == owner
    }

    /// Lets those through who have the scope.
    ///
    /// # Errors
    /// 403, naming the scope.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.grant.scopes.allow(scope) {
            return Ok(());
        }
        Err(Problem::missing_scope(
            scope,
            format!(
                "this needs the scope {scope}; {} has {}",
                self.name(),
                self.grant.scopes
            ),
        ))
    }
}
