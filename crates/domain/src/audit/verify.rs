//! The verifier: needs the rows, the checkpoints and the public key, and no other secret.

use std::fmt;

use kernel::{Chain, Link, LogRow};
use seal::{Sha256Chain, SignedCheckpoint};

/// The first thing that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A record is not there.
    Missing {
        /// Its number.
        seq: u64,
    },
    /// A record or its link was changed.
    Altered {
        /// Its number.
        seq: u64,
    },
    /// The log does not begin at 1, and no signed cut says so.
    Unsigned {
        /// Number of the first record there is.
        seq: u64,
    },
    /// The chain is consistent in itself and differs from what was signed: it was rewritten.
    Rewritten {
        /// Number of the last record the checkpoint covers.
        seq: u64,
        /// When the checkpoint was signed.
        signed_at: String,
    },
    /// The log ends before a checkpoint does: records were cut off.
    Truncated {
        /// Number of the first record that is missing.
        seq: u64,
        /// How many records the checkpoint covers, or the cut removed.
        signed: u64,
        /// When it was signed.
        signed_at: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { seq } => write!(out, "record {seq} is missing"),
            Self::Altered { seq } => write!(out, "record {seq} was altered"),
            Self::Unsigned { seq } => write!(
                out,
                "the log begins at record {seq} and no signed cut removed those before: they were taken away"
            ),
            Self::Rewritten { seq, signed_at } => write!(
                out,
                "the log was rewritten at or before record {seq}: it does not match the checkpoint signed at {signed_at}"
            ),
            Self::Truncated { seq, signed, signed_at } => write!(
                out,
                "record {seq} is missing: the log was cut off, since the checkpoint signed at {signed_at} covers {signed} records"
            ),
        }
    }
}

/// What a sound log amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Records checked.
    pub records: u64,
    /// Records that a signed cut removed before.
    pub removed: u64,
    /// Checkpoints that matched.
    pub checkpoints: usize,
    /// How many of the newest records no checkpoint covers yet.
    pub uncovered: u64,
}

/// Checks rows as they come.
#[derive(Debug)]
pub struct LogVerifier {
    checkpoints: Vec<SignedCheckpoint>,
    cuts: Vec<SignedCheckpoint>,
    removed: u64,
    matched: usize,
    records: u64,
    previous: Link,
}

impl LogVerifier {
    /// Starts, given checkpoints whose signatures were verified.
    pub fn new(mut checkpoints: Vec<SignedCheckpoint>) -> Self {
        checkpoints.retain(|checkpoint| checkpoint.size > 0);
        checkpoints.sort_by_key(|checkpoint| checkpoint.size);
        Self { checkpoints, cuts: Vec::new(), removed: 0, matched: 0, records: 0, previous: [0; 32] }
    }

    /// Knows cuts whose signatures were verified: the log may begin behind one of them. One that was signed and not made
    /// is as good as a checkpoint.
    #[must_use]
    pub fn with_cuts(mut self, cuts: Vec<SignedCheckpoint>) -> Self {
        self.cuts = cuts;
        self
    }

    /// Where the first row may stand.
    fn begin(&mut self, row: &LogRow) -> Result<(), Finding> {
        let before = row.seq.saturating_sub(1);
        if before > 0 {
            let cut = self.cuts.iter().find(|cut| cut.size == before);
            let cut = cut.ok_or(Finding::Unsigned { seq: row.seq })?;
            (self.records, self.removed, self.previous) = (before, before, cut.link);
            self.checkpoints.retain(|checkpoint| checkpoint.size >= before);
        }
        let made = self.removed;
        self.checkpoints.extend(self.cuts.drain(..).filter(|cut| cut.size >= made));
        self.checkpoints.sort_by_key(|checkpoint| checkpoint.size);
        // Those that cover exactly what was removed must have seen the same.
        self.compare()
    }

    fn compare(&mut self) -> Result<(), Finding> {
        let seq = self.records;
        while let Some(checkpoint) = self.checkpoints.get(self.matched).filter(|checkpoint| checkpoint.size == seq) {
            if checkpoint.link != self.previous {
                return Err(Finding::Rewritten { seq, signed_at: checkpoint.time.clone() });
            }
            self.matched = self.matched.saturating_add(1);
        }
        Ok(())
    }

    /// Checks the next row.
    pub fn push(&mut self, row: &LogRow) -> Result<(), Finding> {
        if self.records == 0 {
            self.begin(row)?;
        }
        let seq = self.records.saturating_add(1);
        if row.seq != seq {
            return Err(Finding::Missing { seq });
        }
        if Sha256Chain.link(&self.previous, seq, &row.record) != row.link {
            return Err(Finding::Altered { seq });
        }
        self.records = seq;
        self.previous = row.link;
        self.compare()
    }

