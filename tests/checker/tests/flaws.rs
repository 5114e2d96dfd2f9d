//! A binary cache that Nix has written has no flaw; each thing that is broken in it is found, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use niks3_check_bucket::{Folder, Kind, Options, Report, check};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const EXPRESSION: &str = r#"
let
  build = name: script: derivation {
    inherit name; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-ec" script ];
  };
  text = builtins.toFile "text" "some text";
  words = build "words" "mkdir $out; cat ${text} > $out/words; ln -s words $out/link; echo ${text} > $out/text";
  ca = derivation {
    name = "ca"; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin";
    args = [ "-ec" "mkdir $out; echo $out ${words} $out > $out/itself" ];
    __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256";
  };
in {
  app = build "app" "mkdir -p $out/bin $out/empty; echo ${words} > $out/bin/app; chmod +x $out/bin/app";
  other = build "other" "echo other > $out";
  inherit ca;
}
"#;

struct Cache {
    root: TempDir,
    app: String,
    words: String,
    other: String,
    ca: String,
}

/// Made once, by Nix.
static GOOD: LazyLock<Cache> = LazyLock::new(Cache::build);

impl Cache {
    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn nix(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("NIX_REMOTE", "")
            .env_remove("NIX_PATH")
            .env_remove("NIX_CONFIG");
        for (name, folder) in [
            ("NIX_STORE_DIR", "store"),
            ("NIX_STATE_DIR", "state"),
            ("NIX_LOG_DIR", "log"),
            ("NIX_LOCALSTATE_DIR", "state"),
            ("NIX_CONF_DIR", "etc"),
            ("HOME", "home"),
        ] {
            command.env(name, self.path(folder));
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn build() -> Self {
        let cache = Self {
            root: tempfile::tempdir().unwrap(),
            app: String::new(),
            words: String::new(),
            other: String::new(),
            ca: String::new(),
        };
        let path = |name: &str| cache.path(name).display().to_string();
        for folder in ["etc", "home"] {
            fs::create_dir(cache.path(folder)).unwrap();
        }
        let config = format!(
            "build-users-group =\nsandbox = false\nsubstituters =\nsecret-key-files = {}\n\
             experimental-features = nix-command ca-derivations\n",
            path("secret")
        );
        cache.nix(
            "nix-store",
            &[
                "--generate-binary-cache-key",
                "test-1",
                &path("secret"),
                &path("public"),
            ],
        );
        fs::write(cache.path("etc/nix.conf"), config).unwrap();
        fs::write(cache.path("default.nix"), EXPRESSION).unwrap();
        let file = path("default.nix");
        let build = |name: &str| cache.nix("nix-build", &["--no-out-link", &file, "-A", name]);
        let (app, other, ca) = (build("app"), build("other"), build("ca"));
        fs::write(cache.path("plain"), "plain").unwrap();
        let source = cache.nix("nix-store", &["--add", &path("etc")]);
        let flat = cache.nix("nix-store", &["--add-fixed", "sha256", &path("plain")]);
        let sha1 = cache.nix(
            "nix-store",
            &["--add-fixed", "--recursive", "sha1", &path("plain")],
        );
        let to = format!(
            "file://{}?compression=zstd&write-nar-listing=1&secret-key={}",
            path("bucket"),
            path("secret")
        );
        cache.nix("nix", &["copy", "--to", &to, &app, &other, &source, &flat, &sha1]);
        // By its derivation, so that its realisation comes along.
        cache.nix("nix", &["copy", "--to", &to, "-f", &file, "ca"]);
        let closure = cache.nix("nix-store", &["-qR", &app]);
        let words = closure.lines().find(|path| path.ends_with("-words")).unwrap();
        let base = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        let (app, words, other, ca) = (base(&app), base(words), base(&other), base(&ca));
        let bucket = cache.path("bucket");
        fs::create_dir(bucket.join("pins")).unwrap();
        fs::write(
            bucket.join("pins/release"),
            format!("{}/{other}\n", path("store")),
        )
        .unwrap();
        fs::create_dir_all(bucket.join("log")).unwrap();
        fs::write(bucket.join("log").join(format!("{app}.drv")), "built\n").unwrap();
        Self {
            app,
            words,
            other,
            ca,
            ..cache
        }
    }
}

/// A copy of the good cache, to be broken.
struct Copy {
    bucket: TempDir,
}

impl Copy {
    fn new() -> Self {
        let bucket = tempfile::tempdir().unwrap();
        let from = format!("{}/.", GOOD.path("bucket").display());
        let copied = Command::new("cp")
            .args(["-r", &from])
            .arg(bucket.path())
            .status()
            .unwrap();
        assert!(copied.success());
        Self { bucket }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.bucket.path().join(key)
    }

    fn read(&self, key: &str) -> String {
        fs::read_to_string(self.path(key)).unwrap()
    }

    fn write(&self, key: &str, body: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(key).parent().unwrap()).unwrap();
        fs::write(self.path(key), body).unwrap();
    }

    fn edit(&self, key: &str, edit: impl Fn(&str) -> String) {
        let text = self.read(key);
        let edited = edit(&text);
        assert_ne!(text, edited, "{key}");
        self.write(key, edited);
    }

    fn remove(&self, key: &str) {
        fs::remove_file(self.path(key)).unwrap();
    }

    fn field(&self, key: &str, name: &str) -> String {
        let text = self.read(key);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("{name} in {text}")).to_owned()
    }

