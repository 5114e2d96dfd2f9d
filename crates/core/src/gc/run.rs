//! What the phases of one collection share.

use std::panic::Location;
use std::sync::Arc;

use niks3_base::error::Error;
use niks3_catalog::{TaskId, WriteTx};

use super::Request;
use super::graph::Ripe;
use super::marker::Marker;
use super::progress::Shared;
use crate::app::App;

/// What every phase needs.
pub(super) struct Run<'a> {
    pub app: &'a Arc<App>,
    pub id: TaskId,
    pub request: &'a Request,
    pub shared: &'a Shared,
    /// Unix time of the beginning.
    pub now: i64,
}

impl Run<'_> {
    /// A writing transaction, as long as this is the collection under way.
    #[track_caller]
    pub fn write(&self) -> impl Future<Output = Result<WriteTx, Error>> {
        self.write_for(Location::caller())
    }

    async fn write_for(&self, by: &'static Location<'static>) -> Result<WriteTx, Error> {
        self.app.ownership.require_collectable()?;
        let mut tx = self.app.catalog.write_for(by).await?;
        if tx.holds_task(self.id).await? {
            return Ok(tx);
        }
        Err(Error::conflict("another garbage collection took over"))
    }

    /// Comes between the transaction that says what is to be deleted, and its deletion.
    pub(crate) async fn before_deletion(&self) -> Result<(), Error> {
        self.app.ownership.before_deletion().await
    }

    /// What may go now.
    pub(crate) fn ripe(&self, marker: &Marker) -> Ripe {
        let grace = self.request.grace();
        Ripe::new(&marker.graph, |condemned_at| {
            grace == 0 || (condemned_at != 0 && condemned_at <= self.now - grace)
        })
    }
}
