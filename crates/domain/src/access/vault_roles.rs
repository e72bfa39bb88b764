//! The roles of vaults that ship; ids, words and patterns are Azure's. Only those with data actions reach into a vault: whoever owns
//! one holds none of them by that.

use uuid::{Uuid, uuid};

use super::built_in::Shipped;

/// Everything that a vault holds: keys, secrets, certificates.
pub const KEY_VAULT_ADMINISTRATOR: Uuid = uuid!("00482a5a-887f-4fb3-b363-3b7fe8e74483");
/// Reading what is not secret.
pub const KEY_VAULT_READER: Uuid = uuid!("21090545-7ca7-4776-b22c-e363652d74d2");
/// Everything about secrets.
pub const KEY_VAULT_SECRETS_OFFICER: Uuid = uuid!("b86a8fe4-44ce-4948-aee5-eccb2c155cd7");
/// Reading secrets.
pub const KEY_VAULT_SECRETS_USER: Uuid = uuid!("4633458b-17de-408a-b874-0445c86b69e6");
/// Everything about keys.
pub const KEY_VAULT_CRYPTO_OFFICER: Uuid = uuid!("14b46e9e-c2b7-41b4-b07b-48a6ebf60603");
/// Using keys.
pub const KEY_VAULT_CRYPTO_USER: Uuid = uuid!("12338af0-0e69-4776-bea7-57ae8d297424");
/// Wrapping and unwrapping with keys: what encrypts data at rest needs.
pub const KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER: Uuid = uuid!("e147488a-f6f5-4113-8e2d-b22465e65bf6");
/// Everything about certificates.
pub const KEY_VAULT_CERTIFICATES_OFFICER: Uuid = uuid!("a4417e6f-fecd-4de8-b567-7b0420556985");
/// Reading certificates with their private halves.
pub const KEY_VAULT_CERTIFICATE_USER: Uuid = uuid!("db79e9a7-68ee-4b58-9aeb-b90e7c24fcba");
/// Managing vaults, and nothing of what they hold.
pub const KEY_VAULT_CONTRIBUTOR: Uuid = uuid!("f25e0fa2-a7c8-4377-a976-54943a77a395");

/// What those around a vault may do in management.
const AROUND: &[&str] = &[
    "Microsoft.Authorization/*/read",
    "Microsoft.Insights/alertRules/*",
    "Microsoft.Resources/deployments/*",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.Support/*",
    "Microsoft.KeyVault/checkNameAvailability/read",
    "Microsoft.KeyVault/deletedVaults/read",
    "Microsoft.KeyVault/locations/*/read",
    "Microsoft.KeyVault/vaults/*/read",
    "Microsoft.KeyVault/operations/read",
];

