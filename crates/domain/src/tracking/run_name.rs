//! Names for runs that were given none.

use uuid::Uuid;

const HOW: &[&str] = &[
    "amber", "brave", "calm", "clever", "crisp", "dapper", "eager", "fair", "gentle", "glad", "hardy", "keen", "kind",
    "lively", "lucid", "mellow", "merry", "nimble", "patient", "plucky", "proud", "quick", "quiet", "ready", "serene",
    "sharp", "spry", "steady", "sunny", "swift", "tidy", "witty",
];
const WHAT: &[&str] = &[
    "alder", "badger", "beech", "birch", "bittern", "cedar", "crane", "curlew", "elm", "falcon", "finch", "fox",
    "hare", "hazel", "heron", "kite", "larch", "lark", "linden", "lynx", "maple", "marten", "oak", "osprey", "otter",
    "pine", "plover", "robin", "rowan", "stoat", "swan", "wren",
];

/// Two words and a number.
pub(super) fn random() -> String {
    let [a, b, c, d, ..] = *Uuid::new_v4().as_bytes();
    let pick =
        |words: &[&'static str], at: u8| words.get(usize::from(at) % words.len().max(1)).copied().unwrap_or("run");
    format!("{}-{}-{}", pick(HOW, a), pick(WHAT, b), u16::from_be_bytes([c, d]) % 1000)
}
