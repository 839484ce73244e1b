//! The ways in which an extract can be wrong, for each kind of removal: nothing is removed in any, and the run says why.
#![cfg(unix)]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use segue_emulator::{Emulator, Options};
use serde_json::{Value as Json, json};

use crate::desk::{Desk, Ran, ran};

const KEY: &str = "externaluseridentifier";

/// More than the guard lets go without a word: a tenth, and at least ten.
const PEOPLE: u32 = 60;

const PARTS: u32 = 3;

const TREATMENTS: [&str; 3] = [
    "missing: { delete: written }",
    "missing: deactivate",
    "missing: { set: { donotbulkemail: true } }",
];

/// How the extract is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Parquet,
}

impl Form {
    fn name(self, part: u32) -> String {
        match self {
            Self::Csv => format!("people/part-{part}.csv"),
            Self::Parquet => format!("people/part-{part}.parquet"),
        }
    }

    fn bytes(self, columns: &[&str], rows: &[[String; 2]]) -> Vec<u8> {
        let column = |index: usize| rows.iter().map(move |row| row[index].as_str());
        match self {
            Self::Csv => {
                let lines = rows.iter().map(|row| row[..columns.len()].join(",") + "\n");
                let lines: String = lines.collect();
                format!("{}\n{lines}", columns.join(",")).into_bytes()
            }
            Self::Parquet => {
                let columns = columns.iter().enumerate().map(|(index, name)| {
                    let cells = StringArray::from_iter_values(column(index));
                    (*name, Arc::new(cells) as ArrayRef)
                });
                let batch = RecordBatch::try_from_iter(columns).unwrap();
                let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
                writer.write(&batch).unwrap();
                writer.into_inner().unwrap()
            }
        }
    }
}

/// Sixty people in three files, pushed.
struct Scene {
    desk: Desk,
    form: Form,
}

fn rows(numbers: impl IntoIterator<Item = u32>) -> Vec<[String; 2]> {
    let row = |it| [format!("C{it}"), format!("Name {it}")];
    numbers.into_iter().map(row).collect()
}

impl Scene {
    async fn new(treatment: &str, form: Form) -> Self {
        let scene = Self {
            desk: Desk::new().await,
            form,
        };
        scene.map(KEY, treatment);
        scene.whole();
        let ran = scene.push(&[]);
        assert_eq!(ran.rows("created"), u64::from(PEOPLE), "{ran:?}");
        scene
    }

    fn map(&self, key: &str, treatment: &str) {
        self.desk.write(
            "people.yaml",
            format!(
                "version: 1\nsource: {{ path: people }}\ntarget: {{ table: contact, key: [{key}] }}\n\
                 {treatment}\ncolumns:\n  {KEY}: number\n  lastname: name\n  emailaddress1: name\n"
            ),
        );
    }

    fn push(&self, more: &[&str]) -> Ran {
        let arguments = ["push", "-m", "people.yaml", "--json"];
        // The environment answers on the threads of the test.
        tokio::task::block_in_place(|| self.desk.run(&[&arguments, more].concat()))
    }

    /// The extract as it should be.
    fn whole(&self) {
        let folder = self.desk.path("people");
        fs::remove_dir_all(&folder).ok();
        for part in 1..=PARTS {
            self.write(part, &self.form.bytes(&["number", "name"], &of_part(part)));
        }
    }

    fn write(&self, part: u32, bytes: &[u8]) {
        self.desk.write(&self.form.name(part), bytes);
    }

    fn bytes(&self, part: u32) -> Vec<u8> {
        fs::read(self.desk.path(&self.form.name(part))).unwrap()
    }

    fn remove(&self, part: u32) {
        fs::remove_file(self.desk.path(&self.form.name(part))).unwrap();
    }

    /// Who was removed in whatever way.
    fn removed(&self) -> usize {
        let people = self.desk.emulator.rows("contact");
        let stays = |number: &u32| {
            let is_there = |row: &Json| {
                let is_treated = row["statecode"] != 0 || row["donotbulkemail"] == true;
                row[KEY] == format!("C{number}") && !is_treated
            };
            people.iter().any(is_there)
        };
        (1..=PEOPLE).filter(|it| !stays(it)).count()
    }
}

