//! Every statement that the sources have as one literal is prepared on both databases, whether or not a test runs it.
//! Those that are put together while the server runs are recorded there: `scripts/lib/statement-coverage` lists what no test has run.

use std::collections::HashMap;
use std::path::Path;

use niks3_test_support::{Backend, Server, ServerOptions, database};
use syn::visit::{self, Visit};

/// What only one of the databases has, by words of the statement.
const SQLITE_ONLY: &[&str] = &["pragma_", "PRAGMA", "sqlite_"];
/// What PostgreSQL does not prepare.
const UTILITY: &[&str] = &["ANALYZE "];
const POSTGRES_ONLY: &[&str] = &["set_config", "current_setting", "clock_timestamp", "pg_", "now()"];
/// Temporary tables of PostgreSQL, which every start or `/ready` makes and fills.
const TEMPORARY: &[&str] = &["niks3_probe", "niks3_space"];

/// Statements of one source file: `sqlx::query("…")` and its siblings, with the text or the name of it.
#[derive(Default)]
struct Statements {
    /// Texts by the name of the constant or variable that holds them.
    named: HashMap<String, String>,
    found: Vec<Result<String, String>>,
}

fn literal(expression: &syn::Expr) -> Option<String> {
    match expression {
        syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}

impl<'ast> Visit<'ast> for Statements {
    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        if let Some(text) = literal(&item.expr) {
            self.named.insert(item.ident.to_string(), text);
        }
        visit::visit_item_const(self, item);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let (syn::Pat::Ident(name), Some(init)) = (&local.pat, &local.init)
            && let Some(text) = literal(&init.expr)
        {
            self.named.insert(name.ident.to_string(), text);
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(function) = &*call.func
            && let [module, name] = &*function
                .path
                .segments
                .iter()
                .map(|s| s.ident.to_string())
                .collect::<Vec<_>>()
            && module == "sqlx"
            && name.starts_with("query")
        {
            match &call.args[0] {
                syn::Expr::Path(name) => {
                    self.found
                        .push(Err(name.path.require_ident().unwrap().to_string()));
                }
                // The texts of `in_clause`, put together while the server runs.
                syn::Expr::Call(_) => {}
                text => self.found.push(Ok(literal(text).unwrap())),
            }
        }
        visit::visit_expr_call(self, call);
    }
}

/// Every statement, and how many have a text that depends on the database.
fn statements() -> (Vec<String>, usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/catalog/src");
    let (mut texts, mut chosen) = (Vec::new(), 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let mut file = syn::parse_file(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        file.items
            .retain(|item| !matches!(item, syn::Item::Mod(module) if module.content.is_some()));
        let mut statements = Statements::default();
        statements.visit_file(&file);
        for found in statements.found {
            match found {
                Ok(text) => texts.push(text),
                Err(name) => match statements.named.get(&name) {
                    Some(text) => texts.push(text.clone()),
                    None => chosen += 1,
                },
            }
        }
    }
    (texts, chosen)
}

/// Has each prepared by a database that a server has set up.
fn prepare(server: &Server, texts: &[String], foreign: &[&str], prepare: impl Fn(usize, &str) -> String) {
    let own = texts
        .iter()
        .filter(|text| !foreign.iter().chain(TEMPORARY).any(|word| text.contains(word)));
    let script: Vec<String> = own
        .enumerate()
        .map(|(number, text)| prepare(number, text))
        .collect();
    assert!(script.len() > 100, "{} statements", script.len());
    // It panics where one is refused, and an EXPLAIN says much.
    let _ = server.sql(&script.join(";\n"));
}

#[test]
fn every_statement_of_the_sources_is_prepared_by_sqlite_and_by_postgresql() {
    let (texts, chosen) = statements();
    // `ready`, `foreign`: asked at every start, so every test runs them.
    assert!(chosen <= 3, "{chosen} statements have a text that is no literal");
    let sqlite = Server::with(Backend::Embedded, ServerOptions::default());
    prepare(&sqlite, &texts, POSTGRES_ONLY, |_, text| {
        format!("EXPLAIN {text}")
    });
    let options = ServerOptions {
        db: Some(database()),
        ..ServerOptions::default()
    };
    let postgres = Server::with(Backend::Embedded, options);
    prepare(
        &postgres,
        &texts,
        &[SQLITE_ONLY, UTILITY].concat(),
        |number, text| format!("PREPARE statement{number} AS {text}"),
    );
}
