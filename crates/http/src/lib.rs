//! The faces: one thin layer per protocol over the gate. A face parses, enters, views and replies; what things mean is
//! decided elsewhere.

mod challenge;
mod crowd;
mod door;
pub mod faces;
mod finished;
mod front;
mod guest;
mod inside;
mod large_reads;
mod path;
mod porch;
mod serve;
mod unread;

pub use door::{Door, Doors};
pub use front::AskedAs;
pub use guest::{App, Guest};
pub use serve::{Listener, Tls};
