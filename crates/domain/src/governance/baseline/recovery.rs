//! Groups 9 and 10: data recovery and incident response.

use super::{
    ControlGroup,
    network::SETTINGS,
    sheet::{Elsewhere, Sheet, either, fail, pass},
};
use crate::gate::Guard;

const RECOVERY: &[Elsewhere] = &[
    (
        1,
        "Ensure regular automated backups",
        "`bartizan backup` copies everything while the server serves; what calls it, and how often, is your own: see the guide to backing up",
    ),
    (
        2,
        "Back up everything, keys included",
        "the root key is copied separately, by whoever runs the server, who alone can say that it was",
    ),
    (
        3,
        "Validate backups, keys included",
        "a copy is read again before it has its name; `bartizan backup verify` reads it where it lies, and restoring it tries the root key",
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
    let is_approved = picture.approved.contains(&Guard::Purge) && picture.approved.contains(&Guard::KeyChange);
    let kept = match (is_approved, picture.unprotected_vaults) {
        (true, 0) => pass(
            "what destroys data or changes keys here takes the approval of others, and no vault is purged before its time",
        ),
        (true, some) => fail(format!(
            "{some} key vaults, or what they hold, can be purged before their time; set `enablePurgeProtection`"
        )),
        (false, _) => fail(
            "one person alone can destroy data or change keys here; make approval rules for `purge` and `keyChange`",
        ),
    };
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
