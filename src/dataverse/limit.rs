//! Which limit of the service a refusal names.

use super::codes;

/// Which limit of the service was hit.
///
/// Source: Microsoft Learn, "Service protection API limits", "Service protection API limit errors returned".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceLimit {
    /// `0x80072322`: requests in five minutes.
    Requests,
    /// `0x80072321`: execution time in five minutes.
    Time,
    /// `0x80072326`: requests at a time.
    Concurrency,
    /// Something else that protects the service, or it did not say what.
    Other,
}

impl ServiceLimit {
    /// The limit that an error code stands for.
    pub fn of(code: &str) -> Self {
        match codes::number(code) {
            Some(0x8007_2322) => Self::Requests,
            Some(0x8007_2321) => Self::Time,
            Some(0x8007_2326) => Self::Concurrency,
            Some(_) | None => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_limits_are_told_by_their_codes() {
        let limits = ["0x80072322", "-2147015903", "80072326"].map(ServiceLimit::of);
        let three = [
            ServiceLimit::Requests,
            ServiceLimit::Time,
            ServiceLimit::Concurrency,
        ];
        assert_eq!(limits, three);
        assert_eq!(ServiceLimit::of(""), ServiceLimit::Other);
    }
}
