//! Data assets as named inputs of jobs in their jails: there before the program begins, and not the program's to change.

use std::fs;

use crate::served::Served;

const MAKES: &str = "import pathlib\npathlib.Path('outputs/deep').mkdir(parents=True, exist_ok=True)\n\
                     pathlib.Path('outputs/a.csv').write_text('one')\npathlib.Path('outputs/deep/b.csv').write_text('canary-of-the-data')\n";
const READS: &str = "import os, pathlib, sys\nplace = pathlib.Path(os.environ['AZUREML_DATAREFERENCE_train'])\n\
                     assert str(place) == sys.argv[1], sys.argv\nassert sys.argv[2] == os.environ['AZUREML_DATAREFERENCE_one']\n\
                     print(sorted(str(p.relative_to(place)) for p in place.rglob('*') if p.is_file()))\n\
                     print((place / 'deep/b.csv').read_text(), open(sys.argv[2]).read(), sys.argv[3])\n\
                     def fails(act):\n    try:\n        act()\n    except OSError:\n        return True\n    return False\n\
                     print([fails(lambda: (place / 'a.csv').write_text('x')), fails(lambda: (place / 'new').write_text('x')),\n\
                     \x20      fails(lambda: (place / 'a.csv').unlink()), fails(lambda: (place / 'a.csv').chmod(0o777))])\n";

#[test]
fn m11_a_job_reads_its_named_inputs_and_cannot_change_them() {
    let served = Served::with_workspace();
    let dir = tempfile::tempdir().unwrap();
    let submit = |name: &str, script: &str, command: &str, more: &[&str]| {
        fs::write(dir.path().join("main.py"), script).unwrap();
        let code = dir.path().to_str().unwrap();
        let arguments = ["job", "submit", "--code", code, "--name", name, "--command", command];
        served.good(&[&arguments, more].concat());
        let job = served.wait_for(name, &["Completed", "Failed", "Canceled"]);
        assert_eq!(job["properties"]["status"], "Completed", "{job}\n{}", served.good(&["job", "logs", name]));
    };
    submit("makes", MAKES, "python main.py", &[]);
    let base = "azureml://jobs/makes/outputs/artifacts/paths/outputs";
    let create = |name: &str, kind: &str, path: &str| {
        served.json(&["data", "create", name, "--type", kind, "--path", path, "--tag", "from=makes"])
    };
    assert_eq!(create("made", "uri_folder", base)["name"], "1");
    assert_eq!(create("made", "uri_folder", base)["name"], "2");
    assert_eq!(create("one", "uri_file", &format!("{base}/a.csv"))["properties"]["tags"]["from"], "makes");
    let inputs = ["--input", "train=azureml:made:1", "--input", "one=azureml:one@latest", "--input", "rate=0.1"];
    submit("reads", READS, "python main.py ${{inputs.train}} ${{inputs.one}} ${{inputs.rate}}", &inputs);
    let log = served.good(&["job", "logs", "reads"]);
    for line in ["['a.csv', 'deep/b.csv']", "canary-of-the-data one 0.1", "[True, True, True, True]"] {
        assert!(log.contains(line), "{line}: {log}");
    }
    let uses = served.json(&["data", "show", "made", "--version", "1", "--runs"]);
    assert_eq!(uses[0]["runId"], "reads", "{uses}");
    assert_eq!(uses[0]["input"], "train");
    assert_eq!(served.json(&["data", "show", "made", "--runs"]).as_array().unwrap().len(), 0, "version 2 was not used");
    served.good(&["data", "archive", "made", "--version", "2"]);
    assert_eq!(served.json(&["data", "list", "made"]).as_array().unwrap().len(), 1);
    assert_eq!(served.json(&["data", "list", "made", "--all"]).as_array().unwrap().len(), 2);
    served.good(&["data", "archive", "made"]);
    assert_eq!(served.json(&["data", "list"]).as_array().unwrap().len(), 1);
    let refused = served.bad(&["data", "create", "one", "--version", "1", "--type", "uri_file", "--path", base]);
    assert!(refused.contains("never change"), "{refused}");
    served.good(&["verify-log", "--data-dir", served.data().to_str().unwrap()]);
}
