//! The front of the house: where a request goes, before any route is looked at. Vaults and storage accounts have host names of
//! their own, as Azure's clients demand; each has a path-style twin, so that nothing needs a name server.

use std::sync::Arc;

use axum::{Router, body::Body, response::Response};
use http::{Request, Uri, header};
use tower::ServiceExt;

use crate::{
    faces::mlflow,
    finished::Finished,
    inside::Inside,
    path,
    porch::{self, Peer},
};

/// Under which names of their own resources are reached, and the path-style twin of each.
const TWINS: [(&str, &str); 2] = [(".vault", "/vaults"), (".blob.core", "/blob")];

/// Files of runs, one each, under the name of an account that there cannot be.
pub(crate) const RUN_FILES: &str = "run-files";
/// The name of registries. What the path of one begins with is followed by the registry, where the host does not name it.
const REGISTRY: &str = ".azurecr";
/// What paths of registries begin with.
const REGISTRY_ROOTS: [&str; 2] = ["/v2", "/acr/v1"];

/// Below this, the path is a name of its own.
const BLOBS: &str = "/blob/";

/// How the client wrote the address: what signatures are computed over, and links are made of.
#[derive(Clone, Debug)]
pub struct AskedAs {
    /// Host and port.
    pub authority: String,
    /// The path in its escaped form.
    pub path: String,
    /// Whether the resource is named by the host, not by the path.
    pub is_host_style: bool,
}

/// The routes, behind the names under which they are reached.
#[derive(Clone)]
pub(crate) struct Front {
    router: Router,
    /// `.bartizan.test`, in lower case.
    suffix: Arc<str>,
}

impl Front {
    pub(crate) fn new(router: Router, suffix: &str) -> Self {
        Self { router, suffix: format!(".{}", suffix.to_ascii_lowercase()).into() }
    }

