//! What a workspace does about secrets that are written out where they are named only, and about what lies in its code.

use kernel::{Error, Result};
use serde::{Deserialize, Serialize};

/// What becomes of a job or deployment whose variables or command line look as if they held a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretDetection {
    /// It is taken, with a warning.
    #[default]
    Warn,
    /// It is refused.
    Refuse,
}

impl SecretDetection {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warn => "Warn",
            Self::Refuse => "Refuse",
        }
    }
}

impl std::str::FromStr for SecretDetection {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Warn, Self::Refuse]
            .into_iter()
            .find(|mode| mode.word().eq_ignore_ascii_case(text))
            .ok_or_else(|| Error::invalid("properties.secretDetection", "must be `Warn` or `Refuse`"))
    }
}

/// What becomes of code in whose files something looks like a secret, or like personal data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentScan {
    /// It is not looked at.
    Off,
    /// It is taken, and labelled with what was found.
    #[default]
    Warn,
    /// It is refused.
    Refuse,
}

/// What becomes of a model version whose files run code when somebody loads them, or might.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelScan {
    /// It is not looked at.
    Allow,
    /// It is taken, and labelled with what was found.
    #[default]
    Warn,
    /// It is refused when what it names is dangerous, or cannot be read to its end.
    Refuse,
}

impl ModelScan {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Warn => "Warn",
            Self::Refuse => "Refuse",
        }
    }
}

impl std::str::FromStr for ModelScan {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Allow, Self::Warn, Self::Refuse]
            .into_iter()
            .find(|mode| mode.word().eq_ignore_ascii_case(text))
            .ok_or_else(|| Error::invalid("properties.modelScan", "must be `Allow`, `Warn` or `Refuse`"))
    }
}

impl ContentScan {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "Off",
            Self::Warn => "Warn",
            Self::Refuse => "Refuse",
        }
    }
}

impl std::str::FromStr for ContentScan {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Off, Self::Warn, Self::Refuse]
            .into_iter()
            .find(|mode| mode.word().eq_ignore_ascii_case(text))
            .ok_or_else(|| Error::invalid("properties.contentScan", "must be `Off`, `Warn` or `Refuse`"))
    }
}
