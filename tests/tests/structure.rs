//! How the code is put together: which crate may use which, that modules do not import each other in a circle, and
//! that names are those of the style guide.
//!
//! What is not so yet is listed in `tests/structure`; those lists only shrink. `NIKS3_UPDATE=1` writes them anew when
//! they have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr as _;

use niks3_test_support::run;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use serde_json::{Value, json};

/// What each program and library may use of this workspace, each after all that it may use: arrows point down only.
const MAY_USE: &[(&str, &[&str])] = &[
    ("niks3-arguments", &[]),
    ("niks3-nix", &[]),
    ("niks3-client", &[]),
    ("niks3-push", &["niks3-client", "niks3-nix"]),
    ("niks3-queue", &["niks3-push", "niks3-client", "niks3-nix"]),
    (
        "niks3",
        &[
            "niks3-arguments",
            "niks3-client",
            "niks3-nix",
            "niks3-push",
            "niks3-queue",
        ],
    ),
    (
        "niks3-action",
        &["niks3-client", "niks3-nix", "niks3-push", "niks3-queue"],
    ),
    ("niks3-base", &["niks3-nix"]),
    ("niks3-storage", &["niks3-base", "niks3-nix"]),
    ("niks3-retention", &["niks3-base", "niks3-nix"]),
    ("niks3-catalog", &["niks3-base", "niks3-nix"]),
    ("niks3-auth", &["niks3-base", "niks3-catalog", "niks3-nix"]),
    (
        "niks3-core",
        &[
            "niks3-auth",
            "niks3-base",
            "niks3-catalog",
            "niks3-nix",
            "niks3-retention",
            "niks3-storage",
        ],
    ),
    (
        "niks3-server",
        &[
            "niks3-arguments",
            "niks3-auth",
            "niks3-base",
            "niks3-catalog",
            "niks3-core",
            "niks3-nix",
            "niks3-storage",
        ],
    ),
];

/// The crates that the server is made of, by their folders.
const SERVER: &[&str] = &[
    "server",
    "crates/auth",
    "crates/base",
    "crates/catalog",
    "crates/core",
    "crates/retention",
    "crates/storage",
];

/// What only some crates may use: the web framework and the parser of options are on the top floor, SQL is in the
/// catalog and in the import from another database, S3 in the object store.
const USED_BY: &[(&str, &[&str])] = &[
    ("poem", &["niks3-server"]),
    ("poem-openapi", &["niks3-server"]),
    ("hyper", &["niks3-server"]),
    ("clap", &["niks3", "niks3-arguments", "niks3-server"]),
    ("sqlx", &["niks3-catalog", "niks3-core"]),
    ("aws-sdk-s3", &["niks3-storage"]),
];

/// Names that have a better one, and that one.
const OLD_NAMES: &[(&str, &str)] = &[
    ("GATE", "WRITE_LOCK"),
    ("Census", "CacheStats"),
    ("Door", "AuthContext"),
    ("Failure", "CliError"),
    ("First", "FirstError"),
    ("Impatient", "TimeoutStream"),
    ("Known", "Authenticated"),
    ("Once", "Attempt"),
    ("Order", "TopoOrder"),
    ("Pace", "RateLimiter"),
    ("Paper", "NarinfoContext"),
    ("Referred", "ReferenceStatus"),
    ("Refusal", "AuthError"),
    ("Sentence", "CliError"),
    ("Standing", "HashStatus"),
    ("Stop", "Shutdown"),
    ("Trouble", "ActionError"),
    ("Who", "IdentityKind"),
    ("Whole", "AssembledObject"),
    ("ahead", "narinfo_signatures"),
    ("arrival", "promote_staged"),
    ("bulk", "in_clause"),
    ("bury", "finish_deletion"),
    ("census", "cache_stats"),
    ("circle", "cycle"),
    ("condemn", "mark_unreachable"),
    ("condemned_at", "unreachable_since"),
    ("conditions", "query_filter"),
    ("converse", "serve_connection"),
    ("decide", "claim_ownership"),
    ("described", "request_validation"),
    ("doom", "mark_deleting"),
    ("door", "read_access"),
    ("doors", "attack_surface"),
    ("fence", "deadline"),
    ("gate", "write_lock"),
    ("gated", "under_write_lock"),
    ("landing", "index_page"),
    ("left_out", "external"),
    ("losses", "missing_objects"),
    ("moves", "gc_transitions"),
    ("nar_lost", "mark_nar_missing"),
    ("operation", "route_names"),
    ("pardoned", "reachable_again"),
    ("place", "promote_staged"),
    ("restore", "undelete"),
    ("ripe", "expired"),
    ("settle", "await_deletion"),
    ("show", "publish_batch"),
    ("take_over", "resume_deleting"),
    ("tidy", "remove_empty_dir"),
    ("turn", "lease"),
    ("undecided", "unclaimed"),
    ("vouch", "add_signing_keys"),
    ("white", "unreachable"),
    ("who", "identity"),
    ("wire", "parse"),
];

