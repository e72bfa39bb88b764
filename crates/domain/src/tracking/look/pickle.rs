//! Reading a pickle without doing what it says: a machine whose stack holds names, and nothing that acts.
//!
//! The opcodes are those of CPython's `pickletools` (protocols 0 to 5). What decides what a pickle does are the names it looks up: each
//! is judged, whether it is called or not. Strings are followed through stack and memo, since protocol 4 takes names from there.
//! joblib writes the bytes of arrays between opcodes; where one must come, it is skipped. A loader that knows nothing of joblib reads the
//! same bytes as opcodes, and so they are read both ways: what hides from one in what the other skips is found.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::Arc,
};

use super::{
    feed::{Feed, Taped},
    names::{Danger, judge},
    opcodes::{bytes, item_size, line},
};

/// Values on the stack, and in the memo, at once.
const MOST_VALUES: usize = 1 << 20;
/// Different names that are told.
pub(super) const MOST_NAMES: usize = 50;
/// Pickles within arrays of pickles.
const DEEPEST: usize = 8;
/// Values that are copied to read something in two ways, in one pickle.
const MOST_COPIES: usize = 20_000_000;
/// Bytes of an array that are read as opcodes too.
const MOST_PLAIN: u64 = 1 << 20;
/// Bytes of a pickle within an array that are read in two ways.
const MOST_TAPED: usize = 16 << 20;
/// Pickles in one file, one after the other.
const MOST_STREAMS: usize = 64;

/// What was found, by what was found.
pub(super) type Found = BTreeMap<String, Danger>;

/// Why reading ended before the end.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is no pickle, or a broken one. A loader stops there too.
    Broken,
    /// It is larger than what is looked at.
    TooMuch,
    /// The file could not be read.
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(fault: io::Error) -> Self {
        match fault.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Self::Broken,
            io::ErrorKind::FileTooLarge => Self::TooMuch,
            _ => Self::Failed(fault),
        }
    }
}

pub(super) type Step<T = ()> = Result<T, Stop>;

/// What the machine knows of a value. None holds another of its own kind, so that none is deep.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Mark,
    Other,
    Int(i64),
    Text(Arc<str>),
    /// A name that was looked up: module and name.
    Global(Arc<str>),
    /// A tuple of numbers alone: a shape.
    Shape(Arc<[i64]>),
    /// A tuple that begins with a text: the arguments of a type of numbers.
    Named(Arc<str>),
    /// What came of calling a name, with what `Named` said.
    Made(Arc<str>, Option<Arc<str>>),
    /// A dictionary's entries that may matter.
    Entries(Arc<Vec<(Arc<str>, Value)>>),
}

impl Value {
    /// Whether it is certainly no text: names cannot be looked up by it.
    fn is_no_text(&self) -> bool {
        match self {
            Self::Text(_) | Self::Other => false,
            // An instance of a class, and never what a function gives.
            Self::Made(of, _) => {
                let name = of.rsplit('.').next().unwrap_or_default();
                name.starts_with(char::is_uppercase) || matches!(&**of, "numpy.dtype" | "numpy.ndarray")
            }
            Self::Mark | Self::Int(_) | Self::Global(_) | Self::Shape(_) | Self::Named(_) | Self::Entries(_) => true,
        }
    }
}

/// Reads pickles one after the other, as loaders of several do. What is wrong with a later one is no fault: data may follow.
pub(super) fn read(feed: &mut dyn Feed, found: &mut Found) -> Step {
    for count in 0..MOST_STREAMS {
        let mut machine = Machine::new(found, 0);
        match machine.run(feed) {
            Ok(()) => {}
            Err(Stop::Broken) if count > 0 => return Ok(()),
            other => return other,
        }
    }
    Ok(())
}

