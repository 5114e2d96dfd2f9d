//! Checks a JSON body against the OpenAPI document while it is parsed. Fields that the document does not have are
//! skipped, and what is kept has a bound, so a body costs no more memory than its own bytes and that bound.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::Error;

/// How deep schemas may refer to each other.
const MAX_DEPTH: usize = 16;
/// Bytes that the parsed values of one body may take: a claim of 2,000 paths with 50 references each takes 18 MiB.
const MAX_PARSED: usize = 20 << 20;
/// Bytes that a value takes in a list, beside its text: when the list grows, both the old and the new one are there.
const VALUE: usize = 3 * size_of::<Value>();
/// Bytes that an object of up to 11 fields takes (a node of a B-tree).
const OBJECT: usize = 11 * (size_of::<Value>() + size_of::<String>()) + 64;
/// Bytes that an allocation of a short text takes beside it, at most.
const ALLOCATION: usize = 16;

/// The schemas of the document's types.
#[derive(Debug)]
pub(super) struct RequestSchemas {
    types: HashMap<String, Schema>,
}

/// What a value has to be.
#[derive(Debug, Clone, PartialEq)]
enum Schema {
    Object(Vec<Field>),
    List(Box<Schema>),
    Signed,
    /// A whole number from 0 to this one.
    Unsigned(u64),
    Boolean,
    Text {
        /// In characters.
        max_length: Option<u64>,
        known: Vec<String>,
    },
    /// No request has such a value; it is skipped.
    Unsupported,
}

#[derive(Debug, Clone, PartialEq)]
struct Field {
    name: String,
    required: bool,
    schema: Schema,
}

impl RequestSchemas {
    /// Takes the types out of the text of a document.
    pub(super) fn new(document: &str) -> Self {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let types = document["components"]["schemas"].as_object();
        let types = types.into_iter().flatten();
        Self {
            types: types
                .map(|(name, schema)| (name.clone(), Schema::new(&document, schema, MAX_DEPTH)))
                .collect(),
        }
    }

    /// Parses a body of that type.
    ///
    /// # Errors
    /// When it is no JSON, or not of that type.
    pub(super) fn parse<'de, R: serde_json::de::Read<'de>>(
        &self,
        name: &str,
        mut body: serde_json::Deserializer<R>,
    ) -> Result<Value, BodyError> {
        let schema = self.types.get(name).unwrap_or(&Schema::Unsupported);
        let mut parser = Parser {
            field: Vec::new(),
            left: MAX_PARSED,
            wrong: None,
        };
        let seed = Seed {
            schema,
            parser: &mut parser,
            optional: false,
        };
        let parsed = seed.deserialize(&mut body);
        let ended = parsed.and_then(|value| body.end().map(|()| value));
        ended.map_err(|error| match parser.wrong {
            Some(wrong) if !wrong.field.is_empty() => BodyError::Wrong(wrong),
            Some(wrong) => BodyError::Malformed(wrong.why),
            None => BodyError::Malformed(error.to_string()),
        })
    }
}

impl Schema {
    fn new(document: &Value, schema: &Value, depth: usize) -> Self {
        let Some(depth) = depth.checked_sub(1) else {
            return Self::Unsupported;
        };
        if let Some(pointer) = schema["$ref"].as_str().and_then(|text| text.strip_prefix('#')) {
            let schema = document.pointer(pointer).unwrap_or(&Value::Null);
            return Self::new(document, schema, depth);
        }
        match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("object"), _) => {
                let required = schema["required"]
                    .as_array()
                    .map_or(&[] as &[Value], Vec::as_slice);
                let fields = schema["properties"].as_object().into_iter().flatten();
                let fields = fields.map(|(name, schema)| Field {
                    required: required.iter().any(|required| required == name),
                    schema: Self::new(document, schema, depth),
                    name: name.clone(),
                });
                Self::Object(fields.collect())
            }
            (Some("array"), _) => Self::List(Box::new(Self::new(document, &schema["items"], depth))),
            (Some("integer"), Some("uint16")) => Self::Unsigned(u16::MAX.into()),
            (Some("integer"), Some("uint32")) => Self::Unsigned(u32::MAX.into()),
            (Some("integer"), Some("uint64")) => Self::Unsigned(u64::MAX),
            (Some("integer"), _) => Self::Signed,
            (Some("boolean"), _) => Self::Boolean,
            (Some("string"), _) => {
                let known = schema["enum"].as_array().into_iter().flatten();
                Self::Text {
                    max_length: schema["maxLength"].as_u64(),
                    known: known.filter_map(Value::as_str).map(str::to_owned).collect(),
                }
            }
            _ => Self::Unsupported,
        }
    }

    /// What is said of a value of another kind.
    fn expected(&self) -> String {
        match self {
            Self::Object(_) => "an object is needed".into(),
            Self::List(_) => "a list is needed".into(),
            Self::Signed => "a whole number is needed".into(),
            Self::Unsigned(most) => format!("a whole number from 0 to {most} is needed"),
            Self::Boolean => "true or false is needed".into(),
            Self::Text { known, .. } if !known.is_empty() => format!("it is one of {}", known.join(", ")),
            Self::Text { .. } => "a text is needed".into(),
            Self::Unsupported => "nothing is needed".into(),
        }
    }
}

