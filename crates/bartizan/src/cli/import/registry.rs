//! Registered models, their versions, stages, tags and aliases.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Errand, SOURCE_TAG, artifacts,
    fault::{Fault, clean},
    integer, list as entries, missing, pairs,
    report::Kind,
    server::Server,
    taken_tags, text,
};
use crate::failure::Failure;

/// The tag of models that are prompts.
const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";
/// The tag that keeps what the source said of where a version's files come from.
const URI_TAG: &str = "bartizan.import.source_uri";
/// The tag that keeps when a registered model was made, in milliseconds.
const MADE_TAG: &str = "bartizan.import.creation_timestamp";

/// The source's registered models, prompts too.
pub async fn list(source: &Server) -> Result<Vec<Value>, Fault> {
    let mut models = BTreeMap::new();
    let prompts = format!("tags.`{PROMPT_TAG}` = 'true'");
    for filter in ["", prompts.as_str()] {
        let mut ask = json!({"max_results": "1000"});
        if let (false, Some(fields)) = (filter.is_empty(), ask.as_object_mut()) {
            fields.insert(String::from("filter"), json!(filter));
        }
        for model in source.pages("registered-models/search", ask, "registered_models", true, |one| one).await? {
            models.insert(text(&model, "/name").to_owned(), model);
        }
    }
    Ok(models.into_values().collect())
}

/// Brings them. Fails only where nothing more can come: the report has the rest.
pub async fn bring(errand: &Errand<'_>) -> Result<(), Failure> {
    for there in list(errand.source).await? {
        let name = text(&there, "/name").to_owned();
        let what = format!("registered model {}", clean(&name));
        errand.note(|report| report.found(Kind::RegisteredModels, 1));
        match settle(errand, &name, &there).await {
            Ok(faults) => errand.note(|report| match faults.is_empty() {
                true => report.matched(Kind::RegisteredModels, 1),
                false => faults.iter().for_each(|why| report.differs(&what, why)),
            }),
            Err(fault) if fault.is_down() => {
                return Err(Failure::new(format!("{fault}; start the same command again, and it goes on from here")));
            }
            Err(fault) => errand.note(|report| report.differs(&what, &fault.words)),
        }
    }
    Ok(())
}

async fn show(server: &Server, name: &str) -> Result<Option<Value>, Fault> {
    let found = server.find("registered-models/get", &[("name", name)]).await?;
    Ok(found.map(|mut reply| reply.get_mut("registered_model").map(Value::take).unwrap_or_default()))
}

async fn shown_here(errand: &Errand<'_>, name: &str) -> Result<Value, Fault> {
    show(errand.target, name).await?.ok_or_else(|| Fault::new("the model was made and is not here"))
}

async fn settle(errand: &Errand<'_>, name: &str, there: &Value) -> Result<Vec<String>, Fault> {
    let target = errand.target;
    let mut wanted = taken_tags(there, "/tags");
    wanted.insert(SOURCE_TAG.to_owned(), errand.name.to_owned());
    wanted.insert(MADE_TAG.to_owned(), integer(there, "/creation_timestamp").unwrap_or(0).to_string());
    let here = match show(target, name).await? {
        Some(here) => here,
        None => {
            let own = json!({"key": SOURCE_TAG, "value": errand.name});
            let mut tags = vec![own];
            // Whether it is a prompt decides how its versions are taken.
            tags.extend(wanted.get(PROMPT_TAG).map(|value| json!({"key": PROMPT_TAG, "value": value})));
            let body = json!({"name": name, "description": text(there, "/description"), "tags": tags});
            match target.post("registered-models/create", &body).await {
                Err(fault) if !fault.is_taken() => return Err(fault),
                _ => errand.note(|report| report.made(Kind::RegisteredModels)),
            }
            shown_here(errand, name).await?
        }
    };
    if pairs(&here, "/tags").get(SOURCE_TAG).map(String::as_str) != Some(errand.name) {
        let why = "a registered model of this name is here already and did not come from this source, or has got versions of \
                   its own here since";
        return Err(Fault::new(why));
    }
    for (key, value) in missing(&wanted, &pairs(&here, "/tags")) {
        target.post("registered-models/set-tag", &json!({"name": name, "key": key, "value": value})).await?;
    }
    if text(there, "/description") != text(&here, "/description") {
        target
            .patch("registered-models/update", &json!({"name": name, "description": text(there, "/description")}))
            .await?;
    }
    versions(errand, name, there).await?;
    aliases(errand, name, there, &here).await?;
    let here = shown_here(errand, name).await?;
    let mut faults = Vec::new();
    if text(there, "/description") != text(&here, "/description") {
        faults.push(String::from("its description is not here as it is there"));
    }
    let known = pairs(&here, "/tags");
    faults
        .extend(missing(&wanted, &known).iter().map(|(key, _)| format!("the tag `{key}` is not here as it is there")));
    let (names, same) = (points_to(there), points_to(&here));
    let lacking = missing(&names, &same);
    errand.note(|report| {
        report.found(Kind::Aliases, names.len());
        report.matched(Kind::Aliases, names.len().saturating_sub(lacking.len()));
    });
    faults.extend(lacking.iter().map(|(alias, _)| format!("the alias `{alias}` does not point to the same version")));
    Ok(faults)
}

