//! Tokens and costs of a whole trace, from those of its spans.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::span::SpanHead;

/// Adds up what the spans say under `of`. Some frameworks say of a step the sum of the steps within it: below a span that says
/// anything, nothing is counted again.
pub(super) fn sum<'h>(
    heads: &'h [SpanHead],
    of: impl Fn(&'h SpanHead) -> &'h BTreeMap<String, f64>,
) -> BTreeMap<String, f64> {
    let by_id: HashMap<&str, &SpanHead> = heads.iter().map(|head| (head.id.as_str(), head)).collect();
    let mut covered: HashMap<&str, bool> = HashMap::new();
    let mut total: BTreeMap<String, f64> = BTreeMap::new();
    for head in heads.iter().filter(|head| !of(head).is_empty()) {
        if lies_below(head, &by_id, &mut covered, |head| !of(head).is_empty()) {
            continue;
        }
        for (key, value) in of(head) {
            *total.entry(key.clone()).or_default() += value;
        }
    }
    total
}

/// Whether a span above this one says something. Answers are remembered, so that a chain of spans is walked once.
fn lies_below<'h>(
    head: &'h SpanHead,
    by_id: &HashMap<&'h str, &'h SpanHead>,
    covered: &mut HashMap<&'h str, bool>,
    says: impl Fn(&'h SpanHead) -> bool,
) -> bool {
    let (mut path, mut seen, mut at) = (Vec::new(), HashSet::new(), head);
    let answer = loop {
        if let Some(known) = covered.get(at.id.as_str()) {
            break *known;
        }
        // Parents may form a ring: whoever sends spans says who is whose.
        if !seen.insert(at.id.as_str()) {
            break false;
        }
        path.push(at.id.as_str());
        match at.parent.as_deref().and_then(|parent| by_id.get(parent).copied()) {
            Some(above) if above.id != head.id && says(above) => break true,
            Some(above) => at = above,
            None => break false,
        }
    };
    covered.extend(path.into_iter().map(|id| (id, answer)));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>, tokens: Option<f64>) -> SpanHead {
        SpanHead {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            usage: tokens.map(|tokens| (String::from("total_tokens"), tokens)).into_iter().collect(),
            ..SpanHead::default()
        }
    }

    #[test]
    fn a_sum_that_a_step_says_of_those_within_it_is_not_counted_twice() {
        let spans = [
            span("root", None, None),
            span("agent", Some("root"), Some(30.0)),
            span("call 1", Some("agent"), Some(10.0)),
            span("tool", Some("agent"), None),
            span("call 2", Some("tool"), Some(20.0)),
            span("judge", Some("root"), Some(5.0)),
            span("lost", Some("elsewhere"), Some(1.0)),
            span("ring a", Some("ring b"), None),
            span("ring b", Some("ring a"), Some(2.0)),
        ];
        assert_eq!(sum(&spans, |head| &head.usage)["total_tokens"], 38.0);
        assert!(sum(&spans, |head| &head.cost).is_empty());
    }
}
