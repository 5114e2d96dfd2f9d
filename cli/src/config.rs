//! The servers that `niks3 login` has stored: `config.toml`, and a file for the token of each.

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use toml_edit::{DocumentMut, Item, Table, TableLike, value};
use url::Url;

/// For the owner alone, as a token file has to be.
const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;

/// Why the servers cannot be read or stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A file or a folder.
    #[error("cannot use {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// The contents of `config.toml`.
    #[error("{}: {fault}", path.display())]
    Malformed { path: PathBuf, fault: String },
    /// There is no such server.
    #[error("there is no server {name:?}; {known}")]
    Unknown { name: String, known: String },
    /// There is no folder to store anything in.
    #[error("there is no folder for the configuration: set HOME or XDG_CONFIG_HOME")]
    NoFolder,
}

/// A server that the user has logged in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredServer {
    pub(crate) name: String,
    pub(crate) url: Url,
    /// File with the token, if one is stored.
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) is_default: bool,
}

/// `config.toml`, with its comments.
#[derive(Debug)]
pub(crate) struct Config {
    folder: PathBuf,
    document: DocumentMut,
}

/// Whether two addresses are of the same server: scheme, host, port and path are equal.
pub(crate) fn is_same_server(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host() == b.host()
        && a.port_or_known_default() == b.port_or_known_default()
        && a.path().trim_end_matches('/') == b.path().trim_end_matches('/')
}

/// `$XDG_CONFIG_HOME/niks3`, or `~/.config/niks3`.
pub(crate) fn folder() -> Result<PathBuf, ConfigError> {
    let variable = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("XDG_CONFIG_HOME")
        .or_else(|| Some(variable("HOME")?.join(".config")))
        .map(|config| config.join("niks3"))
        .ok_or(ConfigError::NoFolder)
}

impl Config {
    /// What is stored; nothing if there is no file.
    pub(crate) fn load() -> Result<Self, ConfigError> {
        match folder() {
            Ok(folder) => Self::load_from(folder),
            // Nothing is stored where there is no place for it.
            Err(_) => Ok(Self {
                folder: PathBuf::new(),
                document: DocumentMut::new(),
            }),
        }
    }

    fn load_from(folder: PathBuf) -> Result<Self, ConfigError> {
        let path = folder.join("config.toml");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            // A service may not look into the home of its user, and has nothing stored there.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
                ) =>
            {
                String::new()
            }
            Err(source) => return Err(ConfigError::Io { path, source }),
        };
        let document = text.parse::<DocumentMut>().map_err(|error| {
            let before = error
                .span()
                .and_then(|span| text.get(..span.start))
                .unwrap_or_default();
            ConfigError::Malformed {
                path: path.clone(),
                fault: format!("line {}: {}", before.lines().count().max(1), error.message()),
            }
        })?;
        Ok(Self { folder, document })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    fn malformed(&self, fault: String) -> ConfigError {
        ConfigError::Malformed {
            path: self.path(),
            fault,
        }
    }

    /// All servers, by name.
    pub(crate) fn servers(&self) -> Result<Vec<StoredServer>, ConfigError> {
        let default = self.document.get("default").and_then(Item::as_str);
        let Some(servers) = self.document.get("servers") else {
            return Ok(Vec::new());
        };
        let servers = servers.as_table_like().ok_or_else(|| {
            self.malformed("servers: a table [servers.NAME] for each server is expected".to_owned())
        })?;
        let mut all = Vec::new();
        for (name, server) in servers.iter() {
            let text = |key: &str| {
                let server: &dyn TableLike = server.as_table_like()?;
                server.get(key)?.as_str()
            };
            let url = text("url")
                .and_then(|url| url.parse::<Url>().ok())
                .filter(Url::has_host);
            all.push(StoredServer {
                name: name.to_owned(),
                url: url.ok_or_else(|| {
                    self.malformed(format!(
                        "servers.{name}.url: an address such as https://niks3.example.com is expected"
                    ))
                })?,
                token_file: text("token-file").map(|file| self.folder.join(file)),
                is_default: default == Some(name),
            });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The server of a name.
    pub(crate) fn server(&self, name: &str) -> Result<StoredServer, ConfigError> {
        let all = self.servers()?;
        let names: Vec<&str> = all.iter().map(|server| server.name.as_str()).collect();
        let known = match names[..] {
            [] => "`niks3 login NAME URL` stores one".to_owned(),
            _ => format!("stored are {}", names.join(", ")),
        };
        all.iter()
            .find(|server| server.name == name)
            .cloned()
            .ok_or_else(|| ConfigError::Unknown {
                name: name.to_owned(),
                known,
            })
    }

    /// Stores a server, and its token if there is one; the first one is the default.
    pub(crate) fn store(
        &mut self,
        name: &str,
        url: &Url,
        token: Option<&str>,
        as_default: bool,
    ) -> Result<(), ConfigError> {
        if self.folder.as_os_str().is_empty() {
            return Err(ConfigError::NoFolder);
        }
        make_private_folder(&self.folder)?;
        let file = format!("tokens/{name}");
        let token_file = self.folder.join(&file);
        match token {
            Some(token) => {
                make_private_folder(&self.folder.join("tokens"))?;
                write_private(&token_file, &format!("{token}\n"))?;
            }
            None => remove(&token_file)?,
        }
        let is_first = self.servers()?.is_empty();
        let servers = self.document.entry("servers").or_insert_with(|| {
            let mut table = Table::new();
            // Only [servers.NAME] is written.
            table.set_implicit(true);
            Item::Table(table)
        });
        let mut server = Table::new();
        server.insert("url", value(url.as_str().trim_end_matches('/')));
        if token.is_some() {
            server.insert("token-file", value(file));
        }
        if let Some(servers) = servers.as_table_like_mut() {
            servers.insert(name, Item::Table(server));
        }
        if is_first || as_default {
            self.document.insert("default", value(name));
        }
        self.save()
    }

    /// Forgets a server and its token.
    pub(crate) fn remove(&mut self, name: &str) -> Result<StoredServer, ConfigError> {
        let server = self.server(name)?;
        if let Some(servers) = self.document.get_mut("servers").and_then(Item::as_table_like_mut) {
            servers.remove(name);
        }
        if server.is_default {
            self.document.remove("default");
        }
        self.save()?;
        if let Some(file) = &server.token_file {
            remove(file)?;
        }
        Ok(server)
    }

    fn save(&self) -> Result<(), ConfigError> {
        write_private(&self.path(), &self.document.to_string())
    }
}

fn make_private_folder(path: &Path) -> Result<(), ConfigError> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE_FOLDER)
        .create(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE_FOLDER)));
    made.map_err(|source| ConfigError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file that its owner alone can read, all of it or nothing.
fn write_private(path: &Path, text: &str) -> Result<(), ConfigError> {
    let io_error = |source| ConfigError::Io {
        path: path.to_owned(),
        source,
    };
    // Such a file is made with mode 0600.
    let mut file = NamedTempFile::new_in(path.parent().unwrap_or(path)).map_err(io_error)?;
    file.write_all(text.as_bytes()).map_err(io_error)?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(PRIVATE_FILE))
        .map_err(io_error)?;
    file.as_file().sync_all().map_err(io_error)?;
    file.persist(path).map_err(|error| io_error(error.error))?;
    Ok(())
}

