//! Where the next page of a query begins.
//!
//! Clients follow next links verbatim; what stands in them is this service's own. Source: Microsoft
//! Learn, "Page results using OData", "Paging cookies".

use uuid::Uuid;

/// Where the next page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cookie {
    pub(super) page: usize,
    /// Rows on the pages before; counts only if the last row is gone.
    pub(super) passed: usize,
    pub(super) last: Uuid,
    /// The version at the first page, where changes are tracked.
    pub(super) until: Option<u64>,
}

impl Cookie {
    /// The first page's end.
    pub(super) fn after(before: Option<Self>, rows: usize, last: Uuid) -> Self {
        let (page, passed) = before.map_or((1, 0), |cookie| (cookie.page, cookie.passed));
        Self {
            page: page + 1,
            passed: passed + rows,
            last,
            until: None,
        }
    }

    pub(super) fn written(self) -> String {
        let Self {
            page, passed, last, ..
        } = self;
        let (until, tracking) = match self.until {
            Some(until) => (format!(" {until}"), "True"),
            None => (String::new(), "False"),
        };
        let text = format!(
            "<cookie pagenumber=\"{page}\" pagingcookie=\"{passed} {last}{until}\" \
             istracking=\"{tracking}\" />"
        );
        percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string()
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("<cookie pagenumber=\"")?;
        let (page, rest) = rest.split_once("\" pagingcookie=\"")?;
        let (inner, _) = rest.split_once("\" istracking=")?;
        let (passed, inner) = inner.split_once(' ')?;
        let (last, until) = match inner.split_once(' ') {
            Some((last, until)) => (last, Some(until.parse().ok()?)),
            None => (inner, None),
        };
        let small = |number: &usize| *number < 1_000_000_000;
        Some(Self {
            page: page.parse().ok().filter(small)?,
            passed: passed.parse().ok().filter(small)?,
            last: Uuid::try_parse(last).ok()?,
            until,
        })
    }
}
