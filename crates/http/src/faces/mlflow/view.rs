//! Rooms' records as MLflow's clients see them.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use domain::tracking::{
    Experiment, LoggedModel, ModelVersion, ModelView, Page, Point, RegisteredModel, Run, RunLinks, RunView, VersionView,
};
use kernel::RunId;
use serde::Serialize;
use wire::mlflow::{self, Double, Pair};

/// A reply.
pub(super) fn reply(body: impl Serialize) -> Response {
    axum::Json(body).into_response()
}

/// A reply that says nothing.
pub(super) fn done() -> Response {
    reply(mlflow::Empty {})
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<Pair> {
    map.iter().map(|(key, value)| Pair { key: key.clone(), value: value.clone() }).collect()
}

fn into_pairs(map: BTreeMap<String, String>) -> Vec<Pair> {
    map.into_iter().map(|(key, value)| Pair { key, value }).collect()
}

fn list(pairs: &[(String, String)]) -> Vec<Pair> {
    pairs.iter().map(|(key, value)| Pair { key: key.clone(), value: value.clone() }).collect()
}

fn stage_of_life(is_deleted: bool) -> String {
    String::from(if is_deleted { "deleted" } else { "active" })
}

pub(super) fn experiment(experiment: Experiment) -> mlflow::Experiment {
    mlflow::Experiment {
        artifact_location: format!("mlflow-artifacts:/{}", experiment.id),
        lifecycle_stage: stage_of_life(experiment.is_deleted),
        last_update_time: experiment.updated_at.0,
        creation_time: experiment.created_at.0,
        tags: pairs(&experiment.tags),
        experiment_id: experiment.id,
        name: experiment.name,
    }
}

pub(super) fn run_info(run: &Run) -> mlflow::RunInfo {
    mlflow::RunInfo {
        run_uuid: run.id.to_string(),
        experiment_id: run.experiment.clone(),
        run_name: run.name.clone(),
        user_id: run.user.clone(),
        status: run.status.word().to_owned(),
        start_time: run.started_at.0,
        end_time: run.ended_at.map(|at| at.0),
        artifact_uri: run.artifact_uri(),
        lifecycle_stage: stage_of_life(run.is_deleted),
        run_id: run.id.to_string(),
    }
}

pub(super) fn metric(key: &str, point: &Point, run: Option<&RunId>) -> mlflow::Metric {
    mlflow::Metric {
        key: key.to_owned(),
        value: Double(point.value),
        timestamp: point.timestamp,
        step: point.step,
        run_id: run.map(RunId::to_string),
    }
}

/// A run; what it used as models is left out of searches, as the client expects.
pub(super) fn run(view: RunView, shows_model_inputs: bool) -> mlflow::Run {
    let info = run_info(&view.run);
    let metrics = view.metrics.into_iter().map(|(key, Point { step, timestamp, value })| mlflow::Metric {
        key,
        value: Double(value),
        timestamp,
        step,
        run_id: None,
    });
    let (params, tags) = (into_pairs(view.run.params), into_pairs(view.run.tags));
    mlflow::Run {
        info,
        data: mlflow::RunData { metrics: metrics.collect(), params, tags },
        inputs: inputs(&view.links, shows_model_inputs),
        outputs: Some(outputs(&view.links)),
    }
}

/// A run that was begun just now: nothing is known yet of what it makes.
pub(super) fn new_run(view: RunView) -> mlflow::Run {
    mlflow::Run { outputs: None, ..run(view, true) }
}

fn inputs(links: &RunLinks, shows_models: bool) -> mlflow::RunInputs {
    let dataset = |input: &domain::tracking::DatasetInput| mlflow::DatasetInput {
        tags: list(&input.tags),
        dataset: mlflow::Dataset {
            name: input.name.clone(),
            digest: input.digest.clone(),
            source_type: input.source_type.clone(),
            source: input.source.clone(),
            schema: input.schema.clone(),
            profile: input.profile.clone(),
        },
    };
    let model = |id: &String| mlflow::ModelInput { model_id: id.clone() };
    mlflow::RunInputs {
        dataset_inputs: links.datasets.iter().map(dataset).collect(),
        model_inputs: links.model_inputs.iter().filter(|_| shows_models).map(model).collect(),
    }
}

fn outputs(links: &RunLinks) -> mlflow::RunOutputs {
    let model = |(id, step): &(String, i64)| mlflow::ModelOutput { model_id: id.clone(), step: *step };
    mlflow::RunOutputs { model_outputs: links.model_outputs.iter().map(model).collect() }
}

pub(super) fn logged_model(model: LoggedModel) -> mlflow::LoggedModel {
    let metric = |metric: &domain::tracking::ModelMetric| mlflow::LoggedModelMetric {
        key: metric.key.clone(),
        value: Double(metric.point.value),
        timestamp: metric.point.timestamp,
        step: metric.point.step,
        model_id: model.id.clone(),
        run_id: metric.run.to_string(),
        dataset_name: metric.dataset_name.clone(),
        dataset_digest: metric.dataset_digest.clone(),
    };
    let data =
        mlflow::LoggedModelData { params: pairs(&model.params), metrics: model.metrics.iter().map(metric).collect() };
    let info = mlflow::LoggedModelInfo {
        artifact_uri: model.artifact_uri(),
        creation_timestamp_ms: model.created_at.0,
        last_updated_timestamp_ms: model.updated_at.0,
        status: format!("LOGGED_MODEL_{}", model.status.word()),
        source_run_id: Some(model.source_run.as_ref().map(ToString::to_string).unwrap_or_default()),
        tags: pairs(&model.tags),
        registrations: Vec::new(),
        model_id: model.id,
        experiment_id: model.experiment,
        name: model.name,
        model_type: model.model_type,
    };
    mlflow::LoggedModel { info, data }
}

pub(super) fn registered_model(model: RegisteredModel, latest: Vec<VersionView>) -> mlflow::RegisteredModel {
    let alias =
        |(alias, version): (&String, &u64)| mlflow::Alias { alias: alias.clone(), version: version.to_string() };
    mlflow::RegisteredModel {
        creation_timestamp: model.created_at.0,
        last_updated_timestamp: model.updated_at.0,
        // Their names stand beside them, in `aliases`.
        latest_versions: latest
            .into_iter()
            .map(|one| model_version(VersionView { aliases: Vec::new(), ..one }))
            .collect(),
        tags: pairs(&model.tags),
        aliases: model.aliases.iter().map(alias).collect(),
        name: model.name,
        user_id: model.user,
        description: model.description,
    }
}

pub(super) fn model_view(view: ModelView) -> mlflow::RegisteredModel {
    registered_model(view.model, view.latest)
}

pub(super) fn model_version(view: VersionView) -> mlflow::ModelVersion {
    let VersionView { name, version, aliases, .. } = view;
    let ModelVersion { description, source, run_link, stage, user, logged_model, .. } = version;
    mlflow::ModelVersion {
        name,
        version: version.version.to_string(),
        creation_timestamp: version.created_at.0,
        last_updated_timestamp: version.updated_at.0,
        user_id: user,
        current_stage: stage,
        description,
        source,
        run_id: version.run.as_ref().map(ToString::to_string).unwrap_or_default(),
        status: String::from("READY"),
        tags: pairs(&version.tags),
        run_link,
        aliases,
        model_id: logged_model,
    }
}

pub(super) fn model_versions(page: Page<VersionView>) -> mlflow::ModelVersions {
    mlflow::ModelVersions {
        model_versions: page.items.into_iter().map(model_version).collect(),
        next_page_token: page.next,
    }
}
