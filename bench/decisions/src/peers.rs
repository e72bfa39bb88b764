//! The same directory in two policy engines, each in the form that serves it best: roles are expanded beforehand, what a group
//! holds is given to its members, and scopes are looked up one by one.

use std::{
    collections::{HashMap, HashSet},
    sync::OnceLock,
};

use casbin::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, MgmtApi, function_map::OperatorFunction};
use kernel::PrincipalId;
use serde_json::json;

use crate::town::{Plain, Request, Town};

/// Role-based access with domains: a scope is a domain.
pub struct Casbin(Enforcer);

const MODEL: &str = "
[request_definition]
r = sub, dom, act
[policy_definition]
p = sub
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub, r.dom) && grants(p.sub, r.act)
";

/// Which role grants what, for a function that casbin calls.
static GRANTED: OnceLock<HashSet<(String, String)>> = OnceLock::new();

fn grants(role: casbin::rhai::Dynamic, action: casbin::rhai::Dynamic) -> casbin::rhai::Dynamic {
    GRANTED.get().is_some_and(|granted| granted.contains(&(role.to_string(), action.to_string()))).into()
}

impl Casbin {
    pub fn new(town: &Town) -> Self {
        let granted = expanded(town)
            .into_iter()
            .flat_map(|(role, actions)| actions.into_iter().map(move |action| (role.clone(), action)));
        let _ = GRANTED.set(granted.collect());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let enforcer = runtime.block_on(async {
            let model = DefaultModel::from_str(MODEL).await.unwrap();
            let mut enforcer = Enforcer::new(model, MemoryAdapter::default()).await.unwrap();
            enforcer.add_function("grants", OperatorFunction::Arg2(grants));
            let roles: Vec<Vec<String>> = town.rows.definitions.iter().map(|role| vec![role.id.to_string()]).collect();
            enforcer.add_policies(roles).await.unwrap();
            let held: HashSet<Vec<String>> =
                flattened(town).into_iter().map(|(who, scope, role)| vec![who.to_string(), role, scope]).collect();
            enforcer.add_grouping_policies(held.into_iter().collect()).await.unwrap();
            enforcer
        });
        Self(enforcer)
    }

    pub fn decide(&self, request: &Request) -> bool {
        let who = request.principal.to_string();
        request
            .scope
            .enclosing()
            .any(|scope| is_scope(scope) && self.0.enforce((who.as_str(), scope, request.action.name())).unwrap())
    }
}

/// Rego over data that is indexed by principal.
pub struct Regorus(regorus::Engine);

const POLICY: &str = r#"
package access
default allow := false
allow if {
    some held in data.held[input.who]
    startswith(input.scope, held.scope)
    data.roles[held.role][input.action]
}
"#;

impl Regorus {
    pub fn new(town: &Town) -> Self {
        let mut held: HashMap<String, Vec<serde_json::Value>> = HashMap::new();
        for (who, scope, role) in flattened(town) {
            held.entry(who.to_string()).or_default().push(json!({"scope": format!("{scope}/"), "role": role}));
        }
        let roles: HashMap<String, HashMap<String, bool>> = expanded(town)
            .into_iter()
            .map(|(role, actions)| (role, actions.into_iter().map(|action| (action, true)).collect()))
            .collect();
        let mut engine = regorus::Engine::new();
        engine.add_policy(String::from("access.rego"), String::from(POLICY)).unwrap();
        engine
            .add_data(regorus::Value::from_json_str(&json!({"held": held, "roles": roles}).to_string()).unwrap())
            .unwrap();
        Self(engine)
    }

    pub fn decide(&mut self, request: &Request) -> bool {
        let input = json!({
            "who": request.principal.to_string(),
            "scope": format!("{}/", request.scope.folded()),
            "action": request.action.name(),
        });
        self.0.set_input(regorus::Value::from_json_str(&input.to_string()).unwrap());
        self.0.eval_rule(String::from("data.access.allow")).unwrap() == regorus::Value::from(true)
    }
}

/// Every role with the actions that it grants.
fn expanded(town: &Town) -> HashMap<String, Vec<String>> {
    let plain = Plain::new(town);
    let of = |role: uuid::Uuid| {
        let granted = town.actions.iter().filter(|action| plain.grants(role, action));
        granted.map(|action| action.name().to_owned()).collect()
    };
    town.rows.definitions.iter().map(|role| (role.id.to_string(), of(role.id))).collect()
}

/// Every assignment, those of groups once for each of their members.
fn flattened(town: &Town) -> Vec<(PrincipalId, String, String)> {
    let mut all = Vec::new();
    for (_, row) in &town.rows.assignments {
        let mut holders = vec![row.principal];
        if town.groups.contains(&row.principal) {
            let members = town.rows.memberships.iter().filter(|known| known.group == row.principal);
            holders.extend(members.map(|known| known.member));
        }
        for holder in holders {
            all.push((holder, row.scope.folded().to_owned(), row.role.to_string()));
        }
    }
    all
}

/// Between two scopes there are segments that are none.
fn is_scope(text: &str) -> bool {
    matches!(text.split('/').count(), 3 | 5 | 9)
}
