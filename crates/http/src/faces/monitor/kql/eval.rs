//! What a query means, over rows that are JSON values.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use kernel::{Result, Timestamp};
use serde_json::{Value, json};

use super::{
    parse::{Comparator, Condition, Literal, Query, Stage},
    token::wrong,
};

/// Columns with their types, and rows.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Table {
    pub columns: Vec<(String, &'static str)>,
    pub rows: Vec<Vec<Value>>,
}

/// A query over a table whose columns are known: what must hold of its rows, and what becomes of those.
pub(in super::super) struct Plan {
    wanted: Vec<Arc<Test>>,
    stages: Vec<Stage>,
    /// What the conditions say of `TimeGenerated`.
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// A condition over columns by their place.
enum Test {
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Empty(usize),
    Compare { column: usize, is_time: bool, comparator: Comparator, literals: Vec<Literal> },
}

impl Plan {
    /// Prepares a query for a table with these columns.
    pub(in super::super) fn new(query: Query, columns: &[(String, &'static str)]) -> Result<Self> {
        let mut plan = Self { wanted: Vec::new(), stages: Vec::new(), from: None, until: None };
        for stage in query.stages {
            match stage {
                // Conditions right behind the table are tested while its rows are read.
                Stage::Where(condition) if plan.stages.is_empty() => {
                    plan.narrow(&condition);
                    plan.wanted.push(Arc::new(bind(&condition, columns)?));
                }
                stage => plan.stages.push(stage),
            }
        }
        Ok(plan)
    }

    fn narrow(&mut self, condition: &Condition) {
        use Comparator::{Equal, Less, LessOrEqual, More, MoreOrEqual};
        match condition {
            Condition::And(all) => all.iter().for_each(|condition| self.narrow(condition)),
            Condition::Or(any) => {
                if let [only] = any.as_slice() {
                    self.narrow(only);
                }
            }
            Condition::Compare(column, comparator, literals) if column == "TimeGenerated" => {
                let Some(Literal::Time(time)) = literals.first() else { return };
                if matches!(comparator, More | MoreOrEqual | Equal) {
                    self.from = self.from.max(Some(*time));
                }
                if matches!(comparator, Less | LessOrEqual | Equal) {
                    self.until = Some(self.until.map_or(*time, |until| until.min(*time)));
                }
            }
            Condition::Compare(..) | Condition::Not(_) | Condition::Empty(_) => {}
        }
    }

    /// Whether a row of the table is wanted.
    pub(in super::super) fn wanted(&self) -> impl Fn(&[Value]) -> bool + Send + Sync + use<> {
        let tests = self.wanted.clone();
        move |row| tests.iter().all(|test| test.holds(row))
    }

    /// Everything behind the first conditions.
    pub(in super::super) fn run(self, mut table: Table) -> Result<Table> {
        for stage in self.stages {
            table = table.through(stage)?;
        }
        Ok(table)
    }
}

impl Table {
    fn place(&self, name: &str) -> Result<usize> {
        place(&self.columns, name)
    }

    fn through(mut self, stage: Stage) -> Result<Self> {
        match stage {
            Stage::Where(condition) => {
                let test = bind(&condition, &self.columns)?;
                self.rows.retain(|row| test.holds(row));
            }
            Stage::Take(count) => self.rows.truncate(count),
            Stage::Project(columns) => return self.project(&columns),
            Stage::Distinct(names) => {
                let same: Vec<_> = names.into_iter().map(|name| (name.clone(), name)).collect();
                let mut table = self.project(&same)?;
                let mut seen = std::collections::HashSet::new();
                table.rows.retain(|row| seen.insert(Value::Array(row.clone()).to_string()));
                return Ok(table);
            }
            Stage::Order(columns) => self.order(&columns)?,
            Stage::Count(alias, by) => return self.count(alias, &by),
        }
        Ok(self)
    }

    fn project(self, columns: &[(String, String)]) -> Result<Self> {
        let places = columns.iter().map(|(_, column)| self.place(column)).collect::<Result<Vec<_>>>()?;
        let kind = |place: &usize| self.columns.get(*place).map_or("string", |(_, kind)| kind);
        let named = columns.iter().zip(&places).map(|((name, _), place)| (name.clone(), kind(place))).collect();
        let pick = |row: &Vec<Value>| places.iter().map(|place| cell(row, *place).clone()).collect();
        Ok(Self { columns: named, rows: self.rows.iter().map(pick).collect() })
    }

    fn order(&mut self, columns: &[(String, bool)]) -> Result<()> {
        let mut keys = Vec::new();
        for (name, is_ascending) in columns {
            let place = self.place(name)?;
            let is_time = self.columns.get(place).is_some_and(|(_, kind)| *kind == "datetime");
            keys.push((place, is_time, *is_ascending));
        }
        self.rows.sort_by(|a, b| {
            let one = |(place, is_time, is_ascending): &(usize, bool, bool)| {
                let ordering = order_of(cell(a, *place), cell(b, *place), *is_time);
                if *is_ascending { ordering } else { ordering.reverse() }
            };
            keys.iter().map(one).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
        });
        Ok(())
    }

    fn count(self, alias: String, by: &[String]) -> Result<Self> {
        let places = by.iter().map(|name| self.place(name)).collect::<Result<Vec<_>>>()?;
        let mut groups: BTreeMap<String, (Vec<Value>, u64)> = BTreeMap::new();
        if by.is_empty() {
            groups.insert(String::new(), (Vec::new(), 0));
        }
        for row in &self.rows {
            let key: Vec<Value> = places.iter().map(|place| cell(row, *place).clone()).collect();
            let text = if by.is_empty() { String::new() } else { Value::Array(key.clone()).to_string() };
            let group = groups.entry(text).or_insert((key, 0));
            group.1 = group.1.saturating_add(1);
        }
        let mut columns: Vec<_> = places.iter().filter_map(|place| self.columns.get(*place).cloned()).collect();
        columns.push((alias, "long"));
        let rows = groups.into_values().map(|(mut key, count)| {
            key.push(json!(count));
            key
        });
        Ok(Self { columns, rows: rows.collect() })
    }
}

fn place(columns: &[(String, &'static str)], name: &str) -> Result<usize> {
    let found = columns.iter().position(|(column, _)| column == name);
    found.ok_or_else(|| wrong(format_args!("there is no column `{name}`")))
}

fn cell(row: &[Value], place: usize) -> &Value {
    row.get(place).unwrap_or(&Value::Null)
}

fn bind(condition: &Condition, columns: &[(String, &'static str)]) -> Result<Test> {
    let all =
        |conditions: &[Condition]| conditions.iter().map(|inner| bind(inner, columns)).collect::<Result<Vec<_>>>();
    Ok(match condition {
        Condition::And(inner) => Test::And(all(inner)?),
        Condition::Or(inner) => Test::Or(all(inner)?),
        Condition::Not(inner) => Test::Not(Box::new(bind(inner, columns)?)),
        Condition::Empty(column) => Test::Empty(place(columns, column)?),
        Condition::Compare(column, comparator, literals) => {
            let at = place(columns, column)?;
            let is_time = columns.get(at).is_some_and(|(_, kind)| *kind == "datetime");
            Test::Compare { column: at, is_time, comparator: *comparator, literals: literals.clone() }
        }
    })
}

impl Test {
    fn holds(&self, row: &[Value]) -> bool {
        match self {
            Self::And(all) => all.iter().all(|test| test.holds(row)),
            Self::Or(any) => any.iter().any(|test| test.holds(row)),
            Self::Not(inner) => !inner.holds(row),
            Self::Empty(column) => match cell(row, *column) {
                Value::Null => true,
                Value::String(text) => text.is_empty(),
                _ => false,
            },
            Self::Compare { column, is_time, comparator, literals } => {
                literals.iter().any(|literal| compares(cell(row, *column), *is_time, *comparator, literal))
            }
        }
    }
}

fn compares(value: &Value, is_time: bool, comparator: Comparator, literal: &Literal) -> bool {
    let ordering = match (value, literal) {
        (Value::String(text), Literal::Time(time)) => Timestamp::parse_rfc3339(text).map(|at| at.cmp(time)),
        (Value::String(text), Literal::Text(wanted)) if is_time => {
            Timestamp::parse_rfc3339(text).zip(Timestamp::parse_rfc3339(wanted)).map(|(at, wanted)| at.cmp(&wanted))
        }
        (Value::String(text), Literal::Text(wanted)) => return compares_text(text, comparator, wanted),
        (Value::Number(number), Literal::Number(wanted)) => {
            number.as_f64().and_then(|number| number.partial_cmp(wanted))
        }
        (Value::Bool(flag), Literal::Flag(wanted)) => Some(flag.cmp(wanted)),
        _ => None,
    };
    ordering.is_some_and(|ordering| match comparator {
        Comparator::Equal | Comparator::EqualFolded | Comparator::In => ordering.is_eq(),
        Comparator::Less => ordering.is_lt(),
        Comparator::LessOrEqual => ordering.is_le(),
        Comparator::More => ordering.is_gt(),
        Comparator::MoreOrEqual => ordering.is_ge(),
        Comparator::Contains | Comparator::StartsWith | Comparator::EndsWith => false,
    })
}

fn compares_text(text: &str, comparator: Comparator, wanted: &str) -> bool {
    // These do not tell cases apart in Kusto.
    let folded = |holds: fn(&str, &str) -> bool| holds(&text.to_lowercase(), &wanted.to_lowercase());
    match comparator {
        Comparator::Equal | Comparator::In => text == wanted,
        Comparator::EqualFolded => text.eq_ignore_ascii_case(wanted),
        Comparator::Less => text < wanted,
        Comparator::LessOrEqual => text <= wanted,
        Comparator::More => text > wanted,
        Comparator::MoreOrEqual => text >= wanted,
        Comparator::Contains => folded(|text, wanted| text.contains(wanted)),
        Comparator::StartsWith => folded(|text, wanted| text.starts_with(wanted)),
        Comparator::EndsWith => folded(|text, wanted| text.ends_with(wanted)),
    }
}

/// Nothing comes before everything.
fn order_of(a: &Value, b: &Value, is_time: bool) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        (Value::String(a), Value::String(b)) if is_time => {
            Timestamp::parse_rfc3339(a).cmp(&Timestamp::parse_rfc3339(b))
        }
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => a.to_string().cmp(&b.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn table() -> Table {
        let columns = [("TimeGenerated", "datetime"), ("Name", "string"), ("Size", "int")];
        let columns = columns.map(|(name, kind)| (name.to_owned(), kind)).into();
        let rows = vec![
            vec![json!("1970-01-01T00:00:02Z"), json!("b"), json!(2)],
            vec![json!("1970-01-01T00:00:01.5Z"), json!("Abc"), json!(1)],
            vec![json!("1970-01-01T00:00:03Z"), json!("b"), Value::Null],
        ];
        Table { columns, rows }
    }

    fn run(query: &str) -> Result<Vec<Vec<Value>>> {
        let table = table();
        let plan = Plan::new(parse(query, Timestamp(4000))?, &table.columns)?;
        let wanted = plan.wanted();
        let rows = table.rows.into_iter().filter(|row| wanted(row)).collect();
        Ok(plan.run(Table { rows, ..table })?.rows)
    }

    #[test]
    fn queries_mean_what_kusto_means() {
        let cases = [
            ("T | where Name == 'b' | count", json!([[2]])),
            ("T | where Name != \"b\" | project Size", json!([[1]])),
            (
                "T | where Name startswith 'a' or Size > 1 | project n = Name, Size | order by Size asc",
                json!([["Abc", 1], ["b", 2]]),
            ),
            ("T | where TimeGenerated >= ago(2s) | summarize count() by Name", json!([["b", 2]])),
            ("T | where TimeGenerated < datetime('1970-01-01T00:00:02Z') | project Name", json!([["Abc"]])),
            ("T | where isempty(Size) | project Name", json!([["b"]])),
            ("T | where not(isempty(Size)) and Name in ('b', 'x') | project Size", json!([[2]])),
            ("T | where Name !in ('b') | distinct Name", json!([["Abc"]])),
            ("T | where Name !contains 'B' | project Name", json!([])),
            ("T | sort by TimeGenerated asc | project Name | take 1 // the first", json!([["Abc"]])),
            ("T | distinct Name | summarize n=count()", json!([[2]])),
            ("T | where Size == 7 | count", json!([[0]])),
        ];
        for (query, wanted) in cases {
            assert_eq!(json!(run(query).unwrap()), wanted, "{query}");
        }
        for bad in [
            "T | where Colour == 'red'",
            "T | project Colour",
            "T | order by Colour",
            "T | summarize count() by Colour",
        ] {
            assert!(run(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_range_is_found_in_the_conditions() {
        let range = |query: &str| {
            let plan = Plan::new(parse(query, Timestamp(4000)).unwrap(), &table().columns).unwrap();
            (plan.from, plan.until)
        };
        let both = "T | where TimeGenerated > ago(2s) and Name == 'b' | where TimeGenerated <= now()";
        assert_eq!(range(both), (Some(Timestamp(2000)), Some(Timestamp(4000))));
        assert_eq!(range("T | where TimeGenerated > ago(2s) or Name == 'b'"), (None, None));
        assert_eq!(range("T | where not(TimeGenerated > ago(2s))"), (None, None));
    }
}
