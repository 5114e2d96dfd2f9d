//! Tables with a header: as wide as the terminal, and as their contents are where output goes elsewhere.

use std::io::{self, IsTerminal as _};

use comfy_table::{ColumnConstraint, ContentArrangement};

use crate::Failure;

/// A table.
#[derive(Debug)]
pub(crate) struct Table(comfy_table::Table);

impl Table {
    pub(crate) fn new<const N: usize>(header: [&str; N]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        // Scripts split lines into fields, so that elsewhere no line is broken.
        if io::stdout().is_terminal()
            && let Some((terminal_size::Width(width), _)) = terminal_size::terminal_size()
        {
            table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width);
        }
        table.set_header(header);
        Self(table)
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        // A row is one line, whatever a workflow is called.
        self.0
            .add_row(cells.map(|cell| cell.replace(|c: char| c.is_control(), " ")));
    }

    /// Prints it, with two blanks between columns.
    pub(crate) fn print(mut self) -> Result<(), Failure> {
        for column in self.0.column_iter_mut() {
            column.set_padding((0, 2));
        }
        // The first column is the name of the row, which is copied: it stays whole.
        if let Some(name) = self.0.column_mut(0) {
            name.set_constraint(ColumnConstraint::ContentWidth);
        }
        let text: String = self
            .0
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect();
        super::print(&text)
    }
}
