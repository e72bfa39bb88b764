//! How Azure's command line writes addresses, times and templates.

use outbound::Method;

use crate::house::{TestHouse, Who};

const LEARNING: &str = "Microsoft.MachineLearningServices";

#[tokio::test(flavor = "multi_thread")]
async fn addresses_times_and_templates_are_read_as_az_writes_them() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let doubled = test.workspace().replace(&format!("{LEARNING}/"), &format!("{LEARNING}//"));
    assert_eq!(test.ask(owner, Method::GET, &doubled, None).await.1["name"], "ws1");
    let deployments = format!("{}/providers/Microsoft.Resources/deployments/", test.group());
    assert_eq!(test.ask(owner, Method::GET, &deployments, None).await.0, 200);
    // An empty name is none.
    assert_eq!(
        test.ask(owner, Method::GET, &format!("{}/resourceGroups//resources", test.subscription()), None).await.0,
        404
    );
    let values = format!("{}/providers/Microsoft.Insights/eventtypes/management/values", test.subscription());
    let since = format!("{values}?$filter=eventTimestamp%20ge%202020-01-01T09:51:43.624860");
    assert_eq!(test.ask(owner, Method::GET, &since, None).await.0, 200);
    let metrics = format!("{}/providers/Microsoft.Insights/metrics", test.workspace());
    for span in
        ["2026-01-01T00:00:00.01/2026-01-01T01:00:00.01", "2026-01-01T00%253A00%253A00%252F2026-01-01T01%253A00%253A00"]
    {
        assert_eq!(test.ask(owner, Method::GET, &format!("{metrics}?timespan={span}"), None).await.0, 200, "{span}");
    }
    let spliced = "{\"properties\": {\"mode\": \"Incremental\", template:{\n  // no resources\n  \"contentVersion\": \"1.0.0.0\",\n  \
                   \"$schema\": \"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#\",\n  \"resources\": []}}}";
    let call = test.client().call(Method::POST, &format!("{deployments}d1/validate")).bearer(owner.unwrap());
    let answer = call.body("application/json", spliced.as_bytes().to_vec()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    test.end().await;
}
