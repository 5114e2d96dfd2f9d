//! Options as they are written on the command line or in the environment.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::listings::Listings;
use crate::verification::VerifyUploads;

/// Pushes of one identity at once: what some hundred jobs of CI with one token have.
const MAX_PUSHES: u64 = 256;
/// Unfinished uploads in parts of one identity: a few of each of those pushes.
const MAX_MULTIPART_UPLOADS: u64 = 1024;

/// How a bucket is addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BucketLookup {
    /// By path for a configured endpoint, by name for AWS.
    Auto,
    /// https://BUCKET.endpoint/KEY
    Dns,
    /// https://endpoint/BUCKET/KEY
    Path,
}

/// Which checksum uploads carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChecksumChoice {
    /// Whichever the object store is seen to enforce, SHA-256 first.
    Auto,
    /// x-amz-checksum-sha256
    Sha256,
    /// Content-MD5
    Md5,
}

/// Whose uploads are read before they become visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerifyUploadsChoice {
    /// Everybody's.
    All,
    /// Those of identities whose rule or token does not say that they are trusted; others' are read when nothing else waits.
    Untrusted,
    /// Nobody's; a check finds out.
    None,
}

impl From<VerifyUploadsChoice> for VerifyUploads {
    fn from(choice: VerifyUploadsChoice) -> Self {
        match choice {
            VerifyUploadsChoice::All => Self::All,
            VerifyUploadsChoice::Untrusted => Self::Untrusted,
            VerifyUploadsChoice::None => Self::None,
        }
    }
}

/// Of which NARs the bucket has the listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListingsChoice {
    /// Of all NARs.
    All,
    /// Of NARs of 64 KiB and more; the server keeps those of smaller ones in its database, and the read proxy serves all.
    Large,
    /// Of none.
    None,
}

impl From<ListingsChoice> for Listings {
    fn from(choice: ListingsChoice) -> Self {
        match choice {
            ListingsChoice::All => Self::All,
            ListingsChoice::Large => Self::Large,
            ListingsChoice::None => Self::None,
        }
    }
}

/// What is generated out of the options themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Generate {
    /// The manual page.
    Man,
    /// Completions for bash.
    Bash,
    /// Completions for fish.
    Fish,
    /// Completions for zsh.
    Zsh,
}

/// What the manual page says besides the options.
const MAN_SECTIONS: &str = "\
.SH EXIT STATUS
.TP
\\fB0\\fR
Stopped by SIGTERM or SIGINT.
.TP
\\fB1\\fR
What the options name does not work, as a database that denies access.
.TP
\\fB2\\fR
An option is wrong or missing; or the bucket belongs to another database, or the database to another bucket, as the message
says.
.SH ENVIRONMENT
Each option has a variable, which stands beside it in brackets; the option wins. \\fBDATABASE_URL\\fR is the same as --db.
.SH FILES
.TP
\\fIDATA_DIR\\fB/api-token\\fR
The admin token that the first start makes if --api-token-path is not given.
.TP
\\fIDATA_DIR\\fB/signing-key\\fR
The signing key that it makes if --sign-key-path is not given.
.TP
\\fIDATA_DIR\\fB/niks3.db\\fR
The database if --db is not given.
.TP
\\fIDATA_DIR\\fB/bucket\\fR
The objects if --s3-bucket is not given.
.SH SIGNALS
.TP
\\fBSIGTERM, SIGINT\\fR
Requests in progress are finished, for up to 10 s.
.TP
\\fBSIGHUP\\fR
Reads TLS files, the admin token, the OpenID Connect configuration and the keys of the object store again.
.SH EXAMPLES
.nf
niks3-server --data-dir /var/lib/niks3
niks3-server --data-dir /var/lib/niks3 --db postgres://niks3@db.example.com/niks3 --cache-url https://cache.example.com
.fi
";

impl Generate {
    /// The text.
    ///
    /// # Errors
    /// Those of writing it down.
    pub fn text(self) -> std::io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let mut command = Cli::command();
        let name = command.get_name().to_owned();
        let shell = match self {
            Self::Man => {
                clap_mangen::Man::new(command).section("8").render(&mut text)?;
                text.extend_from_slice(MAN_SECTIONS.as_bytes());
                return Ok(text);
            }
            Self::Bash => clap_complete::Shell::Bash,
            Self::Fish => clap_complete::Shell::Fish,
            Self::Zsh => clap_complete::Shell::Zsh,
        };
        clap_complete::generate(shell, &mut command, name, &mut text);
        Ok(text)
    }
}

