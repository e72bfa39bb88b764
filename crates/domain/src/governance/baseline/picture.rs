//! All that the controls are judged by, read once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kernel::{Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result, TenantId, WorkspaceId};

use crate::{
    access::{CONTRIBUTOR, OWNER, USER_ACCESS_ADMINISTRATOR},
    alerts::{ActionGroup, MetricAlert},
    audit::{Retention, said_retention},
    customer_keys::KEY_UNAVAILABLE,
    delivery::{LogStanding, log_standing},
    gate::{Admission, Guard, Shelf},
    governance::{PolicyDefinition, built_in, compliance::states_at, effect::Effect, snapshot::found as definition_of},
    identity::{Application, Network, OperationClass, demands_for, demands_mfa},
    network::{NetworkView, PrivateEndpoint, VirtualNetwork, network_of},
    resources::{KeyVault, Resource, ResourceGroup, ResourceType, Target, Workspace, collection, require_scope},
    scoring::{Endpoint, Form},
    secrets::SecretDetection,
};

/// Workspaces of one report.
const MOST: usize = 1000;
/// A secret that lasts longer is none that is changed.
const LONGEST_SECRET: Duration = Duration::from_secs(366 * 24 * 3600);
/// What a rule names that is about networks, in lower case.
const OF_NETWORKS: [&str; 3] = ["publicnetworkaccess", "privateendpointconnections", "microsoft.network/"];

/// A workspace.
pub(super) struct Place {
    pub id: ResourceId,
    /// Whether the caller may know of it.
    pub is_shown: bool,
    pub network: NetworkView,
    pub tags: BTreeMap<String, String>,
    pub log: LogStanding,
    /// Its storage account and vault.
    pub companions: [ResourceId; 2],
    /// What is in it; unknown while the customer's key that it is under is away.
    pub inside: Option<Inside>,
    /// Whether an alert rule watches it that tells somebody.
    pub is_watched: bool,
    /// Whether it takes no submission in which a secret is written out.
    pub refuses_secrets: bool,
    /// Whether it is of high business impact.
    pub is_raised: bool,
}

/// What is in a workspace.
pub(super) struct Inside {
    /// Endpoints that take keys, or nothing at all, for proof.
    pub keyed_endpoints: usize,
    /// Walls of its targets that do not stand.
    pub missing_walls: BTreeSet<String>,
}

impl Place {
    /// Whether not just any address reaches it.
    pub fn is_limited(&self) -> bool {
        let rules = &self.network.rules;
        let is_named = !rules.ip_allow.is_empty() && !rules.ip_allow.iter().any(Network::is_everywhere);
        !rules.public_access || is_named
    }
}

/// A policy that counts for the whole scope.
pub(super) struct InForce {
    pub effect: Effect,
    pub is_enforced: bool,
    pub is_about_networks: bool,
}

impl InForce {
    /// Whether it keeps resources from being otherwise.
    pub fn prevents(&self) -> bool {
        self.is_enforced && matches!(self.effect, Effect::Deny | Effect::Modify)
    }
}

/// Whoever has rights here.
#[derive(Default)]
pub(super) struct People {
    /// People who own the scope, or something above it, for good.
    pub lasting_owners: usize,
    /// People with a role that changes things or gives rights.
    pub privileged: usize,
    /// Of those: who come in with one factor.
    pub single_factor: usize,
    /// Of those: of whom no second factor is asked for changes of resources either.
    pub unguarded: usize,
    /// People whose password somebody else set.
    pub given_passwords: usize,
    /// Principals that are disabled or gone, and hold a role.
    pub leftovers: usize,
}

