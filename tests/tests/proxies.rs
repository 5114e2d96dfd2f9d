//! Real reverse proxies before the server: with and without `--server-url`, at the root of their host and below a path.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use niks3_test_support::{Backend, Running, Server, ServerOptions, Store, eventually, free_port, run};

/// A reverse proxy, started with what docs/proxies.md shows, but for TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proxy {
    Nginx,
    Caddy,
    Traefik,
}

/// A proxy that runs.
struct RunningProxy {
    process: Running,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// The configuration that the document shows under its heading, for `/niks3/` of `example.com`.
    fn documented(self) -> String {
        let (heading, language) = match self {
            Self::Nginx => ("## nginx", "```nginx\n"),
            Self::Caddy => ("## Caddy", "```text\n"),
            Self::Traefik => ("## Traefik", "```yaml\n"),
        };
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/proxies.md");
        let text = std::fs::read_to_string(file).unwrap();
        let section = text.split_once(heading).unwrap().1;
        let block = section.split_once(language).unwrap().1;
        block.split_once("```").unwrap().0.to_owned()
    }

    /// The same for a port of this machine and another server, at the root of the host if that is the path.
    fn config(self, port: u16, path: &str, server: u16) -> String {
        let mut text = self
            .documented()
            .replace("127.0.0.1:5751", &format!("127.0.0.1:{server}"));
        let mut change = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}: {text}");
            text = text.replace(from, to);
        };
        match self {
            Self::Nginx => change(
                "listen 443 ssl;\n  server_name example.com;",
                &format!("listen 127.0.0.1:{port};"),
            ),
            Self::Caddy => change("example.com {", &format!("http://127.0.0.1:{port} {{")),
            Self::Traefik => change("Host(`example.com`)", "Host(`127.0.0.1`)"),
        }
        if path != "/" {
            return text;
        }
        // What the document says of the root of a host.
        match self {
            Self::Nginx => {
                change("location /niks3/", "location /");
                change("    proxy_set_header X-Forwarded-Prefix /niks3;\n", "");
                text
            }
            Self::Caddy => {
                format!("http://127.0.0.1:{port} {{\n  reverse_proxy 127.0.0.1:{server}\n}}\n")
            }
            Self::Traefik => {
                change(" && PathPrefix(`/niks3`)", "");
                change("      middlewares: [niks3]\n", "");
                change(
                    "  middlewares:\n    niks3:\n      stripPrefix:\n        prefixes: [/niks3]\n",
                    "",
                );
                text
            }
        }
    }

    /// Where its program is; nothing where it cannot be had.
    #[allow(clippy::print_stderr, reason = "it says that it is skipped")]
    fn program(self) -> Option<PathBuf> {
        let (name, folders) = match self {
            Self::Nginx => ("nginx", "/usr/sbin:/usr/bin:/usr/local/bin".to_owned()),
            Self::Caddy => ("caddy", std::env::var("PATH").unwrap_or_default()),
            Self::Traefik => ("traefik", std::env::var("NIKS3_TEST_TRAEFIK").unwrap_or_default()),
        };
        let found = std::env::split_paths(&folders).map(|folder| folder.join(name));
        let found = found.into_iter().find(|path| path.exists());
        if found.is_none() {
            assert!(self != Self::Nginx, "nginx, which scripts/setup installs");
            eprintln!("skipped: there is no {name} here; scripts/setup --proxies installs it");
        }
        found
    }

    fn start(self, program: &Path, port: u16, path: &str, server: u16) -> RunningProxy {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display().to_string();
        let config = self.config(port, path, server);
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let mut command = Command::new(program);
        match self {
            Self::Nginx => {
                let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .map(|name| format!("{name}_temp_path {at}/{name};\n"))
                    .concat();
                let around = format!(
                    "daemon off; user root; pid {at}/pid; error_log {at}/errors; events {{}}\n\
                     http {{ access_log off; {temporary}\n{config} }}\n"
                );
                command.args(["-c", &file("nginx.conf", &around), "-p", &at]);
            }
            Self::Caddy => {
                let around = format!("{{\n  admin off\n  auto_https off\n}}\n{config}");
                let config = file("Caddyfile", &around);
                command.args(["run", "--adapter", "caddyfile", "--config", &config]);
            }
            Self::Traefik => {
                command.args([
                    &format!("--entrypoints.web.address=127.0.0.1:{port}"),
                    &format!("--providers.file.filename={}", file("traefik.yaml", &config)),
                    "--global.checknewversion=false",
                    "--global.sendanonymoususage=false",
                ]);
            }
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = command
            .env("HOME", &at)
            .env("XDG_DATA_HOME", &at)
            .env("XDG_CONFIG_HOME", &at)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut running = RunningProxy {
            process: Running(child),
            _folder: folder,
        };
        let url = format!("http://127.0.0.1:{port}{path}health");
        eventually("the proxy passes requests on", || {
            let ended = running.process.0.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "{}",
                std::fs::read_to_string(format!("{at}/log")).unwrap()
            );
            get(&url, "").0 == "200"
        });
        running
    }
}