    fn set(&self, key: &str, name: &str, value: &str) {
        let old = format!("{name}: {}\n", self.field(key, name));
        self.edit(key, |text| text.replace(&old, &format!("{name}: {value}\n")));
    }

    /// Signs a narinfo again, whatever it says.
    fn sign(&self, key: &str) {
        let secret = fs::read_to_string(GOOD.path("secret")).unwrap();
        let (name, base64) = secret.trim().split_once(':').unwrap();
        let bytes = STANDARD.decode(base64).unwrap();
        let secret = SigningKey::from_bytes(bytes[..32].try_into().unwrap());
        let store = GOOD.path("store").display().to_string();
        let references: Vec<String> = self
            .field(key, "References")
            .split_whitespace()
            .map(|base| format!("{store}/{base}"))
            .collect();
        let fingerprint = format!(
            "1;{};{};{};{}",
            self.field(key, "StorePath"),
            self.field(key, "NarHash"),
            self.field(key, "NarSize"),
            references.join(",")
        );
        let signature = STANDARD.encode(secret.sign(fingerprint.as_bytes()).to_bytes());
        self.edit(key, |text| {
            let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("Sig: ")).collect();
            format!("{}\nSig: {name}:{signature}\n", kept.join("\n"))
        });
    }

    /// Stores other bytes for a path, and says so everywhere.
    fn store(&self, key: &str, nar: &[u8]) {
        let stored = zstd::encode_all(nar, 1).unwrap();
        let hash = base32(&Sha256::digest(&stored));
        let url = format!("nar/{hash}.nar.zst");
        self.write(&url, &stored);
        self.remove(&self.field(key, "URL"));
        for (name, value) in [
            ("URL", url),
            ("FileHash", format!("sha256:{hash}")),
            ("FileSize", stored.len().to_string()),
            ("NarHash", format!("sha256:{}", base32(&Sha256::digest(nar)))),
            ("NarSize", nar.len().to_string()),
        ] {
            if self.field(key, name) != value {
                self.set(key, name, &value);
            }
        }
        self.sign(key);
    }

    fn nar(&self, key: &str) -> Vec<u8> {
        let stored = fs::read(self.path(&self.field(key, "URL"))).unwrap();
        zstd::decode_all(&stored[..]).unwrap()
    }

    fn check(&self) -> Report {
        let options = Options {
            store_dir: GOOD.path("store").display().to_string(),
            keys: vec![fs::read_to_string(GOOD.path("public")).unwrap().parse().unwrap()],
            ..Options::default()
        };
        check(&Folder(self.bucket.path().to_owned()), &options).unwrap()
    }

    #[track_caller]
    fn has(&self, expected: &[(Kind, &str)]) {
        let report = self.check();
        let found: Vec<(Kind, &str)> = report
            .flaws
            .iter()
            .map(|flaw| (flaw.kind, flaw.key.as_str()))
            .collect();
        assert_eq!(found, expected, "{report}");
    }
}

