//! Days of a segment by chance: extracts, edits of the mapping, faults and kills, against a model that keeps full copies.

use std::collections::BTreeMap;
use std::process::Stdio;

use segue_emulator::{ChaosSpec, EffectKind, Options};

use crate::desk::Desk;

const SPEC: &str =
    "500=0.02,502=0.02,503=0.02,close-before=0.03,close-after=0.05,truncate=0.05,op-500=0.004";

/// Everybody who is ever in the segment.
const PEOPLE: u64 = 60;

const DAYS: u64 = 10;

/// So many runs end every trouble that has an end.
const MOST_RUNS: usize = 8;

/// Chance, from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Number, name and title of everybody in the segment today.
type Segment = BTreeMap<String, (String, String)>;

fn segment(dice: &mut Dice) -> Segment {
    let mut segment = Segment::new();
    for number in 0..PEOPLE {
        if dice.below(4) > 0 {
            let row = (
                format!("Name {}", dice.below(3)),
                format!("Title {}", dice.below(2)),
            );
            segment.insert(format!("C{number}"), row);
        }
    }
    segment
}

/// `title` is the mapping's line for the title; it is edited from day to day.
fn write(desk: &Desk, dice: &mut Dice, segment: &Segment, title: &str) {
    let mut lines: Vec<String> = segment
        .iter()
        .map(|(number, (name, title))| format!("{number},{name},{title}\n"))
        .collect();
    let turn = usize::try_from(dice.below(lines.len() as u64 + 1)).unwrap();
    lines.rotate_left(turn);
    desk.write(
        "people.csv",
        format!("number,name,title\n{}", lines.concat()),
    );
    desk.write(
        "people.yaml",
        format!(
            "version: 1\nsource: {{ path: people.csv }}\ntarget: {{ table: contact, key: [externaluseridentifier] }}\n\
             missing: delete\nguard: {{ max_deletes: 100% }}\n\
             columns:\n  externaluseridentifier: number\n  lastname: name\n{title}"
        ),
    );
}

/// A run that ends at a moment of its own work, not of the clock.
fn killed(desk: &Desk, dice: &mut Dice) {
    let writes = desk.emulator.counts().batched_writes + dice.below(40);
    let mut command = desk.command(&["push", "-m", "people.yaml"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    while desk.emulator.counts().batched_writes < writes && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Pushes until nothing is left to do.
fn settle(desk: &Desk, place: &str) {
    let mut codes = Vec::new();
    for _ in 0..MOST_RUNS {
        let ran = desk.run(&["push", "-m", "people.yaml", "--json"]);
        assert!(matches!(ran.code, Some(0 | 1 | 75)), "{place}: {ran:?}");
        codes.push(ran.code);
        if ran.code == Some(0) {
            return;
        }
    }
    panic!("{place}: {codes:?}");
}

/// Number, name and title of everybody there.
fn found(desk: &Desk) -> BTreeMap<String, (Option<String>, Option<String>)> {
    let rows = desk.emulator.rows("contact");
    let text = |row: &serde_json::Value, column: &str| row[column].as_str().map(str::to_owned);
    let found: BTreeMap<_, _> = rows
        .iter()
        .map(|row| {
            let number = text(row, "externaluseridentifier").unwrap();
            (number, (text(row, "lastname"), text(row, "jobtitle")))
        })
        .collect();
    assert_eq!(rows.len(), found.len(), "nobody is there twice");
    found
}

async fn lived(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1);
    let desk = Desk::with(Options {
        chaos: SPEC.parse::<ChaosSpec>().unwrap(),
        seed,
        ..Options::default()
    })
    .await;
    let mut titles: BTreeMap<String, String> = BTreeMap::new();
    for day in 0..DAYS {
        let segment = segment(&mut dice);
        let title = ["", "  jobtitle: title\n", "  jobtitle: title\n"]
            [usize::try_from(dice.below(3)).unwrap()];
        write(&desk, &mut dice, &segment, title);
        tokio::task::block_in_place(|| {
            if dice.below(2) == 0 {
                killed(&desk, &mut dice);
            }
            settle(&desk, &format!("seed {seed}, day {day}"));
        });
        // The model: who left is gone; a title stays as it was while the mapping does not write it.
        titles.retain(|number, _| segment.contains_key(number));
        if !title.is_empty() {
            let written = segment.iter();
            titles.extend(written.map(|(number, (_, title))| (number.clone(), title.clone())));
        }
        let wanted = segment.into_iter().map(|(number, (name, _))| {
            let title = titles.get(&number).cloned();
            (number, (Some(name), title))
        });
        assert_eq!(found(&desk), wanted.collect(), "seed {seed}, day {day}");
    }
    let journal = desk.emulator.journal();
    let left = journal.iter().any(|it| it.kind == EffectKind::Delete);
    assert!(left, "seed {seed}: nobody left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn days_by_chance_end_as_the_model_says() {
    for seeds in [0..6, 6..12] {
        let mut lives = tokio::task::JoinSet::new();
        for seed in seeds {
            lives.spawn(lived(seed));
        }
        lives.join_all().await;
    }
}
