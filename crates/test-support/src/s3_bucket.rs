//! A bucket in an S3 service, and how to reach it.

use std::process::Command;

use crate::process::run;

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
        let policy = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": {{"AWS": ["{user}"]}},
            "Action": {actions:?}, "Resource": ["arn:aws:s3:::{name}", "arn:aws:s3:::{name}/*"]}}]}}"#,
            user = user.access_key,
            name = self.name
        );
        let mut command = self.signed_request(&format!("{}/{}?policy=", self.endpoint, self.name));
        let _ = run(command.args(["--request", "PUT", "--data-binary", &policy])).ok();
    }

    /// A request by `curl`, which fails when the service refuses it.
    pub(crate) fn signed_request(&self, url: &str) -> Command {
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