    /// Answers a request from this peer; `depth` requests led to it, each from within the one before.
    pub(crate) async fn answer(self, mut request: Request<Body>, peer: Peer, depth: u8) -> Response {
        let Some(uri) = self.address(&mut request) else { return porch::bad_path(request.uri().path()) };
        *request.uri_mut() = uri;
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(Inside::new(self.clone(), peer, depth));
        match Finished::new(self.router.oneshot(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(panic) => {
                let words = panic.downcast_ref::<&str>().copied().unwrap_or("no words");
                tracing::error!(words, "a request panicked");
                porch::panicked()
            }
        }
    }

    /// The address that is routed; none when it is not acceptable, or the names of one request mean different resources.
    fn address(&self, request: &mut Request<Body>) -> Option<Uri> {
        let home = self.one_home(request)?;
        let is_host_style = home.is_some();
        let path = match home {
            Some(home) => home.path(request.uri().path()),
            None => request.uri().path().to_owned(),
        };
        // A workspace that a header names is in the address from here on.
        let path = mlflow::address(&path, request.headers()).unwrap_or(path);
        // Azure's clients escape the slashes within a repository's name, which are what parts it.
        let is_of_registry =
            REGISTRY_ROOTS.iter().any(|root| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/')));
        let path = if is_of_registry { path.replace("%2F", "/").replace("%2f", "/") } else { path };
        // Names of blobs may hold anything, an escaped slash too; their own face reads them.
        if !path.starts_with(BLOBS) {
            path::decode(&path)?;
        }
        if is_addressed(&path) {
            let asked = request.uri();
            let authority = asked.authority().map(|authority| authority.to_string());
            let host = || request.headers().get(header::HOST)?.to_str().ok().map(str::to_owned);
            let authority = authority.or_else(host).unwrap_or_default();
            let asked = AskedAs { authority, path: asked.path().to_owned(), is_host_style };
            request.extensions_mut().insert(asked);
        }
        let canonical = if is_addressed(&path) { None } else { path::canonical(&path) };
        replaced(request.uri(), canonical.unwrap_or(path))
    }

    /// Which resource the request's names mean, if any; no answer when they disagree.
    fn one_home(&self, request: &Request<Body>) -> Option<Option<Home>> {
        let mut homes = porch::names(request).map(|name| self.home(name.unwrap_or_default()));
        let home = homes.next().flatten();
        homes.all(|other| other == home).then_some(home)
    }

    /// The resource whose own name this is: `/vaults/v1` of `v1.vault.bartizan.test:8443`.
    fn home(&self, authority: &str) -> Option<Home> {
        let host = porch::host_of(authority).to_ascii_lowercase();
        let inner = host.strip_suffix(&*self.suffix)?;
        let label = |kind: &str| {
            let name = inner.strip_suffix(kind)?;
            let is_label = !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
            is_label.then_some(name)
        };
        if label(".blob.core") == Some(RUN_FILES) {
            return Some(Home::Below(format!("/{RUN_FILES}")));
        }
        let twin = TWINS.iter().find_map(|(kind, twin)| Some(Home::Below(format!("{twin}/{}", label(kind)?))));
        twin.or_else(|| label(REGISTRY).map(|name| Home::Registry(name.to_owned())))
    }
}

/// The resource that a host name means.
#[derive(PartialEq, Eq)]
enum Home {
    /// Everything lies below this path.
    Below(String),
    /// A registry, whose name is put into the path.
    Registry(String),
}

impl Home {
    /// The path-style twin of a path below this name.
    fn path(&self, path: &str) -> String {
        match self {
            Self::Below(twin) => format!("{twin}{path}"),
            Self::Registry(name) => {
                let rooted = REGISTRY_ROOTS.iter().find_map(|root| {
                    let rest = path.strip_prefix(root)?;
                    (rest.is_empty() || rest.starts_with('/')).then(|| format!("{root}/{name}{rest}"))
                });
                match rooted {
                    Some(path) => path,
                    None if path.starts_with("/oauth2/") => path.to_owned(),
                    None => format!("/v2/{name}/-{path}"),
                }
            }
        }
    }
}

/// Whether a path is that of a vault or a storage account: what follows are names, whose case is theirs.
fn is_addressed(path: &str) -> bool {
    let roots = TWINS.iter().map(|(_, twin)| *twin).chain(REGISTRY_ROOTS);
    let is_below = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    roots.into_iter().any(is_below) || path.starts_with("/oauth2/")
}

fn replaced(uri: &Uri, path: String) -> Option<Uri> {
    if uri.path() == path {
        return Some(uri.clone());
    }
    let mut parts = uri.clone().into_parts();
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    parts.path_and_query = Some(text.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(uri: &str, hosts: &[&str]) -> Option<String> {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let mut request = request.body(Body::empty()).unwrap();
        Front::new(Router::new(), "bartizan.test").address(&mut request).map(|uri| uri.to_string())
    }

    #[test]
    fn a_resource_is_reached_by_its_own_name_and_by_its_path() {
        let vault = routed("/secrets/a?x=1", &["V1.vault.bartizan.test:8443"]).unwrap();
        assert_eq!(vault, "/vaults/v1/secrets/a?x=1");
        assert_eq!(routed("/c/a%20b", &["acc.blob.core.bartizan.test"]).unwrap(), "/blob/acc/c/a%20b");
        assert_eq!(routed("/vaults/v1/secrets", &["localhost:8443"]).unwrap(), "/vaults/v1/secrets");
        let file = routed("/w/run-1/f?sig=x", &["run-files.blob.core.bartizan.test:8443"]).unwrap();
        assert_eq!(file, "/run-files/w/run-1/f?sig=x");
        for host in ["a.b.vault.bartizan.test", ".vault.bartizan.test", "vault.bartizan.test", "v.vault.elsewhere.test"]
        {
            assert_eq!(routed("/x", &[host]).unwrap(), "/x", "{host}");
        }
    }

    #[test]
    fn a_registry_s_name_is_put_into_the_path() {
        let own = |path: &str| routed(path, &["Reg1.azurecr.bartizan.test:8443"]).unwrap();
        assert_eq!(own("/v2/"), "/v2/reg1/");
        assert_eq!(own("/v2/a/b/tags/list?n=1"), "/v2/reg1/a/b/tags/list?n=1");
        assert_eq!(own("/acr/v1/_catalog"), "/acr/v1/reg1/_catalog");
        assert_eq!(own("/oauth2/token?service=x"), "/oauth2/token?service=x");
        assert_eq!(own("/v2x"), "/v2/reg1/-/v2x", "nothing else of the server is there");
        assert_eq!(own("/subscriptions/s"), "/v2/reg1/-/subscriptions/s");
        let path = "/v2/reg1/subscriptions/RESOURCEGROUPS/manifests/x";
        assert_eq!(routed(path, &["localhost"]).unwrap(), path);
    }

    #[test]
    fn names_that_disagree_are_refused() {
        assert_eq!(routed("/x", &["a.vault.bartizan.test", "b.vault.bartizan.test"]), None);
        assert_eq!(routed("https://a.vault.bartizan.test/x", &["localhost"]), None);
        assert_eq!(routed("/../x", &["a.vault.bartizan.test"]), None);
    }

    #[test]
    fn a_blob_s_name_is_left_to_its_own_face() {
        assert_eq!(routed("/c/a%2Fb%5Cc", &["acc.blob.core.bartizan.test"]).unwrap(), "/blob/acc/c/a%2Fb%5Cc");
        assert_eq!(routed("/vaults/v/secrets/a%2Fb", &["localhost"]), None);
    }

    #[test]
    fn the_names_of_blobs_and_secrets_keep_their_case() {
        let path = "/blob/acc/c/subscriptions/S/RESOURCEGROUPS/g";
        assert_eq!(routed(path, &["localhost"]).unwrap(), path);
        let folded = routed("/Subscriptions/S/RESOURCEGROUPS/g", &["localhost"]).unwrap();
        assert_eq!(folded, "/subscriptions/S/resourceGroups/g");
    }
}
