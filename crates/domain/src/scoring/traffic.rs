//! How the calls of an endpoint are shared between its deployments (requirement O-09).
//!
//! Shares are whole percents and sum up to 100, or are all 0 (Azure's form). The article's form says the shares of some, and the
//! default deployment gets the rest; it is brought to the first at once, so that only one is kept.

use std::collections::BTreeMap;

use kernel::{Error, Kind, Result};

use super::{Deployment, Endpoint};
use crate::{gate::Row, resources::Resource};

/// Deployments that one endpoint may have.
pub(super) const MOST_DEPLOYMENTS: usize = 6;
/// Steps from one choice to the next among a hundred points: near the golden ratio's, so that neighbours lie far apart, and
/// without a common divisor with 100, so that a hundred choices come by every point.
const STRIDE: u64 = 61;
/// How far the points are turned after a hundred choices, so that callers in a fixed rotation do not meet the same ones again.
const TURN: u64 = 37;

impl Endpoint {
    /// Its first deployment gets all calls, and is the default.
    pub(super) fn begin_with(&mut self, deployment: &str) {
        self.traffic = BTreeMap::from([(deployment.to_owned(), 100)]);
        self.default_deployment = Some(deployment.to_owned());
    }

    /// The deployment that gets what is not assigned: the one that was first, or that was named since.
    pub(super) fn default_of<'a>(&self, deployments: impl IntoIterator<Item = &'a str>) -> Option<String> {
        let mut first = None;
        for name in deployments {
            if self.default_deployment.as_deref() == Some(name) {
                return Some(name.to_owned());
            }
            first.get_or_insert(name);
        }
        first.map(str::to_owned)
    }
}

/// The names of deployments, in their order.
pub(super) fn names(deployments: &[Row<Resource<Deployment>>]) -> impl Iterator<Item = &str> {
    deployments.iter().map(|row| row.value.id.name())
}

/// Refuses shares of what is not there, and those that sum up to neither 100 nor 0.
pub(super) fn check(traffic: &BTreeMap<String, u8>, known: &[&str]) -> Result<()> {
    refuse_unknown("properties.traffic", traffic, known)?;
    let sum: u32 = traffic.values().map(|share| u32::from(*share)).sum();
    if sum == 0 || sum == 100 {
        return Ok(());
    }
    Err(Error::invalid("properties.traffic", "the shares must sum up to 100, or all be 0"))
}

/// The shares of all, from those of some: the default gets the rest.
///
/// # Errors
/// `Invalid` for a deployment that is not there, more than 100 in sum, a share for the default that is not the rest, or no default.
pub(super) fn with_rest(
    said: &BTreeMap<String, u8>,
    default: Option<&str>,
    known: &[&str],
) -> Result<BTreeMap<String, u8>> {
    const FIELD: &str = "properties.trafficPercentile";
    refuse_unknown(FIELD, said, known)?;
    let Some(default) = default else {
        return Err(Error::invalid(FIELD, "the endpoint has no deployment yet"));
    };
    let others = said.iter().filter(|(name, _)| *name != default);
    let sum: u32 = others.clone().map(|(_, share)| u32::from(*share)).sum();
    let rest = 100_u32.checked_sub(sum).and_then(|rest| u8::try_from(rest).ok());
    let Some(rest) = rest else {
        return Err(Error::invalid(FIELD, "the shares must not sum up to more than 100"));
    };
    if said.get(default).is_some_and(|share| *share != rest) {
        let why = format!("the default deployment `{default}` gets the rest, which is {rest}; leave it out");
        return Err(Error::invalid(FIELD, why));
    }
    let mut shares: BTreeMap<String, u8> = others.map(|(name, share)| (name.clone(), *share)).collect();
    shares.insert(default.to_owned(), rest);
    Ok(shares)
}

fn refuse_unknown(field: &str, traffic: &BTreeMap<String, u8>, known: &[&str]) -> Result<()> {
    for (name, share) in traffic {
        if *share > 0 && !known.contains(&name.as_str()) {
            let name: String = name.chars().take(40).collect();
            return Err(Error::invalid(field, format_args!("there is no deployment `{name}`")));
        }
    }
    Ok(())
}

/// Refuses to take a deployment away that is called, or that is the default of others.
pub(super) fn refuse_removal(endpoint: &Endpoint, name: &str, deployments: &[&str]) -> Result<()> {
    if let Some(share) = endpoint.traffic.get(name).filter(|share| **share > 0) {
        let why = format!("the deployment `{name}` gets {share} % of the traffic; set its share to 0 first");
        return Err(Error::new(Kind::Conflict, why));
    }
    let is_default = endpoint.default_of(deployments.iter().copied()).as_deref() == Some(name);
    if is_default && deployments.len() > 1 {
        let why = format!(
            "`{name}` is the default deployment of this endpoint; name another one as `defaultDeployment` first"
        );
        return Err(Error::new(Kind::Conflict, why));
    }
    Ok(())
}

