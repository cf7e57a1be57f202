//! How many rows each target gets. Pure.

/// What a target is doing, as far as room is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    Runs,
    Failed,
    Waits,
    Over,
}

/// What is shown of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// It is only counted.
    Counted,
    /// One line.
    Line,
    /// A line, its step, and what the step wrote last.
    Block,
}

/// Rows of a [`Share::Block`], unless more is to be said.
pub(super) const BLOCK: usize = 3;

/// Shares `rows` among targets, blocks of so many rows. Where not all have a line, one row is left for the count of the
/// others. A target that runs has a block as long as there is room, the first ones first, so that
/// lines only move when a target starts or ends.
pub(super) fn share(targets: &[Activity], rows: usize, block: usize) -> Vec<Share> {
    if targets.len() <= rows {
        let mut spare = rows - targets.len();
        return targets
            .iter()
            .map(|doing| {
                if *doing == Activity::Runs && spare >= block - 1 {
                    spare -= block - 1;
                    Share::Block
                } else {
                    Share::Line
                }
            })
            .collect();
    }
    // Those that run matter most, then those that failed, then those that wait.
    let rank = |doing: Activity| match doing {
        Activity::Runs => 0,
        Activity::Failed => 1,
        Activity::Waits => 2,
        Activity::Over => 3,
    };
    let mut order: Vec<usize> = (0..targets.len()).collect();
    order.sort_by_key(|&place| rank(targets[place]));
    let mut shares = vec![Share::Counted; targets.len()];
    for &place in order.iter().take(rows.saturating_sub(1)) {
        shares[place] = Share::Line;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use Activity::{Failed, Over, Runs, Waits};
    use Share::{Block, Counted, Line};

    #[test]
    fn those_that_run_get_blocks_while_there_is_room() {
        assert_eq!(share(&[Runs, Over, Runs, Waits], 21, BLOCK), [Block, Line, Block, Line]);
        assert_eq!(share(&[Runs, Over, Runs, Waits], 7, BLOCK), [Block, Line, Line, Line]);
        assert_eq!(share(&[Runs, Over, Runs, Waits], 4, BLOCK), [Line; 4]);
    }

    #[test]
    fn who_has_no_room_is_counted() {
        assert_eq!(share(&[Over, Waits, Failed, Runs], 3, BLOCK), [Counted, Counted, Line, Line]);
        assert_eq!(share(&[Over, Runs], 1, BLOCK), [Counted, Counted]);
    }

    proptest::proptest! {
        #[test]
        fn rows_always_suffice(doing in proptest::collection::vec(0u8..4, 0..40), rows in 1usize..60, block in 3usize..11) {
            let targets: Vec<Activity> = doing
                .iter()
                .map(|n| [Runs, Failed, Waits, Over][usize::from(*n)])
                .collect();
            let shares = share(&targets, rows, block);
            let used: usize = shares
                .iter()
                .map(|share| match share { Counted => 0, Line => 1, Block => block })
                .sum();
            let count = usize::from(shares.contains(&Counted));
            proptest::prop_assert!(used + count <= rows);
        }
    }
}
