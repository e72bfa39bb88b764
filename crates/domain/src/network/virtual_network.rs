//! Virtual networks and their subnets: names for ranges of client addresses (`Microsoft.Network`).

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rules::parse_list;
use crate::{
    gate::{Admission, Changes, Cx, Op, Row},
    governance::amend,
    identity::Network,
    resources::{Precondition, PutResource, Resource, ResourceGroup, ResourceType, Written, find, row_id},
};

/// Subnets of one network.
const MOST_SUBNETS: usize = 200;

/// A virtual network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VirtualNetwork {
    /// Its ranges.
    pub address_space: Vec<Network>,
    /// Its subnets, none overlapping another.
    pub subnets: Vec<Subnet>,
}

/// A subnet: part of its network's ranges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its name.
    pub name: String,
    /// Its ranges.
    pub prefixes: Vec<Network>,
    /// Never reused, unlike the name.
    pub guid: Uuid,
    /// The private endpoints in it.
    pub endpoints: Vec<ResourceId>,
}

impl ResourceType for VirtualNetwork {
    const TYPE: &'static str = "Microsoft.Network/virtualNetworks";
    const READ: Action = Action::new("Microsoft.Network/virtualNetworks/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.Network/virtualNetworks/write", Class::Control);
    const DELETE: Action = Action::new("Microsoft.Network/virtualNetworks/delete", Class::Control);

    fn check(&self, id: &ResourceId) -> Result<()> {
        check_name("virtualNetworkName", id.name())?;
        if self.address_space.is_empty() {
            return Err(Error::invalid("properties.addressSpace.addressPrefixes", "at least one range"));
        }
        if overlap(&self.address_space).is_some() {
            return Err(Error::invalid("properties.addressSpace.addressPrefixes", "two of the ranges overlap"));
        }
        if self.subnets.len() > MOST_SUBNETS {
            return Err(Error::invalid("properties.subnets", format_args!("at most {MOST_SUBNETS} subnets")));
        }
        for (at, subnet) in self.subnets.iter().enumerate() {
            self.check_subnet(subnet, self.subnets.get(at.saturating_add(1)..).unwrap_or_default())?;
        }
        Ok(())
    }
}

/// Azure's shape of names of networks, subnets and endpoints.
pub(super) fn check_name(field: &str, name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let ends = name.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if (1..=80).contains(&name.len()) && starts && ends && name.chars().all(fits) {
        return Ok(());
    }
    Err(Error::invalid(field, "must be 1 to 80 letters, digits or `-_.`, beginning and ending with a letter or digit"))
}

/// Two ranges of which one lies in the other.
fn overlap(networks: &[Network]) -> Option<(&Network, &Network)> {
    networks.iter().enumerate().find_map(|(at, one)| {
        let mut others = networks.iter().skip(at.saturating_add(1));
        others.find(|other| one.covers(other) || other.covers(one)).map(|other| (one, other))
    })
}

impl VirtualNetwork {
    fn check_subnet(&self, subnet: &Subnet, others: &[Subnet]) -> Result<()> {
        check_name("subnetName", &subnet.name)?;
        let field = format!("subnet `{}`", subnet.name);
        if subnet.prefixes.is_empty() || overlap(&subnet.prefixes).is_some() {
            return Err(
                Error::invalid(field, "wants one range or more, none within another").coded("InvalidRequestFormat")
            );
        }
        for prefix in &subnet.prefixes {
            if !self.address_space.iter().any(|space| space.covers(prefix)) {
                let why = format_args!("`{prefix}` is outside of its network's address space");
                return Err(Error::invalid(field, why).coded("NetcfgInvalidSubnet"));
            }
            for other in others {
                if other.name.eq_ignore_ascii_case(&subnet.name) {
                    return Err(Error::invalid(field, "is named twice"));
                }
                if other.prefixes.iter().any(|taken| taken.covers(prefix) || prefix.covers(taken)) {
                    let why = format_args!("`{prefix}` overlaps with the subnet `{}`", other.name);
                    return Err(Error::invalid(field, why).coded("NetcfgSubnetRangesOverlap"));
                }
            }
        }
        Ok(())
    }

