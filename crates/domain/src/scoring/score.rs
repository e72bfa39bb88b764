//! Admitting a scoring call: who calls, which replica answers, and whether there is room. Nothing is read from a store
//! unless a service has changed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, Secret, WorkspaceId};
use seal::Fingerprint;

use super::{
    CallWords, Deployment, Endpoint, Form, Place, RequestRecord, Ticket,
    bounds::Bounds,
    index,
    keys::ServiceKeys,
    name::is_service_name,
    request::Home,
    token::{self, CALL},
};
use crate::{
    gate::{Actor, Admission, Cx, House, Op, Shelf},
    identity::service_token,
    resources::{Resource, collection, row_id},
};

/// What keys of services are fingerprinted for.
const PURPOSE: &str = "service key";

/// A service, ready for scoring.
pub(crate) struct Service {
    home: Home,
    shelf: Shelf,
    form: Option<Form>,
    /// Fingerprints of the primary and the secondary key.
    keys: Option<[Fingerprint; 2]>,
    audience: String,
    compute_type: &'static str,
    target: Option<Target>,
}

/// The deployment behind a service.
struct Target {
    deployment: String,
    has_traffic: bool,
    model: String,
    model_digest: String,
    /// The socket and bounds of a healthy replica.
    replica: Option<(String, Arc<Bounds>)>,
    timeout: Duration,
}

/// What was found at an address. Only [`Score`] can tell what.
#[derive(Clone)]
pub struct Located {
    service: Option<Arc<Service>>,
}

impl std::fmt::Debug for Located {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Located")
    }
}

/// Finds the service at an address, from memory when it is known. Says nothing: whether there is one, and whether the
/// caller may know, is for [`Score`] to tell.
///
/// # Errors
/// `Unavailable` when the store is.
pub async fn locate(house: &House, workspace: WorkspaceId, name: &str) -> Result<Located> {
    if !is_service_name(name) {
        return Ok(Located { service: None });
    }
    if let Some(service) = house.scoring.recall(workspace, name) {
        return Ok(Located { service });
    }
    let generation = house.scoring.generation();
    let service = load(house, workspace, name).await?.map(Arc::new);
    house.scoring.keep(generation, workspace, name, service.clone());
    Ok(Located { service })
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
    let deployments = house.all::<Resource<Deployment>>(&shelf, &collection::<Deployment>(&shelf, id)).await?;
    let deployment = deployments.into_iter().next().map(|row| row.value);
    let compute_type = deployment.as_ref().map_or("Cluster", |deployment| deployment.properties.kind.word());
    let target = deployment.map(|deployment| target_of(house, &deployment, &resource.properties));
    Ok(Some(Service {
        audience: token::audience(workspace, resource.guid),
        home: Home { workspace, scope: resource.id, endpoint: resource.guid },
        form: resource.properties.form,
        shelf,
        keys,
        compute_type,
        target,
    }))
}

fn target_of(house: &House, resource: &Resource<Deployment>, endpoint: &Endpoint) -> Target {
    let name = resource.id.name().to_owned();
    let deployment = &resource.properties;
    let image = deployment.current.as_ref().map_or(&deployment.image, |replica| &replica.image);
    let settings = deployment.plan.requests;
    let healthy = deployment.current.as_ref().filter(|replica| replica.healthy_since.is_some());
    Target {
        has_traffic: endpoint.traffic.get(&name).is_some_and(|share| *share > 0),
        deployment: name,
        model: format!("{}:{}", image.model, image.version),
        model_digest: image.model_digest.clone(),
        replica: healthy.map(|replica| (replica.socket.clone(), house.scoring.bounds(&replica.launch, settings))),
        timeout: Duration::from_millis(settings.timeout_ms),
    }
}

/// Calls a service.
#[derive(Debug)]
pub struct Score {
    /// What was found at the address.
    pub located: Located,
    /// The bearer credential.
    pub credential: Option<Secret<String>>,
    /// The deployment that was asked for by name.
    pub deployment: Option<String>,
    /// What the record shall say.
    pub words: CallWords,
}

/// An admitted call.
#[derive(Debug)]
pub struct ScoringAdmission {
    /// Leaves the record of the call.
    pub ticket: Ticket,
    /// The deployment that answers.
    pub deployment: Option<String>,
    /// Whether it can be answered now.
    pub way: Way,
}

/// Where an admitted call goes.
#[derive(Debug)]
pub enum Way {
    /// To a replica.
    Open {
        /// Its Unix socket.
        socket: String,
        /// Held while the call is under way.
        place: Place,
        /// How long it may take.
        timeout: Duration,
    },
    /// Nowhere just now.
    Shut(Shut),
}

/// Why an admitted call cannot be answered now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// No deployment has traffic.
    NoDeployment,
    /// No replica is healthy.
    NoReplica,
    /// All places are taken.
    Busy,
}

