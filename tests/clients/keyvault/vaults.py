"""azure-mgmt-keyvault: vaults as resources."""

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from .stage import GROUP, PORT, SUFFIX, check, new_vault, raises, vaults


def run():
    missing = raises(ResourceNotFoundError, lambda: vaults.get(GROUP, "suite-vault"))
    check("a vault that is not there is a ResourceNotFoundError", missing)
    made = new_vault("suite-vault", softDeleteRetentionInDays=7)
    check("a vault is made", made.properties.vault_uri == f"https://suite-vault.vault.{SUFFIX}:{PORT}/")
    check("it says what it was made with", made.properties.soft_delete_retention_in_days == 7 and made.properties.enable_rbac_authorization)
    check("vaults are listed", "suite-vault" in [vault.name for vault in vaults.list_by_resource_group(GROUP)])
    free = vaults.check_name_availability({"name": "suite-vault", "type": "Microsoft.KeyVault/vaults"})
    check("its name is taken", free.name_available is False)
    policy = [{"tenantId": made.properties.tenant_id, "objectId": made.properties.tenant_id, "permissions": {"secrets": ["get"]}}]
    refused = raises(HttpResponseError, lambda: new_vault("suite-policies", accessPolicies=policy))
    check("access policies are refused", refused and refused.status_code == 400)

    vaults.delete(GROUP, "suite-vault")
    check("a deleted vault is gone", raises(ResourceNotFoundError, lambda: vaults.get(GROUP, "suite-vault")))
    resting = vaults.get_deleted("suite-vault", "local")
    span = resting.properties.scheduled_purge_date - resting.properties.deletion_date
    check("it rests for its days", span.days == 7 and resting.properties.vault_id == made.id)
    check("deleted vaults are listed", "suite-vault" in [vault.name for vault in vaults.list_deleted()])
    taken = raises(HttpResponseError, lambda: new_vault("suite-vault"))
    check("its name is nobody else's", taken and taken.status_code == 409)
    back = new_vault("suite-vault", createMode="recover")
    check("it is recovered", back.id == made.id and back.properties.soft_delete_retention_in_days == 7)
    vaults.delete(GROUP, "suite-vault")
    vaults.begin_purge_deleted("suite-vault", "local").result()
    check("it is purged", raises(ResourceNotFoundError, lambda: vaults.get_deleted("suite-vault", "local")))

    new_vault("suite-kept", enablePurgeProtection=True)
    vaults.delete(GROUP, "suite-kept")
    refused = raises(HttpResponseError, lambda: vaults.begin_purge_deleted("suite-kept", "local").result())
    check("protection against purging holds", refused and refused.status_code == 403)
    check("and the vault comes back", new_vault("suite-kept", createMode="recover").properties.enable_purge_protection)