/// Where an old name is the right one: NARs are restored.
const RIGHT: &[(&str, &str)] = &[("restore", "crates/nix/"), ("restore", "crates/push/")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// Folders with the sources of what is shipped.
fn sources() -> Vec<PathBuf> {
    let crates = std::fs::read_dir(root().join("crates")).unwrap();
    let mut folders: Vec<PathBuf> = crates.map(|entry| entry.unwrap().path()).collect();
    folders.extend(["server", "cli", "action"].map(|name| root().join(name)));
    folders.retain(|folder| !folder.ends_with("test-support"));
    let mut folders: Vec<PathBuf> = folders.into_iter().map(|folder| folder.join("src")).collect();
    folders.sort();
    folders
}

/// Rust files in a folder, without those that are generated.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("generated.rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A path of this repository as it is written in lists.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Compares what is found with a list that may only shrink.
fn only_shrinks(list: &str, found: &BTreeSet<String>, new: impl Fn(&[&String]) -> String) {
    let path = root().join("tests/structure").join(list);
    let update = std::env::var_os("NIKS3_UPDATE").is_some();
    let known: BTreeSet<String> = match std::fs::read_to_string(&path) {
        Err(_) if update => found.clone(),
        text => text.unwrap().lines().map(str::to_owned).collect(),
    };
    let added: Vec<&String> = found.difference(&known).collect();
    assert!(added.is_empty(), "{}", new(&added));
    if update {
        let lines: String = found.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&path, lines).unwrap();
    } else {
        let gone: Vec<&String> = known.difference(found).collect();
        assert!(
            gone.is_empty(),
            "no longer so, run `NIKS3_UPDATE=1 cargo test --workspace --test suites structure::`: {gone:#?}"
        );
    }
}

/// Dependencies that a crate has and must not have, a sentence each. Those of tests do not count.
fn wrong_arrows(packages: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, (name, may_use)) in MAY_USE.iter().enumerate() {
        let Some(package) = packages.iter().find(|package| package["name"] == *name) else {
            wrong.push(format!("there is no crate {name}"));
            continue;
        };
        let dependencies = package["dependencies"].as_array().unwrap();
        let used = dependencies.iter().filter(|used| used["kind"] != "dev");
        for used in used {
            let dependency = used["name"].as_str().unwrap();
            if used["path"].is_string() && !may_use.contains(&dependency) {
                wrong.push(format!("{name} uses {dependency}, and may use {may_use:?}"));
            }
            let only = USED_BY.iter().find(|(known, _)| *known == dependency);
            if let Some((_, by)) = only
                && !by.contains(name)
            {
                wrong.push(format!("{name} uses {dependency}, which only {by:?} may use"));
            }
        }
        let above = may_use
            .iter()
            .filter(|below| MAY_USE[at..].iter().any(|(later, _)| later == *below));
        wrong.extend(above.map(|above| format!("{above} is not below {name}")));
    }
    wrong
}

