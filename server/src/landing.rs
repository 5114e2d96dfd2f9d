//! The objects that say what the cache is: `nix-cache-info` for Nix, a page for people.

use bytes::Bytes;

use crate::app::App;
use crate::storage::{ObjectKey, StorageError};

/// Writes both where they are missing or no longer true.
///
/// # Errors
/// When the bucket does not answer.
pub async fn write(app: &App) -> Result<(), StorageError> {
    let info = format!(
        "StoreDir: {}\nWantMassQuery: 1\nPriority: {}\n",
        app.store_dir, app.priority
    );
    update(app, &ObjectKey::cache_info(), info).await?;
    if let Some(url) = &app.cache_url {
        update(
            app,
            &ObjectKey::landing_page(),
            page(app, url.as_str().trim_end_matches('/')),
        )
        .await?;
    }
    Ok(())
}

async fn update(app: &App, key: &ObjectKey, text: String) -> Result<(), StorageError> {
    if app.bucket.read(key, text.len()).await?.as_deref() == Some(text.as_bytes()) {
        return Ok(());
    }
    app.bucket.put(key, Bytes::from(text)).await?;
    app.bucket.sync().await
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn page(app: &App, url: &str) -> String {
    let url = escape(url);
    let keys = app.signer.public_keys();
    let list: String = keys
        .iter()
        .map(|key| format!("<li><code>{}</code></li>\n", escape(key)))
        .collect();
    let keys = escape(&keys.join(" "));
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Nix binary cache</title>
<style>
:root {{ color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5 }}
body {{ max-width: 46rem; margin: 2rem auto; padding: 0 1rem }}
pre, code {{ font-family: ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap }}
pre {{ padding: .75rem 1rem; border: 1px solid #8888; border-radius: .5rem }}
</style>
</head>
<body>
<h1>Nix binary cache</h1>
<p>This is a binary cache for <a href="https://nixos.org">Nix</a>, of the store <code>{store}</code>. Its paths are signed with</p>
<ul>
{list}</ul>
<h2>nix.conf</h2>
<pre>extra-substituters = {url}
extra-trusted-public-keys = {keys}</pre>
<h2>NixOS</h2>
<pre>nix.settings = {{
  extra-substituters = [ "{url}" ];
  extra-trusted-public-keys = [ {quoted} ];
}};</pre>
<h2>flake.nix</h2>
<pre>nixConfig = {{
  extra-substituters = [ "{url}" ];
  extra-trusted-public-keys = [ {quoted} ];
}};</pre>
</body>
</html>
"#,
        store = escape(app.store_dir.as_str()),
        quoted = app
            .signer
            .public_keys()
            .iter()
            .map(|key| format!("\"{}\"", escape(key)))
            .collect::<Vec<_>>()
            .join(" "),
    )
}
