//! High business impact: what a workspace, or one job, is promised when what it works on is more sensitive than usual.
//!
//! Its runs start only where their scratch reaches no disk (the wall `private-scratch`). Nothing of it is collected for
//! diagnostics. Names in it do not tell who works there. A workspace is one from its beginning, or raised later; then the house
//! looks at what was there before, until all of it is as it must be. **Invariant:** no workspace is ever lowered.

mod names;
mod proof;
mod raise;

pub(crate) use names::{admit_names, names_somebody};
pub use proof::{Finding, FindingKind, GetImpact, Impact, prove_what_is_raised};
pub(crate) use proof::{begin_proof, forget};
pub use raise::RaiseImpact;
pub(crate) use raise::require_same;
