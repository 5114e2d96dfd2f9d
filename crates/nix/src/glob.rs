//! Patterns with `*` (any text, also none and also `/`) and `?` (any one character).

use std::fmt;

/// A pattern, compared with the whole of a text, case by case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Box<str>);

impl Glob {
    /// Takes a pattern; every text is one.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// Whether the text is one that the pattern means. Takes at most as many steps as
    /// the product of both lengths.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), text.chars());
        // After the last star, and where in the text it was tried.
        let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
        loop {
            let before = rest.clone();
            match (pattern.next(), rest.next()) {
                (Some('*'), _) => {
                    rest = before;
                    retry = Some((pattern.clone(), rest.clone()));
                }
                (Some('?'), Some(_)) => {}
                (Some(wanted), Some(found)) if wanted == found => {}
                (None, None) => return true,
                _ => {
                    let Some((after_star, from)) = &mut retry else {
                        return false;
                    };
                    if from.next().is_none() {
                        return false;
                    }
                    pattern = after_star.clone();
                    rest = from.clone();
                }
            }
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn a_pattern_means_what_it_says() {
        for (pattern, text, matches) in [
            ("refs/heads/main", "refs/heads/main", true),
            ("refs/heads/main", "refs/heads/main2", false),
            ("refs/heads/main", "Refs/heads/main", false),
            ("refs/tags/*", "refs/tags/v1/2", true),
            ("refs/tags/*", "refs/tags/", true),
            ("refs/tags/*", "refs/tag", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("?", "", false),
            ("?", "ä", true),
            ("v?.*", "v1.2", true),
            ("v?.*", "v12.2", false),
            ("*a*b", "xaxxab", true),
            ("*a*b", "xaxxaba", false),
            ("a*b*c", "abc", true),
            ("[a]", "a", false),
            ("a\\*", "a*", false),
            ("*", "release", true),
            ("release", "release", true),
            ("", "release", false),
            ("release-*", "release-v1", true),
            ("release-*", "release", false),
            ("v?.?", "v1.2", true),
            ("v?.?", "v1.20", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!Glob::new(&"*a".repeat(200)).matches(&"a".repeat(150)));
        assert!(!Glob::new(&format!("{}b", "*a".repeat(50))).matches(&"a".repeat(5000)));
    }
}
