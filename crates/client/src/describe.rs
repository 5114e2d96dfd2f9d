//! What went wrong with a request, in a few words.

/// The innermost cause says most: "error sending request" helps nobody.
///
/// It has nothing of the URL, which may carry a signature or a password.
#[must_use]
pub fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return if error.is_connect() {
            "no connection in time"
        } else {
            "no answer in time"
        }
        .to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_connect() {
        format!("no connection: {cause}")
    } else {
        cause.to_string()
    }
}
