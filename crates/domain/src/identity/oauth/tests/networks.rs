//! Bounds for an address are bounds for the network that whoever has it has.

use std::net::{IpAddr, Ipv6Addr};

use kernel::{Caller, Kind, Secret, Source};

use super::stand::{Stand, public, refusal};
use crate::{
    gate::enter,
    identity::{ClientClaim, DeviceRefusal, GetDeviceRequest, GetToken, StartDevice, TokenRefusal},
};

/// Somebody at one of the addresses of 2001:db8::/64.
fn at(last: u16) -> Caller {
    let address = IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
    Caller::nobody(Source { address: Some(address), ..Source::internal() })
}

#[tokio::test]
async fn one_network_does_not_take_the_places_of_all_devices() {
    let stand = Stand::new().await;
    let start = || StartDevice { client: public(), scope: String::from("openid"), claims: None };
    for last in 0..100 {
        enter(&stand.house, &at(last), start()).await.unwrap().unwrap();
    }
    let fault = enter(&stand.house, &at(100), start()).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Throttled);
    stand.ask(start()).await.unwrap().unwrap();
}

#[tokio::test]
async fn one_network_does_not_fill_the_log_with_whom_it_pretends_to_be() {
    let stand = Stand::new().await;
    let (before, _) = stand.house.log_head().await.unwrap();
    for last in 0..40 {
        let secret = Secret::new(String::from("wrong"));
        let client = ClientClaim::with_secret("common", stand.founded.app.to_string(), secret);
        let scope = String::from("https://management.azure.com/.default");
        let asked = enter(&stand.house, &at(last), GetToken { client, scope, claims: None }).await;
        assert_eq!(refusal(asked), TokenRefusal::BadSecret);
    }
    stand.house.flush_reads().await.unwrap();
    let (after, _) = stand.house.log_head().await.unwrap();
    assert!(after - before <= 11, "{} records", after - before);
}

#[tokio::test]
async fn one_network_has_so_many_guesses_at_user_codes() {
    let stand = Stand::new().await;
    let mut refusals = Vec::new();
    for last in 0..30_u16 {
        let session = stand.sign_in_again().await;
        let op = GetDeviceRequest { session, user_code: String::from("BCDF-GHJK") };
        refusals.push(enter(&stand.house, &at(last), op).await.unwrap().unwrap_err());
    }
    let looked_at = refusals.iter().filter(|why| **why == DeviceRefusal::UnknownCode).count();
    assert!(looked_at <= 20, "{looked_at} were looked at");
}
