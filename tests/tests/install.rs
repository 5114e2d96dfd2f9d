//! What README says of installing works, as far as one machine can show: a release with its checksums, packages for Debian,
//! the names that cargo knows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use niks3_test_support::{Output, Running, eventually, free_port, program, run};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn readme() -> String {
    fs::read_to_string(repository().join("README.md")).unwrap()
}

/// Name of this machine's system in a release.
fn system() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// A release as the workflow makes it, served where `releases/latest/download` is.
struct Release {
    folder: tempfile::TempDir,
    port: u16,
    _server: Running,
}

impl Release {
    fn serve() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["niks3", "niks3-server"] {
            let file = folder.path().join(format!("{name}-{}", system()));
            fs::copy(program(name), file).unwrap();
        }
        // Those of other systems have their lines as well.
        fs::write(folder.path().join("niks3-riscv64-linux"), "x").unwrap();
        let _ = run(Command::new("sh")
            .args(["-c", "sha256sum ./* > SHA256SUMS && rm niks3-riscv64-linux"])
            .current_dir(folder.path()))
        .ok();
        let port = free_port();
        let server = Command::new("python3")
            .args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"])
            .arg(folder.path())
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Running(server);
        eventually("the release is served", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self {
            folder,
            port,
            _server: server,
        }
    }

    /// Types the lines of README in an empty folder; programs go into `bin` of that.
    fn install(&self, folder: &Path) -> Output {
        let readme = readme();
        let block = readme.split("```sh\n").find(|block| block.contains("SHA256SUMS"));
        let block = block.unwrap().split("```").next().unwrap();
        let bin = folder.join("bin").display().to_string();
        fs::create_dir(&bin).unwrap();
        let mut lines = block.to_owned();
        for (theirs, here) in [
            (
                "https://github.com/niks3/push/releases/latest/download",
                format!("http://127.0.0.1:{}", self.port),
            ),
            ("sudo ", String::new()),
            ("/usr/local/bin", bin),
        ] {
            assert!(lines.contains(theirs), "{theirs}: {lines}");
            lines = lines.replace(theirs, &here);
        }
        run(Command::new("bash").args(["-c", &lines]).current_dir(folder))
    }
}

#[test]
fn a_release_is_installed_by_what_the_readme_says_and_one_with_other_bytes_is_not() {
    let release = Release::serve();
    let folder = tempfile::tempdir().unwrap();
    let output = release.install(folder.path());
    assert_eq!(output.code, 0, "{output:?}");
    for name in ["niks3", "niks3-server"] {
        let shown = run(Command::new(folder.path().join("bin").join(name)).arg("--version")).ok();
        assert!(shown.starts_with(&format!("{name} ")), "{shown}");
    }
    let file = release.folder.path().join(format!("niks3-{}", system()));
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let output = release.install(folder.path());
    assert_ne!(output.code, 0, "{output:?}");
    assert_eq!(fs::read_dir(folder.path().join("bin")).unwrap().count(), 0);
}

#[test]
fn what_the_readme_tells_cargo_and_nix_to_install_are_programs_of_this_repository() {
    let metadata = run(
        Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .current_dir(repository()),
    )
    .json();
    let is_program = |name: &str| {
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages.iter().find(|package| package["name"] == name);
        let targets = package.map(|package| package["targets"].as_array().unwrap());
        targets
            .into_iter()
            .flatten()
            .any(|target| target["kind"][0] == "bin" && target["name"] == name)
    };
    let readme = readme();
    let line = |word: &str| {
        let line = readme.lines().find(|line| line.contains(word)).unwrap();
        line.split('`').nth(1).unwrap().to_owned()
    };
    let cargo = line("cargo install ");
    let names = cargo.split_once(" --git ").unwrap().1.split(' ').skip(1);
    let nix = line("nix profile install ");
    let of_flake = nix
        .split(' ')
        .filter_map(|word| word.split_once('#'))
        .map(|(_, name)| name);
    let names: Vec<&str> = names.chain(of_flake).collect();
    assert_eq!(names.len(), 4, "{cargo}; {nix}");
    for name in names {
        assert!(is_program(name), "{name}");
    }
    let packages = fs::read_to_string(repository().join("nix/packages.nix")).unwrap();
    assert!(packages.contains("niks3-server"), "{packages}");
}