/// Which of some shares the `turn`-th choice falls on; none when all are 0. A hundred choices in a row that begin at a multiple of
/// a hundred give each exactly its share, and the choices of one are spread evenly among those of the others.
pub(super) fn choose(shares: &[u8], turn: u64) -> Option<usize> {
    let total: u64 = shares.iter().map(|share| u64::from(*share)).sum();
    let cycle = turn.div_euclid(100).rem_euclid(100);
    let point = turn.rem_euclid(100).saturating_mul(STRIDE).saturating_add(cycle.saturating_mul(TURN)).rem_euclid(100);
    // Among some of the deployments only, their shares are stretched to a hundred.
    let mut point = point.saturating_mul(total).div_euclid(100);
    for (at, share) in shares.iter().enumerate() {
        let share = u64::from(*share);
        if point < share {
            return Some(at);
        }
        point = point.saturating_sub(share);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(shares: &[u8], from: u64, choices: u64) -> Vec<f64> {
        let mut counts = vec![0.0; shares.len()];
        for turn in from..from + choices {
            counts[choose(shares, turn).unwrap()] += 1.0;
        }
        counts
    }

    #[test]
    fn ten_thousand_choices_are_within_one_percent() {
        for shares in
            [&[90, 10][..], &[20, 10, 70], &[1, 99], &[34, 33, 33], &[50, 0, 50], &[30, 3], &[7, 7, 7, 7, 7, 7]]
        {
            let total: f64 = shares.iter().map(|share| f64::from(*share)).sum();
            for from in [0, 57, 9_999, u64::MAX / 2] {
                for (share, count) in shares.iter().zip(counts(shares, from, 10_000)) {
                    let due = f64::from(*share) / total;
                    assert!((count / 10_000.0 - due).abs() <= 0.01, "{shares:?} from {from}: {count}");
                }
            }
        }
    }

    #[test]
    fn a_share_is_spread_among_the_others() {
        // Ten in a hundred: never three in a row, never thirty without one.
        let chosen: Vec<usize> = (0..2_000).map(|turn| choose(&[90, 10], turn).unwrap()).collect();
        assert!(!chosen.windows(3).any(|three| three == [1, 1, 1]));
        assert!(chosen.windows(30).all(|some| some.contains(&1)));
        // A caller in a rotation of a hundred meets both.
        let rotated: Vec<usize> = (0..100).map(|at| choose(&[90, 10], at * 100).unwrap()).collect();
        assert!(rotated.contains(&0) && rotated.contains(&1));
    }

    #[test]
    fn without_shares_nothing_is_chosen() {
        assert_eq!(choose(&[], 5), None);
        assert_eq!(choose(&[0, 0], 5), None);
        assert_eq!(choose(&[0, 1], u64::MAX), Some(1));
    }

    fn shares(pairs: &[(&str, u8)]) -> BTreeMap<String, u8> {
        pairs.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect()
    }

    #[test]
    fn shares_sum_up_to_a_hundred_or_nothing() {
        let known = ["blue", "green"];
        for good in [&[("blue", 90), ("green", 10)][..], &[], &[("blue", 0)], &[("gone", 0)], &[("green", 100)]] {
            check(&shares(good), &known).unwrap();
        }
        for bad in [&[("blue", 90)][..], &[("blue", 90), ("green", 20)], &[("red", 100)], &[("blue", 200)]] {
            assert_eq!(check(&shares(bad), &known).unwrap_err().kind(), Kind::Invalid, "{bad:?}");
        }
    }

    #[test]
    fn the_default_gets_the_rest() {
        let known = ["blue", "green", "red"];
        let split = |said: &[(&str, u8)]| with_rest(&shares(said), Some("blue"), &known);
        assert_eq!(split(&[("green", 20), ("red", 10)]).unwrap(), shares(&[("blue", 70), ("green", 20), ("red", 10)]));
        assert_eq!(split(&[]).unwrap(), shares(&[("blue", 100)]));
        assert_eq!(split(&[("green", 100)]).unwrap(), shares(&[("blue", 0), ("green", 100)]));
        assert_eq!(split(&[("blue", 60), ("green", 40)]).unwrap(), shares(&[("blue", 60), ("green", 40)]));
        for bad in [&[("green", 60), ("red", 50)][..], &[("white", 1)], &[("blue", 50), ("green", 40)]] {
            assert_eq!(split(bad).unwrap_err().kind(), Kind::Invalid, "{bad:?}");
        }
        assert!(with_rest(&shares(&[]), None, &[]).is_err());
    }

    #[test]
    fn what_is_called_or_the_default_stays() {
        let mut endpoint = Endpoint { traffic: shares(&[("blue", 90), ("green", 10)]), ..Endpoint::default() };
        let known = ["blue", "green"];
        for name in known {
            assert_eq!(refuse_removal(&endpoint, name, &known).unwrap_err().kind(), Kind::Conflict);
        }
        endpoint.traffic.clear();
        assert!(refuse_removal(&endpoint, "blue", &known).is_err());
        refuse_removal(&endpoint, "green", &known).unwrap();
        endpoint.default_deployment = Some(String::from("green"));
        assert!(refuse_removal(&endpoint, "green", &known).is_err());
        refuse_removal(&endpoint, "blue", &known).unwrap();
        refuse_removal(&endpoint, "green", &["green"]).unwrap();
    }
}
