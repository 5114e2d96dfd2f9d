//! Main: before anything is built.

use std::{path::PathBuf, process::ExitCode};

use niks3_client::{shown_address, types::CacheConfig};
use niks3_push::LocalStore;
use secrecy::ExposeSecret as _;

use crate::{
    Trouble, daemon, hook,
    inputs::{Inputs, Mode, OnError},
    nix,
    nix_conf::{self, Settings},
    preflight::{self, Permission},
    runner, scan,
    state::{Doing, State},
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
    let trouble = match set_up(&inputs).await {
        Ok(()) => return ExitCode::SUCCESS,
        Err(trouble) => trouble,
    };
    match inputs.on_error {
        OnError::Fail => {
            runner::error("niks3", &trouble.0);
            ExitCode::FAILURE
        }
        OnError::Warn => {
            runner::warning("niks3", &format!("{trouble}. This job pushes nothing"));
            ExitCode::SUCCESS
        }
        OnError::Ignore => {
            runner::log(&format!("niks3: {trouble}. This job pushes nothing"));
            ExitCode::SUCCESS
        }
    }
}

async fn set_up(inputs: &Inputs) -> Result<(), Trouble> {
    let state = State::create()?;
    let result = with_state(inputs, &state).await;
    if result.is_err() && inputs.on_error == OnError::Fail {
        state.remove();
    }
    result
}

async fn with_state(inputs: &Inputs, state: &State) -> Result<(), Trouble> {
    let target = Target::of(inputs);
    let config = preflight::configuration(&target).await?;
    let refused = match may_push(inputs, &target).await {
        Ok(may) => Ok(may),
        Err(trouble) if inputs.on_error == OnError::Fail => return Err(trouble),
        Err(trouble) => Err(trouble),
    };
    let may = *refused.as_ref().unwrap_or(&false);

    let setup = Setup {
        inputs,
        state,
        target: &target,
    };
    let mut settings = setup.reading(&config).await;
    let doing = if may {
        setup.pushing(&mut settings).await?
    } else {
        Doing::Nothing
    };
    if !settings.is_empty() {
        let files = setup.files(&settings)?;
        runner::export(nix_conf::VARIABLE, &files)?;
    }
    State::save(doing)?;
    runner::log(match doing {
        Doing::Hook => "niks3: pushing what is built, while it is built",
        Doing::Scan => "niks3: pushing what is built, when the job is done",
        Doing::Paths => "niks3: pushing the paths named, when the job is done",
        Doing::Nothing => "niks3: pushing nothing",
    });
    refused.map(|_| ())
}

async fn may_push(inputs: &Inputs, target: &Target) -> Result<bool, Trouble> {
    if inputs.mode == Mode::Off {
        return Ok(false);
    }
    match preflight::permission(target).await? {
        Permission::Granted => Ok(true),
        Permission::Never(why) => {
            runner::notice("niks3", &why);
            Ok(false)
        }
    }
}

/// An address of a cache as the log may show it: it may be the server's, with a password.
fn shown(substituter: &str) -> String {
    shown_address(substituter).trim_end_matches('/').to_owned()
}

struct Setup<'a> {
    inputs: &'a Inputs,
    state: &'a State,
    target: &'a Target,
}

impl Setup<'_> {
    /// Settings for reading the cache.
    async fn reading(&self, config: &CacheConfig) -> Settings {
        let mut settings = Settings::default();
        if !self.inputs.configure_nix {
            return settings;
        }
        settings.substituter = preflight::substituter(self.inputs, config, self.target).await;
        match &settings.substituter {
            Some(url) => {
                runner::log(&format!(
                    "niks3: reading from {}, signed by {}",
                    shown(url),
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
    async fn pushing(&self, settings: &mut Settings) -> Result<Doing, Trouble> {
        let store = LocalStore::from_environment().map_err(|error| Trouble(error.to_string()))?;
        let hooked = match self.inputs.mode {
            Mode::Off => return Ok(Doing::Nothing),
            Mode::Paths => return Ok(Doing::Paths),
            Mode::Scan => None,
            Mode::Hook => Some(self.hook(&store, settings).await?),
            Mode::Auto => match self.hook(&store, settings).await {
                Ok(hook) => Some(hook),
                Err(why) => {
                    runner::log(&format!(
                        "niks3: {why}; comparing the store before and after instead"
                    ));
                    None
                }
            },
        };
        if let Some(hook) = hooked {
            settings.post_build_hook = Some(hook);
            daemon::start(self.state, self.target).await?;
            return Ok(Doing::Hook);
        }
        let count = scan::remember(&store, self.state.directory()).await?;
        runner::log(&format!("niks3: the store has {count} paths before the job"));
        Ok(Doing::Scan)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_shows_no_password_of_a_cache() {
        for (substituter, expected) in [
            (
                "https://user:secret@cache.example.com",
                "https://cache.example.com",
            ),
            ("https://cache.example.com/a", "https://cache.example.com/a"),
            ("s3://bucket?profile=x", "s3://bucket?profile=x"),
            ("/mnt/cache", "/mnt/cache"),
        ] {
            assert_eq!(shown(substituter), expected);
        }
    }
}