/// Id, name, words, actions, data actions.
pub(super) const OF_VAULTS: &[Shipped] = &[
    (
        KEY_VAULT_ADMINISTRATOR,
        "Key Vault Administrator",
        "Perform all data plane operations on a key vault and all objects in it, including certificates, keys, and secrets. Cannot \
         manage key vault resources or manage role assignments. Only works for key vaults that use the 'Azure role-based access \
         control' permission model.",
        AROUND,
        &["Microsoft.KeyVault/vaults/*"],
    ),
    (
        KEY_VAULT_READER,
        "Key Vault Reader",
        "Read metadata of key vaults and its certificates, keys, and secrets. Cannot read sensitive values such as secret contents or \
         key material. Only works for key vaults that use the 'Azure role-based access control' permission model.",
        AROUND,
        &["Microsoft.KeyVault/vaults/*/read", "Microsoft.KeyVault/vaults/secrets/readMetadata/action"],
    ),
    (
        KEY_VAULT_SECRETS_OFFICER,
        "Key Vault Secrets Officer",
        "Perform any action on the secrets of a key vault, except manage permissions. Only works for key vaults that use the 'Azure \
         role-based access control' permission model.",
        AROUND,
        &["Microsoft.KeyVault/vaults/secrets/*"],
    ),
    (
        KEY_VAULT_SECRETS_USER,
        "Key Vault Secrets User",
        "Read secret contents. Only works for key vaults that use the 'Azure role-based access control' permission model.",
        &[],
        &[
            "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
        ],
    ),
    (
        KEY_VAULT_CRYPTO_OFFICER,
        "Key Vault Crypto Officer",
        "Perform any action on the keys of a key vault, except manage permissions. Only works for key vaults that use the 'Azure \
         role-based access control' permission model.",
        AROUND,
        &["Microsoft.KeyVault/vaults/keys/*", "Microsoft.KeyVault/vaults/keyrotationpolicies/*"],
    ),
    (
        KEY_VAULT_CRYPTO_USER,
        "Key Vault Crypto User",
        "Perform cryptographic operations using keys. Only works for key vaults that use the 'Azure role-based access control' \
         permission model.",
        &[],
        &[
            "Microsoft.KeyVault/vaults/keys/read",
            "Microsoft.KeyVault/vaults/keys/update/action",
            "Microsoft.KeyVault/vaults/keys/backup/action",
            "Microsoft.KeyVault/vaults/keys/encrypt/action",
            "Microsoft.KeyVault/vaults/keys/decrypt/action",
            "Microsoft.KeyVault/vaults/keys/wrap/action",
            "Microsoft.KeyVault/vaults/keys/unwrap/action",
            "Microsoft.KeyVault/vaults/keys/sign/action",
            "Microsoft.KeyVault/vaults/keys/verify/action",
        ],
    ),
    (
        KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER,
        "Key Vault Crypto Service Encryption User",
        "Read metadata of keys and perform wrap/unwrap operations. Only works for key vaults that use the 'Azure role-based access \
         control' permission model.",
        &[
            "Microsoft.EventGrid/eventSubscriptions/write",
            "Microsoft.EventGrid/eventSubscriptions/read",
            "Microsoft.EventGrid/eventSubscriptions/delete",
        ],
        &[
            "Microsoft.KeyVault/vaults/keys/read",
            "Microsoft.KeyVault/vaults/keys/wrap/action",
            "Microsoft.KeyVault/vaults/keys/unwrap/action",
        ],
    ),
    (
        KEY_VAULT_CERTIFICATES_OFFICER,
        "Key Vault Certificates Officer",
        "Perform any action on the certificates of a key vault, except manage permissions. Only works for key vaults that use the \
         'Azure role-based access control' permission model.",
        AROUND,
        &[
            "Microsoft.KeyVault/vaults/certificatecas/*",
            "Microsoft.KeyVault/vaults/certificates/*",
            "Microsoft.KeyVault/vaults/certificatecontacts/write",
        ],
    ),
    (
        KEY_VAULT_CERTIFICATE_USER,
        "Key Vault Certificate User",
        "Read certificate contents. Only works for key vaults that use the 'Azure role-based access control' permission model.",
        &[],
        &[
            "Microsoft.KeyVault/vaults/certificates/read",
            "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
            "Microsoft.KeyVault/vaults/keys/read",
        ],
    ),
];

/// Id, name, words, actions, actions taken back.
pub(super) const AROUND_VAULTS: &[Shipped] = &[(
    KEY_VAULT_CONTRIBUTOR,
    "Key Vault Contributor",
    "Manage key vaults, but does not allow you to assign roles in Azure RBAC, and does not allow you to access secrets, keys, or \
         certificates.",
    &[
        "Microsoft.Authorization/*/read",
        "Microsoft.Insights/alertRules/*",
        "Microsoft.KeyVault/*",
        "Microsoft.Resources/deployments/*",
        "Microsoft.Resources/subscriptions/resourceGroups/read",
        "Microsoft.Support/*",
    ],
    &[
        "Microsoft.KeyVault/locations/deletedVaults/purge/action",
        "Microsoft.KeyVault/hsmPools/*",
        "Microsoft.KeyVault/managedHsms/*",
    ],
)];
