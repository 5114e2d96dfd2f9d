//! A bucket in an S3 service, and how to reach it.

use std::process::Command;
use std::time::Duration;

use crate::process::run;
use crate::s3_services::{ACCESS_KEY, SECRET_KEY};

/// A bucket in an S3 service.
#[derive(Debug, Clone)]
pub struct S3Bucket {
    /// Address of the service.
    pub endpoint: String,
    /// Name of the bucket.
    pub name: String,
    /// Where anybody can read it, as from a bucket behind a CDN.
    pub web: String,
    /// Its region.
    pub region: &'static str,
    /// Access key.
    pub access_key: &'static str,
    /// Secret key.
    pub secret_key: &'static str,
}

impl S3Bucket {
    /// A bucket of the first user of a service on a port of this machine, which may not be there yet.
    #[must_use]
    pub fn new(port: u16, name: &str) -> Self {
        let endpoint = format!("http://127.0.0.1:{port}");
        Self {
            web: format!("{endpoint}/{name}"),
            endpoint,
            name: name.to_owned(),
            region: "us-east-1",
            access_key: ACCESS_KEY,
            secret_key: SECRET_KEY,
        }
    }

    /// Makes the bucket; the service may still be starting.
    ///
    /// # Panics
    /// When there is none within a minute.
    pub fn create(&self) {
        let made = (0..600).any(|_| {
            let mut request = self.signed_request(&self.web);
            let made = run(request.args(["--request", "PUT"])).code == 0;
            if !made {
                std::thread::sleep(Duration::from_millis(100));
            }
            made
        });
        assert!(made, "there is no bucket at {}", self.web);
    }

