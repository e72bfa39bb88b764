//! The secrets that a program is given: fetched for its environment alone, and hidden in all that it says.

use std::collections::BTreeMap;

use kernel::Secret;
use wire::agent::Assignment;

use super::{
    redact::HideError,
    server::{Server, ServerError},
};

/// Why a program does not get its secrets.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("its secrets could not be had")]
    Server(#[source] ServerError),
    #[error(transparent)]
    Hide(#[from] HideError),
    #[error("the server did not send the secret of the variable `{0}`")]
    Missing(String),
}

/// Values by variable.
pub type Secrets = BTreeMap<String, Secret<String>>;

/// Fetches what the assignment's variables name. From then on the server is told nothing that shows it.
pub async fn fetch(server: &Server, assignment: &Assignment) -> Result<Secrets, SecretsError> {
    let names_one = |(_, value): &(&String, &String)| value.starts_with("secret://");
    if !assignment.variables.iter().any(|pair| names_one(&pair)) {
        return Ok(Secrets::new());
    }
    let secrets = server.secrets().await.map_err(SecretsError::Server)?;
    // Its own names for things (an experiment's) are the server's to set, and name no secrets.
    let is_ours = |name: &str| ["AZUREML_", "MLFLOW_"].iter().any(|ours| name.starts_with(ours));
    let missing =
        assignment.variables.iter().filter(names_one).find(|(name, _)| !secrets.contains_key(*name) && !is_ours(name));
    if let Some((name, _)) = missing {
        return Err(SecretsError::Missing(name.clone()));
    }
    server.redactor().hide(secrets.values())?;
    Ok(secrets)
}
