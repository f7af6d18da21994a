//! Where a request may go.
//!
//! A destination is checked when it is registered and again at each connection: the URL itself ([`Guard::check_url`], which sees
//! literal addresses, because those never reach a resolver), and every address that its name has at that moment. If one of them is
//! bad, no request leaves; otherwise the connection goes to an address that was checked, and no second lookup can change it.

mod ports;
mod ranges;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use payload::webhook::HttpPolicy;
use url::{Host, Url};

pub use ports::NOT_FOR_HTTP;
pub use ranges::{GLOBAL_UNICAST, NAT64, NOT_GLOBAL_V4, NOT_GLOBAL_V6, Range, not_global};

/// The name of the environment variable that allows private destinations when its value is `1`.
pub const ALLOW_PRIVATE_VARIABLE: &str = "HOOKLINE_ALLOW_PRIVATE_DESTINATIONS";

/// How long a lookup may take when a destination is registered. (In an attempt, its own limit covers the lookup.)
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);

/// Which destinations are allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Destinations {
    /// https only, only to globally reachable addresses, and to no port of another protocol.
    #[default]
    PublicOnly,
    /// Also plain http, and any address and port: an explicit choice for a hub on one machine and for tests.
    AllowPrivate,
}

impl Destinations {
    /// Reads the value of [`ALLOW_PRIVATE_VARIABLE`]: only exactly `1` opens.
    #[must_use]
    pub fn from_setting(value: Option<&str>) -> Self {
        if value == Some("1") {
            Self::AllowPrivate
        } else {
            Self::PublicOnly
        }
    }
}

impl From<Destinations> for HttpPolicy {
    fn from(destinations: Destinations) -> Self {
        match destinations {
            Destinations::PublicOnly => Self::HttpsOnly,
            Destinations::AllowPrivate => Self::AllowHttp,
        }
    }
}

/// Why no request may go there. It never holds the URL or the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Anything but https.
    #[error("must be an https URL")]
    NotHttps,
    /// A port of another protocol, one of [`NOT_FOR_HTTP`].
    #[error("has a port that belongs to another protocol than https")]
    Port,
    /// One of our own receiving hosts: what is sent there would come back as a new event.
    #[error("leads back to this service")]
    OwnHost,
    /// An address that is not globally reachable, and what it is for.
    #[error("leads to an address that is not globally reachable: {0}")]
    Address(&'static str),
    /// The name has no address, or the lookup failed.
    #[error("the name of its host has no address")]
    NoAddress,
}

/// Finds the addresses of a name. Tests bring their own, whose answers can change.
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of `host`.
    fn resolve(&self, host: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
}

/// The operating system's resolver (getaddrinfo).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let host = host.to_owned();
        Box::pin(async move {
            Ok(tokio::net::lookup_host((host, 0))
                .await?
                .map(|address| address.ip())
                .collect())
        })
    }
}

/// Decides where requests may go.
#[derive(Clone)]
pub struct Guard {
    destinations: Destinations,
    own_hosts: Arc<[String]>,
    /// What the host of an API of our own begins with.
    own_apis: Arc<[String]>,
    resolver: Arc<dyn Resolver>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("destinations", &self.destinations)
            .field("own_hosts", &self.own_hosts)
            .finish_non_exhaustive()
    }
}

impl Guard {
    /// A guard that asks the operating system's resolver.
    #[must_use]
    pub fn new(destinations: Destinations) -> Self {
        Self {
            destinations,
            own_hosts: Arc::new([]),
            own_apis: Arc::new([]),
            resolver: Arc::new(SystemResolver),
        }
    }

    /// The same with another resolver.
    #[must_use]
    pub fn with_resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// The same, refusing also our own receiving host, the one of this URL. A text that is no URL adds nothing.
    #[must_use]
    pub fn without_host_of(mut self, url: &str) -> Self {
        if let Some(host) = Url::parse(url).ok().as_ref().and_then(Url::host_str) {
            self.own_hosts = self
                .own_hosts
                .iter()
                .cloned()
                .chain([plain_host(host).to_owned()])
                .collect();
        }
        self
    }

    /// The same, refusing also the hosts that API Gateway makes for the API of this id, `<id>.execute-api.<region>.amazonaws.com`: it answers
    /// there also where it has a domain of its own. An empty id adds nothing.
    #[must_use]
    pub fn without_api(mut self, id: &str) -> Self {
        if !id.is_empty() {
            let host = format!("{}.execute-api.", id.to_ascii_lowercase());
            self.own_apis = self.own_apis.iter().cloned().chain([host]).collect();
        }
        self
    }

    /// Which destinations it allows.
    #[must_use]
    pub fn destinations(&self) -> Destinations {
        self.destinations
    }

