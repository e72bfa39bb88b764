//! Groups 9 and 10: data recovery and incident response.

use super::{
    ControlGroup,
    network::SETTINGS,
    sheet::{Elsewhere, Sheet, either},
};
use crate::gate::Guard;

const RECOVERY: &[Elsewhere] = &[
    (
        1,
        "Ensure regular automated backups",
        "copies are made beside a stopped server, which cannot see them; see the guide to backing up",
    ),
    (
        2,
        "Back up everything, keys included",
        "the root key is copied separately, by whoever runs the server, who alone can say that it was",
    ),
    (
        3,
        "Validate backups, keys included",
        "a copy is validated where it is restored: the server checks its log when it starts there",
    ),
];

const INCIDENT: &[Elsewhere] = &[
    (1, "Create an incident response guide", "a document of your organization"),
    (2, "Score and rank incidents", "a process of your organization; alert rules have severities from 0 to 4"),
    (3, "Test response procedures", "a process of your organization"),
    (6, "Automate the response to alerts", "what a webhook starts is your own; see 10.4 for whether one is told"),
];

/// Judges the groups.
pub(super) fn judge(sheet: &mut Sheet<'_>) {
    let picture = sheet.picture;
    sheet.turn_to(ControlGroup::Recovery);
    sheet.elsewhere(RECOVERY);
    let kept = either(
        picture.approved.contains(&Guard::Purge) && picture.approved.contains(&Guard::KeyChange),
        "what destroys data or changes keys here takes the approval of others",
        "one person alone can destroy data or change keys here; make approval rules for `purge` and `keyChange`",
    );
    sheet.put(4, "Protect backups and keys", kept, picture.at("providers/Microsoft.Authorization/approvalRules"));
    sheet.turn_to(ControlGroup::Incident);
    sheet.elsewhere(INCIDENT);
    let contact = either(
        picture.told > 0,
        "an action group tells somebody",
        "no action group of the subscription is enabled and has a webhook, so alerts reach nobody",
    );
    sheet.put(
        4,
        "Name contacts and notify them of incidents",
        contact,
        picture.in_subscription("providers/Microsoft.Insights/actionGroups"),
    );
    let exported = picture.log.leaves || picture.workspaces.iter().any(|place| place.log.leaves);
    let incorporated = either(
        exported,
        "records are exported continuously to another system",
        "no diagnostic setting exports records to the system that incidents are handled in",
    );
    sheet.put(5, "Bring alerts into incident response", incorporated, picture.at(SETTINGS));
}
