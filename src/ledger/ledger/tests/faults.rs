//! Power failures at every step of what is written: the ledger holds what it held, or what it was to hold.

use std::sync::Arc;

use super::*;
use crate::ledger::power::{Loss, Power, Torn};
use crate::ledger::{NewKey, Rekey, Unkeyed};

const LOSSES: [(Loss, Torn); 5] = [
    (Loss::Nothing, Torn::Half),
    (Loss::Nothing, Torn::AllButOne),
    (Loss::Everything, Torn::Nothing),
    (Loss::EveryOther, Torn::Half),
    (Loss::AllOthers, Torn::AllButOne),
];

/// A ledger is made once for each test, and copied for each failure.
fn copy_of(house: &House) -> House {
    let copy = House::new();
    std::fs::create_dir_all(copy.folder()).unwrap();
    for file in house.files() {
        std::fs::copy(house.folder().join(&file), copy.folder().join(&file)).unwrap();
    }
    copy
}

fn open_on(power: &Arc<Power>, house: &House) -> Result<Ledger, LedgerError> {
    let disk = Disk::Failing(Arc::clone(power));
    let identity = identity(house.base.path());
    Ledger::open_on(disk, &house.folder(), &identity, &house.layout)
}

/// Enough entries that each file is written in several pieces.
fn many(numbers: std::ops::Range<u16>, source: u8) -> Vec<Entry> {
    let entries = numbers.map(|number| standing(number, source, &[u64::from(source), 2]));
    entries.collect()
}

/// Lets the power fail after each step of `work`, in every way; `judge` looks at what is left.
fn at_every_step(
    template: &House,
    work: impl Fn(&Arc<Power>, &House),
    judge: impl Fn(&House, &str),
) {
    for (loss, torn) in LOSSES {
        for steps in 0.. {
            let house = copy_of(template);
            let power = Arc::new(Power::fails_after(steps, torn));
            work(&power, &house);
            power.take(loss);
            let context = format!("{loss:?}, {torn:?}, after {steps} steps");
            judge(&house, &context);
            if power.stayed() {
                assert!(steps > 3, "{context}");
                break;
            }
        }
    }
}

#[test]
fn a_fold_that_the_power_fails_in_holds_the_same() {
    let template = House::new();
    let (first, second) = (many(0..2000, 1), many(1500..4000, 2));
    template.record(&first).fold().unwrap();
    drop(template.record(&second));
    let all = expected(&[first, second].concat());
    let work = |power: &Arc<Power>, house: &House| drop(open_on(power, house));
    at_every_step(&template, work, |house, context| {
        let reopened = house.open().unwrap();
        assert_eq!(contents(reopened.snapshot()), all, "{context}");
        drop(reopened);
        let tidy = ["catalogue.db", "columns.2", "digests.2"];
        assert_eq!(house.files(), tidy, "{context}");
    });
}

#[test]
fn what_was_recorded_outlives_a_power_failure() {
    let template = House::new();
    template.record(&many(0..50, 1)).fold().unwrap();
    let parts = [many(10..60, 2), many(40..90, 3), many(0..20, 4)];
    for (loss, torn) in LOSSES {
        for steps in 0.. {
            let house = copy_of(&template);
            let power = Arc::new(Power::fails_after(steps, torn));
            let mut recorded = 0;
            if let Ok(ledger) = open_on(&power, &house) {
                let run = RunNumber(2);
                recorded += parts
                    .iter()
                    .take_while(|part| ledger.record(run, part).is_ok())
                    .count();
            }
            power.take(loss);
            let held = contents(house.open().unwrap().snapshot());
            let of = |parts: &[Vec<Entry>]| expected(&[many(0..50, 1), parts.concat()].concat());
            // What was on its way to the disk may have reached it.
            let on_its_way = (recorded + 1).min(parts.len());
            assert!(
                held == of(&parts[..recorded]) || held == of(&parts[..on_its_way]),
                "{loss:?}, {torn:?}, after {steps} steps, {recorded} recorded"
            );
            if power.stayed() {
                assert_eq!(recorded, parts.len());
                break;
            }
        }
    }
}

