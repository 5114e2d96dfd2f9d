//! `niks3 hook`: a machine's post-build hook, with real builds.

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use niks3_test_support::{Backend, Server, Store, Upstream, eventually, program, run};

struct Machine {
    store: Store,
    server: Server,
}

impl Machine {
    /// A machine whose Nix has the hook.
    fn new() -> Self {
        let store = Store::default();
        let server = Server::start(Backend::Embedded, &store.dir());
        let machine = Self { store, server };
        let hook = machine.store.path("hook");
        let send = format!(
            "#!/bin/sh\nexec {} hook send --queue {}\n",
            program("niks3").display(),
            machine.queue().display()
        );
        std::fs::write(&hook, send).unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
        let config = machine.store.path("etc/nix.conf");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(config, format!("{text}post-build-hook = {}\n", hook.display())).unwrap();
        machine
    }

    fn queue(&self) -> PathBuf {
        self.store.path("queue")
    }

    fn niks3(&self, arguments: &[&str]) -> Command {
        let mut command = self.server.niks3();
        self.store
            .prepare(command.args(arguments).arg("--queue").arg(self.queue()));
        command
    }

    fn serve(&self, arguments: &[&str]) -> Child {
        let mut command = self.niks3(&[&["hook", "serve"], arguments].concat());
        command
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn build(&self, name: &str) -> String {
        self.store
            .build(&format!("build \"{name}\" \"echo {name} > $out\""))
            .remove(0)
    }

    fn is_cached(&self, path: &str) -> bool {
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        self.server.get(&format!("{}.narinfo", &name[..32])).is_some()
    }

    fn waiting(&self) -> usize {
        std::fs::read_dir(self.queue().join("spool")).map_or(0, Iterator::count)
    }
}

#[test]
fn what_a_machine_builds_is_pushed_and_who_serves_ends_when_idle() {
    let machine = Machine::new();
    let early = machine.build("early");
    assert_eq!(machine.waiting(), 1);
    let mut serving = machine.serve(&[]);
    eventually("what waited is pushed", || machine.is_cached(&early));
    let late = machine.build("late");
    eventually("what came is pushed", || machine.is_cached(&late));
    let _ = run(Command::new("kill").args(["-TERM", &serving.id().to_string()]));
    assert!(serving.wait().unwrap().success());
    assert!(!machine.queue().join("socket").exists());

    let last = machine.build("last");
    assert!(machine.serve(&["--idle-exit", "0s"]).wait().unwrap().success());
    assert!(machine.is_cached(&last));
    assert_eq!(machine.waiting(), 0);
}

#[test]
fn what_an_upstream_has_is_left_to_it_though_this_machine_has_built_it() {
    let machine = Machine::new();
    let (theirs, ours) = (machine.build("theirs"), machine.build("ours"));
    let upstream = Upstream::start(&machine.store, "upstream", &[&theirs]);
    let mut serve = machine.niks3(&["hook", "serve", "--idle-exit", "0s"]);
    serve.env("NIKS3_SKIP_UPSTREAM", upstream.argument());
    let _ = run(&mut serve).ok();
    assert_eq!(machine.waiting(), 0);
    assert!(machine.is_cached(&ours) && !machine.is_cached(&theirs));
    // The whole of it, when that is asked for.
    let mut send = machine.niks3(&["hook", "send", &theirs]);
    let _ = run(&mut send).ok();
    let mut serve = machine.niks3(&["hook", "serve", "--idle-exit", "0s", "--no-skip-upstream"]);
    let _ = run(&mut serve).ok();
    assert!(machine.is_cached(&theirs));
}

#[test]
fn what_a_killed_server_of_the_queue_left_is_pushed_by_the_next() {
    let mut machine = Machine::new();
    machine.server.kill();
    let mut serving = machine.serve(&[]);
    let path = machine.build("x");
    eventually("it is kept", || {
        std::fs::read_dir(machine.queue().join("roots")).is_ok_and(|roots| roots.count() > 0)
    });
    serving.kill().unwrap();
    serving.wait().unwrap();
    assert_eq!(machine.waiting(), 1);
    machine.server.resume();
    let mut serving = machine.serve(&["--idle-exit", "1s"]);
    assert!(serving.wait().unwrap().success());
    assert!(machine.is_cached(&path));
}

#[test]
fn one_serves_a_queue_and_a_second_says_so() {
    let machine = Machine::new();
    let mut serving = machine.serve(&[]);
    eventually("it serves", || machine.queue().join("socket").exists());
    let refused = run(&mut machine.niks3(&["hook", "serve"])).fails(1);
    assert!(refused.contains("another process serves"), "{refused}");
    let _ = run(Command::new("kill").args(["-TERM", &serving.id().to_string()]));
    assert!(serving.wait().unwrap().success());
}

#[test]
fn a_socket_of_systemd_is_listened_on_and_stays() {
    let machine = Machine::new();
    let socket = machine.store.path("bell");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "exec 3<&0 < /dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"",
            "sh",
        ])
        .arg(program("niks3"))
        .args(["hook", "serve", "--idle-exit", "2s", "--queue"])
        .arg(machine.queue())
        .env("NIKS3_SERVER_URL", machine.server.url())
        .env("NIKS3_AUTH_TOKEN_FILE", machine.server.token_path())
        .stdin(OwnedFd::from(listener))
        .stderr(Stdio::null());
    machine.store.prepare(&mut command);
    let path = machine.build("x");
    let sent = run(machine
        .niks3(&["hook", "send", &path])
        .arg("--socket")
        .arg(&socket));
    assert_eq!(sent.code, 0, "{sent:?}");
    assert!(command.status().unwrap().success());
    assert!(machine.is_cached(&path) && socket.exists());
}

#[test]
fn a_path_that_cannot_be_pushed_holds_up_no_other() {
    let machine = Machine::new();
    let (good, bad) = (machine.build("good"), machine.build("bad"));
    let _ = run(Command::new("chmod").args(["u+w", &bad]));
    std::fs::write(&bad, "spoiled").unwrap();
    let output = run(&mut machine.niks3(&["hook", "serve", "--idle-exit", "0s"]));
    assert_eq!(output.code, 0, "{output:?}");
    assert!(
        output.stderr.contains("-bad cannot be pushed"),
        "{}",
        output.stderr
    );
    assert!(machine.is_cached(&good) && !machine.is_cached(&bad));
    assert_eq!(machine.waiting(), 0);
}

#[test]
fn what_is_no_store_path_is_not_queued() {
    let machine = Machine::new();
    let refused = run(&mut machine.niks3(&["hook", "send", "/etc/passwd"])).fails(1);
    assert!(refused.contains("'/etc/passwd' is not a store path"), "{refused}");
    assert_eq!(machine.waiting(), 0);
}