#[test]
fn crates_use_only_what_is_below_them() {
    let output = run(Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root()))
    .json();
    let packages = output["packages"].as_array().unwrap();
    let wrong = wrong_arrows(packages);
    assert!(wrong.is_empty(), "{wrong:#?}");
    let shipped = sources();
    for package in packages {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let source = manifest.with_file_name("src");
        let name = package["name"].as_str().unwrap();
        assert!(
            !shipped.contains(&source)
                || name == "niks3-client-gen"
                || MAY_USE.iter().any(|(known, _)| *known == name),
            "{name} is not in the table of what crates may use"
        );
    }
    // An arrow that points up, one beside, and a framework on a lower floor are found; what tests use is not counted.
    let mut changed = packages.clone();
    for (name, dependency, path, kind) in [
        ("niks3-nix", "niks3-push", true, None),
        ("niks3-catalog", "niks3-storage", true, None),
        ("niks3-auth", "poem", false, None),
        ("niks3-base", "niks3-test-support", true, Some("dev")),
    ] {
        let package = changed
            .iter_mut()
            .find(|package| package["name"] == name)
            .unwrap();
        let path = path.then_some("/somewhere");
        let dependency = json!({ "name": dependency, "path": path, "kind": kind });
        package["dependencies"].as_array_mut().unwrap().push(dependency);
    }
    assert_eq!(
        wrong_arrows(&changed),
        [
            "niks3-nix uses niks3-push, and may use []",
            "niks3-catalog uses niks3-storage, and may use [\"niks3-base\", \"niks3-nix\"]",
            "niks3-auth uses poem, which only [\"niks3-server\"] may use",
        ]
    );
}

/// Outside of `http`, only who speaks HTTP to somebody else names status codes: the clients of S3 services and the
/// embedded one, and the help texts of options, which say what clients see.
const KNOWS_STATUS_CODES: &[&str] = &[
    "server/src/http",
    "crates/storage/src/s3",
    "crates/storage/src/files/s3.rs",
    "server/src/config/args.rs",
];

/// Lines of a file that name a status code, as a type or in a comment.
fn status_codes(text: &str) -> Vec<&str> {
    let named = |line: &&str| {
        let (code, comment) = line.split_once("//").unwrap_or((line, ""));
        let mut words = comment.split(|c: char| !c.is_ascii_alphanumeric());
        code.contains("StatusCode")
            || words.any(|word| {
                word.len() == 3
                    && word.starts_with(['4', '5'])
                    && word.parse().is_ok_and(|code: u16| http_status(code))
            })
    };
    text.lines().filter(named).collect()
}

/// The status codes that the server answers with when something fails.
const fn http_status(code: u16) -> bool {
    matches!(code, 400..=417 | 422 | 425 | 428 | 429 | 431 | 500..=507)
}

#[test]
fn only_http_knows_status_codes() {
    let mut found = Vec::new();
    let folders = SERVER.iter().map(|folder| root().join(folder).join("src"));
    for file in folders.flat_map(|folder| files(&folder)) {
        let path = shown(&file);
        if KNOWS_STATUS_CODES.iter().any(|place| path.starts_with(place)) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        found.extend(
            status_codes(&text)
                .into_iter()
                .map(|line| format!("{path}: {line}")),
        );
    }
    assert!(
        found.is_empty(),
        "use `ErrorKind` of crates/base/src/error.rs: {found:#?}"
    );
    let examples =
        "/// 404 when there is none\nlet x = StatusCode::OK;\nconst PAGE: i64 = 500;\n// 16404 of 5";
    assert_eq!(status_codes(examples).len(), 2);
}

/// A module by the names from the root of its crate.
type Module = Vec<String>;

/// The modules of a crate, and what each imports of the crate.
#[derive(Default)]
struct Modules {
    imports: BTreeMap<Module, Vec<Vec<String>>>,
}

impl Modules {
    fn of(folder: &Path) -> Self {
        let mut modules = Self::default();
        let library = folder.join("lib.rs").exists();
        for file in files(folder) {
            if library && file == folder.join("main.rs") {
                continue;
            }
            let relative = file.strip_prefix(folder).unwrap().with_extension("");
            let mut module: Module = relative
                .iter()
                .map(|part| part.to_str().unwrap().to_owned())
                .collect();
            if matches!(module.last().unwrap().as_str(), "mod" | "lib" | "main") {
                module.pop();
            }
            let parsed = syn::parse_file(&std::fs::read_to_string(&file).unwrap()).unwrap();
            modules.add(module, parsed.items);
        }
        modules
    }

    fn add(&mut self, module: Module, items: Vec<syn::Item>) {
        let mut paths = Vec::new();
        for item in items {
            match item {
                syn::Item::Mod(inner) => {
                    let test = inner.attrs.iter().any(|attribute| {
                        attribute.path().is_ident("cfg")
                            && attribute.to_token_stream().to_string().contains("test")
                    });
                    if let (Some((_, items)), false) = (inner.content, test) {
                        let mut name = module.clone();
                        name.push(inner.ident.to_string());
                        self.add(name, items);
                    }
                }
                other => find_paths(&mut paths, other.to_token_stream()),
            }
        }
        self.imports.entry(module).or_default().extend(paths);
    }

