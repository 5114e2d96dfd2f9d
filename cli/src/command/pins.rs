//! `niks3 pins`.

use niks3_client::{Api, types};
use niks3_nix::store_path::StorePath;
use niks3_push::LocalStore;
use serde::Serialize;

use super::names::remember;
use crate::{
    Failure,
    args::{CreatePin, DeletePin, ListPins, NameKind, Pins},
    output::{Output, table::Table, time},
};

/// Entries of one page.
const PAGE: u32 = 1000;

pub(super) async fn run(command: Pins, output: &Output) -> Result<(), Failure> {
    match command {
        Pins::Create(args) => create(args, output).await,
        Pins::List(args) => list(args, output).await,
        Pins::Delete(args) => delete(args, output).await,
    }
}

async fn create(args: CreatePin, output: &Output) -> Result<(), Failure> {
    let store = LocalStore::from_environment()?;
    let request = types::CreatePin {
        path: store_path(&store, &args.path)?,
    };
    let api = super::connect(args.server)?;
    let (name, request) = (&args.name, &request);
    let pin = api
        .call("creating the pin", |client| async move {
            client.create_pin(name, request).await
        })
        .await?;
    if args.json {
        return output.json(&pin);
    }
    output.info(&format!("pinned {} as {}", pin.path, pin.name));
    Ok(())
}

/// What a path means here, or else, when it is not here, what it says.
fn store_path(store: &LocalStore, text: &str) -> Result<String, Failure> {
    let missing = match store.resolve(text) {
        Ok(found) => return Ok(store.store_dir().display(&found)),
        Err(missing) => missing,
    };
    let named = if text.starts_with('/') {
        // The server knows which store its cache is of.
        named_in(text)
    } else {
        text.parse().ok()
    };
    match named {
        Some(_) => Ok(text.to_owned()),
        None => Err(missing.into()),
    }
}

/// The first part of an absolute path that is called like a store path.
fn named_in(path: &str) -> Option<StorePath> {
    path.split('/').find_map(|part| part.parse().ok())
}

async fn list(args: ListPins, output: &Output) -> Result<(), Failure> {
    let api = super::connect(args.server)?;
    let pins = all(&api).await?;
    remember(NameKind::Pins, pins.iter().map(|pin| pin.name.as_str()));
    if args.json {
        return if args.names_only {
            output.json(&pins.iter().map(|pin| &pin.name).collect::<Vec<_>>())
        } else {
            output.json(&pins.iter().map(ListedPin::of).collect::<Vec<_>>())
        };
    }
    if args.names_only {
        return pins.iter().try_for_each(|pin| output.line_out(&pin.name));
    }
    let mut table = Table::new(["NAME", "PATH", "UPDATED"]);
    for pin in pins {
        table.row([pin.name, pin.path, time(pin.updated_at)]);
    }
    table.print()
}

/// A pin as `--json` lists it: `store_path` and the times in words are those of the original niks3.
#[derive(Serialize)]
struct ListedPin<'a> {
    name: &'a str,
    path: &'a str,
    store_path: &'a str,
    created_at: String,
    updated_at: String,
    created_at_seconds: i64,
    updated_at_seconds: i64,
}

impl<'a> ListedPin<'a> {
    fn of(pin: &'a types::Pin) -> Self {
        Self {
            name: &pin.name,
            path: &pin.path,
            store_path: &pin.path,
            created_at: time(pin.created_at),
            updated_at: time(pin.updated_at),
            created_at_seconds: pin.created_at,
            updated_at_seconds: pin.updated_at,
        }
    }
}

async fn all(api: &Api) -> Result<Vec<types::Pin>, Failure> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let from = after.as_deref();
        let page = api
            .call("listing the pins", |client| async move {
                client.list_pins(from, Some(PAGE)).await
            })
            .await?;
        all.extend(page.pins);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

async fn delete(args: DeletePin, output: &Output) -> Result<(), Failure> {
    let api = super::connect(args.server)?;
    let name = &args.name;
    api.delete("deleting the pin", |client| async move {
        client.delete_pin(name).await
    })
    .await?;
    output.info(&format!("deleted the pin {name}"));
    Ok(())
}
