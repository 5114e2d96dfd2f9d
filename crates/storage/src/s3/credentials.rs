//! The credentials that requests are signed with, which are read again when the service refuses them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::provider::{self, ProvideCredentials, future};
use aws_sdk_s3::config::interceptors::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextMut, InterceptorContext,
};
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_s3::config::{
    Builder, ConfigBag, Credentials, IdentityCache, Intercept, RuntimeComponents, SharedCredentialsProvider,
};
use aws_sdk_s3::error::BoxError;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use secrecy::ExposeSecret as _;

use super::settings::S3Keys;

/// How long credentials of the environment are used without asking for them again, if they say nothing of it.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How long before their end they are asked for again.
const EARLY: Duration = Duration::from_secs(60);
/// How often a refusal makes the environment be asked again, at most.
const AGAIN: Duration = Duration::from_secs(5);
/// A header of an answer, set inside this process: the credentials of the request have been replaced.
const REPLACED: &str = "x-niks3-credentials-replaced";

/// Where the credentials of an object store come from.
#[derive(Debug, Clone)]
pub(crate) struct CredentialSource(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    /// Of the environment: what it has said, and when.
    cached: Mutex<Option<(Credentials, Instant)>>,
    /// Raised when the credentials are replaced.
    generation: AtomicU64,
}

enum Source {
    Keys(Arc<S3Keys>),
    Environment(SharedCredentialsProvider),
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Keys(_) => "Keys",
            Self::Environment(_) => "Environment",
        })
    }
}

impl CredentialSource {
    fn new(source: Source) -> Self {
        Self(Arc::new(Inner {
            source,
            cached: Mutex::default(),
            generation: AtomicU64::new(0),
        }))
    }

    /// Keys that options give.
    pub(super) fn keys(keys: Arc<S3Keys>) -> Self {
        Self::new(Source::Keys(keys))
    }

    /// Whatever these say: an instance role, a profile, or keys that never change.
    pub(crate) fn provider(provider: SharedCredentialsProvider) -> Self {
        Self::new(Source::Environment(provider))
    }

    /// Makes a client sign with these credentials.
    pub(super) fn configure(&self, config: Builder) -> Builder {
        config
            .credentials_provider(self.clone())
            // The SDK's cache keeps for 15 minutes what has been replaced meanwhile.
            .identity_cache(IdentityCache::no_cache())
            .interceptor(ReadAgain(self.clone()))
            .retry_classifier(RetryReplaced)
    }

    async fn current(&self) -> provider::Result {
        let environment = match &self.0.source {
            Source::Keys(keys) => {
                let (access, secret) = keys.current();
                return Ok(Credentials::new(
                    access,
                    secret.expose_secret(),
                    None,
                    None,
                    "niks3",
                ));
            }
            Source::Environment(provider) => provider,
        };
        if let Some(known) = self.cached() {
            return Ok(known);
        }
        let credentials = environment.provide_credentials().await?;
        *self.lock() = Some((credentials.clone(), Instant::now()));
        Ok(credentials)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Credentials, Instant)>> {
        self.0.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cached(&self) -> Option<Credentials> {
        let cached = self.lock();
        let (credentials, at) = cached.as_ref()?;
        let fresh = match credentials.expiry() {
            Some(end) => SystemTime::now() + EARLY < end,
            None => at.elapsed() < LIFETIME,
        };
        fresh.then(|| credentials.clone())
    }

    fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::SeqCst)
    }

    /// Reads the credentials again: the service has refused them, or the operator says so.
    pub(super) fn read_again(&self) {
        let replaced = match &self.0.source {
            Source::Keys(keys) => match keys.reload() {
                Ok(replaced) => replaced,
                Err(error) => {
                    tracing::error!(why = %error, "the keys of the object store stay as they were");
                    false
                }
            },
            Source::Environment(_) => {
                let mut cached = self.lock();
                let stale = cached.as_ref().is_some_and(|(_, at)| at.elapsed() > AGAIN);
                if stale {
                    *cached = None;
                }
                stale
            }
        };
        if replaced {
            self.0.generation.fetch_add(1, Ordering::SeqCst);
            tracing::info!("read the credentials of the object store again");
        }
    }
}

impl ProvideCredentials for CredentialSource {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

/// The generation of the credentials that an attempt is signed with.
#[derive(Debug)]
struct Generation(u64);

impl Storable for Generation {
    type Storer = StoreReplace<Self>;
}

/// Reads the credentials again when an attempt is refused.
#[derive(Debug)]
struct ReadAgain(CredentialSource);

impl Intercept for ReadAgain {
    fn name(&self) -> &'static str {
        "ReadAgain"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let generation = Generation(self.0.generation());
        config.interceptor_state().store_put(generation);
        Ok(())
    }

    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(response) = context.response_mut() else {
            return Ok(());
        };
        response.headers_mut().remove(REPLACED);
        if !matches!(response.status().as_u16(), 401 | 403) {
            return Ok(());
        }
        let signed_with = config.load::<Generation>().map(|generation| generation.0);
        if signed_with == Some(self.0.generation()) {
            self.0.read_again();
        }
        if signed_with != Some(self.0.generation()) {
            response.headers_mut().insert(REPLACED, "true");
        }
        Ok(())
    }
}

/// Repeats an attempt that was refused for credentials that have been replaced.
#[derive(Debug)]
struct RetryReplaced;

impl ClassifyRetry for RetryReplaced {
    fn name(&self) -> &'static str {
        "RetryReplaced"
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let replaced = context
            .response()
            .is_some_and(|response| response.headers().contains_key(REPLACED));
        match replaced {
            true => RetryAction::transient_error(),
            false => RetryAction::NoActionIndicated,
        }
    }
}
