//! From the compute room's words to those of the agent's protocol, and back.

use domain::compute::{self, Assignment, Launch, Orders, RunState, Swap};
use wire::agent;

/// What an agent is to do.
pub(super) fn assignment(given: Assignment) -> agent::Assignment {
    let Assignment { token, expires, launch, files, inputs, scope, offline } = given;
    let Launch { work, requirements, variables, limits, required_walls, .. } = launch;
    let work = match work {
        compute::Work::Job { command, .. } => {
            let files = files.into_iter().map(|file| agent::SnapshotFile {
                path: file.path,
                length: file.length,
                sha256: file.sha256,
                executable: file.executable,
            });
            agent::Work::Job { files: files.collect(), command }
        }
        compute::Work::Service { layers, engine, .. } => {
            let layers = layers.into_iter().map(|layer| agent::Layer {
                digest: layer.digest,
                size: layer.size,
                media_type: layer.media_type,
            });
            let engine = match engine {
                compute::Engine::Onnx { model } => agent::Engine::Onnx { model },
                compute::Engine::Python { entry, model_dir } => agent::Engine::Python { entry, model_dir },
            };
            agent::Work::Service { layers: layers.collect(), engine }
        }
    };
    agent::Assignment {
        run_token: token.expose().clone(),
        run_token_expires: expires,
        work,
        environment: agent::Environment { requirements, allow_source_packages: false, offline },
        variables,
        inputs: inputs.into_iter().map(input).collect(),
        workspace_path: format!("/mlflow/v1.0{scope}"),
        limits: agent::JailLimits {
            memory_mib: limits.memory_mib,
            pids: limits.pids,
            scratch_mib: limits.scratch_mib,
            seconds: limits.seconds,
        },
        required_walls,
    }
}

fn input((name, files): (String, Vec<(String, u64)>)) -> agent::Input {
    agent::Input { name, files: files.into_iter().map(|(path, length)| agent::InputFile { path, length }).collect() }
}

/// What the server wants.
pub(super) fn orders(orders: Orders) -> agent::Orders {
    let (run_token, run_token_expires) = match orders.token {
        Some((token, expires)) => (Some(token.expose().clone()), Some(expires)),
        None => (None, None),
    };
    agent::Orders { cancel: orders.cancel, run_token, run_token_expires }
}

/// Whether scratch can reach a disk, as an agent said.
pub(super) fn swap_of(swap: agent::Swap) -> Swap {
    match swap {
        agent::Swap::Forbidden => Swap::Forbidden,
        agent::Swap::NoneOnHost => Swap::NoneOnHost,
        agent::Swap::Possible => Swap::Possible,
    }
}

/// A state that an agent said.
pub(super) fn state_of(state: agent::RunState) -> RunState {
    match state {
        agent::RunState::NotStarted => RunState::NotStarted,
        agent::RunState::Queued => RunState::Queued,
        agent::RunState::Preparing => RunState::Preparing,
        agent::RunState::Provisioning => RunState::Provisioning,
        agent::RunState::Starting => RunState::Starting,
        agent::RunState::Running => RunState::Running,
        agent::RunState::CancelRequested => RunState::CancelRequested,
        agent::RunState::Canceled => RunState::Canceled,
        agent::RunState::Finalizing => RunState::Finalizing,
        agent::RunState::Completed => RunState::Completed,
        agent::RunState::Failed => RunState::Failed,
        agent::RunState::Unapproved => RunState::Unapproved,
        agent::RunState::NotResponding => RunState::NotResponding,
        agent::RunState::Pausing => RunState::Pausing,
        agent::RunState::Paused => RunState::Paused,
    }
}