    /// Checks what can be seen from the URL alone: its scheme, its port, its host, and its address when it holds one. (The `url`
    /// crate has brought every notation of an IPv4 address into one form by then: decimal, octal, hexadecimal, short, full-width digits, a
    /// trailing dot. It refuses zone ids.)
    ///
    /// # Errors
    /// Why no request may go there.
    pub fn check_url(&self, url: &Url) -> Result<(), Refusal> {
        let is_own = |host: &str| {
            self.own_hosts.iter().any(|own| own == plain_host(host))
                || self.own_apis.iter().any(|own| host.starts_with(own.as_str()))
        };
        if url.host_str().is_some_and(is_own) {
            return Err(Refusal::OwnHost);
        }
        if self.destinations == Destinations::AllowPrivate {
            return Ok(());
        }
        if url.scheme() != "https" {
            return Err(Refusal::NotHttps);
        }
        if url.port().is_some_and(|port| NOT_FOR_HTTP.contains(&port)) {
            return Err(Refusal::Port);
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.check_address(address.into()),
            Some(Host::Ipv6(address)) => self.check_address(address.into()),
            Some(Host::Domain(_)) => Ok(()),
            None => Err(Refusal::NoAddress),
        }
    }

    /// Checks a destination that is to be registered: its URL, and the addresses that its name has now. It takes at most five seconds.
    ///
    /// # Errors
    /// Why no request may go there. [`Refusal::NoAddress`] may be a passing failure of DNS.
    pub async fn check(&self, url: &Url) -> Result<(), Refusal> {
        self.check_url(url)?;
        if let Some(Host::Domain(host)) = url.host() {
            tokio::time::timeout(LOOKUP_LIMIT, self.resolve(host))
                .await
                .map_err(|_| Refusal::NoAddress)??;
        }
        Ok(())
    }

    /// The addresses of a name, when every one of them may be connected to.
    ///
    /// # Errors
    /// [`Refusal::NoAddress`] when there are none, [`Refusal::Address`] when one is bad.
    pub async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Refusal> {
        let addresses = self.resolver.resolve(host).await.map_err(|_| Refusal::NoAddress)?;
        if addresses.is_empty() {
            return Err(Refusal::NoAddress);
        }
        addresses.iter().try_for_each(|address| self.check_address(*address))?;
        Ok(addresses)
    }

    fn check_address(&self, address: IpAddr) -> Result<(), Refusal> {
        match self.destinations {
            Destinations::AllowPrivate => Ok(()),
            Destinations::PublicOnly => not_global(address).map_or(Ok(()), |name| Err(Refusal::Address(name))),
        }
    }
}

/// The hook through which the HTTP client learns addresses: it connects to what this returns and asks nobody else.
impl reqwest::dns::Resolve for Guard {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let addresses = Self::resolve(&guard, name.as_str()).await?;
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as reqwest::dns::Addrs)
        })
    }
}

