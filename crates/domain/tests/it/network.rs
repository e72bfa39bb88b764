//! From where a workspace is reached: jobs of the local target, other addresses, and what is never shut.

use std::net::IpAddr;

use domain::{
    audit::{ActivityFilter, ListActivities},
    compute::AppendLog,
    gate::{Outcome, enter},
    network::NetworkRequest,
    resources::{Datastore, GetResource, ListResources, PatchWorkspace, Precondition, Wanted, Workspace},
    scoring::{CallWords, DeploymentRequest, EndpointRequest, ListServiceKeys, Score, locate},
};
use kernel::{Caller, Error, Kind, Result, Secret, Source};

use crate::stand::{Stand, agent_address};

const ELSEWHERE: [u8; 4] = [198, 51, 100, 7];

fn from(caller: &Caller, address: impl Into<IpAddr>, is_here: bool) -> Caller {
    let source = Source { address: Some(address.into()), is_here, ..Source::internal() };
    Caller { who: caller.who.clone(), source }
}

/// A workspace with a service, and the agent of its replica.
async fn with_service() -> (Stand, Caller) {
    let stand = Stand::new().await;
    stand.iris().await;
    stand.endpoint("svc", EndpointRequest::default()).await.unwrap();
    let image = Some("iris".parse().unwrap());
    stand.deploy("svc", DeploymentRequest { image, ..DeploymentRequest::default() }).await.unwrap();
    let agent = stand.begin_launches().await.remove(0);
    (stand, agent)
}

impl Stand {
    async fn rule(&self, by: &Caller, access: &str, list: &[&str]) -> Result<()> {
        let network = NetworkRequest {
            public_network_access: Some(access.to_owned()),
            ip_allowlist: Some(list.iter().map(|text| (*text).to_owned()).collect()),
        };
        let patch = PatchWorkspace {
            id: self.workspace.clone(),
            wanted: Wanted { network, ..Wanted::default() },
            precondition: Precondition::default(),
        };
        enter(&self.house, by, patch).await.map(drop)
    }

    async fn reaches(&self, caller: &Caller) -> Result<(), Error> {
        enter(&self.house, caller, ListResources::<Datastore>::new(self.workspace.clone())).await.map(drop)
    }
}

#[tokio::test]
async fn only_listed_addresses_reach_what_is_within_and_the_rule_itself_stays_in_reach() {
    let stand = Stand::new().await;
    let far = from(&stand.owner, ELSEWHERE, false);
    stand.reaches(&far).await.unwrap();
    stand.rule(&stand.owner, "Enabled", &["203.0.113.0/24", "2001:db8::/32"]).await.unwrap();
    for (address, is_in) in [
        ("203.0.113.9", true),
        ("203.0.114.9", false),
        ("::ffff:203.0.113.9", true),
        ("2001:db8::1", true),
        ("2001:db9::1", false),
        ("127.0.0.1", false),
    ] {
        // Being on the server's machine opens nothing to people: a proxy there would stand for the whole world.
        let caller = from(&stand.owner, address.parse::<IpAddr>().unwrap(), address == "127.0.0.1");
        let outcome = stand.reaches(&caller).await;
        assert_eq!(outcome.is_ok(), is_in, "{address}: {outcome:?}");
        if let Err(refusal) = outcome {
            assert_eq!((refusal.kind(), refusal.code()), (Kind::Denied, Some("Forbidden")));
            assert!(refusal.public().contains(address), "{}", refusal.public());
        }
    }
    // Disabled wins over the list; the management of the workspace goes on from anywhere.
    stand.rule(&far, "Disabled", &["198.51.100.7"]).await.unwrap();
    assert_eq!(stand.reaches(&far).await.unwrap_err().kind(), Kind::Denied);
    enter(&stand.house, &far, GetResource::<Workspace>::new(stand.workspace.clone())).await.unwrap();
    stand.rule(&far, "Enabled", &["198.51.100.7"]).await.unwrap();
    stand.reaches(&far).await.unwrap();
    // Whoever may not do it at all is told nothing of rules.
    stand.rule(&far, "Disabled", &[]).await.unwrap();
    let reader = stand.reader().await;
    let stranger = Caller::nobody(Source { address: Some(ELSEWHERE.into()), is_here: false, ..Source::internal() });
    assert_eq!(stand.reaches(&stranger).await.unwrap_err().kind(), Kind::Unauthenticated);
    assert_eq!(stand.rule(&reader, "Enabled", &[]).await.unwrap_err().code(), None);
}

