//! Pages of a sorted list. A token names the last item seen and where it stood: while that item is still in the list the next
//! page begins right after it, so that what was inserted in between neither repeats nor hides anything.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::Result;
use serde::{Deserialize, Serialize};

use crate::tracking::text;

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

#[derive(Serialize, Deserialize)]
struct Token {
    /// How many items came before.
    offset: usize,
    /// Name of the last of them.
    after: String,
    /// The question it belongs to.
    query: u64,
}

/// Cuts a page out of a sorted list. `query` is the question (filter, order and so on): a token of another one is refused.
pub(crate) fn page_of<T>(
    items: Vec<T>,
    most: usize,
    token: Option<&str>,
    query: &str,
    name: impl Fn(&T) -> String,
) -> Result<Page<T>> {
    let mut hasher = DefaultHasher::new();
    query.hash(&mut hasher);
    let query = hasher.finish();
    let start = match token.filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => {
            let token = read(token, query)?;
            let stood = token.offset.checked_sub(1).and_then(|at| items.get(at));
            match stood {
                Some(item) if name(item) == token.after => token.offset,
                _ => match items.iter().position(|item| name(item) == token.after) {
                    Some(at) => at.saturating_add(1),
                    None => token.offset,
                },
            }
        }
    };
    let end = start.saturating_add(most);
    let has_more = end < items.len() && most > 0;
    let items: Vec<T> = items.into_iter().skip(start).take(most).collect();
    let next = match (has_more, items.last()) {
        (true, Some(last)) => Some(write(&Token { offset: end, after: name(last), query })),
        _ => None,
    };
    Ok(Page { items, next })
}

fn write(token: &Token) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(token).unwrap_or_default())
}

fn read(token: &str, query: u64) -> Result<Token> {
    let parsed = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| serde_json::from_slice::<Token>(&bytes).ok());
    parsed
        .filter(|parsed| parsed.query == query)
        .ok_or_else(|| text::bad("page_token", token, "it was not given for this question"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_neither_repeat_nor_hide_under_inserts() {
        let name = |item: &u32| item.to_string();
        let first = page_of(vec![10, 20, 30, 40], 2, None, "q", name).unwrap();
        assert_eq!(first.items, [10, 20]);
        let token = first.next.unwrap();
        let second = page_of(vec![5, 10, 20, 30, 40], 2, Some(&token), "q", name).unwrap();
        assert_eq!((second.items, second.next), (vec![30, 40], None));
        let gone = page_of(vec![10, 30, 40], 2, Some(&token), "q", name).unwrap();
        assert_eq!(gone.items, [40]);
        assert!(page_of(vec![1], 1, Some(&token), "other", name).is_err());
        for bad in ["x", "e30", "!!", &"A".repeat(5000)] {
            assert!(page_of(vec![1], 1, Some(bad), "q", name).is_err());
        }
    }
}
