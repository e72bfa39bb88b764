//! The body of a call on its way in: bounded while it streams.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use axum::body::Body;
use domain::gate::ByteStream;
use futures::StreamExt;

/// Watches a body pass, and remembers why it was cut.
#[derive(Clone)]
pub(super) struct Intake {
    most: usize,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    seen: AtomicUsize,
    was_too_large: AtomicBool,
    broke_off: AtomicBool,
}

/// A body was cut short; the reason is kept beside it.
#[derive(Debug, thiserror::Error)]
#[error("the body was cut")]
struct Cut;

impl Intake {
    pub(super) fn new(most: usize) -> Self {
        Self { most, state: Arc::default() }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn was_too_large(&self) -> bool {
        self.state.was_too_large.load(Ordering::Acquire)
    }

    pub(super) fn broke_off(&self) -> bool {
        self.state.broke_off.load(Ordering::Acquire)
    }

    /// The body, cut as soon as it is larger than allowed.
    pub(super) fn watch(&self, stream: ByteStream) -> Body {
        let (most, state) = (self.most, Arc::clone(&self.state));
        Body::from_stream(stream.map(move |piece| match piece {
            Ok(piece) => {
                let seen = state.seen.fetch_add(piece.len(), Ordering::AcqRel).saturating_add(piece.len());
                if seen > most {
                    state.was_too_large.store(true, Ordering::Release);
                    return Err(Cut);
                }
                Ok(piece)
            }
            Err(_) => {
                state.broke_off.store(true, Ordering::Release);
                Err(Cut)
            }
        }))
    }
}
