//! Opcodes of pickles that look up and call nothing: values, texts, tuples, lists, dictionaries, and the memo.

use std::sync::Arc;

use super::{
    feed::Feed,
    pickle::{Machine, Step, Stop, Value},
};

/// Bytes of a name; a longer one is none.
const LONGEST_NAME: usize = 512;
/// Entries of a dictionary that are kept: those of an array's wrapper are fewer.
const MOST_ENTRIES: usize = 16;

impl Machine<'_> {
    /// Opcodes that look up and call nothing.
    pub(super) fn plain(&mut self, code: u8, feed: &mut dyn Feed) -> Step {
        match code {
            b'(' => self.stack.push(Value::Mark),
            b'0' => drop(self.stack.pop().ok_or(Stop::Broken)?),
            b'1' => drop(self.down_to_mark()?),
            b'2' => {
                let top = self.stack.last().cloned().ok_or(Stop::Broken)?;
                self.stack.push(top);
            }
            b'N' | 0x88 | 0x89 | 0x8f | b']' | 0x97 => self.stack.push(Value::Other),
            b'}' => self.stack.push(Value::Entries(Arc::default())),
            b')' => self.stack.push(Value::Shape(Arc::from([]))),
            // Numbers.
            b'I' | b'L' => {
                let number = line(feed)?.and_then(|text| text.trim_end_matches('L').trim().parse().ok());
                self.stack.push(number.map_or(Value::Other, Value::Int));
            }
            b'F' | b'P' => {
                line(feed)?;
                self.stack.push(Value::Other);
            }
            b'J' => {
                let number = i32::from_le_bytes(bytes(feed)?);
                self.stack.push(Value::Int(number.into()));
            }
            b'K' => {
                let [number] = bytes::<1>(feed)?;
                self.stack.push(Value::Int(number.into()));
            }
            b'M' => {
                let number = u16::from_le_bytes(bytes(feed)?);
                self.stack.push(Value::Int(number.into()));
            }
            b'G' => self.bytes_of(feed, 8)?,
            0x8a => {
                let [length] = bytes::<1>(feed)?;
                self.long(feed, length.into())?;
            }
            0x8b => {
                let length = u32::from_le_bytes(bytes(feed)?);
                self.long(feed, length.into())?;
            }
            // Texts and bytes.
            b'S' => {
                let text = line(feed)?.and_then(|text| unquoted(&text));
                self.stack.push(text.map_or(Value::Other, Value::Text));
            }
            b'V' => {
                // An escape could spell any name: a text with one is none that can be followed.
                let text = line(feed)?.filter(|text| !text.contains('\\'));
                self.stack.push(text.map_or(Value::Other, |text| Value::Text(text.into())));
            }
            b'T' | b'X' => {
                let length = u32::from_le_bytes(bytes(feed)?);
                self.text(feed, length.into())?;
            }
            b'U' | 0x8c => {
                let [length] = bytes::<1>(feed)?;
                self.text(feed, length.into())?;
            }
            0x8d => {
                let length = u64::from_le_bytes(bytes(feed)?);
                self.text(feed, length)?;
            }
            b'B' => {
                let length = u32::from_le_bytes(bytes(feed)?);
                self.bytes_of(feed, length.into())?;
            }
            b'C' => {
                let [length] = bytes::<1>(feed)?;
                self.bytes_of(feed, length.into())?;
            }
            0x8e | 0x96 => {
                let length = u64::from_le_bytes(bytes(feed)?);
                self.bytes_of(feed, length)?;
            }
            0x80 => drop(bytes::<1>(feed)?),
            0x95 => drop(bytes::<8>(feed)?),
            0x98 => {}
            b'Q' => {
                self.pop()?;
                self.stack.push(Value::Other);
            }
            _ => return self.holding(code, feed),
        }
        Ok(())
    }

    /// Tuples, lists, dictionaries and the memo.
    fn holding(&mut self, code: u8, feed: &mut dyn Feed) -> Step {
        match code {
            b't' => {
                let items = self.down_to_mark()?;
                self.stack.push(tuple(&items));
            }
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84)).ok_or(Stop::Broken)?;
                let items = self.stack.split_off(from);
                self.stack.push(tuple(&items));
            }
            b'l' | 0x91 => {
                self.down_to_mark()?;
                self.stack.push(Value::Other);
            }
            b'd' => {
                let items = self.down_to_mark()?;
                self.stack.push(Value::Entries(Arc::default()));
                self.set(&items);
            }
            b'a' => drop(self.pop()?),
            b'e' | 0x90 => drop(self.down_to_mark()?),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value]);
            }
            b'u' => {
                let items = self.down_to_mark()?;
                self.set(&items);
            }
            b'p' => {
                let at = index(feed)?;
                self.remember(at)?;
            }
            b'q' => {
                let [at] = bytes::<1>(feed)?;
                self.remember(at.into())?;
            }
            b'r' => {
                let at = u32::from_le_bytes(bytes(feed)?);
                self.remember(at.into())?;
            }
            0x94 => {
                let at = u64::try_from(self.memo.len()).unwrap_or(u64::MAX);
                self.remember(at)?;
            }
            b'g' => {
                let at = index(feed)?;
                self.recall(at)?;
            }
            b'h' => {
                let [at] = bytes::<1>(feed)?;
                self.recall(at.into())?;
            }
            b'j' => {
                let at = u32::from_le_bytes(bytes(feed)?);
                self.recall(at.into())?;
            }
            _ => return Err(Stop::Broken),
        }
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Step<Value> {
        match self.stack.pop() {
            Some(Value::Mark) | None => Err(Stop::Broken),
            Some(value) => Ok(value),
        }
    }

    pub(super) fn down_to_mark(&mut self) -> Step<Vec<Value>> {
        let at = self.stack.iter().rposition(|value| matches!(value, Value::Mark)).ok_or(Stop::Broken)?;
        let items = self.stack.split_off(at.saturating_add(1));
        self.stack.pop();
        Ok(items)
    }

    fn remember(&mut self, at: u64) -> Step {
        let top = self.stack.last().cloned().ok_or(Stop::Broken)?;
        self.memo.insert(at, top);
        Ok(())
    }

    fn recall(&mut self, at: u64) -> Step {
        let value = self.memo.get(&at).cloned().ok_or(Stop::Broken)?;
        self.stack.push(value);
        Ok(())
    }

    fn set(&mut self, items: &[Value]) {
        let Some(Value::Entries(entries)) = self.stack.last_mut() else { return };
        for pair in items.chunks_exact(2) {
            let [Value::Text(key), value] = pair else { continue };
            if entries.len() < MOST_ENTRIES && !matches!(value, Value::Entries(_) | Value::Mark) {
                Arc::make_mut(entries).push((Arc::clone(key), value.clone()));
            }
        }
    }

    fn bytes_of(&mut self, feed: &mut dyn Feed, length: u64) -> Step {
        feed.skip(length)?;
        self.stack.push(Value::Other);
        Ok(())
    }

    fn text(&mut self, feed: &mut dyn Feed, length: u64) -> Step {
        let Some(short) = usize::try_from(length).ok().filter(|length| *length <= LONGEST_NAME) else {
            return self.bytes_of(feed, length);
        };
        let mut text = vec![0; short];
        feed.fill(&mut text)?;
        let text = String::from_utf8(text).ok();
        self.stack.push(text.map_or(Value::Other, |text| Value::Text(text.into())));
        Ok(())
    }

    /// A number of so many bytes, little end first.
    fn long(&mut self, feed: &mut dyn Feed, length: u64) -> Step {
        let mut number = [0_u8; 8];
        let Some(into) = usize::try_from(length).ok().and_then(|length| number.get_mut(..length)) else {
            return self.bytes_of(feed, length);
        };
        feed.fill(into)?;
        if into.last().is_some_and(|last| *last >= 0x80) {
            self.stack.push(Value::Other);
        } else {
            self.stack.push(Value::Int(i64::from_le_bytes(number)));
        }
        Ok(())
    }
}

