//! The delivery room: what the activity log says, brought elsewhere. Diagnostic settings name events and sinks; one engine
//! serves them all.

mod archive;
mod category;
mod cursor;
mod engine;
mod event;
mod otlp;
mod query;
mod setting;
mod sink;
mod syslog;
mod table;
mod webhook;

pub use archive::{ArchiveBlob, ArchivePage, ArchivePart, ListArchive, ReadArchive};
pub use category::{Category, OF_SUBSCRIPTIONS, OF_WORKSPACES};
pub use cursor::Cursor;
pub use engine::deliver_once;
pub(crate) use engine::keep_delivering;
pub(crate) use event::Event;
pub use query::{FindWorkspace, QueryTable, Rows, Wanted};
pub(crate) use setting::end_settings;
pub use setting::{
    Choice, DeleteSetting, GetSetting, ListCategories, ListSettings, PutSetting, Setting, SettingStatus,
};
pub use sink::{Sink, SinkKey};
pub use table::{Column, TABLES, Table};
