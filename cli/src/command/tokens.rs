//! `niks3 tokens`.

use niks3_client::types;

use crate::{
    Failure,
    args::{
        NameKind,
        tokens::{CreateToken, ListTokens, RevokeToken, Tokens},
    },
    output::{Output, table::Table, time},
};

/// Entries of one page.
const PAGE: u32 = 1000;

pub(super) async fn run(command: Tokens, output: &Output) -> Result<(), Failure> {
    match command {
        Tokens::Create(args) => create(args, output).await,
        Tokens::List(args) => list(args, output).await,
        Tokens::Revoke(args) => revoke(args, output).await,
    }
}

async fn create(args: CreateToken, output: &Output) -> Result<(), Failure> {
    let words = args.scope.iter().filter_map(clap::ValueEnum::to_possible_value);
    let request = types::CreateToken {
        name: args.name,
        scopes: words.map(|word| word.get_name().to_owned()).collect(),
        expires_in_seconds: args.expires.map(|age| age.seconds),
        trusted: args.trusted,
    };
    let api = super::connect(args.server)?;
    let request = &request;
    let called = api
        .call_unrepeatable("creating the token", |client| async move {
            client.create_token(request).await
        })
        .await;
    let created = match called.result {
        Err(error) if error.status().is_some_and(|status| status == 409) && called.maybe_done => {
            let name = &request.name;
            return Err(Failure::Failed(format!(
                "there is a token {name}: it was there before, or was made just now by a request whose answer was lost, \
                 and the token with it. niks3 tokens list says since when it is there: if since just now, revoke it \
                 (niks3 tokens revoke {name}) and create it again; else choose another name"
            )));
        }
        result => result?,
    };
    if args.json {
        return output.json(&created);
    }
    let about = &created.about;
    let end = about.expires_at.map_or_else(
        || "until it is revoked".to_owned(),
        |end| format!("until {}", time(end)),
    );
    output.info(&format!(
        "created the token {} with the scopes {}, good {end}; it is shown this once:",
        about.name,
        about.scopes.join(", ")
    ));
    output.line_out(&created.token)
}

async fn list(args: ListTokens, output: &Output) -> Result<(), Failure> {
    let api = super::connect(args.server)?;
    let mut tokens = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let from = after.as_deref();
        let page = api
            .call("listing the tokens", |client| async move {
                client.list_tokens(from, Some(PAGE)).await
            })
            .await?;
        tokens.extend(page.tokens);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let names = tokens.iter().map(|token| token.name.as_str());
    super::names::remember(NameKind::Tokens, names);
    if args.json {
        return output.json(&tokens);
    }
    let now = chrono::Utc::now().timestamp();
    let mut table = Table::new(["NAME", "SCOPES", "EXPIRES", "CREATED", "BY"]);
    for token in tokens {
        let expires = match token.expires_at {
            Some(end) if end <= now => format!("{} (expired)", time(end)),
            Some(end) => time(end),
            None => "never".to_owned(),
        };
        table.row([
            token.name,
            token.scopes.join(","),
            expires,
            time(token.created_at),
            token.created_by,
        ]);
    }
    table.print()
}

async fn revoke(args: RevokeToken, output: &Output) -> Result<(), Failure> {
    let api = super::connect(args.server)?;
    let name = &args.name;
    api.delete("revoking the token", |client| async move {
        client.revoke_token(name).await
    })
    .await?;
    output.info(&format!("revoked the token {name}"));
    Ok(())
}
