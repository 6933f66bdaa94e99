//! How much of its past a mission's record keeps (docs/design.md, section 6). Every run rewrites all iterations of the
//! record, so they are bounded in number and in bytes; the run history keeps each.

use super::iterations::{Iteration, IterationStatus};

/// Bytes of iterations that a record keeps.
pub const MAX_BYTES: usize = 1_000_000;

/// The bounds of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionBounds {
    pub iterations: usize,
    pub bytes: usize,
}

/// A record's iterations within their bounds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Kept {
    pub iterations: Vec<Iteration>,
    /// Those that had to leave, the oldest first.
    pub left: Vec<Iteration>,
}

/// Lets iterations leave until the bounds hold: the oldest settled ones first, then the oldest that await review, and last
/// those that are running. The newest, which is the last, stays in any case.
pub fn bound(iterations: Vec<Iteration>, bounds: RetentionBounds) -> Kept {
    let sizes: Vec<usize> = iterations.iter().map(|iteration| iteration.bytes() + 1).collect();
    let mut count = iterations.len();
    let mut bytes: usize = sizes.iter().sum();
    let mut leaves = vec![false; iterations.len()];
    let older = || iterations.iter().enumerate().take(iterations.len().saturating_sub(1));
    let rank = |iteration: &Iteration| match iteration.status() {
        IterationStatus::Running => 2,
        IterationStatus::AwaitingReview => 1,
        _ => 0,
    };
    for (n, _) in (0..3).flat_map(|wanted| older().filter(move |(_, iteration)| rank(iteration) == wanted)) {
        if count <= bounds.iterations && bytes <= bounds.bytes {
            break;
        }
        leaves[n] = true;
        count -= 1;
        bytes -= sizes[n];
    }
    let mut kept = Kept::default();
    for (iteration, leaves) in iterations.into_iter().zip(leaves) {
        if leaves { kept.left.push(iteration) } else { kept.iterations.push(iteration) }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// One letter for each iteration: capitals await review, `r` runs, all others are settled.
    fn check(statuses: &str, bounds: RetentionBounds, expected: &str) {
        let entry = |c: char| {
            let status = match c {
                'r' => "running",
                c if c.is_uppercase() => "awaiting-review",
                _ => "approved",
            };
            Iteration::from(json!({"id": c, "overallStatus": status, "filler": "x".repeat(1_000)}))
        };
        let kept = bound(statuses.chars().chain(['n']).map(entry).collect(), bounds);
        let ids = |all: &[Iteration]| all.iter().map(|iteration| iteration.id().as_str()).collect::<String>();
        assert_eq!(ids(&kept.iterations), expected);
        let left: String = statuses.chars().filter(|c| !expected.contains(*c)).collect();
        assert_eq!(ids(&kept.left), left);
    }

    #[test]
    fn the_oldest_settled_leave_first_and_then_the_oldest_unreviewed() {
        let of = |iterations| RetentionBounds { iterations, bytes: MAX_BYTES };
        check("abc", of(100), "abcn");
        check("abc", of(3), "bcn");
        check("Abc", of(3), "Acn");
        check("ABC", of(3), "BCn");
        check("aBcD", of(2), "Dn");
        check("rAb", of(2), "rn");
        check("rA", of(1), "n");
        check("", of(0), "n");
    }

    #[test]
    fn bytes_bound_as_numbers_do() {
        let of = |bytes| RetentionBounds { iterations: 100, bytes };
        check("aBc", of(10_000), "aBcn");
        check("aBc", of(3_500), "Bcn");
        check("aBc", of(2_500), "Bn");
        check("aBc", of(10), "n");
    }
}
