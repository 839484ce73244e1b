//! Addresses and ids as they may be written. Which login host belongs to which cloud is known where we connect.

use std::net::{IpAddr, Ipv6Addr};

use uuid::Uuid;

use super::super::ProblemCode;
use super::super::problem::codes;

/// Why a value is refused; it is never repeated, for it may hold a password.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: ProblemCode,
    /// Continues the name of the setting.
    pub(super) what: &'static str,
    pub(super) help: &'static str,
}

const ORIGIN_HELP: &str = "Write the environment's origin, as `https://contoso.crm4.dynamics.com`.";
const AUTHORITY_HELP: &str = "Write the login host, as `https://login.microsoftonline.com`.";

/// The address of an environment, with or without the path of the Web API.
pub(super) fn url(written: &str) -> Result<String, Refusal> {
    let path = path_of(written, ORIGIN_HELP)?;
    let mut segments = path.split('/').filter(|it| !it.is_empty());
    let here = [
        segments.next(),
        segments.next(),
        segments.next(),
        segments.next(),
    ];
    match here {
        [None, ..] | [Some("api"), Some("data"), None, _] => {}
        [Some("api"), Some("data"), Some(version), None] if is_version(version) => {}
        _ => {
            return Err(bad(
                "goes on behind the origin of an environment",
                ORIGIN_HELP,
            ));
        }
    }
    Ok(written.trim().to_owned())
}

/// A login host. The tenant is a setting of its own and follows it.
pub(super) fn authority(written: &str) -> Result<String, Refusal> {
    match path_of(written, AUTHORITY_HELP)? {
        "" | "/" => Ok(written.trim().to_owned()),
        _ => Err(bad("goes on behind the login host", AUTHORITY_HELP)),
    }
}

/// A tenant: a GUID or a domain.
pub(super) fn tenant(written: &str) -> Result<String, Refusal> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let label = |it: &str| !it.is_empty() && it.chars().all(good);
    let domain = written.contains('.') && written.split('.').all(label);
    if domain || is_guid(written) {
        return Ok(written.to_owned());
    }
    Err(Refusal {
        code: codes::BAD_VALUE,
        what: "is neither a GUID nor a domain",
        help: "Copy the directory (tenant) id of the app registration, or write a domain of the tenant.",
    })
}

/// The id of an application.
pub(super) fn client(written: &str) -> Result<String, Refusal> {
    if is_guid(written) {
        return Ok(written.to_owned());
    }
    Err(Refusal {
        code: codes::BAD_VALUE,
        what: "is not a GUID",
        help: "Copy the application (client) id of the app registration; it has 36 characters.",
    })
}

/// With hyphens and without braces, as the portals show it.
fn is_guid(written: &str) -> bool {
    written.len() == 36 && Uuid::try_parse(written).is_ok()
}

fn bad(what: &'static str, help: &'static str) -> Refusal {
    Refusal {
        code: codes::BAD_ADDRESS,
        what,
        help,
    }
}

/// What follows the host of an address that may carry a secret.
fn path_of<'w>(written: &'w str, help: &'static str) -> Result<&'w str, Refusal> {
    let written = written.trim();
    let (scheme, rest) = written.split_once("://").unwrap_or(("", written));
    let secure = scheme.eq_ignore_ascii_case("https");
    if !secure && !scheme.eq_ignore_ascii_case("http") {
        return Err(bad("does not begin with `https://`", help));
    }
    if rest.contains('@') {
        return Err(bad("holds a user or a password", help));
    }
    if rest.contains(['?', '#']) {
        return Err(bad("holds more than a host", help));
    }
    let end = rest.find('/').unwrap_or(rest.len());
    let (place, path) = rest.split_at(end);
    let host = host_of(place).ok_or_else(|| bad("is not an address", help))?;
    if secure || is_loopback(host) {
        return Ok(path);
    }
    Err(Refusal {
        code: codes::PLAIN_HTTP,
        what: "has no TLS: the secret and the rows could be read on the way",
        help: "Write `https://`; plain http is for this machine alone.",
    })
}