/// How the caller was established.
enum Proof {
    None,
    Key(&'static str),
    Token(Actor, String),
}

#[async_trait]
impl Op for Score {
    const ACTION: Action =
        Action::public("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action", Class::Read);
    type Output = ScoringAdmission;

    fn scope(&self) -> ResourceId {
        self.located.service.as_ref().map_or_else(ResourceId::root, |service| service.home.scope.clone())
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ScoringAdmission> {
        let Some(service) = &self.located.service else {
            // As much work as a wrong key costs, so that time does not tell what exists.
            let nothing = cx.system().fingerprint(PURPOSE, "");
            let given = self.credential.as_ref().map_or("", |credential| credential.expose());
            let _ = cx.system().matches(PURPOSE, given, &nothing) | cx.system().matches(PURPOSE, given, &nothing);
            return Err(refused(self.credential.is_some()));
        };
        let Some(proof) = service.prove(cx, self.credential.as_ref()).await? else {
            return Err(refused(self.credential.is_some()));
        };
        let caller = match proof {
            Proof::None => String::from("anonymous"),
            Proof::Key(name) => {
                cx.establish(Actor::ServiceKey { key: name.to_owned() });
                format!("key {name}")
            }
            Proof::Token(actor, label) => {
                cx.establish(actor);
                label
            }
        };
        cx.require_reach(&service.home.scope)?;
        let scoring = &cx.house().scoring;
        scoring.waiting.refuse_if_full()?;
        let target = service.target.as_ref();
        cx.note("caller", caller.as_str());
        let record = RequestRecord {
            at: cx.now(),
            method: self.words.method,
            user_agent: self.words.user_agent,
            compute_type: service.compute_type.to_owned(),
            url: self.words.path,
            status: 0,
            request: cx.caller().source.correlation,
            micros: 0,
            caller,
            deployment: target.map(|target| target.deployment.clone()).unwrap_or_default(),
            model: target.map(|target| target.model.clone()).unwrap_or_default(),
            model_digest: target.map(|target| target.model_digest.clone()).unwrap_or_default(),
        };
        if let Some(target) = target {
            cx.note("deployment", target.deployment.as_str());
            cx.note("model", target.model.as_str());
            cx.note("modelDigest", target.model_digest.as_str());
        }
        let ticket = Ticket::new(Arc::clone(&scoring.waiting), service.home.clone(), record);
        let way = service.way(self.deployment.as_deref()).await;
        Ok(ScoringAdmission { ticket, deployment: target.map(|target| target.deployment.clone()), way })
    }
}

fn refused(had_credential: bool) -> Error {
    let words = if had_credential {
        "the key or token in the `Authorization` header is not valid for this service"
    } else {
        "the `Authorization` header is missing; send `Bearer`, a space, and the key or token of the service"
    };
    Error::new(Kind::Unauthenticated, words)
}

impl Service {
    /// Whether the credential is one of the form in force.
    async fn prove(&self, cx: &Admission<'_>, credential: Option<&Secret<String>>) -> Result<Option<Proof>> {
        let Some(Form::Token) = self.form else { return Ok(self.prove_without_token(credential)) };
        let Some(bearer) = credential else { return Ok(None) };
        let holder = service_token::holder(cx.house(), &self.audience, bearer.expose()).await?;
        // A role that was taken away ends its tokens.
        let holder = holder.filter(|holder| cx.house().access().allows(holder.id, &CALL, &self.home.scope));
        Ok(holder.map(|holder| {
            let label = format!("principal {}", holder.id);
            Proof::Token(Actor::Principal { id: holder.id, kind: holder.kind, name: holder.name }, label)
        }))
    }

    fn prove_without_token(&self, credential: Option<&Secret<String>>) -> Option<Proof> {
        match self.form {
            Some(Form::Off) => Some(Proof::None),
            Some(Form::Key) => {
                let [primary, secondary] = self.keys.as_ref()?;
                let given = credential?.expose();
                // Both are compared, so that the time does not tell which one came close.
                let is_primary = self.shelf.matches(PURPOSE, given, primary);
                let is_secondary = self.shelf.matches(PURPOSE, given, secondary);
                match (is_primary, is_secondary) {
                    (true, _) => Some(Proof::Key("primary")),
                    (false, true) => Some(Proof::Key("secondary")),
                    (false, false) => None,
                }
            }
            Some(Form::Token) | None => None,
        }
    }

    async fn way(&self, wanted: Option<&str>) -> Way {
        let Some(target) = &self.target else { return Way::Shut(Shut::NoDeployment) };
        // A name that is no deployment here is routed by traffic: a client may send one that it learned elsewhere.
        if !target.has_traffic && wanted != Some(target.deployment.as_str()) {
            return Way::Shut(Shut::NoDeployment);
        }
        let Some((socket, bounds)) = &target.replica else { return Way::Shut(Shut::NoReplica) };
        match bounds.enter().await {
            Some(place) => Way::Open { socket: socket.clone(), place, timeout: target.timeout },
            None => Way::Shut(Shut::Busy),
        }
    }
}
