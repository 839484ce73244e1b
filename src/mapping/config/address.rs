//! Whether an address can be one of an environment, as far as its text tells.

/// What is wrong with an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Plain http to another machine.
    Plain,
    /// It is no address, or has parts that an environment's has not.
    Shape,
}

/// The wire reads it in full; here it is for the caret.
pub(super) fn check(address: &str) -> Result<(), Wrong> {
    let (scheme, rest) = address.split_once("://").ok_or(Wrong::Shape)?;
    let host = rest.split('/').next().unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if host.is_empty() || !host.chars().all(fits) || rest.contains(['?', '#', ' ', '@']) {
        return Err(Wrong::Shape);
    }
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Ok(()),
        "http" if is_loopback(host) => Ok(()),
        "http" => Err(Wrong::Plain),
        _ => Err(Wrong::Shape),
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let address = name.parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for address in [
            "http://127.0.0.1:5000",
            "http://localhost/api",
            "http://[::1]:1",
            "https://contoso.crm4.dynamics.com/api/data/v9.2/",
        ] {
            assert_eq!(check(address), Ok(()), "{address}");
        }
        for address in [
            "http://contoso.crm.dynamics.com",
            "http://127.0.0.1.example.org",
            "http://localhost.example.org",
        ] {
            assert_eq!(check(address), Err(Wrong::Plain), "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_told() {
        for address in [
            "contoso.crm4.dynamics.com",
            "https://",
            "https://user:word@contoso.crm.dynamics.com",
            "https://contoso.crm.dynamics.com?x=1",
            "ftp://contoso.crm.dynamics.com",
        ] {
            assert_eq!(check(address), Err(Wrong::Shape), "{address}");
        }
    }
}