pub(super) struct Machine<'a> {
    found: &'a mut Found,
    /// Values that may still be copied to read something in two ways.
    copies: usize,
    /// Whether it reads as a loader does that knows nothing of joblib.
    is_plain: bool,
    pub(super) stack: Vec<Value>,
    pub(super) memo: HashMap<u64, Value>,
    depth: usize,
}

impl<'a> Machine<'a> {
    fn new(found: &'a mut Found, depth: usize) -> Self {
        Self { found, copies: MOST_COPIES, is_plain: false, stack: Vec::new(), memo: HashMap::new(), depth }
    }

    /// Reads what follows as opcodes, as a loader does that does not know that it is an array. Says whether they go on to the end.
    fn read_plainly(&mut self, mut bytes: &[u8]) -> Step {
        let size = self.stack.len().saturating_add(self.memo.len());
        self.copies = self.copies.checked_sub(size).ok_or(Stop::TooMuch)?;
        let (stack, memo) = (self.stack.clone(), self.memo.clone());
        let mut names = Found::new();
        let mut plain = Machine { found: &mut names, copies: 0, is_plain: true, stack, memo, depth: self.depth };
        let done = plain.run(&mut bytes);
        let is_over = matches!(done, Err(Stop::Broken)) && !bytes.is_empty();
        self.found.extend(names.into_iter().filter(|(_, danger)| *danger == Danger::Dangerous));
        if !is_over {
            self.tell(Danger::Unread, String::from("an array that is opcodes when it is read in another way"));
        }
        Ok(())
    }

    /// Runs to `STOP`.
    fn run(&mut self, feed: &mut dyn Feed) -> Step {
        loop {
            let [code] = bytes::<1>(feed)?;
            if code == b'.' {
                return Ok(());
            }
            self.step(code, feed)?;
            if self.stack.len() > MOST_VALUES || self.memo.len() > MOST_VALUES {
                return Err(Stop::TooMuch);
            }
        }
    }

