//! The contents of files: rows hold ids, the bytes stand here.
//!
//! A file is never changed. What no row holds any more is let go with the request that took the
//! last row from it; uploads that are under way are bounded, and the oldest are forgotten.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::Engine;
use crate::model::Layout;
use crate::table::Row;
use crate::table::value::{Column, TableNumber, Value};

/// Uploads in pieces that may be under way at a time.
const SESSIONS: usize = 64;

/// And so many bytes they may hold together.
const SESSION_BYTES: usize = 256 << 20;

/// The contents of all files.
#[derive(Default)]
pub(crate) struct Attached {
    contents: HashMap<Uuid, Bytes>,
    /// Those that the data file lacks.
    new: Vec<Uuid>,
    /// Those that it has and should not.
    gone: Vec<Uuid>,
    sessions: VecDeque<Session>,
}

/// Where a file belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) table: TableNumber,
    pub(crate) row: Uuid,
    pub(crate) column: Column,
    pub(crate) name: String,
}

/// An upload in pieces.
pub(crate) struct Session {
    pub(crate) token: Uuid,
    pub(crate) upload: Upload,
    pub(crate) bytes: Vec<u8>,
}

impl Attached {
    pub(crate) fn get(&self, id: Uuid) -> Option<&Bytes> {
        self.contents.get(&id)
    }

    /// Takes a new file; it is kept if the request is.
    pub(crate) fn add(&mut self, content: Bytes) -> Uuid {
        let id = Uuid::new_v4();
        self.contents.insert(id, content);
        self.new.push(id);
        id
    }

    /// Puts a file of the data file in its place.
    pub(crate) fn load(&mut self, id: Uuid, content: Bytes) {
        self.contents.insert(id, content);
    }

    pub(crate) fn begin(&mut self, upload: Upload) -> Uuid {
        let token = Uuid::new_v4();
        if self.sessions.len() >= SESSIONS {
            self.sessions.pop_front();
        }
        self.sessions.push_back(Session {
            token,
            upload,
            bytes: Vec::new(),
        });
        token
    }

    pub(crate) fn session(&mut self, token: Uuid) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|it| it.token == token)
    }

    /// Forgets the oldest uploads if all of them together have grown too large.
    pub(crate) fn bound_sessions(&mut self) {
        let held = |sessions: &VecDeque<Session>| -> usize {
            sessions.iter().map(|session| session.bytes.len()).sum()
        };
        while self.sessions.len() > 1 && held(&self.sessions) > SESSION_BYTES {
            self.sessions.pop_front();
        }
    }

    /// Ends an upload in pieces.
    pub(crate) fn end(&mut self, token: Uuid) -> Option<Session> {
        let place = self.sessions.iter().position(|it| it.token == token)?;
        self.sessions.remove(place)
    }

    pub(crate) fn remove(&mut self, id: Uuid) {
        if self.contents.remove(&id).is_some() {
            self.gone.push(id);
        }
    }

    /// What the data file is to be told: files that came, and files that went.
    pub(super) fn unsaved(&mut self) -> (Vec<(Uuid, Bytes)>, Vec<Uuid>) {
        let new = std::mem::take(&mut self.new).into_iter();
        let new = new.filter_map(|id| Some((id, self.contents.get(&id)?.clone())));
        (new.collect(), std::mem::take(&mut self.gone))
    }
}

impl Engine {
    /// Lets go the files that only a row held which stands no more like this.
    pub(super) fn let_go(&mut self, layout: &Layout, id: Uuid, row: Option<&Row>) {
        for (column, _) in &layout.special.files {
            let of = |row: &Row| match row.cells.get(*column) {
                Some(Value::Guid(file)) => Some(file),
                _ => None,
            };
            let before = row.and_then(of);
            let now = self.row(layout, id).and_then(of);
            if let Some(file) = before.filter(|file| Some(*file) != now) {
                self.attached.remove(file);
            }
        }
    }

    /// The same for all that the request has replaced, now that it stands.
    pub(super) fn let_go_replaced(&mut self) {
        let model = Arc::clone(&self.model);
        for undo in std::mem::take(&mut self.undo) {
            if let Some(layout) = model.layout(undo.table) {
                self.let_go(layout, undo.id, undo.before.as_ref());
            }
        }
        if self.file.is_none() {
            drop(self.attached.unsaved());
        }
    }

    /// Lets go the files that no row holds: after columns or tables were dropped, and at the start.
    pub(crate) fn let_go_unheld(&mut self) {
        let model = Arc::clone(&self.model);
        let mut held = std::collections::HashSet::new();
        for layout in model.layouts() {
            for (column, _) in &layout.special.files {
                let rows = self.rows(layout).into_iter();
                for (_, row) in rows.flat_map(|rows| rows.after(None)) {
                    if let Some(Value::Guid(file)) = row.cells.get(*column) {
                        held.insert(file);
                    }
                }
            }
        }
        let all = self.attached.contents.keys().copied();
        let unheld: Vec<Uuid> = all.filter(|id| !held.contains(id)).collect();
        for id in unheld {
            self.attached.remove(id);
        }
    }
}