fn base32(bytes: &[u8]) -> String {
    let output = Command::new("nix-hash")
        .args(["--type", "sha256", "--to-base32"])
        .arg(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn narinfo(base: &str) -> String {
    format!("{}.narinfo", &base[..32])
}

fn listing(base: &str) -> String {
    format!("{}.ls", &base[..32])
}

/// A hash as Nix writes it, and another.
fn other_hash(text: &str) -> String {
    let (start, last) = text.split_at(text.len() - 1);
    format!("{start}{}", if last == "0" { "1" } else { "0" })
}

#[test]
fn a_cache_that_nix_has_written_has_no_flaw() {
    let report = Copy::new().check();
    assert!(report.flaws.is_empty(), "{report}");
    // Everything that it has could be checked.
    assert!(report.notes.is_empty(), "{report}");
    assert_eq!(report.pins.get("release"), Some(&GOOD.other));
    assert_eq!(report.logs, 1);
    assert!(report.realisations > 0, "{report}");
    // app, words, text, other, source, plain twice, ca
    assert_eq!(report.paths.len(), 8, "{report}");
}

#[test]
fn a_narinfo_that_does_not_parse_is_a_flaw() {
    let key = narinfo(&GOOD.app);
    type Edit = fn(&str) -> String;
    let edits: [Edit; 9] = [
        |text| format!("{text}Unheard: of\n"),
        |text| format!("{text}NarSize: 1\n"),
        |text| text.trim_end().to_owned(),
        |text| text.replace("NarHash: sha256:", "NarHash: md5:"),
        |text| text.replace("FileSize: ", "FileSize: 0"),
        |text| text.replace("URL: nar/", "URL: ../nar/"),
        |text| text.replace("URL: nar/", "URL: https://example.com/nar/"),
        |text| text.replace("StorePath: /", "StorePath: /elsewhere/"),
        |text| text.replace("References: ", "References: ../"),
    ];
    for edit in edits {
        let copy = Copy::new();
        copy.edit(&key, edit);
        copy.has(&[(Kind::NarinfoSyntax, &key)]);
    }
    let copy = Copy::new();
    copy.write(&key, b"\xff\xfe");
    copy.has(&[(Kind::NarinfoSyntax, &key)]);
}

#[test]
fn a_narinfo_under_another_name_is_a_flaw() {
    let copy = Copy::new();
    let wrong = format!("{}.narinfo", "0".repeat(32));
    fs::copy(copy.path(&narinfo(&GOOD.app)), copy.path(&wrong)).unwrap();
    copy.has(&[(Kind::NarinfoName, &wrong)]);
}

#[test]
fn stored_bytes_that_are_not_what_the_narinfo_says_are_a_flaw() {
    let key = narinfo(&GOOD.app);
    let copy = Copy::new();
    copy.remove(&copy.field(&key, "URL"));
    copy.has(&[(Kind::NarMissing, &key)]);

    let copy = Copy::new();
    copy.set(&key, "FileSize", "1");
    copy.has(&[(Kind::FileSize, &key)]);

    let copy = Copy::new();
    copy.set(&key, "FileHash", &other_hash(&copy.field(&key, "FileHash")));
    copy.has(&[(Kind::NarinfoContradiction, &key), (Kind::FileHash, &key)]);

    // One bit in the middle, which zstd's own checksum need not notice.
    let copy = Copy::new();
    let nar = copy.path(&copy.field(&key, "URL"));
    let mut bytes = fs::read(&nar).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&nar, bytes).unwrap();
    let report = copy.check();
    assert_eq!(report.flaws[0].kind, Kind::FileHash, "{report}");
    assert!(report.flaws.iter().all(|flaw| flaw.key == key), "{report}");
}

#[test]
fn a_nar_that_is_not_what_the_narinfo_says_is_a_flaw() {
    let key = narinfo(&GOOD.app);
    let copy = Copy::new();
    copy.set(&key, "NarHash", &other_hash(&copy.field(&key, "NarHash")));
    copy.sign(&key);
    copy.has(&[(Kind::NarHash, &key)]);

    let copy = Copy::new();
    copy.set(&key, "NarSize", "1");
    copy.sign(&key);
    copy.has(&[(Kind::NarSize, &key)]);

    // Another path's NAR, all of it: the listing shows it.
    let copy = Copy::new();
    let nar = copy.nar(&narinfo(&GOOD.other));
    copy.store(&key, &nar);
    copy.write(
        &copy.field(&narinfo(&GOOD.other), "URL"),
        zstd::encode_all(&nar[..], 1).unwrap(),
    );
    let report = copy.check();
    assert!(
        report
            .flaws
            .iter()
            .any(|flaw| flaw.kind == Kind::Listing && flaw.key == listing(&GOOD.app)),
        "{report}"
    );
}

#[test]
fn a_nar_that_nix_would_not_write_is_a_flaw() {
    let key = narinfo(&GOOD.app);
    let copy = Copy::new();
    let mut nar = copy.nar(&key);
    // The padding of the last `)`.
    *nar.last_mut().unwrap() = 1;
    copy.store(&key, &nar);
    copy.has(&[(Kind::NarFormat, &key)]);

    let copy = Copy::new();
    let mut nar = copy.nar(&key);
    nar.extend([0; 8]);
    copy.store(&key, &nar);
    copy.has(&[(Kind::NarFormat, &key)]);
}

#[test]
fn a_missing_reference_is_a_flaw() {
    let copy = Copy::new();
    copy.remove(&narinfo(&GOOD.words));
    let (app, ca) = (narinfo(&GOOD.app), narinfo(&GOOD.ca));
    let found = copy.check();
    let referrers: Vec<&str> = found
        .flaws
        .iter()
        .filter(|flaw| flaw.kind == Kind::ReferenceMissing)
        .map(|flaw| flaw.key.as_str())
        .collect();
    let mut expected = [app.as_str(), ca.as_str()];
    expected.sort_unstable();
    assert_eq!(referrers, expected, "{found}");
}

#[test]
fn a_signature_that_does_not_fit_is_a_flaw() {
    let key = narinfo(&GOOD.app);
    let copy = Copy::new();
    copy.edit(&key, |text| {
        let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("Sig: ")).collect();
        kept.join("\n") + "\n"
    });
    copy.has(&[(Kind::Signature, &key)]);

    // What is signed is another size of the NAR.
    let copy = Copy::new();
    let signature = copy.field(&key, "Sig");
    copy.set(&key, "NarSize", "1");
    copy.sign(&key);
    let wrong = copy.field(&key, "Sig");
    assert_ne!(signature, wrong);
    let copy = Copy::new();
    copy.set(&key, "Sig", &wrong);
    copy.has(&[(Kind::Signature, &key)]);

    let copy = Copy::new();
    copy.edit(&key, |text| format!("{text}Sig: {signature}\n"));
    copy.has(&[(Kind::Signature, &key)]);

    // A stranger's signature does no harm.
    let copy = Copy::new();
    copy.edit(&key, |text| {
        format!(
            "{text}{}\n",
            format!("Sig: {signature}").replace("test-1", "stranger-1")
        )
    });
    copy.has(&[]);
}

