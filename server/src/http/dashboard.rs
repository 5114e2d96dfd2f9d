//! The dashboard: pages of what the API tells, for those with the scope `read`. Nothing on
//! them changes anything.

mod closures;
mod gc;
mod overview;
mod pins;
mod runs;
mod search;

use std::sync::Arc;
use std::time::Duration;

use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::web::{Data, Path};
use poem::{IntoResponse as _, Request, Response, Route, get, handler};
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::read_access;
use super::upload_base::path_prefix;
use crate::app::App;
use crate::error::Error;
use crate::{pages, telemetry};

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Entries of a page of a list.
const PAGE: i64 = 50;

/// A route that knows the pages too.
pub(super) fn add_to(route: Route) -> Route {
    route
        .at("/dashboard", get(show_overview))
        .at("/dashboard/closures", get(list_closures))
        .at("/dashboard/closures/:root", get(show_closure))
        .at("/dashboard/runs", get(list_runs))
        .at("/dashboard/runs/:id", get(show_run))
        .at("/dashboard/pins", get(list_pins))
        .at("/dashboard/gc", get(list_gc))
        .at("/dashboard/search", get(show_search))
        .at("/dashboard/*rest", get(nothing))
}

/// What the page says, to whom may see it and in time.
async fn answer(
    app: &Arc<App>,
    request: &Request,
    page: impl Future<Output = Result<String, Error>>,
) -> Response {
    let made = async {
        read_access::reader(app, request).await?;
        match tokio::time::timeout(PATIENCE, page).await {
            Ok(made) => Ok(made?),
            Err(_) => {
                let why = "the database takes too long over this page";
                Err(Problem::from(Error::unavailable(why, 10)))
            }
        }
    };
    let prefix = path_prefix(app, request);
    let mut response = match made.await {
        Ok(page) => html(pages::below(&prefix, page)),
        Err(problem) => failed(request.headers(), &prefix, problem),
    };
    protect(response.headers_mut());
    response
}

fn html(page: String) -> Response {
    Response::builder()
        .content_type("text/html; charset=utf-8")
        .body(page)
}

/// A problem, as a page for those who ask for one.
fn failed(headers: &HeaderMap, prefix: &str, problem: Problem) -> Response {
    let wants_page = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("text/html"));
    let words = problem.detail().to_owned();
    let mut response = problem.into_response();
    let status = response.status();
    if wants_page {
        let title = status.canonical_reason().unwrap_or("Error");
        let detail = match status {
            StatusCode::UNAUTHORIZED => {
                "Sign in with any name and, as the password, a token with the scope read.".to_owned()
            }
            _ => words,
        };
        let page = pages::failure(title, &detail, &telemetry::request_id());
        response.set_body(pages::below(prefix, page));
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
    }
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().append(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"niks3\", charset=\"UTF-8\""),
        );
    }
    response
}

/// What browsers are told of every page.
fn protect(headers: &mut HeaderMap) {
    if let Ok(policy) = HeaderValue::from_str(&pages::POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "private, no-store"),
        (header::VARY, "Authorization"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The parameters of the query.
fn query<T: DeserializeOwned>(request: &Request) -> Result<T, Error> {
    request
        .params()
        .map_err(|_| Error::malformed("the address of the page is not one of a link of these pages"))
}

fn address(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
    format!("{path}?{}", query.finish())
}

#[handler]
async fn show_overview(Data(app): Data<&Arc<App>>, request: &Request) -> Response {
    answer(app, request, overview::show(app)).await
}

#[handler]
async fn list_closures(Data(app): Data<&Arc<App>>, request: &Request) -> Response {
    answer(app, request, async { closures::list(app, query(request)?).await }).await
}

#[handler]
async fn show_closure(Data(app): Data<&Arc<App>>, Path(root): Path<String>, request: &Request) -> Response {
    answer(app, request, async {
        closures::show(app, &root, query(request)?).await
    })
    .await
}

#[handler]
async fn list_runs(Data(app): Data<&Arc<App>>, request: &Request) -> Response {
    answer(app, request, async { runs::list(app, query(request)?).await }).await
}

#[handler]
async fn show_run(Data(app): Data<&Arc<App>>, Path(id): Path<String>, request: &Request) -> Response {
    answer(app, request, async {
        runs::show(app, &id, query(request)?).await
    })
    .await
}

#[handler]
async fn list_pins(Data(app): Data<&Arc<App>>, request: &Request) -> Response {
    answer(app, request, async { pins::list(app, query(request)?).await }).await
}

#[handler]
async fn list_gc(Data(app): Data<&Arc<App>>, request: &Request) -> Response {
    answer(app, request, async { gc::list(app, query(request)?).await }).await
}

#[handler]
async fn show_search(Data(app): Data<&Arc<App>>, request: &Request) -> Response {
    answer(app, request, async { search::show(app, query(request)?).await }).await
}

#[handler]
async fn nothing(Data(app): Data<&Arc<App>>, request: &Request) -> Response {
    answer(app, request, async {
        Err(Error::not_found("there is no such page"))
    })
    .await
}
