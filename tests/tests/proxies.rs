//! A real nginx before the server: with and without `--server-url`, at the root of its host and below a path.

use std::path::Path;
use std::process::{Command, Stdio};

use niks3_test_support::{Backend, Running, Server, ServerOptions, Store, eventually, free_port, run};

/// nginx that passes everything below a path of its own on to a server.
struct Nginx {
    process: Running,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// As docs/production.md has it, but for TLS.
    fn start(port: u16, path: &str, server: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display().to_string();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};\n"))
            .concat();
        let prefix = path.trim_end_matches('/');
        let config = format!(
            "daemon off; user root; pid {at}/pid; error_log {at}/errors; events {{}}\n\
             http {{ access_log off; {temporary}\n\
               server {{ listen 127.0.0.1:{port}; client_max_body_size 32m;\n\
                 location {path} {{ proxy_pass http://127.0.0.1:{server}/; proxy_http_version 1.1;\n\
                   proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;\n\
                   proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;\n\
                   proxy_set_header X-Forwarded-Prefix \"{prefix}\"; proxy_request_buffering off; }} }} }}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let process = Command::new(nginx())
            .arg("-c")
            .arg(&file)
            .args(["-p", &at])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("nginx listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self {
            process: Running(process),
            _folder: folder,
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it only if it is asked to.
        let _ = run(Command::new("kill").args(["-TERM", &self.process.0.id().to_string()]));
        let _ = self.process.0.wait();
    }
}

fn nginx() -> &'static Path {
    let known = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"];
    let found = known.into_iter().map(Path::new).find(|path| path.exists());
    found.expect("nginx, which scripts/setup installs")
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
fn serves_all(path: &str, with_server_url: bool) {
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
    let _nginx = Nginx::start(front, path, back);
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

#[test]
fn at_the_root_of_a_host_that_the_server_is_told() {
    serves_all("/", true);
}

#[test]
fn at_the_root_of_a_host_that_a_trusted_proxy_tells() {
    serves_all("/", false);
}

#[test]
fn below_a_path_that_the_server_is_told() {
    serves_all("/niks3/", true);
}

#[test]
fn below_a_path_that_a_trusted_proxy_tells() {
    serves_all("/niks3/", false);
}
