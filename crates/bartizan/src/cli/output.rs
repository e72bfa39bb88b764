//! What commands print: a table for people, JSON for scripts. The only place that writes to the terminal.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets::UTF8_BORDERS_ONLY};
use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people.
    #[default]
    Table,
    /// JSON for scripts.
    Json,
}

/// Prints a line of result. A reader that went away (`| head`) is not an error.
pub fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Prints bytes of result as they are.
pub fn pour(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Prints a line about the work itself, beside the result.
pub fn tell(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints a line about the work itself over the one before it, on a terminal.
pub fn update(line: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "\r\u{1b}[2K{line}").and_then(|()| err.flush());
}

impl Format {
    /// Prints entries: the columns are (header, JSON pointer into the entry).
    pub fn entries(self, entries: &[Value], columns: &[(&str, &str)]) -> Result<ExitCode, Failure> {
        match self {
            Self::Json => print_json(&entries)?,
            Self::Table if entries.is_empty() => say("nothing found"),
            Self::Table => {
                let mut table = Table::new();
                table.load_style(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
                table.set_header(columns.iter().map(|(header, _)| *header));
                for entry in entries {
                    table.add_row(columns.iter().map(|(_, pointer)| cell(entry.pointer(pointer))));
                }
                say(&table.to_string());
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Prints one thing: as a list of (header, value) for people.
    pub fn entry(self, entry: &Value, rows: &[(&str, &str)]) -> Result<ExitCode, Failure> {
        match self {
            Self::Json => print_json(entry)?,
            Self::Table => {
                let width = rows.iter().map(|(header, _)| header.len()).max().unwrap_or(0);
                for (header, pointer) in rows {
                    say(&format!("{header:width$}  {}", cell(entry.pointer(pointer))));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Prints a sentence for people, or the value for scripts.
    pub fn done(self, sentence: &str, value: &Value) -> Result<ExitCode, Failure> {
        match self {
            Self::Json => print_json(value)?,
            Self::Table => say(sentence),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|fault| Failure::new(fault.to_string()))?;
    say(&text);
    Ok(())
}

/// A value in a cell, without control characters: names come from afar.
fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
