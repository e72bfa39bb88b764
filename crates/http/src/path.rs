//! Addresses: one strict decoding, and ARM's case-insensitive words brought to their canonical case before routing.

/// Percent-decodes once. None for bad escapes, no UTF-8, control characters, backslashes, or a decoded `.`, `..` or `/` in a
/// segment: what is checked is what is used.
pub(crate) fn decode(path: &str) -> Option<String> {
    let segments: Option<Vec<String>> = path.split('/').map(decode_segment).collect();
    Some(segments?.join("/"))
}

fn decode_segment(segment: &str) -> Option<String> {
    let text = unescape(segment, false)?;
    let is_plain = text != "." && text != ".." && !text.chars().any(|c| c == '/' || c == '\\' || c.is_control());
    is_plain.then_some(text)
}

pub(crate) fn unescape(text: &str, plus_is_space: bool) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let digits =
                    std::str::from_utf8(&digits).ok().filter(|hex| hex.bytes().all(|c| c.is_ascii_hexdigit()))?;
                out.push(u8::from_str_radix(digits, 16).ok()?);
            }
            b'+' if plus_is_space => out.push(b' '),
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}

/// The pairs of a query or form (`application/x-www-form-urlencoded`). Pairs that do not decode are left out.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((unescape(key, true)?, unescape(value, true)?))
    })
}

/// Words that ARM matches without regard to case, in their canonical case.
const WORDS: &[&str] = &[
    "approvalRequests",
    "approvalRules",
    "approve",
    "baselineReports",
    "breakGlass",
    "Microsoft.DocumentDB",
    "Microsoft.Search",
    "databaseAccounts",
    "searchServices",
    "proof",
    "throughputSettings",
    "request",
    "close",
    "businessImpact",
    "raiseBusinessImpact",
    "deny",
    "subscriptions",
    "resourceGroups",
    "providers",
    "locations",
    "quotas",
    "usages",
    "updateQuotas",
    "resources",
    "operations",
    "Microsoft.MachineLearningServices",
    "Microsoft.Authorization",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.Storage",
    "Microsoft.ContainerRegistry",
    "Microsoft.Resources",
    "workspaces",
    "deletedWorkspaces",
    "erasedWorkspaces",
    "reseal",
    "computes",
    "data",
    "datastores",
    "codes",
    "environments",
    "models",
    "versions",
    "jobs",
    "images",
    "statementKeys",
    "onlineEndpoints",
    "deployments",
    "services",
    "listKeys",
    "listSecrets",
    "resyncKeys",
    "diagnose",
    "regenerateKey",
    "listCredentials",
    "regenerateCredential",
    "regenerateKeys",
    "namedKeys",
    "startPendingUpload",
    "getLogs",
    "cancel",
    "checkNameAvailability",
    "token",
    "package",
    "vaults",
    "deletedVaults",
    "accessPolicies",
    "purge",
    "secrets",
    "secrets:deletebatch",
    "secrets:getbatch",
    "secrets:putbatch",
    "keys",
    "certificates",
    "storageAccounts",
    "blobServices",
    "containers",
    "listAccountSas",
    "listServiceSas",
    "revokeUserDelegationKeys",
    "registries",
    "components",
    "roleAssignmentScheduleInstances",
    "roleAssignmentScheduleRequests",
    "roleAssignmentSchedules",
    "roleAssignments",
    "roleDefinitions",
    "roleEligibilityScheduleInstances",
    "roleEligibilityScheduleRequests",
    "roleEligibilitySchedules",
    "eventtypes",
    "management",
    "runs",
    "values",
    "metrics",
    "metricDefinitions",
    "metricAlerts",
    "actionGroups",
    "Microsoft.AlertsManagement",
    "alerts",
    "operationStatuses",
    "diagnosticSettings",
    "diagnosticSettingsCategories",
    "archives",
    "outboundNetworkDependenciesEndpoints",
    "exportTemplate",
    "privateEndpointConnections",
    "privateLinkResources",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.Security",
    "privateEndpoints",
    "subnets",
    "policyAssignments",
    "policyDefinitions",
    "policyStates",
    "latest",
    "queryResults",
    "summarize",
    "validate",
    "virtualNetworks",
    "whatIf",
    "eventSubscriptions",
    "Microsoft.EventGrid",
];

/// Brings the fixed words of an ARM path to their canonical case; names keep theirs. Other paths pass unchanged.
pub(crate) fn canonical(path: &str) -> Option<String> {
    let start = path.to_ascii_lowercase().find("/subscriptions")?;
    let (before, rest) = path.split_at_checked(start)?;
    let mut out = before.to_owned();
    let mut is_name = false;
    let mut is_foreign = false;
    let mut segments = rest.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        // Azure's clients send `…/deployments/` and `Microsoft.X//type/name`. An empty name in the middle stays what it is.
        if segment.is_empty() && !is_foreign && (!is_name || segments.peek().is_none()) {
            continue;
        }
        let word = WORDS.iter().find(|word| word.eq_ignore_ascii_case(segment)).copied();
        out.push('/');
        out.push_str(match word {
            Some(word) if !is_name && !is_foreign => word,
            _ => segment,
        });
        // Below `api` another protocol begins, and below `artifacts` files, whose paths are their own.
        is_foreign = is_foreign || (!is_name && matches!(segment, "api" | "ajax-api" | "artifacts"));
        // A type is followed by a name; `providers` and a namespace are followed by another fixed word.
        is_name = !is_name && word != Some("providers") && !word.unwrap_or(segment).contains('.');
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_names_are_not() {
        let path = "/subscriptions/S/resourcegroups/Jobs/PROVIDERS/microsoft.machinelearningservices/Workspaces/Models/onlineendpoints/E/LISTKEYS";
        let expected = "/subscriptions/S/resourceGroups/Jobs/providers/Microsoft.MachineLearningServices/workspaces/Models/onlineEndpoints/E/listKeys";
        assert_eq!(canonical(path).unwrap(), expected);
        let below = "/mlflow/v1.0/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/api/2.0/mlflow/Models";
        assert_eq!(canonical(below).unwrap(), below);
        let file = "/artifact/v2.0/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/artifacts/contentinfo/ExperimentRun/dcid.r/Models/JOBS/x";
        assert_eq!(canonical(file).unwrap(), file);
        assert_eq!(canonical("/v2/x"), None);
    }

    #[test]
    fn an_empty_segment_is_left_out_where_no_name_belongs() {
        for (sent, meant) in [
            (
                "/subscriptions/s/providers/Microsoft.Resources/deployments/",
                "/subscriptions/s/providers/Microsoft.Resources/deployments",
            ),
            (
                "/subscriptions/s/providers/Microsoft.X//workspaces/w",
                "/subscriptions/s/providers/Microsoft.X/workspaces/w",
            ),
            ("/subscriptions/s/resourceGroups//providers", "/subscriptions/s/resourceGroups//providers"),
        ] {
            assert_eq!(canonical(sent).unwrap(), meant);
        }
    }

    #[test]
    fn a_path_is_decoded_once_and_strictly() {
        assert_eq!(decode("/a%20b/c").unwrap(), "/a b/c");
        assert_eq!(decode("/a%252e%252e/c").unwrap(), "/a%2e%2e/c");
        for bad in
            ["/%2e%2e/x", "/a/../x", "/./x", "/a%2fb", "/a%5cb", "/a\\b", "/%zz", "/%f", "/%ff", "/a%00", "/a%0a"]
        {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
