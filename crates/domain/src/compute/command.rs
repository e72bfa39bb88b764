//! Command lines: inputs put in their places, quoted for the shell; and the bounds of what a job may say.

use std::{collections::BTreeMap, time::Duration};

use kernel::{Error, Kind, Result};

/// Longest command line, in bytes.
const LONGEST_COMMAND: usize = 32 << 10;
/// Most variables and inputs.
const MOST_VARIABLES: usize = 200;
/// Most bytes of all variables: what a program can be started with, with room to spare.
const MOST_VARIABLE_BYTES: usize = 64 << 10;
/// Longest time a job may be given.
const LONGEST_TIME: u64 = 90 * 24 * 3600;

/// The command with every `${{inputs.name}}` replaced by its value, quoted so that the shell takes it literally wherever
/// it stands: bare, or within single or double quotes.
///
/// # Errors
/// `Invalid` for unknown inputs and for what is too long, `Unsupported` for other expressions.
pub(super) fn render(command: &str, inputs: &BTreeMap<String, String>) -> Result<String> {
    let field = "properties.command";
    if command.trim().is_empty() || command.len() > LONGEST_COMMAND || command.contains('\0') {
        return Err(Error::invalid(field, format_args!("must be 1 to {LONGEST_COMMAND} bytes without zero bytes")));
    }
    let mut out = String::with_capacity(command.len());
    let mut quotes = Quotes::None;
    let mut rest = command;
    while let Some((before, after)) = rest.split_once("${{") {
        quotes = quotes.after(before);
        refuse_what_hides_quotes(before, field)?;
        out.push_str(before);
        let (inner, later) = after.split_once("}}").ok_or_else(|| Error::invalid(field, "`${{` without `}}`"))?;
        let Some(name) = inner.trim().strip_prefix("inputs.") else {
            let shown: String = inner.trim().chars().take(60).collect();
            let why = format!(
                "`{field}`: `${{{{{shown}}}}}` is not supported; only `inputs` are, and files in `./outputs` are kept"
            );
            return Err(Error::new(Kind::Unsupported, why));
        };
        let value = inputs.get(name).ok_or_else(|| {
            let shown: String = name.chars().take(60).collect();
            Error::invalid(field, format_args!("there is no input `{shown}`"))
        })?;
        out.push_str(&quotes.around(value));
        rest = later;
    }
    out.push_str(rest);
    if out.len() > LONGEST_COMMAND.saturating_mul(4) {
        return Err(Error::invalid(field, "too long with its inputs"));
    }
    Ok(out)
}

/// Refuses what makes it uncertain within which quotes an input lies: an input is always literal, or the command is refused.
fn refuse_what_hides_quotes(before: &str, field: &str) -> Result<()> {
    let hiding = ["#", "`", "<<", "$'", "$\"", "$("];
    let found = hiding.iter().find(|sign| before.contains(**sign)).copied();
    match found.or(before.ends_with('\\').then_some("\\")) {
        None => Ok(()),
        Some(sign) => Err(Error::invalid(
            field,
            format_args!(
                "`{sign}` cannot stand before an input: put the command in a script, and give it the input as an argument"
            ),
        )),
    }
}

/// Within which quotes of the shell a place lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    None,
    Single,
    Double,
}

impl Quotes {
    fn after(mut self, text: &str) -> Self {
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            self = match (self, letter) {
                (Self::None, '\'') => Self::Single,
                (Self::None, '"') => Self::Double,
                (Self::Single, '\'') | (Self::Double, '"') => Self::None,
                (Self::None | Self::Double, '\\') => {
                    letters.next();
                    self
                }
                (same, _) => same,
            };
        }
        self
    }

    /// The value as one literal piece of a word at this place.
    fn around(self, value: &str) -> String {
        let literal = format!("'{}'", value.replace('\'', r"'\''"));
        match self {
            Self::None => literal,
            // Leave the quotes, say it literally, enter them again.
            Self::Single => format!("'{literal}'"),
            Self::Double => format!("\"{literal}\""),
        }
    }
}

/// Refuses names and values that a program, of a job or a service, cannot be given, and names that are set by us.
pub(crate) fn check_variables(variables: &BTreeMap<String, String>) -> Result<()> {
    let field = "properties.environmentVariables";
    let bytes: usize = variables.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
    if variables.len() > MOST_VARIABLES || bytes > MOST_VARIABLE_BYTES {
        let why = format!("at most {MOST_VARIABLES} variables and {MOST_VARIABLE_BYTES} bytes");
        return Err(Error::invalid(field, why));
    }
    for (name, value) in variables {
        let shown: String = name.chars().take(60).collect();
        if !is_identifier(name) {
            return Err(Error::invalid(field, format_args!("`{}` is not a variable's name", shown.escape_debug())));
        }
        if is_set_by_us(name) {
            return Err(Error::invalid(field, format_args!("`{shown}` is set by the server")));
        }
        if value.contains('\0') {
            return Err(Error::invalid(field, format_args!("the value of `{shown}` holds a zero byte")));
        }
    }
    Ok(())
}