/// Which version each alias points to.
fn points_to(model: &Value) -> BTreeMap<String, String> {
    let pair = |one: &Value| {
        let version = integer(one, "/version").map(|number| number.to_string()).unwrap_or_default();
        (text(one, "/alias").to_owned(), version)
    };
    entries(model, "/aliases").iter().map(pair).collect()
}

async fn aliases(errand: &Errand<'_>, name: &str, there: &Value, here: &Value) -> Result<(), Fault> {
    for (alias, version) in missing(&points_to(there), &points_to(here)) {
        let body = json!({"name": name, "alias": alias, "version": version});
        match errand.target.post("registered-models/alias", &body).await {
            // The version did not come: that is said where the versions are.
            Err(fault) if fault.is_missing() => {}
            done => drop(done?),
        }
    }
    Ok(())
}

async fn versions(errand: &Errand<'_>, name: &str, model: &Value) -> Result<(), Fault> {
    let quote = match (name.contains('\''), name.contains('"')) {
        (false, _) => '\'',
        (true, false) => '"',
        (true, true) => return Err(Fault::new("its versions cannot be asked for: its name has both kinds of quotes")),
    };
    let is_prompt = pairs(model, "/tags").get(PROMPT_TAG).is_some_and(|value| value == "true");
    // Prompts are among the versions only where they are asked for.
    let which = if is_prompt { format!(" AND tags.`{PROMPT_TAG}` = 'true'") } else { String::new() };
    let filter = format!("name = {quote}{name}{quote}{which}");
    let ask = json!({"filter": filter, "max_results": "1000"});
    let mut found = errand.source.pages("model-versions/search", ask, "model_versions", true, |one| one).await?;
    found.retain(|version| text(version, "/name") == name);
    found.sort_by_key(|version| integer(version, "/version"));
    for there in found {
        let number = integer(&there, "/version").unwrap_or(0).to_string();
        let what = format!("version {number} of {}", clean(name));
        errand.note(|report| report.found(Kind::ModelVersions, 1));
        match version(errand, name, &number, &there, is_prompt).await {
            Ok(faults) => errand.note(|report| match faults.is_empty() {
                true => report.matched(Kind::ModelVersions, 1),
                false => faults.iter().for_each(|why| report.differs(&what, why)),
            }),
            Err(fault) if fault.is_down() => return Err(fault),
            // Not all experiments came, so that not all files can be here.
            Err(fault) if !errand.options.experiments.is_empty() || !errand.options.excluded.is_empty() => {
                errand.note(|report| report.leave_out(&what, &fault.words));
            }
            Err(fault) => errand.note(|report| report.differs(&what, &fault.words)),
        }
    }
    Ok(())
}

async fn version_here(errand: &Errand<'_>, name: &str, number: &str) -> Result<Option<Value>, Fault> {
    let found = errand.target.find("model-versions/get", &[("name", name), ("version", number)]).await?;
    Ok(found.map(|mut reply| reply.get_mut("model_version").map(Value::take).unwrap_or_default()))
}

