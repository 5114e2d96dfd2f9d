//! Reading files again at SIGHUP: certificates, the admin token, OpenID Connect providers, and the keys of
//! the object store. A file that is wrong changes nothing, and the log says so.

use std::sync::Arc;

use tokio::signal::unix::Signal;

use crate::app::App;
use crate::auth::oidc::Oidc;
use crate::config::CredentialFiles;
use crate::tls::Tls;

/// What is read again.
pub struct Reload {
    app: Arc<App>,
    tls: Option<Arc<Tls>>,
    files: CredentialFiles,
}

impl Reload {
    /// Takes the files of a server.
    pub(crate) const fn new(app: Arc<App>, tls: Option<Arc<Tls>>, files: CredentialFiles) -> Self {
        Self { app, tls, files }
    }

    /// Reads everything again at each signal.
    pub(crate) async fn at(self, mut hangup: Signal) {
        let this = Arc::new(self);
        while hangup.recv().await.is_some() {
            let _ = sd_notify::notify(&[
                sd_notify::NotifyState::Reloading,
                sd_notify::NotifyState::monotonic_usec_now().unwrap_or(sd_notify::NotifyState::Reloading),
            ]);
            let reading = this.clone();
            let _ = tokio::task::spawn_blocking(move || reading.read()).await;
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        }
    }

    fn read(&self) {
        if let Some(tls) = &self.tls {
            tls.reload();
        }
        match self.files.admin_token() {
            Ok(token) => {
                self.app.auth.replace_admin_token(token);
                tracing::info!("read the admin token again");
            }
            Err(error) => tracing::error!(why = %error, "the admin token stays as it was"),
        }
        if self.files.oidc_config.is_some() {
            let names: Vec<&str> = self.app.signer.key_names().collect();
            let read = self.files.oidc(&names).map_err(|error| error.to_string());
            match read.and_then(Oidc::new) {
                Ok(oidc) => {
                    self.app.auth.replace_oidc(oidc);
                    tracing::info!("read the OpenID Connect providers again");
                }
                Err(why) => tracing::error!(why, "the OpenID Connect providers stay as they were"),
            }
        }
        self.app.bucket.read_credentials_again();
    }
}
