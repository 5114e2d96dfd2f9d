//! Whether the process lives, and whether it can work.

use std::sync::Arc;
use std::time::Duration;

use poem::web::Data;
use poem::{IntoResponse as _, Response, handler};

use super::problem::Problem;
use crate::app::App;

/// How long database and bucket may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The process answers.
#[handler]
pub(super) fn health() -> Response {
    Response::builder().content_type("text/plain").body("ok\n")
}

/// Database and bucket answer.
#[handler]
pub(super) async fn ready(Data(app): Data<&Arc<App>>) -> Response {
    let database = tokio::time::timeout(PATIENCE, app.catalog.ready());
    let bucket = tokio::time::timeout(PATIENCE, app.bucket.ready());
    match tokio::join!(database, bucket) {
        (Ok(Ok(())), Ok(Ok(()))) => Response::builder().content_type("text/plain").body("ready\n"),
        (Ok(Err(error)), _) => Problem::from(error).into_response(),
        (_, Ok(Err(error))) => Problem::from(error).into_response(),
        (Err(_), _) => Problem::unavailable("the database does not answer", 2).into_response(),
        (_, Err(_)) => Problem::unavailable("the object store does not answer", 2).into_response(),
    }
}
