//! Group 3: identity and access control.

use super::{
    ControlGroup,
    network::SETTINGS,
    sheet::{Elsewhere, Sheet, either, fail, nothing, pass},
};
use crate::gate::Guard;

/// People who own a subscription for good, as Azure advises.
const MOST_OWNERS: usize = 3;

const ELSEWHERE: &[Elsewhere] = &[
    (
        6,
        "Use dedicated machines for administrative tasks",
        "which machines people work at is not seen from here; a second factor and named networks can be demanded",
    ),
    (
        12,
        "Alert on deviating sign-in behaviour",
        "not offered: sign-ins are recorded, and nothing learns what is usual",
    ),
    (
        13,
        "Approve the provider's access (customer lockbox)",
        "not offered: nobody runs this server for you, so there is no provider to let in",
    ),
];

/// Judges the group.
pub(super) fn judge(sheet: &mut Sheet<'_>) {
    sheet.turn_to(ControlGroup::Identity);
    sheet.elsewhere(ELSEWHERE);
    accounts(sheet);
    sign_in(sheet);
    reviews(sheet);
}

fn accounts(sheet: &mut Sheet<'_>) {
    let picture = sheet.picture;
    let people = &picture.people;
    let assignments = picture.at("providers/Microsoft.Authorization/roleAssignments");
    let inventory = match people.leftovers {
        0 => pass("the list of assignments names nobody who is disabled or gone"),
        some => fail(format!("{some} principals hold roles here that are disabled or gone; remove their assignments")),
    };
    sheet.put(1, "Maintain an inventory of administrative accounts", inventory, assignments.clone());
    let passwords = match people.given_passwords {
        0 => pass("nobody with a role here has a password that somebody else set"),
        some => fail(format!(
            "{some} people with a role here have a password that somebody else set; they have to sign in and change it"
        )),
    };
    sheet.put(2, "Change default passwords", passwords, String::from("/graph/v1.0/users"));
    let owners = match people.lasting_owners {
        0 => fail("nobody owns this for good, so that nobody is left once what others have for a time is over"),
        few if few <= MOST_OWNERS => pass(format!("{few} people own this for good; at most {MOST_OWNERS} should")),
        many => fail(format!(
            "{many} people own this for good; make others eligible, for hours at a time, beyond {MOST_OWNERS}"
        )),
    };
    sheet.put(3, "Use dedicated administrative accounts", owners, assignments);
}

fn sign_in(sheet: &mut Sheet<'_>) {
    let picture = sheet.picture;
    let people = &picture.people;
    let tenant = picture.tenant.map(|tenant| tenant.to_string()).unwrap_or_default();
    let discovery = format!("/{tenant}/v2.0/.well-known/openid-configuration");
    let policies = String::from("/graph/v1.0/identity/conditionalAccess/policies");
    let single =
        pass("by the making of the server: every interface takes the tokens of the one sign-in that its tenant has");
    sheet.put(4, "Use single sign-on", single, discovery.clone());
    let factors = match (people.privileged, people.single_factor) {
        (0, _) => nothing("no person holds a role here that changes anything"),
        (_, 0) => pass("everybody who can change anything here is asked for a second factor"),
        (all, some) => fail(format!(
            "{some} of {all} people who can change things here come in with one factor; demand a second one of them in a sign-in policy"
        )),
    };
    sheet.put(5, "Use multi-factor authentication", factors, policies.clone());
    let alarmed = either(
        picture.log.leaves,
        "what administrators do is sent to another system, where it can raise alarm",
        "what administrators do is seen on this server alone; make a diagnostic setting of the subscription with a webhook, syslog or OTLP sink",
    );
    sheet.put(7, "Log and alert on suspicious administrative activity", alarmed, picture.in_subscription(SETTINGS));
    let open = picture.workspaces.iter().filter(|place| !place.is_limited()).count();
    let located = match (picture.named_locations, open) {
        (0, 0) if !picture.workspaces.is_empty() => {
            pass("no workspace here takes requests from anywhere but named networks")
        }
        (0, _) => fail("no sign-in policy names networks, and workspaces take requests from everywhere"),
        (some, _) => pass(format!("{some} sign-in policies name the networks that people may come from")),
    };
    sheet.put(8, "Manage resources from approved locations only", located, policies);
    let central =
        pass("by the making of the server: identities of people, programs and resources are in its one directory");
    sheet.put(9, "Use a central directory", central, discovery);
    let recorded = pass(
        "by the making of the server: a disabled account's tokens are refused at once, and each attempt is recorded",
    );
    sheet.put(
        11,
        "Monitor attempts to use deactivated accounts",
        recorded,
        String::from("/graph/v1.0/auditLogs/signIns"),
    );
}

fn reviews(sheet: &mut Sheet<'_>) {
    let picture = sheet.picture;
    let reviewed = match (picture.approved.contains(&Guard::RoleGrant), picture.people.leftovers) {
        (true, 0) => pass("every grant takes the approval of another, and nobody who is gone holds a role"),
        (true, _) => fail("principals hold roles here that are disabled or gone; see 3.1"),
        (false, _) => {
            fail("roles are granted here without anybody else looking; make an approval rule for `roleGrant`")
        }
    };
    sheet.put(
        10,
        "Regularly review and reconcile access",
        reviewed,
        picture.at("providers/Microsoft.Authorization/approvalRules"),
    );
}
