//! How far an import is: one line that changes on a terminal, plain lines elsewhere.

use std::io::IsTerminal;

use super::fault::clean;
use crate::cli::output::{tell, update};

/// Where no terminal is, a line is printed after so many runs.
const STRIDE: u64 = 10;

/// How far an import is.
pub struct Progress {
    is_terminal: bool,
    place: String,
    runs: u64,
    all_runs: usize,
    points: u64,
    bytes: u64,
}

impl Progress {
    /// Nothing done yet.
    pub fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { is_terminal, place: String::new(), runs: 0, all_runs: 0, points: 0, bytes: 0 }
    }

    /// An experiment begins.
    pub fn experiment(&mut self, at: usize, all: usize, name: &str) {
        self.place = format!("experiment {at}/{all} `{}`", clean(name));
        (self.runs, self.all_runs) = (0, 0);
        self.line();
    }

    /// It has so many runs.
    pub fn expect(&mut self, runs: usize) {
        self.all_runs = runs;
    }

    /// A run is done.
    pub fn run(&mut self) {
        self.runs = self.runs.saturating_add(1);
        if self.is_terminal || self.runs.is_multiple_of(STRIDE) || usize::try_from(self.runs) == Ok(self.all_runs) {
            self.line();
        }
    }

    /// Points of a metric were compared.
    pub fn points(&mut self, count: usize) {
        self.points = self.points.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// A file was compared.
    pub fn bytes(&mut self, count: u64) {
        self.bytes = self.bytes.saturating_add(count);
        if self.is_terminal {
            self.line();
        }
    }

    /// Registered models begin.
    pub fn registry(&mut self) {
        self.place = String::from("registered models");
        (self.runs, self.all_runs) = (0, 0);
        self.line();
    }

    /// Everything is done.
    pub fn end(&mut self) {
        if self.is_terminal {
            tell("");
        }
    }

    fn line(&self) {
        let runs = match self.all_runs {
            0 => String::new(),
            all => {
                let (width, done) = (20_u64, self.runs.saturating_mul(20));
                let full = done.checked_div(u64::try_from(all).unwrap_or(u64::MAX)).unwrap_or(0).min(width);
                let bar: String = (0..width).map(|at| if at < full { '#' } else { '.' }).collect();
                format!(" [{bar}] runs {}/{all}", self.runs)
            }
        };
        let line = format!("{}{runs}, {} points, {} MiB", self.place, self.points, self.bytes >> 20);
        if self.is_terminal { update(&line) } else { tell(&line) }
    }
}
