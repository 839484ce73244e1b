//! The `dispatch` room.