fn remove(path: &Path) -> Result<(), ConfigError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(ConfigError::Io {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_of_one_server_if_scheme_host_port_and_path_are_equal() {
        let server = url("https://cache.example.com/niks3");
        for same in [
            "https://cache.example.com:443/niks3/",
            "https://CACHE.example.com/niks3",
        ] {
            assert!(is_same_server(&server, &url(same)), "{same}");
        }
        for other in [
            "http://cache.example.com/niks3",
            "https://cache.example.com:8443/niks3",
            "https://cache.example.org/niks3",
            "https://cache.example.com/",
            "https://cache.example.com/niks3/other",
        ] {
            assert!(!is_same_server(&server, &url(other)), "{other}");
        }
    }

    #[test]
    fn comments_stay_and_the_first_server_is_the_default() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.toml"), "# Mine.\n").unwrap();
        let load = || Config::load_from(folder.path().to_owned()).unwrap();
        load()
            .store("work", &url("https://a.example/x/"), Some("t"), false)
            .unwrap();
        load()
            .store("home", &url("https://b.example"), None, false)
            .unwrap();
        let servers = load().servers().unwrap();
        let names: Vec<_> = servers.iter().map(|s| (s.name.as_str(), s.is_default)).collect();
        assert_eq!(names, [("home", false), ("work", true)]);
        assert_eq!(servers[1].url.as_str(), "https://a.example/x");
        assert_eq!(servers[0].token_file, None);
        load()
            .store("home", &url("https://b.example"), None, true)
            .unwrap();
        assert!(load().server("home").unwrap().is_default);
        load().remove("work").unwrap();
        let text = fs::read_to_string(folder.path().join("config.toml")).unwrap();
        assert!(text.contains("# Mine.") && !text.contains("work"), "{text}");
        assert!(!folder.path().join("tokens/work").exists());
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("config.toml"),
            "default = \"a\"\nservers = [\n",
        )
        .unwrap();
        let error = Config::load_from(folder.path().to_owned())
            .unwrap_err()
            .to_string();
        assert!(error.contains("config.toml: line "), "{error}");
        fs::write(folder.path().join("config.toml"), "[servers.a]\nurl = 7\n").unwrap();
        let error = Config::load_from(folder.path().to_owned())
            .unwrap()
            .servers()
            .unwrap_err();
        assert!(error.to_string().contains("servers.a.url"), "{error}");
    }
}
