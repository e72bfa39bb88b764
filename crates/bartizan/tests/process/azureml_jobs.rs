//! Jobs whose code uses Azure's own libraries, unmodified (requirements M-08, M-09, H-05).

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    clients::{index_is_reachable, skip},
    served::Served,
};

/// What the part of `azureml-core` that runs use imports. The library itself lies beside the script: what it names as its own
/// dependencies is a hundred packages more.
const IMPORTED: &str = "adal==1.2.7\nazure-common==1.1.28\nazure-core==1.41.0\nazure-graphrbac==0.61.2\n\
azure-mgmt-containerregistry==10.3.0\nazure-mgmt-core==1.6.0\nazure-mgmt-keyvault==10.3.1\nazure-mgmt-resource==24.0.0\n\
azure-mgmt-storage==22.0.0\nbackports.tempfile==1.0\ncontextlib2==21.6.0\ncryptography==46.0.7\ndocker==7.2.0\n\
humanfriendly==10.0\njmespath==1.1.0\njsonpickle==4.1.4\nknack==0.12.0\nmsal==1.39.0\nmsrest==0.7.1\n\
msrestazure==0.6.4.post1\npackaging==25.0\npathspec==0.12.1\nPyJWT==2.10.1\npyOpenSSL==25.3.0\n\
python-dateutil==2.9.0.post0\npytz==2026.6\nsetuptools==80.9.0\nsix==1.17.0\n";

const CORE: &str = r#"
import glob, os, sys, urllib.error, urllib.request
sys.path.insert(0, glob.glob(os.path.abspath('azureml_core*.whl'))[0])
from azureml.core import Run
run = Run.get_context(allow_offline=False)
print('id', run.id, run.experiment.name, run.get_status())
run.log('loss', 0.5)
run.log('loss', 0.25)
run.log_table('table', {'x': [1, 2]})
run.tag('from', 'inside')
run.add_properties({'once': '1'})
try:
    run.add_properties({'once': '2'})
    print('a property was changed')
except Exception:
    print('a property stays')
print('secret', len(run.get_secret('db-password')), run.get_secrets(['none'])['none'])
child = run.child_run('part')
child.log('inner', 1)
child.complete()
print('child', child.get_status(), child.parent.id)
open('file.txt', 'w').write('made inside')
run.upload_file('outputs/file.txt', 'file.txt')
run.log_confusion_matrix('matrix', {'schema_type': 'confusion_matrix', 'schema_version': 'v1', 'data': {'class_labels': ['a'], 'matrix': [[1]]}})
run.download_file('outputs/file.txt', 'back.txt')
print('file', open('back.txt').read(), sorted(run.get_file_names()))
run.flush()
print('metrics', run.get_metrics())
try:
    run.experiment.workspace.service_context._get_run_history_restclient()
    other = os.environ['AZUREML_SERVICE_ENDPOINT'] + '/subscriptions'
    urllib.request.urlopen(urllib.request.Request(other, headers={'Authorization': 'Bearer ' + os.environ['AZUREML_RUN_TOKEN']}))
    print('the token opens something')
except urllib.error.HTTPError as refused:
    print('elsewhere', refused.code)
run.complete()
"#;

const MLFLOW: &str = r#"
import os
os.environ['MLFLOW_TRACKING_URI'] = os.environ['MLFLOW_TRACKING_URI'].replace('http://', 'azureml://')
import mlflow
with mlflow.start_run() as run:
    mlflow.log_metric('loss', 0.5)
    mlflow.set_tag('from', 'azureml-mlflow')
    open('note.txt', 'w').write('by azureml-mlflow')
    mlflow.log_artifact('note.txt', 'notes')
print('uri', mlflow.get_artifact_uri() if mlflow.active_run() else run.info.artifact_uri.split('/')[0])
client = mlflow.MlflowClient()
print('files', [file.path for file in client.list_artifacts(run.info.run_id, 'notes')])
print('text', open(client.download_artifacts(run.info.run_id, 'notes/note.txt', '.')).read())
"#;

fn submit(served: &Served, name: &str, files: &[(&str, &str)], prepare: impl FnOnce(&Path)) -> (Value, String) {
    let dir = tempfile::tempdir().unwrap();
    for (file, text) in files {
        fs::write(dir.path().join(file), text).unwrap();
    }
    prepare(dir.path());
    let code = dir.path().to_str().unwrap();
    served.good(&["job", "submit", "--code", code, "--name", name, "--command", "python main.py"]);
    let job = served.wait_for(name, &["Completed", "Failed", "Canceled"]);
    let log = served.good(&["job", "logs", name]);
    assert_eq!(job["properties"]["status"], "Completed", "{job} {log}");
    (job, log)
}

fn has(log: &str, due: &str) {
    assert!(log.contains(due), "{due}: {log}");
}

#[test]
fn m_08_a_job_uses_azureml_core_as_it_is() {
    if !index_is_reachable() {
        return skip("azureml-core in a job");
    }
    let served = Served::with_workspace();
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    fs::write(&secret, "CanaryInside-Qx7Zk2Vb9").unwrap();
    served.good(&["workspace", "secret", "set", "-n", "db-password", "-f", secret.to_str().unwrap()]);
    let (_, log) = submit(&served, "core", &[("main.py", CORE), ("requirements.txt", IMPORTED)], |code| {
        let wheel = ["-m", "pip", "download", "--quiet", "--no-deps", "azureml-core==1.60.0", "-d"];
        assert!(Command::new("python3").args(wheel).arg(code).status().unwrap().success());
    });
    for due in [
        "id core Default Running",
        "a property stays",
        "secret 22 None",
        "child Completed core",
        "file made inside ['matrix', 'outputs/file.txt'",
        "'loss': [0.5, 0.25]",
        "'table': {'x': [1, 2]}",
        "elsewhere 403",
    ] {
        has(&log, due);
    }
    assert!(!log.contains("CanaryInside"), "{log}");
}

#[test]
fn a_job_uses_azureml_mlflow_as_it_is() {
    if !index_is_reachable() {
        return skip("azureml-mlflow in a job");
    }
    let served = Served::with_workspace();
    let needs = "azure-common==1.1.28\nazureml-mlflow==1.62.0\nmlflow-skinny==3.3.2\nsetuptools==80.9.0\n";
    let (_, log) = submit(&served, "plugin", &[("main.py", MLFLOW), ("requirements.txt", needs)], |_| ());
    for due in ["uri azureml:", "files ['notes/note.txt']", "text by azureml-mlflow"] {
        has(&log, due);
    }
}