/// Whether a variable of this name is the server's to set.
pub(crate) fn is_set_by_us(name: &str) -> bool {
    const OURS: [&str; 5] = ["AZUREML_", "MLFLOW_TRACKING_", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_", "BARTIZAN_"];
    OURS.iter().any(|ours| name.starts_with(ours))
}

/// Refuses inputs whose names no expression could say.
pub(super) fn check_inputs(inputs: &BTreeMap<String, String>) -> Result<()> {
    let fits = |(name, value): (&String, &String)| is_identifier(name) && value.len() <= 8192 && !value.contains('\0');
    if inputs.len() <= MOST_VARIABLES && inputs.iter().all(fits) {
        return Ok(());
    }
    let why = format!("at most {MOST_VARIABLES} inputs, named like variables, with values of at most 8192 bytes");
    Err(Error::invalid("properties.inputs", why))
}

/// Refuses a name that no expression could say, and that could be no part of a path.
pub(super) fn check_input_name(name: &str) -> Result<()> {
    if is_identifier(name) {
        return Ok(());
    }
    Err(Error::invalid("properties.inputs", "inputs are named like variables: letters, digits and `_`"))
}

fn is_identifier(name: &str) -> bool {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well && name.len() <= 256 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads an ISO 8601 duration of weeks, days, hours, minutes and whole seconds.
///
/// # Errors
/// `Invalid` for anything else, nothing at all, and more than 90 days.
pub(super) fn parse_duration(field: &str, text: &str) -> Result<Duration> {
    let seconds = seconds_of(text).filter(|seconds| (1..=LONGEST_TIME).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        Error::invalid(
            field,
            "must be an ISO 8601 duration such as `PT1H30M`, of at least a second and at most 90 days",
        )
    })
}

fn seconds_of(text: &str) -> Option<u64> {
    let body = text.strip_prefix('P')?;
    let (date, time) = match body.split_once('T') {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return None,
        None => (body, ""),
    };
    let date = sum_of(date, &[('W', 7 * 24 * 3600), ('D', 24 * 3600)])?;
    date.checked_add(sum_of(time, &[('H', 3600), ('M', 60), ('S', 1)])?)
}

fn sum_of(mut text: &str, units: &[(char, u64)]) -> Option<u64> {
    let mut sum: u64 = 0;
    for (unit, seconds) in units {
        let Some((number, rest)) = text.split_once(*unit) else { continue };
        if number.is_empty() || !number.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(*seconds)?)?;
        text = rest;
    }
    text.is_empty().then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(String::from("x"), value.to_owned())])
    }

    #[test]
    fn inputs_are_quoted_wherever_they_stand() {
        let hostile = "a'b\"$(id) `id` \\";
        let quoted = r#"'a'\''b"$(id) `id` \'"#;
        let cases = [
            ("run ${{inputs.x}} y", format!("run {quoted} y")),
            ("run ${{ inputs.x }}", format!("run {quoted}")),
            ("run \"a ${{inputs.x}} b\"", format!("run \"a \"{quoted}\" b\"")),
            ("run 'a ${{inputs.x}} b'", format!("run 'a '{quoted}' b'")),
            ("run \\\" ${{inputs.x}}", format!("run \\\" {quoted}")),
            ("run '\\' ${{inputs.x}}", format!("run '\\' {quoted}")),
            ("--lr=${{inputs.x}}", format!("--lr={quoted}")),
        ];
        for (command, due) in cases {
            assert_eq!(render(command, &inputs(hostile)).unwrap(), due, "{command}");
        }
        assert_eq!(render("echo $HOME ${x}", &inputs("")).unwrap(), "echo $HOME ${x}");
    }

    #[test]
    fn what_is_no_input_is_refused() {
        let refused = |command: &str| render(command, &inputs("1")).unwrap_err().kind();
        assert_eq!(refused("a ${{inputs.y}}"), Kind::Invalid);
        assert_eq!(refused("a ${{inputs.x"), Kind::Invalid);
        assert_eq!(refused("a ${{outputs.x}}"), Kind::Unsupported);
        assert_eq!(refused(" "), Kind::Invalid);
        assert_eq!(refused("a\0"), Kind::Invalid);
        assert_eq!(refused(&"a".repeat(LONGEST_COMMAND + 1)), Kind::Invalid);
    }

    #[test]
    fn variables_are_checked() {
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        for name in ["", "1A", "A-B", "A=B", "A B", "AZUREML_RUN_ID", "MLFLOW_TRACKING_TOKEN", "é"] {
            assert!(check_variables(&one(name, "v")).is_err(), "{name}");
        }
        assert!(check_variables(&one("A", "v\0")).is_err());
        assert!(check_variables(&one("A", &"v".repeat(MOST_VARIABLE_BYTES))).is_err());
        assert!(check_variables(&one("_lr2", "any 'value'\n")).is_ok());
    }

    #[test]
    fn durations_are_read_strictly() {
        let read = |text: &str| parse_duration("t", text).map(|span| span.as_secs()).ok();
        for (text, due) in [("PT5M", 300), ("P30D", 2_592_000), ("P1W", 604_800), ("P1DT1H1M1S", 90_061), ("PT1S", 1)] {
            assert_eq!(read(text), Some(due), "{text}");
        }
        for bad in [
            "",
            "P",
            "PT",
            "P1DT",
            "5M",
            "PT5",
            "PTM",
            "PT0S",
            "P-1D",
            "PT1.5S",
            "P91D",
            "PT1M1H",
            "P1Y",
            "PT+1S",
            "PT99999999999999999999S",
            "P1D1D",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
