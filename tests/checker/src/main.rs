//! `niks3-check-bucket`: checks a Nix binary cache.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use niks3_check_bucket::{Bucket, Folder, Http, Options, PublicKey, S3, S3Location, check};

/// Check everything that readers of a Nix binary cache rely on.
///
/// Exits with 0 if there are no flaws, 1 if there are, 2 if the bucket cannot be read.
/// NARs compressed with xz, bzip2, gzip or brotli need the program of that name.
#[derive(Parser)]
#[command(after_help = "Example:\n  niks3-check-bucket --public-key cache-1:… /var/lib/niks3/bucket")]
struct Arguments {
    /// Folder, file:// or http(s):// address, or s3://BUCKET
    bucket: String,
    /// Store directory of the cache
    #[arg(long, default_value = "/nix/store")]
    store_dir: String,
    /// Trusted public key, one of which has to have signed each path; repeatable
    #[arg(long = "public-key", value_name = "NAME:BASE64")]
    keys: Vec<PublicKey>,
    /// Store path that may be referred to without being in the cache; repeatable
    #[arg(long, value_name = "PATH")]
    external: Vec<String>,
    /// Store path whose closure is checked instead of the whole bucket; repeatable
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    /// Pin to check where the bucket cannot be listed; repeatable
    #[arg(long = "pin", value_name = "NAME")]
    pins: Vec<String>,
    /// Bytes of the smallest NAR that needs a listing in the bucket, as the server's `--listings` has it
    #[arg(long, value_name = "BYTES", default_value_t = 65536)]
    listings_from: u64,
    /// Address of the S3 service
    #[arg(long, default_value = "https://s3.amazonaws.com")]
    s3_endpoint: String,
    /// Region of the S3 service
    #[arg(long, default_value = "us-east-1")]
    s3_region: String,
    /// Access key of the S3 service
    #[arg(long, env = "AWS_ACCESS_KEY_ID", default_value = "", hide_env_values = true)]
    s3_access_key: String,
    /// Secret key of the S3 service
    #[arg(
        long,
        env = "AWS_SECRET_ACCESS_KEY",
        default_value = "",
        hide_env_values = true
    )]
    s3_secret_key: String,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

fn open(arguments: &Arguments) -> anyhow::Result<Box<dyn Bucket>> {
    let text = arguments.bucket.as_str();
    Ok(if let Some(bucket) = text.strip_prefix("s3://") {
        Box::new(S3::new(S3Location {
            endpoint: arguments.s3_endpoint.clone(),
            region: arguments.s3_region.clone(),
            bucket: bucket.to_owned(),
            access_key: arguments.s3_access_key.clone(),
            secret_key: arguments.s3_secret_key.clone(),
        })?)
    } else if text.starts_with("http://") || text.starts_with("https://") {
        Box::new(Http::new(text)?)
    } else {
        Box::new(Folder(PathBuf::from(
            text.strip_prefix("file://").unwrap_or(text),
        )))
    })
}

fn base_names(paths: &[String]) -> impl Iterator<Item = String> {
    let base = |path: &String| path.rsplit('/').next().unwrap_or_default().to_owned();
    paths.iter().map(base)
}

fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let options = Options {
        store_dir: arguments.store_dir.clone(),
        keys: arguments.keys.clone(),
        external: base_names(&arguments.external).collect(),
        paths: (!arguments.paths.is_empty()).then(|| base_names(&arguments.paths).collect()),
        pins: arguments.pins.clone(),
        listings_from: arguments.listings_from,
    };
    let report = check(&*open(arguments)?, &options)?;
    let mut out = std::io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        writeln!(out, "{report}")?;
    }
    Ok(report.flaws.is_empty())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "niks3-check-bucket: {error:#}");
            ExitCode::from(2)
        }
    }
}
