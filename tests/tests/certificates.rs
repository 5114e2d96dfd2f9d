//! Client certificates: native, with the right ones and wrong ones, and behind a proxy.

use std::path::Path;
use std::process::Command;

use niks3_test_support::{Backend, Output, Server, ServerOptions, Store, eventually, on_both, run};
use niks3_tests::{
    api::{A, Answer, Api},
    tls_files::{Files, authority},
};
use rcgen::{DnType, ExtendedKeyUsagePurpose, date_time_ymd};
use serde_json::json;

on_both!(
    a_certificate_pushes_or_reads_as_its_subject_says,
    a_certificate_that_is_not_right_opens_nothing,
    a_proxy_is_believed_by_its_address,
);

fn https(server: &Server) -> String {
    server.url().replace("http://", "https://")
}

/// The status that curl gets, with the certificate of a client; 0 without an answer.
fn curl(files: &Files, client: Option<&str>, arguments: &[&str]) -> u16 {
    let mut command = Command::new("curl");
    command
        .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"])
        .arg(files.path("ca.pem"));
    if let Some(client) = client {
        command.arg("--cert").arg(files.path(&format!("{client}.pem")));
        command.arg("--key").arg(files.path(&format!("{client}.key")));
    }
    run(command.args(arguments)).stdout.trim().parse().unwrap()
}

/// `niks3` by TLS with the certificate of a client and without any token.
fn niks3(server: &Server, files: &Files, client: &str, store: &Store, arguments: &[&str]) -> Output {
    let mut command = server.niks3();
    command
        .args(arguments)
        .env_remove("NIKS3_AUTH_TOKEN_FILE")
        .env("NIKS3_SERVER_URL", https(server));
    let pairs: [(&str, &Path); 3] = [
        ("NIKS3_CA_CERT", &files.path("ca.pem")),
        ("NIKS3_CLIENT_CERT", &files.path(&format!("{client}.pem"))),
        ("NIKS3_CLIENT_KEY", &files.path(&format!("{client}.key"))),
    ];
    command.envs(pairs);
    store.prepare(&mut command);
    run(&mut command)
}

fn start(backend: Backend, files: &Files, store: &Store) -> Server {
    Server::with(
        backend,
        ServerOptions {
            store_dir: Some(store.dir()),
            arguments: files.arguments(),
            ..ServerOptions::default()
        },
    )
}

async fn a_certificate_pushes_or_reads_as_its_subject_says(backend: Backend) {
    let (files, store) = (Files::new(), Store::default());
    files.client("ci-1", &files.authority, |_| ());
    files.client("reader", &files.authority, |_| ());
    let server = start(backend, &files, &store);
    let path = store.build("build \"path\" \"echo hello > $out\"").remove(0);

    let who = niks3(&server, &files, "ci-1", &store, &["whoami"]).ok();
    assert_eq!(
        who,
        "identity: certificate:CN=ci-1,O=Example\nscopes: push\nrule: mtls-bound-subject CN=ci-*,O=Example\n"
    );
    let _ = niks3(&server, &files, "ci-1", &store, &["push", &path]).ok();
    // Who may read may not write, and nobody reads who shows nothing.
    let refused = niks3(&server, &files, "reader", &store, &["push", &path]).fails(1);
    assert!(refused.contains("needs the scope push"), "{refused}");
    let info = format!("{}/nix-cache-info", https(&server));
    assert_eq!(curl(&files, Some("reader"), &[&info]), 200);
    assert_eq!(curl(&files, Some("reader"), &["-X", "PUT", &info]), 405);
    assert_eq!(curl(&files, Some("ci-1"), &[&info]), 403);
    assert_eq!(curl(&files, None, &[&info]), 401);
    let admin = format!("authorization: Bearer {}", server.token());
    assert_eq!(curl(&files, None, &["-H", &admin, &info]), 200);

    // A new certificate is taken at SIGHUP, a broken one is not.
    let before = std::fs::read(files.path("server.pem")).unwrap();
    std::fs::write(files.path("server.pem"), "broken").unwrap();
    server.hang_up();
    eventually("the broken one is noticed", || {
        server.log().contains("the certificates stay as they were")
    });
    assert_eq!(curl(&files, Some("reader"), &[&info]), 200);
    std::fs::write(files.path("server.pem"), before).unwrap();
    files.server();
    server.hang_up();
    eventually("the new one is read", || {
        server.log().contains("read the certificates again")
    });
    assert_eq!(curl(&files, Some("reader"), &[&info]), 200);
}

