//! The baseline report: how what exists stands to each control of the Azure Security Benchmark (v1), under the numbers that Azure's
//! security baseline for machine learning uses (requirement R-02).
//!
//! Nothing is kept and nothing is assumed: a verdict is computed from the state when it is asked for. Where a control holds by
//! the making of this server, it says so and where that can be seen; where it is somebody else's part, or is not offered, it is
//! not applicable, with the reason. No verdict names people: whoever may read the directory finds them behind the evidence.

mod assets;
mod data;
mod identity;
mod logging;
mod network;
mod picture;
mod recovery;
mod sheet;

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result, Timestamp};

use crate::gate::{Cx, Op};
use picture::Picture;
use sheet::Sheet;

/// What became of one control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// It is not this server's, or there is nothing here that it could be about.
    NotApplicable,
}

/// The ten groups of controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ControlGroup {
    /// 1.
    Network = 1,
    /// 2.
    Logging,
    /// 3.
    Identity,
    /// 4.
    Data,
    /// 5.
    Vulnerability,
    /// 6.
    Inventory,
    /// 7.
    Configuration,
    /// 8.
    Malware,
    /// 9.
    Recovery,
    /// 10.
    Incident,
}

/// One control, judged.
#[derive(Clone, Debug)]
pub struct Control {
    /// Its group.
    pub group: ControlGroup,
    /// Its number within the group.
    pub number: u8,
    /// What it asks for.
    pub title: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// Why, and what to do about it: a sentence.
    pub why: String,
    /// Where to look: a path of this server's own API, to be read with GET by whoever may.
    pub evidence: String,
}

impl Control {
    /// `7.11`.
    pub fn id(&self) -> String {
        format!("{}.{}", self.group.number(), self.number)
    }
}

impl ControlGroup {
    /// 1 to 10.
    pub fn number(self) -> u8 {
        match self {
            Self::Network => 1,
            Self::Logging => 2,
            Self::Identity => 3,
            Self::Data => 4,
            Self::Vulnerability => 5,
            Self::Inventory => 6,
            Self::Configuration => 7,
            Self::Malware => 8,
            Self::Recovery => 9,
            Self::Incident => 10,
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Network => "Network security",
            Self::Logging => "Logging and monitoring",
            Self::Identity => "Identity and access control",
            Self::Data => "Data protection",
            Self::Vulnerability => "Vulnerability management",
            Self::Inventory => "Inventory and asset management",
            Self::Configuration => "Secure configuration",
            Self::Malware => "Malware defense",
            Self::Recovery => "Data recovery",
            Self::Incident => "Incident response",
        }
    }
}

/// The report of a scope.
#[derive(Clone, Debug)]
pub struct BaselineReport {
    /// The subscription or workspace.
    pub scope: ResourceId,
    /// When it was made.
    pub at: Timestamp,
    /// By group and number.
    pub controls: Vec<Control>,
}

/// Judges every control at a subscription or a workspace, now.
#[derive(Debug)]
pub struct ReportBaseline {
    /// The subscription or workspace.
    pub scope: ResourceId,
}

#[async_trait]
impl Op for ReportBaseline {
    const ACTION: Action = Action::new("Microsoft.Security/baselineReports/read", Class::Read);
    type Output = BaselineReport;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<BaselineReport> {
        let picture = Picture::of(cx, &self.scope).await?;
        let mut sheet = Sheet::new(&picture);
        network::judge(&mut sheet);
        logging::judge(&mut sheet);
        identity::judge(&mut sheet);
        data::judge(&mut sheet);
        assets::judge(&mut sheet);
        recovery::judge(&mut sheet);
        Ok(BaselineReport { scope: self.scope, at: cx.now(), controls: sheet.done() })
    }
}
