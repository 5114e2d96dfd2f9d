//! A JSON document of which every part knows its line and its name, so that whoever
//! wrote it learns where it is wrong.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What is wrong with the file, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Line, from 1.
    pub line: usize,
    /// Names and indexes that lead to the value; empty for the whole.
    pub field: String,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, field, why } = self;
        match field.as_str() {
            "" => write!(formatter, "line {line}: {why}"),
            field => write!(formatter, "line {line}: {field}: {why}"),
        }
    }
}

/// What the parser says, without the line that stands before it anyway.
fn not_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let why = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(why, _)| why);
    let why = why
        .strip_prefix("EOF while")
        .map_or_else(|| why.to_owned(), |rest| format!("it ends while{rest}"));
    format!("not JSON: {why}")
}

/// A value in a JSON document.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    document: &'a str,
    raw: &'a RawValue,
    path: String,
}

impl<'a> Cursor<'a> {
    /// The whole document.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn new(document: &'a str) -> Result<Self, ConfigError> {
        match serde_json::from_str::<&RawValue>(document) {
            Ok(raw) => Ok(Self {
                document,
                raw,
                path: String::new(),
            }),
            Err(error) => Err(ConfigError {
                line: error.line(),
                field: String::new(),
                why: not_json(&error),
            }),
        }
    }

    /// What is wrong with this value.
    #[must_use]
    pub fn wrong(&self, why: impl Into<String>) -> ConfigError {
        let offset = (self.raw.get().as_ptr() as usize).saturating_sub(self.document.as_ptr() as usize);
        let before = self.document.as_bytes().get(..offset).unwrap_or_default();
        ConfigError {
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            field: self.path.clone(),
            why: why.into(),
        }
    }

    fn child(&self, raw: &'a RawValue, step: &str) -> Self {
        let path = if self.path.is_empty() {
            step.to_owned()
        } else {
            format!("{}.{step}", self.path)
        };
        Self {
            document: self.document,
            raw,
            path,
        }
    }

    /// The members of an object, in their order; no name twice.
    ///
    /// # Errors
    /// When it is none, or has a name twice.
    pub fn object(&self) -> Result<Vec<(String, Self)>, ConfigError> {
        if !self.raw.get().starts_with('{') {
            return Err(self.wrong("an object {…} is expected"));
        }
        let members = serde_json::Deserializer::from_str(self.raw.get())
            .deserialize_map(Members)
            .map_err(|error| self.wrong(error.to_string()))?;
        let mut found: Vec<(String, Self)> = Vec::with_capacity(members.len());
        for (name, raw) in members {
            let child = self.child(raw, &name);
            if found.iter().any(|(other, _)| *other == name) {
                return Err(child.wrong("it is there twice"));
            }
            found.push((name, child));
        }
        Ok(found)
    }

    /// The elements of a list, or this one value.
    ///
    /// # Errors
    /// When a list cannot be read.
    pub fn one_or_more(&self) -> Result<Vec<Self>, ConfigError> {
        if !self.raw.get().starts_with('[') {
            return Ok(vec![self.clone()]);
        }
        self.list()
    }

    /// The elements of a list.
    ///
    /// # Errors
    /// When it is none.
    pub fn list(&self) -> Result<Vec<Self>, ConfigError> {
        if !self.raw.get().starts_with('[') {
            return Err(self.wrong("a list […] is expected"));
        }
        let elements = serde_json::Deserializer::from_str(self.raw.get())
            .deserialize_seq(Elements)
            .map_err(|error| self.wrong(error.to_string()))?;
        let elements = elements.into_iter().enumerate();
        Ok(elements
            .map(|(index, raw)| Self {
                document: self.document,
                raw,
                path: format!("{}[{index}]", self.path),
            })
            .collect())
    }

    /// A text.
    ///
    /// # Errors
    /// When it is none.
    pub fn text(&self) -> Result<String, ConfigError> {
        serde_json::from_str(self.raw.get()).map_err(|_| self.wrong("a text \"…\" is expected"))
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn truth(&self) -> Result<bool, ConfigError> {
        serde_json::from_str(self.raw.get()).map_err(|_| self.wrong("true or false is expected"))
    }

    /// A whole number.
    ///
    /// # Errors
    /// When it is none, or negative.
    pub fn number(&self) -> Result<u64, ConfigError> {
        serde_json::from_str(self.raw.get()).map_err(|_| self.wrong("a whole number is expected"))
    }

    /// A text, or a number or boolean as JSON writes it.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn scalar(&self) -> Result<String, ConfigError> {
        match serde_json::from_str(self.raw.get()) {
            Ok(serde_json::Value::String(text)) => Ok(text),
            Ok(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => Ok(value.to_string()),
            _ => Err(self.wrong("a text, number or boolean is expected")),
        }
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(elements)
    }
}
