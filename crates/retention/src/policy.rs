//! A retention policy, and its file, which is read strictly: what it does not mean is an error with its line and field.

use std::collections::BTreeSet;

use bytesize::ByteSize;
pub use niks3_base::json_cursor::ConfigError;
use niks3_base::json_cursor::Cursor;
use niks3_nix::glob::Glob;

use crate::MONTH;
use crate::kind::Kind;

/// Most rules of a policy: which of them fit is one number of 128 bits.
pub const MAX_RULES: usize = 100;
/// Most characters of a name or a pattern.
const MAX_TEXT: usize = 256;
/// Most patterns of one field.
const MAX_PATTERNS: usize = 1_000;
/// Most seconds of a duration: a hundred years.
const MAX_DURATION: i64 = 100 * 365 * 24 * 3600;
/// Largest N of `last`.
const MAX_LAST: u64 = 1_000_000;

/// What stays, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Seconds for which a use that no rule fits is kept.
    pub default: i64,
    /// Seconds between release and deletion.
    pub undo: i64,
    /// Most bytes of the cache.
    pub quota: Option<u64>,
    /// Percent of the closures that the first collection under a changed policy releases without being asked to.
    pub max_release: u8,
    /// The first one that fits a use judges it.
    pub rules: Vec<Rule>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            default: MONTH,
            undo: 3 * 24 * 3600,
            quota: None,
            max_release: 25,
            rules: Vec::new(),
        }
    }
}

/// Which uses it fits, and how long it keeps them. What is empty is not looked at; all else has to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What reports call it.
    pub name: String,
    /// Repositories.
    pub repositories: Vec<RepositoryPattern>,
    /// Names of branches.
    pub branches: Vec<Glob>,
    /// Names of tags.
    pub tags: Vec<Glob>,
    /// Runs of pull requests alone.
    pub pull_requests: bool,
    /// Names of roots.
    pub roots: Vec<Glob>,
    /// How long.
    pub keep: Keep,
}

/// Which repository it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryPattern {
    /// `owner/name`.
    Name(Glob),
    /// The number that the repository keeps, written `id:NUMBER`.
    Id(Glob),
}

/// How long a rule keeps a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// For ever.
    Forever,
    /// Not at all.
    Nothing,
    /// As long as one of the terms holds.
    While(Conditions),
}

/// Conditions of a `keep`; they add up, and `until_closed` ends them all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Seconds from the use.
    pub for_seconds: Option<i64>,
    /// The newest so many successful executions of each job.
    pub last: Option<u32>,
    /// Seconds without a run after which a branch counts as idle, which ends `last`; `None`: the default.
    pub idle: Option<i64>,
    /// Nothing is kept of a closed pull request. Without `for` and `last`, everything of an open one is.
    pub until_closed: bool,
}

impl Rule {
    /// Whether a run may fit, its closure aside: one of this repository, with this id, of this kind.
    #[must_use]
    pub fn fits_run(&self, repository: &str, repository_id: &str, kind: Kind<'_>) -> bool {
        let is_repository = |pattern: &RepositoryPattern| match pattern {
            RepositoryPattern::Name(glob) => glob.matches(repository),
            RepositoryPattern::Id(glob) => !repository_id.is_empty() && glob.matches(repository_id),
        };
        let any = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.matches(text));
        (self.repositories.is_empty() || self.repositories.iter().any(is_repository))
            && (self.branches.is_empty() || matches!(kind, Kind::Branch(name) if any(&self.branches, name)))
            && (self.tags.is_empty() || matches!(kind, Kind::Tag(name) if any(&self.tags, name)))
            && (!self.pull_requests || kind == Kind::PullRequest)
    }

    /// Whether a push without a run may fit, its closure aside.
    #[must_use]
    pub fn fits_no_run(&self) -> bool {
        self.repositories.is_empty()
            && self.branches.is_empty()
            && self.tags.is_empty()
            && !self.pull_requests
    }

    /// Whether a closure with a root of this name fits, its runs aside.
    #[must_use]
    pub fn fits_root(&self, name: &str) -> bool {
        self.roots.is_empty() || self.roots.iter().any(|glob| glob.matches(name))
    }

    /// Seconds without a run after which a branch is idle; `None`: never.
    #[must_use]
    pub fn idle(&self, kind: Kind<'_>) -> Option<i64> {
        let Keep::While(terms) = self.keep else {
            return None;
        };
        terms.idle.or_else(|| {
            let is_literal = matches!(kind, Kind::Branch(name) if self.branches.iter().any(|glob| glob.to_string() == name));
            (!is_literal).then_some(MONTH)
        })
    }

    /// N, if the rule counts.
    #[must_use]
    pub const fn last(&self) -> Option<u32> {
        match self.keep {
            Keep::While(terms) => terms.last,
            _ => None,
        }
    }
}