    fn step(&mut self, code: u8, feed: &mut dyn Feed) -> Step {
        match code {
            // Names.
            b'c' => {
                let (module, name) = (line(feed)?, line(feed)?);
                let value = self.global("GLOBAL", module, name);
                self.stack.push(value);
            }
            b'i' => {
                let (module, name) = (line(feed)?, line(feed)?);
                let value = self.global("INST", module, name);
                self.down_to_mark()?;
                self.made(value, None);
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let value = match (module, name) {
                    (Value::Text(module), Value::Text(name)) => {
                        self.global("STACK_GLOBAL", Some(module.to_string()), Some(name.to_string()))
                    }
                    // Loaders take texts alone here, and nothing that is derived from them.
                    (module, name) if module.is_no_text() || name.is_no_text() => return Err(Stop::Broken),
                    _ => self.global("STACK_GLOBAL", None, None),
                };
                self.stack.push(value);
            }
            0x82 => self.extension::<1>(feed)?,
            0x83 => self.extension::<2>(feed)?,
            0x84 => self.extension::<4>(feed)?,
            // What calls them.
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.made(callable, Some(arguments));
            }
            0x92 => {
                self.pop()?;
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.made(callable, Some(arguments));
            }
            b'o' => {
                let class = self.down_to_mark()?.into_iter().next().unwrap_or(Value::Other);
                self.made(class, None);
            }
            b'b' => self.build(feed)?,
            _ => return self.plain(code, feed),
        }
        Ok(())
    }

    /// Looks a name up, which here is to judge it.
    fn global(&mut self, code: &str, module: Option<String>, name: Option<String>) -> Value {
        let (Some(module), Some(name)) = (module, name) else {
            // Read in another way than it was written, a file's numbers of memory mean other values.
            let danger = if self.is_plain { Danger::Suspicious } else { Danger::Dangerous };
            self.tell(danger, format!("a name that is made while the file is loaded (`{code}`)"));
            return Value::Other;
        };
        let whole = format!("{module}.{name}");
        if let Some(danger) = judge(&module, &name) {
            let shown: String = whole.chars().filter(|c| !c.is_control() && *c != '`').take(200).collect();
            self.tell(danger, format!("`{shown}` (`{code}`)"));
        }
        Value::Global(whole.into())
    }

    fn tell(&mut self, danger: Danger, what: String) {
        // What is worse than suspicious is always told, however many others there are.
        if self.found.len() < MOST_NAMES || danger > Danger::Suspicious && self.found.len() < 2 * MOST_NAMES {
            self.found.insert(what, danger);
        }
    }

    fn extension<const N: usize>(&mut self, feed: &mut dyn Feed) -> Step {
        bytes::<N>(feed)?;
        self.tell(Danger::Suspicious, String::from("a name from the loader's own register of extensions (`EXT`)"));
        self.stack.push(Value::Other);
        Ok(())
    }

    fn made(&mut self, callable: Value, arguments: Option<Value>) {
        let named = match arguments {
            Some(Value::Named(text)) => Some(text),
            _ => None,
        };
        let value = match callable {
            Value::Global(name) => Value::Made(name, named),
            _ => Value::Other,
        };
        self.stack.push(value);
    }

    /// Gives an object its state. joblib's loader reads an array there.
    fn build(&mut self, feed: &mut dyn Feed) -> Step {
        let state = self.pop()?;
        if self.is_plain {
            return if self.stack.is_empty() { Err(Stop::Broken) } else { Ok(()) };
        }
        let is_wrapper = match self.stack.last() {
            Some(Value::Made(class, _)) => class.ends_with("numpy_pickle.NumpyArrayWrapper"),
            Some(_) => false,
            None => return Err(Stop::Broken),
        };
        if !is_wrapper {
            return Ok(());
        }
        let Value::Entries(entries) = state else { return self.give_up_arrays() };
        let of = |name: &str| entries.iter().find(|(key, _)| &**key == name).map(|(_, value)| value);
        let count = match of("shape") {
            Some(Value::Shape(shape)) => {
                shape.iter().try_fold(1_u64, |count, side| count.checked_mul(u64::try_from(*side).ok()?))
            }
            Some(Value::Int(side)) => u64::try_from(*side).ok(),
            _ => None,
        };
        let Some(Value::Made(_, Some(kind))) = of("dtype") else { return self.give_up_arrays() };
        if kind.starts_with(['O', '|']) {
            if self.depth >= DEEPEST {
                return Err(Stop::TooMuch);
            }
            let mut taped = Taped::new(feed, MOST_TAPED);
            let mut inner = Machine::new(self.found, self.depth.saturating_add(1));
            inner.copies = self.copies;
            let done = inner.run(&mut taped);
            self.copies = inner.copies;
            let tape = taped.tape;
            if done.is_err() {
                self.give_up_arrays()?;
            }
            // It ends where the inner one does, in either reading.
            self.replay(&tape)?;
            return done;
        }
        let is_aligned = matches!(of("numpy_array_alignment_bytes"), Some(Value::Int(_)));
        let length = count.and_then(|count| count.checked_mul(item_size(kind)?));
        let Some(length) = length else { return self.give_up_arrays() };
        if is_aligned {
            let [padding] = bytes::<1>(feed)?;
            // No opcode is less than that, so that nobody goes on reading here.
            if padding >= b'(' {
                self.tell(Danger::Unread, String::from("an array that is opcodes when it is read in another way"));
            }
            feed.skip(padding.into())?;
            return Ok(feed.skip(length)?);
        }
        let head = feed.take(usize::try_from(length.min(MOST_PLAIN)).unwrap_or(0))?;
        if head.first().is_some_and(|first| *first >= b'(') {
            self.read_plainly(&head)?;
        }
        Ok(feed.skip(length.saturating_sub(u64::try_from(head.len()).unwrap_or(u64::MAX)))?)
    }

    /// From here on, reads as every loader but joblib's: what it would take for an array cannot be told.
    fn give_up_arrays(&mut self) -> Step {
        self.tell(Danger::Unread, String::from("an array whose form is not known"));
        self.is_plain = true;
        Ok(())
    }

    /// Reads an inner pickle once more, with what is on the stack and in the memo of the outer one.
    fn replay(&mut self, mut tape: &[u8]) -> Step {
        let size = self.stack.len().saturating_add(self.memo.len());
        self.copies = self.copies.checked_sub(size).ok_or(Stop::TooMuch)?;
        let (stack, memo) = (self.stack.clone(), self.memo.clone());
        let mut plain = Machine { found: &mut *self.found, copies: 0, is_plain: true, stack, memo, depth: self.depth };
        match plain.run(&mut tape) {
            Ok(()) | Err(Stop::Broken) => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> (Found, Step) {
        let mut found = Found::new();
        let done = read(&mut &*bytes, &mut found);
        (found, done)
    }

    fn worst(bytes: &[u8]) -> Option<Danger> {
        found(bytes).0.into_values().max()
    }

    #[test]
    fn a_call_of_the_system_is_found_in_every_protocol() {
        // `os.system("id")` as pickletools writes it, and as somebody does who wants it not to be found.
        let cases: &[(&str, &[u8])] = &[
            ("0", b"cposix\nsystem\np0\n(Vid\np1\ntp2\nRp3\n."),
            ("1", b"cos\nsystem\nq\x00(X\x02\x00\x00\x00idq\x01tq\x02Rq\x03."),
            ("2", b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03."),
            ("3", b"\x80\x03cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03."),
            ("4", b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94."),
            ("5", b"\x80\x05\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94."),
            ("inst", b"(S'id'\nios\nsystem\n."),
            ("obj", b"(cos\nsystem\nS'id'\no."),
            ("memo", b"\x80\x04\x8c\x06system\x940\x8c\x02os\x94h\x00\x93."),
            ("memo by line", b"Vos\np7\n0Vsystem\np8\n0g7\ng8\n\x93."),
            ("python 2", b"c__builtin__\neval\n(S'1'\ntR."),
            ("walked", b"\x80\x04\x8c\x07logging\x8c\x09os.system\x93."),
            ("broken off", b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R"),
            ("junk behind", b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R\xff\xff"),
            ("escaped", b"S'o\\x73'\nS'system'\n\x93."),
            ("made", b"\x80\x04\x8c\x02os]\x93."),
            ("second stream", b"\x80\x02N.\x80\x02cos\nsystem\n."),
        ];
        for (name, bytes) in cases {
            assert_eq!(worst(bytes), Some(Danger::Dangerous), "{name}");
        }
        let (found, _) = found(cases[4].1);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["`posix.system` (`STACK_GLOBAL`)"]);
    }

    #[test]
    fn ordinary_pickles_hold_nothing() {
        let cases: &[&[u8]] = &[
            b"N.",
            b"\x80\x04\x95\x0b\0\0\0\0\0\0\0}\x94\x8c\x01a\x94K\x01s.",
            b"\x80\x04]\x94(K\x01\x8c\x02os\x94\x8c\x06system\x94e.",
            b"(dp0\nS'x'\np1\nI1\ns.",
            b"\x80\x02csklearn.linear_model\nRidge\nq\x00)\x81q\x01}q\x02X\x01\0\0\0aK\x01sb.",
            b"\x80\x03C\x05cos\n.q\x00.",
        ];
        for bytes in cases {
            let (found, done) = found(bytes);
            assert!(found.is_empty() && done.is_ok(), "{found:?} {done:?}");
        }
    }

    #[test]
    fn an_array_between_the_opcodes_is_skipped() {
        // The wrapper of joblib with an array of two numbers of eight bytes, aligned to 16, and a name behind it.
        let wrapper = b"\x80\x04\x8c\x13joblib.numpy_pickle\x8c\x11NumpyArrayWrapper\x93)\x81}(\x8c\x05shapeK\x02\x85\x8c\x05dtype\
            \x8c\x05numpy\x8c\x05dtype\x93\x8c\x02f8\x89\x88\x87R(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\
            \x8c\x1bnumpy_array_alignment_bytesK\x10ub";
        let array = b"\x03...cos\nsystem\n.....";
        let array = array.get(..20).unwrap();
        let clean = [wrapper.as_slice(), array, b"."].concat();
        let (named, done) = found(&clean);
        assert!(named.is_empty() && done.is_ok(), "{named:?} {done:?}");
        let behind = [wrapper.as_slice(), array, b"cos\nsystem\n."].concat();
        assert_eq!(worst(&behind), Some(Danger::Dangerous));
        let of_objects = |inner: &[u8]| {
            let text = [wrapper.as_slice(), inner, b"."].concat();
            let at = text.windows(2).position(|two| two == b"f8").unwrap();
            let mut text = text;
            text.splice(at..at + 2, *b"O8");
            text
        };
        assert_eq!(worst(&of_objects(b"cos\nsystem\n.")), Some(Danger::Dangerous));
        assert_eq!(worst(&of_objects(b"N.")), None);
        // What joblib takes for an array, and every other loader for opcodes.
        let unaligned = |array: &[u8]| {
            let text = [wrapper.as_slice(), array, b"."].concat();
            let at = text.windows(3).position(|three| three == b"K\x10u").unwrap();
            let mut text = text;
            text.splice(at..at + 2, *b"N");
            text
        };
        assert_eq!(worst(&unaligned(b"cos\nsystem\n.....")), Some(Danger::Dangerous));
        assert_eq!(worst(&unaligned(b"C\xff..............")), Some(Danger::Unread));
        assert_eq!(worst(&unaligned(&[0; 16])), None);
        let formless = b"\x80\x04\x8c\x13joblib.numpy_pickle\x8c\x11NumpyArrayWrapper\x93)\x81Nbcos\nsystem\n.";
        assert_eq!(worst(formless), Some(Danger::Dangerous));
        let padded = [wrapper.as_slice(), b"c", &[b'x'; 120], b"."].concat();
        assert_eq!(worst(&padded), Some(Danger::Unread));
        // Names that only the outer memo holds.
        let outer = [
            b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94".as_slice(),
            &of_objects(b"\x8c\x01a\x94\x8c\x01b\x940h\x00h\x01\x93.")[2..],
        ]
        .concat();
        assert_eq!(worst(&outer), Some(Danger::Dangerous));
    }

    #[test]
    fn what_is_too_much_is_given_up_and_what_is_no_pickle_is_said_to_be_none() {
        assert!(matches!(found(&vec![b'('; MOST_VALUES + 2]).1, Err(Stop::TooMuch)));
        assert!(matches!(
            found(&[b"N".as_slice(), &b"\x94".repeat(10), &b"2\x94".repeat(MOST_VALUES)].concat()).1,
            Err(Stop::TooMuch)
        ));
        // Nested as deep as it gets: nothing here calls itself.
        let deep = [b"N".to_vec(), b"\x85".repeat(1 << 20), b".".to_vec()].concat();
        assert!(found(&deep).1.is_ok());
        for bad in [
            b"".as_slice(),
            b"R.",
            b"\x80\x02",
            b"\xff",
            b"X\xff\xff\xff\xffabc",
            b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
            b"t.",
            b"h\x05.",
        ] {
            assert!(matches!(found(bad).1, Err(Stop::Broken)), "{bad:?}");
        }
        let many: Vec<u8> =
            (0..500).flat_map(|n| format!("cmodule{n}\nName\n0").into_bytes()).chain(*b"cos\nsystem\n.").collect();
        let (found, _) = found(&many);
        assert!(found.len() <= MOST_NAMES + 1 && found.into_values().max() == Some(Danger::Dangerous));
    }
}
