//! The order of the server's keys, by which one push may replace what another has brought.

use super::{KeyChoice, Signer};

/// How far a key is trusted: the first of the configuration has the highest rank, a key that is not configured the lowest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(usize);

impl Signer {
    /// The rank of what some of our keys sign: that of the highest.
    #[must_use]
    pub fn rank(&self, choice: &KeyChoice) -> Rank {
        self.highest(|name| choice.includes(name))
    }

    /// The rank of a path that keys of these names have signed, one a line.
    #[must_use]
    pub fn rank_of_names(&self, names: &str) -> Rank {
        self.highest(|name| names.lines().any(|signed| signed == name))
    }

    fn highest(&self, includes: impl Fn(&str) -> bool) -> Rank {
        let place = self.key_names().position(includes);
        Rank(place.map_or(0, |place| self.keys.len() - place))
    }

    /// The names of those of our keys that a choice includes, one a line.
    #[must_use]
    pub fn chosen_names(&self, choice: &KeyChoice) -> String {
        let names: Vec<&str> = self.key_names().filter(|name| choice.includes(name)).collect();
        names.join("\n")
    }
}

/// The names of both lists, one a line, each once.
#[must_use]
pub fn union_of_names(some: &str, more: &str) -> String {
    let names: std::collections::BTreeSet<&str> = some.lines().chain(more.lines()).collect();
    names.into_iter().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use niks3_nix::signature::SecretKey;

    use super::*;

    #[test]
    fn the_first_key_ranks_highest_and_one_that_is_not_configured_lowest() {
        let keys = ["main-1", "pr-1"].map(|name| SecretKey::generate(name, [7; 32]).unwrap());
        let signer = Signer::new(keys.into());
        let only = |names: &[&str]| KeyChoice::Only(names.iter().map(ToString::to_string).collect());
        let main = signer.rank(&KeyChoice::All);
        let pr = signer.rank(&only(&["pr-1"]));
        assert!(main > pr && pr > Rank::default());
        assert_eq!(signer.rank(&only(&["pr-1", "main-1"])), main);
        assert_eq!(signer.rank(&only(&["gone-1"])), Rank::default());
        assert_eq!(signer.rank(&KeyChoice::none()), Rank::default());
        assert_eq!(signer.rank_of_names("gone-1\npr-1"), pr);
        assert_eq!(signer.rank_of_names(""), Rank::default());
        assert_eq!(signer.chosen_names(&KeyChoice::All), "main-1\npr-1");
        assert_eq!(union_of_names("b\na", "a\nc"), "a\nb\nc");
    }
}
