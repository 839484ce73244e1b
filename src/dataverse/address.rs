//! Where an environment is, and which login host belongs to its cloud.

use std::net::IpAddr;

use reqwest::Url;

use super::DataverseError;

/// Later capabilities are not brought back to earlier versions, so this one is pinned.
///
/// Source: Microsoft Learn, "Compose HTTP requests and handle errors", "Web API URL and versions".
pub(super) const BASE: &str = "/api/data/v9.2";

/// The address of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// `https://contoso.crm4.dynamics.com`, without a slash.
    pub(super) origin: String,
    /// `contoso.crm4.dynamics.com`
    pub(super) host: String,
    /// Whether it is this machine.
    pub(super) loopback: bool,
    /// Where batches go.
    pub(super) batch: Url,
    /// What a token is asked for: the origin, never the `api` form of the host.
    pub(super) resource: String,
}

impl Address {
    /// Takes the address as written, with or without the path of the Web API.
    pub(super) fn parse(written: &str) -> Result<Self, DataverseError> {
        let refused = |why| DataverseError::Setting {
            setting: "url",
            // Whoever writes a password into the address should not find it in a log.
            value: written.rsplit('@').next().unwrap_or_default().to_owned(),
            why,
        };
        let url = parse_origin(written).map_err(refused)?;
        let host = url
            .host_str()
            .ok_or_else(|| refused("it names no host"))?
            .to_owned();
        if url.query().is_some() || url.fragment().is_some() || !is_web_api(url.path()) {
            return Err(refused(
                "only the environment's origin is needed, e.g. https://contoso.crm4.dynamics.com",
            ));
        }
        let origin = url.origin().ascii_serialization();
        let mut batch = url;
        batch.set_path(&format!("{BASE}/$batch"));
        Ok(Self {
            resource: origin.replacen(&host, &without_api_label(&host), 1),
            loopback: is_loopback(&host),
            origin,
            batch,
            host,
        })
    }

    /// The token endpoint: of the cloud that the host belongs to, or of the authority that the user wrote.
    pub(super) fn token_endpoint(
        &self,
        authority: Option<&str>,
        tenant: &str,
    ) -> Result<Url, DataverseError> {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
        if tenant.is_empty() || !tenant.chars().all(good) || tenant.chars().all(|c| c == '.') {
            return Err(DataverseError::Setting {
                setting: "tenant_id",
                value: tenant.to_owned(),
                why: "it is neither a GUID nor a domain",
            });
        }
        let authority = match (authority, login_host(&self.host)) {
            (Some(written), _) => written.to_owned(),
            (None, Some(host)) => format!("https://{host}"),
            (None, None) => {
                return Err(DataverseError::LoginHostUnknown {
                    host: self.host.clone(),
                });
            }
        };
        let refused = |why| DataverseError::Setting {
            setting: "authority",
            value: authority.rsplit('@').next().unwrap_or_default().to_owned(),
            why,
        };
        let base = parse_origin(&authority).map_err(refused)?;
        if base.query().is_some() || base.fragment().is_some() {
            return Err(refused("it is more than a host"));
        }
        let base = base.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/{tenant}/oauth2/v2.0/token"))
            .map_err(|_| refused("it is not an address"))
    }

    /// What a link of the service addresses, as path and query from the origin on. Its host is left out of account:
    /// a token never goes to a host that an answer names.
    pub(super) fn path_of_link(link: &str) -> String {
        // A relative link may have an address among its values.
        let is_scheme = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric());
        let path = match link.split_once("://") {
            _ if link.starts_with('/') => Some(link),
            Some((scheme, rest)) if is_scheme(scheme) => {
                rest.find('/').and_then(|slash| rest.get(slash..))
            }
            Some(_) | None => return format!("{BASE}/{link}"),
        };
        path.unwrap_or("/").to_owned()
    }
}

fn parse_origin(written: &str) -> Result<Url, &'static str> {
    let written = written.trim();
    let url = if written.contains("://") {
        Url::parse(written)
    } else {
        Url::parse(&format!("https://{written}"))
    }
    .map_err(|_| "it is not an address")?;
    let host = url.host_str().ok_or("it names no host")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user or password does not belong there");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        "http" => Err("without TLS the secret and the rows could be read on the way; write https"),
        _ => Err("it does not begin with https://"),
    }
}

fn is_web_api(path: &str) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    match (
        segments.next(),
        segments.next(),
        segments.next(),
        segments.next(),
    ) {
        (None, ..) => true,
        (Some("api"), Some("data"), version, None) => {
            version.is_none_or(|version| version.starts_with('v'))
        }
        _ => false,
    }
}

