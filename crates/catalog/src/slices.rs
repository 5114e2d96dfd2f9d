//! Slices: how much of a long change one writing transaction does. All writers wait for it,
//! so each slice ends after a fraction of a second, also on a slow disk.

use super::paths::PathMeta;

/// Rows that one slice changes.
pub const SLICE_ROWS: usize = 2_000;
/// References in the rows that one slice changes: 8 bytes each, which are copied.
pub const SLICE_REFERENCES: usize = 100_000;
/// Rows that one slice deletes or only marks.
pub const SLICE_MARKS: usize = 5_000;

/// Splits a list into slices of at most `rows` items whose references add up to at most `references`.
/// An item with more references is a slice of its own.
pub fn slices<T>(
    items: &[T],
    rows: usize,
    references: usize,
    count: impl Fn(&T) -> usize,
) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fitting = rest.iter().take(rows).take_while(|item| {
            sum += count(item);
            sum <= references
        });
        let length = fitting.count().max(1).min(rest.len());
        let (slice, after) = rest.split_at(length);
        rest = after;
        (!slice.is_empty()).then_some(slice)
    })
}

/// The slices of a claim.
pub fn claim_slices(paths: &[PathMeta]) -> impl Iterator<Item = &[PathMeta]> {
    slices(paths, CLAIM_ROWS, CLAIM_REFERENCES, |meta| meta.references.len())
}

/// Paths that one slice of a claim names.
const CLAIM_ROWS: usize = 1_000;
/// References that one slice of a claim names: each is looked for.
const CLAIM_REFERENCES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::slices;

    fn split(counts: &[usize]) -> Vec<Vec<usize>> {
        slices(counts, 3, 10, |count| *count)
            .map(<[usize]>::to_vec)
            .collect()
    }

    #[test]
    fn a_slice_ends_at_its_rows_or_its_references() {
        assert_eq!(split(&[]), [[0; 0]; 0]);
        assert_eq!(split(&[1, 1, 1, 1]), [vec![1, 1, 1], vec![1]]);
        assert_eq!(split(&[6, 4, 1, 99, 2]), [vec![6, 4], vec![1], vec![99], vec![2]]);
    }
}
