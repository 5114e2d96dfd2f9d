//! Main: before anything is built.

use std::{path::PathBuf, process::ExitCode};

use niks3_client::types::CacheConfig;
use niks3_push::LocalStore;
use secrecy::ExposeSecret as _;

use crate::{
    Trouble, daemon, hook,
    inputs::{Inputs, Mode, OnError},
    nix,
    nix_conf::{self, Settings},
    outputs::{Outputs, shown_url},
    preflight::{self, Permission},
    record, runner, scan,
    state::{Doing, State, Use},
    target::Target,
};

/// The main step.
pub(crate) async fn run() -> ExitCode {
    let inputs = match Inputs::from_environment() {
        Ok(inputs) => inputs,
        Err(trouble) => {
            runner::error("niks3", &trouble.0);
            return ExitCode::FAILURE;
        }
    };
    if let Some(token) = &inputs.auth_token {
        runner::mask(token.expose_secret());
    }
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

async fn set_up(inputs: &Inputs, outputs: &mut Outputs) -> Result<(), Trouble> {
    let state = State::create()?;
    let result = with_state(inputs, &state, outputs).await;
    if result.is_err() && inputs.on_error == OnError::Fail {
        state.remove();
    }
    result
}

async fn with_state(inputs: &Inputs, state: &State, outputs: &mut Outputs) -> Result<(), Trouble> {
    let target = Target::of(inputs);
    let config = preflight::configuration(&target).await?;
    let permission = match permission(inputs, &target).await {
        Err(trouble) if inputs.on_error == OnError::Fail => return Err(trouble),
        permission => permission,
    };

    let mut setup = Setup {
        inputs,
        state,
        target: &target,
        outputs,
    };
    let mut settings = setup.reading(&config).await;
    let refused = match permission {
        Ok(Permission::Granted) => {
            setup.outputs.doing = setup.pushing(&mut settings).await?;
            None
        }
        Ok(Permission::Never(why)) => {
            setup.outputs.reason = Some(why);
            None
        }
        Err(trouble) => Some(trouble),
    };
    if !settings.is_empty() {
        let files = setup.files(&settings)?;
        runner::export(nix_conf::VARIABLE, &files)?;
    }
    let doing = outputs.doing;
    state.publish(&Use {
        server_url: outputs.server_url().to_owned(),
        doing,
        paths: inputs.paths.clone(),
        on_error: inputs.on_error,
        substituter: settings.substituter.clone(),
    })?;
    if doing != Doing::Nothing {
        outputs.run_url = record::announce(inputs).await;
    }
    runner::log(match doing {
        Doing::Hook => "niks3: pushing what is built, while it is built",
        Doing::Scan => "niks3: pushing what is built, when the job is done",
        Doing::Paths => "niks3: pushing the paths named, when the job is done",
        Doing::Nothing => "niks3: pushing nothing",
    });
    refused.map_or(Ok(()), Err)
}

async fn permission(inputs: &Inputs, target: &Target) -> Result<Permission, Trouble> {
    if inputs.mode == Mode::Off {
        return Ok(Permission::Never(
            "pushing is switched off by an input".to_owned(),
        ));
    }
    let permission = preflight::permission(target, inputs.pin.as_deref()).await?;
    if let Permission::Never(why) = &permission {
        runner::notice("niks3", why);
    }
    Ok(permission)
}

struct Setup<'a> {
    inputs: &'a Inputs,
    state: &'a State,
    target: &'a Target,
    outputs: &'a mut Outputs,
}

impl Setup<'_> {
    /// Settings for reading the cache.
    async fn reading(&mut self, config: &CacheConfig) -> Settings {
        let mut settings = Settings::default();
        self.outputs.public_keys.clone_from(&config.public_keys);
        if !self.inputs.configure_nix {
            return settings;
        }
        settings.substituter = preflight::substituter(self.inputs, config, self.target).await;
        self.outputs.substituter.clone_from(&settings.substituter);
        match &settings.substituter {
            Some(url) => {
                runner::log(&format!(
                    "niks3: reading from {}, signed by {}",
                    shown_url(url),
                    config.public_keys.join(" ")
                ));
                settings.public_keys.clone_from(&config.public_keys);
            }
            None => runner::notice(
                "niks3",
                "Nix is not set to read the cache: the server names no public address. Give the input `substituter`",
            ),
        }
        settings
    }

    /// Starts what pushes, and adds to the settings what Nix has to know of it.
    async fn pushing(&mut self, settings: &mut Settings) -> Result<Doing, Trouble> {
        let store = LocalStore::from_environment().map_err(|error| Trouble(error.to_string()))?;
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
        if doing == Doing::Scan {
            let count = scan::remember(&store, self.state.directory()).await?;
            runner::log(&format!("niks3: the store has {count} paths before the job"));
        }
        daemon::start(self.state, self.target, doing).await?;
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
    async fn hook(&self, store: &LocalStore, settings: &Settings) -> Result<PathBuf, Trouble> {
        let current = nix::settings(None).await?;
        if !nix::trusts_us(&current).await {
            return Err(Trouble::new(
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
            substituter: settings.substituter.clone(),
            public_keys: settings.public_keys.clone(),
            post_build_hook: Some(script.clone()),
        };
        let files = self.files(&with_hook)?;
        let effective = nix::settings(Some(&files)).await?;
        if effective.get("post-build-hook").map(String::as_str) != script.to_str() {
            return Err(Trouble::new(
                "the environment sets a `post-build-hook` (in NIX_CONFIG?) that ours cannot replace",
            ));
        }
        Ok(script)
    }

    /// Writes nix.conf; the files that Nix is to read from now on.
    fn files(&self, settings: &Settings) -> Result<String, Trouble> {
        let ours = settings.write(self.state.directory())?;
        Ok(format!("{}:{}", ours.display(), nix_conf::current_files()))
    }
}
