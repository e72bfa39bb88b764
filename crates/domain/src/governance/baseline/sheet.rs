//! The sheet on which controls are judged, one after another.

use super::{
    Control, ControlGroup, Verdict,
    picture::{Inside, Picture, Place},
};

/// Names of workspaces that one sentence names.
const MOST_NAMED: usize = 5;

/// Why something cannot be seen.
const AWAY: &str = ", since their customers' keys are not to be had";

/// A verdict and its reason.
pub(super) struct Judgement {
    verdict: Verdict,
    why: String,
}

/// It holds.
pub(super) fn pass(why: impl Into<String>) -> Judgement {
    Judgement { verdict: Verdict::Pass, why: why.into() }
}

/// It does not.
pub(super) fn fail(why: impl Into<String>) -> Judgement {
    Judgement { verdict: Verdict::Fail, why: why.into() }
}

/// It is not for here.
pub(super) fn nothing(why: impl Into<String>) -> Judgement {
    Judgement { verdict: Verdict::NotApplicable, why: why.into() }
}

/// One of two sentences.
pub(super) fn either(holds: bool, good: &str, bad: &str) -> Judgement {
    if holds { pass(good) } else { fail(bad) }
}

/// A control that nothing here can be asked about: number, title, and why.
pub(super) type Elsewhere = (u8, &'static str, &'static str);

/// The sheet.
pub(super) struct Sheet<'a> {
    pub picture: &'a Picture,
    group: ControlGroup,
    controls: Vec<Control>,
}

impl<'a> Sheet<'a> {
    pub fn new(picture: &'a Picture) -> Self {
        Self { picture, group: ControlGroup::Network, controls: Vec::new() }
    }

    /// From now on, controls of this group.
    pub fn turn_to(&mut self, group: ControlGroup) {
        self.group = group;
    }

    /// Writes down one control. `evidence` is a path.
    pub fn put(&mut self, number: u8, title: &'static str, judgement: Judgement, evidence: String) {
        let Judgement { verdict, why } = judgement;
        self.controls.push(Control { group: self.group, number, title, verdict, why, evidence });
    }

    /// Writes down those that nothing here can be asked about. Their evidence is the list of all that this server offers.
    pub fn elsewhere(&mut self, all: &[Elsewhere]) {
        for (number, title, why) in all {
            self.put(*number, title, nothing(*why), self.picture.offered());
        }
    }

    /// Whether each workspace of the scope is as it should be: "the workspaces {good}", or those that are not, "{bad}".
    pub fn workspaces(&self, is_good: impl Fn(&Place) -> bool, good: &str, bad: &str) -> Judgement {
        let all = &self.picture.workspaces;
        let lacking: Vec<&Place> = all.iter().filter(|place| !is_good(place)).collect();
        match (all.len(), lacking.len()) {
            (0, _) => nothing("there is no workspace here"),
            (1, 0) => pass(format!("the workspace {good}")),
            (count, 0) => pass(format!("each of the {count} workspaces {good}")),
            (count, some) => fail(format!("{some} of {count} workspaces {bad}{}", named(&lacking))),
        }
    }

    /// The same of what is in them. What cannot be looked into is not taken for good.
    pub fn within_workspaces(&self, is_good: impl Fn(&Inside) -> bool, good: &str, bad: &str) -> Judgement {
        let seen = self.workspaces(|place| place.inside.as_ref().is_none_or(&is_good), good, bad);
        let unseen = self.picture.workspaces.iter().filter(|place| place.inside.is_none()).collect::<Vec<_>>();
        match (unseen.len(), seen.verdict) {
            (0, _) => seen,
            (some, Verdict::Fail) => fail(format!("{}; {some} cannot be looked into{AWAY}", seen.why)),
            (some, _) => {
                let count = self.picture.workspaces.len();
                fail(format!("{some} of {count} workspaces cannot be looked into{AWAY}{}", named(&unseen)))
            }
        }
    }

    /// What was written, in order.
    pub fn done(mut self) -> Vec<Control> {
        self.controls.sort_by_key(|control| (control.group, control.number));
        self.controls
    }
}

/// Those that the caller may read, by name.
fn named(places: &[&Place]) -> String {
    let names: Vec<&str> = places.iter().filter(|place| place.is_shown).map(|place| place.id.name()).collect();
    let more = if names.len() > MOST_NAMED { ", …" } else { "" };
    let shown: Vec<&str> = names.into_iter().take(MOST_NAMED).collect();
    if shown.is_empty() { String::new() } else { format!(": {}{more}", shown.join(", ")) }
}
