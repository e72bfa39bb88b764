//! `$filter` of the activity log: clauses joined by `and`, as Azure's clients send them (values quoted or not).

use domain::audit::{ActivityFilter, View};
use kernel::{Error, Result, Timestamp};

use super::scope_field;
use crate::Guest;

/// Most records on one page.
const MOST: usize = 1000;
/// Most characters of a filter, and clauses in it.
const LONGEST: usize = 4096;
const CLAUSES: usize = 16;

pub(super) fn parse(guest: &Guest) -> Result<ActivityFilter> {
    let mut filter = ActivityFilter { most: MOST, ..ActivityFilter::default() };
    if let Some(top) = guest.query("$top") {
        filter.most = top.parse::<usize>().map_err(|why| Error::invalid("$top", why))?.clamp(1, MOST);
    }
    // Ours: which records there are to choose from, and paging by number.
    filter.view = match (guest.query("view").as_deref(), guest.query("reads").as_deref()) {
        (None | Some("full"), None | Some("false")) => View::Full,
        (None | Some("full"), Some("true")) => View::Everything,
        (Some("azure"), None | Some("false")) => View::Azure,
        (None | Some("full" | "azure"), _) => {
            return Err(Error::invalid("reads", "is `true` or `false`, in the full view"));
        }
        _ => return Err(Error::invalid("view", "is `full` or `azure`")),
    };
    if let Some(before) = guest.query("before") {
        filter.before = Some(before.parse().map_err(|why| Error::invalid("before", why))?);
    }
    read(&guest.query("$filter").unwrap_or_default(), filter)
}

/// Reads the clauses of a filter into `filter`.
fn read(text: &str, mut filter: ActivityFilter) -> Result<ActivityFilter> {
    if text.len() > LONGEST {
        return Err(Error::invalid("$filter", format_args!("is longer than {LONGEST} characters")));
    }
    let words = words(text)?;
    if words.is_empty() {
        return Ok(filter);
    }
    let clauses: Vec<&[Word]> = words.split(|word| word.is("and")).collect();
    if clauses.len() > CLAUSES {
        return Err(Error::invalid("$filter", format_args!("has more than {CLAUSES} clauses")));
    }
    for clause in clauses {
        let [field, comparator, value] = clause else {
            let said = clause.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
            return Err(Error::invalid("$filter", format_args!("`{said}` is not `field comparator value`")));
        };
        add(&mut filter, field, comparator, &value.text)?;
    }
    Ok(filter)
}

/// A word of a filter; a quoted one is never a keyword.
pub(crate) struct Word {
    pub(crate) text: String,
    is_quoted: bool,
}

impl Word {
    pub(crate) fn is(&self, keyword: &str) -> bool {
        !self.is_quoted && self.text.eq_ignore_ascii_case(keyword)
    }
}

