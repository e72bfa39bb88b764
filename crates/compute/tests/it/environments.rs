//! Prepared environments: where they come from, what runs in them, and what a start costs once they are there.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use wire::agent::{Environment, RunState};

use crate::{
    index,
    stand::{Run, Stand},
};

pub fn an_environment_comes_from_the_index_alone() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let index = runtime.block_on(index::open(directory.path()));
    let status = Command::new("/proc/self/exe")
        .args(["inner", "inside_the_index"])
        .env("PIP_INDEX_URL", &index.url)
        .env("PIP_CERT", &index.ca)
        .env_remove("PIP_FIND_LINKS")
        .status()
        .unwrap();
    assert!(status.success());
}

pub fn inside_the_index() {
    let asked = |requirements: &str, command: &str| {
        let mut run = Run::job(command, &[]);
        run.environment = Environment { requirements: Some(String::from(requirements)), ..Environment::default() };
        run
    };
    let command = "tiny; python -c 'import bartizan_tiny, sys; print(bartizan_tiny.__file__); \
                   open(bartizan_tiny.__file__, \"a\")'";
    let stand = asked("bartizan-tiny==1.0  # small\n", command).start();
    let finish = stand.finish();
    assert!(stand.log().starts_with("tiny hello\n/environment/lib/python"), "{finish:?} {}", stand.log());
    assert!(stand.log().contains("Permission denied"), "{}", stand.log());
    let told: Vec<String> =
        stand.house.seen.lock().unwrap().statuses.iter().filter_map(|status| status.message.clone()).collect();
    assert!(told.iter().any(|line| line.ends_with("is ready")), "{told:?}");

    // The same words in another form, offline, from the cache of the first.
    let Stand { directory, .. } = stand;
    let mut again = asked("\n  bartizan-tiny==1.0", "tiny");
    again.environment.offline = true;
    again.directory = directory;
    let begun = Instant::now();
    let stand = again.start();
    let finish = stand.finish();
    assert_eq!(finish.state, RunState::Completed, "{finish:?}");
    println!("    a cached environment: {} ms from start to finish", begun.elapsed().as_millis());

    let finish = asked("astray", "tiny").start().finish();
    let message = finish.message.unwrap();
    assert!(message.contains("refused: files.elsewhere.test"), "{message}");
    let finish = asked("no-such-thing", "tiny").start().finish();
    assert!(finish.message.unwrap().contains("No matching distribution found for no-such-thing"));
    let finish = asked("--index-url https://pypi.org/simple", "tiny").start().finish();
    assert!(finish.message.unwrap().contains("options are not allowed"));
}

pub fn the_usual_libraries_work_in_the_jail() {
    if std::env::var_os("BARTIZAN_TEST_LIBRARIES").is_none() {
        println!(
            "compute: 1 suite skipped: set BARTIZAN_TEST_LIBRARIES to install the usual libraries from the package index"
        );
        return;
    }
    let script: &[u8] = br#"
import os, time
import numpy, sklearn, onnxruntime, mlflow, pandas
from sklearn.ensemble import RandomForestClassifier
from sklearn.datasets import load_iris
x, y = load_iris(return_X_y=True)
model = RandomForestClassifier(n_estimators=20, n_jobs=2).fit(x, y)
print("score", model.score(x, y))
import joblib
print(joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(i) for i in range(4)))
print(numpy.linalg.svd(numpy.random.rand(200, 200))[1][:2] > 0)
print(onnxruntime.get_device(), mlflow.__version__, mlflow.get_tracking_uri())
joblib.dump(model, "outputs/model.joblib")
"#;
    let mut run = Run::job("python train.py", &[("train.py", script)]);
    let requirements = "numpy\nscikit-learn\nonnxruntime\nmlflow-skinny\npandas\n";
    run.environment = Environment { requirements: Some(String::from(requirements)), ..Environment::default() };
    run.limits.memory_mib = 2048;
    run.limits.seconds = 600;
    let begun = Instant::now();
    let stand = run.start();
    stand.house.until(Duration::from_secs(900), |seen| {
        seen.statuses.iter().any(|status| status.state == RunState::Running).then_some(())
    });
    println!("    the environment was ready after {:?}", begun.elapsed());
    let finish = stand.finish();
    println!("{}", stand.log());
    assert_eq!(finish.state, RunState::Completed, "{finish:?}");
    assert!(stand.log().contains("score 1.0") || stand.log().contains("score 0.9"));
}

/// From the launcher's call to the first line of the user's program, with the environment cached.
pub fn a_start_costs_little() {
    let mut directory = None;
    let mut spans = Vec::new();
    for _ in 0..6 {
        let mut run = Run::job("date +%s%N", &[]);
        if let Some(directory) = directory.take() {
            run.directory = directory;
        }
        let stand = run.start();
        let begun = stand.begun;
        assert_eq!(stand.finish().state, RunState::Completed);
        let at: u128 = stand.log().trim().parse().unwrap();
        spans.push(at.saturating_sub(begun) / 1_000_000);
        stand.gone();
        directory = Some(stand.directory);
    }
    let cached = spans.split_off(1);
    println!("    from start to the program: {} ms at first, then {cached:?} ms", spans[0]);
    assert!(cached.iter().min().unwrap() < &1000);
}
