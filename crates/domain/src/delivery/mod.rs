//! The delivery room: what the activity log says, brought elsewhere. Diagnostic settings name events and sinks, event subscriptions
//! news and webhooks, action groups alerts; one engine
//! serves them all.

mod archive;
mod category;
mod cursor;
mod engine;
mod envelope;
mod event;
mod filter;
mod news;
mod notification;
mod otlp;
mod outlet;
mod query;
mod registry;
mod setting;
mod sink;
mod standing;
mod subscription;
mod syslog;
mod table;
mod webhook;

pub use archive::{ArchiveBlob, ArchivePage, ArchivePart, ListArchive, ReadArchive};
pub use category::{Category, OF_SUBSCRIPTIONS, OF_WORKSPACES};
pub use cursor::Cursor;
pub(crate) use cursor::{begin_cursor, forget_cursor, skip_to_now};
pub use engine::deliver_once;
pub(crate) use engine::keep_delivering;
pub use envelope::Envelope;
pub(crate) use event::Event;
pub use filter::{FieldFilter, FieldOperator, Filter};
pub use news::EVENT_TYPES;
pub use query::{FindWorkspace, QueryTable, Rows, Wanted};
pub(crate) use registry::send_registry_event;
pub use setting::{
    Choice, DeleteSetting, GetSetting, ListCategories, ListSettings, PutSetting, Setting, SettingStatus,
};
pub(crate) use setting::{end_settings, has_settings};
pub use sink::{Sink, SinkKey, open_part};
pub(crate) use standing::{LogStanding, log_standing};
pub(crate) use subscription::end_subscriptions;
pub use subscription::{
    DeleteSubscription, GetSubscription, ListSubscriptions, PutSubscription, Subscription, SubscriptionStatus,
};
pub use table::{Column, TABLES, Table};
