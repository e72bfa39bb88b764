//! `traces/{trace}/assessments/…`.

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::{CreateAssessment, DeleteAssessment, GetAssessment, UpdateAssessment, text},
};
use http::Method;
use wire::mlflow::AssessmentReply;

use super::{Fault, Fields, arrive, done, received, reply, show};
use crate::{Doors, Guest};

/// The doors below `…/api/3.0/mlflow/traces`.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let all = format!("{base}/{{trace}}/assessments");
    let one = format!("{all}/{{assessment}}");
    doors
        .open::<CreateAssessment, _, _>(Method::POST, &all, create_assessment)
        .open::<GetAssessment, _, _>(Method::GET, &one, get_assessment)
        .open::<UpdateAssessment, _, _>(Method::PATCH, &one, update_assessment)
        .open::<DeleteAssessment, _, _>(Method::DELETE, &one, delete_assessment)
}

async fn create_assessment(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<CreateAssessment>(&guest).await?;
    let trace: String = guest.param("trace")?;
    let fields = Fields::posted(guest).await?;
    let given = fields.object("assessment")?.ok_or_else(|| text::missing("assessment"))?;
    let op = CreateAssessment { workspace, trace: trace.clone(), assessment: received::assessment(&given)? };
    let made = enter(&house, &caller, op).await?;
    Ok(reply(AssessmentReply { assessment: show::assessment(&trace, made) }))
}

async fn get_assessment(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetAssessment>(&guest).await?;
    let trace: String = guest.param("trace")?;
    let op = GetAssessment { workspace, trace: trace.clone(), id: guest.param("assessment")? };
    let found = enter(&house, &caller, op).await?;
    Ok(reply(AssessmentReply { assessment: show::assessment(&trace, found) }))
}

async fn update_assessment(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<UpdateAssessment>(&guest).await?;
    let (trace, id): (String, String) = (guest.param("trace")?, guest.param("assessment")?);
    let patch = received::patch(&Fields::body(guest).await?)?;
    let changed = enter(&house, &caller, UpdateAssessment { workspace, trace: trace.clone(), id, patch }).await?;
    Ok(reply(AssessmentReply { assessment: show::assessment(&trace, changed) }))
}

async fn delete_assessment(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<DeleteAssessment>(&guest).await?;
    let op = DeleteAssessment { workspace, trace: guest.param("trace")?, id: guest.param("assessment")? };
    enter(&house, &caller, op).await?;
    Ok(done())
}
