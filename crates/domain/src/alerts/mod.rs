//! Alerts: rules over platform metrics, whom they tell, and what they said. The house evaluates the rules by itself.

mod condition;
mod group;
mod put;
mod read;
mod receiver;
mod rule;
mod state;
mod watch;

pub use condition::{Aggregation, Condition, Conditions, Operator, Span};
pub use group::{ActionGroup, DeleteActionGroup, PutActionGroup, ReceiverWanted, Webhook};
pub use put::{PutMetricAlert, RuleChange};
pub use read::{GetAlert, GetRule, ListAlerts, ListRules, RuleStatus};
pub(crate) use receiver::{Receiver, end_receivers};
pub use rule::{MetricAlert, Watched};
pub use state::{Alert, Moment, Watch};
pub use watch::watch_once;
pub(crate) use watch::{ALERT, CONDITION, keep_watching};
