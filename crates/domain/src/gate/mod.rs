//! The one door. Every operation, from every protocol, enters here: identify → authorize → approved? → record → run → commit.
//!
//! An operation is a small struct that implements [`Op`]; [`enter`] is the only way to run one. The context that `run`
//! receives has private fields, so holding a `Cx<GetSecret>` proves that this caller was authorized for `GetSecret` and
//! that the log says so.

mod admit;
mod apart;
mod approval;
mod blobs;
mod capacity;
mod census;
mod changes;
mod commit;
mod cx;
mod glass;
mod happening;
mod house;
mod keys;
mod lost;
mod opened;
mod policies;
mod reach;
mod reads;
mod record;
mod reseal;
mod root;
mod settings;
mod shelf;
mod shelves;
mod stored;
mod table;
mod tide;
mod turns;

pub(crate) use approval::requester;
pub use approval::{Guard, Guarded, Places};
pub use blobs::{BlobRef, ByteStream, Range};
pub(crate) use capacity::Capacity;
pub(crate) use census::{Census, NamedVersions};
pub use changes::Changes;
pub(crate) use cx::ALSO_NEEDED;
pub use cx::{Admission, Cx};
pub use happening::Happening;
pub use house::{House, Parts};
pub(crate) use keys::{ForgottenKey, RestingShelf};
pub(crate) use lost::Suspects;
pub use record::{Activity, Actor, Outcome};
pub use root::{RootKeyUse, root_key_use};
pub use settings::Settings;
pub use shelf::Shelf;
pub(crate) use stored::Stored;
pub use table::{Record, Row};

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, ResourceId, Result};

/// An operation: its fields are what is asked.
///
/// Its future is boxed, so that it is compiled here, once, and not in every crate that calls `enter`.
#[async_trait]
pub trait Op: Send + Sized {
    /// The permission it needs, and what recording it costs.
    const ACTION: Action;
    /// What it may do that takes approvals where a rule says so; most operations nothing.
    const GUARDS: &'static [Guard] = &[];
    /// What it gives back.
    type Output: Send;
    /// Where the permission is looked up, and what the activity log names.
    fn scope(&self) -> ResourceId;
    /// What is guarded about it, and all that is asked. Every operation with `GUARDS` says so.
    ///
    /// # Errors
    /// `Invalid` when what is asked cannot be said.
    fn guarded(&self, _house: &House, _caller: &Caller) -> Result<Guarded> {
        Err(approval::unsaid())
    }
    /// The resource group that it removes whole: what is in it is part of what is approved.
    fn removes(&self) -> Option<&ResourceId> {
        None
    }
    /// What it means.
    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output>;
}

/// Runs an operation for a caller: the only way to run one.
///
/// # Errors
/// `Unauthenticated`, `Denied` or `NotFound` when the caller may not; `Unavailable` when the activity log cannot be
/// written; `Conflict` (`ApprovalRequired`) when others must approve it first; otherwise whatever the operation says.
pub async fn enter<O: Op>(house: &House, caller: &Caller, op: O) -> Result<O::Output> {
    let scope = op.scope();
    admit::admit(house, caller, &O::ACTION, &scope).await?;
    let guarded = approval::guarded(house, caller, &op);
    let cx = Cx::<O>::new(house, caller, scope);
    let result = match approval::require(&cx, guarded).await {
        Ok(()) => op.run(&cx).await,
        Err(fault) => Err(fault),
    };
    cx.close(result.as_ref().err()).await?;
    result
}

/// Asks whether `enter` would admit the caller, and records a denial as `enter` does. For faces that must read a body before
/// they can build the operation: a stranger learns nothing from how a body is refused, and costs nothing.
///
/// # Errors
/// As `enter`, before the operation runs.
pub async fn knock<O: Op>(house: &House, caller: &Caller, scope: &ResourceId) -> Result<()> {
    admit::admit(house, caller, &O::ACTION, scope).await
}

/// The same for what no operation names yet: an action, at a scope.
pub(crate) async fn knock_as(house: &House, caller: &Caller, action: &Action, scope: &ResourceId) -> Result<()> {
    admit::admit(house, caller, action, scope).await
}

/// Records that a caller whose credential was proved is turned away by the credential's own bounds. Gives back the refusal.
pub(crate) async fn turn_away(
    house: &House,
    caller: &Caller,
    action: &Action,
    scope: &ResourceId,
    refusal: Error,
) -> Error {
    let why = refusal.code().unwrap_or("the credential is not for this");
    admit::refused(house, caller, action, scope, why, refusal).await.unwrap_or_else(|fault| fault)
}

/// Whether an action's record is durable before the reply.
fn is_recorded_first(class: Class) -> bool {
    matches!(class, Class::Control | Class::Vault | Class::DataWrite)
}
