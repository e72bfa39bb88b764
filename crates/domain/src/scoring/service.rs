//! Services ready for scoring: what the gateway knows of an endpoint, and which of its deployments answers a call.

use std::{sync::Arc, time::Duration};

use kernel::{Kind, Result, Secret, Timestamp, WorkspaceId};
use seal::Fingerprint;

use super::{
    Deployment, Endpoint, Form, Shut,
    bounds::Bounds,
    index,
    keys::ServiceKeys,
    name::is_service_name,
    named_keys::{self, NamedKey},
    request::Home,
    token::{self, CALL},
    traffic,
};
use crate::{
    gate::{Actor, Admission, House, Shelf},
    identity::service_token,
    resources::{Resource, collection, row_id},
};

/// What keys of services are fingerprinted for.
const PURPOSE: &str = "service key";

/// A service, ready for scoring.
pub(crate) struct Service {
    pub(super) home: Home,
    shelf: Shelf,
    form: Option<Form>,
    /// Fingerprints of the primary and the secondary key.
    keys: Option<[Fingerprint; 2]>,
    /// Empty where the endpoint does not say that they are valid.
    named: Vec<Arc<NamedKey>>,
    audience: String,
    pub(super) compute_type: &'static str,
    /// Its deployments, by name.
    pub(super) targets: Vec<Target>,
}

/// A deployment behind a service.
pub(super) struct Target {
    pub(super) deployment: String,
    /// In percent.
    share: u8,
    model_name: String,
    /// `name:version`.
    pub(super) model: String,
    pub(super) model_digest: String,
    /// The socket and bounds of a healthy replica.
    pub(super) replica: Option<(String, Arc<Bounds>)>,
    pub(super) timeout: Duration,
}

/// How the caller was established.
pub(super) enum Proof {
    None,
    Key(&'static str),
    Named(Arc<NamedKey>),
    Token(Actor, String),
}

/// Which deployment a caller asks for.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    /// By its own name.
    pub(super) deployment: Option<&'a str>,
    /// By the name of its model.
    pub(super) model: Option<&'a str>,
    /// By the key that the caller showed.
    pub(super) key: Option<&'a NamedKey>,
}

/// What was found at an address. Only [`Score`](super::Score) can tell what.
#[derive(Clone)]
pub struct Located {
    pub(super) service: Option<Arc<Service>>,
    workspace: WorkspaceId,
    name: String,
    generation: u64,
}

impl std::fmt::Debug for Located {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Located")
    }
}

/// Finds the service at an address, from memory when it is known. Says nothing: whether there is one, and whether the
/// caller may know, is for [`Score`](super::Score) to tell.
///
/// # Errors
/// `Unavailable` when the store is.
pub async fn locate(house: &House, workspace: WorkspaceId, name: &str) -> Result<Located> {
    let generation = house.scoring.generation();
    let found = |service| Located { service, workspace, name: name.to_owned(), generation };
    if !is_service_name(name) {
        return Ok(Located { service: None, workspace, name: String::new(), generation });
    }
    if let Some(service) = house.scoring.recall(workspace, name) {
        return Ok(found(service));
    }
    let service = load(house, workspace, name).await?.map(Arc::new);
    house.scoring.keep(generation, workspace, name, service.clone());
    Ok(found(service))
}

impl Located {
    /// The same service as it is now, when something may have changed since it was found; none when it is gone.
    pub(super) async fn again(&self, house: &House) -> Result<Option<Self>> {
        if house.scoring.generation() == self.generation {
            return Ok(None);
        }
        let now = locate(house, self.workspace, &self.name).await?;
        let endpoint = |located: &Self| located.service.as_ref().map(|service| service.home.endpoint);
        // One that was deleted meanwhile has no places; a new one of the same name is another service.
        Ok(Some(if endpoint(&now) == endpoint(self) { now } else { Self { service: None, ..now } }))
    }
}

async fn load(house: &House, workspace: WorkspaceId, name: &str) -> Result<Option<Service>> {
    let Some(listed) = index::look_up(house, workspace, name).await? else { return Ok(None) };
    let shelf = match house.shelf(workspace).await {
        Err(fault) if fault.kind() == Kind::NotFound => return Ok(None),
        other => other?,
    };
    let id = &listed.endpoint;
    let Some(endpoint) = house.peek::<Resource<Endpoint>>(&shelf, &row_id::<Endpoint>(&shelf, id)).await? else {
        return Ok(None);
    };
    let resource = endpoint.value;
    let keys = house.peek::<ServiceKeys>(&shelf, resource.guid.as_bytes()).await?;
    let keys = keys.map(|row| {
        let pair = row.value.pair();
        [&pair.primary, &pair.secondary].map(|key| shelf.fingerprint(PURPOSE, key.expose()))
    });
    let named = if resource.properties.named_keys {
        named_keys::peek_all(house, &shelf, resource.guid).await?.into_iter().map(Arc::new).collect()
    } else {
        Vec::new()
    };
    let deployments = house.all::<Resource<Deployment>>(&shelf, &collection::<Deployment>(&shelf, id)).await?;
    let compute_type = deployments.first().map_or("Cluster", |row| row.value.properties.kind.word());
    let mut targets: Vec<Target> =
        deployments.iter().map(|row| target_of(house, &row.value, &resource.properties)).collect();
    targets.sort_by(|a, b| a.deployment.cmp(&b.deployment));
    Ok(Some(Service {
        audience: token::audience(workspace, resource.guid),
        home: Home { workspace, scope: resource.id, endpoint: resource.guid },
        form: resource.properties.form,
        shelf,
        keys,
        named,
        compute_type,
        targets,
    }))
}

