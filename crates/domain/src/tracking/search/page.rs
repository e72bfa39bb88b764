//! Pages of a search, picked while the records pass by: what is kept is one page, however many records there are. A token says
//! where in the ordering a page ended, not how far down: what is added, changed or deleted in between neither repeats nor
//! hides anything else.

use std::{
    cmp,
    collections::BinaryHeap,
    hash::{DefaultHasher, Hash, Hasher},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::Result;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Ordering, Searchable, order::Spot};
use crate::tracking::{Query, text};

/// Most bytes of text on one page, about. A page that would hold more is shorter, and the next one goes on.
pub(in crate::tracking) const MOST_BYTES: usize = 64 << 20;

/// One page.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    /// What to ask for the next page with; none when this is the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Changes the items.
    pub(crate) fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(change).collect(), next: self.next }
    }
}

/// Picks the items of one page: the first of the ordering after the spot that the token names.
pub(in crate::tracking) struct Picker<'q, T> {
    order: &'q Ordering,
    question: &'q str,
    most: usize,
    most_bytes: usize,
    after: Option<Spot>,
    held: BinaryHeap<Held<'q, T>>,
    bytes: usize,
    /// The first of those that found no room: nothing from there on belongs to this page.
    turned_away: Option<Held<'q, T>>,
}

impl<'q, T: Searchable> Picker<'q, T> {
    /// `question` is all that decides what is found and how it is sorted: a token of another one is refused.
    pub(in crate::tracking) fn new(order: &'q Ordering, query: &Query, question: &'q str) -> Result<Self> {
        let after = read_token::<Spot>(query.page_token.as_deref(), question)?;
        if after.as_ref().is_some_and(|spot| !order.knows(spot)) {
            return Err(foreign(query.page_token.as_deref().unwrap_or_default()));
        }
        Ok(Self {
            order,
            question,
            most: query.most,
            most_bytes: MOST_BYTES,
            after,
            held: BinaryHeap::new(),
            bytes: 0,
            turned_away: None,
        })
    }

    /// Takes an item, if it belongs to the page as far as is known by now.
    pub(in crate::tracking) fn offer(&mut self, item: T) {
        if self.after.as_ref().is_some_and(|spot| self.order.compare_to(&item, spot).is_le()) {
            return;
        }
        let held = Held { size: item.size(), item, order: self.order };
        if self.turned_away.as_ref().is_some_and(|first| held >= *first) {
            return;
        }
        self.bytes = self.bytes.saturating_add(held.size);
        self.held.push(held);
        while self.held.len() > self.most || (self.bytes > self.most_bytes && self.held.len() > 1) {
            let Some(last) = self.held.pop() else { return };
            self.bytes = self.bytes.saturating_sub(last.size);
            self.turned_away = Some(last);
        }
    }

    /// The items in order, and whether there are more.
    pub(in crate::tracking) fn finish(self) -> (Vec<T>, bool) {
        let has_more = self.turned_away.is_some();
        (self.held.into_sorted_vec().into_iter().map(|held| held.item).collect(), has_more)
    }

    /// The page.
    pub(in crate::tracking) fn page(self) -> Page<T> {
        let (order, question) = (self.order, self.question);
        let (items, has_more) = self.finish();
        let next = items.last().filter(|_| has_more).map(|last| write_token(&order.spot(last), question));
        Page { items, next }
    }
}

/// An item that knows its place.
struct Held<'q, T> {
    item: T,
    size: usize,
    order: &'q Ordering,
}

impl<T: Searchable> Ord for Held<'_, T> {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        self.order.compare(&self.item, &other.item)
    }
}

impl<T: Searchable> PartialOrd for Held<'_, T> {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Searchable> PartialEq for Held<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Searchable> Eq for Held<'_, T> {}

#[derive(Serialize, Deserialize)]
struct Token<S> {
    /// Where the page ended.
    after: S,
    /// The question it belongs to.
    query: u64,
}

/// A token for what comes after a spot.
pub(in crate::tracking) fn write_token<S: Serialize>(after: &S, question: &str) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&Token { after, query: hash(question) }).unwrap_or_default())
}

