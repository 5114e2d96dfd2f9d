//! Actions and their steps.

use std::path::{Path, PathBuf};

use super::Pairs;
use crate::process::program;

/// How a step went.
#[derive(Debug, Default)]
pub struct Step {
    /// Exit code.
    pub code: i32,
    /// What it printed, standard error too.
    pub log: String,
    /// What it set as outputs; nothing for a post step, of which GitHub keeps none.
    pub outputs: Pairs,
    /// What it added to the summary.
    pub summary: String,
}

impl Step {
    /// Texts of annotations of a level: `notice`, `warning` or `error`.
    #[must_use]
    pub fn annotations(&self, level: &str) -> Vec<String> {
        let prefix = format!("::{level} title=niks3::");
        let texts = self.log.lines().filter_map(|line| line.strip_prefix(&prefix));
        texts.map(str::to_owned).collect()
    }

    /// The step, which has to have gone well.
    #[track_caller]
    #[allow(
        clippy::must_use_candidate,
        clippy::return_self_not_must_use,
        reason = "the check is the point"
    )]
    pub fn green(self) -> Self {
        assert!(self.code == 0, "{self:#?}");
        self
    }

    /// The step, which has to have failed.
    #[track_caller]
    #[allow(
        clippy::must_use_candidate,
        clippy::return_self_not_must_use,
        reason = "the check is the point"
    )]
    pub fn red(self) -> Self {
        assert!(self.code == 1, "{self:#?}");
        self
    }

    /// An output that is a number.
    #[must_use]
    #[track_caller]
    pub fn count(&self, output: &str) -> u64 {
        self.outputs
            .get(output)
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("{output}: {self:#?}"))
    }

    /// How many paths were pushed, cached, failed: the last line of the log that says so.
    #[must_use]
    #[track_caller]
    pub fn counts(&self) -> (u64, u64, u64) {
        let counts = self.log.lines().rev().find_map(|line| {
            let rest = line.strip_prefix("niks3: ")?;
            let (pushed, rest) = rest.split_once(" pushed")?;
            let (before, rest) = rest.split_once(" already cached, ")?;
            let (failed, _) = rest.split_once(" failed")?;
            let cached = before.rsplit(' ').next()?;
            Some((pushed.parse().ok()?, cached.parse().ok()?, failed.parse().ok()?))
        });
        counts.unwrap_or_else(|| panic!("no counts in {self:#?}"))
    }

    /// An output that is a JSON array of texts.
    #[must_use]
    #[track_caller]
    pub fn list(&self, output: &str) -> Vec<String> {
        let text = self
            .outputs
            .get(output)
            .unwrap_or_else(|| panic!("{output}: {self:#?}"));
        serde_json::from_str(text).unwrap()
    }
}

/// One use of an action in a job.
#[derive(Debug, Clone, Default)]
pub struct Use {
    pub(super) inputs: Pairs,
    pub(super) state: Pairs,
    pub(super) shim: PathBuf,
}

impl Use {
    /// The action of this repository, with inputs besides the program of this build.
    #[must_use]
    pub fn new(inputs: &[(&str, &str)]) -> Self {
        let shim = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../action/shim.js");
        Self::default()
            .with("binary", &program("niks3-action").display().to_string())
            .with_shim(shim)
            .with_all(inputs)
    }

    /// With another input.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.inputs.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With more inputs.
    #[must_use]
    pub fn with_all(self, inputs: &[(&str, &str)]) -> Self {
        inputs
            .iter()
            .fold(self, |action, (name, value)| action.with(name, value))
    }

    /// The action `action/NAME` of this repository, with inputs besides the program of this build.
    #[must_use]
    pub fn of(name: &str, inputs: &[(&str, &str)]) -> Self {
        let shim = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../action/{name}/{name}.js"));
        Self::new(inputs).with_shim(shim)
    }

    /// With another starting file.
    #[must_use]
    pub fn with_shim(mut self, shim: PathBuf) -> Self {
        self.shim = shim;
        self
    }
}