fn tuple(items: &[Value]) -> Value {
    match items.first() {
        Some(Value::Text(first)) => return Value::Named(Arc::clone(first)),
        _ if items.len() > MOST_ENTRIES * 2 => return Value::Other,
        _ => {}
    }
    let numbers: Option<Vec<i64>> =
        items.iter().map(|item| if let Value::Int(number) = item { Some(*number) } else { None }).collect();
    numbers.map_or(Value::Other, |numbers| Value::Shape(numbers.into()))
}

/// Bytes of one item of a type of numbers, as numpy names it: `f8`, `<i4`, `U10`.
pub(super) fn item_size(kind: &str) -> Option<u64> {
    let kind = kind.trim_start_matches(['<', '>', '=']);
    let (letter, digits) = kind.split_at_checked(1)?;
    let size: u64 = digits.parse().ok()?;
    match letter {
        "b" | "i" | "u" | "f" | "c" | "S" | "a" | "V" | "M" | "m" => Some(size),
        "U" => size.checked_mul(4),
        _ => None,
    }
}

pub(super) fn bytes<const N: usize>(feed: &mut dyn Feed) -> Step<[u8; N]> {
    let mut out = [0; N];
    feed.fill(&mut out)?;
    Ok(out)
}

/// A line without its end; none when it is too long for a name, or no text. It is read to its end all the same.
pub(super) fn line(feed: &mut dyn Feed) -> Step<Option<String>> {
    let mut out = Vec::new();
    loop {
        let [byte] = bytes::<1>(feed)?;
        if byte == b'\n' {
            let fits = out.len() <= LONGEST_NAME;
            return Ok(String::from_utf8(out).ok().filter(|_| fits));
        }
        if out.len() <= LONGEST_NAME {
            out.push(byte);
        }
    }
}

/// A place in the memo, as Python reads numbers: `+1_0` is ten. What is too long to be read here a loader may read.
fn index(feed: &mut dyn Feed) -> Step<u64> {
    let (mut text, mut is_over) = (String::new(), false);
    loop {
        let [byte] = bytes::<1>(feed)?;
        match byte {
            b'\n' => break,
            // To CPython the number ends there.
            0 => is_over = true,
            _ if is_over => {}
            b'0'..=b'9' | b'_' | b'+' | b'-' | b' ' | b'\t' | 0x0b..=b'\r' => {
                if text.len() <= LONGEST_NAME {
                    text.push(char::from(byte));
                }
            }
            _ => return Err(Stop::Broken),
        }
    }
    if text.len() > LONGEST_NAME {
        return Err(Stop::TooMuch);
    }
    text.trim().trim_start_matches(['+', '-']).replace('_', "").parse().map_err(|_| Stop::Broken)
}

/// What stands between quotes; none with an escape, which could spell any name.
fn unquoted(text: &str) -> Option<Arc<str>> {
    let text = text.trim();
    let inner = ['\'', '"'].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))?;
    (!inner.contains('\\')).then(|| Arc::from(inner))
}
