//! The table, in Markdown, and its place in the documentation.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cell::Outcome;
use crate::scenarios::SCENARIOS;
use crate::service::Kind;

const BEGIN: &str = "<!-- written by tests/matrix/run --write -->\n";
const END: &str = "<!-- end -->\n";

type Columns = [(Kind, Vec<(&'static str, Outcome)>)];

/// Cells by the title of their row and the name of their service, as they are written.
type Cells = BTreeMap<(String, String), String>;

fn cells(columns: &Columns) -> Cells {
    let mut cells = Cells::new();
    for (kind, column) in columns {
        for (name, outcome) in column {
            let scenario = SCENARIOS.iter().find(|scenario| scenario.name == *name).unwrap();
            cells.insert(
                (scenario.title.to_owned(), kind.name().to_owned()),
                outcome.to_string(),
            );
        }
    }
    cells
}

fn text(cells: &Cells) -> String {
    let has = |of: &dyn Fn(&(String, String)) -> bool| cells.keys().any(of);
    let kinds = Kind::ALL.map(Kind::name);
    let kinds: Vec<&str> = kinds
        .into_iter()
        .filter(|kind| has(&|key| key.1 == *kind))
        .collect();
    let mut text = format!(
        "| | {} |\n|---|{}\n",
        kinds.join(" | "),
        "---|".repeat(kinds.len())
    );
    for scenario in SCENARIOS
        .iter()
        .filter(|scenario| has(&|key| key.0 == scenario.title))
    {
        let row = kinds.iter().map(|kind| {
            let cell = cells.get(&(scenario.title.to_owned(), (*kind).to_owned()));
            cell.map_or("not run", String::as_str)
        });
        text += &format!(
            "| {} | {} |\n",
            scenario.title,
            row.collect::<Vec<_>>().join(" | ")
        );
    }
    text
}

/// The table of what has run.
pub(crate) fn of(columns: &Columns) -> String {
    text(&cells(columns))
}

/// The cells of a table.
fn read(table: &str) -> Cells {
    let row = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
        inner.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = table.lines();
    let kinds = row(lines.next().unwrap_or_default());
    let mut cells = Cells::new();
    for line in lines.skip(1) {
        let row = row(line);
        let Some((title, row)) = row.split_first() else {
            continue;
        };
        for (kind, cell) in kinds
            .iter()
            .skip(1)
            .zip(row)
            .filter(|(_, cell)| *cell != "not run")
        {
            cells.insert((title.clone(), kind.clone()), cell.clone());
        }
    }
    cells
}

/// Puts what has run into the documentation; what has not stays as it is there.
pub(crate) fn write(columns: &Columns) {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/services.md");
    let before = std::fs::read_to_string(&page).unwrap();
    let (head, rest) = before.split_once(BEGIN).unwrap();
    let (table, tail) = rest.split_once(END).unwrap();
    let mut all = read(table);
    all.extend(cells(columns));
    std::fs::write(page, format!("{head}{BEGIN}{}{END}{tail}", text(&all))).unwrap();
}