    /// Lets everybody read, list and write, without a signature, where the service knows bucket policies (MinIO).
    pub fn open_to_everybody(&self) {
        let policy = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": {{"AWS": ["*"]}},
            "Action": ["s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket", "s3:PutObject"],
            "Resource": ["arn:aws:s3:::{name}", "arn:aws:s3:::{name}/*"]}}]}}"#,
            name = self.name
        );
        // Without the `=` some versions of curl sign another query than they send.
        let url = format!("{}/{}?policy=", self.endpoint, self.name);
        let mut command = self.signed_request(&url);
        let _ = run(command.args(["--request", "PUT", "--data-binary", &policy])).ok();
    }

    /// Sets something of the bucket, by what S3 calls the subresource.
    fn configure(&self, what: &str, body: &str) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), body).unwrap();
        let digest = format!("openssl md5 -binary {} | base64", file.path().display());
        let md5 = run(Command::new("sh").args(["-c", &digest])).ok();
        let mut command = self.signed_request(&format!("{}/{}?{what}=", self.endpoint, self.name));
        let header = format!("Content-MD5: {}", md5.trim());
        let _ = run(command.args(["--request", "PUT", "--header", &header, "--data-binary", body])).ok();
    }

    /// From now on, what is deleted or replaced stays as an old version.
    pub fn enable_versions(&self) {
        self.configure(
            "versioning",
            "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status>\
             </VersioningConfiguration>",
        );
    }

    /// From now on, every version is kept for a day. The bucket has to have been made with object lock.
    pub fn retain_by_default(&self) {
        self.configure(
            "object-lock",
            "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><ObjectLockEnabled>Enabled\
             </ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule>\
             </ObjectLockConfiguration>",
        );
    }

    /// A bucket beside this one, with object lock.
    #[must_use]
    pub fn with_object_lock(&self) -> Self {
        let name = format!("{}-locked", self.name);
        let locked = Self {
            web: format!("{}/{name}", self.endpoint),
            name,
            ..self.clone()
        };
        let mut command = self.signed_request(&locked.web);
        let lock = [
            "--request",
            "PUT",
            "--header",
            "x-amz-bucket-object-lock-enabled: true",
        ];
        let _ = run(command.args(lock)).ok();
        locked
    }

    /// From now on, old versions go a day after they became old.
    pub fn expire_old_versions(&self) {
        self.configure(
            "lifecycle",
            "<LifecycleConfiguration><Rule><ID>old-versions</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>\
             <NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>\
             <Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>\
             </LifecycleConfiguration>",
        );
    }

    /// Deletes the mark of a deletion, so that the version before is there again.
    pub fn undelete(&self, key: &str) {
        let prefix = key.replace('/', "%2F");
        let url = format!("{}/{}?prefix={prefix}&versions=", self.endpoint, self.name);
        let listed = run(&mut self.signed_request(&url)).ok();
        let mark = listed
            .split("<DeleteMarker>")
            .skip(1)
            .find(|mark| mark.contains("<IsLatest>true<"))
            .unwrap_or_else(|| panic!("{key} was not deleted: {listed}"));
        let (_, rest) = mark.split_once("<VersionId>").unwrap();
        let (id, _) = rest.split_once("</VersionId>").unwrap();
        let url = format!("{}/{}/{key}?versionId={id}", self.endpoint, self.name);
        let _ = run(self.signed_request(&url).args(["--request", "DELETE"])).ok();
    }

    /// Of every version: its key and whether it is the newest one; then the keys of marks of deletion.
    #[must_use]
    pub fn versions(&self) -> (Vec<(String, bool)>, Vec<String>) {
        let url = format!("{}/{}?versions=", self.endpoint, self.name);
        let answer = run(&mut self.signed_request(&url)).ok();
        assert!(answer.contains("<IsTruncated>false<"), "{answer}");
        let of = |element: &str| -> Vec<(String, bool)> {
            let begin = format!("<{element}>");
            let parts = answer.split(&begin).skip(1);
            let version = |part: &str| {
                let (_, rest) = part.split_once("<Key>").unwrap();
                let (key, _) = rest.split_once("</Key>").unwrap();
                let (version, _) = part.split_once(&format!("</{element}>")).unwrap();
                (key.to_owned(), version.contains("<IsLatest>true<"))
            };
            parts.map(version).collect()
        };
        let markers = of("DeleteMarker").into_iter().map(|(key, _)| key).collect();
        (of("Version"), markers)
    }

    /// The same bucket for another user, whom its policy allows these actions alone (versitygw).
    #[must_use]
    pub fn allowing(&self, actions: &[&str]) -> Self {
        let secret = "0123456789abcdef0123456789abcdef";
        // As long as the test.
        let access: &'static str = format!("user-of-{}", self.name).leak();
        let account =
            format!("<Account><Access>{access}</Access><Secret>{secret}</Secret><Role>user</Role></Account>");
        let mut command = self.signed_request(&format!("{}/create-user", self.endpoint));
        let _ = run(command.args(["--request", "PATCH", "--data-binary", &account])).ok();
        let user = Self {
            access_key: access,
            secret_key: secret,
            ..self.clone()
        };
        self.allow(&user, actions);
        user
    }

    /// Makes these the only actions that the policy of the bucket allows a user (versitygw).
    pub fn allow(&self, user: &Self, actions: &[&str]) {
        self.allow_principal(user.access_key, actions);
    }

    /// The same for whoever the service calls so in policies.
    pub fn allow_principal(&self, user: &str, actions: &[&str]) {
        let policy = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": {{"AWS": ["{user}"]}},
            "Action": {actions:?}, "Resource": ["arn:aws:s3:::{name}", "arn:aws:s3:::{name}/*"]}}]}}"#,
            name = self.name
        );
        let mut command = self.signed_request(&format!("{}/{}?policy=", self.endpoint, self.name));
        let _ = run(command.args(["--request", "PUT", "--data-binary", &policy])).ok();
    }

    /// A request by `curl`, which fails when the service refuses it.
    #[must_use]
    pub fn signed_request(&self, url: &str) -> Command {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--fail", "--aws-sigv4"])
            .arg(format!("aws:amz:{}:s3", self.region))
            .arg("--user")
            .arg(format!("{}:{}", self.access_key, self.secret_key))
            .args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD", url]);
        command
    }
}