/// The spot that a token names; none without a token.
///
/// # Errors
/// `Invalid` for a token that was not given for this question.
pub(in crate::tracking) fn read_token<S: DeserializeOwned>(token: Option<&str>, question: &str) -> Result<Option<S>> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    let parsed = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| serde_json::from_slice::<Token<S>>(&bytes).ok());
    let parsed = parsed.filter(|parsed| parsed.query == hash(question));
    parsed.map(|parsed| Some(parsed.after)).ok_or_else(|| foreign(token))
}

fn foreign(token: &str) -> kernel::Error {
    text::bad("page_token", token, "it was not given for this question")
}

fn hash(question: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    question.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::{super::Field, super::Value, *};

    impl Searchable for u32 {
        fn value(&self, _: &Field) -> Value<'_> {
            Value::Number(f64::from(*self))
        }

        fn size(&self) -> usize {
            10
        }
    }

    fn asked(most: usize, page_token: Option<String>) -> Query {
        Query { most, page_token, ..Query::default() }
    }

    fn pick(items: &[u32], most: usize, token: Option<&String>) -> Page<u32> {
        let order = Ordering::by("self", true);
        let mut picker = Picker::new(&order, &asked(most, token.cloned()), "q").unwrap();
        items.iter().for_each(|item| picker.offer(*item));
        picker.page()
    }

    #[test]
    fn pages_neither_repeat_nor_hide() {
        let first = pick(&[40, 10, 30, 20], 2, None);
        assert_eq!(first.items, [10, 20]);
        let token = first.next.unwrap();
        let cases: [(&str, &[u32], &[u32]); 3] = [
            ("inserted before", &[5, 40, 10, 20, 30], &[30, 40]),
            ("deleted", &[40, 30], &[30, 40]),
            ("inserted behind", &[10, 20, 25, 30], &[25, 30]),
        ];
        for (case, items, expected) in cases {
            let second = pick(items, 2, Some(&token));
            assert_eq!((second.items.as_slice(), second.next), (expected, None), "{case}");
        }
        assert_eq!((pick(&[1, 2], 0, None).items.len(), pick(&[1, 2], 0, None).next), (0, None));
    }

    #[test]
    fn foreign_tokens_are_refused() {
        let token = pick(&[1, 2], 1, None).next.unwrap();
        let order = Ordering::by("self", true);
        let longer = Ordering::by("self", true).then(Ordering::by("other", true));
        assert!(Picker::<u32>::new(&order, &asked(1, Some(token.clone())), "other").is_err());
        assert!(Picker::<u32>::new(&longer, &asked(1, Some(token)), "q").is_err());
        for bad in ["x", "e30", "!!", &"A".repeat(5000)] {
            assert!(Picker::<u32>::new(&order, &asked(1, Some(bad.to_owned())), "q").is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_kept_is_one_page() {
        let order = Ordering::by("self", true);
        let mut picker = Picker::new(&order, &asked(10, None), "q").unwrap();
        for at in 0..100_000_u32 {
            // 7919 is a prime that does not divide 100 000.
            picker.offer(at * 7919 % 100_000);
            assert!(picker.held.len() <= 10);
        }
        assert_eq!(picker.finish(), ((0..10).collect(), true));
    }

    #[test]
    fn a_heavy_page_is_shorter_and_the_next_goes_on() {
        let order = Ordering::by("self", true);
        for most_bytes in [5, 10, 35, 1000] {
            let (mut found, mut token) = (Vec::new(), None);
            loop {
                let mut picker = Picker::new(&order, &asked(6, token), "q").unwrap();
                picker.most_bytes = most_bytes;
                // A light one that comes late must not stand before a heavy one that had to go.
                [17_u32, 3, 11, 5, 2, 19, 13, 7].into_iter().for_each(|item| picker.offer(item));
                let page = picker.page();
                assert!((1..=6.min(most_bytes.div_ceil(10))).contains(&page.items.len()));
                found.extend(page.items);
                token = page.next;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(found, [2, 3, 5, 7, 11, 13, 17, 19], "{most_bytes} bytes a page");
        }
    }
}
