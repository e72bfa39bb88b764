//! The expression language of templates: a bounded part of Azure's.

mod evaluate;
mod functions;
mod parse;

pub use evaluate::Wanted;
pub(super) use evaluate::{Budget, Evaluator, LARGEST, Surroundings, below, size_of};
pub(super) use parse::{Text, parameters_in, text_of};
