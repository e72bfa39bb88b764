//! Power cuts: the file system under the data directory loses what was not on the medium.

use std::time::Duration;

use crate::{
    dice::{self, Dice},
    disk::{self, Cut, Disk},
    kill::{self, Story},
    report::{say, skip},
    server::Site,
    traffic::{Round, Weather},
};

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    let (seed, rounds) = (dice::seed(), dice::rounds("BARTIZAN_CRASH_CUTS", 2));
    let dir = tempfile::tempdir().unwrap();
    let ran = disk::with_own_mounts(|| {
        let disk = Disk::make(dir.path())?;
        say(format_args!("power cuts begin with seed {seed}"));
        // Threads of this runtime, and the server, inherit the mounts.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let story = Story::new(Site::new(disk.place().join("data"), dir.path()));
        Ok(runtime.block_on(cut_and_judge(story, disk, seed, rounds)))
    });
    match ran.and_then(|ran: Result<Story, String>| ran) {
        Ok(story) => story.conclude("power cuts", rounds, seed),
        Err(why) => skip("power cuts", format_args!("needs root, loop devices and ext4: {why}")),
    }
}

async fn cut_and_judge(mut story: Story, mut disk: Disk, seed: u64, rounds: u64) -> Story {
    let mut server = story.site.start();
    for number in 0..rounds {
        let mut dice = Dice::new(seed).branch(number);
        let cut = if number % 2 == 0 { Cut::DroppingJournal } else { Cut::KeepingJournal };
        let round = Round::new(Weather::Foul, u64::MAX);
        let (count, after) = (5 + dice.below(90) as u64, dice.span(Duration::from_millis(12)));
        story
            .work(&server, &dice, &round, async |round| {
                assert!(round.reaches(count).await, "no progress: {} changes in a minute", round.acknowledged());
                tokio::time::sleep(after).await;
                round.is_over_now();
                disk.cut(cut);
            })
            .await;
        // One call of each client may have been under way; more means that the server says yes without a disk.
        if round.late() > kill::CLIENTS as u64 {
            story.verdict.faults.push(format!("{} changes were acknowledged without power", round.late()));
        }
        server.kill();
        disk = disk.replugged();
        server = story.judge().await;
    }
    drop(server);
    story
}
