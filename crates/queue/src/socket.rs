//! The bell: a unix socket whose path is short enough for every system.

use std::{
    fs::{DirBuilder, Permissions},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::net::UnixListener;

use crate::{
    folder::Folder,
    wire::{MAX_LINE, Paths, PathsAnswer},
};

/// macOS has room for 104 bytes, Linux for 108, a zero at the end included.
const MAX_PATH: usize = 100;
/// A directory for a socket alone is called so.
const OWN: &str = "niks3-socket-";
/// Whoever rings does not wait longer: the files are looked at now and then anyway.
const RING: Duration = Duration::from_millis(500);
/// Whoever sends paths through the socket waits this long for each step: a build waits meanwhile.
const SEND: Duration = Duration::from_secs(5);

/// Where the socket of a queue is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    socket: PathBuf,
    /// A directory made for it alone.
    own: Option<PathBuf>,
}

impl Address {
    /// In the folder of the queue; where that is too deep, in a directory of its own in `shallow`, the first that will do.
    pub fn choose(folder: &Folder, shallow: &[PathBuf]) -> io::Result<Self> {
        let inside = folder.path().join("socket");
        if inside.as_os_str().as_bytes().len() <= MAX_PATH {
            return Self {
                socket: inside,
                own: None,
            }
            .recorded(folder);
        }
        let mut last = io::Error::other("no directory for a socket");
        for directory in shallow {
            let own = directory.join(format!("{OWN}{:08x}", rand::random::<u32>()));
            let socket = own.join("socket");
            if socket.as_os_str().as_bytes().len() > MAX_PATH {
                continue;
            }
            match DirBuilder::new().mode(0o700).create(&own) {
                Ok(()) => {
                    return Self {
                        socket,
                        own: Some(own),
                    }
                    .recorded(folder);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A socket that somebody has chosen.
    pub fn at(folder: &Folder, socket: PathBuf) -> io::Result<Self> {
        Self { socket, own: None }.recorded(folder)
    }

    fn recorded(self, folder: &Folder) -> io::Result<Self> {
        std::fs::write(folder.path().join("address"), self.socket.as_os_str().as_bytes())?;
        Ok(self)
    }

    /// The address that whoever made the folder chose.
    #[must_use]
    pub fn of(folder: &Folder) -> Option<Self> {
        let text = std::fs::read(folder.path().join("address")).ok()?;
        let socket = PathBuf::from(std::ffi::OsStr::from_bytes(&text));
        let parent = socket.parent()?.to_owned();
        let is_own = parent.file_name()?.as_bytes().starts_with(OWN.as_bytes());
        let own = (parent != folder.path() && is_own).then_some(parent);
        Some(Self { socket, own })
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Removes the socket, and the directory made for it.
    pub fn remove(&self) {
        let _ = std::fs::remove_file(&self.socket);
        if let Some(own) = &self.own {
            let _ = std::fs::remove_dir(own);
        }
    }
}

/// What a server of the queue listens on.
#[derive(Debug)]
pub struct QueueListener(UnixListener);

impl QueueListener {
    /// Listens at `socket`, for this user and root. Whoever calls holds the lock: what is there is a leftover.
    pub fn bind(socket: &Path) -> io::Result<Self> {
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(socket)?;
        std::fs::set_permissions(socket, Permissions::from_mode(0o600))?;
        Ok(Self(listener))
    }

    /// The socket that systemd has handed over, if it has.
    pub fn from_systemd() -> io::Result<Option<Self>> {
        match listenfd::ListenFd::from_env().take_unix_listener(0)? {
            None => Ok(None),
            Some(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Some(Self(UnixListener::from_std(listener)?)))
            }
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<tokio::net::UnixStream> {
        Ok(self.0.accept().await?.0)
    }
}

/// Tells whoever serves the queue that something new is there; never for long, and it is no harm if nobody hears.
pub fn ring(socket: &Path) -> io::Result<()> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let socket = socket.to_owned();
    // Connecting blocks when too many have rung before: the thread is left behind then.
    std::thread::spawn(move || {
        let rung = UnixStream::connect(&socket).and_then(|mut stream| {
            stream.set_write_timeout(Some(RING))?;
            stream.write_all(b"{\"request\":\"wake\"}\n")
        });
        let _ = sender.send(rung);
    });
    receiver
        .recv_timeout(RING)
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Puts paths into the queue through the socket alone, for whoever may not write into its folder: what the hook of the
/// original niks3 does.
pub fn send_paths(socket: &Path, paths: Vec<String>) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(SEND))?;
    stream.set_read_timeout(Some(SEND))?;
    let mut line = serde_json::to_vec(&Paths { paths })?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(MAX_LINE)).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match serde_json::from_str(&answer)? {
        PathsAnswer::Ok => Ok(()),
        PathsAnswer::Error { message } => Err(io::Error::other(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_folder_gets_a_socket_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let shallow = Folder::create(&dir.path().join("q")).unwrap();
        let chosen = Address::choose(&shallow, &[]).unwrap();
        assert_eq!(chosen.socket(), shallow.path().join("socket"));
        assert_eq!(Address::of(&shallow), Some(chosen));

        let deep = Folder::create(&dir.path().join("d".repeat(120))).unwrap();
        assert!(Address::choose(&deep, &[]).is_err());
        let places = [
            dir.path().join("e".repeat(120)),
            dir.path().join("none"),
            dir.path().to_owned(),
        ];
        let chosen = Address::choose(&deep, &places).unwrap();
        assert_eq!(Address::of(&deep), Some(chosen.clone()));
        let own = chosen.socket().parent().unwrap().to_owned();
        assert!(own.is_dir());
        chosen.remove();
        assert!(!own.exists());
    }
}
