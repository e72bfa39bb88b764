//! Where a model version says it comes from. Only this workspace's own stores can be named: nothing is ever fetched from an
//! address that a client sent, and no address of a machine's file system means anything here.

use kernel::{Error, Result, RunId};

use super::{ArtifactPath, ArtifactPlace, ModelSource, artifact::Owner, text};

/// Reads a source: `models:/m-…`, `models:/{name}/{version}`, `runs:/{run}/{path}` or `mlflow-artifacts:/…`.
///
/// # Errors
/// `Invalid` for everything else, in any spelling.
pub(super) fn parse(source: &str) -> Result<ModelSource> {
    if source.is_empty() {
        return Err(text::missing("source"));
    }
    let refuse = || refused(source);
    if let Some(rest) = source.strip_prefix("models:/") {
        return match rest.split_once('/') {
            None if is_logged_model(rest) => Ok(ModelSource::LoggedModel(rest.to_owned())),
            Some((name, version)) if super::registry::check_model_name(name).is_ok() => {
                let version = version.parse().map_err(|_| refuse())?;
                Ok(ModelSource::Version { name: name.to_owned(), version })
            }
            _ => Err(refuse()),
        };
    }
    if let Some(rest) = source.strip_prefix("runs:/") {
        let (run, path) = rest.split_once('/').unwrap_or((rest, ""));
        let run: RunId = run.parse().map_err(|_| refuse())?;
        let path = ArtifactPath::parse(path.trim_end_matches('/')).map_err(|_| refuse())?;
        return Ok(ModelSource::Run { run, path: path.to_string() });
    }
    if let Some(rest) = source.strip_prefix("mlflow-artifacts:/") {
        let place = ArtifactPlace::parse(rest.trim_end_matches('/')).ok().flatten().ok_or_else(refuse)?;
        return match place.owner {
            Owner::Run(run) => Ok(ModelSource::Run { run, path: place.path.to_string() }),
            Owner::LoggedModel(id) if place.path.is_root() && is_logged_model(&id) => Ok(ModelSource::LoggedModel(id)),
            Owner::LoggedModel(_) | Owner::Version { .. } => Err(refuse()),
        };
    }
    Err(refuse())
}

fn is_logged_model(id: &str) -> bool {
    id.strip_prefix("m-").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|c| c.is_ascii_hexdigit()))
}

fn refused(source: &str) -> Error {
    let why = "a model version's source must be a logged model (`models:/m-…`), another version \
               (`models:/<name>/<version>`), files of a run (`runs:/<run id>/<path>`) or an `mlflow-artifacts:/` address of \
               this workspace";
    text::bad("source", source, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_workspace_can_be_named() {
        let model = "m-748568f23fde42b8b1961b2019345373";
        let good = [
            format!("models:/{model}"),
            String::from("models:/wine/3"),
            String::from("runs:/abc/model"),
            String::from("runs:/abc/a/b c/d.onnx"),
            String::from("runs:/abc"),
            String::from("mlflow-artifacts:/1/abc/artifacts/model"),
            format!("mlflow-artifacts:/1/models/{model}/artifacts"),
        ];
        for source in &good {
            assert!(parse(source).is_ok(), "{source}");
        }
        let bad = [
            "",
            ":",
            "//",
            "/",
            "/etc",
            "etc",
            "file:///etc",
            "file:/etc",
            "FILE:///etc",
            "File:/etc",
            "file:",
            "file://localhost/etc",
            "http://x/y",
            "HTTPS://x/y",
            "ftp://x/y",
            "s3://b/k",
            "dbfs:/x",
            "abfss://x",
            "hdfs://x",
            "runs://abc/model",
            "RUNS:/abc/model",
            "runs:/",
            "runs:/../x",
            "runs:/abc/../x",
            "runs:/abc/%2e%2e/x",
            "runs:/abc/%252e%252e/x",
            "runs:/abc/m#/../..",
            "runs:/abc/..;/x",
            "runs:/abc/..%3b/x",
            "runs:/abc//x",
            "runs:/abc/x\\y",
            "models:/",
            "models:/x",
            "models:/x/latest",
            "models:/x@champion",
            "models:/../1",
            "models:/x/1/../2",
            "models:/m-zz",
            "models://m-748568f23fde42b8b1961b2019345373",
            "mlflow-artifacts:/",
            "mlflow-artifacts://host/1/abc/artifacts",
            "mlflow-artifacts:///etc",
            "mlflow-artifacts:/1",
            "mlflow-artifacts:/1/abc/artifacts/../../x",
            "mlflow-artifacts:/1/abc/artifacts?x=http://y",
            "mlflow-artifacts:/registry/x/1/artifacts",
            " file:///etc",
            "\tfile:///etc",
            "dummy-source",
            "jar:file:///x",
        ];
        for source in bad {
            assert!(parse(source).is_err(), "{source}");
        }
    }
}