fn target_of(house: &House, resource: &Resource<Deployment>, endpoint: &Endpoint) -> Target {
    let name = resource.id.name().to_owned();
    let deployment = &resource.properties;
    let image = deployment.current.as_ref().map_or(&deployment.image, |replica| &replica.image);
    let settings = deployment.plan.requests;
    let healthy = deployment.current.as_ref().filter(|replica| replica.healthy_since.is_some());
    Target {
        share: endpoint.traffic.get(&name).copied().unwrap_or(0),
        deployment: name,
        model_name: image.model.clone(),
        model: format!("{}:{}", image.model, image.version),
        model_digest: image.model_digest.clone(),
        replica: healthy.map(|replica| (replica.socket.clone(), house.scoring.bounds(&replica.launch, settings))),
        timeout: Duration::from_millis(settings.timeout_ms),
    }
}

/// As much work as a wrong key costs, so that time does not tell what exists.
pub(super) fn waste(shelf: &Shelf, given: &str) {
    let nothing = shelf.fingerprint(PURPOSE, "");
    let _ = shelf.matches(PURPOSE, given, &nothing) | shelf.matches(PURPOSE, given, &nothing);
}

impl Service {
    /// Whether the credential is one of the form in force, or a named key where those are valid.
    pub(super) async fn prove(&self, cx: &Admission<'_>, credential: Option<&Secret<String>>) -> Result<Option<Proof>> {
        if self.form == Some(Form::Off) {
            return Ok(Some(Proof::None));
        }
        let Some(credential) = credential else { return Ok(None) };
        let given = credential.expose();
        if let Some(key) = self.named_key(given, cx.now()) {
            return Ok(Some(Proof::Named(key)));
        }
        match self.form {
            Some(Form::Key) => Ok(self.one_of_two(given)),
            Some(Form::Token) => self.holder(cx, given).await,
            Some(Form::Off) | None => Ok(None),
        }
    }

    fn named_key(&self, given: &str, now: Timestamp) -> Option<Arc<NamedKey>> {
        // Made whether there are keys or not, so that the time does not tell.
        let fingerprint = self.shelf.fingerprint(named_keys::PURPOSE, given);
        self.named.iter().find(|key| key.is(&self.shelf, given, &fingerprint, now)).map(Arc::clone)
    }

    fn one_of_two(&self, given: &str) -> Option<Proof> {
        let [primary, secondary] = self.keys.as_ref()?;
        // Both are compared, so that the time does not tell which one came close.
        let is_primary = self.shelf.matches(PURPOSE, given, primary);
        let is_secondary = self.shelf.matches(PURPOSE, given, secondary);
        match (is_primary, is_secondary) {
            (true, _) => Some(Proof::Key("primary")),
            (false, true) => Some(Proof::Key("secondary")),
            (false, false) => None,
        }
    }

    async fn holder(&self, cx: &Admission<'_>, given: &str) -> Result<Option<Proof>> {
        let holder = service_token::holder(cx.house(), &self.audience, given).await?;
        // A role that was taken away ends its tokens.
        let holder = holder.filter(|holder| cx.house().access().allows(holder.id, &CALL, &self.home.scope));
        Ok(holder.map(|holder| {
            let label = format!("principal {}", holder.id);
            Proof::Token(Actor::Principal { id: holder.id, kind: holder.kind, name: holder.name }, label)
        }))
    }

    /// The deployment that answers: the one that is asked for by name, or one by the shares of those that the caller may call.
    pub(super) fn choose(&self, house: &House, wanted: Wanted<'_>) -> Result<&Target, Shut> {
        let may_call = |target: &Target| wanted.key.is_none_or(|key| key.may_call(&target.deployment));
        let has_model = |target: &Target| wanted.model.is_none_or(|model| model == target.model_name);
        if !self.targets.is_empty() && !self.targets.iter().any(has_model) {
            return Err(Shut::NoModel);
        }
        // A name that is no deployment here is routed by traffic: a client may send one that it learned elsewhere.
        let named = wanted.deployment.and_then(|name| self.targets.iter().find(|target| target.deployment == name));
        if let Some(target) = named {
            return match (may_call(target), has_model(target)) {
                (false, _) => Err(Shut::OutOfScope),
                (true, false) => Err(Shut::NoModel),
                (true, true) => Ok(target),
            };
        }
        let open: Vec<&Target> = self.targets.iter().filter(|target| target.share > 0 && has_model(target)).collect();
        let allowed: Vec<&Target> = open.iter().copied().filter(|target| may_call(target)).collect();
        let at = match allowed.as_slice() {
            [] if open.is_empty() => return Err(Shut::NoDeployment),
            [] => return Err(Shut::OutOfScope),
            [_] => Some(0),
            several => {
                let shares: Vec<u8> = several.iter().map(|target| target.share).collect();
                traffic::choose(&shares, house.scoring.next_turn(self.home.endpoint))
            }
        };
        at.and_then(|at| allowed.get(at).copied()).ok_or(Shut::NoDeployment)
    }
}