/// The picture of a scope.
pub(super) struct Picture {
    pub scope: ResourceId,
    pub subscription: ResourceId,
    pub tenant: Option<TenantId>,
    pub workspaces: Vec<Place>,
    /// Resource groups, and how many of them have no tag.
    pub groups: (usize, usize),
    /// Networks and private endpoints, and how many of them have no tag.
    pub networks: (usize, usize),
    /// Key vaults of the scope and of its workspaces that are not protected against purging.
    pub unprotected_vaults: usize,
    /// The subscription's diagnostic settings.
    pub log: LogStanding,
    pub retention: Retention,
    /// Enabled action groups of the subscription that tell somebody.
    pub told: usize,
    pub people: People,
    /// Sign-in policies in force that name networks.
    pub named_locations: usize,
    /// Client secrets that last too long.
    pub long_secrets: usize,
    /// Custom roles that allow whatever there is.
    pub boundless_roles: usize,
    pub policies: Vec<InForce>,
    /// Resources that are not as a policy wants them.
    pub strays: usize,
    /// What takes approval here.
    pub approved: Vec<Guard>,
}

impl Picture {
    /// Takes the picture.
    ///
    /// # Errors
    /// `NotFound` when there is no such scope; `TooLarge` when there are too many workspaces.
    pub async fn of(cx: &Admission<'_>, scope: &ResourceId) -> Result<Self> {
        require_scope(cx, "scope", scope).await.map_err(|fault| match fault.kind() {
            Kind::Invalid => Error::not_found(format_args!("the scope `{scope}`")),
            _ => fault,
        })?;
        let subscription = scope.subscription_id().ok_or_else(|| Error::not_found("the subscription"))?;
        let subscription = ResourceId::subscription(subscription);
        let mut gathered = Gathered::of(cx, scope, &subscription).await?;
        gathered.see_workspaces(cx).await?;
        let house = cx.house();
        let terms = house.identity.sign_in_terms();
        let applications = cx.all::<Application>(cx.system(), b"").await?;
        let secrets = applications.iter().flat_map(|row| &row.value.secrets);
        let access = house.access();
        let guards = [Guard::Deploy, Guard::RoleGrant, Guard::KeyChange, Guard::Purge];
        let approved = guards.into_iter().filter(|guard| access.takes_approval(*guard, scope)).collect();
        let boundless_roles = access.boundless_roles();
        drop(access);
        let states = states_at(cx, scope).await?;
        let strays: BTreeSet<_> =
            states.iter().filter(|state| !state.is_compliant).map(|state| &state.resource).collect();
        Ok(Self {
            log: log_standing(cx, &subscription).await?,
            retention: said_retention(cx).await?,
            tenant: house.tenant(),
            people: people(cx, scope),
            named_locations: terms.iter().filter(|terms| !terms.trusted_networks.is_empty()).count(),
            long_secrets: secrets.filter(|one| one.created_at.plus(LONGEST_SECRET) < one.expires_at).count(),
            boundless_roles,
            policies: policies(cx, scope).await?,
            strays: strays.len(),
            approved,
            groups: gathered.groups,
            networks: gathered.networks,
            unprotected_vaults: gathered.unprotected_vaults(),
            told: gathered.told.len(),
            workspaces: gathered.places,
            scope: scope.clone(),
            subscription,
        })
    }

    /// A path below the scope.
    pub fn at(&self, rest: &str) -> String {
        format!("{}/{rest}", self.scope)
    }

    /// A path below the subscription.
    pub fn in_subscription(&self, rest: &str) -> String {
        format!("{}/{rest}", self.subscription)
    }

    /// The workspaces of the scope.
    pub fn workspaces_path(&self) -> String {
        match self.scope.workspace() {
            Some(workspace) => workspace.to_string(),
            None => self.in_subscription("providers/Microsoft.MachineLearningServices/workspaces"),
        }
    }

    /// What lies below the one workspace that the scope is; else the workspaces.
    pub fn below_workspace(&self, rest: &str) -> String {
        match self.scope.workspace() {
            Some(_) => self.at(rest),
            None => self.workspaces_path(),
        }
    }

    /// All types of resources that this server offers.
    pub fn offered(&self) -> String {
        self.in_subscription("providers")
    }