#[test]
fn a_rekey_that_the_power_fails_in_is_made_or_not_made() {
    let template = House::new();
    let entries = many(0..400, 1);
    template.record(&entries).fold().unwrap();
    let old = expected(&entries);
    let of = |house: &House| Identity {
        key: vec![name("c")],
        ..identity(house.base.path())
    };
    let new_key = |number: u16| key(number + 10_000);
    let work = |power: &Arc<Power>, house: &House| {
        let rekeyed = || -> Result<_, LedgerError> {
            let ledger = open_on(power, house)?;
            let mut rekey = Rekey::begin(
                ledger,
                &of(house),
                Vec::new(),
                &house.base.path().join("spill"),
            )?;
            for number in 0..400 {
                let id = RecordId(Uuid::from_u128(u128::from(number) + 1));
                rekey.add(&NewKey {
                    id,
                    key: Some(new_key(number)),
                    former: Vec::new(),
                })?;
            }
            rekey.finish(Unkeyed::Stop)
        };
        drop(rekeyed());
    };
    let new: BTreeMap<KeyDigest, Held> = (0..400)
        .map(|number| {
            let (_, id, flags, states) = old[&key(number)].clone();
            (new_key(number), (0, id, flags, states))
        })
        .collect();
    at_every_step(&template, work, |house, context| {
        let under = |identity: &Identity| {
            let opened = Ledger::open(&house.folder(), identity, &house.layout);
            opened.map(|ledger| contents(ledger.snapshot()))
        };
        match under(&identity(house.base.path())) {
            Ok(held) => assert!(held == old, "{context}"),
            Err(LedgerError::OtherKey { .. }) => {
                assert!(under(&of(house)).unwrap() == new, "{context}");
            }
            Err(other) => panic!("{context}: {other}"),
        }
        assert_eq!(house.files().len(), 3, "{context}");
    });
}

/// What `export` writes of a ledger.
fn exported(house: &House) -> Vec<u8> {
    let mut text = Vec::new();
    let spill = house.base.path().join("spill");
    crate::ledger::export(&house.folder(), &spill, &mut text).unwrap();
    text
}

fn import_on(power: &Arc<Power>, house: &House, text: &[u8]) -> Result<u64, LedgerError> {
    let disk = Disk::Failing(Arc::clone(power));
    let file = Path::new("kept.ndjson");
    crate::ledger::exchange::import_on(&disk, &house.folder(), file, text)
}

#[test]
fn an_import_that_the_power_fails_in_is_made_or_not_made() {
    let template = House::new();
    let (first, second) = (many(0..300, 1), many(200..500, 2));
    template.record(&first).fold().unwrap();
    let text = exported(&template);
    // It has learned since, in a generation and in a journal.
    template.record(&second).fold().unwrap();
    let third = many(500..600, 3);
    drop(template.record(&third));
    let old = expected(&[first.clone(), second, third].concat());
    let new = expected(&first);
    let work = |power: &Arc<Power>, house: &House| drop(import_on(power, house, &text));
    at_every_step(&template, work, |house, context| {
        let held = contents(house.open().unwrap().snapshot());
        assert!(held == old || held == new, "{context}");
        assert_eq!(house.files().len(), 3, "{context}");
    });
    let done = Arc::new(Power::fails_after(1000, Torn::Nothing));
    assert_eq!(import_on(&done, &template, &text).unwrap(), 300);
    assert_eq!(contents(template.open().unwrap().snapshot()), new);
}

#[test]
fn a_damaged_ledger_goes_before_the_imported_one_is_there_and_nothing_else_does() {
    let template = House::new();
    let entries = many(0..300, 1);
    template.record(&entries).fold().unwrap();
    let text = exported(&template);
    let catalogue = template.folder().join("catalogue.db");
    std::fs::write(&catalogue, "no catalogue").unwrap();
    let new = expected(&entries);
    let work = |power: &Arc<Power>, house: &House| drop(import_on(power, house, &text));
    at_every_step(&template, work, |house, context| {
        match house.open() {
            Ok(ledger) if ledger.snapshot().is_empty() => {}
            Ok(ledger) => assert_eq!(contents(ledger.snapshot()), new, "{context}"),
            Err(error) => assert!(matches!(error, LedgerError::Foreign { .. }), "{context}"),
        }
        let power = Arc::new(Power::fails_after(1000, Torn::Nothing));
        assert_eq!(import_on(&power, house, &text).unwrap(), 300, "{context}");
        let beside = std::fs::read_dir(house.folder().parent().unwrap()).unwrap();
        assert_eq!(beside.count(), 1, "{context}");
    });
}

#[test]
fn an_import_leaves_a_ledger_of_a_newer_segue_alone() {
    let house = House::new();
    house.record(&many(0..3, 1)).fold().unwrap();
    let text = exported(&house);
    let catalogue = rusqlite::Connection::open(house.folder().join("catalogue.db")).unwrap();
    catalogue.pragma_update(None, "user_version", 9).unwrap();
    drop(catalogue);
    let files = house.files();
    let power = Arc::new(Power::fails_after(1000, Torn::Nothing));
    let refused = import_on(&power, &house, &text).unwrap_err();
    assert!(
        matches!(refused, LedgerError::NewerFormat { version: 9, .. }),
        "{refused}"
    );
    assert_eq!(house.files(), files);
}