/// The host of an address, with its port where one is named: two servers may share a host.
pub(super) fn server(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Whether a host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// `contoso.api.crm4.dynamics.com` and `contoso.crm4.dynamics.com` are one environment; tokens are for the latter.
fn without_api_label(host: &str) -> String {
    match host.split_once(".api.") {
        Some((name, region)) if !name.contains('.') && login_host(host).is_some() => {
            format!("{name}.{region}")
        }
        _ => host.to_owned(),
    }
}

/// The login host of the cloud that an environment's host belongs to.
///
/// Source: Microsoft Learn, "National clouds", and "Datacenter regions" of Power Platform.
fn login_host(host: &str) -> Option<&'static str> {
    let mut labels = host.rsplit('.');
    let (top, domain, region) = (labels.next()?, labels.next()?, labels.next()?);
    labels.next()?;
    match (region, domain, top) {
        (region, "dynamics", "com") if region.starts_with("crm") => {
            Some("login.microsoftonline.com")
        }
        ("crm", "microsoftdynamics" | "appsplatform", "us") => Some("login.microsoftonline.us"),
        ("crm", "dynamics", "cn") => Some("login.partner.microsoftonline.cn"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str, authority: Option<&str>) -> Result<String, DataverseError> {
        Ok(Address::parse(url)?
            .token_endpoint(authority, "contoso.example")?
            .to_string())
    }

    #[test]
    fn an_address_may_carry_the_path_of_the_web_api() {
        for written in [
            "https://contoso.crm4.dynamics.com",
            "https://contoso.crm4.dynamics.com/",
            "https://CONTOSO.crm4.dynamics.com/api/data/v9.2",
            "https://contoso.crm4.dynamics.com/api/data/v9.0/",
            " contoso.crm4.dynamics.com ",
        ] {
            let address = Address::parse(written).unwrap();
            assert_eq!(address.origin, "https://contoso.crm4.dynamics.com");
            assert_eq!(address.resource, "https://contoso.crm4.dynamics.com");
            assert!(!address.loopback);
        }
    }

    #[test]
    fn a_token_is_for_the_host_without_api() {
        let address = Address::parse("https://contoso.api.crm4.dynamics.com").unwrap();
        assert_eq!(address.origin, "https://contoso.api.crm4.dynamics.com");
        assert_eq!(address.resource, "https://contoso.crm4.dynamics.com");
    }

    #[test]
    fn http_is_for_loopback_alone() {
        assert!(Address::parse("http://127.0.0.1:8080").unwrap().loopback);
        assert!(
            Address::parse("http://localhost:8080/api/data/v9.2")
                .unwrap()
                .loopback
        );
        assert!(Address::parse("http://[::1]:8080").unwrap().loopback);
        assert!(Address::parse("http://contoso.crm4.dynamics.com").is_err());
        assert!(Address::parse("http://127.0.0.1.evil.example").is_err());
        assert!(Address::parse("ftp://contoso.crm4.dynamics.com").is_err());
    }

    #[test]
    fn an_address_that_is_more_or_less_than_an_origin_is_refused() {
        for written in [
            "",
            "https://",
            "https://contoso.crm4.dynamics.com/main.aspx?appid=1",
            "https://contoso.crm4.dynamics.com/api/data/v9.2/contacts",
            "https://contoso.crm4.dynamics.com/#x",
        ] {
            assert!(Address::parse(written).is_err(), "{written}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let error = Address::parse("https://me:hunter2@contoso.crm4.dynamics.com").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn each_cloud_has_its_login_host() {
        for (url, host) in [
            ("https://a.crm.dynamics.com", "login.microsoftonline.com"),
            ("https://a.crm9.dynamics.com", "login.microsoftonline.com"),
            (
                "https://a.api.crm22.dynamics.com",
                "login.microsoftonline.com",
            ),
            (
                "https://a.crm.microsoftdynamics.us",
                "login.microsoftonline.us",
            ),
            ("https://a.crm.appsplatform.us", "login.microsoftonline.us"),
            (
                "https://a.crm.dynamics.cn",
                "login.partner.microsoftonline.cn",
            ),
        ] {
            assert_eq!(
                endpoint(url, None).unwrap(),
                format!("https://{host}/contoso.example/oauth2/v2.0/token")
            );
        }
    }

    #[test]
    fn an_unknown_host_needs_an_authority() {
        for url in [
            "http://127.0.0.1:8080",
            "https://dataverse.example.com",
            "https://crm4.dynamics.com",
            "https://a.crm4.dynamics.com.evil.example",
        ] {
            assert!(matches!(
                endpoint(url, None),
                Err(DataverseError::LoginHostUnknown { .. })
            ));
        }
        assert_eq!(
            endpoint("http://127.0.0.1:8080", Some("http://127.0.0.1:8080/")).unwrap(),
            "http://127.0.0.1:8080/contoso.example/oauth2/v2.0/token"
        );
    }

    #[test]
    fn a_secret_does_not_travel_without_tls() {
        assert!(endpoint("https://a.crm4.dynamics.com", Some("http://login.example")).is_err());
    }

    #[test]
    fn a_tenant_cannot_lead_elsewhere() {
        let address = Address::parse("https://a.crm4.dynamics.com").unwrap();
        for tenant in ["", "..", "a/b", "a?b", "a#b", "a b", "a%2e"] {
            assert!(address.token_endpoint(None, tenant).is_err(), "{tenant}");
        }
    }

    #[test]
    fn a_link_gives_only_path_and_query() {
        let link = "https://elsewhere.example/api/data/v9.2/contacts?$skiptoken=%3Ca%3E";
        assert_eq!(
            Address::path_of_link(link),
            "/api/data/v9.2/contacts?$skiptoken=%3Ca%3E"
        );
        assert_eq!(
            Address::path_of_link("/api/x?a=b://c/d"),
            "/api/x?a=b://c/d"
        );
        assert_eq!(Address::path_of_link("https://host"), "/");
        for link in [
            ".evil.example/x",
            "@evil.example/x",
            ":80@evil.example",
            "contacts?$filter=a eq 'http://x/y'",
        ] {
            assert_eq!(Address::path_of_link(link), format!("{BASE}/{link}"));
        }
    }
}