    /// The activity log.
    pub fn activity_log(&self) -> String {
        self.in_subscription("providers/Microsoft.Insights/eventtypes/management/values")
    }
}

/// What is found group by group.
struct Gathered {
    scope: ResourceId,
    found: Vec<Resource<Workspace>>,
    places: Vec<Place>,
    groups: (usize, usize),
    networks: (usize, usize),
    /// Vaults of the subscription that are not protected against purging.
    unprotected: Vec<ResourceId>,
    rules: Vec<MetricAlert>,
    told: BTreeSet<ResourceId>,
}

impl Gathered {
    async fn of(cx: &Admission<'_>, scope: &ResourceId, subscription: &ResourceId) -> Result<Self> {
        let mut gathered = Self {
            scope: scope.clone(),
            found: Vec::new(),
            places: Vec::new(),
            groups: (0, 0),
            networks: (0, 0),
            unprotected: Vec::new(),
            rules: Vec::new(),
            told: BTreeSet::new(),
        };
        let system = cx.system();
        for group in below::<ResourceGroup>(cx, system, subscription).await? {
            count(&mut gathered.groups, scope.is_within(&group.id) || group.id.is_within(scope), &group);
            for network in below::<VirtualNetwork>(cx, system, &group.id).await? {
                count(&mut gathered.networks, network.id.is_within(scope), &network);
            }
            for endpoint in below::<PrivateEndpoint>(cx, system, &group.id).await? {
                count(&mut gathered.networks, endpoint.id.is_within(scope), &endpoint);
            }
            let vaults = below::<KeyVault>(cx, system, &group.id).await?.into_iter();
            gathered.unprotected.extend(vaults.filter(|one| !one.properties.purge_protection).map(|one| one.id));
            let rules = below::<MetricAlert>(cx, system, &group.id).await?;
            gathered.rules.extend(rules.into_iter().map(|rule| rule.properties).filter(|rule| rule.is_enabled));
            let told = below::<ActionGroup>(cx, system, &group.id).await?.into_iter();
            let tells = |one: &Resource<ActionGroup>| one.properties.is_enabled && !one.properties.webhooks.is_empty();
            gathered.told.extend(told.filter(tells).map(|one| one.id));
            let workspaces = below::<Workspace>(cx, system, &group.id).await?;
            gathered.found.extend(workspaces.into_iter().filter(|one| one.id.is_within(scope)));
            if gathered.found.len() > MOST {
                let why = format!("there are more than {MOST} workspaces here; ask about them one by one");
                return Err(Error::new(Kind::TooLarge, why));
            }
        }
        Ok(gathered)
    }

    fn unprotected_vaults(&self) -> usize {
        let is_used = |vault: &ResourceId| self.places.iter().any(|place| place.companions.contains(vault));
        self.unprotected.iter().filter(|vault| vault.is_within(&self.scope) || is_used(vault)).count()
    }

    async fn see_workspaces(&mut self, cx: &Admission<'_>) -> Result<()> {
        for workspace in std::mem::take(&mut self.found) {
            let inside = match Inside::of(cx, &workspace).await {
                Ok(inside) => Some(inside),
                // Whoever holds the key of one workspace does not decide whether there is a report of the others.
                Err(fault) if fault.code() == Some(KEY_UNAVAILABLE) => None,
                // It was deleted since.
                Err(fault) if fault.kind() == Kind::NotFound => continue,
                Err(fault) => return Err(fault),
            };
            let watches = |rule: &MetricAlert| {
                rule.groups.iter().any(|group| self.told.contains(group))
                    && rule.scopes.iter().any(|one| one.guid == workspace.guid && one.id == workspace.id)
            };
            self.places.push(Place {
                is_shown: workspace.id == self.scope || cx.may(&Workspace::READ, &workspace.id),
                network: network_of(cx.house(), &workspace.id),
                log: log_standing(cx, &workspace.id).await?,
                companions: [workspace.properties.storage_account, workspace.properties.key_vault],
                inside,
                is_watched: self.rules.iter().any(watches),
                refuses_secrets: workspace.properties.secret_detection == SecretDetection::Refuse,
                is_raised: workspace.properties.hbi,
                tags: workspace.tags,
                id: workspace.id,
            });
        }
        Ok(())
    }
}