    /// The module that a path in another one leads into.
    fn resolve(&self, from: &Module, path: &[String]) -> Module {
        let mut full = if path[0] == "crate" {
            Vec::new()
        } else {
            from.clone()
        };
        for name in path {
            match name.as_str() {
                "crate" | "self" => {}
                "super" => {
                    full.pop();
                }
                name => full.push(name.to_owned()),
            }
        }
        while !self.imports.contains_key(&full) && !full.is_empty() {
            full.pop();
        }
        full
    }

    /// Arrows between modules that have the same parent, each with all that is in it; by that parent, and why.
    fn arrows(&self) -> BTreeMap<Module, BTreeMap<(String, String), String>> {
        let mut arrows: BTreeMap<Module, BTreeMap<(String, String), String>> = BTreeMap::new();
        for (from, paths) in &self.imports {
            for path in paths {
                let to = self.resolve(from, path);
                let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                if let (Some(a), Some(b)) = (from.get(common), to.get(common)) {
                    arrows
                        .entry(from[..common].to_vec())
                        .or_default()
                        .entry((a.clone(), b.clone()))
                        .or_insert_with(|| format!("{} imports {}", from.join("::"), path.join("::")));
                }
            }
        }
        arrows
    }
}

/// Paths in the crate that tokens name: those that begin with `crate`, `self` or `super`.
fn find_paths(found: &mut Vec<Vec<String>>, tokens: TokenStream) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => find_paths(found, group.stream()),
            TokenTree::Ident(ident)
                if ["crate", "self", "super"].iter().any(|root| ident == root)
                    && follows(&tokens, at)
                    && !(at > 0 && is_colon(&tokens[at - 1])) =>
            {
                find_tree(found, &tokens[at..], &[]);
            }
            _ => {}
        }
    }
}

fn is_colon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':')
}

/// Whether `::` is behind a token.
fn follows(tokens: &[TokenTree], at: usize) -> bool {
    tokens.get(at + 1).is_some_and(is_colon) && tokens.get(at + 2).is_some_and(is_colon)
}

/// The paths of a tree as in `a::{b, c::d}`.
fn find_tree(found: &mut Vec<Vec<String>>, tokens: &[TokenTree], prefix: &[String]) {
    match tokens.first() {
        Some(TokenTree::Ident(ident)) => {
            let mut path = prefix.to_vec();
            path.push(ident.to_string());
            if follows(tokens, 0) {
                find_tree(found, &tokens[3..], &path);
            } else {
                found.push(path);
            }
        }
        Some(TokenTree::Group(group)) => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            let comma =
                |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
            for part in inner.split(comma) {
                find_tree(found, part, prefix);
            }
        }
        _ => found.push(prefix.to_vec()),
    }
}

