//! Tests of the jail and the agent, with a harness of their own: the processes they start are this very program.
use compute::{
    jail::{self, *},
    scratch::Scratch,
};
use std::{collections::BTreeMap, path::Path, process::ExitCode, time::Instant};
use tokio::io::AsyncReadExt;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("jail") => return jail::jail_main(),
        Some("inside") => {}
        _ => return ExitCode::SUCCESS,
    }
    let command = std::env::args().nth(2).unwrap();
    let place = std::env::args().nth(3).unwrap();
    let scratch = Scratch::enter(Path::new(&place)).unwrap();
    let claim = Claim::take(Path::new(&place)).unwrap();
    scratch.open(64, claim.owner()).unwrap();
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    rt.block_on(async {
        let t = Instant::now();
        let cgroup = Cgroup::make("1-1-x", Share { memory_bytes: 256 << 20, processes: 64 });
        println!("{cgroup:?}");
        let spec = Spec {
            parent: std::process::id() as i32,
            argv: vec!["/bin/sh".into(), "-c".into(), command],
            variables: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
            root: scratch.root(),
            binds: scratch.binds(),
            links: vec![],
            owner: claim.owner(),
            cgroups: cgroup.procs(),
            bounds: Bounds { processes: 64, data_bytes: None },
            network: Network::Loopback { port: 4280 },
            passes_descriptor: false,
        };
        let (mut jail, mut ends) = Jail::start(Path::new("/proc/self/exe"), &spec, None, cgroup).await.unwrap();
        println!("started {:?}", t.elapsed());
        let mut text = String::new();
        ends.output.read_to_string(&mut text).await.unwrap();
        println!("{text}");
        println!("{:?} {:?}", jail.ended().await, t.elapsed());
    });
    ExitCode::SUCCESS
}