/// Why a body was not taken.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It is no JSON, or no object.
    Malformed(String),
    /// A field of it is wrong.
    Wrong(WrongField),
}

/// The field of a body that is wrong, and why.
#[derive(Debug)]
pub(super) struct WrongField {
    field: String,
    why: String,
    /// Of the right shape, and too much.
    too_much: bool,
}

impl From<WrongField> for Error {
    fn from(WrongField { field, why, too_much }: WrongField) -> Self {
        let detail = format!("{field}: {why}");
        match too_much {
            true => Self::invalid(field, detail),
            false => Self::malformed(detail).with_field(field),
        }
    }
}

/// How far the parsing of a body is.
struct Parser<'s> {
    /// The names of the fields around the value that is parsed.
    field: Vec<&'s str>,
    /// Bytes that further values may take.
    left: usize,
    wrong: Option<WrongField>,
}

impl Parser<'_> {
    /// Notes what is wrong; the error only ends the parsing.
    fn refuse<E: serde::de::Error>(&mut self, why: impl Into<String>, too_much: bool) -> E {
        self.wrong.get_or_insert(WrongField {
            field: self.field.join("."),
            why: why.into(),
            too_much,
        });
        E::custom("refused")
    }

    /// Counts what a value takes.
    fn charge<E: serde::de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.refuse(
                "too many entries in one request; send it in smaller batches",
                true,
            )),
        }
    }
}