/// Groups of two and more that reach each other.
fn circles(arrows: &BTreeMap<(String, String), String>) -> Vec<BTreeSet<String>> {
    let reached = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            for (_, to) in arrows.keys().filter(|(a, _)| a == at) {
                if seen.insert(to.clone()) {
                    open.push(to);
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&str, BTreeSet<String>> = arrows
        .keys()
        .map(|(from, _)| (from.as_str(), reached(from)))
        .collect();
    let mut groups: Vec<BTreeSet<String>> = Vec::new();
    for (from, to) in &reach {
        let group: BTreeSet<String> = to
            .iter()
            .filter(|other| reach.get(other.as_str()).is_some_and(|back| back.contains(*from)))
            .cloned()
            .collect();
        if group.contains(*from) && !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

#[test]
fn modules_do_not_import_each_other_in_a_circle() {
    let mut in_circles = BTreeSet::new();
    let mut reasons = BTreeMap::new();
    for folder in sources() {
        for (parent, arrows) in Modules::of(&folder).arrows() {
            let parent: String = parent.iter().map(|name| format!("{name}/")).collect();
            for group in circles(&arrows) {
                for name in &group {
                    let line = format!("{}/{parent}{name}", shown(&folder));
                    let why = arrows.iter().filter(|((from, to), _)| {
                        (from == name && group.contains(to)) || (to == name && group.contains(from))
                    });
                    let why: Vec<String> = why.map(|(_, why)| why.clone()).collect();
                    reasons.insert(line.clone(), why);
                    in_circles.insert(line);
                }
            }
        }
    }
    only_shrinks("import_circles", &in_circles, |added| {
        let lines = added
            .iter()
            .map(|line| format!("{line}:\n  {}\n", reasons[*line].join("\n  ")));
        format!(
            "modules that import each other in a circle:\n{}",
            lines.collect::<String>()
        )
    });
}

#[test]
fn a_circle_of_imports_is_found_through_groups_macros_and_inner_modules() {
    let mut modules = Modules::default();
    let mut add = |name: &str, text: &str| {
        let items = syn::parse_file(text).unwrap().items;
        modules.add(name.split_terminator("::").map(str::to_owned).collect(), items);
    };
    add("", "mod a; mod b; mod c; mod d;");
    add(
        "a",
        "use crate::{b::{self, X}, d}; #[cfg(test)] mod tests { use crate::c; }",
    );
    add("a::inner", "use super::Y; use super::super::b::X;");
    add("b", "fn f() { println!(\"{}\", crate::c::g()); }");
    add("c", "mod inline { fn f() -> super::super::a::inner::Z {} }");
    add("d", "use crate::e;");
    let arrows = modules.arrows();
    let top = &arrows[&Vec::new()];
    assert_eq!(circles(top), [["a", "b", "c"].map(str::to_owned).into()]);
    // What a parent and its child use of each other is theirs.
    assert!(!arrows.contains_key(&vec!["a".to_owned()]));
}

fn identifiers(found: &mut BTreeSet<String>, tokens: TokenStream) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => identifiers(found, group.stream()),
            TokenTree::Ident(ident) => {
                found.insert(ident.to_string());
            }
            _ => {}
        }
    }
}

#[test]
fn identifiers_and_files_have_the_names_of_the_style_guide() {
    let mut hits = BTreeSet::new();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in sources() {
        for file in files(&folder) {
            let mut found = BTreeSet::new();
            let text = std::fs::read_to_string(&file).unwrap();
            identifiers(&mut found, TokenStream::from_str(&text).unwrap());
            found.insert(file.file_stem().unwrap().to_str().unwrap().to_owned());
            let path = shown(&file);
            for (old, _) in OLD_NAMES.iter().filter(|(old, _)| found.contains(*old)) {
                if !RIGHT
                    .iter()
                    .any(|(word, place)| word == old && path.starts_with(place))
                {
                    let hit = format!("{old} {}", shown(&folder));
                    places.entry(hit.clone()).or_default().push(path.clone());
                    hits.insert(hit);
                }
            }
        }
    }
    only_shrinks("old_names", &hits, |added| {
        let better = |line: &str| {
            let word = line.split(' ').next().unwrap_or_default();
            OLD_NAMES
                .iter()
                .find(|(old, _)| *old == word)
                .map_or("", |(_, better)| better)
        };
        let lines = added
            .iter()
            .map(|line| format!("{line}: {}; in {}\n", better(line), places[*line].join(", ")));
        format!("names that have a better one:\n{}", lines.collect::<String>())
    });
}

/// Sources of the catalog, by what they are called in lists.
fn catalog_sources() -> Vec<(String, TokenStream)> {
    let parse = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        (shown(file), TokenStream::from_str(&text).unwrap())
    };
    files(&root().join("crates/catalog/src"))
        .iter()
        .map(parse)
        .collect()
}

/// Calls that read a column by its number.
fn numbered_columns(found: &mut Vec<String>, tokens: &[TokenTree]) {
    for (at, tree) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = tree {
            numbered_columns(found, &group.stream().into_iter().collect::<Vec<_>>());
        }
        if tree.to_string() != "try_get" {
            continue;
        }
        let argument = tokens[at..].iter().find_map(|tree| match tree {
            TokenTree::Group(group) => Some(group.stream().to_string()),
            _ => None,
        });
        found.extend(argument.filter(|argument| !argument.starts_with('"')));
    }
}

/// Numbers that statements compare states with, or set them to.
fn states_as_digits(found: &mut Vec<String>, tokens: TokenStream) {
    for tree in tokens {
        match tree {
            TokenTree::Group(group) => states_as_digits(found, group.stream()),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "NOT").collect();
                let is_digit = |word: &str| {
                    word.trim_start_matches('(')
                        .starts_with(|c: char| c.is_ascii_digit())
                };
                let is_state = |word: &str| word.ends_with("state") || word.ends_with("kind");
                let is_compared = |word: &str| matches!(word, "=" | "<>" | "<" | ">" | "<=" | ">=" | "IN");
                let numbers = words.windows(3).filter(|words| {
                    is_state(words[0].trim_start_matches('(')) && is_compared(words[1]) && is_digit(words[2])
                });
                found.extend(numbers.map(|words| words.join(" ")));
            }
            _ => {}
        }
    }
}

