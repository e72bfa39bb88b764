//! The approval to delete a resource group is for what is in it: what was not looked at does not go.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn x25_an_approval_to_delete_a_group_is_for_what_is_in_it() {
    let town = Town::new().await;
    let [bob, carol] = [town.person("bob").await, town.person("carol").await];
    let owner = town.owner();
    let group = town.another_group().await;
    let rule =
        json!({"properties": {"operation": "purge", "approvals": 1, "approvers": {"principals": [bob.0, carol.0]}}});
    let place = Town::at(&town.test.subscription(), &format!("approvalRules/{}", Uuid::new_v4()));
    assert_eq!(town.ask(owner, Method::PUT, &place, &rule).await.0, 201);
    let account = |name: &str| format!("{group}/providers/Microsoft.Storage/storageAccounts/{name}");
    let put = async |name: &str| {
        let (status, made) = town.ask(owner, Method::PUT, &account(name), &json!({"location": "local"})).await;
        assert!(status < 300, "{made}");
    };
    let request = async || {
        let (status, answer) = town.ask(owner, Method::DELETE, &group, &Value::Null).await;
        assert_eq!((status, &answer["error"]["code"]), (409, &json!("ApprovalRequired")), "{answer}");
        answer["error"]["target"].as_str().unwrap().to_owned()
    };
    let approve = async |request: &str| {
        let body = json!({"comment": "looked at it"});
        let (status, answer) = town.ask(&bob.1, Method::POST, &format!("{request}/approve"), &body).await;
        assert_eq!(status, 200, "{answer}");
    };

    put("firststore").await;
    let first = request().await;
    let (_, seen) = town.ask(&bob.1, Method::GET, &first, &Value::Null).await;
    assert!(seen.to_string().contains(&account("firststore")), "approvers see what goes: {seen}");
    approve(&first).await;
    // Something came: that is another request, and the approval of the first is not for it.
    put("secondstore").await;
    let second = request().await;
    assert_ne!(second, first);
    // Gone and made again is another one too, though it has the name.
    assert_eq!(town.ask(owner, Method::DELETE, &account("secondstore"), &Value::Null).await.0, 200);
    assert_eq!(town.ask(owner, Method::DELETE, &account("firststore"), &Value::Null).await.0, 200);
    put("firststore").await;
    let third = request().await;
    assert!(third != first && third != second);
    assert_eq!(request().await, third, "the same is asked for once");
    approve(&third).await;
    let (status, answer) = town.ask(owner, Method::DELETE, &group, &Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(town.ask(owner, Method::GET, &account("firststore"), &Value::Null).await.0, 404);
    town.test.end().await;
}
