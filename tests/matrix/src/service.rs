//! The services: what starts each, and what its administrators do.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use niks3_test_support::{Garage, S3Bucket, S3Service, free_port, run};
use serde::{Deserialize, Serialize};

use crate::ceph;

/// Secret keys of users that are made: long enough, and of the characters, that every service takes.
const USER_SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A kind of S3 service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Kind {
    Minio,
    Versitygw,
    Garage,
    Seaweedfs,
    Ceph,
    S3proxy,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Minio,
        Self::Versitygw,
        Self::Garage,
        Self::Seaweedfs,
        Self::Ceph,
        Self::S3proxy,
    ];

    /// With its version.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Minio => "MinIO 2026-02-12",
            Self::Versitygw => "versitygw 1.8.0",
            Self::Garage => "Garage 2.5.0",
            Self::Seaweedfs => "SeaweedFS 2026-11-09",
            Self::Ceph => "Ceph RGW 16.2.15",
            Self::S3proxy => "s3proxy 3.1.0",
        }
    }

    /// For names of files.
    pub(crate) fn file_name(self) -> String {
        self.to_possible_value().unwrap().get_name().to_owned()
    }

    pub(crate) const fn has_versions(self) -> bool {
        !matches!(self, Self::Garage | Self::S3proxy)
    }

    pub(crate) const fn has_object_lock(self) -> bool {
        !matches!(self, Self::Garage | Self::S3proxy)
    }
}

/// A running service. What is here is enough for another process to end it and to start it again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) kind: Kind,
    pub(crate) folder: PathBuf,
    pub(crate) port: u16,
    /// Programs that are started in this order. The last one is the service.
    pub(crate) programs: Vec<Program>,
}

/// A program of a service.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
}

impl Program {
    pub(crate) fn of(name: &str, command: &Command) -> Self {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        Self {
            name: name.to_owned(),
            command: words.map(|word| word.to_str().unwrap().to_owned()).collect(),
        }
    }
}

/// A folder of `scripts/setup --more-s3-services`.
fn installed(name: &str) -> PathBuf {
    let folder = std::env::var("NIKS3_TEST_MORE_S3_SERVICES").unwrap_or_default();
    let path = Path::new(&folder).join(name);
    assert!(
        !folder.is_empty() && path.exists(),
        "no {name} in {folder:?} (NIKS3_TEST_MORE_S3_SERVICES): run scripts/setup --more-s3-services"
    );
    path
}

impl Service {
    /// Starts one with nothing in it.
    pub(crate) fn start(kind: Kind, below: &Path) -> Self {
        let folder = below.join(kind.file_name());
        let _ = std::fs::remove_dir_all(&folder);
        for name in ["data", "users", "versions", "tmp"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
        }
        let mut service = Self {
            kind,
            port: free_port(),
            programs: Vec::new(),
            folder,
        };
        service.guard();
        match kind {
            Kind::Minio => service.run_alone(&S3Service::Minio.command(&service.folder, service.port)),
            Kind::Versitygw => {
                service.run_alone(&S3Service::Versitygw.command(&service.folder, service.port))
            }
            Kind::Garage => {
                let garage = Garage::in_folder(&service.folder);
                service.port = garage.port();
                service.run_alone(&garage.command(&["server"]));
                garage.set_up("60G");
            }
            Kind::Seaweedfs => service.start_seaweedfs(),
            Kind::Ceph => ceph::start(&mut service),
            Kind::S3proxy => service.start_s3proxy(),
        }
        std::fs::write(service.file(), serde_json::to_string_pretty(&service).unwrap()).unwrap();
        service
    }

    fn run_alone(&mut self, command: &Command) {
        self.begin(Program::of("service", command));
    }

    /// Starts a program, which is one of the service from now on.
    pub(crate) fn begin(&mut self, program: Program) {
        self.spawn(&program);
        self.programs.push(program);
    }

    fn start_seaweedfs(&mut self) {
        self.write_seaweedfs_users(&[]);
        let folder = self.folder.display().to_string();
        let ports: Vec<u16> = (0..4).map(|_| free_port_with_grpc()).collect();
        let mut command = Command::new(installed("weed"));
        command
            .args([
                "-logdir",
                &folder,
                "server",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-s3",
            ])
            .args([
                &format!("-dir={folder}/data"),
                "-volume.max=0",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                "-master.volumeSizeLimitMB=512",
            ])
            .arg(format!("-s3.config={folder}/s3.json"))
            .arg(format!("-s3.port={}", self.port))
            .arg(format!("-s3.port.grpc={}", free_port()))
            .arg(format!("-master.port={}", ports[0]))
            .arg(format!("-volume.port={}", ports[1]))
            .arg(format!("-filer.port={}", ports[2]));
        self.run_alone(&command);
    }

