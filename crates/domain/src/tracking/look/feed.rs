//! Bytes for those who look: read forward, with a cheap way past what nobody needs to see.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::mpsc;

/// What may still be inflated for a version, and whether anybody waits for what is found. One content is looked at at a time.
#[derive(Clone)]
pub(super) struct Cost {
    left: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Cost {
    pub(super) fn new(left: Arc<AtomicU64>) -> Self {
        Self { left, is_over: Arc::default() }
    }

    /// Whoever waits holds it: when it is gone, nobody does.
    pub(super) fn waiting(&self) -> Waiting {
        Waiting(Arc::clone(&self.is_over))
    }

    /// Whether nothing more may be inflated.
    pub(super) fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn spend(&self, count: u64) {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(count), Ordering::Relaxed);
    }
}

/// Somebody waits.
pub(super) struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Something that is read forward.
pub(super) trait Feed {
    /// The next bytes, at most as many as there is room for; none at the end.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;

    /// Goes past so many bytes. Beyond the end it is an error.
    fn skip(&mut self, count: u64) -> io::Result<()>;

    /// All of the room is filled, or it is an error.
    fn fill(&mut self, into: &mut [u8]) -> io::Result<()> {
        let mut rest = into;
        while !rest.is_empty() {
            let count = self.read(rest)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            rest = rest.get_mut(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// At most so many bytes: fewer at the end.
    fn take(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut out = vec![0; most];
        let mut filled = 0;
        while filled < most {
            let count = self.read(out.get_mut(filled..).unwrap_or_default())?;
            if count == 0 {
                break;
            }
            filled = filled.saturating_add(count);
        }
        out.truncate(filled);
        Ok(out)
    }
}

/// Bytes in memory.
impl Feed for &[u8] {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Read::read(self, into)
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let whole = *self;
        let rest = usize::try_from(count).ok().and_then(|count| whole.get(count..));
        // Whoever goes beyond the end is at the end.
        *self = rest.unwrap_or_default();
        rest.map(drop).ok_or(io::ErrorKind::UnexpectedEof.into())
    }
}

/// A part of a stored file that somebody is to fetch.
pub(super) struct Ask {
    pub(super) from: u64,
    pub(super) length: u64,
    pub(super) answer: std::sync::mpsc::SyncSender<io::Result<Vec<u8>>>,
}

/// Bytes that are fetched at once: two sealed segments.
const AT_ONCE: u64 = 128 << 10;

/// A stored file, seen through a window that moves: a thread that may block asks, and whoever may read answers.
pub(super) struct Window {
    asks: mpsc::Sender<Ask>,
    /// Bytes of the file.
    pub(super) length: u64,
    at: u64,
    /// Where the window begins, and what is seen through it.
    seen: (u64, Vec<u8>),
}

impl Window {
    pub(super) fn new(asks: mpsc::Sender<Ask>, length: u64) -> Self {
        Self { asks, length, at: 0, seen: (0, Vec::new()) }
    }

    /// Goes to a place.
    pub(super) fn go(&mut self, at: u64) {
        self.at = at;
    }

    fn here(&self) -> Option<&[u8]> {
        let from = usize::try_from(self.at.checked_sub(self.seen.0)?).ok()?;
        self.seen.1.get(from..).filter(|rest| !rest.is_empty())
    }

    fn fetch(&mut self) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let from = self.at - self.at % (AT_ONCE / 2);
        let length = AT_ONCE.min(self.length.saturating_sub(from));
        let (answer, heard) = std::sync::mpsc::sync_channel(1);
        self.asks.blocking_send(Ask { from, length, answer }).map_err(|_| gone())?;
        self.seen = (from, heard.recv().map_err(|_| gone())??);
        Ok(())
    }
}

impl Feed for Window {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.length || into.is_empty() {
            return Ok(0);
        }
        if self.here().is_none() {
            self.fetch()?;
        }
        let mut here = self.here().ok_or(io::ErrorKind::UnexpectedEof)?;
        let count = Read::read(&mut here, into)?;
        self.at = self.at.saturating_add(u64::try_from(count).unwrap_or(0));
        Ok(count)
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let at = self.at.checked_add(count).filter(|at| *at <= self.length);
        self.at = at.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(())
    }
}

/// The first bytes of a feed, and then it is over.
pub(super) struct Cut<'a> {
    feed: &'a mut dyn Feed,
    left: u64,
}

