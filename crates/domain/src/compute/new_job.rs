//! What a client says of a new job, and its bounds.

use std::{collections::BTreeMap, time::Duration};

use kernel::{Error, ResourceId, Result};

use super::{JailLimits, JobIdentity, command};
use crate::data_assets::{Given, InputWanted, MOST_INPUTS};

/// How long a job may take when it does not say (`P30D`).
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a client says of a new job.
#[derive(Clone, Debug, Default)]
pub struct NewJob {
    /// The command line, with expressions.
    pub command: String,
    /// The code version; none for a command without files.
    pub code: Option<ResourceId>,
    /// The target; the workspace's own when absent.
    pub compute: Option<ResourceId>,
    /// The experiment; `Default` when absent.
    pub experiment: Option<String>,
    /// For people; the job's name when absent.
    pub display_name: Option<String>,
    /// For people.
    pub description: String,
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    /// Literal inputs.
    pub inputs: BTreeMap<String, String>,
    /// Inputs that are data.
    pub data: BTreeMap<String, InputWanted>,
    /// Facts about it.
    pub properties: BTreeMap<String, String>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// ISO 8601 duration; 30 days when absent.
    pub timeout: Option<String>,
    /// Memory in MiB.
    pub memory_mib: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Scratch space in MiB.
    pub scratch_mib: Option<u64>,
    /// Walls without which it must not run.
    pub required_walls: Vec<String>,
    /// Whom its code acts as.
    pub identity: JobIdentity,
    /// Treat it as one of high business impact, whatever its workspace is.
    pub hbi: bool,
}

impl NewJob {
    /// Refuses what is malformed or out of bounds. Gives back the jail's bounds.
    pub(super) fn check(&self) -> Result<JailLimits> {
        command::check_inputs(&self.inputs)?;
        self.data.keys().try_for_each(|name| command::check_input_name(name))?;
        if self.data.len().saturating_add(self.inputs.len()) > MOST_INPUTS {
            return Err(Error::invalid("properties.inputs", format_args!("at most {MOST_INPUTS} inputs")));
        }
        command::check_variables(&self.variables)?;
        for (field, map) in [("properties.properties", &self.properties), ("properties.tags", &self.tags)] {
            let fits = map.iter().all(|(key, value)| (1..=250).contains(&key.len()) && value.len() <= 5000);
            if map.len() > 50 || !fits {
                return Err(Error::invalid(
                    field,
                    "at most 50 entries, names of 1 to 250 and values of at most 5000 bytes",
                ));
            }
        }
        for (field, text, most) in [
            ("properties.displayName", self.display_name.as_deref().unwrap_or_default(), 255),
            ("properties.description", self.description.as_str(), 4096),
        ] {
            if text.len() > most || text.chars().any(|c| c.is_control() && c != '\n') {
                return Err(Error::invalid(field, format_args!("at most {most} bytes without control characters")));
            }
        }
        let timeout = match &self.timeout {
            Some(text) => command::parse_duration("properties.limits.timeout", text)?,
            None => DEFAULT_TIMEOUT,
        };
        let within = |field: &str, value: Option<u64>, usual: u64, least: u64, most: u64| match value.unwrap_or(usual) {
            value if (least..=most).contains(&value) => Ok(value),
            _ => {
                Err(Error::invalid(format!("properties.resources.{field}"), format_args!("must be {least} to {most}")))
            }
        };
        let limits = JailLimits {
            memory_mib: within("memoryMiB", self.memory_mib, 4096, 64, 4 << 20)?,
            pids: within("pids", self.pids, 512, 8, 32_768)?,
            scratch_mib: within("scratchMiB", self.scratch_mib, 2048, 16, 4 << 20)?,
            seconds: timeout.as_secs(),
        };
        let is_name = |wall: &String| !wall.is_empty() && wall.len() <= 64;
        if self.required_walls.len() > 32 || !self.required_walls.iter().all(is_name) {
            return Err(Error::invalid("properties.requiredWalls", "at most 32 names of 1 to 64 bytes"));
        }
        Ok(limits)
    }

    /// The command as the shell gets it: literal inputs by their value, data by where the program finds it.
    pub(super) fn rendered(&self, data: &[Given]) -> Result<String> {
        let mut inputs = self.inputs.clone();
        inputs.extend(data.iter().map(|one| (one.input.name.clone(), one.input.inside.clone())));
        command::render(&self.command, &inputs)
    }
}