/// Builds the packages of the programs beside this test; nothing where cargo-deb is missing.
#[allow(clippy::print_stderr, reason = "it says that it is skipped")]
fn debian_packages(folder: &Path) -> Option<Vec<PathBuf>> {
    let Some(cargo_deb) = std::env::var_os("NIKS3_TEST_CARGO_DEB") else {
        eprintln!("skipped: there is no cargo-deb here; scripts/setup --cargo-deb installs it");
        return None;
    };
    let programs = program("niks3").parent().unwrap().to_owned();
    let script = repository().join("scripts/debian-package");
    let path = format!(
        "{}:{}",
        Path::new(&cargo_deb).display(),
        std::env::var("PATH").unwrap()
    );
    let output = run(Command::new(script)
        .args(["--programs", programs.to_str().unwrap(), "--fast"])
        .arg(folder)
        .env("PATH", path));
    assert_eq!(output.code, 0, "{output:?}");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut packages: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|end| end == "deb"))
        .collect();
    packages.sort();
    assert_eq!(packages.len(), 2, "{packages:?}");
    Some(packages)
}

#[test]
fn the_debian_packages_install_programs_units_manual_pages_and_completions_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(packages) = debian_packages(folder.path()) else {
        return;
    };
    // A system of its own, so that dpkg changes nothing of this one.
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path.trim_start_matches('/'));
    for path in [
        "var/lib/dpkg/info",
        "var/lib/dpkg/updates",
        "var/lib/dpkg/triggers",
    ] {
        fs::create_dir_all(at(path)).unwrap();
    }
    fs::write(at("var/lib/dpkg/status"), "").unwrap();
    let dpkg = |arguments: &[&str]| {
        let mut command = Command::new("dpkg");
        command
            .arg("--root")
            .arg(root.path())
            // The libraries are those of this system, which the other one does not know.
            .args(["--force-depends", "--force-not-root", "--force-script-chrootless"])
            .arg(format!("--log={}", at("var/lib/dpkg.log").display()));
        run(command.args(arguments))
    };
    for package in &packages {
        let output = dpkg(&["--install", package.to_str().unwrap()]);
        assert_eq!(output.code, 0, "{output:?}");
        let name = package.display().to_string();
        let fields = run(Command::new("dpkg-deb").args(["--field", &name, "Depends", "Architecture"])).ok();
        assert!(fields.contains("libc6"), "{fields}");
    }
    for (name, manual) in [
        ("niks3", "man1/niks3.1.gz"),
        ("niks3-server", "man8/niks3-server.8.gz"),
    ] {
        let shown = run(Command::new(at("usr/bin").join(name)).arg("--version")).ok();
        assert!(shown.starts_with(&format!("{name} ")), "{shown}");
        let page = run(Command::new("gzip")
            .arg("-dc")
            .arg(at("usr/share/man").join(manual)))
        .ok();
        assert!(page.contains(".SH"), "{page}");
        let bash = at("usr/share/bash-completion/completions").join(name);
        let script = format!(". {} && complete -p {name}", bash.display());
        let _ = run(Command::new("bash").args(["-c", &script])).ok();
        for file in [
            format!("usr/share/fish/vendor_completions.d/{name}.fish"),
            format!("usr/share/zsh/vendor-completions/_{name}"),
            format!("usr/share/doc/{name}/copyright"),
        ] {
            assert!(fs::metadata(at(&file)).unwrap().len() > 100, "{file}");
        }
    }
    assert!(at("usr/share/man/man1/niks3-push.1.gz").exists());
    // The original's name of the hook runs the same program.
    let hook = run(Command::new(at("usr/bin/niks3-hook")).arg("--help")).ok();
    assert!(hook.contains("send"), "{hook}");
    let units: Vec<String> = fs::read_dir(at("lib/systemd/system"))
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    assert_eq!(units.len(), 6, "{units:?}");
    for unit in &units {
        let text = fs::read_to_string(unit).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("ExecStart=")) {
            let program = line.split(' ').next().unwrap();
            assert!(at(program).exists(), "{unit}: {program}");
        }
    }
    let _ = dpkg(&["--purge", "niks3", "niks3-server"]).ok();
    for path in [
        "usr/bin/niks3",
        "usr/bin/niks3-server",
        "lib/systemd/system/niks3-server.service",
    ] {
        assert!(!at(path).exists(), "{path}");
    }
}