fn of_part(part: u32) -> Vec<[String; 2]> {
    let each = PEOPLE / PARTS;
    rows((part - 1) * each + 1..=part * each)
}

/// A way in which an extract can be wrong, the exit code, and what the run says.
type Wrong = (&'static str, fn(&Scene), i32, &'static str);

const OF_ANY_FORM: [Wrong; 14] = [
    (
        "cut short",
        |it| {
            it.remove(2);
            it.remove(3);
        },
        4,
        "the guard `max_deletes` stopped the run: 40 of 60 known records would be removed",
    ),
    (
        "without one of its files",
        |it| it.remove(3),
        4,
        "20 of 60 known records would be removed",
    ),
    ("empty", |it| it.write(1, b""), 2, "part-1"),
    (
        "a header only",
        |it| {
            (1..=PARTS).for_each(|part| it.write(part, &it.form.bytes(&["number", "name"], &[])));
        },
        4,
        "the extract has no rows, and 60 records would be removed",
    ),
    (
        "half its columns",
        |it| {
            (1..=PARTS)
                .for_each(|part| it.write(part, &it.form.bytes(&["number"], &of_part(part))));
        },
        2,
        "name",
    ),
    (
        "half the columns of one file",
        |it| it.write(2, &it.form.bytes(&["number"], &of_part(2))),
        2,
        "there is no column `name`",
    ),
    (
        "without its key",
        |it| {
            (1..=PARTS)
                .for_each(|part| it.write(part, &it.form.bytes(&["nr", "name"], &of_part(part))));
        },
        2,
        "number",
    ),
    (
        "another file with the same columns",
        |it| {
            it.write(1, &it.form.bytes(&["number", "name"], &rows(1001..1061)));
            it.remove(2);
            it.remove(3);
        },
        4,
        "60 of 60 known records would be removed",
    ),
    (
        "a picture",
        |it| it.write(1, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01"),
        2,
        "part-1",
    ),
    (
        "gone",
        |it| fs::remove_dir_all(it.desk.path("people")).unwrap(),
        2,
        "people",
    ),
    (
        "no file left",
        |it| (1..=PARTS).for_each(|part| it.remove(part)),
        2,
        "no file to read",
    ),
    (
        "a link to a file that is gone",
        |it| {
            it.remove(3);
            symlink("nowhere", it.desk.path(&it.form.name(3))).unwrap();
        },
        2,
        "part-3",
    ),
    (
        "a link that leads to itself",
        |it| {
            it.remove(3);
            let path = it.desk.path(&it.form.name(3));
            symlink(path.file_name().unwrap(), &path).unwrap();
        },
        2,
        "part-3",
    ),
    (
        "a folder in place of a file",
        |it| {
            let file = it.desk.path(&it.form.name(3));
            let bytes = it.bytes(3);
            it.remove(3);
            fs::create_dir(&file).unwrap();
            fs::write(file.join("part-0"), bytes).unwrap();
        },
        2,
        "part-3",
    ),
];

const OF_CSV: [Wrong; 9] = [
    (
        "a ragged row",
        |it| {
            it.write(3, &[cut(&it.bytes(3), 1), b"C60\n"].concat());
        },
        1,
        "the key of 1 rows cannot be read (people/part-3.csv:21)",
    ),
    (
        "an undecodable key",
        |it| {
            it.write(3, &[cut(&it.bytes(3), 2), b"\xFF,Name 60\n"].concat());
        },
        1,
        "the key of 1 rows cannot be read (people/part-3.csv:20)",
    ),
    (
        "an undecodable cell",
        |it| {
            it.write(3, &[cut(&it.bytes(3), 1), b"C60,\xFF\n"].concat());
        },
        1,
        "",
    ),
    (
        "rows that lost their keys",
        |it| {
            it.write(3, &[cut(&it.bytes(3), 2), b",Name 59\n,Name 60\n"].concat());
        },
        1,
        "2 records are not in the extract and stay all the same: rows without a key are otherwise theirs \
         (people/part-3.csv:20, people/part-3.csv:21)",
    ),
    (
        "a quote that swallows rows up to the next quoted cell",
        |it| {
            let rows = b"C58,\"Name 58\nC59,Name 59\nC60,\"Name 60\"\n";
            it.write(3, &[cut(&it.bytes(3), 3), rows].concat());
        },
        1,
        "the key of 1 rows cannot be read (people/part-3.csv:19)",
    ),
    (
        "cut inside a quoted cell",
        |it| {
            it.write(3, &[cut(&it.bytes(3), 2), b"C59,\"Na"].concat());
        },
        7,
        "part-3.csv:20",
    ),
    (
        "cut in the middle of a line",
        |it| {
            it.write(3, &[cut(&it.bytes(3), 2), b"C5"].concat());
        },
        1,
        "the key of 1 rows cannot be read (people/part-3.csv:20)",
    ),
    (
        "a compressed file that is cut short",
        |it| {
            let whole = gzipped(&it.bytes(3));
            it.remove(3);
            it.desk.write("people/part-3.csv.gz", cut_bytes(&whole, 12));
        },
        7,
        "part-3.csv.gz",
    ),
    (
        "a compressed file with a changed byte",
        |it| {
            let mut whole = gzipped(&it.bytes(3));
            let last = whole.len() - 6;
            whole[last] ^= 0xFF;
            it.remove(3);
            it.desk.write("people/part-3.csv.gz", whole);
        },
        7,
        "part-3.csv.gz",
    ),
];

const OF_PARQUET: [Wrong; 4] = [
    (
        "a table that is cut short",
        |it| it.write(3, cut_bytes(&it.bytes(3), 40)),
        2,
        "part-3.parquet",
    ),
    (
        "a table with a damaged page",
        |it| {
            let mut whole = it.bytes(3);
            // Behind the mark with which each file begins, and long before what its end tells.
            whole[4..60].fill(0xFF);
            it.write(3, &whole);
        },
        7,
        "part-3.parquet",
    ),
    (
        "a table that is damaged in the middle",
        |it| {
            let mut whole = in_groups_of(5, &of_part(3));
            // The second group begins with it; what the file's end tells is sound.
            let mut places = whole.windows(3);
            let at = places.position(|it| it == b"C46").unwrap();
            whole[at - 12..at + 20].fill(0xFF);
            it.write(3, &whole);
        },
        7,
        "part-3.parquet",
    ),
    (
        "text by the name of a table",
        |it| it.write(3, b"number,name\nC1,Name 1\n"),
        2,
        "part-3.parquet",
    ),
];

/// A table in groups of so many rows.
fn in_groups_of(size: usize, rows: &[[String; 2]]) -> Vec<u8> {
    let cells = |index: usize| {
        let cells = rows.iter().map(|row| row[index].as_str());
        Arc::new(StringArray::from_iter_values(cells)) as ArrayRef
    };
    let columns = [("number", cells(0)), ("name", cells(1))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let groups = WriterProperties::builder()
        .set_max_row_group_row_count(Some(size))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(groups)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// Without so many lines at its end.
fn cut(text: &[u8], lines: usize) -> &[u8] {
    let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let ends: Vec<usize> = ends.map(|(index, _)| index).collect();
    &text[..=ends[ends.len() - 1 - lines]]
}

fn cut_bytes(bytes: &[u8], less: usize) -> &[u8] {
    &bytes[..bytes.len() - less]
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    file.write_all(bytes).unwrap();
    file.finish().unwrap()
}

/// Every row of the table, and then an extract that is right: its one removal shows that the others could have been.
async fn none_removes(treatment: &str, form: Form, table: &[Wrong]) {
    let scene = Scene::new(treatment, form).await;
    for (what, spoil, code, says) in table {
        scene.whole();
        spoil(&scene);
        let ran = scene.push(&[]);
        let removed = (
            scene.removed(),
            ran.rows("deleted"),
            ran.rows("deactivated"),
        );
        let told = ran.err.contains(says);
        let is_right = (ran.code, told, removed) == (Some(*code), true, (0, 0, 0));
        assert!(is_right, "{treatment}, {form:?}, {what}: {ran:?}");
    }
    scene.whole();
    scene.write(3, &form.bytes(&["number", "name"], &rows(42..=60)));
    let ran = scene.push(&[]);
    assert_eq!(
        (ran.code, scene.removed()),
        (Some(0), 1),
        "{treatment}: {ran:?}"
    );
}

async fn for_each_treatment(form: Form, table: &'static [Wrong]) {
    let mut scenes = tokio::task::JoinSet::new();
    for treatment in TREATMENTS {
        scenes.spawn(none_removes(treatment, form, table));
    }
    scenes.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_wrong_csv_file_removes_nothing() {
    for_each_treatment(Form::Csv, &OF_ANY_FORM).await;
    for_each_treatment(Form::Csv, &OF_CSV).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_wrong_parquet_file_removes_nothing() {
    for_each_treatment(Form::Parquet, &OF_ANY_FORM).await;
    for_each_treatment(Form::Parquet, &OF_PARQUET).await;
}

/// Whoever may read every file cannot see this.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_not_be_read_removes_nothing() {
    for treatment in TREATMENTS {
        let scene = Scene::new(treatment, Form::Csv).await;
        let file = scene.desk.path(&scene.form.name(3));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o0)).unwrap();
        if File::open(&file).is_ok() {
            return;
        }
        let ran = scene.push(&[]);
        assert_eq!((ran.code, scene.removed()), (Some(2), 0), "{ran:?}");
        assert!(ran.err.contains("part-3.csv"), "{}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_environment_behind_the_same_name_loses_nothing() {
    for treatment in TREATMENTS {
        let scene = Scene::new(treatment, Form::Csv).await;
        let other = Emulator::start(Options::default()).await.unwrap();
        scene.remove(3);
        let arguments = ["push", "-m", "people.yaml", "--json"];
        let ran = ran(scene
            .desk
            .command(&arguments)
            .env("SEGUE_URL", other.url())
            .env("SEGUE_AUTHORITY", other.authority()));
        assert_eq!((ran.code, scene.removed()), (Some(2), 0), "{ran:?}");
        assert!(ran.err.contains("belongs to organisation"), "{}", ran.err);
        assert_eq!(other.counts().batched_writes + other.counts().writes, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_or_table_in_the_mapping_removes_nothing() {
    for treatment in TREATMENTS {
        let scene = Scene::new(treatment, Form::Csv).await;
        let right = scene.desk.read("people.yaml");
        scene.map("emailaddress1", treatment);
        let ran = scene.push(&[]);
        assert_eq!((ran.code, scene.removed()), (Some(2), 0), "{ran:?}");
        assert!(ran.err.contains("segue state rekey"), "{}", ran.err);
        let other = "table: lead, key: [new_externalid]";
        let text = right.replace(&format!("table: contact, key: [{KEY}]"), other);
        let text = text.replace(&format!("  {KEY}:"), "  new_externalid:");
        let text = text.replace("missing: deactivate", "missing: { deactivate: Canceled }");
        scene.desk.write("people.yaml", text);
        let ran = scene.push(&[]);
        assert_eq!((ran.code, scene.removed()), (Some(2), 0), "{ran:?}");
        assert!(
            ran.err.contains("belongs to table `contact`"),
            "{}",
            ran.err
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_key_moved_on_both_sides_stays() {
    for treatment in TREATMENTS {
        let scene = Scene::new(treatment, Form::Csv).await;
        let people = scene.desk.emulator.rows("contact");
        let moved = people.iter().find(|row| row[KEY] == "C60").unwrap();
        let id = moved["contactid"].as_str().unwrap();
        scene
            .desk
            .edit(&format!("contacts({id})"), &json!({ KEY: "C99" }));
        let numbers = (41..=59).chain([99]);
        scene.write(3, &scene.form.bytes(&["number", "name"], &rows(numbers)));
        for ran in [scene.push(&["--dry-run"]), scene.push(&[])] {
            let counts = ["vanished", "kept", "deleted", "deactivated"].map(|it| ran.rows(it));
            assert_eq!(counts, [1, 1, 0, 0], "{treatment}: {ran:?}");
        }
        let people = scene.desk.emulator.rows("contact");
        let same = people.iter().find(|row| row["contactid"] == id).unwrap();
        let treated = (&same["statecode"], &same["donotbulkemail"]);
        assert_eq!(treated, (&json!(0), &json!(false)), "{treatment}");
        let again = scene.push(&[]);
        assert_eq!((again.rows("vanished"), again.requests("writes")), (0, 0));
    }
}

/// Gives C60 another key in Dataverse; tells which record it is.
fn move_key(scene: &Scene) -> String {
    let people = scene.desk.emulator.rows("contact");
    let moved = people.iter().find(|row| row[KEY] == "C60").unwrap();
    let id = moved["contactid"].as_str().unwrap();
    let place = format!("contacts({id})");
    scene.desk.edit(&place, &json!({ KEY: "C99" }));
    id.to_owned()
}

fn is_treated(scene: &Scene, id: &str) -> bool {
    let people = scene.desk.emulator.rows("contact");
    let found = people.iter().find(|row| row["contactid"] == id);
    found.is_none_or(|row| row["statecode"] != 0 || row["donotbulkemail"] == true)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_key_moved_to_a_row_that_is_rejected_stays() {
    for treatment in TREATMENTS {
        let scene = Scene::new(treatment, Form::Csv).await;
        let id = move_key(&scene);
        let mut part = rows((41..=59).chain([99]));
        part[19][1] = "x".repeat(60);
        scene.write(3, &scene.form.bytes(&["number", "name"], &part));
        for ran in [scene.push(&["--dry-run"]), scene.push(&[]), scene.push(&[])] {
            let counts = ["rejected", "vanished", "kept"].map(|it| ran.rows(it));
            assert_eq!(counts, [1, 1, 1], "{treatment}: {ran:?}");
            assert!(ran.err.contains("rows that this run did not write"));
            assert!(!is_treated(&scene, &id), "{treatment}: {ran:?}");
        }
        // Mended, it is the same record.
        scene.write(
            3,
            &scene
                .form
                .bytes(&["number", "name"], &rows((41..=59).chain([99]))),
        );
        let ran = scene.push(&[]);
        assert_eq!((ran.rows("updated"), ran.rows("kept")), (1, 1), "{ran:?}");
        assert!(!is_treated(&scene, &id), "{treatment}: {ran:?}");
        assert_eq!(scene.push(&[]).rows("vanished"), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_key_moved_to_a_row_that_is_skipped_stays() {
    for treatment in TREATMENTS {
        let scene = Scene::new(treatment, Form::Csv).await;
        scene.map(KEY, &format!("mode: create\n{treatment}"));
        let id = move_key(&scene);
        scene.write(
            3,
            &scene
                .form
                .bytes(&["number", "name"], &rows((41..=59).chain([99]))),
        );
        for ran in [scene.push(&["--dry-run"]), scene.push(&[]), scene.push(&[])] {
            assert_eq!(ran.rows("deleted") + ran.rows("deactivated"), 0, "{ran:?}");
            assert!(!is_treated(&scene, &id), "{treatment}: {ran:?}");
        }
    }
}

/// Stands between segue and the environment, and does something once, before a request that has these bytes goes on.
fn between(
    emulator: &Emulator,
    mark: &'static [u8],
    before: impl Fn() + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (own, service) = (listener.local_addr().unwrap(), emulator.address());
    let (before, done) = (Arc::new(before), Arc::new(AtomicBool::new(false)));
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let there = TcpStream::connect(service).unwrap();
            let (from, to) = (there.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || pass(from, to, |_| {}));
            let (before, done) = (Arc::clone(&before), Arc::clone(&done));
            std::thread::spawn(move || {
                pass(client, there, |bytes| {
                    // Tokens are for the environment, not for who stands before it.
                    let [own, service] = [own, service].map(|it| it.port().to_string());
                    assert_eq!(own.len(), service.len());
                    let places = bytes.windows(own.len()).enumerate();
                    let places = places.filter(|(_, it)| *it == own.as_bytes());
                    let places: Vec<usize> = places.map(|(place, _)| place).collect();
                    for place in places {
                        bytes[place..place + own.len()].copy_from_slice(service.as_bytes());
                    }
                    let is_it = bytes.windows(mark.len()).any(|it| it == mark);
                    if is_it && !done.swap(true, Ordering::SeqCst) {
                        before();
                    }
                });
            });
        }
    });
    format!("http://{own}")
}

fn pass(mut from: TcpStream, mut to: TcpStream, each: impl Fn(&mut [u8])) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        each(&mut bytes[..read]);
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    // Whoever is at the other end may have closed it.
    to.shutdown(std::net::Shutdown::Write).ok();
}

/// What may become of an extract after its survey.
type Change = (&'static str, fn(&Path));

const CHANGES: [Change; 4] = [
    ("a file is written anew", |folder| {
        fs::write(folder.join("part-2.csv"), "number,name\n").unwrap();
    }),
    ("a file is taken away", |folder| {
        fs::remove_file(folder.join("part-2.csv")).unwrap();
    }),
    ("a file is added", |folder| {
        fs::write(folder.join("part-4.csv"), "number,name\nC1,Name 1\n").unwrap();
    }),
    ("a file takes another's place", |folder| {
        let copy = folder.with_extension("copy");
        fs::copy(folder.join("part-2.csv"), &copy).unwrap();
        fs::rename(copy, folder.join("part-2.csv")).unwrap();
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_extract_that_changes_while_it_is_sent_removes_nothing() {
    for treatment in TREATMENTS {
        let scene = Scene::new(treatment, Form::Csv).await;
        for (day, (what, change)) in CHANGES.into_iter().enumerate() {
            scene.whole();
            // One left, and one differs: the request that writes it is what the change waits for.
            let mut less = rows(42..=60);
            less[0][1] = format!("Day {day}");
            scene.write(3, &scene.form.bytes(&["number", "name"], &less));
            let folder = scene.desk.path("people");
            let url = between(&scene.desk.emulator, b"PATCH", move || change(&folder));
            let arguments = ["push", "-m", "people.yaml", "--json"];
            let mut command = scene.desk.command(&arguments);
            command.env("SEGUE_AUTHORITY", &url).env("SEGUE_URL", &url);
            let ran = ran(&mut command);
            assert_eq!(ran.code, Some(7), "{treatment}, {what}: {ran:?}");
            assert!(ran.err.contains("changed after"), "{what}: {}", ran.err);
            assert_eq!(
                (ran.rows("updated"), ran.rows("kept")),
                (1, 1),
                "{what}: {ran:?}"
            );
            assert_eq!(scene.removed(), 0, "{treatment}, {what}: {ran:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extract_that_changes_before_its_survey_sends_nothing() {
    let scene = Scene::new(TREATMENTS[0], Form::Csv).await;
    for (what, change) in CHANGES {
        scene.whole();
        scene.write(3, &scene.form.bytes(&["number", "name"], &rows(42..=60)));
        let folder = scene.desk.path("people");
        let url = between(&scene.desk.emulator, b"WhoAmI", move || change(&folder));
        let mut command = scene.desk.command(&["push", "-m", "people.yaml", "--json"]);
        command.env("SEGUE_AUTHORITY", &url).env("SEGUE_URL", &url);
        let ran = tokio::task::block_in_place(|| ran(&mut command));
        assert_eq!(
            (ran.code, ran.rows("read")),
            (Some(7), 0),
            "{what}: {ran:?}"
        );
        assert_eq!(scene.removed(), 0, "{what}: {ran:?}");
    }
}
