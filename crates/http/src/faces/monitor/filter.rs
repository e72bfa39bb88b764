//! `$filter` of the activity log: clauses joined by `and`, as Azure's clients send them (times quoted or not).

use domain::audit::ActivityFilter;
use kernel::{Error, ResourceId, Result, Timestamp};

use super::scope_field;
use crate::Guest;

/// Most records on one page.
const MOST: usize = 1000;

pub(super) fn parse(guest: &Guest, scope: &ResourceId) -> Result<ActivityFilter> {
    let mut filter = ActivityFilter { most: MOST, ..ActivityFilter::default() };
    if let Some(top) = guest.query("$top") {
        filter.most = top.parse::<usize>().map_err(|why| Error::invalid("$top", why))?.clamp(1, MOST);
    }
    // Ours: reads too, and paging by number.
    filter.reads = guest.query("reads").is_some_and(|value| value == "true");
    if let Some(before) = guest.query("before") {
        filter.before = Some(before.parse().map_err(|why| Error::invalid("before", why))?);
    }
    let text = guest.query("$filter").unwrap_or_default();
    for clause in text.split(" and ").map(str::trim).filter(|clause| !clause.is_empty()) {
        add(&mut filter, clause, scope)?;
    }
    Ok(filter)
}

fn add(filter: &mut ActivityFilter, clause: &str, scope: &ResourceId) -> Result<()> {
    let mut words = clause.splitn(3, ' ');
    let (field, comparator, value) = match (words.next(), words.next(), words.next()) {
        (Some(field), Some(comparator), Some(value)) => (field, comparator, value.trim().trim_matches('\'')),
        _ => return Err(Error::invalid("$filter", format_args!("`{clause}` is not `field comparator value`"))),
    };
    let time = || Timestamp::parse_rfc3339(value).ok_or_else(|| Error::invalid("$filter", "times are RFC 3339"));
    match (field.to_ascii_lowercase().as_str(), comparator) {
        ("eventtimestamp", "ge" | "gt") => filter.from = Some(time()?),
        ("eventtimestamp", "le" | "lt") => filter.until = Some(time()?),
        ("correlationid", "eq") => {
            filter.correlation = Some(value.parse().map_err(|why| Error::invalid("$filter", why))?);
        }
        ("resourceuri" | "resourceid", "eq") => filter.within = Some(scope_field("$filter", value)?),
        ("resourcegroupname" | "resourcegroup", "eq") => {
            let group = scope.child(["resourceGroups", value]).map_err(|why| Error::invalid("$filter", why))?;
            filter.within = Some(group);
        }
        ("resourceprovider", "eq") => filter.provider = Some(value.to_owned()),
        _ => return Err(Error::invalid("$filter", format_args!("`{clause}` is not supported"))),
    }
    Ok(())
}
