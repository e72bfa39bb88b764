//! Group 2: logging and monitoring.

use super::{
    ControlGroup,
    network::SETTINGS,
    sheet::{Elsewhere, Sheet, either, fail, pass},
};

const ELSEWHERE: &[Elsewhere] = &[
    (1, "Use approved time synchronization sources", "the server takes its host's clock; synchronize that"),
    (4, "Collect security logs from operating systems", "the logs of hosts are collected where hosts are run"),
    (8, "Centralize anti-malware logging", "no anti-malware runs in this server; see group 8"),
    (9, "Enable DNS query logging", "this server resolves no names for others"),
    (
        10,
        "Enable command-line audit logging",
        "shells of hosts are not this server's; the command of every job is kept with the job",
    ),
];

/// Judges the group.
pub(super) fn judge(sheet: &mut Sheet<'_>) {
    sheet.turn_to(ControlGroup::Logging);
    sheet.elsewhere(ELSEWHERE);
    let picture = sheet.picture;
    let settings = picture.in_subscription(SETTINGS);
    let central = either(
        picture.log.leaves,
        "the subscription's log is sent to another system as it is written",
        "the log stays on this server alone; make a diagnostic setting of the subscription with a webhook, syslog or OTLP sink",
    );
    sheet.put(2, "Configure central security log management", central, settings.clone());
    let audited = sheet.workspaces(
        |place| place.log.is_sent,
        "has diagnostic settings",
        "have no diagnostic setting that sends anything",
    );
    sheet.put(3, "Enable audit logging for resources", audited, picture.at(SETTINGS));
    let kept = match (picture.retention.changed_at, picture.retention.days) {
        (None, _) => fail("nobody said how long the log is kept; say so, even where it is for ever"),
        (Some(_), None) => pass("the log is kept for ever, as was said"),
        (Some(_), Some(days)) => pass(format!("the log is kept for {days} days, and a cut is signed")),
    };
    sheet.put(5, "Configure security log storage retention", kept, String::from("/activity-log/v1/retention"));
    let failing = picture.log.failing + picture.workspaces.iter().map(|place| place.log.failing).sum::<usize>();
    let reviewed = match (picture.log.leaves, failing) {
        (false, _) => fail("the log is sent to nobody who could review it; see 2.2"),
        (true, 0) => pass("every sink takes what it is sent"),
        (true, some) => fail(format!("{some} sinks did not take what they were sent last; look at their cursors")),
    };
    sheet.put(6, "Monitor and review logs", reviewed, settings);
    let alerted = sheet.workspaces(
        |place| place.is_watched,
        "is watched by an alert rule that tells somebody",
        "are watched by no enabled alert rule with an action group that tells somebody",
    );
    sheet.put(
        7,
        "Enable alerts for anomalous activity",
        alerted,
        picture.in_subscription("providers/Microsoft.Insights/metricAlerts"),
    );
}