#[test]
fn a_listing_of_something_else_is_a_flaw() {
    let key = listing(&GOOD.app);
    let copy = Copy::new();
    copy.remove(&key);
    copy.has(&[(Kind::ListingMissing, &key)]);

    let copy = Copy::new();
    copy.edit(&key, |text| text.replace("\"narOffset\":", "\"narOffset\":1"));
    copy.has(&[(Kind::Listing, &key)]);

    let copy = Copy::new();
    copy.write(&key, "{");
    copy.has(&[(Kind::Listing, &key)]);
}

#[test]
fn a_content_address_that_does_not_fit_is_a_flaw() {
    let keys: Vec<String> = fs::read_dir(GOOD.path("bucket"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|extension| extension == "narinfo")
        })
        .collect();
    let copy = Copy::new();
    let addressed: Vec<&String> = keys
        .iter()
        .filter(|key| copy.read(key).contains("\nCA: "))
        .collect();
    // text, source, plain twice, ca
    assert_eq!(addressed.len(), 5);
    for key in addressed {
        let copy = Copy::new();
        copy.set(key, "CA", &other_hash(&copy.field(key, "CA")));
        copy.has(&[(Kind::ContentAddress, key)]);
    }
    // The path fits its address, and the contents are others.
    let text = keys
        .iter()
        .find(|key| copy.read(key).contains("\nCA: text:"))
        .unwrap();
    let copy = Copy::new();
    let mut nar = copy.nar(text);
    let place = nar.windows(4).position(|part| part == b"some").unwrap();
    nar[place] ^= 1;
    copy.store(text, &nar);
    copy.has(&[(Kind::ContentAddress, text)]);
}

