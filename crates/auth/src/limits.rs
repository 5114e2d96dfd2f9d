//! How much one identity may have under way.

/// Bounds on what one identity has under way at once; `None` for no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Pushes.
    pub pushes: Option<u64>,
    /// Uploads in parts that are not finished.
    pub multiparts: Option<u64>,
    /// Bytes that its pushes have still to bring.
    pub claimed_bytes: Option<u64>,
}

impl Limits {
    /// What two rules together allow: the wider of each.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let wider = |one: Option<u64>, two: Option<u64>| one.zip(two).map(|(one, two)| one.max(two));
        Self {
            pushes: wider(self.pushes, other.pushes),
            multiparts: wider(self.multiparts, other.multiparts),
            claimed_bytes: wider(self.claimed_bytes, other.claimed_bytes),
        }
    }

    /// These, and where they say nothing the others.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            pushes: self.pushes.or(other.pushes),
            multiparts: self.multiparts.or(other.multiparts),
            claimed_bytes: self.claimed_bytes.or(other.claimed_bytes),
        }
    }
}
