//! The gateway: `/api/v1/service/{workspace GUID}/{endpoint}/…`, with the article's `/score` and the Open Inference Protocol v2
//! below `/v2` (kserve/open-inference-protocol, `inference_rest.md`). It admits a call, carries it to a replica over a Unix
//! socket, and streams the answer back.

mod answer;
mod body;
mod fault;
mod headers;
mod pool;
mod probe;

pub use probe::probe_replicas;

use std::sync::Arc;

use axum::{body::Body, response::Response};
use domain::{
    gate::enter,
    scoring::{CallWords, Score, ScoringAdmission, Shut, Way, locate},
};
use http::{HeaderValue, Method, Request, StatusCode, header};
use kernel::{Caller, Error, Secret, WorkspaceId};
use tokio::time::Instant;

use crate::{Doors, Guest};
use answer::{Carried, Trip};
use body::Intake;
use fault::ScoreFault;
use pool::Pool;

const SERVICE: &str = "/api/v1/service/{workspace}/{endpoint}";

/// Most characters of an address that a record keeps.
const LONGEST_PATH: usize = 300;

/// What a replica answers to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Health,
    Score,
    Swagger,
    /// Asking below `/v2`, of the Open Inference Protocol.
    Ask,
    /// Its `infer`.
    Infer,
}

impl Call {
    /// The path at the replica. Below `/v2` it is the caller's own, as it was sent.
    fn path(self, guest: &Guest) -> String {
        match self {
            Self::Health => String::from("/"),
            Self::Score => String::from("/score"),
            Self::Swagger => String::from("/swagger.json"),
            // What is before it: `/api/v1/service/{workspace}/{endpoint}`.
            Self::Ask | Self::Infer => format!("/{}", guest.path().splitn(7, '/').nth(6).unwrap_or_default()),
        }
    }

    fn method(self) -> Method {
        if self.has_body() { Method::POST } else { Method::GET }
    }

    fn has_body(self) -> bool {
        matches!(self, Self::Score | Self::Infer)
    }

    fn is_inference(self) -> bool {
        matches!(self, Self::Ask | Self::Infer)
    }
}

/// The doors of this face. They carry credentials of their own, so each is public to the gate and refuses by itself.
pub fn doors(doors: Doors) -> Doors {
    let pool = Arc::new(Pool::default());
    let handler = |call: Call| {
        let pool = Arc::clone(&pool);
        move |guest: Guest| answered(pool, guest, call)
    };
    let model = format!("{SERVICE}/v2/models/{{model}}");
    doors
        .open::<Score, _, _>(Method::POST, &format!("{SERVICE}/score"), handler(Call::Score))
        .open::<Score, _, _>(Method::GET, &format!("{SERVICE}/swagger.json"), handler(Call::Swagger))
        .open::<Score, _, _>(Method::GET, &format!("{SERVICE}/"), handler(Call::Health))
        .open::<Score, _, _>(Method::GET, SERVICE, handler(Call::Health))
        .open::<Score, _, _>(Method::GET, &format!("{SERVICE}/v2"), handler(Call::Ask))
        .open::<Score, _, _>(Method::GET, &format!("{SERVICE}/v2/health/live"), handler(Call::Ask))
        .open::<Score, _, _>(Method::GET, &format!("{SERVICE}/v2/health/ready"), handler(Call::Ask))
        .open::<Score, _, _>(Method::GET, &model, handler(Call::Ask))
        .open::<Score, _, _>(Method::GET, &format!("{model}/ready"), handler(Call::Ask))
        .open::<Score, _, _>(Method::POST, &format!("{model}/infer"), handler(Call::Infer))
}

async fn answered(pool: Arc<Pool>, guest: Guest, call: Call) -> Result<Response, ScoreFault> {
    let admission = admit(&guest, call).await.map_err(|fault| ScoreFault::from(fault).worded(call.is_inference()))?;
    Ok(carry(&pool, guest, call, admission).await)
}

async fn admit(guest: &Guest, call: Call) -> Result<ScoringAdmission, Error> {
    let workspace = guest.param::<WorkspaceId>("workspace").ok();
    let name: String = guest.param("endpoint").unwrap_or_default();
    let located = match workspace {
        Some(workspace) => locate(guest.house(), workspace, &name).await?,
        // No service can have this address; it is refused like any other that does not exist.
        None => locate(guest.house(), WorkspaceId::random(), "").await?,
    };
    let id = workspace.map(|id| id.to_string()).unwrap_or_default();
    let path = format!("/api/v1/service/{id}/{name}{}", call.path(guest));
    let words = CallWords {
        method: call.method().to_string(),
        path: path.chars().take(LONGEST_PATH).collect(),
        user_agent: guest.header("user-agent").unwrap_or_default().chars().take(200).collect(),
    };
    let op = Score {
        located,
        credential: guest.bearer().map(|bearer| Secret::new(bearer.to_owned())),
        deployment: guest.header("azureml-model-deployment").map(str::to_owned),
        model: guest.param("model").ok(),
        words,
    };
    enter(guest.house(), &Caller::nobody(guest.source()), op).await
}

