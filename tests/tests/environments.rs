//! Servers with all that they stand on, as this repository starts them: the development environment, and the
//! services of the compose file, as processes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use niks3_test_support::{Running, Store, database, eventually, free_port, program, run};
use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn answers(address: &str) -> bool {
    let url = format!("http://{address}/ready");
    run(Command::new("curl").args(["-fsS", "-m", "5", &url])).code == 0
}

/// A file that the sources have and did not have before.
struct NewSource(PathBuf);

impl NewSource {
    fn new() -> Self {
        let path = repository().join(format!("server/.new-source-{}", std::process::id()));
        std::fs::write(&path, "").unwrap();
        Self(path)
    }
}

impl Drop for NewSource {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The development environment, running.
struct Development {
    script: Running,
    log: PathBuf,
}

impl Development {
    fn start(folder: &Path, store: &Store, arguments: &[&str]) -> Self {
        // What there is to build is built; another build here would change the programs under other tests.
        let bin = folder.join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let cargo = bin.join("cargo");
        std::fs::write(&cargo, "#!/bin/sh\n[ \"$1\" = build ]\n").unwrap();
        let _ = run(Command::new("chmod").arg("+x").arg(&cargo)).ok();
        let target = program("niks3").parent().unwrap().parent().unwrap().to_owned();
        let log = folder.join("log");
        let output = std::fs::File::create(&log).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let script = Command::new(repository().join("scripts/dev"))
            .args(arguments)
            .env("PATH", path)
            .env("CARGO_TARGET_DIR", target)
            .env("NIKS3_DEV_DATA", folder.join("data"))
            .env("NIKS3_DEV_S3_PORT", free_port().to_string())
            .env("NIKS3_DEV_RPC_PORT", free_port().to_string())
            .env("NIKS3_STORE_DIR", store.dir())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self {
            script: Running(script),
            log,
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has started the server so many times.
    fn until_started(&mut self, times: usize, address: &str) {
        eventually("the server answers", || {
            let ended = self.script.0.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}\n{}", self.log());
            self.log().matches("extra-trusted-public-keys").count() >= times && answers(address)
        });
    }

    /// SIGTERM, after which nothing of it runs.
    fn end(mut self, address: &str) {
        let id = self.script.0.id().to_string();
        let _ = run(Command::new("kill").args(["-TERM", &id])).ok();
        assert_eq!(self.script.0.wait().unwrap().code(), Some(143), "{}", self.log());
        assert!(!answers(address));
        let data = self.log.parent().unwrap().join("data").display().to_string();
        let left = run(Command::new("pgrep").args(["-f", "--", &data]));
        assert!(left.stdout.is_empty(), "still running: {}", left.stdout);
    }
}

fn development(services: bool) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::default();
    let address = format!("127.0.0.1:{}", free_port());
    let mut arguments = vec!["--http-addr", &address];
    arguments.extend(services.then_some("--with-postgres-and-garage"));
    let niks3 = |what: &str| {
        let script = format!(". {}/data/env; {what}", folder.path().display());
        let mut command = Command::new("bash");
        store.prepare(command.args(["-euc", &script]));
        run(&mut command).ok()
    };
    let path = store
        .build("build \"developed\" \"echo developed > $out\"")
        .remove(0);

    let mut environment = Development::start(folder.path(), &store, &arguments);
    environment.until_started(1, &address);
    niks3(&format!("niks3 push --pin developed {path}"));
    let source = NewSource::new();
    environment.until_started(2, &address);
    drop(source);
    environment.until_started(3, &address);
    environment.end(&address);

    // What it keeps is there the next time.
    let mut environment = Development::start(folder.path(), &store, &arguments);
    environment.until_started(1, &address);
    assert!(niks3("niks3 pins list").contains(&path));
    let bucket = folder.path().join("data/server/bucket/pins/developed");
    assert_eq!(bucket.exists(), !services, "where the objects are");
    environment.end(&address);
}

#[test]
fn the_development_environment_starts_the_server_again_when_sources_change_and_keeps_its_data() {
    development(false);
    development(true);
}

/// A service of the compose file.
struct Service<'a> {
    about: &'a Value,
    /// What inside a container is something else here.
    here: &'a [(String, String)],
}

impl Service<'_> {
    fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (inside, here) in self.here {
            text = text.replace(inside.as_str(), here);
        }
        text
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let entries = self.about["environment"].as_object().into_iter().flatten();
        entries
            .map(|(name, value)| (name.clone(), self.text(value.as_str().unwrap())))
            .collect()
    }

    fn words(&self, name: &str) -> Vec<String> {
        let words = self.about[name].as_array().unwrap().iter();
        words.map(|word| self.text(word.as_str().unwrap())).collect()
    }
}

/// `ENV` and `ENTRYPOINT` of the Dockerfile's last stage.
fn image() -> (BTreeMap<String, String>, Vec<String>) {
    let text = std::fs::read_to_string(repository().join("Dockerfile")).unwrap();
    let last = text.rsplit_once("\nFROM ").unwrap().1;
    let of = |name: &'static str| last.lines().filter_map(move |line| line.strip_prefix(name));
    let environment = of("ENV ")
        .flat_map(|line| line.split(' '))
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let entry = serde_json::from_str(of("ENTRYPOINT ").next().unwrap()).unwrap();
    (environment, entry)
}

