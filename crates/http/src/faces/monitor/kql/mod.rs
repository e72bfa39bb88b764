//! A small, bounded part of the Kusto query language (KQL): where, project, distinct, take, order by, count, summarize count().

mod eval;
mod parse;
mod token;

pub(super) use eval::{Plan, Table};
pub(super) use parse::parse;

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Timestamp;

    #[test]
    fn what_is_not_offered_or_no_query_is_refused() {
        for bad in [
            "",
            "| take 1",
            "T | where",
            "T | where a ==",
            "T | where a == 'x",
            "T | where (a == 1",
            "T | where a == 1 and",
            "T | where a like 'x'",
            "T | where a == ago(5)",
            "T | join U on a",
            "T | extend b = a",
            "T | summarize avg(a) by b",
            "T | take x",
            "T | order a",
            "T | project",
            "T take 1",
            "T | where a == 5w",
            "T ; U",
            &format!("T | where {}a == 1{}", "(".repeat(40), ")".repeat(40)),
            &format!("T{}", " | take 1".repeat(40)),
            &"T".repeat(9000),
            "T | project a, a",
            "T | project a = b, a = c",
            "T | distinct a, b, a",
            "T | order by a asc, a desc",
            "T | summarize a = count() by a",
            &format!("T | project c{}", (0..64).map(|n| format!(", c{n}")).collect::<String>()),
            &format!("T | where a in (0{})", ", 0".repeat(100)),
            &format!("T{}", " | where a in (1, 2, 3, 4, 5)".repeat(21)),
        ] {
            assert!(parse(bad, Timestamp(0)).is_err(), "{bad}");
        }
        let widest = (1..64).map(|n| format!(", c{n}")).collect::<String>();
        assert!(parse(&format!("T | project c0{widest} | where a in (0{})", ", 0".repeat(99)), Timestamp(0)).is_ok());
    }
}
