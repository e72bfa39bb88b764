//! The webhooks of action groups, as deliveries find them.

use kernel::{ResourceId, Result};
use serde::{Deserialize, Serialize};

use crate::{
    delivery::{SinkKey, forget_cursor},
    gate::{Admission, Changes, Record, Row, Shelf},
};

/// A webhook that is told of alerts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Receiver {
    /// The action group.
    pub group: ResourceId,
    /// Its name there.
    pub name: String,
    /// Where.
    pub url: String,
    /// What signs the notifications.
    pub key: Option<SinkKey>,
    /// Whether its group is enabled.
    pub is_enabled: bool,
}

impl Record for Receiver {
    const TABLE: &'static str = "alert-receiver";
}

impl Receiver {
    /// Its one sink, as cursors call it.
    pub(crate) const SINK: &'static str = "actionGroup";
}

/// The rows of a group begin with this.
fn group_id(shelf: &Shelf, group: &ResourceId) -> Vec<u8> {
    shelf.name_id::<Receiver>(group.folded())
}

pub(super) fn receiver_id(shelf: &Shelf, group: &ResourceId, name: &str) -> Vec<u8> {
    let name = shelf.name_id::<Receiver>(&format!("{}|{}", group.folded(), name.to_ascii_lowercase()));
    [group_id(shelf, group), name].concat()
}

pub(super) async fn receivers(cx: &Admission<'_>, group: &ResourceId) -> Result<Vec<Row<Receiver>>> {
    cx.all::<Receiver>(cx.system(), &group_id(cx.system(), group)).await
}

/// Removes a receiver with what it was not told yet, once `changes` are committed.
pub(super) async fn remove(cx: &Admission<'_>, changes: &mut Changes, row: &Row<Receiver>) -> Result<()> {
    forget_cursor(cx, changes, &row.id, Receiver::SINK).await?;
    changes.delete(cx.system(), row);
    Ok(())
}

/// Removes the receivers of an action group that ends, once `changes` are committed.
pub(crate) async fn end_receivers(cx: &Admission<'_>, changes: &mut Changes, group: &ResourceId) -> Result<()> {
    for row in receivers(cx, group).await? {
        remove(cx, changes, &row).await?;
    }
    Ok(())
}
