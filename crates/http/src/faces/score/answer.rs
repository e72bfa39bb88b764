//! The body of an answer on its way out: bounded in time, and the end of the call.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use domain::scoring::{Place, Ticket};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::pool::Line;

/// What a call holds until its answer has passed.
pub(super) struct Trip {
    line: Option<Line>,
    _place: Place,
    deadline: Pin<Box<Sleep>>,
}

impl Trip {
    pub(super) fn new(line: Line, place: Place, deadline: Instant) -> Self {
        Self { line: Some(line), _place: place, deadline: Box::pin(sleep_until(deadline)) }
    }
}

/// An answer that passes through. When it ends, its connection may be used again, its place is free, and its record is due.
pub(super) struct Carried {
    incoming: Incoming,
    trip: Trip,
    _ticket: Ticket,
}

impl Carried {
    pub(super) fn new(incoming: Incoming, trip: Trip, ticket: Ticket) -> Self {
        let mut carried = Self { incoming, trip, _ticket: ticket };
        if carried.incoming.is_end_stream() {
            carried.end();
        }
        carried
    }

    fn end(&mut self) {
        if let Some(line) = self.trip.line.take() {
            line.give_back();
        }
    }
}

/// Why an answer was cut.
#[derive(Debug, thiserror::Error)]
pub(super) enum CutAnswer {
    /// It took too long.
    #[error("the answer took too long")]
    Late,
    /// The replica broke off.
    #[error("the replica broke off")]
    Broken(#[source] hyper::Error),
}

impl Body for Carried {
    type Data = Bytes;
    type Error = CutAnswer;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutAnswer>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if this.incoming.is_end_stream() {
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(fault))) => Poll::Ready(Some(Err(CutAnswer::Broken(fault)))),
            Poll::Ready(None) => {
                this.end();
                Poll::Ready(None)
            }
            // A connection whose answer is not read to its end is closed by being dropped.
            Poll::Pending => match this.trip.deadline.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(CutAnswer::Late))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
