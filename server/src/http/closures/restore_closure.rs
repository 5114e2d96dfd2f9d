//! `POST /closures/{root}/restore`

use std::sync::Arc;

use super::types::Closure;
use super::{App, Error, show};
use crate::closures;
use crate::http::wire;

pub(super) async fn restore_closure(app: &Arc<App>, identity: &str, root: &str) -> Result<Closure, Error> {
    let path = wire::store_path("root", root)?;
    closures::restore_closure(app, identity, &path).await?;
    show::show(app, root).await
}
