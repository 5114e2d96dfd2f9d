//! `/pushes`: claim first, ask for URLs when bytes and checksum are known, commit
//! when all has arrived. Each verb is a file beside this one.

mod abort;
mod announced;
mod claim;
mod commit;
mod complete_multipart;
mod create;
mod limits;
mod multipart;
mod objects;
mod parts;
mod realisations;
mod renew;
mod show;
mod types;
mod uploads;

use std::panic::Location;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};

use super::api_tags::ApiTags;
use super::extract::Pusher;
use super::json_body::JsonBody;
use super::problem::ApiProblem;
use super::upload_base::UploadBase;
use crate::app::App;
use crate::auth::Identity;
use crate::catalog::{Push, PushState, WriteTx};
use crate::error::Error;
use crate::signing::KeyChoice;
use types::{
    Claims, ClaimsAnswer, Commit, CompleteMultipart, CreatePush, CreatedPush, Empty, Lease, Multipart,
    NewMultipart, Parts, PartsAnswer, PushStatus, Realisations, SmallObjects, Uploads, UploadsAnswer,
};

/// Operations on pushes.
pub struct PushesApi;

#[derive(ApiResponse)]
enum Created<T: poem_openapi::types::ParseFromJSON + poem_openapi::types::ToJSON + Send> {
    /// Made.
    #[oai(status = 201)]
    Created(Json<T>),
}

#[derive(ApiResponse)]
enum Committed {
    /// Done.
    #[oai(status = 200)]
    Done(Json<Commit>),
    /// In progress.
    #[oai(status = 202)]
    InProgress(Json<Commit>, #[oai(header = "Retry-After")] u32),
}

#[derive(ApiResponse)]
enum Gone {
    /// Done; there is nothing to say.
    #[oai(status = 204)]
    Gone,
}

type Answer<T> = Result<Json<T>, ApiProblem>;

#[expect(
    clippy::result_large_err,
    reason = "what the framework answers with is that large"
)]
fn answer<T>(result: Result<T, Error>) -> Answer<T> {
    Ok(Json(result?))
}

#[OpenApi(prefix_path = "/pushes", tag = "ApiTags::Pushes")]
impl PushesApi {
    /// Open a push
    ///
    /// Names the roots whose closures are to become visible together. The answer's id
    /// names the push in every other operation, for whoever opened it.
    #[oai(path = "/", method = "post", operation_id = "create_push")]
    async fn create(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        JsonBody(body): JsonBody<CreatePush>,
    ) -> Result<Created<CreatedPush>, ApiProblem> {
        Ok(Created::Created(Json(create::create(app, &who, body).await?)))
    }

    /// Show a push
    #[oai(path = "/:id", method = "get", operation_id = "get_push")]
    async fn show(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(id): Path<String>,
    ) -> Answer<PushStatus> {
        answer(show::show(app, &who, &id).await)
    }

    /// Give up a push
    ///
    /// Lets go of everything that it claimed. A committed push stays.
    #[oai(path = "/:id", method = "delete", operation_id = "abort_push")]
    async fn abort(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(id): Path<String>,
    ) -> Result<Gone, ApiProblem> {
        abort::abort(app, &who, &id).await?;
        Ok(Gone::Gone)
    }

    /// Claim paths
    ///
    /// Says what the cache lacks, and keeps everything named from being collected
    /// while the push lives. Repeatable, in batches.
    #[oai(path = "/:id/paths", method = "post", operation_id = "claim_paths")]
    async fn claim(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(id): Path<String>,
        JsonBody(body): JsonBody<Claims>,
    ) -> Answer<ClaimsAnswer> {
        answer(claim::claim(app, &who, &id, body).await)
    }

    /// Ask for upload URLs
    ///
    /// Each URL takes one object of one size and one checksum, by PUT, for a few
    /// minutes. No URL: the object is in the bucket already.
    #[oai(path = "/:id/uploads", method = "post", operation_id = "create_uploads")]
    async fn uploads(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(id): Path<String>,
        JsonBody(body): JsonBody<Uploads>,
        base: UploadBase,
    ) -> Answer<UploadsAnswer> {
        answer(uploads::uploads(app, &who, &id, body, base.as_deref()).await)
    }

    /// Send small objects
    ///
    /// Compressed NARs and build logs of at most 64 KiB each, at most 1,000 objects and 8 MiB in a request, of NARs of at
    /// most 1 MiB. The server checks them against what the push claims, and makes the listings of the NARs. The answer
    /// comes once all of them are stored; they become visible with the push. Repeatable. 422: an object is not what the
    /// push says, and none of the request is stored.
    #[oai(path = "/:id/objects", method = "put", operation_id = "put_objects")]
    async fn objects(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(id): Path<String>,
        JsonBody(body): JsonBody<SmallObjects>,
    ) -> Answer<Empty> {
        answer(objects::put(app, &who, &id, body).await)
    }

