//! Main: before anything is built.

use std::{path::PathBuf, process::ExitCode};

use niks3_push::LocalStore;

use crate::{
    ActionError, daemon, github, hook,
    inputs::{Inputs, Mode, OnError},
    neighbours,
    netrc::{Netrc, Token},
    nix,
    nix_conf::{self, Settings},
    outputs::Outputs,
    preflight::{self, Permission},
    reading::{self, CurrentNix, Reading},
    record, runner, scan, secrets,
    state::{Doing, State, Use},
    summary,
    target::Target,
};

/// The main step.
pub(crate) async fn run() -> ExitCode {
    secrets::mask_inputs();
    let inputs = match Inputs::from_environment() {
        Ok(inputs) => inputs,
        Err(trouble) => {
            runner::error("niks3", &trouble.0);
            summarize(None, &trouble);
            return ExitCode::FAILURE;
        }
    };
    for text in inputs.warnings() {
        runner::warning("niks3", &text);
    }
    let mut outputs = Outputs::new(&inputs);
    let result = set_up(&inputs, &mut outputs).await;
    if let Err(trouble) = &result {
        outputs.doing = Doing::Nothing;
        outputs.reason = Some(trouble.0.clone());
    }
    let Err(trouble) = result.and(outputs.set()) else {
        return ExitCode::SUCCESS;
    };
    let trouble = ActionError(summary::with_address(&trouble.0, outputs.server_url()));
    if inputs.on_error != OnError::Ignore {
        summarize(Some(outputs.server_url()), &trouble);
    }
    match inputs.on_error {
        OnError::Fail => {
            runner::error("niks3", &trouble.0);
            // Steps that run after a failure can read why.
            let _ = outputs.set();
            ExitCode::FAILURE
        }
        on_error => {
            on_error.annotate(&format!("{trouble}. This job pushes nothing"));
            let _ = outputs.set();
            ExitCode::SUCCESS
        }
    }
}

/// Says in the job's summary why it pushes nothing.
fn summarize(server: Option<&str>, trouble: &ActionError) {
    if let Err(trouble) = runner::add_summary(&summary::refusal(server, &trouble.0)) {
        runner::log(&format!("niks3: {trouble}"));
    }
}

async fn set_up(inputs: &Inputs, outputs: &mut Outputs) -> Result<(), ActionError> {
    let state = State::create()?;
    let result = with_state(inputs, &state, outputs).await;
    if result.is_err() && inputs.on_error == OnError::Fail {
        state.remove();
    }
    result
}

async fn with_state(inputs: &Inputs, state: &State, outputs: &mut Outputs) -> Result<(), ActionError> {
    let target = Target::of(inputs);
    let config = preflight::configuration(&target).await?;
    let permission = match permission(inputs, &target).await {
        Err(trouble) if inputs.on_error == OnError::Fail => return Err(trouble),
        permission => permission,
    };

    let current = CurrentNix::default();
    outputs.public_keys.clone_from(&config.public_keys);
    let reading = reading::prepare(inputs, &config, &target, state, &current).await;
    outputs.substituter.clone_from(&reading.settings.substituter);
    let mut setup = Setup {
        inputs,
        state,
        target: &target,
        current: &current,
        netrc: reading.netrc.as_ref(),
        outputs,
    };
    let mut settings = reading.settings.clone();
    let refused = match &permission {
        Ok(Permission::Granted) => {
            setup.outputs.doing = setup.pushing(&mut settings).await?;
            None
        }
        Ok(Permission::Never(kind)) => {
            setup.outputs.reason = Some(format!("this is {kind}, which gets no token to push with"));
            None
        }
        Ok(Permission::Off) => {
            setup.outputs.reason = Some("pushing is switched off by an input".to_owned());
            None
        }
        Err(trouble) => Some(trouble.0.clone()),
    };
    if !settings.is_empty() {
        let files = setup.files(&settings)?;
        setup.check_netrc(&files).await;
        runner::export(nix_conf::VARIABLE, &files)?;
    }
    let doing = outputs.doing;
    if doing == Doing::Nothing
        && let Some((netrc, token)) = &reading.netrc
    {
        daemon::start_keeping(state, &target, netrc, token)?;
    }
    state.publish(&Use {
        server_url: outputs.server_url().to_owned(),
        doing,
        paths: inputs.paths.clone(),
        on_error: inputs.on_error,
        substituter: settings.substituter.clone(),
        public_keys: outputs.public_keys.clone(),
        ca_cert: inputs.tls.ca_cert().map(str::to_owned),
    })?;
    notices(inputs, &permission, &reading, &current).await;
    if doing != Doing::Nothing {
        let (url, ()) = tokio::join!(record::announce(inputs), github::check_permission(inputs));
        outputs.run_url = url;
    }
    runner::log(match doing {
        Doing::Hook => "niks3: pushing what is built, while it is built",
        Doing::Scan => "niks3: pushing what is built, when the job is done",
        Doing::Paths => "niks3: pushing the paths named, when the job is done",
        Doing::Nothing => "niks3: pushing nothing",
    });
    refused.map_or(Ok(()), |why| Err(ActionError(why)))
}

async fn permission(inputs: &Inputs, target: &Target) -> Result<Permission, ActionError> {
    if inputs.mode == Mode::Off {
        return Ok(Permission::Off);
    }
    preflight::permission(target, inputs.pin.as_deref()).await
}

