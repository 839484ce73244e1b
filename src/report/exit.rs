//! Exit codes: what a scheduler is told.

use serde::{Deserialize, Serialize};

/// What a scheduler is told. The numbers are stable; scripts depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// 0: done; no rejects, or at most `max_rejects`.
    Done,
    /// 1: done, with rejects, and no `max_rejects` is set.
    Rejects,
    /// 2: wrong usage, mapping or configuration; state that belongs to something else. Nothing was sent.
    Usage,
    /// 3: no connection, no token or no permission.
    Connection,
    /// 4: a guard stopped the run.
    Guard,
    /// 5: another run holds the lock.
    Held,
    /// 6: interrupted or out of time; the next run resumes.
    Interrupted,
    /// 7: the extract became unreadable, the disk is full, or the table changed during the run.
    Extract,
    /// 70: a defect of segue.
    Defect,
    /// 75: throttled or unavailable beyond the budget; resumes.
    Unavailable,
}

impl ExitCode {
    /// Of several mappings the first that applies of these is the command's.
    const GRAVEST_FIRST: [Self; 10] = [
        Self::Defect,
        Self::Connection,
        Self::Usage,
        Self::Extract,
        Self::Guard,
        Self::Unavailable,
        Self::Interrupted,
        Self::Held,
        Self::Rejects,
        Self::Done,
    ];

    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Rejects => 1,
            Self::Usage => 2,
            Self::Connection => 3,
            Self::Guard => 4,
            Self::Held => 5,
            Self::Interrupted => 6,
            Self::Extract => 7,
            Self::Defect => 70,
            Self::Unavailable => 75,
        }
    }

    /// The gravest of several; [`ExitCode::Done`] of none.
    pub fn worst(codes: impl IntoIterator<Item = Self>) -> Self {
        codes
            .into_iter()
            .min_by_key(|code| code.rank())
            .unwrap_or(Self::Done)
    }

    /// How grave it is; 0 is the gravest.
    pub fn rank(self) -> usize {
        let at = Self::GRAVEST_FIRST.iter().position(|code| *code == self);
        at.unwrap_or(Self::GRAVEST_FIRST.len())
    }

    /// How the run ended, in one word.
    pub fn status(self) -> Status {
        match self {
            Self::Done | Self::Rejects => Status::Done,
            Self::Guard => Status::Stopped,
            Self::Interrupted | Self::Unavailable => Status::Interrupted,
            Self::Usage | Self::Connection | Self::Held | Self::Extract | Self::Defect => {
                Status::Failed
            }
        }
    }
}

/// How a run ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Exit 0 or 1.
    Done,
    /// Exit 4.
    Stopped,
    /// Exit 6 or 75.
    Interrupted,
    /// The others.
    Failed,
}

impl Status {
    /// As the results write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_of_several_is_told() {
        let worst = |codes: &[ExitCode]| ExitCode::worst(codes.iter().copied()).code();
        assert_eq!(worst(&[]), 0);
        assert_eq!(worst(&[ExitCode::Rejects, ExitCode::Done]), 1);
        assert_eq!(worst(&[ExitCode::Held, ExitCode::Interrupted]), 6);
        assert_eq!(worst(&[ExitCode::Usage, ExitCode::Connection]), 3);
        assert_eq!(worst(&[ExitCode::Defect, ExitCode::Connection]), 70);
    }
}