/// The host of `host`, `host:port` and `[::1]:port`.
fn host_of(place: &str) -> Option<&str> {
    let (host, port) = match place.rfind(']') {
        Some(end) => place.split_at(end + 1),
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    let digits = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
    let port_is_good = match port.strip_prefix(':') {
        Some(number) => digits(number) && number.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let label = |it: &str| !it.is_empty() && it.chars().all(good);
    let bracketed = host
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'))
        .is_some_and(|it| it.parse::<Ipv6Addr>().is_ok());
    (port_is_good && (bracketed || host.split('.').all(label))).then_some(host)
}

/// Whether a host is this machine: `localhost`, `127.0.0.0/8` or `::1`.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.is_loopback())
}

fn is_version(segment: &str) -> bool {
    let number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    segment
        .strip_prefix('v')
        .is_some_and(|version| version.split('.').all(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(result: Result<String, Refusal>) -> String {
        let refusal = result.unwrap_err();
        format!("{} {}", refusal.code, refusal.what)
    }

    #[test]
    fn an_environment_is_an_origin_with_or_without_the_path_of_the_web_api() {
        for written in [
            "https://contoso.crm4.dynamics.com",
            "HTTPS://contoso.crm4.dynamics.com:443/",
            "https://contoso.crm4.dynamics.com/api/data/v9.2/",
            "https://contoso.crm4.dynamics.com/api/data/v10",
        ] {
            assert_eq!(url(written).unwrap(), written);
        }
        for written in [
            "https://contoso.crm4.dynamics.com/main.aspx",
            "https://contoso.crm4.dynamics.com/api",
            "https://contoso.crm4.dynamics.com/api/data/vx",
            "https://contoso.crm4.dynamics.com/api/data/v9.2/contacts",
        ] {
            assert!(refused(url(written)).starts_with("SG0203 goes on"));
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for host in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "127.255.0.9",
            "[::1]",
        ] {
            assert!(url(&format!("http://{host}:8080")).is_ok(), "{host}");
        }
        for host in [
            "contoso.crm4.dynamics.com",
            "127.0.0.1.example.com",
            "localhost.example.com",
            "127.1",
            "127.0.0.0177",
            "128.0.0.1",
            "[::2]",
        ] {
            assert!(
                refused(url(&format!("http://{host}"))).starts_with("SG0202"),
                "{host}"
            );
        }
        assert!(refused(authority("http://login.example")).starts_with("SG0202"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for written in [
            "https://",
            "https://a b",
            "https://a..b",
            "https://a:port",
            "https://a:99999",
            "https://[::1",
            "https://ähnlich.example",
            "https://a\\b",
            "ftp://a.example",
            "contoso.crm4.dynamics.com",
            "AuthType=ClientSecret",
        ] {
            assert!(refused(url(written)).starts_with("SG0203"), "{written}");
        }
        assert!(refused(url("https://me:x@a.example")).contains("a password"));
        assert!(refused(url("https://a.example?x=1")).contains("more than a host"));
        assert!(refused(url("https://a.example/#x")).contains("more than a host"));
    }

    #[test]
    fn an_authority_is_a_host_alone() {
        assert!(authority("https://login.microsoftonline.com/").is_ok());
        assert!(authority("http://127.0.0.1:8080").is_ok());
        let written = "https://login.microsoftonline.com/contoso.example";
        assert!(refused(authority(written)).contains("goes on"));
    }

    #[test]
    fn a_tenant_is_a_guid_or_a_domain() {
        for written in [
            "00000000-0000-0000-0000-0000000000A1",
            "contoso.onmicrosoft.com",
        ] {
            assert_eq!(tenant(written).unwrap(), written);
        }
        for written in [
            "common",
            "a/b.c",
            ".",
            "a..b",
            "0000000000000000000000000000000a1",
        ] {
            assert!(tenant(written).is_err(), "{written}");
        }
    }

    #[test]
    fn an_application_is_a_guid() {
        assert!(client("00000000-0000-0000-0000-0000000000c1").is_ok());
        for written in [
            "segue",
            "{00000000-0000-0000-0000-0000000000c1}",
            "000000000000000000000000000000c1",
        ] {
            assert!(client(written).is_err(), "{written}");
        }
    }
}