/// A host without the dot that marks it as complete. (The `url` crate has lower-cased it.)
fn plain_host(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use payload::webhook::DestinationUrl;

    struct Fixed(Vec<&'static str>);

    impl Resolver for Fixed {
        fn resolve(&self, _: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
            let addresses = self.0.iter().map(|text| text.parse().unwrap()).collect();
            Box::pin(async { Ok(addresses) })
        }
    }

    /// `None`: no URL at all, so that no webhook can hold it.
    fn check(text: &str) -> Option<Result<(), Refusal>> {
        let url = DestinationUrl::parse(text, HttpPolicy::HttpsOnly).ok()?;
        Some(Guard::new(Destinations::PublicOnly).check_url(url.expose()))
    }

    #[test]
    fn literal_addresses_are_refused_in_every_notation() {
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "017700000001",
            "0x7f.1",
            "127.1",
            "127.0.1",
            "0177.0.0.1",
            "127.0.0.1.",
            "0",
            "0x0",
            "①②⑦.⓪.⓪.①",
            "127。0。0。1",
            "%31%32%37.0.0.1",
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "10.1",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:8.8.8.8]",
            "[::127.0.0.1]",
            "[2002:7f00:1::]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::808:808]",
            "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[2001:db8::1]",
            "192.168.1.1:8443",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "100.64.0.1",
        ] {
            let result = check(&format!("https://{host}/hook"));
            assert!(matches!(result, Some(Err(Refusal::Address(_)))), "{host}: {result:?}");
        }
        for host in [
            "[fe80::1%25eth0]",
            "[fe80::1%eth0]",
            "127.0.0.1%00.example.com",
            "256.1.1.1",
            "1.2.3.4.5",
            "[::1",
            "[v1.x]",
        ] {
            assert_eq!(check(&format!("https://{host}/")), None, "{host}");
        }
        for host in [
            "8.8.8.8",
            "134744072",
            "[2606:4700:4700::1111]",
            "[64:ff9b::808:808]",
            "example.com",
            "example.com.",
        ] {
            assert_eq!(check(&format!("https://{host}/")), Some(Ok(())), "{host}");
        }
    }

    #[test]
    fn only_https_passes_unless_private_destinations_are_allowed() {
        let http = Url::parse("http://example.com/").unwrap();
        assert_eq!(
            Guard::new(Destinations::PublicOnly).check_url(&http),
            Err(Refusal::NotHttps)
        );
        let local = Url::parse("http://127.0.0.1:8080/").unwrap();
        assert_eq!(Guard::new(Destinations::AllowPrivate).check_url(&local), Ok(()));
        assert_eq!(Destinations::from_setting(Some("1")), Destinations::AllowPrivate);
        for closed in [None, Some(""), Some("0"), Some("true"), Some("1 ")] {
            assert_eq!(Destinations::from_setting(closed), Destinations::PublicOnly);
        }
    }

    #[test]
    fn ports_of_other_protocols_are_refused_unless_private_destinations_are_allowed() {
        for port in [0, 22, 25, 465, 587, 993, 6667, 10_080] {
            let url = Url::parse(&format!("https://example.com:{port}/hook")).unwrap();
            assert_eq!(
                Guard::new(Destinations::PublicOnly).check_url(&url),
                Err(Refusal::Port),
                "{port}"
            );
            assert_eq!(Guard::new(Destinations::AllowPrivate).check_url(&url), Ok(()), "{port}");
        }
        for rest in ["", ":443", ":80", ":8443", ":65535"] {
            assert_eq!(
                check(&format!("https://example.com{rest}/hook")),
                Some(Ok(())),
                "{rest}"
            );
        }
    }

    #[test]
    fn our_own_host_is_refused_under_either_policy() {
        for destinations in [Destinations::PublicOnly, Destinations::AllowPrivate] {
            let guard = Guard::new(destinations)
                .without_host_of("https://hooks.example.com")
                .without_host_of("");
            for own in [
                "https://hooks.example.com/in/x",
                "https://HOOKS.example.com./in/x",
                "https://hooks.example.com:8443/",
            ] {
                assert_eq!(
                    guard.check_url(&Url::parse(own).unwrap()),
                    Err(Refusal::OwnHost),
                    "{own}"
                );
            }
            assert_eq!(guard.check_url(&Url::parse("https://example.com/").unwrap()), Ok(()));
        }
    }

    #[test]
    fn our_own_api_is_refused_beside_its_domain() {
        let guard = Guard::new(Destinations::PublicOnly)
            .without_api("Abc123")
            .without_api("");
        let check = |url: &str| guard.check_url(&Url::parse(url).unwrap());
        for own in [
            "https://abc123.execute-api.eu-west-1.amazonaws.com/in/x",
            "https://ABC123.execute-api.cn-north-1.amazonaws.com.cn./in/x",
        ] {
            assert_eq!(check(own), Err(Refusal::OwnHost), "{own}");
        }
        for other in [
            "https://abc1234.execute-api.eu-west-1.amazonaws.com/",
            "https://abc123.example.com/",
            "https://execute-api.eu-west-1.amazonaws.com/",
        ] {
            assert_eq!(check(other), Ok(()), "{other}");
        }
    }

    #[tokio::test]
    async fn one_bad_answer_refuses_the_name() {
        let url = Url::parse("https://example.com/").unwrap();
        for (answers, expected) in [
            (vec!["93.184.216.34", "2606:2800:220:1::1"], Ok(())),
            (
                vec!["93.184.216.34", "10.0.0.1"],
                Err(Refusal::Address("private use, RFC 1918")),
            ),
            (
                vec!["2606:2800:220:1::1", "::ffff:169.254.169.254"],
                Err(Refusal::Address("IPv4-mapped, RFC 4291")),
            ),
            (vec![], Err(Refusal::NoAddress)),
        ] {
            let guard = Guard::new(Destinations::PublicOnly).with_resolver(Fixed(answers));
            assert_eq!(guard.check(&url).await, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_without_end_is_given_up() {
        struct Never;
        impl Resolver for Never {
            fn resolve(&self, _: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
                Box::pin(std::future::pending())
            }
        }
        let guard = Guard::new(Destinations::PublicOnly).with_resolver(Never);
        assert_eq!(
            guard.check(&Url::parse("https://example.com/").unwrap()).await,
            Err(Refusal::NoAddress)
        );
    }

    #[tokio::test]
    async fn the_systems_resolver_finds_loopback_and_the_guard_refuses_it() {
        let url = Url::parse("https://localhost/").unwrap();
        assert!(matches!(
            Guard::new(Destinations::PublicOnly).check(&url).await,
            Err(Refusal::Address(_))
        ));
        assert_eq!(Guard::new(Destinations::AllowPrivate).check(&url).await, Ok(()));
    }

    #[test]
    fn a_refusal_names_no_address() {
        let Some(Err(refusal)) = check("https://10.1.2.3/secret") else {
            panic!("it passed")
        };
        assert!(!refusal.to_string().contains("10.1.2.3") && !refusal.to_string().contains("secret"));
    }
}
