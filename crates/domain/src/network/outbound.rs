//! What a workspace reaches, and what is reached for it: the published host list.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result};

use crate::{
    gate::{Cx, Op},
    resources::workspace_shelf,
};

/// Endpoints of one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// What for.
    pub category: &'static str,
    /// Host and port of each.
    pub endpoints: Vec<(String, u16)>,
}

/// Lists the hosts and ports that clients and compute of a workspace have to reach: real ones, from this server's settings. The
/// index that environments are built from is not among them: the target's own pip configuration names it.
#[derive(Debug)]
pub struct GetOutboundDependencies {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for GetOutboundDependencies {
    const ACTION: Action = Action::new(
        "Microsoft.MachineLearningServices/workspaces/outboundNetworkDependenciesEndpoints/read",
        Class::Read,
    )
    .beyond_network_rules();
    type Output = Vec<Dependency>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        workspace_shelf(cx, &self.workspace).await?;
        let own = host_and_port(&cx.settings().url);
        // One port serves everything; the purposes are told apart for whoever writes firewall rules.
        let purposes = ["Sign-in and tokens", "Resource manager, tracking, scoring", "Agents of compute targets"];
        let dependency = |category| Dependency { category, endpoints: own.iter().cloned().collect() };
        Ok(purposes.map(dependency).into())
    }
}

/// The authority of a URL; the port of its scheme when it names none.
fn host_and_port(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    let standard = if scheme.eq_ignore_ascii_case("http") { 80 } else { 443 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => (host, port.parse().ok()?),
        _ => (authority, standard),
    };
    (!host.is_empty()).then(|| (host.trim_matches(['[', ']']).to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn an_address_is_told_apart_into_host_and_port() {
        for (url, host, port) in [
            ("https://localhost:8443", "localhost", 8443),
            ("https://ml.example.org", "ml.example.org", 443),
            ("http://index.example/simple/", "index.example", 80),
            ("https://[::1]:9000/x", "::1", 9000),
            ("https://user:word@index.example/simple", "index.example", 443),
        ] {
            assert_eq!(host_and_port(url), Some((host.to_owned(), port)), "{url}");
        }
        assert_eq!(host_and_port("nothing"), None);
    }
}
