//! What the engine serves: a setting's sink, an event subscription, a webhook of an action group or of a registry. Each has a cursor, a scope and a way to send.

use std::sync::Arc;

use kernel::{ResourceId, Result, Timestamp};
use tokio::time::Instant;

use super::{
    Category, Event, Setting, Sink, Subscription, archive, envelope, news, notification, otlp, registry,
    sink::{ENOUGH, Sent},
    subscription::SINK,
    syslog, webhook,
};
use crate::{
    alerts::Receiver,
    gate::{Activity, Admission, Changes, Row},
    tracking::webhooks::Webhook,
};

/// Events that are pushed in one go.
const PUSHED: usize = 20;

/// Where events go.
#[derive(Clone)]
pub(super) enum Outlet {
    /// A setting, and which of its sinks.
    Sink(Arc<Row<Setting>>, usize),
    /// A subscription.
    Subscription(Arc<Row<Subscription>>),
    /// A webhook that is told of alerts, and the subscription of its group.
    Receiver(Arc<Row<Receiver>>, ResourceId),
    /// A webhook of a workspace's registry.
    Registry(Arc<Row<Webhook>>),
}

impl Outlet {
    /// A webhook of an action group.
    pub(super) fn receiver(row: Row<Receiver>) -> Option<Self> {
        let subscription = ResourceId::subscription(row.value.group.subscription_id()?);
        Some(Self::Receiver(Arc::new(row), subscription))
    }

    /// Whose cursor it is.
    pub(super) fn owner(&self) -> &[u8] {
        match self {
            Self::Sink(row, _) => &row.id,
            Self::Subscription(row) => &row.id,
            Self::Receiver(row, _) => &row.id,
            Self::Registry(row) => &row.id,
        }
    }

    fn sink(&self) -> Option<&Sink> {
        match self {
            Self::Sink(row, index) => row.value.sinks.get(*index),
            Self::Subscription(_) | Self::Receiver(..) | Self::Registry(_) => None,
        }
    }

    /// The sink's name.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Sink(..) | Self::Subscription(_) => self.sink().map_or(SINK, Sink::word),
            Self::Receiver(..) => Receiver::SINK,
            Self::Registry(_) => Webhook::SINK,
        }
    }

    /// Where its events happen.
    pub(super) fn scope(&self) -> &ResourceId {
        match self {
            Self::Sink(row, _) => &row.value.scope,
            Self::Subscription(row) => &row.value.scope,
            Self::Receiver(_, subscription) => subscription,
            Self::Registry(row) => &row.value.scope,
        }
    }

    /// When it was changed last. A webhook of an action group is made anew when its address changes.
    pub(super) fn changed_at(&self) -> Timestamp {
        match self {
            Self::Sink(row, _) => row.value.changed_at,
            Self::Subscription(row) => row.value.changed_at,
            Self::Receiver(..) => Timestamp::default(),
            Self::Registry(row) => row.value.updated_at,
        }
    }

    /// How many events it takes at once.
    pub(super) fn most(&self) -> usize {
        self.sink().map_or(PUSHED, Sink::most)
    }

    /// Whether it waits until more has come together.
    pub(super) fn lingers(&self) -> bool {
        matches!(self.sink(), Some(Sink::Archive { .. }))
    }

    /// Which events a record is, for this outlet.
    pub(super) fn events(&self, wanted: &[Category], seq: u64, activity: &Activity) -> Vec<Event> {
        match self {
            Self::Sink(..) => Event::of(seq, activity, wanted).collect(),
            Self::Subscription(row) => {
                let kind = news::of(activity).filter(|kind| row.value.filter.wants_type(kind));
                kind.map(|category| Event { seq, category, activity: activity.clone() }).into_iter().collect()
            }
            Self::Registry(row) => {
                let hook = &row.value;
                let is_wanted = |event: &&str| hook.is_active && hook.events.iter().any(|one| one == event);
                let event = registry::of(activity).filter(is_wanted);
                event.map(|category| Event { seq, category, activity: activity.clone() }).into_iter().collect()
            }
            Self::Receiver(row, _) => {
                let condition = notification::of(activity).filter(|_| row.value.is_enabled);
                condition.map(|category| Event { seq, category, activity: activity.clone() }).into_iter().collect()
            }
        }
    }

    /// The categories that are on.
    pub(super) fn wanted(&self) -> Vec<Category> {
        match self {
            Self::Sink(row, _) => row.value.wanted(),
            Self::Subscription(_) | Self::Receiver(..) | Self::Registry(_) => Vec::new(),
        }
    }

    /// Sends events; what an archive adds is in `changes`.
    pub(super) async fn send(&self, cx: &Admission<'_>, events: &[Event], changes: &mut Changes) -> Result<Sent> {
        match (self, self.sink()) {
            (Self::Subscription(row), _) => push(cx, &row.value, events).await,
            (Self::Registry(row), _) => registry::send(cx, &row.value, events).await,
            (Self::Receiver(row, _), _) => notification::send(cx, &row.value, events).await,
            (_, Some(Sink::Archive { account })) => {
                archive::append(cx, changes, account, self.scope(), events).await?;
                Ok(Sent::all(events))
            }
            (_, Some(Sink::Webhook { url, key, is_single })) => {
                webhook::send(cx, (url, key.as_ref(), *is_single), events).await
            }
            (_, Some(Sink::Syslog { server })) => syslog::send(cx, server, events).await,
            (_, Some(Sink::Otlp { url, token })) => otlp::send(cx, url, token.as_ref(), events).await,
            (Self::Sink(..), None) => Ok(Sent::none("the setting has that sink no more")),
        }
    }
}

/// One event after the other, and none behind one that was not taken.
async fn push(cx: &Admission<'_>, subscription: &Subscription, events: &[Event]) -> Result<Sent> {
    let begun = Instant::now();
    for (taken, event) in events.iter().enumerate() {
        if begun.elapsed() > ENOUGH {
            return Ok(Sent { taken, fault: None });
        }
        let news = news::news(cx, event).await?;
        if !subscription.filter.wants(&news) {
            continue;
        }
        let body = subscription.envelope.wrap(&subscription.scope, event, &news);
        let to = (subscription.url.as_str(), subscription.envelope);
        if let Some(fault) = envelope::deliver(cx, to, &event.id(), &body).await? {
            return Ok(Sent { taken, fault: Some(fault) });
        }
    }
    Ok(Sent::all(events))
}