    /// The first user may do everything, and the others what they are said to.
    fn write_seaweedfs_users(&self, others: &[(&str, &[&str])]) {
        let first = S3Bucket::new(self.port, "any");
        let user = |name: &str, access: &str, secret: &str, actions: &[&str]| {
            serde_json::json!({
                "name": name, "actions": actions,
                "credentials": [{"accessKey": access, "secretKey": secret}],
            })
        };
        let all = ["Admin", "Read", "Write", "List", "Tagging"];
        let mut users = vec![user("first", first.access_key, first.secret_key, &all)];
        users.extend(
            others
                .iter()
                .map(|(access, actions)| user(access, access, USER_SECRET, actions)),
        );
        let text = serde_json::json!({ "identities": users }).to_string();
        std::fs::write(self.folder.join("s3.json"), text).unwrap();
    }

    fn start_s3proxy(&mut self) {
        let first = S3Bucket::new(self.port, "any");
        let here = self.folder.display();
        let properties = format!(
            "s3proxy.endpoint=http://127.0.0.1:{}\ns3proxy.authorization=aws-v4\ns3proxy.identity={}\n\
             s3proxy.credential={}\njclouds.provider=filesystem-nio2\njclouds.filesystem.basedir={here}/data\n",
            self.port, first.access_key, first.secret_key
        );
        let file = self.folder.join("s3proxy.properties");
        std::fs::write(&file, properties).unwrap();
        // Without a word it logs every step.
        let logging = self.folder.join("logback.xml");
        let text = "<configuration><root level=\"WARN\"/></configuration>";
        std::fs::write(&logging, text).unwrap();
        let mut command = Command::new("java");
        command
            .arg(format!("-Dlogback.configurationFile={}", logging.display()))
            .arg("-cp")
            .arg(format!("{}/*", installed("s3proxy").display()))
            .args(["org.gaul.s3proxy.Main", "--properties"])
            .arg(file);
        self.run_alone(&command);
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("service.json")
    }

    fn pid_file(&self, program: &Program) -> PathBuf {
        self.folder.join(format!("{}.pid", program.name))
    }

