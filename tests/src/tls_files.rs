//! Certificates of an authority, a server and clients, as files.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tempfile::TempDir;

/// An authority of tests.
pub type Authority = CertifiedIssuer<'static, KeyPair>;

/// A new authority.
#[must_use]
pub fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Files of a site with TLS.
#[derive(Debug)]
pub struct Files {
    directory: TempDir,
    /// The authority that the site trusts.
    pub authority: Authority,
}

impl Default for Files {
    fn default() -> Self {
        Self::new()
    }
}

impl Files {
    /// An authority and a certificate of a server at 127.0.0.1.
    #[must_use]
    pub fn new() -> Self {
        let files = Self {
            directory: tempfile::tempdir().unwrap(),
            authority: authority("the authority"),
        };
        std::fs::write(files.path("ca.pem"), files.authority.pem()).unwrap();
        files.server();
        files
    }

    /// A file among them.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a new certificate for the server.
    pub fn server(&self) {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        self.write("server", params, &self.authority);
    }

    /// Writes a certificate of a client.
    pub fn client(&self, name: &str, by: &Authority, change: impl Fn(&mut CertificateParams)) {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        self.write(name, params, by);
    }

    fn write(&self, name: &str, params: CertificateParams, by: &Authority) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, by).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// Arguments that make a server speak TLS and check certificates.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let path = |name| self.path(name).display().to_string();
        [
            "--tls-cert",
            &path("server.pem"),
            "--tls-key",
            &path("server.key"),
            "--tls-client-ca",
            &path("ca.pem"),
            "--mtls-bound-subject",
            "CN=ci-*,O=Example",
            "--mtls-bound-subject-read",
            "CN=reader,O=Example",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}