/// Arguments and fields that are called ids and are mere numbers.
fn bare_ids(found: &mut Vec<String>, tokens: &[TokenTree]) {
    for (at, tree) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = tree {
            bare_ids(found, &group.stream().into_iter().collect::<Vec<_>>());
        }
        let name = tree.to_string();
        let is_id = name
            .rsplit('_')
            .next()
            .is_some_and(|last| matches!(last, "id" | "ids"));
        if !is_id || tokens.get(at + 1).is_none_or(|next| next.to_string() != ":") {
            continue;
        }
        let kind = tokens[at + 2..].iter().take_while(|tree| tree.to_string() != ",");
        let kind: Vec<String> = kind.map(ToString::to_string).collect();
        let words = kind.join(" ");
        if words
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| word == "i64")
        {
            found.push(format!("{name}: {words}"));
        }
    }
}

#[test]
fn the_catalog_has_types_for_ids_names_for_columns_and_words_for_states() {
    let mut found = Vec::new();
    for (file, tokens) in catalog_sources() {
        let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let mut wrong = Vec::new();
        numbered_columns(&mut wrong, &trees);
        states_as_digits(&mut wrong, tokens);
        // Where the types of ids are.
        if !file.ends_with("/ids.rs") {
            bare_ids(&mut wrong, &trees);
        }
        found.extend(wrong.into_iter().map(|what| format!("{file}: {what}")));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_number_for_an_id_a_column_or_a_state_is_found() {
    let text = r#"
        fn f(push_id: i64, ids: &[i64], rows: i64) -> Option<i64> {
            row.try_get::<i64, _>(0)?;
            row.try_get("state")?;
            query("SELECT 1 FROM a WHERE state = 2 AND (b.state IN (0, 1) OR kind <> 1) AND states = 3 AND state = {OPEN}");
        }
    "#;
    let tokens = TokenStream::from_str(text).unwrap();
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut found = Vec::new();
    numbered_columns(&mut found, &trees);
    states_as_digits(&mut found, tokens);
    bare_ids(&mut found, &trees);
    assert_eq!(found.len(), 6, "{found:#?}");
}

/// Number of the highest placeholder in the string literals of some tokens.
fn placeholders(tokens: impl IntoIterator<Item = TokenTree>) -> usize {
    let highest = |text: &str| {
        let numbers = text.split('$').skip(1);
        let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
        numbers.filter_map(|rest| digits(rest).parse().ok()).max()
    };
    let of_tree = |tree: TokenTree| match tree {
        TokenTree::Group(group) => placeholders(group.stream()),
        TokenTree::Literal(literal) => highest(&literal.to_string()).unwrap_or_default(),
        _ => 0,
    };
    tokens.into_iter().map(of_tree).max().unwrap_or_default()
}

fn has_text(tokens: &[TokenTree]) -> bool {
    tokens.iter().any(|tree| match tree {
        TokenTree::Group(group) => has_text(&group.stream().into_iter().collect::<Vec<_>>()),
        TokenTree::Literal(literal) => literal.to_string().contains(' '),
        _ => false,
    })
}

/// The text of a statement, where a name stands for it: what `let` or `const` gives it last.
fn value_of(name: &str, tokens: &[TokenTree]) -> Vec<TokenTree> {
    let is_name = |token: &TokenTree| matches!(token, TokenTree::Ident(ident) if ident == name);
    let is_punct =
        |token: &TokenTree, sign: char| matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign);
    let declared = (1..tokens.len()).rev().find(|&at| {
        let before = tokens[at - 1].to_string();
        is_name(&tokens[at]) && matches!(before.as_str(), "let" | "mut" | "const")
    });
    let value = declared.map_or(&[] as &[_], |at| &tokens[at..]);
    value
        .iter()
        .take_while(|token| !is_punct(token, ';'))
        .cloned()
        .collect()
}

/// Statements that are run with another number of values than their text has placeholders: only those of which text and
/// values are in one expression.
fn find_unbound(found: &mut Vec<String>, constants: &[TokenTree], tokens: &[TokenTree]) {
    for tree in tokens {
        if let TokenTree::Group(group) = tree {
            find_unbound(found, constants, &group.stream().into_iter().collect::<Vec<_>>());
        }
    }
    let is_query =
        |tree: &TokenTree| matches!(tree.to_string().as_str(), "query" | "query_scalar" | "query_as");
    for start in (0..tokens.len()).filter(|&at| is_query(&tokens[at])) {
        let rest = &tokens[start + 1..];
        // After the types, if they are written out.
        let Some(at) = rest.iter().position(|tree| matches!(tree, TokenTree::Group(_))) else {
            continue;
        };
        let generics = rest[..at].iter().map(ToString::to_string).collect::<String>();
        let (TokenTree::Group(arguments), true) =
            (&rest[at], generics.is_empty() || generics.starts_with("::"))
        else {
            continue;
        };
        let mut text: Vec<TokenTree> = arguments.stream().into_iter().collect();
        for argument in arguments.stream() {
            if let TokenTree::Ident(name) = &argument {
                let here = value_of(&name.to_string(), &tokens[..start]);
                text.extend(if here.is_empty() {
                    value_of(&name.to_string(), constants)
                } else {
                    here
                });
            }
        }
        let calls: Vec<String> = rest[at + 1..]
            .iter()
            .take_while(
                |tree| !matches!(tree, TokenTree::Punct(punct) if matches!(punct.as_char(), ';' | ',')),
            )
            .filter(|tree| matches!(tree, TokenTree::Ident(_)))
            .map(ToString::to_string)
            .collect();
        // A text that is made elsewhere is not known here.
        let known = has_text(&text);
        let runs = known
            && calls
                .iter()
                .any(|call| call.starts_with("fetch") || call == "execute");
        let (bound, expected) = (
            calls.iter().filter(|call| *call == "bind").count(),
            placeholders(text.clone()),
        );
        if runs && bound != expected {
            let text: String = text.iter().map(ToString::to_string).collect();
            found.push(format!("{bound} values for {expected} placeholders: {text}"));
        }
    }
}

/// A value that is forgotten is NULL for SQLite, without an error.
#[test]
fn every_placeholder_of_a_statement_has_a_value() {
    let mut statements = 0;
    for file in sources().iter().flat_map(|folder| files(folder)) {
        let text = std::fs::read_to_string(&file).unwrap();
        if !text.contains("sqlx") {
            continue;
        }
        let tokens: Vec<TokenTree> = TokenStream::from_str(&text).unwrap().into_iter().collect();
        let mut found = Vec::new();
        find_unbound(&mut found, &tokens, &tokens);
        assert!(found.is_empty(), "{}: {found:#?}", shown(&file));
        statements += text.matches(".bind(").count();
    }
    assert!(statements > 400, "{statements}");
}

#[test]
fn a_forgotten_value_is_found() {
    let find = |text: &str| {
        let tokens: Vec<TokenTree> = TokenStream::from_str(text).unwrap().into_iter().collect();
        let mut found = Vec::new();
        find_unbound(&mut found, &tokens, &tokens);
        found.len()
    };
    for (text, forgotten) in [
        (
            r#"fn f() { sqlx::query("a $1 $2").bind(a).execute(tx).await?; }"#,
            1,
        ),
        (
            r#"fn f() { sqlx::query("a $1 $2").bind(a).bind(b).execute(tx).await?; }"#,
            0,
        ),
        (
            r#"fn f() { sqlx::query_scalar::<_, i64>("a $1").fetch_one(tx).await?; }"#,
            1,
        ),
        (
            r#"fn f() { let t = format!("a $1 {}", over("b", "$2")); query(b, t, true).bind(a).fetch_one(tx); }"#,
            1,
        ),
        (
            r#"const T: &str = "a $1"; fn f() { sqlx::query(T).fetch_all(tx).await?; }"#,
            1,
        ),
        // The values come later.
        (r#"fn f() { let mut q = sqlx::query("a $1"); q = q.bind(a); }"#, 0),
        // The text comes from elsewhere.
        (
            r#"fn f(text: &str) { sqlx::query(text).bind(a).execute(tx).await?; }"#,
            0,
        ),
    ] {
        assert_eq!(find(text), forgotten, "{text}");
    }
}
