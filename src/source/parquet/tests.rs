use std::fs;
use std::path::Path;

use arrow_array::types::{ArrowPrimitiveType, Decimal256Type, Int32Type};
use arrow_array::{
    BooleanArray, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray,
    FixedSizeBinaryArray, Float64Array, Int8Array, Int64Array, LargeStringArray, ListArray,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::*;
use crate::model::{CsvDialect, ExtractSpec, Reading, Source as _};
use crate::source::{Extract, SourceFailure};

/// A number of 256 bits.
type Wide = <Decimal256Type as ArrowPrimitiveType>::Native;

fn spec(base: &Path, path: &str) -> ExtractSpec {
    ExtractSpec {
        path: path.to_owned(),
        base: base.to_owned(),
        format: None,
        csv: CsvDialect::default(),
    }
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>, compression: Compression, group: usize) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(group))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn numbers(count: i64) -> Vec<(&'static str, ArrayRef)> {
    let ids: Vec<i64> = (1..=count).collect();
    let names = ids.iter().map(|id| format!("name {id}"));
    vec![
        ("id", Arc::new(Int64Array::from(ids.clone()))),
        ("name", Arc::new(StringArray::from_iter_values(names))),
    ]
}

type Row = ((u16, u64), Vec<String>);

fn read(
    extract: &Extract,
    columns: &[usize],
    only: Option<&[(u16, u64)]>,
) -> Result<Vec<Row>, SourceError> {
    let only = only.map(|only| {
        let positions: Vec<_> = only.iter().map(|(f, l)| Position::new(*f, *l)).collect();
        Box::new(positions.into_iter()) as Box<dyn Iterator<Item = Position> + Send>
    });
    let reading = Reading {
        columns: columns.to_vec(),
        only,
    };
    let mut all = Vec::new();
    for rows in extract.read(reading)? {
        let rows = rows?;
        assert_eq!(rows.positions.len(), rows.batch.num_rows());
        for (index, position) in rows.positions.iter().enumerate() {
            let columns = rows.batch.columns().iter();
            let cells = columns.map(|column| cell_text(column, index)).collect();
            all.push(((position.file(), position.line()), cells));
        }
    }
    Ok(all)
}

#[test]
fn only_wanted_rows_are_given_across_row_groups_and_files() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.parquet", "b.parquet"] {
        write(
            &folder.path().join(name),
            numbers(25),
            Compression::SNAPPY,
            10,
        );
    }
    let extract = Extract::open(&spec(folder.path(), "*.parquet")).unwrap();
    assert_eq!(read(&extract, &[0], None).unwrap().len(), 50);
    let wanted = [(0, 1), (0, 10), (0, 11), (0, 25), (1, 7), (1, 8), (1, 21)];
    let rows = read(&extract, &[1, 0], Some(&wanted)).unwrap();
    let expected =
        wanted.map(|(file, line)| ((file, line), vec![format!("name {line}"), line.to_string()]));
    assert_eq!(rows, expected);
    assert!(read(&extract, &[0], Some(&[])).unwrap().is_empty());
    for gone in [(0, 26), (1, 99)] {
        let error = read(&extract, &[0], Some(&[gone])).unwrap_err();
        assert_eq!(error.kind(), SourceFailure::Changed);
    }
}

#[test]
fn every_usual_compression_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::BROTLI(BrotliLevel::default()),
    ] {
        write(
            &folder.path().join("a.parquet"),
            numbers(3),
            compression,
            100,
        );
        let extract = Extract::open(&spec(folder.path(), "a.parquet")).unwrap();
        assert_eq!(
            read(&extract, &[0, 1], None).unwrap().len(),
            3,
            "{compression}"
        );
    }
}

/// One column of each type, two rows.
fn typed() -> Vec<(&'static str, ArrayRef)> {
    let dictionary: DictionaryArray<Int32Type> = vec!["x", "y"].into_iter().collect();
    let wide = Decimal128Array::from(vec![7, 8]).with_precision_and_scale(30, 1);
    let wide = cast(&wide.unwrap(), &DataType::Decimal256(30, 1)).unwrap();
    let list =
        ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)]), Some([Some(2)])]);
    vec![
        ("dictionary", Arc::new(dictionary)),
        ("large", Arc::new(LargeStringArray::from(vec!["é", ""]))),
        ("small", Arc::new(Int8Array::from(vec![Some(-1), None]))),
        ("unsigned", Arc::new(UInt64Array::from(vec![u64::MAX, 1]))),
        ("float", Arc::new(Float64Array::from(vec![0.5, 1.0]))),
        ("yes", Arc::new(BooleanArray::from(vec![true, false]))),
        ("date", Arc::new(Date32Array::from(vec![0, 1]))),
        (
            "money",
            Arc::new(
                Decimal128Array::from(vec![1250, 1])
                    .with_precision_and_scale(10, 2)
                    .unwrap(),
            ),
        ),
        ("wide", wide),
        (
            "clock",
            Arc::new(Time64MicrosecondArray::from(vec![1_000_000, 0])),
        ),
        (
            "instant",
            Arc::new(TimestampMicrosecondArray::from(vec![0, 1]).with_timezone_utc()),
        ),
        (
            "binary",
            Arc::new(FixedSizeBinaryArray::try_from_iter([[1_u8; 16], [2; 16]].iter()).unwrap()),
        ),
        ("nested", Arc::new(list)),
    ]
}