    #[expect(clippy::zombie_processes, reason = "it outlives the process that starts it")]
    fn spawn(&self, program: &Program) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join(format!("{}.log", program.name)))
            .unwrap();
        let (name, arguments) = program.command.split_first().unwrap();
        let child = Command::new(name)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // Not in the group of the cell that starts it again, nor in that of the terminal.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        std::fs::write(self.pid_file(program), child.id().to_string()).unwrap();
    }

    /// Ends all programs of the service and removes its folder when this process ends, however it does.
    #[expect(clippy::zombie_processes, reason = "the guard outlives this process")]
    fn guard(&self) {
        let script = "cat >/dev/null; for file in \"$1\"/*.pid; do kill -KILL \"$(cat \"$file\")\"; done; \
                      sleep 1; chmod -R u+w \"$1\"; rm -rf \"$1\"";
        let mut guard = Command::new("sh")
            .args(["-c", script, "guard"])
            .arg(&self.folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::mem::forget(guard.stdin.take());
    }

    fn service_program(&self) -> &Program {
        self.programs.last().unwrap()
    }

    fn answers(&self) -> bool {
        let url = format!("http://127.0.0.1:{}/", self.port);
        run(Command::new("curl").args(["-s", "-m", "5", "-o", "/dev/null", &url])).code == 0
    }

    /// Returns when it answers.
    pub(crate) fn wait_for_answer(&self) {
        self.wait_until(true);
    }

    fn wait_until(&self, answers: bool) {
        let done = (0..1200).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            self.answers() == answers
        });
        assert!(done, "{:?} answers: {}, and should not", self.kind, !answers);
    }

    /// `kill -9`
    pub(crate) fn kill(&self) {
        let pid = std::fs::read_to_string(self.pid_file(self.service_program())).unwrap();
        let _ = run(Command::new("kill").args(["-KILL", pid.trim()]));
        self.wait_until(false);
    }

    /// Starts it again after [`Service::kill`].
    pub(crate) fn resume(&self) {
        self.spawn(self.service_program());
        self.wait_until(true);
    }

    /// Starts it again if it does not run.
    pub(crate) fn ensure_running(&self) {
        if !self.answers() {
            self.kill();
            self.resume();
        }
    }

    /// A new bucket of the first user.
    pub(crate) fn bucket(&self) -> S3Bucket {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("cell-{}-{number}", std::process::id());
        match self.kind {
            Kind::Garage => self.garage().bucket(&name),
            _ => {
                let bucket = S3Bucket::new(self.port, &name);
                bucket.create();
                bucket
            }
        }
    }

    fn garage(&self) -> Garage {
        Garage::open(&self.folder, self.port)
    }

    /// Another user who may do these things with a bucket alone; nothing where the service cannot say it so.
    pub(crate) fn user_allowed(&self, bucket: &S3Bucket, actions: &[&str]) -> Option<S3Bucket> {
        match self.kind {
            Kind::Minio => {
                let user = self.user(bucket, &format!("u{}", bucket.name));
                self.minio(&["user-add", user.access_key, user.secret_key]);
                self.allow(&user, actions);
                Some(user)
            }
            Kind::Versitygw => Some(bucket.allowing(actions)),
            Kind::Ceph => {
                let user = self.user(bucket, &format!("u{}", bucket.name));
                ceph::admin(
                    self,
                    &[
                        "user",
                        "create",
                        "--uid",
                        user.access_key,
                        "--display-name",
                        "user",
                        "--access-key",
                        user.access_key,
                        "--secret-key",
                        user.secret_key,
                    ],
                );
                self.allow(&user, actions);
                Some(user)
            }
            Kind::Garage | Kind::Seaweedfs | Kind::S3proxy => None,
        }
    }

    /// Changes what a user of [`Service::user_allowed`] may do.
    pub(crate) fn allow(&self, user: &S3Bucket, actions: &[&str]) {
        let first = S3Bucket {
            access_key: S3Bucket::new(self.port, "any").access_key,
            secret_key: S3Bucket::new(self.port, "any").secret_key,
            ..user.clone()
        };
        match self.kind {
            Kind::Minio => {
                let name = &user.name;
                let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [{
                    "Effect": "Allow", "Action": actions,
                    "Resource": [format!("arn:aws:s3:::{name}"), format!("arn:aws:s3:::{name}/*")],
                }]});
                self.minio(&["policy", user.access_key, &policy.to_string()]);
            }
            Kind::Ceph => {
                first.allow_principal(&format!("arn:aws:iam:::user/{}", user.access_key), actions);
            }
            _ => first.allow(user, actions),
        }
    }

    /// A user who may read alone, where rights cannot be told apart any further.
    pub(crate) fn reader(&self, bucket: &S3Bucket) -> Option<S3Bucket> {
        match self.kind {
            Kind::Garage => {
                let user = self.user(bucket, &format!("GK{:024x}", std::process::id()));
                let garage = self.garage();
                garage.run(&["key", "import", "--yes", user.access_key, user.secret_key]);
                garage.run(&[
                    "bucket",
                    "allow",
                    "--read",
                    &bucket.name,
                    "--key",
                    user.access_key,
                ]);
                Some(user)
            }
            Kind::Seaweedfs => {
                let user = self.user(bucket, &format!("u{}", bucket.name));
                let [read, list] = ["Read", "List"].map(|action| format!("{action}:{}", bucket.name));
                self.write_seaweedfs_users(&[(user.access_key, &[&read, &list])]);
                self.kill();
                self.resume();
                Some(user)
            }
            _ => None,
        }
    }

    /// Another user who may do everything with a bucket.
    pub(crate) fn new_key(&self, bucket: &S3Bucket, number: u32) -> Option<S3Bucket> {
        let user = match self.kind {
            Kind::Garage => self.user(bucket, &format!("GK{number:08x}{:016x}", std::process::id())),
            _ => self.user(bucket, &format!("key{number}of{}", bucket.name)),
        };
        let (access, secret) = (user.access_key, user.secret_key);
        match self.kind {
            Kind::Minio => {
                self.minio(&["user-add", access, secret]);
                self.allow(&user, &["s3:*"]);
            }
            Kind::Versitygw => {
                let account = format!(
                    "<Account><Access>{access}</Access><Secret>{secret}</Secret><Role>admin</Role></Account>"
                );
                let url = format!("{}/create-user", bucket.endpoint);
                let mut request = bucket.signed_request(&url);
                let _ = run(request.args(["--request", "PATCH", "--data-binary", &account])).ok();
            }
            Kind::Garage => {
                let garage = self.garage();
                garage.run(&["key", "import", "--yes", access, secret]);
                garage.run(&[
                    "bucket",
                    "allow",
                    "--read",
                    "--write",
                    &bucket.name,
                    "--key",
                    access,
                ]);
            }
            Kind::Ceph => ceph::admin(
                self,
                &[
                    "key",
                    "create",
                    "--uid",
                    ceph::FIRST,
                    "--access-key",
                    access,
                    "--secret-key",
                    secret,
                ],
            ),
            Kind::Seaweedfs => {
                self.write_seaweedfs_users(&[(access, &["Admin", "Read", "Write", "List"])]);
                self.kill();
                self.resume();
            }
            Kind::S3proxy => return None,
        }
        Some(user)
    }

    /// Takes a key of [`Service::new_key`] back.
    pub(crate) fn delete_key(&self, bucket: &S3Bucket, user: &S3Bucket) {
        let access = user.access_key;
        match self.kind {
            Kind::Minio => self.minio(&["user-remove", access]),
            Kind::Versitygw => {
                let url = format!("{}/delete-user?access={access}", bucket.endpoint);
                let _ = run(bucket.signed_request(&url).args(["--request", "PATCH"])).ok();
            }
            Kind::Garage => self.garage().run(&["key", "delete", "--yes", access]),
            Kind::Ceph => ceph::admin(self, &["key", "rm", "--uid", ceph::FIRST, "--access-key", access]),
            // The file names one other user at a time.
            Kind::Seaweedfs | Kind::S3proxy => {}
        }
    }

    /// Sets how many bytes a bucket may hold, or that it may hold any number; false where the service has no quotas.
    pub(crate) fn set_quota(&self, bucket: &S3Bucket, bytes: Option<u64>) -> bool {
        let size = bytes.unwrap_or_default().to_string();
        let name = bucket.name.as_str();
        match (self.kind, bytes) {
            (Kind::Minio, _) => self.minio(&["quota", name, &size]),
            (Kind::Garage, _) => {
                let size = if bytes.is_some() { size.as_str() } else { "none" };
                self.garage()
                    .run(&["bucket", "set-quotas", "--max-size", size, name]);
            }
            (Kind::Ceph, Some(_)) => {
                let scope = ["--quota-scope=bucket", "--bucket", name];
                ceph::admin(
                    self,
                    &[&["quota", "set"][..], &scope, &["--max-size", &size]].concat(),
                );
                ceph::admin(self, &[&["quota", "enable"][..], &scope].concat());
            }
            (Kind::Ceph, None) => {
                ceph::admin(
                    self,
                    &["quota", "disable", "--quota-scope=bucket", "--bucket", name],
                );
            }
            (Kind::Versitygw | Kind::Seaweedfs | Kind::S3proxy, _) => return false,
        }
        true
    }

    fn user(&self, bucket: &S3Bucket, access: &str) -> S3Bucket {
        let secret = match self.kind {
            Kind::Garage => USER_SECRET,
            // MinIO takes 40 characters at most.
            _ => &USER_SECRET[..40],
        };
        S3Bucket {
            access_key: access.to_owned().leak(),
            secret_key: secret,
            ..bucket.clone()
        }
    }

    /// What MinIO's administrators do, by its library in Python: it encrypts what they say.
    fn minio(&self, arguments: &[&str]) {
        const SCRIPT: &str = include_str!("minio_admin.py");
        let first = S3Bucket::new(self.port, "any");
        let address = format!("127.0.0.1:{}", self.port);
        let mut command = Command::new(installed("python/bin/python"));
        command
            .args(["-c", SCRIPT, &address, first.access_key, first.secret_key])
            .args(arguments);
        let _ = run(&mut command).ok();
    }
}

/// SeaweedFS listens at this port and 10,000 above.
fn free_port_with_grpc() -> u16 {
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    (0..1000)
        .map(|_| free_port())
        .find(|port| port.checked_add(10_000).is_some_and(free))
        .unwrap()
}
