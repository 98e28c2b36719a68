//! Tables of whole numbers and words.

use core::fmt;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Empty,
    Number(i64),
    Text(String),
}

impl Cell {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Cell::Empty
    }

    /// A measure.
    #[must_use]
    pub fn of(value: Option<u64>) -> Cell {
        value.map_or(Cell::Empty, |value| Cell::Number(i64::try_from(value).unwrap_or(i64::MAX)))
    }
}

/// As it stands in CSV.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Empty => Ok(()),
            Cell::Number(number) => write!(f, "{number}"),
            Cell::Text(text) if text.contains([',', '"', '\n', '\r']) => write!(f, "\"{}\"", text.replace('"', "\"\"")),
            Cell::Text(text) => f.write_str(text),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// With a header line.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut csv = self.columns.join(",") + "\n";
        for row in &self.rows {
            csv += &row.iter().map(Cell::to_string).collect::<Vec<_>>().join(",");
            csv += "\n";
        }
        csv
    }

    /// Where a column is.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_they_must_be() {
        let words = ["plain", "a,b", "say \"x\""].map(|word| Cell::Text(word.to_owned()).to_string());
        assert_eq!(words, ["plain", "\"a,b\"", "\"say \"\"x\"\"\""]);
        let table =
            Table { columns: vec!["a".to_owned(), "b".to_owned()], rows: vec![vec![Cell::Empty, Cell::of(Some(3))]] };
        assert_eq!(table.to_csv(), "a,b\n,3\n");
    }
}
