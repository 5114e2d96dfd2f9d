//! Where a task of the server stands, on the wire.

use poem_openapi::Enum;

use crate::catalog::{TaskRow, TaskState as State};

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(super) enum TaskState {
    /// Under way.
    Running,
    /// It did all that it could.
    Done,
    /// It ended early; the next one goes on.
    Failed,
    /// The server stopped; the next one goes on.
    Cancelled,
    /// Its server went away; the next one goes on.
    Abandoned,
}

impl TaskState {
    pub(super) fn of(row: &TaskRow) -> Self {
        match row.state {
            State::Running if row.abandoned() => Self::Abandoned,
            State::Running => Self::Running,
            State::Done => Self::Done,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }
}
