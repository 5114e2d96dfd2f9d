//! `DELETE /pins/{name}`

use std::sync::Arc;

use super::{App, Error, PinName};
use crate::pins;

pub(super) async fn delete(app: &Arc<App>, name: &PinName) -> Result<(), Error> {
    pins::delete(app, name).await
}
