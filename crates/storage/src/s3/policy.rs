//! What to allow the server in a bucket, to copy.

use super::S3Bucket;
use super::rights::Right;

impl S3Bucket {
    /// What is missing, and the least that a server needs.
    pub(crate) fn mend_rights(&self, missing: &[(Right, String)]) -> String {
        let refused: Vec<String> = missing
            .iter()
            .map(|(right, why)| format!("{} ({why})", right.permission()))
            .collect();
        format!(
            "the object store at {} does not allow what a cache needs in the bucket {}: {}. Allow at least:\n{}",
            self.address,
            self.bucket,
            refused.join("; "),
            self.least_policy()
        )
    }

    /// The least that a server needs, for the services that say it in their own ways.
    pub(super) fn least_policy(&self) -> String {
        let bucket = &self.bucket;
        format!(
            r#"AWS, MinIO: a policy of the user; Ceph, versitygw: a policy of the bucket, with "Principal" in each statement:
{{
  "Version": "2012-10-17",
  "Statement": [
    {{ "Effect": "Allow",
      "Action": ["s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:GetBucketVersioning"],
      "Resource": ["arn:aws:s3:::{bucket}"] }},
    {{ "Effect": "Allow",
      "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject",
                 "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"],
      "Resource": ["arn:aws:s3:::{bucket}/*"] }}
  ]
}}
  "Principal" of Ceph: {{ "AWS": ["arn:aws:iam:::user/NAME"] }}, of versitygw: {{ "AWS": ["ACCESS_KEY"] }}
Cloudflare R2: an API token with the permission "Object Read & Write" for the bucket {bucket}
Garage: garage bucket allow --read --write {bucket} --key ACCESS_KEY"#
        )
    }
}