/// Carries an admitted call. Whatever comes of it, the ticket learns the status.
async fn carry(pool: &Arc<Pool>, guest: Guest, call: Call, admission: ScoringAdmission) -> Response {
    let ScoringAdmission { mut ticket, deployment, way } = admission;
    let outcome = match way {
        Way::Open { socket, place, timeout } => {
            let deadline = Instant::now().checked_add(timeout).unwrap_or_else(Instant::now);
            let request_id = guest.source().correlation.to_string();
            match request(guest, call, &request_id) {
                Ok((request, intake)) => {
                    exchange(pool, &socket, request, &intake, deadline).await.map(|made| (made, place))
                }
                Err(fault) => Err(fault),
            }
            .map(|((response, line), place)| (response, Trip::new(line, place, deadline)))
        }
        Way::Shut(shut) => Err(ScoreFault::shut(shut)),
    };
    let (mut response, trip) = match outcome {
        Ok((response, trip)) => (response, trip),
        Err(fault) => {
            ticket.note_status(fault.status().as_u16());
            return axum::response::IntoResponse::into_response(fault.worded(call.is_inference()));
        }
    };
    ticket.note_status(response.status().as_u16());
    let kept = headers::outward(response.headers());
    *response.headers_mut() = kept;
    if let Some(name) = deployment.and_then(|name| HeaderValue::from_str(&name).ok()) {
        response.headers_mut().insert("azureml-model-deployment", name);
    }
    response.map(|incoming| Body::new(Carried::new(incoming, trip, ticket)))
}

fn request(guest: Guest, call: Call, request_id: &str) -> Result<(Request<Body>, Intake), ScoreFault> {
    let most = guest.limits().body;
    let path = call.path(&guest);
    let uri = http::Uri::try_from(path)
        .map_err(|_| ScoreFault::new(StatusCode::NOT_FOUND, "there is nothing at this address"))?;
    let declared = guest.header("content-length").and_then(|length| length.parse::<u64>().ok());
    let mut forwarded = headers::inward(guest.headers());
    if let Ok(id) = HeaderValue::from_str(request_id) {
        forwarded.insert("x-ms-request-id", id);
    }
    forwarded.insert(header::HOST, HeaderValue::from_static("replica"));
    let intake = Intake::new(most);
    let body = match call {
        Call::Score | Call::Infer => {
            if declared.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > most)) {
                return Err(ScoreFault::too_large(most));
            }
            if let Some(length) = declared {
                forwarded.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
            intake.watch(guest.stream())
        }
        Call::Health | Call::Swagger | Call::Ask => Body::empty(),
    };
    let mut request = Request::new(body);
    *request.method_mut() = call.method();
    *request.uri_mut() = uri;
    *request.headers_mut() = forwarded;
    Ok((request, intake))
}

type Line = pool::Line;

async fn exchange(
    pool: &Arc<Pool>,
    socket: &str,
    request: Request<Body>,
    intake: &Intake,
    deadline: Instant,
) -> Result<(http::Response<hyper::body::Incoming>, Line), ScoreFault> {
    match tokio::time::timeout_at(deadline, pool.send(socket, request)).await {
        Ok(Ok(answered)) => Ok(answered),
        Ok(Err(_)) if intake.was_too_large() => Err(ScoreFault::too_large(intake.most())),
        Ok(Err(_)) if intake.broke_off() => {
            Err(ScoreFault::new(StatusCode::BAD_REQUEST, "the body of the request broke off"))
        }
        Ok(Err(pool::SendError::Unreachable(fault))) => {
            tracing::warn!(%fault, "a replica could not be reached");
            let words = "the service's replica cannot be reached just now; try again";
            Err(ScoreFault::new(StatusCode::SERVICE_UNAVAILABLE, words))
        }
        Ok(Err(pool::SendError::Broken(fault))) => {
            tracing::warn!(%fault, "a replica broke off");
            Err(ScoreFault::new(
                StatusCode::BAD_GATEWAY,
                "the service's replica broke off while it worked on the request",
            ))
        }
        Err(_) => Err(ScoreFault::new(StatusCode::GATEWAY_TIMEOUT, "the service did not answer in time")),
    }
}

impl ScoreFault {
    fn shut(shut: Shut) -> Self {
        let (status, wait, words) = match shut {
            Shut::NoDeployment => (StatusCode::SERVICE_UNAVAILABLE, 1, "no deployment of this service has traffic"),
            Shut::NoReplica => {
                (StatusCode::SERVICE_UNAVAILABLE, 1, "no replica of this service is healthy just now; try again")
            }
            Shut::Busy => (StatusCode::SERVICE_UNAVAILABLE, 1, "all replicas of this service are busy; try again"),
            Shut::NoModel => (StatusCode::NOT_FOUND, 1, "no deployment of this service has a model of this name"),
            Shut::OutOfScope => (
                StatusCode::FORBIDDEN,
                1,
                "this key is not for this deployment; name one that it is for in the `azureml-model-deployment` header",
            ),
            Shut::Throttled { seconds } => (
                StatusCode::TOO_MANY_REQUESTS,
                seconds,
                "this key has had its calls of this minute; try again after the time in `Retry-After`",
            ),
        };
        Self::new(status, words).wait(wait)
    }

    fn too_large(most: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {most} bytes"))
    }
}