    /// The subnet with this name.
    pub fn subnet(&self, name: &str) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn subnet_mut(&mut self, name: &str) -> Option<&mut Subnet> {
        self.subnets.iter_mut().find(|subnet| subnet.name.eq_ignore_ascii_case(name))
    }
}

/// A subnet as it is asked for.
#[derive(Clone, Debug, Default)]
pub struct SubnetRequest {
    /// Its name.
    pub name: String,
    /// Its ranges.
    pub prefixes: Vec<String>,
}

/// Creates a network, or changes its ranges and subnets. Subnets that are not named are removed when any are named.
#[derive(Debug)]
pub struct PutVirtualNetwork {
    /// Its id.
    pub id: ResourceId,
    /// Where.
    pub location: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// Its ranges.
    pub address_space: Vec<String>,
    /// Its subnets; those that are there stay when none is said.
    pub subnets: Option<Vec<SubnetRequest>>,
}

#[async_trait]
impl Op for PutVirtualNetwork {
    const ACTION: Action = VirtualNetwork::WRITE;
    type Output = Written<Resource<VirtualNetwork>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        find::<ResourceGroup>(cx, &self.id.parent()).await?;
        let system = cx.system();
        let present = cx.get::<Resource<VirtualNetwork>>(system, &row_id::<VirtualNetwork>(system, &self.id)).await?;
        // The row that is judged here is the one that is replaced: an endpoint put into a subnet meanwhile is not forgotten.
        let version = present.as_ref().map(|row| row.version);
        let precondition = Precondition { version, absent: version.is_none(), present: false };
        let before = present.map(|row| row.value.properties.subnets).unwrap_or_default();
        let subnets = match &self.subnets {
            None => before.clone(),
            Some(wanted) if wanted.len() > MOST_SUBNETS => {
                return Err(Error::invalid("properties.subnets", format_args!("at most {MOST_SUBNETS} subnets")));
            }
            Some(wanted) => wanted.iter().map(|wanted| asked(wanted, &before)).collect::<Result<Vec<_>>>()?,
        };
        require_unchanged_in_use(&before, &subnets)?;
        let address_space = parse_list("properties.addressSpace.addressPrefixes", &self.address_space)?;
        let properties = VirtualNetwork { address_space, subnets };
        let Self { id, location, tags, .. } = self;
        PutResource { id, location, tags, properties, precondition }.apply(cx).await
    }
}

/// A subnet as it is to be: the one that is there, with its ranges changed.
fn asked(wanted: &SubnetRequest, before: &[Subnet]) -> Result<Subnet> {
    let prefixes = parse_list("addressPrefix", &wanted.prefixes)?;
    let known = before.iter().find(|known| known.name.eq_ignore_ascii_case(&wanted.name)).cloned();
    let fresh =
        || Subnet { name: wanted.name.clone(), prefixes: Vec::new(), guid: Uuid::new_v4(), endpoints: Vec::new() };
    Ok(Subnet { prefixes, ..known.unwrap_or_else(fresh) })
}

/// Connections were approved for the ranges that a subnet has: while there are any, it keeps them.
pub(super) fn require_unchanged_in_use(before: &[Subnet], after: &[Subnet]) -> Result<()> {
    for subnet in before.iter().filter(|subnet| !subnet.endpoints.is_empty()) {
        if !after.contains(subnet) {
            let why = format!("the subnet `{}` has private endpoints in it, so it stays as it is", subnet.name);
            return Err(Error::new(Kind::Conflict, why).coded("InUseSubnetCannotBeUpdated"));
        }
    }
    Ok(())
}

/// Removes a network without private endpoints.
#[derive(Debug)]
pub struct DeleteVirtualNetwork {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeleteVirtualNetwork {
    const ACTION: Action = VirtualNetwork::DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (system, row) = find::<VirtualNetwork>(cx, &self.id).await?;
        require_unchanged_in_use(&row.value.properties.subnets, &[])?;
        let mut changes = Changes::new();
        changes.delete(&system, &row);
        cx.commit(changes).await
    }
}