/// Splits at spaces outside quotes; a quote in a quoted value is doubled (OData 4.01 ABNF, `string`).
pub(crate) fn words(text: &str) -> Result<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut word = Word { text: String::new(), is_quoted: rest.starts_with('\'') };
        if word.is_quoted {
            let mut quoted = rest.get(1..).unwrap_or_default();
            loop {
                let (part, after) =
                    quoted.split_once('\'').ok_or_else(|| Error::invalid("$filter", "a quote is not closed"))?;
                word.text.push_str(part);
                match after.strip_prefix('\'') {
                    Some(more) => {
                        word.text.push('\'');
                        quoted = more;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
            if !rest.is_empty() && !rest.starts_with(' ') {
                return Err(Error::invalid("$filter", "a quoted value is followed by a space or nothing"));
            }
        } else {
            let (part, after) = rest.split_once(' ').unwrap_or((rest, ""));
            part.clone_into(&mut word.text);
            rest = after;
        }
        words.push(word);
        rest = rest.trim_start();
    }
    Ok(words)
}

fn add(filter: &mut ActivityFilter, field: &Word, comparator: &Word, value: &str) -> Result<()> {
    let time = || super::time(value).ok_or_else(|| Error::invalid("$filter", "times are RFC 3339"));
    let said = || value.to_owned();
    match (field.text.to_ascii_lowercase().as_str(), comparator.text.to_ascii_lowercase().as_str()) {
        ("eventtimestamp", "ge") => filter.from = Some(time()?),
        ("eventtimestamp", "gt") => filter.from = Some(Timestamp(time()?.0.saturating_add(1))),
        ("eventtimestamp", "le") => filter.until = Some(time()?),
        ("eventtimestamp", "lt") => filter.until = Some(Timestamp(time()?.0.saturating_sub(1))),
        ("correlationid", "eq") => {
            filter.correlation = Some(value.parse().map_err(|why| Error::invalid("$filter", why))?);
        }
        ("resourceuri" | "resourceid", "eq") => filter.within = Some(scope_field("$filter", value)?),
        ("resourcegroupname" | "resourcegroup", "eq") => filter.group = Some(said()),
        ("resourceprovider", "eq") => filter.provider = Some(said()),
        ("caller", "eq") => filter.caller = Some(said()),
        ("status", "eq") => filter.status = Some(said()),
        ("levels" | "level", "eq") => {
            filter.levels = value.split(',').map(|level| level.trim().to_owned()).collect();
        }
        // All that is logged here comes through the channels that Azure's clients name.
        ("eventchannels", "eq") => {}
        _ => {
            let clause = format_args!("`{} {}` is not supported", field.text, comparator.text);
            return Err(Error::invalid("$filter", clause));
        }
    }
    Ok(())
}

/// What `$select` leaves of a record; the names of its fields, in any case.
pub(super) struct Selection(Option<Vec<String>>);

impl Selection {
    pub(super) fn of(guest: &Guest, fields: &[&str]) -> Result<Self> {
        let Some(text) = guest.query("$select") else { return Ok(Self(None)) };
        let mut chosen = Vec::new();
        for name in text.split(',').map(str::trim) {
            let known = fields.iter().find(|field| field.eq_ignore_ascii_case(name));
            let known = known.ok_or_else(|| Error::invalid("$select", format_args!("there is no field `{name}`")))?;
            chosen.push((*known).to_owned());
        }
        Ok(Self(Some(chosen)))
    }

    pub(super) fn apply(&self, record: &mut serde_json::Map<String, serde_json::Value>) {
        if let Some(chosen) = &self.0 {
            record.retain(|name, _| chosen.contains(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Result<ActivityFilter> {
        read(text, ActivityFilter::default())
    }

    #[test]
    fn clauses_combine_quoted_or_not() {
        let text = "eventTimestamp ge '2026-01-01T00:00:00Z' and eventTimestamp lt 2026-01-02T00:00:00Z and \
                    resourceGroupName eq 'a and b' AND caller eq 'O''Hara' and status eq 'Failed' and levels eq 'Error,Warning'";
        let read = filter(text).unwrap();
        assert_eq!(read.from, Timestamp::parse_rfc3339("2026-01-01T00:00:00Z"));
        assert_eq!(read.until.unwrap().rfc3339(), "2026-01-01T23:59:59.999Z");
        assert_eq!(read.group.as_deref(), Some("a and b"));
        assert_eq!((read.caller.as_deref(), read.status.as_deref()), (Some("O'Hara"), Some("Failed")));
        assert_eq!(read.levels, ["Error", "Warning"]);
        assert_eq!(filter("caller eq ''").unwrap().caller.as_deref(), Some(""));
        assert!(filter("   ").unwrap().caller.is_none());
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for bad in [
            "caller",
            "caller eq",
            "caller eq 'a",
            "caller eq 'a'b",
            "caller eq a b",
            "caller eq 'a' and",
            "and caller eq 'a'",
            "caller ne 'a'",
            "colour eq 'red'",
            "caller eq 'a' or caller eq 'b'",
            "eventTimestamp ge 'yesterday'",
            "correlationId eq '7'",
            &"caller eq 'a' and ".repeat(40),
            &"x".repeat(5000),
        ] {
            let refused = filter(bad).map(|_| ()).unwrap_err();
            assert_eq!(refused.kind(), kernel::Kind::Invalid, "{bad}");
        }
    }
}
