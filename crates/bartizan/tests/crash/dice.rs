//! Chance that can be repeated: every suite takes one seed and prints it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A stream of numbers from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another stream, for one client or one round.
    pub fn branch(&self, number: u64) -> Self {
        Self(Self(self.0 ^ number.wrapping_mul(0xA076_1D64_78BD_642F)).next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A number from 0 to `end`, without it; 0 when `end` is.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % (end.max(1) as u64)) as usize
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub fn span(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(most.as_micros() as usize) as u64)
    }

    /// A text of at most `most` letters that has not been drawn before.
    pub fn text(&mut self, most: usize) -> String {
        let mut text = format!("{:016x}", self.next());
        let length = self.below(most);
        text.extend((0..length).map(|_| char::from(b'a' + (self.next() % 26) as u8)));
        text
    }

    pub fn uuid(&mut self) -> String {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        bytes[8..].copy_from_slice(&self.next().to_be_bytes());
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }
}

/// The seed that was asked for, or a new one.
pub fn seed() -> u64 {
    number("BARTIZAN_CRASH_SEED").unwrap_or_else(|| {
        #[expect(clippy::disallowed_methods, reason = "a new seed each time is the purpose; it is printed")]
        let now = SystemTime::now();
        now.duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
    })
}

/// How many rounds to run.
pub fn rounds(variable: &str, default: u64) -> u64 {
    number(variable).unwrap_or(default)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: `{text}`")))
}
