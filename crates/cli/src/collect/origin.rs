//! The addresses judges' browsers know this server by. A page from anywhere else is refused.

use std::net::SocketAddr;

use anyhow::{Result, bail};

use crate::http::is_loopback;

/// The address in links, and all that a browser may name as the origin of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origins {
    /// As `https://judge.example.org`, without a path.
    pub(super) public: String,
    accepted: Vec<String>,
}

impl Origins {
    /// With a public address only that is accepted; without one, where the server listens.
    ///
    /// # Errors
    /// A public address that is more or less than scheme, host and port; none for a server on all addresses.
    pub(super) fn new(listening: SocketAddr, public: Option<&str>) -> Result<Self> {
        if let Some(public) = public {
            let origin = public.trim_end_matches('/').to_ascii_lowercase();
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            if host.is_none_or(|host| host.is_empty() || host.contains(['/', '?', '#', '@', ' '])) {
                bail!(
                    "--public-url {public} is not an address; give scheme and host, as https://judge.example.org"
                );
            }
            let origin = without_default_port(origin);
            return Ok(Self { accepted: vec![origin.clone()], public: origin });
        }
        if listening.ip().is_unspecified() {
            bail!("{} is no address for a link; say with --public-url where judges reach it", listening.ip());
        }
        let public = without_default_port(format!("http://{listening}"));
        let mut accepted = vec![public.clone()];
        if is_loopback(listening.ip()) {
            accepted.push(without_default_port(format!("http://localhost:{}", listening.port())));
        }
        Ok(Self { public, accepted })
    }

    /// Whether a request may come from this origin. Programs name none, and need a token all the same.
    pub(super) fn accept(&self, origin: Option<&str>) -> bool {
        origin.is_none_or(|origin| self.accepted.iter().any(|known| known == origin))
    }
}

/// An origin as browsers write it.
fn without_default_port(origin: String) -> String {
    let port = if origin.starts_with("https:") { ":443" } else { ":80" };
    origin.strip_suffix(port).map(str::to_owned).unwrap_or(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> SocketAddr {
        "127.0.0.1:8080".parse().unwrap()
    }

    #[test]
    fn a_local_server_has_two_names() {
        let origins = Origins::new(local(), None).unwrap();
        assert_eq!(origins.public, "http://127.0.0.1:8080");
        for (origin, accepted) in [
            (None, true),
            (Some("http://127.0.0.1:8080"), true),
            (Some("http://localhost:8080"), true),
            (Some("https://127.0.0.1:8080"), false),
            (Some("http://127.0.0.1:8081"), false),
            (Some("http://127.0.0.1:8080.evil.example"), false),
            (Some("http://evil.example"), false),
            (Some("null"), false),
            (Some(""), false),
        ] {
            assert_eq!(origins.accept(origin), accepted, "{origin:?}");
        }
    }

    #[test]
    fn a_public_address_is_the_only_name() {
        let origins = Origins::new(local(), Some("https://Judge.example.org/")).unwrap();
        assert_eq!(origins.public, "https://judge.example.org");
        assert!(origins.accept(Some("https://judge.example.org")));
        assert!(!origins.accept(Some("http://127.0.0.1:8080")));
        for wrong in
            ["judge.example.org", "ftp://judge.example.org", "https://", "https://a.org/path", "https://u@a"]
        {
            assert!(Origins::new(local(), Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn default_ports_are_not_written() {
        let origins = Origins::new("127.0.0.1:80".parse().unwrap(), None).unwrap();
        assert!(origins.accept(Some("http://127.0.0.1")) && origins.accept(Some("http://localhost")));
        assert_eq!(Origins::new(local(), Some("https://a.org:443")).unwrap().public, "https://a.org");
        assert_eq!(Origins::new(local(), Some("https://a.org:80")).unwrap().public, "https://a.org:80");
        assert_eq!(Origins::new("[::1]:80".parse().unwrap(), None).unwrap().public, "http://[::1]");
    }

    #[test]
    fn all_addresses_are_none() {
        let all = "0.0.0.0:8080".parse().unwrap();
        assert!(Origins::new(all, None).unwrap_err().to_string().contains("--public-url"));
        assert!(Origins::new(all, Some("https://judge.example.org")).is_ok());
    }
}