#[test]
fn a_reset_that_the_power_fails_in_is_made_or_not_made() {
    let template = House::new();
    let entries = many(0..300, 1);
    template.record(&entries).fold().unwrap();
    let held = expected(&entries);
    let work = |power: &Arc<Power>, house: &House| {
        let disk = Disk::Failing(Arc::clone(power));
        drop(crate::ledger::reset::reset_on(&disk, &house.folder()));
    };
    at_every_step(&template, work, |house, context| {
        if house.folder().exists() {
            let ledger = house.open().unwrap();
            assert!(contents(ledger.snapshot()) == held, "{context}");
        }
        crate::ledger::reset(&house.folder()).unwrap();
        let beside = std::fs::read_dir(house.folder().parent().unwrap()).unwrap();
        assert_eq!(beside.count(), 0, "{context}");
    });
}

#[test]
fn a_generation_is_synced_before_it_is_in_force() {
    let house = House::new();
    drop(house.record(&[standing(1, 1, &[1, 2])]));
    let power = Arc::new(Power::fails_after(1000, Torn::Nothing));
    drop(open_on(&power, &house).unwrap());
    let made = power.made();
    let place = |step: &str| made.iter().rposition(|made| made == step).unwrap();
    for file in ["digests.1", "columns.1"] {
        assert!(place(&format!("write {file}")) < place(&format!("sync {file}")));
        assert!(place(&format!("create {file}")) < place("sync contacts"));
        assert!(place(&format!("sync {file}")) < place("switch catalogue.db"));
    }
    assert!(place("sync contacts") < place("switch catalogue.db"));
    assert!(place("switch catalogue.db") < place("remove journal.0"));
}

#[test]
fn no_prefix_of_a_file_is_taken_for_the_file() {
    let house = House::new();
    house.record(&many(0..20, 1)).fold().unwrap();
    for file in ["digests.1", "columns.1"] {
        let path = house.folder().join(file);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let told = house.open().unwrap_err();
            assert!(matches!(told, LedgerError::Torn { .. }), "{file}: {told}");
            assert!(told.help().contains("segue state"), "{}", told.help());
        }
        std::fs::write(&path, whole).unwrap();
    }
    assert_eq!(house.open().unwrap().snapshot().len(), 20);
}

#[test]
fn no_byte_of_a_file_can_change_unseen() {
    let house = House::new();
    house.record(&many(0..20, 1)).fold().unwrap();
    let held = contents(house.open().unwrap().snapshot());
    for file in ["digests.1", "columns.1"] {
        let path = house.folder().join(file);
        let whole = std::fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut altered = whole.clone();
            altered[place] ^= 1 << (place % 8);
            std::fs::write(&path, altered).unwrap();
            let seen = house.open().map(|ledger| {
                let snapshot = ledger.snapshot().clone();
                let slots = 0..snapshot.len();
                let slot = |index| generation::Slot {
                    generation: 1,
                    index,
                };
                slots
                    .map(|index| snapshot.standing(slot(index)))
                    .all(|it| it.is_ok())
            });
            assert!(!matches!(seen, Ok(true)), "{file}, byte {place}");
        }
        std::fs::write(&path, whole).unwrap();
    }
    assert_eq!(contents(house.open().unwrap().snapshot()), held);
}

#[test]
fn no_byte_of_a_journal_is_folded_unseen() {
    let house = House::new();
    let ledger = house.record(&many(0..20, 1));
    ledger.record(RunNumber(1), &many(10..30, 2)).unwrap();
    drop(ledger);
    let path = house.folder().join("journal.0");
    let whole = std::fs::read(&path).unwrap();
    // What a writer could have died in is taken for that.
    let second = whole.windows(8).rposition(|word| word == b"segueENT");
    for place in 0..second.unwrap() {
        let mut altered = whole.clone();
        altered[place] ^= 1 << (place % 8);
        std::fs::write(&path, altered).unwrap();
        assert!(house.open().is_err(), "byte {place}");
    }
    std::fs::write(&path, whole).unwrap();
    let all = expected(&[many(0..20, 1), many(10..30, 2)].concat());
    assert_eq!(contents(house.open().unwrap().snapshot()), all);
}
