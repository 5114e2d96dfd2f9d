//! Whether the process lives, and whether it can work.

use std::sync::Arc;
use std::time::Duration;

use poem::web::Data;
use poem::{Response, handler};

use super::problem::answer;
use crate::app::App;
use crate::error::Error;

/// How long database and bucket may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The process answers.
#[handler]
pub(super) fn health() -> Response {
    Response::builder().content_type("text/plain").body("ok\n")
}

/// Whether the bucket is this server's to write into.
fn owned(app: &App) -> Response {
    if let Err(problem) = app.ownership.require() {
        return answer(problem);
    }
    let body = match app.ownership.needs_repair() {
        None => "ready\n".to_owned(),
        Some(why) => format!("ready, but garbage collections wait: {why}\n"),
    };
    Response::builder().content_type("text/plain").body(body)
}

/// Database and bucket answer, and the bucket belongs to the database.
#[handler]
pub(super) async fn ready(Data(app): Data<&Arc<App>>) -> Response {
    let database = tokio::time::timeout(PATIENCE, app.catalog.ready());
    let bucket = tokio::time::timeout(PATIENCE, app.bucket.ready());
    match tokio::join!(database, bucket) {
        (Ok(Ok(())), Ok(Ok(()))) => owned(app),
        (Ok(Err(error)), _) => answer(error),
        (_, Ok(Err(error))) => answer(error),
        (Err(_), _) => answer(Error::unavailable("the database does not answer", 2)),
        (_, Err(_)) => answer(Error::unavailable("the object store does not answer", 2)),
    }
}
