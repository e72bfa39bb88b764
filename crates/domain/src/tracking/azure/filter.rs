//! Which runs are meant: the small part of OData's filter language that `azureml-core` writes (`_restclient/_odata`). Values stand
//! there with quotes or without, and without they go on up to ` and `, ` or `, or the closing parenthesis.

use std::borrow::Cow;

use kernel::{Error, Kind, Result, Timestamp};

use super::facts::RunFacts;
use crate::tracking::{Run, RunStatus, run::PARENT_TAG, text};

/// Longest filter, in bytes.
const LONGEST: usize = 64 << 10;
/// Most comparisons of a filter: what a list of runs is asked for with.
const MOST: usize = 1000;
/// How deep parentheses may lie.
const DEEPEST: usize = 16;

/// Which runs are meant.
#[derive(Clone, Debug, PartialEq)]
pub enum RunFilter {
    /// All of these hold; all runs when there is none.
    All(Vec<RunFilter>),
    /// One of these holds.
    Any(Vec<RunFilter>),
    /// What a field is compared with.
    Is(String, Relation, Option<String>),
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `eq`
    Equal,
    /// `ne`
    Unequal,
    /// `gt`
    Greater,
    /// `ge`
    AtLeast,
    /// `lt`
    Less,
    /// `le`
    AtMost,
}

/// What a run answers.
enum Said<'a> {
    /// It has no such thing: no comparison holds.
    Nothing,
    /// It has one without a value.
    Null,
    Text(Cow<'a, str>),
    Time(Timestamp),
}

impl RunFilter {
    /// Reads a filter; an empty one means all runs.
    ///
    /// # Errors
    /// `Invalid` for what is no filter or too large, and for fields that cannot be asked for.
    pub fn parse(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Ok(Self::All(Vec::new()));
        }
        if text.len() > LONGEST {
            return Err(Error::invalid("$filter", format_args!("a filter has at most {LONGEST} bytes")));
        }
        let mut reader = Reader { rest: text, count: 0 };
        let filter = reader.any(0)?;
        if reader.rest.trim().is_empty() { Ok(filter) } else { Err(reader.bad("something follows the filter's end")) }
    }

    /// The one value that a field must have, where the filter's outermost conditions say so.
    pub fn demanded(&self, field: &str) -> Option<&str> {
        match self {
            Self::Is(name, Relation::Equal, Some(value)) if name.eq_ignore_ascii_case(field) => Some(value),
            Self::All(parts) => parts.iter().find_map(|part| part.demanded(field)),
            _ => None,
        }
    }

    /// Whether it asks for a field.
    pub(super) fn asks(&self, field: &str) -> bool {
        match self {
            Self::Is(name, ..) => name.eq_ignore_ascii_case(field),
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.asks(field)),
        }
    }

    /// Whether a run is meant; `root` is the first of its family.
    pub(super) fn holds(&self, run: &Run, facts: &RunFacts, root: &str) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(run, facts, root)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(run, facts, root)),
            Self::Is(field, relation, value) => compare(said(field, run, facts, root), *relation, value.as_deref()),
        }
    }
}

/// The word for a status that Azure's clients know.
pub fn status_word(run: &Run) -> &'static str {
    match run.status {
        RunStatus::Scheduled if run.is_job => "Queued",
        RunStatus::Scheduled => "NotStarted",
        RunStatus::Running => "Running",
        RunStatus::Finished => "Completed",
        RunStatus::Failed => "Failed",
        RunStatus::Killed => "Canceled",
    }
}

/// What kind of run it is called, where somebody said so or a job is behind it.
pub fn run_type<'a>(run: &Run, facts: &'a RunFacts) -> Option<&'a str> {
    facts.run_type.as_deref().or(run.is_job.then_some("azureml.scriptrun"))
}

