//! Narinfos, read strictly.

use crate::base32;

/// Length of the hash in a store path, in digits.
pub const HASH_LEN: usize = 32;
/// The longest name of a store path.
const MAX_NAME_LEN: usize = 211;

/// What a narinfo says.
#[derive(Debug)]
pub struct NarInfo {
    /// Base name of the store path.
    pub base_name: String,
    /// Where the NAR is, relative to the bucket.
    pub url: String,
    /// How the NAR is compressed.
    pub compression: String,
    /// SHA-256 of the stored bytes.
    pub file_hash: Option<[u8; 32]>,
    /// Number of the stored bytes.
    pub file_size: Option<u64>,
    /// SHA-256 of the NAR.
    pub nar_hash: [u8; 32],
    /// Size of the NAR.
    pub nar_size: u64,
    /// Base names of the references, sorted.
    pub references: Vec<String>,
    /// Signatures.
    pub signatures: Vec<String>,
    /// Content address.
    pub ca: Option<String>,
}

/// Whether a text is the base name of a store path.
pub fn is_base_name(text: &str) -> bool {
    let Some((hash, name)) = text.split_at_checked(HASH_LEN) else {
        return false;
    };
    let Some(name) = name.strip_prefix('-') else {
        return false;
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
    base32::decode::<20>(hash).is_some()
        && !name.is_empty()
        && name.len() <= MAX_NAME_LEN
        && name.bytes().all(allowed)
        && name != "."
        && name != ".."
        && !name.starts_with(".-")
        && !name.starts_with("..-")
}

fn sha256(text: &str) -> Option<[u8; 32]> {
    base32::decode(text.strip_prefix("sha256:")?)
}

/// A number as Nix writes it: digits alone, no zeros before others.
fn number(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .filter(|number: &u64| number.to_string() == text)
}

#[derive(Default)]
struct Fields<'a> {
    seen: Vec<(&'a str, &'a str)>,
    signatures: Vec<String>,
}

const FIELDS: [&str; 11] = [
    "StorePath",
    "URL",
    "Compression",
    "FileHash",
    "FileSize",
    "NarHash",
    "NarSize",
    "References",
    "Deriver",
    "System",
    "CA",
];

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Result<Self, String> {
        let mut fields = Self::default();
        let lines = text
            .strip_suffix('\n')
            .ok_or("the last line does not end")?
            .split('\n');
        for line in lines {
            let (name, value) = line
                .split_once(": ")
                .or_else(|| line.strip_suffix(':').map(|name| (name, "")))
                .ok_or_else(|| format!("'{line}' is not a field"))?;
            if name == "Sig" {
                fields.signatures.push(value.to_owned());
            } else if !FIELDS.contains(&name) {
                return Err(format!("unknown field '{name}'"));
            } else if fields.get(name).is_some() {
                return Err(format!("two fields '{name}'"));
            } else if value.is_empty() && name != "References" {
                return Err(format!("'{name}' is empty"));
            } else if value.chars().any(char::is_control) {
                return Err(format!("control characters in '{name}'"));
            } else {
                fields.seen.push((name, value));
            }
        }
        Ok(fields)
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.seen.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| *value)
    }

    /// A field that not every writer writes.
    fn optional<T>(&self, name: &str, parse: impl Fn(&'a str) -> Option<T>) -> Result<Option<T>, String> {
        match self.get(name) {
            Some(_) => self.required(name, parse).map(Some),
            None => Ok(None),
        }
    }

    fn required<T>(&self, name: &str, parse: impl Fn(&'a str) -> Option<T>) -> Result<T, String> {
        let value = self.get(name).ok_or_else(|| format!("no field '{name}'"))?;
        parse(value).ok_or_else(|| format!("'{name}' has the impossible value '{value}'"))
    }
}

/// A key inside the bucket, not an address elsewhere and no way out of a folder.
fn relative(url: &str) -> Option<String> {
    let plain = !url.starts_with('/') && !url.contains("//") && !url.contains(['\\', '?', '#', ' ']);
    let inside = url.split('/').all(|part| !matches!(part, "" | "." | ".."));
    (plain && inside && !url.contains("://")).then(|| url.to_owned())
}

/// Reads a narinfo of a store.
pub fn parse(store_dir: &str, text: &str) -> Result<NarInfo, String> {
    let fields = Fields::read(text)?;
    let base = |path: &str| {
        let base = path.strip_prefix(store_dir)?.strip_prefix('/')?;
        is_base_name(base).then(|| base.to_owned())
    };
    let references = fields.required("References", |text| {
        let words: Vec<String> = text.split_terminator(' ').map(str::to_owned).collect();
        words.iter().all(|word| is_base_name(word)).then_some(words)
    })?;
    if !references.is_sorted_by(|one, next| one < next) {
        return Err("'References' are not sorted or name a path twice".to_owned());
    }
    let deriver = fields.get("Deriver");
    if let Some(deriver) = deriver.filter(|name| *name != "unknown-deriver")
        && !(is_base_name(deriver) && deriver.ends_with(".drv"))
    {
        return Err(format!("'Deriver' has the impossible value '{deriver}'"));
    }
    Ok(NarInfo {
        base_name: fields.required("StorePath", base)?,
        url: fields.required("URL", relative)?,
        compression: fields.required("Compression", |text| Some(text.to_owned()))?,
        file_hash: fields.optional("FileHash", sha256)?,
        file_size: fields.optional("FileSize", number)?,
        nar_hash: fields.required("NarHash", sha256)?,
        nar_size: fields.required("NarSize", number)?,
        references,
        ca: fields.get("CA").map(str::to_owned),
        signatures: fields.signatures,
    })
}

impl NarInfo {
    /// The hash part of the store path.
    pub fn hash_part(&self) -> &str {
        &self.base_name[..HASH_LEN]
    }

    /// The name part of the store path.
    pub fn name_part(&self) -> &str {
        &self.base_name[HASH_LEN + 1..]
    }

    /// The text that is signed.
    pub fn fingerprint(&self, store_dir: &str) -> String {
        let references: Vec<String> = self
            .references
            .iter()
            .map(|base| format!("{store_dir}/{base}"))
            .collect();
        format!(
            "1;{store_dir}/{};sha256:{};{};{}",
            self.base_name,
            base32::encode(&self.nar_hash),
            self.nar_size,
            references.join(",")
        )
    }
}
