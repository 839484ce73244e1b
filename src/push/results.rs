//! The end of a run: the conservation law, the reject file, the results.

use super::{PushError, Report, Resting, Run, again, sending};
use crate::model::{ExtractSpec, Format, Header, Source as _};
use crate::report::{
    ExitCode, ExtractShape, RejectResults, RemovalResults, RemovalWriter, RequestCounts, RunResults,
};

/// Checks the conservation law, closes the reject file and writes the results.
pub(super) async fn report(mut run: Run, stopped: Option<PushError>) -> Result<Report, PushError> {
    let mut stopped = stopped;
    let is_defect = |error: &PushError| error.exit_code() == ExitCode::Defect;
    if let Err(imbalance) = run.rows.balance()
        && !stopped.as_ref().is_some_and(is_defect)
    {
        stopped = Some(PushError::Unbalanced(imbalance.to_string()));
    }
    let rejects = match close_rejects(&mut run).await {
        Ok(rejects) => rejects,
        Err(error) => {
            stopped.get_or_insert(error);
            RejectResults::default()
        }
    };
    let removals = run.removals.take().map(RemovalWriter::finish).transpose();
    let removals = removals.unwrap_or_else(|error| {
        stopped.get_or_insert(PushError::Results(error));
        None
    });
    if let (Some(lane), Some(opened)) = (&run.lane, &run.opened)
        && opened.users.len() > 1
    {
        let dropped = lane.dropped();
        run.warnings
            .extend(dropped.iter().map(|it| opened.dropped(it)));
    }
    let limited = run.request.mapping.guard.max_rejects.is_some();
    let code = match &stopped {
        Some(error) => error.exit_code(),
        None if run.rows.rejected > 0 && !limited => ExitCode::Rejects,
        None => ExitCode::Done,
    };
    let results = RunResults {
        removals: removals.unwrap_or_default(),
        ..results(&run, rejects, stopped.as_ref(), code)
    };
    results
        .write(run.folder.path())
        .map_err(PushError::Results)?;
    let resting = if let Some(opened) = &run.opened {
        Resting::after(&run.request, opened, run.lane.as_ref())
    } else {
        let request = run.request;
        let resting = request.resting;
        resting.refused(&request.connection, stopped.as_ref())
    };
    Ok(Report {
        resting,
        run: run.folder.run_id().clone(),
        folder: run.folder.path().to_owned(),
        results,
        preview: run.preview,
        warnings: run.warnings,
        stopped,
        code,
    })
}

/// Reads the rejected rows again, on a thread that may block.
async fn close_rejects(run: &mut Run) -> Result<RejectResults, PushError> {
    let (Some(writer), Some(opened)) = (run.rejects.take(), run.opened.clone()) else {
        return Ok(RejectResults::default());
    };
    let closing = tokio::task::spawn_blocking(move || {
        let extract = &opened.extract;
        let key = again::key_columns(&opened);
        writer.finish(extract.files(), &again::names(extract), &key, |due| {
            again::rows(extract, due)
        })
    });
    let closed = closing.await.map_err(|error| super::ended(&error))?;
    closed.map_err(PushError::Results)
}

fn results(
    run: &Run,
    rejects: RejectResults,
    stopped: Option<&PushError>,
    code: ExitCode,
) -> RunResults {
    let opened = run.opened.as_ref();
    let requests = opened.map_or_else(Default::default, |opened| opened.requests());
    let measured = run.progress.measured();
    if let Some(opened) = opened {
        let work = opened.environment.work();
        let (rendering_us, reading_us) = (work.rendering.as_micros(), work.reading.as_micros());
        tracing::info!(
            rendering_us,
            reading_us,
            "requests written and answers read"
        );
    }
    RunResults {
        schema: "segue.run/1".to_owned(),
        run: run.folder.run_id().to_string(),
        mapping: run.request.mapping.name.clone(),
        destination: run.request.connection.name.clone(),
        status: code.status(),
        exit_code: code.code(),
        dry_run: run.request.purpose == super::Purpose::Rehearse,
        started: run.request.started,
        seconds: run.began.elapsed().as_secs_f64(),
        rows: run.rows,
        requests: RequestCounts {
            reads: requests.reads,
            writes: requests.writes,
            retried: run.retried,
            throttled: measured.throttled,
            waited: measured.throttled_time().as_secs_f64(),
        },
        sending: sending::results(&measured),
        rejects,
        removals: RemovalResults::default(),
        stopped_by: stopped.map(in_words),
        advice: stopped.map(|error| error.help().into_owned()),
        problems: match stopped {
            Some(PushError::Problems(problems)) => Some(problems.to_json()),
            _ => None,
        },
        warnings: run.warnings.clone(),
        extract: shape(&run.request.mapping.source),
    }
}

/// How the extract is written; Parquet's rows are mended as plain CSV.
fn shape(spec: &ExtractSpec) -> ExtractShape {
    let named = spec.path.to_ascii_lowercase();
    let is_named = |extension: &str| named.rsplit('.').take(2).any(|part| part == extension);
    let is_tsv = spec.format == Some(Format::Tsv) || is_named("tsv");
    let is_table = spec.format == Some(Format::Parquet) || is_named("parquet");
    if is_table {
        return ExtractShape::default();
    }
    let usual = if is_tsv { b'\t' } else { b',' };
    ExtractShape {
        delimiter: char::from(spec.csv.delimiter.unwrap_or(usual)),
        encoding: spec.csv.encoding.clone(),
        header: spec.csv.header == Header::FirstRow,
        skip_rows: spec.csv.skip_rows,
        quote: spec.csv.quote.map(char::from),
        escape: spec.csv.escape.map(char::from),
        comment: spec.csv.comment.map(char::from),
    }
}

/// The error and its causes, in one line.
fn in_words(error: &PushError) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = error.source();
    }
    words
}