fn start(words: &[String], environment: &BTreeMap<String, String>, log: &Path) -> Running {
    let log = std::fs::File::create(log).unwrap();
    let child = Command::new(&words[0])
        .args(&words[1..])
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn();
    Running(child.unwrap_or_else(|error| panic!("{words:?}: {error}")))
}

#[test]
fn the_services_of_the_compose_file_work_together_with_what_it_gives_them() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let _ = run(Command::new("cp")
        .arg("-r")
        .arg(repository().join("contrib/compose"))
        .arg(here))
    .ok();
    let compose = here.join("compose");
    let _ = run(&mut Command::new(compose.join("secrets.sh"))).ok();
    let text = std::fs::read_to_string(compose.join("compose.yaml")).unwrap();
    let file: Value = serde_saphyr::from_str(&text).unwrap();

    // Each secret that a service asks for is a file that the script has made.
    for (name, secret) in file["secrets"].as_object().unwrap() {
        assert_eq!(secret["file"], format!("./secrets/{name}"));
        assert!(compose.join("secrets").join(name).exists(), "{name}");
    }
    let (s3, rpc, http) = (free_port(), free_port(), free_port());
    let garage = std::env::var("NIKS3_TEST_GARAGE").unwrap();
    let programs = program("niks3").parent().unwrap().display().to_string();
    let own = [
        ("postgres://niks3@postgres/niks3", database()),
        ("http://garage:3900", format!("http://127.0.0.1:{s3}")),
        ("0.0.0.0:3900", format!("127.0.0.1:{s3}")),
        ("127.0.0.1:3900", format!("127.0.0.1:{s3}")),
        ("127.0.0.1:3901", format!("127.0.0.1:{rpc}")),
        ("http://server:5751", format!("http://127.0.0.1:{http}")),
        ("0.0.0.0:5751", format!("127.0.0.1:{http}")),
        ("127.0.0.1:5751", format!("127.0.0.1:{http}")),
        ("/run/secrets", compose.join("secrets").display().to_string()),
        ("/var/lib/garage", here.join("garage").display().to_string()),
        ("/usr/bin", programs),
    ];
    let own: Vec<(String, String)> = own.map(|(inside, here)| (inside.to_owned(), here)).into();
    let service = |name: &str| Service {
        about: &file["services"][name],
        here: &own,
    };

    let of_garage = service("garage");
    let config = compose.join("garage.toml");
    let toml = of_garage.text(&std::fs::read_to_string(&config).unwrap());
    std::fs::write(&config, toml).unwrap();
    let secrets = std::fs::read_to_string(compose.join("secrets/garage.env")).unwrap();
    let mut environment: BTreeMap<String, String> = secrets
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    environment.insert("GARAGE_CONFIG_FILE".into(), config.display().to_string());
    let program_of = |words: Vec<String>| -> Vec<String> {
        let one = |word: String| if word == "/garage" { garage.clone() } else { word };
        words.into_iter().map(one).collect()
    };
    let mut running = start(
        &program_of(of_garage.words("command")),
        &environment,
        &here.join("garage.log"),
    );
    let check = program_of(
        Service {
            about: &of_garage.about["healthcheck"],
            here: &own,
        }
        .words("test"),
    );
    assert_eq!(check[0], "CMD");
    eventually("Garage is healthy", || {
        assert!(running.0.try_wait().unwrap().is_none(), "Garage has ended");
        run(Command::new(&check[1]).args(&check[2..]).envs(&environment)).code == 0
    });

    let of_server = service("server");
    let (of_image, entry) = image();
    let mut environment: BTreeMap<String, String> = of_image
        .into_iter()
        .map(|(name, value)| match value.as_str() {
            "/data" => (name, here.join("data").display().to_string()),
            value => (name, of_server.text(value)),
        })
        .collect();
    environment.extend(of_server.environment());
    let store = Store::default();
    environment.insert("NIKS3_STORE_DIR".into(), store.dir().display().to_string());
    let entry: Vec<String> = entry.iter().map(|word| of_server.text(word)).collect();
    let log = here.join("server.log");
    let mut server = start(&entry, &environment, &log);
    eventually("the server is ready", || {
        let ended = server.0.try_wait().unwrap();
        assert!(ended.is_none(), "{}", std::fs::read_to_string(&log).unwrap());
        answers(&format!("127.0.0.1:{http}"))
    });

    // From outside, by the ports that the file opens.
    let path = store
        .build("build \"composed\" \"echo composed > $out\"")
        .remove(0);
    let outside = [
        ("NIKS3_SERVER_URL", format!("http://127.0.0.1:{http}")),
        (
            "NIKS3_AUTH_TOKEN_FILE",
            compose.join("secrets/api-token").display().to_string(),
        ),
    ];
    let mut push = Command::new(program("niks3"));
    store.prepare(push.args(["push", &path]).envs(outside));
    let _ = run(&mut push).ok();
    let key = std::fs::read_to_string(&log).unwrap();
    let key = key
        .lines()
        .find_map(|line| line.strip_prefix("public key: "))
        .unwrap();
    store.substitutes(&format!("http://127.0.0.1:{http}"), key, &path);

    let of_gc = service("gc");
    let words = of_gc.words("entrypoint");
    let collected = run(Command::new(&words[0])
        .args(&words[1..])
        .env_clear()
        .envs(of_gc.environment()));
    assert!(collected.stderr.contains("completed successfully") || collected.stdout.contains("completed"));
    assert_eq!(collected.code, 0);
}
