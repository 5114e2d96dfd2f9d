//! A bucket in an S3 service, and how to reach it.

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
