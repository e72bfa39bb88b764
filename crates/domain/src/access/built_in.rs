//! The roles that ship; ids and patterns are Azure's. No role of resources reaches into the directory, and none of the
//! directory out of it.

use std::sync::LazyLock;

use kernel::ResourceId;
use uuid::{Uuid, uuid};

use super::{
    role::{Permissions, RoleDefinition},
    vault_roles::{AROUND_VAULTS, OF_VAULTS},
};

/// Everything, sharing included.
pub const OWNER: Uuid = uuid!("8e3af657-a8ff-443c-a75c-2fe8c4bcb635");
/// Everything but sharing.
pub const CONTRIBUTOR: Uuid = uuid!("b24988ac-6180-42a0-ab88-20f7382dd24c");
/// Reading.
pub const READER: Uuid = uuid!("acdd72a7-3385-48ef-bd42-f606fba81ae7");
/// Sharing, and nothing else but reading.
pub const USER_ACCESS_ADMINISTRATOR: Uuid = uuid!("18d7d88d-d35e-4fb5-a5c3-7773c20a72d9");
/// Working in a workspace without its computes and keys.
pub const DATA_SCIENTIST: Uuid = uuid!("f6c7c914-8db3-469d-8ca1-694a8f32e121");
/// Making and managing computes.
pub const COMPUTE_OPERATOR: Uuid = uuid!("e503ece1-11d0-4e8e-8e2c-7a6c3bf38815");
/// Copying everything, sealed as it is, and seeing who holds the root key. Ours: Azure has nobody who could.
pub const BACKUP_OPERATOR: Uuid = uuid!("b4c0a7d2-5e3f-4a61-9b8e-2f7d10c6e945");
/// Writing and assigning policies.
pub const RESOURCE_POLICY_CONTRIBUTOR: Uuid = uuid!("36243c78-bf99-498c-9df9-86d9f8d28608");
/// Reading, writing and deleting what a storage account holds.
pub const BLOB_DATA_CONTRIBUTOR: Uuid = uuid!("ba92f5b4-2d11-453d-a403-e96b0029c9fe");
/// The same, and who may do what there.
pub const BLOB_DATA_OWNER: Uuid = uuid!("b7e6dc6d-f1e8-4753-8033-0f276bb0955b");
/// Reading what a storage account holds.
pub const BLOB_DATA_READER: Uuid = uuid!("2a2b9908-6ea1-4ae2-8e65-a410df84e7d1");
/// Getting a key to sign with, which gives nothing by itself.
pub const BLOB_DELEGATOR: Uuid = uuid!("db58b8e5-c6ad-4a2a-8342-4190687cbf4a");
/// Pulling from registries.
pub const ACR_PULL: Uuid = uuid!("7f951dda-4ed3-4680-a7ca-43fe172d538d");
/// Pulling and pushing.
pub const ACR_PUSH: Uuid = uuid!("8311e382-0749-4cb8-b61a-304f252e45ec");
/// Deleting images.
pub const ACR_DELETE: Uuid = uuid!("c2f4ef07-c644-48eb-af81-4b1b4947fb11");
/// Managing the whole directory: everything below, keys, policies, and who holds directory roles.
pub const APPLICATION_ADMINISTRATOR: Uuid = uuid!("9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3");
/// Managing people and groups.
pub const USER_ADMINISTRATOR: Uuid = uuid!("fe930be7-5e62-47db-91af-98c3a49a38b1");
/// Reading the directory.
pub const DIRECTORY_READER: Uuid = uuid!("88d8e3e3-8f55-4a1e-953a-9b9898b8876b");

/// All roles that ship.
pub fn all() -> &'static [RoleDefinition] {
    static ALL: LazyLock<Vec<RoleDefinition>> = LazyLock::new(|| {
        OF_RESOURCES
            .iter()
            .chain(AROUND_VAULTS)
            .chain(OF_DIRECTORY)
            .map(|(id, name, words, actions, not)| role(*id, name, words, actions, not))
            .chain(OF_DATA.iter().chain(OF_VAULTS).map(|(id, name, words, actions, data)| {
                let mut found = role(*id, name, words, actions, &[]);
                found.permissions.data_actions = data.iter().map(|pattern| (*pattern).to_owned()).collect();
                found
            }))
            .collect()
    });
    &ALL
}

fn role(id: Uuid, role_name: &str, description: &str, actions: &[&str], not_actions: &[&str]) -> RoleDefinition {
    let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    RoleDefinition {
        id,
        role_name: role_name.to_owned(),
        description: description.to_owned(),
        permissions: Permissions { actions: owned(actions), not_actions: owned(not_actions), ..Permissions::default() },
        assignable_scopes: vec![ResourceId::root()],
        authored: None,
    }
}

