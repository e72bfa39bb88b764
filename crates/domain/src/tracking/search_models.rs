//! Searching registered models.

use async_trait::async_trait;
use kernel::{Action, ResourceId, Result};

use super::{
    ModelView, Query, RegisteredModel,
    action::READ_MODELS,
    registered_models::view,
    scan::scan,
    search::{
        ENTRY, Field, Ordering, Page, Part, Picker, Schema, Searchable, Value, parse_filter, parse_order, size_of,
    },
    text,
};
use crate::{
    gate::{Cx, Op, Row},
    resources::workspace_shelf,
};

const SCHEMA: Schema = Schema {
    numbers: &[],
    texts: &["name"],
    lists: &["name"],
    aliases: &[("timestamp", "last_updated_timestamp")],
    parts: &[Part::Tag],
    order_only: &["last_updated_timestamp"],
    absent_differs: false,
};

impl Searchable for RegisteredModel {
    fn value(&self, field: &Field) -> Value<'_> {
        match (field.part, field.key.as_str()) {
            (Part::Tag, key) => Value::from(self.tags.get(key)),
            (Part::Attribute, "name") => Value::from(self.name.as_str()),
            (Part::Attribute, "last_updated_timestamp") => Value::from(Some(self.updated_at.0)),
            _ => Value::Absent,
        }
    }

    fn size(&self) -> usize {
        [self.description.len(), size_of(&self.tags), self.aliases.len().saturating_mul(ENTRY), ENTRY].iter().sum()
    }
}

/// Searches registered models; by name unless asked otherwise.
#[derive(Debug)]
pub struct SearchRegisteredModels {
    /// The workspace.
    pub workspace: ResourceId,
    /// Which and how.
    pub query: Query,
}

#[async_trait]
impl Op for SearchRegisteredModels {
    const ACTION: Action = READ_MODELS;
    type Output = Page<ModelView>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let query = &self.query;
        text::check_page(query.most, 1000)?;
        let mut filter = parse_filter(&query.filter, &SCHEMA)?;
        let shows_prompts = filter.take_prompts();
        let order = parse_order(&query.order_by, &SCHEMA)?.then(Ordering::by("name", true));
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let question = query.identity("registered models");
        let mut picker = Picker::new(&order, query, &question)?;
        scan(cx, &shelf, b"", |row: Row<RegisteredModel>| {
            if (shows_prompts || !row.value.is_prompt()) && filter.matches(&row.value) {
                picker.offer(row.value);
            }
        })
        .await?;
        let page = picker.page();
        let mut views = Vec::with_capacity(page.items.len());
        for model in page.items {
            views.push(view(cx, &shelf, model).await?);
        }
        Ok(Page { items: views, next: page.next })
    }
}
