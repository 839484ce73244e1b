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
    /// Clients that make their own cookies say nothing but the page.
    pub(super) last: Option<Uuid>,
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
            last: Some(last),
            until: None,
        }
    }

    /// The cookie with the rows that a mere page number means.
    pub(super) fn placed(self, page_size: usize) -> Self {
        let passed = match self.last {
            Some(_) => self.passed,
            None => self.page.saturating_sub(1).saturating_mul(page_size),
        };
        Self { passed, ..self }
    }

    pub(super) fn written(self) -> String {
        let Self { page, passed, .. } = self;
        let last = self.last.unwrap_or_default();
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
        let Some((page, rest)) = text
            .strip_prefix("<cookie pagenumber=\"")?
            .split_once("\" pagingcookie=\"")
        else {
            return Self::of_page(text);
        };
        let (inner, _) = rest.split_once("\" istracking=")?;
        let (passed, inner) = inner.split_once(' ')?;
        let (last, until) = match inner.split_once(' ') {
            Some((last, until)) => (last, Some(until.parse().ok()?)),
            None => (inner, None),
        };
        Some(Self {
            page: number(page)?,
            passed: number(passed)?,
            last: Some(Uuid::try_parse(last).ok()?),
            until,
        })
    }

    /// `<cookie pagenumber="2" istracking="False" />`: the page alone, as clients write it that go
    /// to a page by its number.
    fn of_page(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("<cookie pagenumber=\"")?;
        let (page, rest) = rest.split_once('"')?;
        let rest = rest.trim_start();
        let rest = rest.strip_prefix("istracking=\"False\"").unwrap_or(rest);
        (rest.trim_start() == "/>").then_some(())?;
        Some(Self {
            page: number(page).filter(|page| *page > 0)?,
            passed: 0,
            last: None,
            until: None,
        })
    }
}

fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|number| *number < 1_000_000_000)
}
