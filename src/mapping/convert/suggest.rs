//! What a mapping could say, guessed from a cell or a setting that could not be read: for messages alone.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime};

/// How a date may be written, the day before the month first.
const DATES: [&str; 10] = [
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d-%m-%Y",
    "%Y/%m/%d",
    "%Y%m%d",
];

/// What `parse:` could be for a date, as `` `parse: "%d.%m.%Y"` ``; both where day and month cannot be told apart.
pub(super) fn parse(value: &str) -> Option<String> {
    let fits = |format: &&&str| {
        if format.contains("%H") {
            DateTime::strptime(format, value).is_ok()
        } else {
            // Two digits would be read as a year of the first century.
            Date::strptime(format, value).is_ok_and(|date| date.year() >= 1000)
        }
    };
    let formats: Vec<String> = DATES
        .iter()
        .filter(fits)
        .map(|format| format!("`parse: \"{format}\"`"))
        .collect();
    (!formats.is_empty()).then(|| formats.join(" or "))
}

/// What `decimal:` and `thousands:` could be for a number, as `` `decimal: ",", thousands: "."` ``.
pub(super) fn separators(value: &str) -> Option<String> {
    let digits = value.trim().trim_start_matches(['-', '+']);
    let is_digit = |c: char| c.is_ascii_digit();
    if !digits.starts_with(is_digit) || !digits.ends_with(is_digit) {
        return None;
    }
    let found: Vec<char> = digits.chars().filter(|c| !c.is_ascii_digit()).collect();
    let known = [',', '.', '\'', '’', ' ', '\u{a0}', '\u{202f}'];
    if !found.iter().all(|c| known.contains(c)) {
        return None;
    }
    let last = *found.last()?;
    let kinds: BTreeSet<char> = found.iter().copied().collect();
    let is_decimal = matches!(last, ',' | '.') && found.iter().filter(|c| **c == last).count() == 1;
    let thousands = match (is_decimal, kinds.len()) {
        (true, 1) => None,
        (true, 2) => found.first(),
        (false, 1) => Some(&last),
        _ => return None,
    };
    let mut settings = Vec::new();
    if is_decimal && last != '.' {
        settings.push(format!("decimal: \"{last}\""));
    }
    settings.extend(thousands.map(|separator| format!("thousands: \"{separator}\"")));
    (!settings.is_empty()).then(|| format!("`{}`", settings.join(", ")))
}

/// What a format in the words of a spreadsheet, `DD.MM.YYYY`, is here.
pub(in crate::mapping) fn strptime(format: &str) -> Option<String> {
    let mut meant = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        let run = rest.chars().take_while(|c| *c == first).count();
        let field = match (first, run) {
            ('d' | 'D' | 't' | 'T', 1 | 2) => "%d",
            ('m' | 'M', 1 | 2) if meant.contains("%H") => "%M",
            ('m' | 'M', 1 | 2) => "%m",
            ('y' | 'Y' | 'j' | 'J', 4) => "%Y",
            ('y' | 'Y' | 'j' | 'J', 2) => "%y",
            ('h' | 'H', 1 | 2) => "%H",
            ('s' | 'S', 1 | 2) => "%S",
            (c, _) if c.is_ascii_alphabetic() || c == '%' => return None,
            (c, run) => {
                meant.extend(std::iter::repeat_n(c, run));
                rest = rest.split_at_checked(run * c.len_utf8())?.1;
                continue;
            }
        };
        meant.push_str(field);
        rest = rest.split_at_checked(run)?.1;
    }
    super::try_format(&meant).is_ok().then_some(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_tells_how_it_is_written() {
        for (value, expected) in [
            ("31.12.2025", Some("`parse: \"%d.%m.%Y\"`")),
            ("5.6.1991", Some("`parse: \"%d.%m.%Y\"`")),
            ("31.12.2025 14:05", Some("`parse: \"%d.%m.%Y %H:%M\"`")),
            ("12/31/2025", Some("`parse: \"%m/%d/%Y\"`")),
            (
                "01/02/2025",
                Some("`parse: \"%d/%m/%Y\"` or `parse: \"%m/%d/%Y\"`"),
            ),
            ("20251231", Some("`parse: \"%Y%m%d\"`")),
            ("31.12.25", None),
            ("soon", None),
        ] {
            assert_eq!(parse(value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn a_number_tells_its_separators() {
        for (value, expected) in [
            ("45.000,50", Some("`decimal: \",\", thousands: \".\"`")),
            ("1 234,5", Some("`decimal: \",\", thousands: \" \"`")),
            ("-45,5", Some("`decimal: \",\"`")),
            ("1,250.50", Some("`thousands: \",\"`")),
            ("1.250.000", Some("`thousands: \".\"`")),
            ("1'250", Some("`thousands: \"'\"`")),
            ("12 €", None),
            ("1,2.3,4", None),
            ("many", None),
        ] {
            assert_eq!(separators(value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn a_format_of_a_spreadsheet_is_put_into_ours() {
        for (format, expected) in [
            ("DD.MM.YYYY", Some("%d.%m.%Y")),
            ("TT.MM.JJJJ", Some("%d.%m.%Y")),
            ("yyyy-mm-dd hh:mm:ss", Some("%Y-%m-%d %H:%M:%S")),
            ("dd/MM/yy", Some("%d/%m/%y")),
            ("DD.MM.YYYY HH:MM", Some("%d.%m.%Y %H:%M")),
            ("%q", None),
            ("European", None),
        ] {
            assert_eq!(strptime(format).as_deref(), expected, "{format}");
        }
    }
}
