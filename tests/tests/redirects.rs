//! `--read-redirect`: readers of NARs are sent to the object store, and take no credentials of the cache there.

use std::process::Command;

use niks3_test_support::{APP, Backend, FaultProxy, Output, S3Service, Server, ServerOptions, Store, run};

/// A server that readers know by another host than the object store, as netrc files and redirects tell hosts apart.
struct World {
    server: Server,
    store: Store,
    /// Stands where readers find the object store.
    public: FaultProxy,
    path: String,
    /// The key of its NAR.
    nar: String,
    token: String,
}

impl World {
    async fn new() -> Self {
        let store = Store::default();
        let bucket = S3Service::Versitygw.bucket();
        let public = FaultProxy::before(&bucket.endpoint).await;
        let server = Server::with(
            Backend::Services,
            ServerOptions {
                store_dir: Some(store.dir()),
                bucket: Some(bucket),
                arguments: vec![
                    "--read-redirect".into(),
                    "--protect-reads".into(),
                    "--s3-public-url".into(),
                    public.url(),
                ],
                ..ServerOptions::default()
            },
        );
        let path = store.build(APP).remove(0);
        let mut command = server.niks3();
        store.prepare(command.args(["push", &path]));
        let _ = run(&mut command).ok();
        let token = server.token();
        let mut world = Self {
            server,
            store,
            public,
            path,
            nar: String::new(),
            token,
        };
        let hash = world.path[world.path.rfind('/').unwrap() + 1..][..32].to_owned();
        let bearer = format!("Authorization: Bearer {}", world.token);
        let narinfo = world.curl(&["-H", &bearer], &format!("{hash}.narinfo")).ok();
        let url = narinfo.lines().find_map(|line| line.strip_prefix("URL: "));
        url.unwrap().clone_into(&mut world.nar);
        world
    }

    /// Address by which readers know the cache.
    fn cache(&self) -> String {
        self.server.url().replace("127.0.0.1", "localhost")
    }

    fn curl(&self, arguments: &[&str], key: &str) -> Output {
        run(Command::new("curl")
            .args(["-sS", "--fail"])
            .args(arguments)
            .arg(format!("{}/{key}", self.cache())))
    }

    fn netrc(&self) -> String {
        let file = self.store.path("netrc");
        std::fs::write(
            &file,
            format!("machine localhost login nix password {}\n", self.token),
        )
        .unwrap();
        file.display().to_string()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn curl_and_nix_follow_a_redirect_and_send_the_object_store_no_authorization() {
    let world = World::new().await;
    let (netrc, bearer) = (world.netrc(), format!("Authorization: Bearer {}", world.token));
    let user = format!("nix:{}", world.token);
    let before = world.public.requests().len();
    for credentials in [&["-H", &bearer][..], &["-u", &user], &["--netrc-file", &netrc]] {
        // A whole NAR, some of its bytes, and only what is known of it.
        for (more, status) in [(&[][..], "200"), (&["-r", "4-7"], "206"), (&["-I"], "200")] {
            let shown = [
                "-L",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code} %{num_redirects} %{url_effective}",
            ];
            let said = world.curl(&[&shown, credentials, more].concat(), &world.nar).ok();
            let expected = format!("{status} 1 {}/", world.public.url());
            assert!(said.starts_with(&expected), "{credentials:?} {more:?}: {said}");
        }
    }
    let refused = world.curl(&[], &world.nar);
    assert!(refused.stderr.contains("401"), "{refused:?}");
    // Nothing but NARs is redirected.
    let info = world.curl(
        &["-H", &bearer, "-o", "/dev/null", "-w", "%{http_code}"],
        "nix-cache-info",
    );
    assert_eq!(info.stdout, "200");
    let after_curl = world.public.requests().len();
    assert_eq!(after_curl - before, 9, "{:?}", world.public.requests());
    let to = world.store.path("copied");
    let mut command = Command::new("nix");
    let key = world.server.public_key();
    world.store.prepare(
        command
            .args(["copy", "--from", &world.cache(), "--to"])
            .arg(&to)
            .args(["--option", "trusted-public-keys", key])
            .args(["--option", "netrc-file", &netrc])
            .arg(&world.path),
    );
    let _ = run(&mut command).ok();
    let name = world.path.rsplit('/').next().unwrap();
    assert!(to.join("nix/store").join(name).exists());
    let requests = world.public.requests();
    let read = requests[after_curl..]
        .iter()
        .filter(|line| line.contains("/nar/"));
    assert_eq!(
        read.count(),
        world.store.closure(&world.path).len(),
        "{requests:?}"
    );
    // Uploads come by the same address, and have no such header either.
    assert_eq!(world.public.authorized(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redirect_is_for_one_reader_and_its_method_and_ends() {
    let world = World::new().await;
    let bearer = format!("Authorization: Bearer {}", world.token);
    let answer = world
        .curl(&["-H", &bearer, "-o", "/dev/null", "-D", "-"], &world.nar)
        .ok();
    let header = |name: &str| {
        let mut lines = answer.lines();
        let found = lines.find(|line| line.to_ascii_lowercase().starts_with(name));
        found.unwrap_or_default()[name.len() + 1..].trim().to_owned()
    };
    assert!(answer.starts_with("HTTP/1.1 307 "), "{answer}");
    assert_eq!(header("cache-control"), "private, max-age=240");
    assert_eq!(header("vary"), "Authorization");
    let url = header("location");
    assert!(url.starts_with(&world.public.url()), "{url}");
    assert!(url.contains("X-Amz-Expires=300&"), "{url}");
    let status = |arguments: &[&str]| {
        let shown = ["-s", "-o", "/dev/null", "-w", "%{http_code}", url.as_str()];
        run(Command::new("curl").args([&shown, arguments].concat())).stdout
    };
    assert_eq!(status(&[]), "200");
    for method in [&["-I"][..], &["-X", "DELETE"], &["-X", "PUT", "-d", "other"]] {
        assert_eq!(status(method), "403", "{method:?}");
    }
}

#[test]
fn it_needs_an_object_store_elsewhere_and_a_server_that_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let service = ["--s3-endpoint", "http://127.0.0.1:1", "--s3-bucket", "bucket"];
    let keys = ["--s3-access-key", "a", "--s3-secret-key", "b"];
    for (more, said) in [
        (
            Vec::new(),
            "the embedded object store is read through this server",
        ),
        ([&service[..], &keys].concat(), "give --enable-read-proxy"),
    ] {
        let output = Server::try_start(&[&["--data-dir", data, "--read-redirect"], &more[..]].concat());
        assert_eq!(output.code, 2, "{output:?}");
        let line = output.stderr.trim();
        assert!(line.starts_with("niks3-server: --read-redirect: "), "{line}");
        assert!(line.contains(said) && !line.contains('\n'), "{line}");
    }
}