#[tokio::test]
async fn jobs_on_this_machine_go_on_and_their_tokens_are_worth_nothing_elsewhere() {
    let (stand, agent) = with_service().await;
    stand.rule(&stand.owner, "Disabled", &[]).await.unwrap();
    let word = |caller: Caller| {
        let append = AppendLog {
            address: agent_address(&agent),
            name: String::from("user_logs/std_log.txt"),
            offset: 0,
            bytes: "a".into(),
        };
        let house = stand.house.clone();
        async move { enter(&house, &caller, append).await.map(drop).map_err(|fault| fault.code()) }
    };
    assert_eq!(word(from(&agent, ELSEWHERE, false)).await, Err(Some("Forbidden")));
    // The machine's own public address counts as here, too.
    assert_eq!(word(from(&agent, ELSEWHERE, true)).await, Ok(()));
}

#[tokio::test]
async fn a_service_answers_the_right_key_from_the_right_address_alone() {
    let (stand, _) = with_service().await;
    stand.rule(&stand.owner, "Enabled", &["203.0.113.0/24"]).await.unwrap();
    let listed = from(&stand.owner, [203, 0, 113, 1], false);
    let keys = ListServiceKeys { endpoint: stand.id(&["onlineEndpoints", "svc"]) };
    let key = enter(&stand.house, &listed, keys).await.unwrap().primary.expose().clone();
    let call = |address: [u8; 4], key: String| {
        let house = stand.house.clone();
        let guid = stand.guid;
        async move {
            let words =
                CallWords { method: String::from("POST"), path: String::from("/score"), user_agent: String::new() };
            let located = locate(&house, guid, "svc").await.unwrap();
            let op = Score { located, credential: Some(Secret::new(key)), deployment: None, model: None, words };
            let nobody = Caller::nobody(Source { address: Some(address.into()), is_here: false, ..Source::internal() });
            enter(&house, &nobody, op).await.map(drop).map_err(|fault| fault.kind())
        }
    };
    assert_eq!(call([203, 0, 113, 1], key.clone()).await, Ok(()));
    assert_eq!(call(ELSEWHERE, key).await, Err(Kind::Denied));
    // A wrong key learns nothing of the rule.
    assert_eq!(call(ELSEWHERE, String::from("wrong")).await, Err(Kind::Unauthenticated));
    stand.house.flush_reads().await.unwrap();
    let filter = ActivityFilter { most: 100, ..ActivityFilter::default() };
    let list = ListActivities { scope: stand.workspace.clone(), filter };
    let found = enter(&stand.house, &stand.owner, list).await.unwrap().found;
    let refused = found.into_iter().find(|row| row.activity.detail.contains_key("refused"));
    let record = refused.unwrap().activity;
    assert_eq!((record.address, record.outcome), (Some(ELSEWHERE.into()), Outcome::Denied));
}

#[tokio::test]
async fn what_is_no_rule_is_refused_and_changes_nothing() {
    let stand = Stand::new().await;
    let many: Vec<String> = (0..=200).map(|n| format!("10.0.{n}.0/24")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cases: [&[&str]; 6] =
        [&["10.0.0.1/8"], &["10.0.0.0/33"], &["host"], &["::ffff:10.0.0.1"], &["10.0.0.0/8", ""], &many];
    for list in cases {
        let refusal = stand.rule(&stand.owner, "Enabled", list).await.unwrap_err();
        assert_eq!((refusal.kind(), refusal.target()), (Kind::Invalid, Some("properties.ipAllowlist")), "{list:?}");
    }
    let refusal = stand.rule(&stand.owner, "Perhaps", &[]).await.unwrap_err();
    assert_eq!(refusal.target(), Some("properties.publicNetworkAccess"));
    stand.reaches(&from(&stand.owner, ELSEWHERE, false)).await.unwrap();
}