#[test]
fn a_pin_that_cannot_be_followed_is_a_flaw() {
    let key = "pins/release";
    let copy = Copy::new();
    copy.write(key, "/somewhere/else\n");
    copy.has(&[(Kind::Pin, key)]);

    let copy = Copy::new();
    copy.edit(key, |text| text.replace("-other", "-others"));
    copy.has(&[(Kind::Pin, key)]);

    let copy = Copy::new();
    let other = narinfo(&GOOD.other);
    copy.remove(&copy.field(&other, "URL"));
    copy.has(&[(Kind::NarMissing, &other), (Kind::Pin, key)]);
}

#[test]
fn a_realisation_that_cannot_be_followed_is_a_flaw() {
    let copy = Copy::new();
    // Some versions of Nix write those of other paths, too.
    let key = fs::read_dir(copy.path("realisations"))
        .unwrap()
        .map(|entry| format!("realisations/{}", entry.unwrap().file_name().to_str().unwrap()))
        .find(|key| copy.read(key).contains("-ca\""))
        .unwrap();
    copy.edit(&key, |text| text.replace("-ca\"", "-cat\""));
    let report = copy.check();
    assert!(
        report
            .flaws
            .iter()
            .any(|flaw| flaw.detail.contains("has no narinfo")),
        "{report}"
    );
    assert!(
        report.flaws.iter().any(|flaw| flaw.detail.contains("invalid")),
        "{report}"
    );
    assert!(
        report.flaws.iter().all(|flaw| flaw.kind == Kind::Realisation),
        "{report}"
    );

    let copy = Copy::new();
    copy.write(&key, "{}");
    copy.has(&[(Kind::Realisation, &key)]);
}

#[test]
fn a_log_and_the_cache_info_are_checked() {
    let copy = Copy::new();
    let key = format!("log/{}.drv", GOOD.app);
    copy.write(&key, zstd::encode_all(&b"built\n"[..], 1).unwrap());
    copy.has(&[(Kind::Log, &key)]);

    let copy = Copy::new();
    copy.write("log/some-log", "built\n");
    copy.has(&[(Kind::Log, "log/some-log")]);

    let copy = Copy::new();
    copy.write("nix-cache-info", "StoreDir: /nix/store\n");
    copy.has(&[(Kind::CacheInfo, "nix-cache-info")]);
}

#[test]
fn what_no_reader_notices_is_a_note() {
    let copy = Copy::new();
    copy.write("nar/unknown.nar.zst", "x");
    copy.write("staging/some-push/x", "x");
    copy.write("00000000000000000000000000000000.ls", "{}");
    copy.write("backup/of/something", "x");
    let report = copy.check();
    assert!(report.flaws.is_empty(), "{report}");
    let mut notes: Vec<Kind> = report.notes.iter().map(|note| note.kind).collect();
    notes.retain(|kind| *kind != Kind::NotChecked);
    assert_eq!(
        notes,
        [
            Kind::UnreferencedNar,
            Kind::UnreferencedListing,
            Kind::Staged,
            Kind::UnknownObject
        ]
    );
}

#[test]
fn the_program_tells_a_flaw_by_its_exit_code() {
    let copy = Copy::new();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_niks3-check-bucket"))
            .args(["--store-dir", GOOD.path("store").to_str().unwrap()])
            .args(["--listings-from", "0"])
            .args([
                "--public-key",
                fs::read_to_string(GOOD.path("public")).unwrap().trim(),
            ])
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let bucket = copy.bucket.path().to_str().unwrap();
    let (code, text) = run(&[bucket]);
    assert_eq!(code, 0, "{text}");
    copy.remove(&listing(&GOOD.app));
    let (code, text) = run(&[&format!("file://{bucket}")]);
    assert_eq!(code, 1);
    assert!(
        text.contains("listing-missing") && text.ends_with("1 flaw\n"),
        "{text}"
    );
    let (code, text) = run(&["--json", bucket]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, 1);
    assert_eq!(report["flaws"][0]["kind"], "listing-missing");
    // The closure of another path has none.
    assert_eq!(run(&["--path", &GOOD.other, bucket]).0, 0);
    assert_eq!(run(&["--path", &format!("{}-none", "0".repeat(32)), bucket]).0, 1);
    assert_eq!(run(&["/nonexistent"]).0, 2);
}