fn said<'a>(field: &str, run: &'a Run, facts: &'a RunFacts, root: &'a str) -> Said<'a> {
    let text = |text: Option<&'a str>| text.map_or(Said::Null, |text| Said::Text(Cow::Borrowed(text)));
    let labelled = |text: Option<&'a String>| match text {
        None => Said::Nothing,
        Some(text) if text.is_empty() => Said::Null,
        Some(text) => Said::Text(Cow::Borrowed(text)),
    };
    if let Some((kind, key)) = field.split_once('/') {
        return match kind.to_ascii_lowercase().as_str() {
            "tags" => labelled(run.tags.get(key)),
            "properties" => labelled(facts.properties.get(key)),
            _ => Said::Nothing,
        };
    }
    match field.to_ascii_lowercase().as_str() {
        "runid" => text(Some(run.id.as_str())),
        "rootrunid" => text(Some(root)),
        "parentrunid" => text(run.tags.get(PARENT_TAG).map(String::as_str).filter(|parent| !parent.is_empty())),
        "status" => text(Some(status_word(run))),
        "runtype" => text(run_type(run, facts)),
        "target" => text(facts.target.as_deref()),
        "name" | "displayname" => text(Some(&run.name)),
        "userid" => text(Some(&run.user)),
        "createdutc" | "starttimeutc" => Said::Time(run.started_at),
        "endtimeutc" => run.ended_at.map_or(Said::Null, Said::Time),
        _ => Said::Nothing,
    }
}

fn compare(said: Said<'_>, relation: Relation, value: Option<&str>) -> bool {
    let order = match (&said, value) {
        (Said::Nothing, _) => return false,
        (Said::Null, None) => return relation == Relation::Equal,
        (Said::Null, Some(_)) | (_, None) => return relation == Relation::Unequal,
        (Said::Text(text), Some(value)) => text.as_ref().cmp(value),
        (Said::Time(at), Some(value)) => match time(value) {
            Some(value) => at.cmp(&value),
            None => return false,
        },
    };
    match relation {
        Relation::Equal => order.is_eq(),
        Relation::Unequal => order.is_ne(),
        Relation::Greater => order.is_gt(),
        Relation::AtLeast => order.is_ge(),
        Relation::Less => order.is_lt(),
        Relation::AtMost => order.is_le(),
    }
}

/// A time, as RFC 3339 or as Python prints one without a zone.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim().replacen(' ', "T", 1);
    let with_zone = || Timestamp::parse_rfc3339(&format!("{text}Z"));
    let date_alone = || Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"));
    Timestamp::parse_rfc3339(&text).or_else(with_zone).or_else(date_alone)
}

struct Reader<'a> {
    rest: &'a str,
    count: usize,
}

impl<'a> Reader<'a> {
    fn bad(&self, why: &str) -> Error {
        let at = text::echo(self.rest.trim_start());
        Error::new(Kind::Invalid, format!("`$filter` cannot be read at `{at}`: {why}"))
    }

    fn skip(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        match rest.strip_prefix(token) {
            Some(after) => {
                self.rest = after;
                true
            }
            None => false,
        }
    }

    /// A word that is followed by a space or a parenthesis.
    fn skip_word(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start();
        let Some((head, after)) = rest.split_at_checked(word.len()) else { return false };
        if head.eq_ignore_ascii_case(word) && after.starts_with([' ', '(']) {
            self.rest = after;
            return true;
        }
        false
    }