/// Creates a subnet, or changes its ranges.
#[derive(Debug)]
pub struct PutSubnet {
    /// Its id, below its network.
    pub id: ResourceId,
    /// Its ranges.
    pub prefixes: Vec<String>,
}

/// Permission to read subnets.
const READ_SUBNET: Action = Action::new("Microsoft.Network/virtualNetworks/subnets/read", Class::Read);
const WRITE_SUBNET: Action = Action::new("Microsoft.Network/virtualNetworks/subnets/write", Class::Control);
const DELETE_SUBNET: Action = Action::new("Microsoft.Network/virtualNetworks/subnets/delete", Class::Control);

/// A subnet, with the network that it is part of.
pub type InNetwork = (Row<Resource<VirtualNetwork>>, Subnet);

async fn rewrite(cx: &Admission<'_>, mut row: Row<Resource<VirtualNetwork>>) -> Result<Row<Resource<VirtualNetwork>>> {
    row.value.properties.check(&row.value.id)?;
    row.value.system.touch(cx);
    amend(cx, &mut row.value, None)?;
    let mut changes = Changes::new();
    changes.put(cx.system(), &row)?;
    cx.commit(changes).await?;
    row.version = row.version.saturating_add(1);
    Ok(row)
}

#[async_trait]
impl Op for PutSubnet {
    const ACTION: Action = WRITE_SUBNET;
    /// Whether it is new.
    type Output = (InNetwork, bool);

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (_, mut row) = find::<VirtualNetwork>(cx, &self.id.parent()).await?;
        let before = row.value.properties.subnets.clone();
        let request = SubnetRequest { name: self.id.name().to_owned(), prefixes: self.prefixes };
        let subnet = asked(&request, &before)?;
        let is_new = match row.value.properties.subnet_mut(&subnet.name) {
            Some(known) => {
                known.clone_from(&subnet);
                false
            }
            None => {
                row.value.properties.subnets.push(subnet.clone());
                true
            }
        };
        require_unchanged_in_use(&before, &row.value.properties.subnets)?;
        Ok(((rewrite(cx, row).await?, subnet), is_new))
    }
}

/// Removes a subnet without private endpoints.
#[derive(Debug)]
pub struct DeleteSubnet {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeleteSubnet {
    const ACTION: Action = DELETE_SUBNET;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (_, mut row) = find::<VirtualNetwork>(cx, &self.id.parent()).await?;
        let before = row.value.properties.subnets.clone();
        row.value.properties.subnets.retain(|subnet| !subnet.name.eq_ignore_ascii_case(self.id.name()));
        if row.value.properties.subnets.len() == before.len() {
            return Err(Error::not_found(format_args!("the resource `{}`", self.id)));
        }
        require_unchanged_in_use(&before, &row.value.properties.subnets)?;
        rewrite(cx, row).await.map(drop)
    }
}

/// Reads a subnet.
#[derive(Debug)]
pub struct GetSubnet {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for GetSubnet {
    const ACTION: Action = READ_SUBNET;
    type Output = InNetwork;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<InNetwork> {
        let (_, row) = find::<VirtualNetwork>(cx, &self.id.parent()).await?;
        let found = row.value.properties.subnet(self.id.name()).cloned();
        let found = found.ok_or_else(|| Error::not_found(format_args!("the resource `{}`", self.id)))?;
        Ok((row, found))
    }
}

/// Lists the subnets of a network.
#[derive(Debug)]
pub struct ListSubnets {
    /// The network.
    pub network: ResourceId,
}

#[async_trait]
impl Op for ListSubnets {
    const ACTION: Action = READ_SUBNET;
    type Output = Row<Resource<VirtualNetwork>>;

    fn scope(&self) -> ResourceId {
        self.network.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        Ok(find::<VirtualNetwork>(cx, &self.network).await?.1)
    }
}