/// An address to listen on; a name has to mean one of this machine's.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let wrong = |why: &str| format!("{why}: write HOST:PORT, such as 127.0.0.1:5751 or localhost:5751");
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| wrong("the port is missing"))?;
    let port: u16 = port
        .parse()
        .map_err(|_| wrong("the port is not a number up to 65535"))?;
    if host.is_empty() {
        return Ok((Ipv4Addr::UNSPECIFIED, port).into());
    }
    let addresses = (host, port)
        .to_socket_addrs()
        .map_err(|_| wrong("unknown host"))?;
    let mut addresses: Vec<SocketAddr> = addresses.collect();
    // Nix and browsers try IPv4 at a name like localhost, whichever comes first here.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.first().copied().ok_or_else(|| wrong("unknown host"))
}

/// Formats of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The server of a Nix binary cache that lives in an S3 bucket.
///
/// With `--data-dir DIR` alone it is a whole cache: database, object store, token
/// and signing key are made in DIR. Configure any of them to use your own.
#[derive(Debug, Parser)]
#[command(
    name = "niks3-server",
    version = niks3_arguments::VERSION,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    /// Options of the server.
    #[command(flatten)]
    pub args: Args,

    /// What is done instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What is done instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Move closures and pins in from the original niks3
    ///
    /// Reads the closures, with their ages, and the pins of the original's database, which is never written, and takes
    /// over its bucket. Then start the server and run `niks3 fsck --repair`, which takes in what the bucket has; garbage
    /// collections wait for that. Can be repeated: what was deleted here since does not come back.
    ///
    /// Database and bucket are given as to the server.
    Import(Box<Import>),
}

/// Options of the import.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// Database of the original: postgres://…
    #[arg(long, value_name = "URL")]
    pub from_niks3: String,

    /// Import although the original's database has another session or a row from the last 15 minutes
    #[arg(long)]
    pub source_is_stopped: bool,

    /// Those of the server, of which database and bucket count.
    #[command(flatten)]
    pub server: Args,
}