    fn any(&mut self, depth: usize) -> Result<RunFilter> {
        let mut parts = vec![self.all(depth)?];
        while self.skip_word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, RunFilter::Any))
    }

    fn all(&mut self, depth: usize) -> Result<RunFilter> {
        let mut parts = vec![self.part(depth)?];
        while self.skip_word("and") {
            parts.push(self.part(depth)?);
        }
        Ok(one_or(parts, RunFilter::All))
    }

    fn part(&mut self, depth: usize) -> Result<RunFilter> {
        if !self.skip("(") {
            return self.comparison();
        }
        if depth >= DEEPEST {
            return Err(self.bad("its parentheses are too deep"));
        }
        let inner = self.any(depth.saturating_add(1))?;
        if self.skip(")") { Ok(inner) } else { Err(self.bad("a `)` is missing")) }
    }

    fn comparison(&mut self) -> Result<RunFilter> {
        self.count = self.count.saturating_add(1);
        if self.count > MOST {
            return Err(self.bad(&format!("a filter has at most {MOST} comparisons")));
        }
        let rest = self.rest.trim_start();
        // Names of tags may hold spaces: the relation ends the field.
        let found = RELATIONS
            .iter()
            .filter_map(|(word, relation)| Some((rest.find(word)?, *word, *relation)))
            .min_by_key(|found| found.0);
        let Some((at, word, relation)) = found else {
            return Err(self.bad("a comparison such as `Status eq Running` is expected"));
        };
        let (field, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        if field.is_empty() || field.contains(['(', ')', '"']) {
            return Err(self.bad("the name of a field is expected"));
        }
        self.rest = after.get(word.len()..).unwrap_or_default();
        let value = self.value()?;
        Ok(RunFilter::Is(field.trim().to_owned(), relation, value))
    }

    fn value(&mut self) -> Result<Option<String>> {
        let rest = self.rest.trim_start();
        for quote in ['"', '\''] {
            let Some(inner) = rest.strip_prefix(quote) else { continue };
            let Some((value, after)) = inner.split_once(quote) else { return Err(self.bad("a quote is not closed")) };
            self.rest = after;
            return Ok(Some(value.to_owned()));
        }
        let ends = [" and ", " or ", ")"].iter().filter_map(|end| rest.find(end));
        let end = ends.min().unwrap_or(rest.len());
        let (value, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        self.rest = after;
        match value.trim() {
            "" => Err(self.bad("a value is expected")),
            word if word.eq_ignore_ascii_case("null") => Ok(None),
            value => Ok(Some(value.to_owned())),
        }
    }
}

const RELATIONS: [(&str, Relation); 6] = [
    (" eq ", Relation::Equal),
    (" ne ", Relation::Unequal),
    (" gt ", Relation::Greater),
    (" ge ", Relation::AtLeast),
    (" lt ", Relation::Less),
    (" le ", Relation::AtMost),
];

fn one_or(mut parts: Vec<RunFilter>, many: impl FnOnce(Vec<RunFilter>) -> RunFilter) -> RunFilter {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            many(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn run() -> Run {
        Run {
            id: "run-1".parse().unwrap(),
            experiment: String::from("7"),
            name: String::from("a name"),
            user: String::from("somebody"),
            status: RunStatus::Running,
            started_at: Timestamp(1_795_295_507_800),
            ended_at: None,
            is_deleted: false,
            params: BTreeMap::new(),
            tags: BTreeMap::from([(String::from("fold"), String::from("3")), (String::from("seen"), String::new())]),
            created_by_run: None,
            is_job: false,
            is_concluded: false,
        }
    }

    #[test]
    fn what_the_client_writes_is_understood() {
        let (run, mut facts) = (run(), RunFacts::default());
        facts.add_property("azureml.runsource", "mine").unwrap();
        let holds = |text: &str| RunFilter::parse(text).unwrap().holds(&run, &facts, "root-1");
        for yes in [
            "",
            "RunId eq run-1",
            "RunId eq other or RunId eq run-1",
            "(RootRunId eq root-1 and (Tags/fold eq \"3\"))",
            "(RunType eq mine or Properties/azureml.runsource eq mine)",
            "(Tags/seen ne null or Tags/seen eq null)",
            "(Tags/seen eq null)",
            "(Status eq Running)",
            "(CreatedUtc ge 2026-11-21 21:11:00)",
            "(CreatedUtc lt 2026-11-22T00:00:00+00:00)",
            "(ParentRunId eq null)",
            "(EndTimeUtc eq null)",
            "name eq a name",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in [
            "RunId eq other",
            "(RootRunId eq root-1 and RunId ne run-1)",
            "(Tags/none ne null or Tags/none eq null)",
            "(Status eq Completed)",
            "(CreatedUtc ge 2027-01-01)",
            "(RunTypeV2/Traits/x ne null) or (RunTypeV2/Traits/x eq null)",
            "(ParentRunId ne null)",
        ] {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let deep = format!("{}RunId eq a{}", "(".repeat(40), ")".repeat(40));
        let long = vec!["RunId eq a"; 1001].join(" or ");
        for bad in
            ["RunId", "RunId eq", "RunId eq a)", "(RunId eq a", "RunId eq \"a", "eq a", " eq a", deep.as_str(), &long]
        {
            assert!(RunFilter::parse(bad).is_err(), "{bad}");
        }
        assert!(RunFilter::parse(&vec!["RunId eq a"; 1000].join(" or ")).is_ok());
    }
}