#[test]
fn types_are_given_in_their_simplest_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, typed(), Compression::SNAPPY, 100);
    let extract = Extract::open(&spec(folder.path(), "a.parquet")).unwrap();
    let types: Vec<String> = extract
        .columns()
        .iter()
        .map(|it| it.data_type.to_string())
        .collect();
    assert_eq!(types[0], "Utf8");
    assert_eq!(types[8], "Decimal128(30, 1)");
    assert_eq!(types[9], "Utf8");
    let rows = read(&extract, &(0..11).collect::<Vec<_>>(), None).unwrap();
    let expected = [
        "x",
        "é",
        "-1",
        "18446744073709551615",
        "0.5",
        "true",
        "1970-01-01",
        "12.50",
        "0.7",
        "00:00:01",
    ];
    assert_eq!(rows[0].1[..10], expected);
    assert_eq!(rows[1].1[2], "");
}

#[test]
fn files_that_are_cut_or_foreign_are_told_and_decide_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, numbers(1000), Compression::UNCOMPRESSED, 100);
    let whole = fs::read(&path).unwrap();
    for length in [0, 3, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = Extract::open(&spec(folder.path(), "a.parquet"))
            .err()
            .unwrap();
        assert_eq!(error.kind(), SourceFailure::NotThere, "{length} {error}");
        assert!(error.to_string().contains("a.parquet"), "{error}");
    }
    fs::write(&path, "id,name\n1,x\n").unwrap();
    assert!(Extract::open(&spec(folder.path(), "a.parquet")).is_err());
    // A page is damaged, the footer is not.
    let mut damaged = whole.clone();
    damaged[4..400].fill(0xAA);
    fs::write(&path, damaged).unwrap();
    let extract = Extract::open(&spec(folder.path(), "a.parquet")).unwrap();
    let error = read(&extract, &[0, 1], None).unwrap_err();
    assert_eq!(error.kind(), SourceFailure::Unreadable, "{error}");
}

#[test]
fn pages_with_fewer_rows_than_the_end_tells_decide_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    // The header of a page has the count of its values behind two bytes, doubled, in seven bits a byte.
    for (count, pattern) in [(20, &[0x2C, 0x15, 40][..]), (100, &[0x2C, 0x15, 0xC8, 1])] {
        write(&path, numbers(count), Compression::UNCOMPRESSED, 1000);
        let mut bytes = fs::read(&path).unwrap();
        let places = bytes.windows(pattern.len()).enumerate();
        let pages: Vec<usize> = places.filter(|it| it.1 == pattern).map(|it| it.0).collect();
        assert_eq!(pages.len(), 2);
        for page in pages {
            bytes[page + 2] -= 2;
        }
        fs::write(&path, bytes).unwrap();
        let extract = Extract::open(&spec(folder.path(), "a.parquet")).unwrap();
        let error = read(&extract, &[0, 1], None).unwrap_err();
        assert_eq!(error.kind(), SourceFailure::Unreadable, "{error}");
    }
}

#[test]
fn files_of_one_extract_have_one_schema() {
    let folder = tempfile::tempdir().unwrap();
    write(
        &folder.path().join("a.parquet"),
        numbers(2),
        Compression::SNAPPY,
        10,
    );
    let other: Vec<(&str, ArrayRef)> = vec![
        ("name", Arc::new(StringArray::from(vec!["x"]))),
        ("id", Arc::new(StringArray::from(vec!["1"]))),
    ];
    write(
        &folder.path().join("b.parquet"),
        other,
        Compression::SNAPPY,
        10,
    );
    let error = Extract::open(&spec(folder.path(), ".")).err().unwrap();
    assert_eq!(
        error.to_string(),
        "column `id` is Int64 in a.parquet and Utf8 in b.parquet"
    );
}

#[test]
fn numbers_of_more_digits_than_others_hold_are_given_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let wide = "12345678901234567890123456789012345678901234567890.12345678";
    let digits = Wide::from_string(&wide.replace('.', "")).unwrap();
    let wide_array = Decimal256Array::from(vec![Some(digits), None, Some(Wide::from(-150))]);
    let wide_array = wide_array.with_precision_and_scale(76, 8).unwrap();
    let small = Decimal256Array::from(vec![Wide::from(125); 3]);
    let small = small.with_precision_and_scale(20, 2).unwrap();
    write(
        &folder.path().join("a.parquet"),
        vec![("wide", Arc::new(wide_array)), ("small", Arc::new(small))],
        Compression::UNCOMPRESSED,
        10,
    );
    let extract = Extract::open(&spec(folder.path(), "a.parquet")).unwrap();
    let types: Vec<_> = extract.columns().iter().map(|it| &it.data_type).collect();
    assert_eq!(types, [&DataType::Utf8, &DataType::Decimal128(20, 2)]);
    let cells: Vec<_> = read(&extract, &[0, 1], None).unwrap();
    let cells: Vec<_> = cells.into_iter().map(|(_, cells)| cells).collect();
    assert_eq!(
        cells,
        [[wide, "1.25"], ["", "1.25"], ["-0.00000150", "1.25"]]
    );
}

#[test]
fn an_instant_has_a_text_whatever_zone_its_writer_named() {
    let folder = tempfile::tempdir().unwrap();
    let instant = |zone: &str| -> ArrayRef {
        let array = TimestampMicrosecondArray::from(vec![1_700_000_000_000_000_i64]);
        Arc::new(array.with_timezone(zone))
    };
    write(
        &folder.path().join("a.parquet"),
        vec![
            ("utc", instant("UTC")),
            ("named", instant("Europe/Amsterdam")),
            ("offset", instant("+02:00")),
        ],
        Compression::UNCOMPRESSED,
        10,
    );
    let extract = Extract::open(&spec(folder.path(), "a.parquet")).unwrap();
    let cells = read(&extract, &[0, 1, 2], None).unwrap();
    assert_eq!(cells[0].1, ["2023-11-14T22:13:20Z"; 3]);
}
