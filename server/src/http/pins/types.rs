//! What pins look like on the wire.

use poem_openapi::Object;

use super::App;
use crate::catalog;

/// What to pin.
#[derive(Debug, Object)]
pub(super) struct CreatePin {
    /// A store path that is in the cache, or a path inside one: full, or from the base name on.
    pub path: String,
}

/// A named root.
#[derive(Debug, Object)]
pub(super) struct Pin {
    /// Its name.
    pub name: String,
    /// The store path that it keeps, with its closure.
    pub path: String,
    /// Unix time at which the name was made.
    pub created_at: i64,
    /// Unix time at which it was last pointed somewhere.
    pub updated_at: i64,
}

impl Pin {
    pub(super) fn of(app: &App, pin: catalog::Pin) -> Self {
        Self {
            path: app.store_dir.display(&pin.path),
            name: pin.name,
            created_at: pin.created_at,
            updated_at: pin.updated_at,
        }
    }
}

/// A page of pins.
#[derive(Debug, Object)]
pub(super) struct Pins {
    /// In the order of their names.
    pub pins: Vec<Pin>,
    /// Where the next page begins, if there is one.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<String>,
}
