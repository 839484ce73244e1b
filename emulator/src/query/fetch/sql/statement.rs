//! A `SELECT` statement as it is written, before it is held against the model.

use super::conditions::Condition;
use super::reader::{Name, Reader, everything, is_reserved};
use super::refused;
use super::tokens::Token;
use crate::refusal::Refusal;

/// Rows that `TOP` and `FETCH NEXT` may name.
const MOST: usize = 5000;

pub(super) struct Statement {
    pub(super) is_distinct: bool,
    pub(super) columns: Vec<Chosen>,
    pub(super) table: Table,
    pub(super) joins: Vec<Joining>,
    pub(super) condition: Condition,
    pub(super) groups: Vec<Name>,
    pub(super) orders: Vec<(Name, Direction)>,
    pub(super) skip: usize,
    pub(super) limit: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

/// Which rows a join keeps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Inner,
    Left,
}

pub(super) struct Table {
    /// Lower case.
    pub(super) name: String,
    pub(super) alias: Option<String>,
}

pub(super) struct Joining {
    pub(super) table: Table,
    pub(super) side: Side,
    pub(super) on: [Name; 2],
}

pub(super) struct Chosen {
    pub(super) what: What,
    pub(super) alias: Option<String>,
}

pub(super) enum What {
    Column(Name),
    /// `COUNT(*)`
    Rows,
    /// The function in upper case, and its column.
    Total(String, Name),
}

impl Statement {
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        let mut reader = Reader::of(text)?;
        if !reader.keyword("SELECT") {
            return Err(refused("Only a single SELECT statement is supported."));
        }
        let is_distinct = reader.keyword("DISTINCT");
        let top = if reader.keyword("TOP") {
            Some(reader.count()?)
        } else {
            None
        };
        if top.is_some_and(|top| top > MOST) {
            return Err(refused("TOP takes at most 5000 rows."));
        }
        let columns = reader.list(Reader::chosen)?;
        reader.require("FROM")?;
        let table = reader.table()?;
        let mut joins = Vec::new();
        while let Some(side) = reader.side()? {
            joins.push(reader.joining(side)?);
        }
        let condition = if reader.keyword("WHERE") {
            reader.any()?
        } else {
            Condition::All(Vec::new())
        };
        let groups = if reader.keyword("GROUP") {
            reader.by(Reader::name)?
        } else {
            Vec::new()
        };
        let orders = if reader.keyword("ORDER") {
            reader.by(Reader::order)?
        } else {
            Vec::new()
        };
        let (skip, next) = reader.window()?;
        reader.end()?;
        if top.is_some() && (skip > 0 || next.is_some()) {
            return Err(refused("TOP can't be used with OFFSET."));
        }
        if orders.is_empty() && (skip > 0 || next.is_some()) {
            return Err(refused("OFFSET needs ORDER BY."));
        }
        Ok(Self {
            is_distinct,
            columns,
            table,
            joins,
            condition,
            groups,
            orders,
            skip,
            limit: top.or(next),
        })
    }
}

impl Reader {
    /// `AS alias`, or the alias alone.
    fn alias(&mut self) -> Result<Option<String>, Refusal> {
        if self.keyword("AS") {
            return Ok(Some(self.word()?));
        }
        match self.peek() {
            Some(Token::Word(word)) if !is_reserved(word) => Ok(Some(self.word()?)),
            Some(Token::Name(_)) => Ok(Some(self.word()?)),
            _ => Ok(None),
        }
    }

    fn chosen(&mut self) -> Result<Chosen, Refusal> {
        if self.symbol("*") {
            return Err(everything());
        }
        let what = match self.function() {
            Some(_) if self.symbol("*") => What::Rows,
            Some(function) => What::Total(function, self.name()?),
            None => What::Column(self.name()?),
        };
        if !matches!(what, What::Column(_)) {
            self.expect(")")?;
        }
        let alias = self.alias()?;
        Ok(Chosen { what, alias })
    }

    /// The name of an aggregate function behind which a parenthesis is open.
    fn function(&mut self) -> Option<String> {
        let (Some(Token::Word(word)), Some(Token::Symbol("("))) =
            (self.peek(), self.tokens.get(self.place + 1))
        else {
            return None;
        };
        let word = word.to_ascii_uppercase();
        let is_total = matches!(word.as_str(), "COUNT" | "SUM" | "AVG" | "MIN" | "MAX");
        if !is_total {
            return None;
        }
        // Only rows can be counted without a column.
        let counts_rows = self.tokens.get(self.place + 2) == Some(&Token::Symbol("*"));
        if counts_rows && word != "COUNT" {
            return None;
        }
        self.place += 2;
        Some(word)
    }

    fn table(&mut self) -> Result<Table, Refusal> {
        let name = self.word()?.to_lowercase();
        let alias = self.alias()?.map(|alias| alias.to_lowercase());
        if self.symbol(",") {
            return Err(refused("CROSS JOIN isn't supported."));
        }
        Ok(Table { name, alias })
    }

    /// The kind of the join that follows, if one does.
    fn side(&mut self) -> Result<Option<Side>, Refusal> {
        for unsupported in ["RIGHT", "FULL", "CROSS"] {
            if self.keyword(unsupported) {
                return Err(refused(format!("{unsupported} JOIN isn't supported.")));
            }
        }
        if self.keyword("JOIN") {
            return Ok(Some(Side::Inner));
        }
        let side = if self.keyword("LEFT") {
            self.keyword("OUTER");
            Side::Left
        } else if self.keyword("INNER") {
            Side::Inner
        } else {
            return Ok(None);
        };
        self.require("JOIN")?;
        Ok(Some(side))
    }

    fn joining(&mut self, side: Side) -> Result<Joining, Refusal> {
        let table = self.table()?;
        self.require("ON")?;
        let left = self.name()?;
        self.expect("=")?;
        let on = [left, self.name()?];
        Ok(Joining { table, side, on })
    }

    fn order(&mut self) -> Result<(Name, Direction), Refusal> {
        let name = self.name()?;
        let direction = if self.keyword("DESC") {
            Direction::Descending
        } else {
            self.keyword("ASC");
            Direction::Ascending
        };
        Ok((name, direction))
    }

    /// `OFFSET 20 ROWS FETCH NEXT 10 ROWS ONLY`
    fn window(&mut self) -> Result<(usize, Option<usize>), Refusal> {
        if !self.keyword("OFFSET") {
            return Ok((0, None));
        }
        let skip = self.count()?;
        self.rows()?;
        if !self.keyword("FETCH") {
            return Ok((skip, None));
        }
        if !self.keyword("FIRST") {
            self.require("NEXT")?;
        }
        let next = self.count()?;
        self.rows()?;
        self.require("ONLY")?;
        Ok((skip, Some(next.min(MOST))))
    }

    fn rows(&mut self) -> Result<(), Refusal> {
        if self.keyword("ROW") {
            Ok(())
        } else {
            self.require("ROWS")
        }
    }
}
