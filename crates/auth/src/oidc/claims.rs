//! The claims of a token: finding one by name, and as the texts a rule compares.

use serde_json::{Map, Value};

/// Deepest nesting that a claim's name can reach into.
const MAX_DEPTH: usize = 16;

/// The claims of a token whose signature has been checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Takes the object that a token carries.
    #[must_use]
    pub const fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// The claim of that name. Dots lead into objects, and can also be part of a name, as in
    /// `kubernetes.io.namespace`: the longest name that is there wins.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        find(&self.0, name, MAX_DEPTH)
    }

    /// A claim that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A claim that is a time in Unix seconds, possibly with a fraction.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, String> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => match (value.as_i64(), value.as_f64()) {
                (Some(seconds), _) => Ok(Some(seconds)),
                #[expect(clippy::cast_possible_truncation, reason = "checked to be within bounds")]
                (None, Some(seconds)) if seconds.abs() < 1e15 => Ok(Some(seconds.floor() as i64)),
                _ => Err(format!("its {name} is not a time")),
            },
        }
    }
}

fn find<'a>(object: &'a Map<String, Value>, name: &str, depth: usize) -> Option<&'a Value> {
    if let Some(value) = object.get(name) {
        return Some(value);
    }
    if depth == 0 {
        return None;
    }
    name.rmatch_indices('.').find_map(|(dot, _)| {
        let inner = object.get(&name[..dot])?.as_object()?;
        find(inner, &name[dot + 1..], depth - 1)
    })
}

/// Whether a claim, or one of its elements, is a text that the test accepts. Numbers and
/// booleans are compared as JSON writes them.
pub(super) fn any_text(value: &Value, test: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => test(text),
        Value::Number(number) => test(&number.to_string()),
        Value::Bool(truth) => test(if *truth { "true" } else { "false" }),
        Value::Array(elements) => elements
            .iter()
            .any(|element| !element.is_array() && any_text(element, test)),
        Value::Null | Value::Object(_) => false,
    }
}

/// A claim as a message shows it: short, and printable.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(120).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(value: Value) -> Claims {
        Claims::new(value.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn dots_lead_into_objects_and_can_be_part_of_a_name() {
        let claims = claims(serde_json::json!({
            "a": {"b": {"c": 1}, "b.c": 2},
            "kubernetes.io": {"namespace": "ci", "pod": {"name": "x"}},
            "x.y": "whole", "x": {"y": "nested"},
        }));
        assert_eq!(claims.get("a.b.c"), Some(&2.into()));
        assert_eq!(claims.get("kubernetes.io.namespace"), Some(&"ci".into()));
        assert_eq!(claims.get("kubernetes.io.pod.name"), Some(&"x".into()));
        assert_eq!(claims.get("x.y"), Some(&"whole".into()));
        for absent in ["kubernetes", "a.b.d", "a.", ".a", "", "x.y.z"] {
            assert_eq!(claims.get(absent), None, "{absent}");
        }
    }

    #[test]
    fn a_name_of_many_dots_takes_no_time() {
        let claims = claims(serde_json::json!({"a": {"a": {"a": {"a": {}}}}}));
        assert_eq!(claims.get(&"a.".repeat(2000)), None);
    }
}
