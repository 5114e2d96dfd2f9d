//! The runner of GitHub Actions, as far as an action can tell: a process that lives as long as the job, files for what
//! steps say, and an endpoint that gives out tokens.

mod files;
mod step;
mod tokens;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::eventually::eventually;
use crate::process::{Output, Running, run};
use crate::store::Store;
use files::pairs;

pub use files::Pairs;
pub use step::{Step, Use};
pub use tokens::{Github, GithubApi, TokenEndpoint};

/// A job on a runner.
#[derive(Debug)]
pub struct Job {
    folder: TempDir,
    environment: Pairs,
    worker: Running,
    steps: usize,
    /// Whom the steps run as, if not as whoever runs the test.
    user: Option<&'static str>,
}

/// A step that goes on.
#[derive(Debug)]
pub struct Started {
    folder: PathBuf,
}

impl Job {
    /// A job for a store, whose folder has a name.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self::in_folder(store, "w")
    }

    /// A job whose temporary folder lies in one with this name.
    #[must_use]
    pub fn in_folder(store: &Store, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join(name);
        for name in ["temp", "workspace"] {
            std::fs::create_dir_all(base.join(name)).unwrap();
        }
        let mut environment = Pairs::new();
        let mut set =
            |name: &str, value: &Path| environment.insert(name.to_owned(), value.display().to_string());
        set("RUNNER_TEMP", &base.join("temp"));
        set("GITHUB_WORKSPACE", &base.join("workspace"));
        let mut command = Command::new("true");
        store.prepare(&mut command);
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                environment.insert(
                    name.to_str().unwrap().to_owned(),
                    value.to_str().unwrap().to_owned(),
                );
            }
        }
        for (name, value) in [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "push"),
            ("LANG", "C.UTF-8"),
        ] {
            environment.insert(name.to_owned(), value.to_owned());
        }
        Self {
            folder,
            environment,
            worker: worker(None),
            steps: 0,
            user: None,
        }
    }

    /// A job that reaches the store through a daemon alone; of another user, if one is
    /// named, for which it takes root.
    #[must_use]
    pub fn through_daemon(store: &Store, user: Option<&'static str>, daemon: &Path) -> Self {
        let mut job = Self::new(store);
        job.user = user;
        job.worker = worker(user);
        for name in [
            "HOME",
            "XDG_CACHE_HOME",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
        ] {
            let home = job.folder.path().join("home");
            std::fs::create_dir_all(&home).unwrap();
            job.set(name, &home.display().to_string());
        }
        job.set("NIX_REMOTE", &format!("unix://{}", daemon.display()));
        job.hand_over();
        job
    }

    /// Gives everything that was written to whom it is for.
    fn hand_over(&self) {
        if let Some(user) = self.user {
            let _ = run(Command::new("chown").args(["-R", user]).arg(self.folder.path())).ok();
        }
    }

    /// Sets a variable for all steps that follow.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Unsets one.
    pub fn unset(&mut self, name: &str) {
        self.environment.remove(name);
    }

    /// A variable as steps see it.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// The temporary folder of the job.
    #[must_use]
    pub fn temporary(&self) -> PathBuf {
        self.environment["RUNNER_TEMP"].clone().into()
    }

    /// The folder in which steps run.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.environment["GITHUB_WORKSPACE"].clone().into()
    }

    /// The main step of an action.
    pub fn main(&mut self, action: &mut Use) -> Step {
        action.state.clear();
        self.step(action)
    }

    /// The post step of an action.
    pub fn post(&mut self, action: &mut Use) -> Step {
        assert!(action.state.contains_key("started"), "main has not run");
        self.step(action)
    }

    fn step(&mut self, action: &mut Use) -> Step {
        let started = self.begin(action);
        self.end(action, &started)
    }

    /// Begins the main or the post step of an action.
    pub fn begin(&mut self, action: &Use) -> Started {
        let mut environment = self.environment.clone();
        for (name, value) in &action.inputs {
            environment.insert(format!("INPUT_{}", name.to_uppercase()), value.clone());
        }
        for (name, value) in &action.state {
            environment.insert(format!("STATE_{name}"), value.clone());
        }
        self.start(
            environment,
            &["node".to_owned(), action.shim.display().to_string()],
        )
    }

    /// Waits for the end of a step, and takes over what it said in files.
    pub fn end(&mut self, action: &mut Use, started: &Started) -> Step {
        let output = started.wait();
        let file = |name: &str| std::fs::read_to_string(started.folder.join(name)).unwrap_or_default();
        // A post step has no name in its job's context, and GitHub's runner drops what it sets:
        // `SetOutput` in https://github.com/actions/runner/blob/v2.336.0/src/Runner.Worker/ExecutionContext.cs
        let is_post = action.state.contains_key("started");
        let outputs = if is_post {
            Pairs::new()
        } else {
            pairs(&file("GITHUB_OUTPUT"))
        };
        action.state.extend(pairs(&file("GITHUB_STATE")));
        self.environment.extend(pairs(&file("GITHUB_ENV")));
        Step {
            code: output.code,
            log: output.stdout,
            outputs,
            summary: file("GITHUB_STEP_SUMMARY"),
        }
    }

    /// A step that runs a program.
    #[track_caller]
    pub fn run(&mut self, words: &[&str]) -> Output {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        self.start(self.environment.clone(), &words).wait()
    }

    /// A step that builds an expression, as `Store::build` does; the paths it makes.
    #[track_caller]
    pub fn build(&mut self, expression: &str, options: &[&str]) -> Vec<String> {
        let expression = crate::store::expression(expression);
        let words = [&["nix-build", "--no-out-link", "-E", &expression], options].concat();
        let output = self.run(&words);
        assert!(output.code == 0, "{}", output.stdout);
        let paths = output
            .stdout
            .lines()
            .filter(|line| line.starts_with('/') && !line.contains(' '));
        paths.map(str::to_owned).collect()
    }

    fn start(&mut self, mut environment: Pairs, words: &[String]) -> Started {
        self.steps += 1;
        let folder = self.folder.path().join(format!("step-{}", self.steps));
        std::fs::create_dir(&folder).unwrap();
        for name in [
            "GITHUB_ENV",
            "GITHUB_PATH",
            "GITHUB_OUTPUT",
            "GITHUB_STATE",
            "GITHUB_STEP_SUMMARY",
        ] {
            std::fs::write(folder.join(name), "").unwrap();
            environment.insert(name.to_owned(), folder.join(name).display().to_string());
        }
        let mut script = format!("cd {}\nenv -i \\\n", quoted(&environment["GITHUB_WORKSPACE"]));
        for (name, value) in &environment {
            let _ = writeln!(script, "  {} \\", quoted(&format!("{name}={value}")));
        }
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let at = |name: &str| quoted(&folder.join(name).display().to_string());
        let _ = writeln!(script, "  {} > {} 2>&1 < /dev/null", words.join(" "), at("log"));
        let _ = writeln!(
            script,
            "echo $? > {}\nmv {} {}",
            at("partial"),
            at("partial"),
            at("code")
        );
        std::fs::write(folder.join("script"), script).unwrap();
        self.hand_over();
        let stdin = self.worker.0.stdin.as_mut().unwrap();
        writeln!(stdin, ". {}", at("script")).unwrap();
        Started { folder }
    }

    /// The runner is gone, as after a power cut or a job that was ended by force.
    pub fn kill(&mut self) {
        let _ = self.worker.0.kill();
        let _ = self.worker.0.wait();
    }

    /// The runner has ended, and nobody ever asks how: as in a container whose first process reaps nothing.
    pub fn kill_unreaped(&mut self) {
        let _ = self.worker.0.kill();
    }

    /// Programs that this job has started and that still run: number and command line.
    #[must_use]
    pub fn processes(&self) -> Vec<(u32, String)> {
        let mark = format!("RUNNER_TEMP={}", self.environment["RUNNER_TEMP"]);
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            let read = |name: &str| {
                let bytes = std::fs::read(entry.path().join(name)).unwrap_or_default();
                String::from_utf8_lossy(&bytes).replace('\0', "\n")
            };
            if read("environ").lines().any(|line| line == mark) {
                found.push((pid, read("cmdline").trim().replace('\n', " ")));
            }
        }
        found
    }

    /// The process that runs a subcommand of the action.
    #[must_use]
    pub fn process(&self, subcommand: &str) -> Option<u32> {
        let end = format!("niks3-action {subcommand}");
        self.processes()
            .into_iter()
            .find(|(_, line)| line.ends_with(&end))
            .map(|(pid, _)| pid)
    }

    /// Nothing is left of what actions have started or written.
    #[track_caller]
    pub fn left_nothing(&self) {
        let left = || {
            let files: Vec<_> = std::fs::read_dir(self.temporary()).unwrap().flatten().collect();
            (self.processes(), files)
        };
        eventually("nothing is left", || {
            let (processes, files) = left();
            processes.is_empty() && files.is_empty()
        });
    }
}

impl Started {
    /// Waits for the end.
    #[must_use]
    pub fn wait(&self) -> Output {
        let code = || std::fs::read_to_string(self.folder.join("code")).ok();
        eventually("the step ends", || code().is_some());
        Output {
            code: code().unwrap().trim().parse().unwrap(),
            stdout: self.log(),
            stderr: String::new(),
        }
    }

    /// What it has added to the summary so far.
    #[must_use]
    pub fn summary(&self) -> String {
        std::fs::read_to_string(self.folder.join("GITHUB_STEP_SUMMARY")).unwrap_or_default()
    }

    /// What it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.join("log")).unwrap_or_default()).into_owned()
    }
}

/// The process that is the parent of every step.
fn worker(user: Option<&str>) -> Running {
    let shell = ["sh", "-c", "while read -r line; do eval \"$line\"; done"];
    let mut command = match user {
        None => Command::new(shell[0]),
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", user, "--regid", "nogroup", "--clear-groups", shell[0]]);
            command
        }
    };
    let child: Child = command
        .args(&shell[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Running(child)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