impl Policy {
    /// Reads the text of a policy file.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let whole = Cursor::new(text)?;
        let mut policy = Self::default();
        let mut has_version = false;
        for (member, field) in whole.object()? {
            match member.as_str() {
                "version" => {
                    if field.number()? != 1 {
                        return Err(field.wrong("this server reads version 1"));
                    }
                    has_version = true;
                }
                "default" => policy.default = duration(&field)?,
                "undo" => policy.undo = duration(&field)?,
                "quota" => policy.quota = Some(size(&field)?),
                "max_release" => policy.max_release = percent(&field)?,
                "rules" => policy.rules = rules(&field)?,
                _ => {
                    let known = "version, default, undo, quota, max_release, rules";
                    return Err(unknown(&field, known));
                }
            }
        }
        if !has_version {
            return Err(whole.wrong("`version` is missing: write \"version\": 1"));
        }
        Ok(policy)
    }
}

fn unknown(value: &Cursor<'_>, known: &str) -> ConfigError {
    value.wrong(format!("there is no such field; the fields are {known}"))
}

fn rules(value: &Cursor<'_>) -> Result<Vec<Rule>, ConfigError> {
    let elements = value.list()?;
    if elements.len() > MAX_RULES {
        return Err(value.wrong(format!(
            "{} rules: a policy has at most {MAX_RULES}",
            elements.len()
        )));
    }
    let mut names = BTreeSet::new();
    elements
        .iter()
        .map(|element| {
            let rule = rule(element)?;
            if !names.insert(rule.name.clone()) {
                return Err(element.wrong(format!(
                    "there is a rule {:?} already: give this one another name",
                    rule.name
                )));
            }
            Ok(rule)
        })
        .collect()
}

fn rule(value: &Cursor<'_>) -> Result<Rule, ConfigError> {
    let (mut name, mut keep) = (None, None);
    let mut rule = Rule {
        name: String::new(),
        repositories: Vec::new(),
        branches: Vec::new(),
        tags: Vec::new(),
        pull_requests: false,
        roots: Vec::new(),
        keep: Keep::Nothing,
    };
    for (member, field) in value.object()? {
        match member.as_str() {
            "name" => name = Some(rule_name(&field)?),
            "repositories" => rule.repositories = repositories(&field)?,
            "branches" => rule.branches = refs(&field, "refs/heads/")?,
            "tags" => rule.tags = refs(&field, "refs/tags/")?,
            "pull_requests" => {
                rule.pull_requests = field.truth()?;
                if !rule.pull_requests {
                    return Err(field.wrong("only true means something: leave it out"));
                }
            }
            "roots" => rule.roots = globs(&field)?,
            "keep" => keep = Some((self::keep(&field)?, field)),
            _ => {
                let known = "name, repositories, branches, tags, pull_requests, roots, keep";
                return Err(unknown(&field, known));
            }
        }
    }
    rule.name = name.ok_or_else(|| value.wrong("`name` is missing: reports call the rule by it"))?;
    let (keep, field) = keep.ok_or_else(|| {
        value.wrong(
            "`keep` is missing: write \"forever\", \"nothing\" or an object such as { \"for\": \"7d\" }",
        )
    })?;
    rule.keep = keep;
    let kinds = [
        !rule.branches.is_empty(),
        !rule.tags.is_empty(),
        rule.pull_requests,
    ];
    if kinds.iter().filter(|given| **given).count() > 1 {
        return Err(value.wrong(
            "no run is of a branch, a tag and a pull request at once: make a rule of each of `branches`, `tags` and `pull_requests`",
        ));
    }
    if matches!(keep, Keep::While(terms) if terms.until_closed) && !rule.pull_requests {
        return Err(field.wrong("only pull requests are closed: add \"pull_requests\": true to the rule, or leave `until_closed` out"));
    }
    Ok(rule)
}

fn rule_name(value: &Cursor<'_>) -> Result<String, ConfigError> {
    let text = value.text()?;
    if text.trim().is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control) {
        return Err(value.wrong(format!(
            "a name has 1 to {MAX_TEXT} bytes, and no control characters"
        )));
    }
    Ok(text)
}

fn globs(value: &Cursor<'_>) -> Result<Vec<Glob>, ConfigError> {
    let texts = texts(value)?;
    Ok(texts.iter().map(|(text, _)| Glob::new(text)).collect())
}

fn repositories(value: &Cursor<'_>) -> Result<Vec<RepositoryPattern>, ConfigError> {
    let pattern = |text: &str| match text.strip_prefix("id:") {
        Some(id) => RepositoryPattern::Id(Glob::new(id)),
        None => RepositoryPattern::Name(Glob::new(text)),
    };
    Ok(texts(value)?.iter().map(|(text, _)| pattern(text)).collect())
}