    /// To be called after the last row.
    pub fn finish(self) -> Result<Verified, Finding> {
        // No cut removes the last record that was signed.
        if let Some(cut) = self.cuts.iter().filter(|_| self.records == 0).max_by_key(|cut| cut.size) {
            let seq = cut.size.saturating_add(1);
            return Err(Finding::Truncated { seq, signed: cut.size, signed_at: cut.time.clone() });
        }
        if let Some(ahead) = self.checkpoints.get(self.matched) {
            return Err(Finding::Truncated {
                seq: self.records.saturating_add(1),
                signed: ahead.size,
                signed_at: ahead.time.clone(),
            });
        }
        let covered = self.checkpoints.last().map_or(0, |checkpoint| checkpoint.size);
        Ok(Verified {
            records: self.records.saturating_sub(self.removed),
            removed: self.removed,
            checkpoints: self.matched,
            uncovered: self.records.saturating_sub(covered),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Sealed;
    use seal::CheckpointKey;

    fn log(texts: &[&str]) -> Vec<LogRow> {
        let mut previous = [0; 32];
        let rows = texts.iter().zip(1..).map(|(text, seq)| {
            let record = Sealed::made_by_seal(text.as_bytes().to_vec().into());
            previous = Sha256Chain.link(&previous, seq, &record);
            LogRow { seq, link: previous, record }
        });
        rows.collect()
    }

    fn signed(rows: &[LogRow]) -> SignedCheckpoint {
        let key = CheckpointKey::from_pkcs8(&CheckpointKey::generate().unwrap()).unwrap();
        let last = rows.last().unwrap();
        key.sign("log", last.seq, &last.link, "2026-01-01T00:00:00Z")
    }

    fn verify(rows: &[LogRow], checkpoints: &[SignedCheckpoint]) -> Result<Verified, Finding> {
        let mut verifier = LogVerifier::new(checkpoints.to_vec());
        rows.iter().try_for_each(|row| verifier.push(row))?;
        verifier.finish()
    }

    #[test]
    fn a_sound_log_verifies_and_each_kind_of_damage_is_named() {
        let rows = log(&["a", "b", "c", "d"]);
        let checkpoints = [signed(&rows[..2]), signed(&rows[..3])];
        assert_eq!(verify(&rows, &checkpoints), Ok(Verified { records: 4, removed: 0, checkpoints: 2, uncovered: 1 }));

        let mut dropped = rows.clone();
        dropped.remove(1);
        assert_eq!(verify(&dropped, &checkpoints), Err(Finding::Missing { seq: 2 }));

        let mut altered = rows.clone();
        altered[2].record = Sealed::made_by_seal(b"x".to_vec().into());
        assert_eq!(verify(&altered, &checkpoints), Err(Finding::Altered { seq: 3 }));

        let rewritten = log(&["a", "B", "c", "d"]);
        let at = String::from("2026-01-01T00:00:00Z");
        assert_eq!(verify(&rewritten, &checkpoints), Err(Finding::Rewritten { seq: 2, signed_at: at.clone() }));
        assert_eq!(verify(&rows[..2], &checkpoints), Err(Finding::Truncated { seq: 3, signed: 3, signed_at: at }));
    }

    #[test]
    fn a_log_may_begin_behind_a_signed_cut_and_nowhere_else() {
        let rows = log(&["a", "b", "c", "d"]);
        let checkpoints = [signed(&rows[..1]), signed(&rows[..3])];
        let cut = signed(&rows[..2]);
        let verify = |rows: &[LogRow], cuts: &[SignedCheckpoint]| {
            let mut verifier = LogVerifier::new(checkpoints.to_vec()).with_cuts(cuts.to_vec());
            rows.iter().try_for_each(|row| verifier.push(row))?;
            verifier.finish()
        };
        let left = verify(&rows[2..], std::slice::from_ref(&cut)).unwrap();
        assert_eq!((left.records, left.removed, left.uncovered), (2, 2, 1));
        // Signed and not made.
        let whole = verify(&rows, std::slice::from_ref(&cut)).unwrap();
        assert_eq!((whole.records, whole.removed, whole.checkpoints), (4, 0, 3));
        assert_eq!(verify(&rows[2..], &[]), Err(Finding::Unsigned { seq: 3 }));
        assert_eq!(verify(&rows[1..], std::slice::from_ref(&cut)), Err(Finding::Unsigned { seq: 2 }));
        assert_eq!(verify(&rows[3..], std::slice::from_ref(&cut)), Err(Finding::Unsigned { seq: 4 }));
        let at = String::from("2026-01-01T00:00:00Z");
        assert_eq!(
            LogVerifier::new(Vec::new()).with_cuts(vec![cut]).finish(),
            Err(Finding::Truncated { seq: 3, signed: 2, signed_at: at }),
            "a cut leaves records"
        );
        // A cut of another log does not fit this one's chain.
        let other = signed(&log(&["x", "y"]));
        assert_eq!(verify(&rows[2..], &[other]), Err(Finding::Altered { seq: 3 }));
    }
}
