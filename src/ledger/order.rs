//! Sorting by a number whose values are spread evenly: the key digest of a row, or its place in the extract.

/// So few rows are sorted by comparing them.
const FEW: usize = 20;

/// Sorts rows; `number` rises with their order.
///
/// Where numbers are spread evenly, a row's number tells about where it belongs, so that rows are put there and only the
/// few that come to the same place are compared. A place that many come to is divided again.
pub(super) fn sort<T: Copy + Ord>(rows: &mut [T], number: impl Fn(&T) -> u64 + Copy) {
    let numbers = rows.iter().map(number);
    let (low, high) = numbers.fold((u64::MAX, 0), |(low, high), it| (low.min(it), high.max(it)));
    if rows.len() <= FEW || low >= high {
        rows.sort_unstable();
        return;
    }
    // At most two places for each row.
    let shift = (high - low).ilog2().saturating_sub(rows.len().ilog2());
    let place = |number: u64| usize::try_from((number - low) >> shift).unwrap_or(usize::MAX);
    let mut ends = vec![0; place(high) + 2];
    for row in &*rows {
        if let Some(count) = ends.get_mut(place(number(row)) + 1) {
            *count += 1;
        }
    }
    let mut before = 0;
    for end in &mut ends {
        before += *end;
        *end = before;
    }
    // Each is where its place begins, until the rows of the place are there.
    let unsorted = rows.to_vec();
    for row in &unsorted {
        if let Some(end) = ends.get_mut(place(number(row)))
            && let Some(slot) = rows.get_mut(*end)
        {
            *slot = *row;
            *end += 1;
        }
    }
    drop(unsorted);
    let mut begin = 0;
    for end in ends {
        let together = rows.get_mut(begin..end).unwrap_or_default();
        if together.len() > FEW {
            sort(together, number);
        } else {
            together.sort_unstable();
        }
        begin = end;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(mut rows: Vec<(u64, u8)>) {
        let mut expected = rows.clone();
        expected.sort_unstable();
        sort(&mut rows, |(number, _)| *number);
        assert_eq!(rows, expected);
    }

    proptest! {
        #[test]
        fn numbers_need_not_be_spread_evenly(
            far in prop::collection::vec(any::<(u64, u8)>(), 0..300),
            near in prop::collection::vec((0_u64..40, any::<u8>()), 0..300),
            files in prop::collection::vec((0_u64..4, 1_u64..1_000, any::<u8>()), 0..300),
        ) {
            let files = files.into_iter().map(|(file, line, rest)| (file << 48 | line, rest));
            sorted(files.clone().chain(near.clone()).collect());
            sorted(far.iter().copied().chain(near.clone()).collect());
            sorted(far);
            sorted(near);
            sorted(files.collect());
        }
    }

    #[test]
    fn the_lowest_and_the_highest_number_have_a_place() {
        let ends = [(u64::MAX, 1), (0, 1), (u64::MAX, 0), (0, 0)];
        let between = (0..100).map(|it| (it << 57, 2));
        sorted(ends.into_iter().chain(between).collect());
        sorted(vec![(7, 1); 100]);
    }
}