/// Id, name, words, actions, actions taken back.
pub(super) type Shipped = (Uuid, &'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const OF_RESOURCES: &[Shipped] = &[
    (
        OWNER,
        "Owner",
        "Grants full access to manage all resources, including the ability to assign roles.",
        &["*"],
        &["Microsoft.Directory/*"],
    ),
    (
        CONTRIBUTOR,
        "Contributor",
        "Grants full access to manage all resources, but does not allow assigning roles.",
        &["*"],
        &[
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
            "Microsoft.Directory/*",
        ],
    ),
    (
        READER,
        "Reader",
        "View all resources, but does not allow making any changes.",
        &["*/read"],
        &["Microsoft.Directory/*"],
    ),
    (
        USER_ACCESS_ADMINISTRATOR,
        "User Access Administrator",
        "Lets you manage user access to resources.",
        &["*/read", "Microsoft.Authorization/*"],
        // Copying everything and the root key lie in that namespace here alone, and are no sharing.
        &["Microsoft.Authorization/backups/write", "Microsoft.Authorization/rootKey/write", "Microsoft.Directory/*"],
    ),
    (
        DATA_SCIENTIST,
        "AzureML Data Scientist",
        "Can perform all actions within a workspace, except for creating or deleting compute resources and modifying the \
         workspace itself.",
        &[
            "Microsoft.MachineLearningServices/workspaces/*/read",
            "Microsoft.MachineLearningServices/workspaces/*/action",
            "Microsoft.MachineLearningServices/workspaces/*/delete",
            "Microsoft.MachineLearningServices/workspaces/*/write",
        ],
        &[
            "Microsoft.MachineLearningServices/workspaces/delete",
            "Microsoft.MachineLearningServices/workspaces/write",
            "Microsoft.MachineLearningServices/workspaces/computes/*/write",
            "Microsoft.MachineLearningServices/workspaces/computes/*/delete",
            "Microsoft.MachineLearningServices/workspaces/computes/listKeys/action",
            "Microsoft.MachineLearningServices/workspaces/listKeys/action",
            "Microsoft.MachineLearningServices/workspaces/hubs/write",
            "Microsoft.MachineLearningServices/workspaces/hubs/delete",
            "Microsoft.MachineLearningServices/workspaces/featurestores/write",
            "Microsoft.MachineLearningServices/workspaces/featurestores/delete",
        ],
    ),
    (
        COMPUTE_OPERATOR,
        "AzureML Compute Operator",
        "Can access and perform CRUD operations on Machine Learning Services managed compute resources (including notebook \
         VMs).",
        &[
            "Microsoft.MachineLearningServices/workspaces/computes/*",
            "Microsoft.MachineLearningServices/workspaces/notebooks/vm/*",
        ],
        &[],
    ),
    (
        BACKUP_OPERATOR,
        "Bartizan Backup Operator",
        "Makes backups of the whole server, which stay sealed under its root key. Reads nothing that is in them.",
        &["Microsoft.Authorization/backups/write", "Microsoft.Authorization/rootKey/read"],
        &[],
    ),
    (
        RESOURCE_POLICY_CONTRIBUTOR,
        "Resource Policy Contributor",
        "Users with rights to create/modify resource policy, create support ticket and read resources/hierarchy.",
        &[
            "*/read",
            "Microsoft.Authorization/policyAssignments/*",
            "Microsoft.Authorization/policyDefinitions/*",
            "Microsoft.PolicyInsights/*",
            "Microsoft.Resources/deployments/*",
        ],
        &["Microsoft.Directory/*"],
    ),
    (ACR_PULL, "AcrPull", "Pulls images from registries.", &["Microsoft.ContainerRegistry/registries/pull/read"], &[]),
    (
        ACR_PUSH,
        "AcrPush",
        "Pushes images to registries, and pulls them.",
        &["Microsoft.ContainerRegistry/registries/pull/read", "Microsoft.ContainerRegistry/registries/push/write"],
        &[],
    ),
    (
        ACR_DELETE,
        "AcrDelete",
        "Deletes repositories, tags, manifests and blobs of registries.",
        &["Microsoft.ContainerRegistry/registries/artifacts/delete"],
        &[],
    ),
];

/// Those of data: id, name, words, actions, data actions.
const OF_DATA: &[Shipped] = &[
    (
        BLOB_DATA_CONTRIBUTOR,
        "Storage Blob Data Contributor",
        "Allows for read, write and delete access to Azure Storage blob containers and data.",
        &[
            "Microsoft.Storage/storageAccounts/blobServices/containers/delete",
            "Microsoft.Storage/storageAccounts/blobServices/containers/read",
            "Microsoft.Storage/storageAccounts/blobServices/containers/write",
            "Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action",
        ],
        &[
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/move/action",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action",
        ],
    ),
    (
        BLOB_DATA_OWNER,
        "Storage Blob Data Owner",
        "Allows for full access to Azure Storage blob containers and data, including assigning POSIX access control.",
        &[
            "Microsoft.Storage/storageAccounts/blobServices/containers/*",
            "Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action",
        ],
        &["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/*"],
    ),
    (
        BLOB_DATA_READER,
        "Storage Blob Data Reader",
        "Allows for read access to Azure Storage blob containers and data.",
        &[
            "Microsoft.Storage/storageAccounts/blobServices/containers/read",
            "Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action",
        ],
        &["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"],
    ),
    (
        BLOB_DELEGATOR,
        "Storage Blob Delegator",
        "Allows for generation of a user delegation key which can be used to sign SAS tokens.",
        &["Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action"],
        &[],
    ),
];

const OF_DIRECTORY: &[Shipped] = &[
    (
        APPLICATION_ADMINISTRATOR,
        "Application Administrator",
        "Manages applications, service principals and users of the tenant.",
        &["Microsoft.Directory/*"],
        &[],
    ),
    (
        USER_ADMINISTRATOR,
        "User Administrator",
        "Manages users and groups, but none that hold roles the administrator could not grant.",
        &[
            "Microsoft.Directory/users/*",
            "Microsoft.Directory/groups/*",
            "Microsoft.Directory/directoryObjects/read",
            "Microsoft.Directory/applications/read",
            "Microsoft.Directory/servicePrincipals/read",
        ],
        &[],
    ),
    (
        DIRECTORY_READER,
        "Directory Readers",
        "Reads users, groups, applications and service principals of the tenant.",
        &[
            "Microsoft.Directory/users/read",
            "Microsoft.Directory/groups/*/read",
            "Microsoft.Directory/directoryObjects/read",
            "Microsoft.Directory/applications/read",
            "Microsoft.Directory/servicePrincipals/read",
        ],
        &[],
    ),
];