fn texts<'a>(value: &Cursor<'a>) -> Result<Vec<(String, Cursor<'a>)>, ConfigError> {
    let values = value.one_or_more()?;
    if values.is_empty() {
        return Err(value.wrong("an empty list fits nothing: leave it out to fit all"));
    }
    if values.len() > MAX_PATTERNS {
        return Err(value.wrong(format!("at most {MAX_PATTERNS} patterns")));
    }
    values
        .into_iter()
        .map(|value| {
            let text = value.text()?;
            if text.is_empty() || text.len() > MAX_TEXT {
                return Err(value.wrong(format!("a pattern has 1 to {MAX_TEXT} bytes")));
            }
            Ok((text, value))
        })
        .collect()
}

/// Patterns of names of branches or tags.
fn refs(value: &Cursor<'_>, prefix: &str) -> Result<Vec<Glob>, ConfigError> {
    texts(value)?
        .iter()
        .map(|(text, value)| match text.strip_prefix("refs/") {
            None => Ok(Glob::new(text)),
            Some(_) => Err(value.wrong(match text.strip_prefix(prefix) {
                Some(name) if !name.is_empty() => format!("a name without {prefix:?} is expected: write {name:?}"),
                _ => format!("a name is expected, as Git shows it, without \"refs/…\": what begins with {prefix:?} is meant here"),
            })),
        })
        .collect()
}

fn keep(value: &Cursor<'_>) -> Result<Keep, ConfigError> {
    let expected =
        "\"forever\", \"nothing\" or an object of `for`, `last`, `idle` and `until_closed` is expected";
    if let Ok(text) = value.text() {
        return match text.as_str() {
            "forever" => Ok(Keep::Forever),
            "nothing" => Ok(Keep::Nothing),
            _ => Err(value.wrong(expected)),
        };
    }
    let members = value.object().map_err(|error| match error.why.as_str() {
        "an object {…} is expected" => value.wrong(expected),
        _ => error,
    })?;
    let mut terms = Conditions::default();
    for (member, field) in members {
        match member.as_str() {
            "for" => terms.for_seconds = Some(duration(&field)?),
            "last" => match field.number()? {
                0 => {
                    return Err(
                        field.wrong("the last 0 are nothing: write \"keep\": \"nothing\", or leave it out")
                    );
                }
                count if count > MAX_LAST => return Err(field.wrong(format!("at most {MAX_LAST}"))),
                count => terms.last = u32::try_from(count).ok(),
            },
            "idle" => terms.idle = Some(duration(&field)?),
            "until_closed" => {
                terms.until_closed = field.truth()?;
                if !terms.until_closed {
                    return Err(field.wrong("only true means something: leave it out"));
                }
            }
            _ => return Err(unknown(&field, "for, last, idle, until_closed")),
        }
    }
    if terms.for_seconds.is_none() && terms.last.is_none() && !terms.until_closed {
        return Err(value.wrong("it says how long in no way: give `for`, `last` or `until_closed`"));
    }
    Ok(Keep::While(terms))
}

/// Seconds of a text as "30d", "12h" or "1h30m"; 0 needs no unit.
fn duration(value: &Cursor<'_>) -> Result<i64, ConfigError> {
    let expected = || value.wrong("a duration is expected, as \"30d\", \"12h\" or \"1h30m\"");
    let text = match value.scalar()? {
        text if text == "0" => return Ok(0),
        _ => value.text().map_err(|_| expected())?,
    };
    let seconds = humantime::parse_duration(&text)
        .map_err(|_| expected())?
        .as_secs();
    match i64::try_from(seconds) {
        Ok(seconds) if seconds <= MAX_DURATION => Ok(seconds),
        _ => Err(value.wrong("it is more than a hundred years: write \"forever\" as `keep`")),
    }
}

/// A number of bytes, or a text as "500GiB".
fn size(value: &Cursor<'_>) -> Result<u64, ConfigError> {
    let size = value.scalar()?.parse::<ByteSize>();
    match size.map(|size| size.as_u64()) {
        Ok(0) => Err(value.wrong("nothing fits into 0 bytes: leave it out for no quota")),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(value.wrong("a number of bytes is expected, or a text as \"500GiB\"")),
    }
}

fn percent(value: &Cursor<'_>) -> Result<u8, ConfigError> {
    match u8::try_from(value.number()?) {
        Ok(percent) if percent <= 100 => Ok(percent),
        _ => Err(value.wrong("0 to 100 percent")),
    }
}

#[cfg(test)]
mod tests;
