//! Files of the runner: name and value, the value between two lines that it cannot contain.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    path::PathBuf,
};

use super::variable;
use crate::ActionError;

/// Sets an environment variable of the steps that follow.
pub(crate) fn export(name: &str, value: &str) -> Result<(), ActionError> {
    append("GITHUB_ENV", &entry(name, value))
}

/// Sets an output of this step.
pub(crate) fn set_output(name: &str, value: &str) -> Result<(), ActionError> {
    append("GITHUB_OUTPUT", &entry(name, value))
}

/// Keeps something for the post step, where it is `STATE_name`.
pub(crate) fn save_state(name: &str, value: &str) -> Result<(), ActionError> {
    append("GITHUB_STATE", &entry(name, value))
}

/// Adds Markdown to the summary of the job.
pub(crate) fn add_summary(markdown: &str) -> Result<(), ActionError> {
    append("GITHUB_STEP_SUMMARY", markdown)
}

/// The summary of this step, written anew whenever there is more to say: whoever kills the step leaves the newest.
#[derive(Debug)]
pub(crate) struct Summary {
    path: Option<PathBuf>,
    /// Bytes that other steps have written; some runners have one file for all.
    before: u64,
}

impl Summary {
    pub(crate) fn of_step() -> Self {
        let path = variable("GITHUB_STEP_SUMMARY").map(PathBuf::from);
        let metadata = path.as_deref().and_then(|path| std::fs::metadata(path).ok());
        Self {
            path,
            before: metadata.map_or(0, |metadata| metadata.len()),
        }
    }

    /// Replaces what this step has written.
    pub(crate) fn write(&self, markdown: &str) -> Result<(), ActionError> {
        let Some(path) = &self.path else { return Ok(()) };
        let written = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .and_then(|mut file| {
                file.set_len(self.before)?;
                file.seek(SeekFrom::End(0))?;
                file.write_all(markdown.as_bytes())
            });
        written.map_err(|error| ActionError::io(&format!("write {}", path.display()), &error))
    }
}

fn entry(name: &str, value: &str) -> String {
    // Nobody can guess it, so no value can end itself early.
    let delimiter = format!("ghadelimiter_{:032x}", rand::random::<u128>());
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

fn append(variable_name: &str, text: &str) -> Result<(), ActionError> {
    // Old runners have no summary, and none has every file.
    let Some(path) = variable(variable_name) else {
        return Ok(());
    };
    File::options()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| ActionError::io(&format!("write {path} ({variable_name})"), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_many_lines_stands_between_two_equal_ones() {
        let text = entry("name", "one\ntwo");
        let lines: Vec<&str> = text.lines().collect();
        let delimiter = lines[0].strip_prefix("name<<").unwrap();
        assert_eq!(lines[1..], ["one", "two", delimiter]);
        assert_ne!(entry("name", ""), entry("name", ""));
    }
}
