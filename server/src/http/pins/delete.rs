//! `DELETE /pins/{name}`

use std::sync::Arc;

use super::{App, PinName, Problem};
use crate::pins;

pub(super) async fn delete(app: &Arc<App>, name: &PinName) -> Result<(), Problem> {
    pins::delete(app, name).await
}
