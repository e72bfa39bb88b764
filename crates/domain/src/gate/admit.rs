//! Authorization and the record of denials.

use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result, Who};

use super::{
    Activity, House, Outcome,
    reach::{OUT_OF_REACH, out_of_reach},
};
use crate::{access::is_invited_to_approve, identity::step_up};

/// Refuses callers who may not. Denials are recorded; those of nobody are only counted, so that a stranger cannot fill
/// the log.
pub(super) async fn admit(house: &House, caller: &Caller, action: &Action, scope: &ResourceId) -> Result<()> {
    if may(house, caller, action, scope) {
        // Only now: whoever may not do it at all learns nothing of the rules.
        if let Some(refusal) = out_of_reach(house, caller, action, scope) {
            return Err(refused(house, caller, action, scope, OUT_OF_REACH, refusal).await?);
        }
        let Some(challenge) = step_up(house, caller, action) else { return Ok(()) };
        let why = "multi-factor authentication is demanded";
        return Err(refused(house, caller, action, scope, why, challenge).await?);
    }
    if house.is_blind() {
        return Err(Error::new(Kind::Unavailable, "roles cannot be read just now, so nothing is decided; try again"));
    }
    if matches!(caller.who, Who::Nobody) {
        house.count_anonymous_denial();
        return Err(Error::new(Kind::Unauthenticated, "a bearer token in the `Authorization` header is required"));
    }
    let activity = Activity::new(house, caller, action, scope, Outcome::Denied);
    record(house, action, &activity).await?;
    Err(refusal(house, caller, action, scope))
}

/// A refusal is as durable as what was refused would have been.
async fn record(house: &House, action: &Action, activity: &Activity) -> Result<()> {
    match action.class() {
        Class::Control | Class::Vault => house.write_record(activity).await,
        Class::DataWrite | Class::Read | Class::Open => house.queue_record(activity).await,
    }
}

/// Records a refusal of somebody who has the right. Gives back the refusal.
pub(super) async fn refused(
    house: &House,
    caller: &Caller,
    action: &Action,
    scope: &ResourceId,
    why: &str,
    refusal: Error,
) -> Result<Error> {
    let mut activity = Activity::new(house, caller, action, scope, Outcome::Denied);
    activity.detail.insert(String::from("refused"), why.to_owned());
    record(house, action, &activity).await?;
    Ok(refusal)
}

/// Whether the caller may act at the scope: a pure decision over the compiled snapshot.
pub(super) fn may(house: &House, caller: &Caller, action: &Action, scope: &ResourceId) -> bool {
    if action.is_public() {
        return true;
    }
    match &caller.who {
        Who::House => true,
        Who::Nobody => false,
        Who::Run(run) => {
            let is_listed = run.only.is_empty() || run.only.iter().any(|name| name == action.name());
            action.is_open_to_runs() && is_listed && scope.is_within(&run.scope)
        }
        Who::Keyed(key) => {
            let is_for = key.only.iter().any(|only| only.name() == action.name()) && scope.is_within(&key.scope);
            let may_delegate = |of| house.identity.is_enabled(of) && house.access().allows(of, action, scope);
            is_for && key.on_behalf_of.is_none_or(may_delegate)
        }
        Who::Principal(principal) => {
            let access = house.access();
            access.allows(principal.id, action, scope)
                || access.is_invited(principal.id, action, scope)
                || is_invited_to_approve(house, principal.id, action, scope)
        }
    }
}

/// 403 for whoever may read the parent scope, 404 for whoever may not: the answer never tells a stranger what exists.
fn refusal(house: &House, caller: &Caller, action: &Action, scope: &ResourceId) -> Error {
    let may_know = match &caller.who {
        Who::Run(run) => scope.is_within(&run.scope),
        Who::Keyed(key) => scope.is_within(&key.scope),
        Who::Principal(principal) => house.access().reads_around(principal.id, scope),
        Who::House | Who::Nobody => false,
    };
    if !may_know {
        return Error::not_found(format_args!("the resource `{scope}`"));
    }
    let who = match &caller.who {
        Who::Principal(principal) => format!("the client `{}` with object id `{}`", principal.name, principal.id),
        Who::Run(run) => format!("run `{}`", run.run),
        Who::Keyed(key) => format!("whoever shows the {}", key.credential),
        Who::House | Who::Nobody => String::from("the caller"),
    };
    Error::new(
        Kind::Denied,
        format!("{who} does not have authorization to perform action `{}` over scope `{scope}`", action.name()),
    )
}
