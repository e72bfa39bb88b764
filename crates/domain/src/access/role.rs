//! Role definitions that ship with Bartizan; ids are Azure's.

use serde::Serialize;
use uuid::{Uuid, uuid};

use super::pattern::matches;
use kernel::Action;

/// A role: what it allows, and what it takes back from that.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleDefinition {
    /// Its id.
    #[serde(skip)]
    pub id: Uuid,
    /// Its name.
    pub role_name: &'static str,
    /// For people.
    pub description: &'static str,
    /// Patterns of control-plane actions.
    pub actions: &'static [&'static str],
    /// Patterns taken back.
    pub not_actions: &'static [&'static str],
    /// Patterns of data-plane actions.
    pub data_actions: &'static [&'static str],
    /// Patterns taken back.
    pub not_data_actions: &'static [&'static str],
}

/// Everything, sharing included.
pub const OWNER: Uuid = uuid!("8e3af657-a8ff-443c-a75c-2fe8c4bcb635");
/// Everything but sharing.
pub const CONTRIBUTOR: Uuid = uuid!("b24988ac-6180-42a0-ab88-20f7382dd24c");
/// Reading.
pub const READER: Uuid = uuid!("acdd72a7-3385-48ef-bd42-f606fba81ae7");
/// Managing the whole directory: everything below, keys, policies, and who holds directory roles.
pub const APPLICATION_ADMINISTRATOR: Uuid = uuid!("9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3");
/// Managing people and groups.
pub const USER_ADMINISTRATOR: Uuid = uuid!("fe930be7-5e62-47db-91af-98c3a49a38b1");
/// Reading the directory.
pub const DIRECTORY_READER: Uuid = uuid!("88d8e3e3-8f55-4a1e-953a-9b9898b8876b");

/// All built-in roles.
pub const BUILT_IN: &[RoleDefinition] = &[
    RoleDefinition {
        id: OWNER,
        role_name: "Owner",
        description: "Grants full access to manage all resources, including the ability to assign roles.",
        actions: &["*"],
        not_actions: &["Microsoft.Directory/*"],
        data_actions: &[],
        not_data_actions: &[],
    },
    RoleDefinition {
        id: CONTRIBUTOR,
        role_name: "Contributor",
        description: "Grants full access to manage all resources, but does not allow assigning roles.",
        actions: &["*"],
        not_actions: &[
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
            "Microsoft.Directory/*",
        ],
        data_actions: &[],
        not_data_actions: &[],
    },
    RoleDefinition {
        id: READER,
        role_name: "Reader",
        description: "View all resources, but does not allow making any changes.",
        actions: &["*/read"],
        not_actions: &["Microsoft.Directory/*"],
        data_actions: &[],
        not_data_actions: &[],
    },
    RoleDefinition {
        id: APPLICATION_ADMINISTRATOR,
        role_name: "Application Administrator",
        description: "Manages applications, service principals and users of the tenant.",
        actions: &["Microsoft.Directory/*"],
        not_actions: &[],
        data_actions: &[],
        not_data_actions: &[],
    },
    RoleDefinition {
        id: USER_ADMINISTRATOR,
        role_name: "User Administrator",
        description: "Manages users and groups, but none that hold roles the administrator could not grant.",
        actions: &[
            "Microsoft.Directory/users/*",
            "Microsoft.Directory/groups/*",
            "Microsoft.Directory/directoryObjects/read",
            "Microsoft.Directory/applications/read",
            "Microsoft.Directory/servicePrincipals/read",
        ],
        not_actions: &[],
        data_actions: &[],
        not_data_actions: &[],
    },
    RoleDefinition {
        id: DIRECTORY_READER,
        role_name: "Directory Readers",
        description: "Reads users, groups, applications and service principals of the tenant.",
        actions: &[
            "Microsoft.Directory/users/read",
            "Microsoft.Directory/groups/*/read",
            "Microsoft.Directory/directoryObjects/read",
            "Microsoft.Directory/applications/read",
            "Microsoft.Directory/servicePrincipals/read",
        ],
        not_actions: &[],
        data_actions: &[],
        not_data_actions: &[],
    },
];

impl RoleDefinition {
    /// The role with this id.
    pub fn by_id(id: Uuid) -> Option<&'static Self> {
        BUILT_IN.iter().find(|role| role.id == id)
    }

    /// The role with this name; case does not count.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        BUILT_IN.iter().find(|role| role.role_name.eq_ignore_ascii_case(name))
    }

    /// Whether all it allows is in the directory: such a role is given and taken by the directory's own administrators.
    pub fn is_of_directory(&self) -> bool {
        self.data_actions.is_empty() && self.actions.iter().all(|pattern| pattern.starts_with("Microsoft.Directory/"))
    }

    /// Whether it grants the action: allowed and not taken back. What another role grants is not its concern (`notActions`
    /// is no deny).
    pub fn grants(&self, action: &Action) -> bool {
        let (allow, take_back) = match action.is_data() {
            true => (self.data_actions, self.not_data_actions),
            false => (self.actions, self.not_actions),
        };
        let any = |patterns: &[&str]| patterns.iter().any(|pattern| matches(pattern, action.name()));
        any(allow) && !any(take_back)
    }
}