impl<'a> Cut<'a> {
    pub(super) fn new(feed: &'a mut dyn Feed, length: u64) -> Self {
        Self { feed, left: length }
    }
}

impl Feed for Cut<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.feed.read(into.get_mut(..most).unwrap_or_default())?;
        self.left = self.left.saturating_sub(u64::try_from(count).unwrap_or(0));
        Ok(count)
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        self.left = self.left.checked_sub(count).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.feed.skip(count)
    }
}

impl Read for Cut<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Feed::read(self, into)
    }
}

/// A feed of which so many bytes are read, and then it is over. What is skipped does not count.
pub(super) struct Bound<'a> {
    feed: &'a mut dyn Feed,
    left: u64,
    /// Whether there was more, and somebody wanted it.
    pub(super) is_spent: bool,
    /// Whether what lies below said that it is too much.
    pub(super) is_too_large: bool,
}

impl<'a> Bound<'a> {
    pub(super) fn new(feed: &'a mut dyn Feed, length: u64) -> Self {
        Self { feed, left: length, is_spent: false, is_too_large: false }
    }
}

impl Feed for Bound<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            self.is_spent = self.is_spent || self.feed.read(&mut [0])? > 0;
            return Ok(0);
        }
        let most = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.feed.read(into.get_mut(..most).unwrap_or_default());
        if read.as_ref().is_err_and(|fault| fault.kind() == io::ErrorKind::FileTooLarge) {
            self.is_too_large = true;
        }
        let count = read?;
        self.left = self.left.saturating_sub(u64::try_from(count).unwrap_or(0));
        Ok(count)
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let skipped = self.feed.skip(count);
        if skipped.as_ref().is_err_and(|fault| fault.kind() == io::ErrorKind::FileTooLarge) {
            self.is_too_large = true;
        }
        skipped
    }
}

/// What a decompressor makes of a feed: no more than a bound, so that little never becomes too much, and no more than what is left for
/// the whole version.
pub(super) struct Inflated<R> {
    reader: R,
    left: u64,
    cost: Cost,
}

impl<R: Read> Inflated<R> {
    pub(super) fn new(reader: R, most: u64, cost: &Cost) -> Self {
        Self { reader, left: most, cost: cost.clone() }
    }
}

impl<R: Read> Feed for Inflated<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.cost.is_over() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.left == 0 || self.cost.is_spent() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let most = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.reader.read(into.get_mut(..most).unwrap_or_default())?;
        let bytes = u64::try_from(count).unwrap_or(0);
        self.left = self.left.saturating_sub(bytes);
        self.cost.spend(bytes);
        Ok(count)
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let mut left = count;
        let mut void = vec![0; 32 << 10];
        while left > 0 {
            let most = void.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = Feed::read(self, void.get_mut(..most).unwrap_or_default())?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left = left.saturating_sub(u64::try_from(read).unwrap_or(0));
        }
        Ok(())
    }
}

/// A feed of which all that is read is kept, up to a bound.
pub(super) struct Taped<'a> {
    feed: &'a mut dyn Feed,
    most: usize,
    pub(super) tape: Vec<u8>,
}

impl<'a> Taped<'a> {
    pub(super) fn new(feed: &'a mut dyn Feed, most: usize) -> Self {
        Self { feed, most, tape: Vec::new() }
    }
}

impl Feed for Taped<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.feed.read(into)?;
        if self.tape.len().saturating_add(count) > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.tape.extend_from_slice(into.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let count = usize::try_from(count).ok().filter(|count| *count <= self.most.saturating_sub(self.tape.len()));
        let mut void = vec![0; count.ok_or(io::ErrorKind::FileTooLarge)?];
        self.fill(&mut void)
    }
}

/// A feed whose first bytes were looked at already.
pub(super) struct Led<'a> {
    head: &'a [u8],
    rest: &'a mut dyn Feed,
}

impl<'a> Led<'a> {
    pub(super) fn new(head: &'a [u8], rest: &'a mut dyn Feed) -> Self {
        Self { head, rest }
    }
}

impl Feed for Led<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.head.is_empty() { self.rest.read(into) } else { Feed::read(&mut self.head, into) }
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let of_head = count.min(u64::try_from(self.head.len()).unwrap_or(u64::MAX));
        self.head.skip(of_head)?;
        match count.saturating_sub(of_head) {
            0 => Ok(()),
            rest => self.rest.skip(rest),
        }
    }
}

impl Read for Led<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Feed::read(self, into)
    }
}
