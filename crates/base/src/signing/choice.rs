//! Which of the server's keys sign something.

use std::collections::BTreeSet;

/// Which keys sign something, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KeyChoice {
    /// Every key that the server has.
    #[default]
    All,
    /// These, as far as the server has them.
    Only(BTreeSet<String>),
}

impl KeyChoice {
    /// No key.
    #[must_use]
    pub const fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    /// What [`KeyChoice::to_text`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        if text.is_empty() {
            return Self::All;
        }
        Self::Only(
            text.lines()
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    /// A name a line, each ended by a line feed; a line feed for none, nothing for all.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Only(names) if names.is_empty() => "\n".into(),
            Self::Only(names) => names.iter().flat_map(|name| [name.as_str(), "\n"]).collect(),
        }
    }

    /// Whether the key of that name signs.
    #[must_use]
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }

    /// The keys of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(some), Self::Only(more)) => Self::Only(some.union(more).cloned().collect()),
            _ => Self::All,
        }
    }
}

impl From<Option<&BTreeSet<String>>> for KeyChoice {
    fn from(names: Option<&BTreeSet<String>>) -> Self {
        names.map_or(Self::All, |names| Self::Only(names.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_survives_being_written_down() {
        let some = KeyChoice::Only(["pr-1".to_owned(), "main-1".to_owned()].into());
        for choice in [KeyChoice::All, KeyChoice::none(), some.clone()] {
            assert_eq!(KeyChoice::from_text(&choice.to_text()), choice);
            assert_eq!(choice.union(&KeyChoice::All), KeyChoice::All);
            assert_eq!(choice.union(&KeyChoice::none()), choice);
        }
        assert!(some.includes("pr-1") && !some.includes("pr") && !KeyChoice::none().includes("pr-1"));
    }
}