impl Inside {
    async fn of(cx: &Admission<'_>, workspace: &Resource<Workspace>) -> Result<Self> {
        let shelf = cx.shelf(WorkspaceId::from(workspace.guid)).await?;
        let endpoints = below::<Endpoint>(cx, &shelf, &workspace.id).await?;
        let is_keyed = |form: Option<Form>| form.is_some_and(|form| form != Form::Token);
        let targets = below::<Target>(cx, &shelf, &workspace.id).await?;
        Ok(Self {
            keyed_endpoints: endpoints.iter().filter(|one| is_keyed(one.properties.form)).count(),
            missing_walls: targets.iter().flat_map(|one| one.properties.capabilities.missing()).collect(),
        })
    }
}

/// Counts one of the scope, and whether it lacks tags.
fn count<P>(of: &mut (usize, usize), is_here: bool, resource: &Resource<P>) {
    if is_here {
        of.0 += 1;
        of.1 += usize::from(resource.tags.is_empty());
    }
}

async fn below<P: ResourceType>(cx: &Admission<'_>, shelf: &Shelf, parent: &ResourceId) -> Result<Vec<Resource<P>>> {
    let rows = cx.all::<Resource<P>>(shelf, &collection::<P>(shelf, parent)).await?;
    Ok(rows.into_iter().map(|row| row.value).collect())
}

fn people(cx: &Admission<'_>, scope: &ResourceId) -> People {
    let (house, mut people) = (cx.house(), People::default());
    let access = house.access();
    let is_person = |id: PrincipalId| house.identity.kind_of(id) == Some(PrincipalKind::User);
    let owners = access.lasting_holders_over(&[OWNER], scope);
    people.lasting_owners = owners.into_iter().filter(|id| is_person(*id)).count();
    let privileged = access.holders_around(&[OWNER, CONTRIBUTOR, USER_ACCESS_ADMINISTRATOR], scope);
    let all = access.holders_around(&[], scope);
    drop(access);
    for id in privileged.into_iter().filter(|id| is_person(*id) && house.identity.is_enabled(*id)) {
        let asked_always = demands_mfa(house, id, None);
        people.privileged += 1;
        people.single_factor += usize::from(!asked_always);
        people.unguarded += usize::from(!asked_always && !demands_for(house, id, OperationClass::Control));
    }
    people.given_passwords = all.iter().filter(|id| house.identity.has_given_password(**id)).count();
    people.leftovers = all.iter().filter(|id| !house.identity.is_enabled(**id)).count();
    people
}

async fn policies(cx: &Admission<'_>, scope: &ResourceId) -> Result<Vec<InForce>> {
    let own = cx.all::<PolicyDefinition>(cx.system(), b"").await?;
    let held = cx.house().policies();
    let counts = held
        .assigned()?
        .iter()
        .filter(|one| scope.is_within(&one.scope) && !one.not_scopes.iter().any(|place| scope.is_within(place)));
    let in_force = counts.map(|one| {
        let known = own.iter().map(|row| &row.value).chain(built_in::all());
        let rule = definition_of(known, &one.definition).map(|definition| definition.rule.to_string().to_lowercase());
        let rule = rule.unwrap_or_default();
        let is_about_networks = OF_NETWORKS.iter().any(|word| rule.contains(word));
        InForce { effect: one.bound.effect, is_enforced: one.is_enforced, is_about_networks }
    });
    Ok(in_force.filter(|one| one.effect != Effect::Disabled).collect())
}