async fn version(
    errand: &Errand<'_>,
    name: &str,
    number: &str,
    there: &Value,
    is_prompt: bool,
) -> Result<Vec<String>, Fault> {
    let gone = || Fault::new("the version was made and is not here");
    let here = match version_here(errand, name, number).await? {
        Some(here) => here,
        None => {
            let seed = seed(errand, name, number, there, is_prompt).await?;
            errand.target.take_over("model-versions", &seed).await?;
            errand.note(|report| report.made(Kind::ModelVersions));
            version_here(errand, name, number).await?.ok_or_else(gone)?
        }
    };
    let (wanted, known) = (taken_tags(there, "/tags"), pairs(&here, "/tags"));
    for (key, value) in missing(&wanted, &known) {
        let body = json!({"name": name, "version": number, "key": key, "value": value});
        errand.target.post("model-versions/set-tag", &body).await?;
    }
    if stage(there) != stage(&here) {
        let body = json!({"name": name, "version": number, "stage": stage(there), "archive_existing_versions": false});
        errand.target.post("model-versions/transition-stage", &body).await?;
    }
    if text(there, "/description") != text(&here, "/description") {
        let body = json!({"name": name, "version": number, "description": text(there, "/description")});
        errand.target.patch("model-versions/update", &body).await?;
    }
    let here = version_here(errand, name, number).await?.ok_or_else(gone)?;
    let mut faults = Vec::new();
    for field in ["/description", "/run_id", "/run_link"] {
        if text(there, field) != text(&here, field) {
            faults.push(format!("`{field}` is `{}` there and `{}` here", text(there, field), text(&here, field)));
        }
    }
    if stage(there) != stage(&here) {
        faults.push(String::from("its stage is not the same"));
    }
    let known = pairs(&here, "/tags");
    faults
        .extend(missing(&wanted, &known).iter().map(|(key, _)| format!("the tag `{key}` is not here as it is there")));
    Ok(faults)
}

fn stage(version: &Value) -> &str {
    match text(version, "/current_stage") {
        "" => "None",
        stage => stage,
    }
}

/// What a version is taken over with. Its small parts follow as tags do.
async fn seed(errand: &Errand<'_>, name: &str, number: &str, there: &Value, is_prompt: bool) -> Result<Value, Fault> {
    let mut tags = vec![json!({"key": URI_TAG, "value": text(there, "/source")})];
    let files = if is_prompt {
        tags.push(json!({"key": PROMPT_TAG, "value": "true"}));
        String::from("dummy-source")
    } else {
        files_of(errand, name, number, there).await?
    };
    Ok(json!({
        "name": name,
        "version": number,
        "files": files,
        "run_id": text(there, "/run_id"),
        "description": text(there, "/description"),
        "run_link": text(there, "/run_link"),
        "current_stage": stage(there),
        "user_id": text(there, "/user_id"),
        "creation_timestamp": integer(there, "/creation_timestamp").unwrap_or(0),
        "last_updated_timestamp": integer(there, "/last_updated_timestamp").unwrap_or(0),
        "tags": tags,
        "source": errand.name,
    }))
}

/// Where a version's files are here: runs and logged models have the ids that they have there.
async fn files_of(errand: &Errand<'_>, name: &str, number: &str, there: &Value) -> Result<String, Fault> {
    let source = text(there, "/source");
    if let Some(files) = same_files(source) {
        return Ok(files);
    }
    let ask = [("name", name), ("version", number)];
    let reply = errand.source.get("model-versions/get-download-uri", &ask).await?;
    let uri = text(&reply, "/artifact_uri");
    let why = "its files are in a store that the source does not hand out over HTTP, or of no run and no logged model";
    same_files(uri).ok_or_else(|| Fault::new(format!("{why}: {}", clean(uri))))
}

/// The words for the same files here.
fn same_files(source: &str) -> Option<String> {
    if source.starts_with("runs:/") || source.strip_prefix("models:/").is_some_and(|id| id.starts_with("m-")) {
        return Some(source.to_owned());
    }
    let mut parts = artifacts::root(source)?.splitn(4, '/');
    match (parts.next()?, parts.next()?, parts.next()?, parts.next()) {
        (_, "models", id, Some("artifacts")) => Some(format!("models:/{id}")),
        (_, run, "artifacts", path) => Some(format!("runs:/{run}/{}", path.unwrap_or_default())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_s_files_are_those_of_its_run_or_model_and_nothing_else() {
        for (source, here) in [
            ("runs:/abc/model", Some("runs:/abc/model")),
            ("models:/m-1", Some("models:/m-1")),
            ("mlflow-artifacts:/1/abc/artifacts/model/x", Some("runs:/abc/model/x")),
            ("mlflow-artifacts:/1/models/m-1/artifacts", Some("models:/m-1")),
            ("models:/other/3", None),
            ("file:///etc", None),
            ("/etc/passwd", None),
            ("http://169.254.169.254/latest", None),
            ("s3://b/k", None),
            ("mlflow-artifacts:/../../etc", None),
        ] {
            assert_eq!(same_files(source).as_deref(), here, "{source}");
        }
    }
}