/// A value of a schema that is about to come.
struct Seed<'p, 's> {
    schema: &'s Schema,
    parser: &'p mut Parser<'s>,
    /// `null` is as good as nothing.
    optional: bool,
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.schema {
            Schema::Unsupported => Skipped.deserialize(deserializer).map(|()| Value::Null),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl Seed<'_, '_> {
    fn other<E: serde::de::Error>(self) -> E {
        self.parser.refuse(self.schema.expected(), false)
    }

    fn number<E: serde::de::Error>(self, number: Number) -> Result<Value, E> {
        let fits = match self.schema {
            Schema::Signed => number.is_i64(),
            Schema::Unsigned(most) => number.as_u64().is_some_and(|number| number <= *most),
            // A number is taken for its text.
            Schema::Text { known, .. } => known.is_empty(),
            _ => false,
        };
        if !fits {
            return Err(self.other());
        }
        self.parser.charge::<E>(VALUE)?;
        Ok(Value::Number(number))
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.schema.expected())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        match self.optional {
            true => Ok(Value::Null),
            false => Err(self.other()),
        }
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        match self.schema {
            Schema::Boolean => self.parser.charge::<E>(VALUE)?,
            // Taken for its text, like a number.
            Schema::Text { known, .. } if known.is_empty() => self.parser.charge::<E>(VALUE)?,
            _ => return Err(self.other()),
        }
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.number(value.into())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.number(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        match Number::from_f64(value) {
            Some(number) => self.number(number),
            None => Err(self.other()),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        let Schema::Text { max_length, known } = self.schema else {
            return Err(self.other());
        };
        if !known.is_empty() && !known.iter().any(|known| known == text) {
            return Err(self.other());
        }
        if let Some(most) = max_length
            && text.chars().count() as u64 > *most
        {
            return Err(self
                .parser
                .refuse(format!("it has at most {most} characters"), false));
        }
        self.parser.charge::<E>(VALUE + ALLOCATION + text.len())?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let Schema::List(schema) = self.schema else {
            return Err(self.other());
        };
        self.parser.charge::<A::Error>(VALUE)?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Seed {
            schema,
            parser: &mut *self.parser,
            optional: false,
        })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let Self { schema, parser, .. } = self;
        let Schema::Object(fields) = schema else {
            return Err(Seed {
                schema,
                parser,
                optional: false,
            }
            .other());
        };
        parser.charge::<A::Error>(VALUE + OBJECT)?;
        let mut values = Map::new();
        while let Some(field) = entries.next_key_seed(Name(fields))? {
            let Some(field) = field else {
                entries.next_value_seed(Skipped)?;
                continue;
            };
            parser.field.push(&field.name);
            if values.contains_key(&field.name) {
                return Err(parser.refuse("it is given twice", false));
            }
            parser.charge::<A::Error>(ALLOCATION + field.name.len())?;
            let value = entries.next_value_seed(Seed {
                schema: &field.schema,
                parser: &mut *parser,
                optional: true,
            })?;
            parser.field.pop();
            values.insert(field.name.clone(), value);
        }
        let missing = |field: &&Field| field.required && values.get(&field.name).is_none_or(Value::is_null);
        if let Some(field) = fields.iter().find(missing) {
            parser.field.push(&field.name);
            return Err(parser.refuse("it is missing", false));
        }
        Ok(Value::Object(values))
    }
}

/// The name of a field: one of these, or another.
struct Name<'s>(&'s [Field]);

impl<'de, 's> DeserializeSeed<'de> for Name<'s> {
    type Value = Option<&'s Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'s> Visitor<'_> for Name<'s> {
    type Value = Option<&'s Field>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a field")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|field| field.name == name))
    }
}

/// A value that nobody asked for. Unlike `IgnoredAny`, it is nested no deeper than the parser permits.
struct Skipped;

impl<'de> DeserializeSeed<'de> for Skipped {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skipped {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_key_seed(Self)?.is_some() {
            entries.next_value_seed(Self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

    use super::*;
    use crate::http::api;

    fn schemas() -> RequestSchemas {
        RequestSchemas::new(&api::document(&api::service()))
    }

    fn parse(name: &str, body: &str) -> Result<Value, (String, String)> {
        let parsed = schemas().parse(name, serde_json::Deserializer::from_str(body));
        parsed.map_err(|error| match error {
            BodyError::Malformed(why) => (String::new(), why),
            BodyError::Wrong(wrong) => (wrong.field, wrong.why),
        })
    }

    #[test]
    fn every_body_of_the_document_is_of_a_kind_that_is_known() {
        fn supported(schema: &Schema) -> bool {
            match schema {
                Schema::Object(fields) => fields.iter().all(|field| supported(&field.schema)),
                Schema::List(item) => supported(item),
                Schema::Unsupported => false,
                _ => true,
            }
        }
        let document: Value = serde_json::from_str(&api::document(&api::service())).unwrap();
        let schemas = schemas();
        let paths = document["paths"].as_object().unwrap().values();
        let operations = paths.flat_map(|path| path.as_object().unwrap().values());
        let bodies: Vec<&str> = operations
            .filter_map(|operation| {
                operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str()
            })
            .map(|reference| reference.rsplit('/').next().unwrap())
            .collect();
        assert!(bodies.contains(&"Claims"), "{bodies:?}");
        for name in bodies {
            assert!(
                supported(&schemas.types[name]),
                "{name}: {:?}",
                schemas.types[name]
            );
        }
    }

    #[test]
    fn what_is_kept_is_what_the_document_has() {
        let body = r#"{"store_dir": "/nix/store", "roots": ["a", 5], "pin": null, "more": [[{"a": []}]]}"#;
        let parsed = parse("CreatePush", body).unwrap();
        let expected = serde_json::json!({ "store_dir": "/nix/store", "roots": ["a", 5], "pin": null });
        assert_eq!(parsed, expected);
    }

    #[test]
    fn the_first_field_that_is_wrong_is_named() {
        for (body, field, why) in [
            (r#"{"roots": []}"#, "store_dir", "it is missing"),
            (
                r#"{"roots": [], "store_dir": null}"#,
                "store_dir",
                "it is missing",
            ),
            (r#"{"roots": [], "roots": []}"#, "roots", "it is given twice"),
            (r#"{"roots": 5}"#, "roots", "a list is needed"),
            (r#"{"roots": [null]}"#, "roots", "a text is needed"),
            (
                r#"{"run": {"pull_request": -1}}"#,
                "run.pull_request",
                "a whole number from 0 to",
            ),
            (
                r#"{"verify_integrity": "yes"}"#,
                "verify_integrity",
                "true or false is needed",
            ),
            (r#"[]"#, "", "an object is needed"),
            (r#"{"roots": [], "store_dir": "x"} 5"#, "", "trailing characters"),
            (r#"{"roots": []"#, "", "EOF while parsing"),
        ] {
            let (found, said) = parse("CreatePush", body).unwrap_err();
            assert_eq!(found, field, "{body}: {said}");
            assert!(said.starts_with(why), "{body}: {said}");
        }
        let deep = format!(r#"{{"more": {}"#, "[".repeat(100_000));
        let (_, why) = parse("CreatePush", &deep).unwrap_err();
        assert!(why.starts_with("recursion limit exceeded"), "{why}");
    }

    #[test]
    fn more_entries_than_memory_is_meant_for_are_refused() {
        let body = format!(
            r#"{{"store_dir": "x", "roots": [{}""]}}"#,
            "\"\",".repeat(1 << 20)
        );
        let (field, why) = parse("CreatePush", &body).unwrap_err();
        assert_eq!(field, "roots");
        assert!(why.starts_with("too many entries"), "{why}");
    }
}