impl Drop for RunningProxy {
    fn drop(&mut self) {
        // Its workers end with it only if it is asked to.
        let _ = run(Command::new("kill").args(["-TERM", &self.process.0.id().to_string()]));
        let _ = self.process.0.wait();
    }
}

fn get(url: &str, token: &str) -> (String, String) {
    let output = run(Command::new("curl").args([
        "-s",
        "-m",
        "60",
        "-u",
        &format!("any:{token}"),
        "-w",
        "\n%{http_code}",
        url,
    ]));
    let (body, status) = output.stdout.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

/// Everything that people and programs do goes through the proxy.
fn serves_all(proxy: Proxy, path: &str, with_server_url: bool) {
    let Some(program) = proxy.program() else { return };
    let store = Store::default();
    let (front, back) = (free_port(), free_port());
    let address = format!("http://127.0.0.1:{front}{}", path.trim_end_matches('/'));
    let mut arguments = vec!["--cache-url".to_owned(), address.clone()];
    if !with_server_url {
        arguments.extend(["--trusted-proxy".to_owned(), "127.0.0.1".to_owned()]);
    }
    let server = Server::with(
        Backend::Embedded,
        ServerOptions {
            store_dir: Some(store.dir()),
            server_url: with_server_url.then(|| address.clone()),
            port: Some(back),
            arguments,
            ..ServerOptions::default()
        },
    );
    let _proxy = proxy.start(&program, front, path, back);
    let pushed = store
        .build("build \"proxied\" \"head -c 300000 /dev/urandom > $out\"")
        .remove(0);
    let mut push = server.niks3();
    store.prepare(
        push.args(["push", "--no-skip-upstream", &pushed])
            .env("NIKS3_SERVER_URL", &address),
    );
    let _ = run(&mut push).ok();
    store.substitutes(&address, server.public_key(), &pushed);

    let token = server.token();
    let (status, page) = get(&format!("{address}/"), &token);
    assert!(status == "200" && page.contains(&address), "{status}: {page}");
    let (status, page) = get(&format!("{address}/dashboard"), &token);
    assert_eq!(status, "200", "{page}");
    // Every link leads through the proxy.
    let links = page
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    let links: Vec<&str> = links.filter(|link| link.starts_with('/')).collect();
    assert!(links.len() > 5, "{page}");
    for link in links {
        let (status, _) = get(&format!("http://127.0.0.1:{front}{link}"), &token);
        assert_eq!(status, "200", "{link}");
    }
}

macro_rules! in_every_set_up {
    ($($proxy:ident: $module:ident),+) => {$(
        mod $module {
            use super::{Proxy, serves_all};

            #[test]
            fn at_the_root_of_a_host_that_the_server_is_told() {
                serves_all(Proxy::$proxy, "/", true);
            }

            #[test]
            fn at_the_root_of_a_host_that_a_trusted_proxy_tells() {
                serves_all(Proxy::$proxy, "/", false);
            }

            #[test]
            fn below_a_path_that_the_server_is_told() {
                serves_all(Proxy::$proxy, "/niks3/", true);
            }

            #[test]
            fn below_a_path_that_a_trusted_proxy_tells() {
                serves_all(Proxy::$proxy, "/niks3/", false);
            }
        }
    )+};
}

in_every_set_up!(Nginx: nginx, Caddy: caddy, Traefik: traefik);
