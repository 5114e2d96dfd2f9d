//! What steps say in files: name and value.

use std::collections::BTreeMap;

/// Names and values.
pub type Pairs = BTreeMap<String, String>;

/// What a file of the runner says, read as the runner does.
pub(super) fn pairs(text: &str) -> Pairs {
    let mut pairs = Pairs::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let equals = line.find('=').unwrap_or(usize::MAX);
        match line.split_once("<<") {
            Some((name, delimiter)) if name.len() < equals => {
                let mut value = Vec::new();
                loop {
                    let line = lines.next().unwrap_or_else(|| panic!("no end of {name}: {text}"));
                    if line == delimiter {
                        break;
                    }
                    value.push(line);
                }
                pairs.insert(name.to_owned(), value.join("\n"));
            }
            _ => {
                let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("no pair: {line}"));
                pairs.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    pairs
}