async fn a_certificate_that_is_not_right_opens_nothing(backend: Backend) {
    let (files, store) = (Files::new(), Store::default());
    files.client("ci-1", &authority("the authority"), |_| ());
    files.client("ci-2", &files.authority, |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    files.client("ci-3", &files.authority, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    files.client("stranger", &files.authority, |_| ());
    // A name that would read like another subject if it were not escaped.
    files.client("ci-4,O=Example", &files.authority, |params| {
        params.distinguished_name.push(DnType::OrganizationName, "Other");
    });
    let server = start(backend, &files, &store);
    let whoami = format!("{}/api/v1/whoami", https(&server));
    for client in ["ci-1", "ci-2", "ci-3"] {
        assert_eq!(curl(&files, Some(client), &[&whoami]), 0, "{client}");
    }
    for client in ["stranger", "ci-4,O=Example"] {
        assert_eq!(curl(&files, Some(client), &[&whoami]), 403, "{client}");
    }
    assert_eq!(curl(&files, None, &[&whoami]), 401);
}

async fn a_proxy_is_believed_by_its_address(backend: Backend) {
    let options = |proxy: &'static str| {
        [
            "--mtls-proxy-header",
            "X-Client-Verify",
            "--mtls-subject-header",
            "X-Client-Subject",
            "--mtls-trusted-proxy",
            proxy,
            "--mtls-bound-subject",
            "CN=ci",
            "--mtls-bound-subject-read",
            "CN=reader",
        ]
    };
    let send = async |api: &Api, path: &str, headers: &[(&str, &str)]| {
        let url = format!("{}{path}", api.server.url());
        let mut request = match path {
            "/api/v1/pushes" => {
                let body = json!({ "store_dir": "/nix/store", "roots": [A] });
                api.client.post(url).json(&body)
            }
            _ => api.client.get(url),
        };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.unwrap()).await.status.as_u16()
    };
    let subject = |name: &'static str| [("x-client-verify", "SUCCESS"), ("x-client-subject", name)];
    let trusted = Api::new(backend, &options("127.0.0.0/8"));
    let (pushes, info) = ("/api/v1/pushes", "/nix-cache-info");
    for (path, headers, status) in [
        (pushes, &subject("CN=ci")[..], 200),
        (pushes, &subject("CN=reader")[..], 403),
        (pushes, &subject("CN=ci,O=x")[..], 403),
        (pushes, &subject("")[..], 401),
        (pushes, &[("x-client-subject", "CN=ci")], 401),
        (
            pushes,
            &[("x-client-verify", "NONE"), ("x-client-subject", "CN=ci")],
            401,
        ),
        (
            pushes,
            &[
                ("x-client-verify", "FAILED:expired"),
                ("x-client-subject", "CN=ci"),
            ],
            401,
        ),
        (
            pushes,
            &[
                ("x-client-verify", "SUCCESS"),
                ("x-client-subject", "CN=reader"),
                ("x-client-subject", "CN=ci"),
            ],
            401,
        ),
        (info, &subject("CN=reader")[..], 200),
        (info, &subject("CN=ci")[..], 403),
        (info, &[], 401),
    ] {
        assert_eq!(
            send(&trusted, path, headers).await / 100,
            status / 100,
            "{path} {headers:?}"
        );
        if status != 200 {
            assert_eq!(send(&trusted, path, headers).await, status, "{path} {headers:?}");
        }
    }
    let elsewhere = Api::new(backend, &options("192.0.2.1"));
    assert_eq!(send(&elsewhere, pushes, &subject("CN=ci")).await, 401);
    assert_eq!(send(&elsewhere, info, &subject("CN=reader")).await, 401);
}

#[test]
fn options_that_do_not_fit_together_are_named() {
    let start = |arguments: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().display().to_string();
        Server::try_start(&[&["--data-dir", &data, "--http-addr", "127.0.0.1:0"], arguments].concat())
            .fails(2)
    };
    for (arguments, word) in [
        (&["--tls-cert", "/x"][..], "--tls-key"),
        (&["--tls-cert", "/x", "--tls-key", "/x"], "--tls-cert"),
        (&["--tls-client-ca", "/x"], "--mtls-bound-subject"),
        (&["--mtls-bound-subject", "CN=x"], "--tls-client-ca"),
        (&["--mtls-proxy-header", "X-V"], "--mtls-bound-subject"),
        (&["--mtls-subject-header", "X-S"], "--mtls-proxy-header"),
        (&["--mtls-trusted-proxy", "127.0.0.1"], "--mtls-proxy-header"),
        (
            &[
                "--mtls-proxy-header",
                "X-V",
                "--mtls-subject-header",
                "X-S",
                "--mtls-trusted-proxy",
                "here",
            ],
            "--mtls-trusted-proxy",
        ),
    ] {
        let line = start(arguments);
        assert!(
            line.contains(word) && line.trim().lines().count() == 1,
            "{arguments:?}: {line}"
        );
    }
}