/// What the job does not do, one notice each.
async fn notices(
    inputs: &Inputs,
    permission: &Result<Permission, ActionError>,
    reading: &Reading,
    current: &CurrentNix,
) {
    match (permission, &reading.problem) {
        (Ok(Permission::Never(kind)), None) => runner::notice(
            "niks3",
            &format!(
                "this is {kind}, which gets no token to push with: it reads the cache and pushes nothing"
            ),
        ),
        (Ok(Permission::Never(kind)), Some(problem)) => runner::notice(
            "niks3",
            &format!(
                "this is {kind}, which gets no token to push with: it pushes nothing, and does not read the cache: {problem}"
            ),
        ),
        (_, Some(problem)) => {
            runner::notice("niks3", &format!("Nix is not set to read the cache: {problem}"))
        }
        (_, None) => {}
    }
    if inputs.configure_nix
        && reading.problem.is_none()
        && let Some(lines) = reading::lines_for_machine(&reading.settings, current).await
    {
        runner::notice("niks3", &lines);
    }
}

struct Setup<'a> {
    inputs: &'a Inputs,
    state: &'a State,
    target: &'a Target,
    current: &'a CurrentNix,
    netrc: Option<&'a (Netrc, Token)>,
    outputs: &'a mut Outputs,
}

impl Setup<'_> {
    /// Starts what pushes, and adds to the settings what Nix has to know of it.
    async fn pushing(&mut self, settings: &mut Settings) -> Result<Doing, ActionError> {
        let store = LocalStore::from_environment().map_err(|error| ActionError(error.to_string()))?;
        let doing = match self.inputs.mode {
            Mode::Off => return Ok(Doing::Nothing),
            Mode::Paths => Doing::Paths,
            _ if self.is_pushed_already() => {
                let reason = "an earlier step of this job pushes what is built to the same server".to_owned();
                runner::log(&format!("niks3: {reason}"));
                self.outputs.reason = Some(reason);
                if self.inputs.paths.is_empty() {
                    return Ok(Doing::Nothing);
                }
                Doing::Paths
            }
            Mode::Scan => Doing::Scan,
            Mode::Hook => {
                settings.post_build_hook = Some(self.hook(&store, settings).await?);
                Doing::Hook
            }
            Mode::Auto => match self.hook(&store, settings).await {
                Ok(hook) => {
                    settings.post_build_hook = Some(hook);
                    Doing::Hook
                }
                Err(why) => {
                    runner::log(&format!(
                        "niks3: {why}; comparing the store before and after instead"
                    ));
                    self.outputs.reason = Some(why.0);
                    Doing::Scan
                }
            },
        };
        let started = daemon::start(self.state, self.target, doing, self.netrc);
        let remembering = scan::remember(&store, self.state.directory());
        if matches!(doing, Doing::Scan | Doing::Hook) {
            let uses: Vec<PathBuf> = State::of_job()
                .iter()
                .map(|used| used.directory().to_owned())
                .collect();
            neighbours::announce(&store, self.state.directory(), &uses);
            let (remembered, started) = tokio::join!(remembering, started);
            started?;
            match remembered {
                Ok(count) => runner::log(&format!("niks3: the store has {count} paths before the job")),
                Err(trouble) if doing == Doing::Scan => return Err(trouble),
                Err(trouble) => runner::log(&format!(
                    "niks3: what the hook does not see will not be found: {trouble}"
                )),
            }
        } else {
            let (remembered, started) = tokio::join!(remembering, started);
            started?;
            if let Err(trouble) = remembered {
                runner::log(&format!(
                    "niks3: what the job uses from the cache will not be found: {trouble}"
                ));
            }
        }
        Ok(doing)
    }

    /// Whether an earlier step pushes everything that is built to this server: nothing is to be counted twice.
    fn is_pushed_already(&self) -> bool {
        let earlier = State::of_job().into_iter().filter_map(|state| state.published());
        earlier
            .filter(|used| matches!(used.doing, Doing::Hook | Doing::Scan))
            .any(|used| used.server_url == self.outputs.server_url())
    }

    /// The hook, written and tried out on Nix's settings.
    async fn hook(&self, store: &LocalStore, settings: &Settings) -> Result<PathBuf, ActionError> {
        let (current, trusted) = self.current.get().await?;
        if !trusted {
            return Err(ActionError::new(
                "Nix takes no post-build hook from this user, who is not among its `trusted-users`",
            ));
        }
        let before = current.get("post-build-hook").filter(|hook| !hook.is_empty());
        let queue = self.state.queue()?;
        let script = hook::write_script(
            self.state.directory(),
            &queue,
            store.store_dir(),
            before.map(String::as_str),
        )?;
        let with_hook = Settings {
            post_build_hook: Some(script.clone()),
            ..settings.clone()
        };
        let files = self.files(&with_hook)?;
        let effective = nix::settings(Some(&files)).await?;
        if effective.get("post-build-hook").map(String::as_str) != script.to_str() {
            return Err(ActionError::new(
                "the environment sets a `post-build-hook` (in NIX_CONFIG?) that ours cannot replace",
            ));
        }
        Ok(script)
    }

    /// Whether Nix takes our netrc file.
    async fn check_netrc(&self, files: &str) {
        let Some((netrc, _)) = self.netrc else { return };
        let effective = nix::settings(Some(files)).await.unwrap_or_default();
        if effective.get("netrc-file").map(String::as_str) != netrc.path.to_str() {
            runner::notice(
                "niks3",
                "the environment sets a `netrc-file` (in NIX_CONFIG?), so Nix reads the cache without a token",
            );
        }
    }

    /// Writes nix.conf; the files that Nix is to read from now on.
    fn files(&self, settings: &Settings) -> Result<String, ActionError> {
        let ours = settings.write(self.state.directory())?;
        Ok(format!("{}:{}", ours.display(), nix_conf::current_files()))
    }
}