    /// Begin an upload in parts, or go on with an unfinished one
    #[oai(
        path = "/:id/multipart-uploads",
        method = "post",
        operation_id = "create_multipart_upload"
    )]
    async fn multipart(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(id): Path<String>,
        JsonBody(body): JsonBody<NewMultipart>,
    ) -> Result<Created<Multipart>, ApiProblem> {
        Ok(Created::Created(Json(
            multipart::begin(app, &who, &id, body).await?,
        )))
    }

    /// Ask for URLs of parts
    ///
    /// No URL: that part has arrived already. 409: a part was announced with other
    /// bytes before; begin again with `fresh`.
    #[oai(
        path = "/:id/multipart-uploads/:multipart/parts",
        method = "post",
        operation_id = "create_part_uploads"
    )]
    async fn parts(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(id): Path<String>,
        Path(multipart): Path<i64>,
        JsonBody(body): JsonBody<Parts>,
        base: UploadBase,
    ) -> Answer<PartsAnswer> {
        answer(parts::parts(app, &who, &id, multipart.into(), body, base.as_deref()).await)
    }

    /// Make one object of all parts
    #[oai(
        path = "/:id/multipart-uploads/:multipart/complete",
        method = "post",
        operation_id = "complete_multipart_upload"
    )]
    async fn complete(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(id): Path<String>,
        Path(multipart): Path<i64>,
        JsonBody(body): JsonBody<CompleteMultipart>,
    ) -> Answer<Empty> {
        answer(complete_multipart::complete(app, who, id, multipart.into(), body).await)
    }

    /// Add realisations of content-addressed derivations
    ///
    /// They become visible with the push.
    #[oai(path = "/:id/realisations", method = "put", operation_id = "put_realisations")]
    async fn realisations(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(id): Path<String>,
        JsonBody(body): JsonBody<Realisations>,
    ) -> Answer<Empty> {
        answer(realisations::put(app, &who, &id, body).await)
    }

    /// Renew the lease of a push
    ///
    /// One that is committed needs none: that changes nothing.
    #[oai(path = "/:id/lease", method = "put", operation_id = "renew_push")]
    async fn renew(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(id): Path<String>,
    ) -> Answer<Lease> {
        answer(renew::renew(app, &who, &id).await)
    }

    /// Commit a push
    ///
    /// Checks that all has arrived, signs, publishes. Committing again answers the
    /// same, and joins a commit in progress, on whichever server that is. 202: it is still in progress, or waits until
    /// the uploads are verified, so commit again after `Retry-After`. 409 with `missing`: upload those, then commit
    /// again. 422: an upload is not what the push says; the push is over.
    #[oai(path = "/:id/commit", method = "post", operation_id = "commit_push")]
    async fn commit(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(id): Path<String>,
    ) -> Result<Committed, ApiProblem> {
        Ok(commit::commit(app, who, id).await?)
    }
}

fn wire_error(error: tokio::task::JoinError) -> Error {
    Error::internal(error)
}

/// The push of that id, which belongs to the caller.
async fn find(app: &App, who: &Identity, id: &str) -> Result<Push, Error> {
    let unknown = || {
        Error::push_gone(format!(
            "there is no push {:?}",
            id.chars().take(64).collect::<String>()
        ))
    };
    if id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(unknown());
    }
    let push = app.catalog.push(id).await?.ok_or_else(unknown)?;
    if !who.owns(&push.identity) {
        // Another's push does not exist for the caller: its id is a secret between the server and whoever opened it,
        // and 403 would confirm a guess.
        return Err(unknown());
    }
    may_go_on(who, &push)?;
    Ok(push)
}

/// Tokens of one identity may differ in what they may do: those of a CI job have claims of their own, and rules that fit
/// them. Whoever goes on with a push needs what it was opened with, since its commit signs and pins.
fn may_go_on(who: &Identity, push: &Push) -> Result<(), Error> {
    if !who.grant().allows_keys(&push.keys) {
        let keys = match &push.keys {
            KeyChoice::All => "all keys of the server".to_owned(),
            KeyChoice::Only(names) => names.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        };
        return Err(Error::forbidden(format!(
            "this push was opened to be signed by {keys}, and the rule that admits {} here allows others",
            who.name()
        )));
    }
    push.pin.as_deref().map_or(Ok(()), |pin| who.require_pin(pin))
}

/// That push, when it still takes claims and uploads.
async fn find_open(app: &App, who: &Identity, id: &str) -> Result<Push, Error> {
    let push = find(app, who, id).await?;
    require_open(&push)?;
    Ok(push)
}

/// Why a push takes no more claims and uploads, if it does not.
fn require_open(push: &Push) -> Result<(), Error> {
    match push.state {
        _ if push.expired() => Err(Error::push_gone("the lease of the push has run out: begin again")),
        PushState::Open => Ok(()),
        PushState::Committing | PushState::Committed => Err(Error::conflict("the push is committed already")),
        PushState::Aborted | PushState::Expired => {
            Err(Error::push_gone("the push was given up: begin again"))
        }
    }
}

/// Begins a transaction that changes what a push claims or announces.
#[track_caller]
fn change(app: &App, push: &Push) -> impl Future<Output = Result<WriteTx, Error>> {
    change_for(app, push, Location::caller())
}

async fn change_for(app: &App, push: &Push, by: &'static Location<'static>) -> Result<WriteTx, Error> {
    let mut tx = app.catalog.write_for(by).await?;
    if tx.change_push(push.id).await? {
        return Ok(tx);
    }
    // Something has happened to it since the request found it open.
    match tx.push(&push.token).await? {
        Some(push) => require_open(&push)?,
        None => return Err(Error::push_gone("the push was given up: begin again")),
    }
    Err(Error::conflict("the push is being committed, or over"))
}
