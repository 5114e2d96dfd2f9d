//! Whether what the rows of a server's database refer to is there.

use std::collections::{BTreeMap, BTreeSet};

use niks3_test_support::Server;

/// A column whose values are ids of another table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Table of the column.
    pub table: String,
    /// The column.
    pub column: String,
    /// Table with the ids.
    pub target: String,
    /// It is a foreign key; otherwise 0 names nothing.
    pub foreign_key: bool,
}

/// References of hot rows, which are no foreign keys: the server itself keeps what they name.
const KEPT_BY_THE_SERVER: [(&str, &str, &str); 5] = [
    ("paths", "object_id", "objects"),
    ("push_paths", "path_id", "paths"),
    ("push_paths", "object_id", "objects"),
    ("gc_dirty", "path_id", "paths"),
    ("logs", "push_id", "pushes"),
];

/// Columns with packed lists of ids of paths.
const PACKED: [&str; 3] = ["paths", "push_paths", "replacements"];

fn is_sqlite(server: &Server) -> bool {
    server.db().starts_with("sqlite:")
}

fn fields(line: &str) -> Vec<String> {
    line.split('|').map(str::to_owned).collect()
}

/// Every reference that the schema has.
#[must_use]
pub fn references(server: &Server) -> Vec<Reference> {
    let foreign_keys = match is_sqlite(server) {
        true => {
            "SELECT m.name, f.\"from\", f.\"table\" FROM sqlite_master m, pragma_foreign_key_list(m.name) f \
             WHERE m.type = 'table' AND f.\"to\" = 'id'"
        }
        false => {
            "SELECT c.conrelid::regclass, a.attname, c.confrelid::regclass FROM pg_constraint c JOIN pg_attribute a \
             ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] JOIN pg_attribute t \
             ON t.attrelid = c.confrelid AND t.attnum = c.confkey[1] AND t.attname = 'id' \
             WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace"
        }
    };
    let reference = |table: &str, column: &str, target: &str, foreign_key| Reference {
        table: table.to_owned(),
        column: column.to_owned(),
        target: target.to_owned(),
        foreign_key,
    };
    let rows = server.sql(foreign_keys);
    let mut found: Vec<Reference> = rows
        .iter()
        .map(|row| fields(row))
        .map(|row| reference(&row[0], &row[1], &row[2], true))
        .collect();
    let kept = KEPT_BY_THE_SERVER.iter();
    found.extend(kept.map(|(table, column, target)| reference(table, column, target, false)));
    found.sort();
    found
}

/// Every column whose name says that it has ids: pairs of table and column, with whether it has numbers.
#[must_use]
pub fn id_columns(server: &Server) -> BTreeMap<(String, String), bool> {
    let columns = match is_sqlite(server) {
        true => {
            "SELECT m.name, t.name, t.type FROM sqlite_master m, pragma_table_info(m.name) t \
             WHERE m.type = 'table' AND t.name LIKE '%!_id' ESCAPE '!'"
        }
        false => {
            "SELECT table_name, column_name, data_type FROM information_schema.columns \
             WHERE table_schema = current_schema() AND column_name LIKE '%!_id' ESCAPE '!'"
        }
    };
    let rows = server.sql(columns);
    rows.iter()
        .map(|row| fields(row))
        .map(|row| ((row[0].clone(), row[1].clone()), row[2].to_lowercase() != "text"))
        .collect()
}

/// Whether the ids of a table are never given out again.
#[must_use]
pub fn never_reuses_ids(server: &Server, table: &str) -> bool {
    let question = match is_sqlite(server) {
        true => format!(
            "SELECT count(*) FROM sqlite_master WHERE name = '{table}' AND sql LIKE '%PRIMARY KEY AUTOINCREMENT%'"
        ),
        false => format!(
            "SELECT count(*) FROM information_schema.columns WHERE table_schema = current_schema() \
             AND table_name = '{table}' AND column_name = 'id' AND is_identity = 'YES' AND identity_cycle = 'NO'"
        ),
    };
    server.sql(&question) == ["1"]
}

/// What rows refer to and is not there, a sentence for each reference; nothing in a database that is right, whatever
/// has happened to it.
#[must_use]
pub fn dangling_references(server: &Server) -> Vec<String> {
    let mut found = Vec::new();
    for Reference {
        table,
        column,
        target,
        foreign_key,
    } in references(server)
    {
        let none = if foreign_key { "" } else { "AND r.COLUMN <> 0" }.replace("COLUMN", &column);
        let question = format!(
            "SELECT r.{column} FROM {table} r WHERE r.{column} IS NOT NULL {none} \
             AND NOT EXISTS (SELECT 1 FROM {target} t WHERE t.id = r.{column})"
        );
        for id in server.sql(&question) {
            found.push(format!("{table}.{column} is {id}, which {target} has not"));
        }
    }
    let ids: BTreeSet<i64> = server
        .sql("SELECT id FROM paths")
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
    for table in PACKED {
        let question = match is_sqlite(server) {
            true => format!("SELECT hex(refs) FROM {table} WHERE length(refs) > 0"),
            false => format!("SELECT encode(refs, 'hex') FROM {table} WHERE length(refs) > 0"),
        };
        for packed in server.sql(&question) {
            let missing = unpacked(&packed).into_iter().filter(|id| !ids.contains(id));
            found.extend(missing.map(|id| format!("{table}.refs has {id}, which paths has not")));
        }
    }
    found
}

/// Numbers of eight bytes in hexadecimal, little end first.
fn unpacked(hex: &str) -> Vec<i64> {
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    bytes
        .chunks(8)
        .map(|chunk| i64::from_le_bytes(chunk.try_into().unwrap()))
        .collect()
}