// No documentation comment: it would take the place of that of the command whose options these are.
#[expect(missing_docs, reason = "as said above")]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory for the database and the object store, if these are not configured
    #[arg(long, env = "NIKS3_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Database: sqlite:///path or postgres://… [default: DATA_DIR/niks3.db]
    #[arg(long, env = "NIKS3_DB", value_name = "URL", hide_env_values = true)]
    pub db: Option<String>,

    /// The same as --db, as other programs call it
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        hide = true
    )]
    pub database_url: Option<String>,

    /// Take over the bucket from the database with this id, which the refusal to start names, or from nobody: `none`.
    /// Garbage collections wait for `niks3 fsck --repair` then
    #[arg(
        long,
        env = "NIKS3_ADOPT_BUCKET",
        value_name = "ID|none",
        help_heading = "Object store"
    )]
    pub adopt_bucket: Option<String>,

    /// How long the start waits for a database or an object store that does not answer; also with `import`
    #[arg(long, env = "NIKS3_WAIT_FOR", value_name = "DURATION", default_value = "30s")]
    pub wait_for: humantime::Duration,

    /// Address to listen on, as 127.0.0.1:5751, localhost:5751 or :5751 for all addresses; sockets from systemd win over it
    #[arg(
        long,
        env = "NIKS3_HTTP_ADDR",
        value_name = "ADDR",
        default_value = "127.0.0.1:5751",
        value_parser = listen_address
    )]
    pub http_addr: SocketAddr,

    /// Store directory of the paths in the cache
    #[arg(
        long,
        env = "NIKS3_STORE_DIR",
        value_name = "DIR",
        default_value = "/nix/store"
    )]
    pub store_dir: String,

    /// Priority among substituters; lower is asked first
    #[arg(long, env = "NIKS3_PRIORITY", value_name = "N", default_value_t = 30)]
    pub priority: u32,

    /// Address that readers use for the cache; gives the bucket a landing page
    #[arg(long, env = "NIKS3_CACHE_URL", value_name = "URL")]
    pub cache_url: Option<String>,

    /// Address that clients use for this server
    #[arg(long, env = "NIKS3_PUBLIC_URL", value_name = "URL")]
    pub server_url: Option<String>,

    /// Serve the bucket's objects over HTTP [default: only with the embedded object store]
    #[arg(long, env = "NIKS3_ENABLE_READ_PROXY", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub enable_read_proxy: Option<bool>,

    /// Answer reads of NARs with a redirect to a presigned URL of the object store, at --s3-public-url if that is given;
    /// needs --enable-read-proxy and an object store elsewhere
    #[arg(long, env = "NIKS3_READ_REDIRECT", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub read_redirect: bool,

    /// Require the scope `read`, by token or client certificate, for reading the bucket through this server
    /// [default: only with --mtls-bound-subject-read]
    #[arg(long, env = "NIKS3_PROTECT_READS", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub protect_reads: Option<bool>,

    /// File with the admin token, 36 characters or more [default: DATA_DIR/api-token]
    #[arg(long, env = "NIKS3_API_TOKEN_PATH", value_name = "FILE")]
    pub api_token_path: Option<PathBuf>,

    /// The admin token itself; a file is safer
    #[arg(
        long,
        env = "NIKS3_API_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        hide = true
    )]
    pub api_token: Option<String>,

    /// File with the OpenID Connect providers whose tokens are accepted, and the rules for what each may do
    #[arg(long, env = "NIKS3_OIDC_CONFIG", value_name = "FILE")]
    pub oidc_config: Option<PathBuf>,

    /// File that says how long closures stay; see docs/retention.md. Without it, closures go by --older-than of each garbage
    /// collection
    #[arg(long, env = "NIKS3_RETENTION_CONFIG", value_name = "FILE")]
    pub retention_config: Option<PathBuf>,

    /// Collect garbage so long after the last collection began, such as 24h [default: only when `niks3 gc` asks for it]
    #[arg(long, env = "NIKS3_GC_EVERY", value_name = "DURATION")]
    pub gc_every: Option<humantime::Duration>,

    /// What --gc-every deletes without --retention-config: closures that were neither pushed nor used for this long
    #[arg(
        long,
        env = "NIKS3_GC_OLDER_THAN",
        value_name = "DURATION",
        default_value = "30d"
    )]
    pub gc_older_than: humantime::Duration,

    /// File with a Nix secret key, as `nix key generate-secret` writes it; repeatable
    /// [default: DATA_DIR/signing-key]
    #[arg(long, env = "NIKS3_SIGN_KEY_PATH", value_name = "FILE", value_delimiter = ',')]
    pub sign_key_path: Vec<PathBuf>,

    /// The same files as the original niks3 reads them from its variable: separated by blanks
    #[arg(
        long,
        env = "NIKS3_SIGN_KEY_PATHS",
        value_name = "FILES",
        value_delimiter = ' ',
        hide = true
    )]
    pub sign_key_paths: Vec<PathBuf>,

    /// Whose uploads the server reads and verifies before they become visible. With an object store elsewhere,
    /// each upload is then read back once
    #[arg(
        long,
        env = "NIKS3_VERIFY_UPLOADS",
        value_name = "WHOSE",
        value_enum,
        default_value = "all"
    )]
    pub verify_uploads: VerifyUploadsChoice,

    /// Most NARs decompressed at once for verification [default: number of CPU cores]
    #[arg(long, env = "NIKS3_VERIFY_CONCURRENCY", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub verify_concurrency: Option<u16>,

    /// How long contents stay readable after a push with a higher-ranked key has replaced them. Nix keeps a narinfo for 30
    /// days
    #[arg(
        long,
        env = "NIKS3_KEEP_REPLACED",
        value_name = "DURATION",
        default_value = "30d"
    )]
    pub keep_replaced: humantime::Duration,

    /// Which NARs have a listing (`HASH.ls`) in the bucket
    #[arg(
        long,
        env = "NIKS3_LISTINGS",
        value_name = "WHICH",
        value_enum,
        default_value = "large"
    )]
    pub listings: ListingsChoice,

    /// Write `debuginfo/BUILD-ID` for outputs with `lib/debug/.build-id`, so that debuggers find them, as `nix copy` does with
    /// `index-debug-info=true`
    #[arg(long, env = "NIKS3_INDEX_DEBUG_INFO", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub index_debug_info: bool,

    /// Object store: host, host:port or URL
    #[arg(
        long,
        env = "NIKS3_S3_ENDPOINT",
        value_name = "ENDPOINT",
        help_heading = "Object store"
    )]
    pub s3_endpoint: Option<String>,

    /// Bucket; without it the object store is embedded in DATA_DIR
    #[arg(
        long,
        env = "NIKS3_S3_BUCKET",
        value_name = "NAME",
        help_heading = "Object store"
    )]
    pub s3_bucket: Option<String>,

    /// Region [default: the one that the service names, else us-east-1]
    #[arg(
        long,
        env = "NIKS3_S3_REGION",
        value_name = "REGION",
        help_heading = "Object store"
    )]
    pub s3_region: Option<String>,

    /// Use TLS where the endpoint does not say
    #[arg(long, env = "NIKS3_S3_USE_SSL", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set,
          help_heading = "Object store")]
    pub s3_use_ssl: bool,

    /// How the bucket is addressed
    #[arg(
        long,
        env = "NIKS3_S3_BUCKET_LOOKUP",
        value_name = "HOW",
        value_enum,
        default_value = "auto",
        help_heading = "Object store"
    )]
    pub s3_bucket_lookup: BucketLookup,

    /// Access key
    #[arg(
        long,
        env = "NIKS3_S3_ACCESS_KEY",
        value_name = "KEY",
        hide_env_values = true,
        help_heading = "Object store"
    )]
    pub s3_access_key: Option<String>,

    /// File with the access key, read again at SIGHUP and when the object store answers 403
    #[arg(
        long,
        env = "NIKS3_S3_ACCESS_KEY_PATH",
        value_name = "FILE",
        help_heading = "Object store"
    )]
    pub s3_access_key_path: Option<PathBuf>,

    /// Secret key; better in a file, since others can see a command line
    #[arg(
        long,
        env = "NIKS3_S3_SECRET_KEY",
        value_name = "KEY",
        hide_env_values = true,
        help_heading = "Object store"
    )]
    pub s3_secret_key: Option<String>,

    /// File with the secret key, read again like that of the access key
    #[arg(
        long,
        env = "NIKS3_S3_SECRET_KEY_PATH",
        value_name = "FILE",
        help_heading = "Object store"
    )]
    pub s3_secret_key_path: Option<PathBuf>,

    /// Take credentials from the environment: instance role, web identity, profile
    #[arg(long, env = "NIKS3_S3_USE_IAM", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set,
          help_heading = "Object store")]
    pub s3_use_iam: bool,

    /// Most requests to the object store in progress at once
    #[arg(
        long,
        env = "NIKS3_S3_CONCURRENCY",
        value_name = "N",
        default_value_t = 64,
        help_heading = "Object store"
    )]
    pub s3_concurrency: usize,

    /// Most requests to the object store in a second; 0 for no limit
    #[arg(
        long,
        env = "NIKS3_S3_RATE_LIMIT",
        value_name = "N",
        default_value_t = 0,
        help_heading = "Object store"
    )]
    pub s3_rate_limit: u32,

    /// Address in upload URLs when clients reach the object store by another one
    #[arg(
        long,
        env = "NIKS3_S3_PUBLIC_URL",
        value_name = "URL",
        help_heading = "Object store"
    )]
    pub s3_public_url: Option<String>,

    /// Checksum that uploads carry
    #[arg(
        long,
        env = "NIKS3_S3_CHECKSUM",
        value_name = "KIND",
        value_enum,
        default_value = "auto",
        help_heading = "Object store"
    )]
    pub s3_checksum: ChecksumChoice,

    /// In a versioned bucket, let garbage collections delete old versions of the cache's objects for good; needs
    /// s3:ListBucketVersions and s3:DeleteObjectVersion
    #[arg(long, env = "NIKS3_S3_DELETE_VERSIONS", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set,
          help_heading = "Object store")]
    pub s3_delete_versions: bool,

    /// Ask for a token with the scope `read` at /metrics
    #[arg(long, env = "NIKS3_PROTECT_METRICS", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub protect_metrics: bool,

    /// Certificate chain of this server in PEM form; with it, connections are TLS. All files of TLS are read again at SIGHUP
    #[arg(long, env = "NIKS3_TLS_CERT", value_name = "FILE", help_heading = "TLS")]
    pub tls_cert: Option<PathBuf>,

    /// Key of the certificate in PEM form
    #[arg(long, env = "NIKS3_TLS_KEY", value_name = "FILE", help_heading = "TLS")]
    pub tls_key: Option<PathBuf>,

    /// Authorities whose client certificates are accepted, in PEM form
    #[arg(long, env = "NIKS3_TLS_CLIENT_CA", value_name = "FILE", help_heading = "TLS")]
    pub tls_client_ca: Option<PathBuf>,

    /// Subject of client certificates that may push, as `CN=ci,O=Example` (RFC 4514); `*` and `?` stand
    /// for others; repeatable, in the environment one a line
    #[arg(
        long,
        env = "NIKS3_MTLS_BOUND_SUBJECT",
        value_name = "SUBJECT",
        value_delimiter = '\n',
        help_heading = "TLS"
    )]
    pub mtls_bound_subject: Vec<String>,

    /// Subject of client certificates that may read; nobody reads without one, or a token, then
    #[arg(
        long,
        env = "NIKS3_MTLS_BOUND_SUBJECT_READ",
        value_name = "SUBJECT",
        value_delimiter = '\n',
        help_heading = "TLS"
    )]
    pub mtls_bound_subject_read: Vec<String>,

    /// Header in which a proxy says `SUCCESS` when it has checked a client certificate
    #[arg(
        long,
        env = "NIKS3_MTLS_PROXY_HEADER",
        value_name = "NAME",
        help_heading = "TLS"
    )]
    pub mtls_proxy_header: Option<String>,

    /// Header in which the proxy says the subject, as RFC 4514 writes it [default: X-SSL-Client-Dn]
    #[arg(
        long,
        env = "NIKS3_MTLS_SUBJECT_HEADER",
        value_name = "NAME",
        help_heading = "TLS"
    )]
    pub mtls_subject_header: Option<String>,

    /// Address or network of the proxy, as 10.0.0.1 or 10.0.0.0/8; what others say in its headers is ignored; repeatable
    /// [default: those of --trusted-proxy, or else 127.0.0.1 and ::1]
    #[arg(
        long,
        env = "NIKS3_MTLS_TRUSTED_PROXY",
        value_name = "ADDR",
        value_delimiter = ',',
        help_heading = "TLS"
    )]
    pub mtls_trusted_proxy: Vec<String>,

    /// How long a push stays in progress after the last request of its client
    #[arg(long, env = "NIKS3_PUSH_LEASE", value_name = "DURATION", default_value = "2m")]
    pub push_lease: humantime::Duration,

    /// Most pushes that one identity has in progress at once; those with the scope `admin` are not limited, and a
    /// rule can say otherwise
    #[arg(long, env = "NIKS3_MAX_PUSHES", value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
          default_value_t = MAX_PUSHES, help_heading = "Limits")]
    pub max_pushes: u64,

    /// Most unfinished uploads in parts that one identity has at once; those with the scope `admin` are not limited,
    /// and a rule can say otherwise
    #[arg(long, env = "NIKS3_MAX_MULTIPART_UPLOADS", value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
          default_value_t = MAX_MULTIPART_UPLOADS, help_heading = "Limits")]
    pub max_multipart_uploads: u64,

    /// Most bytes, as 50GiB, that the pushes of one identity have still to bring: NARs as they are claimed, or what was
    /// uploaded of NARs, listings and build logs where that is more; those with the scope `admin` are not limited, and a
    /// rule can say otherwise [default: any number]
    #[arg(
        long,
        env = "NIKS3_MAX_CLAIMED_BYTES",
        value_name = "SIZE",
        help_heading = "Limits"
    )]
    pub max_claimed_bytes: Option<ByteSize>,

    /// Most bytes of a NAR that may be pushed, as 10GiB; 0 for any number
    #[arg(
        long,
        env = "NIKS3_MAX_NAR_SIZE",
        value_name = "SIZE",
        help_heading = "Limits"
    )]
    pub max_nar_size: Option<ByteSize>,

    /// Invalid tokens that one client address may send per minute; more of them are answered with 429; 0 for no limit
    #[arg(
        long,
        env = "NIKS3_AUTH_FAILURE_LIMIT",
        value_name = "N",
        default_value_t = 60,
        help_heading = "Limits"
    )]
    pub auth_failure_limit: u32,

    /// Address or network of a reverse proxy, as 10.0.0.1 or 10.0.0.0/8. The server believes its X-Forwarded-For (failures
    /// count for that address) and, without --server-url, X-Forwarded-Proto, -Host and -Prefix, the address that clients
    /// use; repeatable
    #[arg(
        long,
        env = "NIKS3_TRUSTED_PROXY",
        value_name = "ADDR",
        value_delimiter = ',',
        help_heading = "Limits"
    )]
    pub trusted_proxy: Vec<String>,

    /// Print the manual page, or the completions for a shell, and end
    #[arg(long, value_name = "WHAT", value_enum, exclusive = true, hide = true)]
    pub generate: Option<Generate>,

    /// Format of the log on standard error
    #[arg(
        long,
        env = "NIKS3_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value = "text"
    )]
    pub log_format: LogFormat,

    /// What to log: error, warn, info, debug, trace, or a filter as `niks3_server=debug`
    #[arg(long, env = "NIKS3_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// The same as --log=debug
    #[arg(long, env = "NIKS3_DEBUG", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set, hide = true)]
    pub debug: bool,
}
