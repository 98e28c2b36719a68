//! Tables as Parquet files (the format's specification: `parquet.thrift`, `Encodings.md`): one row group, plain encoding, nothing
//! compressed. That is little of what the format can do, and all that a table of some thousand rows needs.

use super::table::{Cell, Table};

const MAGIC: &[u8] = b"PAR1";

/// The numbers of `parquet.thrift`.
mod number {
    pub const INT64: i64 = 2;
    pub const BYTE_ARRAY: i64 = 6;
    pub const OPTIONAL: i64 = 1;
    pub const UTF8: i64 = 0;
    pub const PLAIN: i64 = 0;
    pub const RLE: i64 = 3;
    pub const UNCOMPRESSED: i64 = 0;
    pub const DATA_PAGE: i64 = 0;
}

/// A column as it lies in the file.
struct Chunk<'t> {
    name: &'t str,
    is_text: bool,
    offset: usize,
    size: usize,
}

/// The bytes of the file.
#[must_use]
pub fn write(table: &Table) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    let mut chunks = Vec::new();
    for (at, name) in table.columns.iter().enumerate() {
        let cells: Vec<&Cell> = table.rows.iter().map(|row| &row[at]).collect();
        let is_text = cells.iter().any(|cell| matches!(cell, Cell::Text(_)));
        let offset = file.len();
        write_page(&mut file, &cells);
        chunks.push(Chunk { name, is_text, offset, size: file.len() - offset });
    }
    let start = file.len();
    write_footer(&mut file, &chunks, table.rows.len());
    let footer = file.len() - start;
    file.extend(u32::try_from(footer).expect("a table has few columns").to_le_bytes());
    file.extend(MAGIC);
    file
}

fn write_page(file: &mut Vec<u8>, cells: &[&Cell]) {
    let mut levels = Vec::new();
    for run in cells.chunk_by(|a, b| a.is_empty() == b.is_empty()) {
        varint(&mut levels, (run.len() as u64) << 1);
        levels.push(u8::from(!run[0].is_empty()));
    }
    let mut page = length(&levels).to_vec();
    page.extend(levels);
    for cell in cells {
        match cell {
            Cell::Empty => {}
            Cell::Number(number) => page.extend(number.to_le_bytes()),
            Cell::Text(text) => {
                page.extend(length(text.as_bytes()));
                page.extend(text.as_bytes());
            }
        }
    }
    let mut header = Struct::new(file);
    header.i32(1, number::DATA_PAGE);
    header.i32(2, page.len() as i64);
    header.i32(3, page.len() as i64);
    header.nested(5, |header| {
        header.i32(1, cells.len() as i64);
        header.i32(2, number::PLAIN);
        header.i32(3, number::RLE);
        header.i32(4, number::RLE);
    });
    header.end();
    file.extend(page);
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("a cell is short").to_le_bytes()
}

fn write_footer(file: &mut Vec<u8>, chunks: &[Chunk<'_>], rows: usize) {
    let mut footer = Struct::new(file);
    footer.i32(1, 1);
    footer.list(2, chunks.len() + 1, |file, at| {
        let mut element = Struct::new(file);
        match at.checked_sub(1).map(|at| &chunks[at]) {
            None => {
                element.text(4, "study");
                element.i32(5, chunks.len() as i64);
            }
            Some(chunk) => {
                element.i32(1, if chunk.is_text { number::BYTE_ARRAY } else { number::INT64 });
                element.i32(3, number::OPTIONAL);
                element.text(4, chunk.name);
                if chunk.is_text {
                    element.i32(6, number::UTF8);
                }
            }
        }
        element.end();
    });
    footer.i64(3, rows as i64);
    footer.list(4, 1, |file, _| {
        let mut group = Struct::new(file);
        group.list(1, chunks.len(), |file, at| write_chunk(file, &chunks[at], rows));
        group.i64(2, chunks.iter().map(|chunk| chunk.size as i64).sum());
        group.i64(3, rows as i64);
        group.end();
    });
    footer.text(6, "orrery-sim");
    footer.end();
}

fn write_chunk(file: &mut Vec<u8>, chunk: &Chunk<'_>, rows: usize) {
    let mut of = Struct::new(file);
    of.i64(2, chunk.offset as i64);
    of.nested(3, |of| {
        of.i32(1, if chunk.is_text { number::BYTE_ARRAY } else { number::INT64 });
        of.numbers(2, &[number::PLAIN, number::RLE]);
        of.texts(3, &[chunk.name]);
        of.i32(4, number::UNCOMPRESSED);
        of.i64(5, rows as i64);
        of.i64(6, chunk.size as i64);
        of.i64(7, chunk.size as i64);
        of.i64(9, chunk.offset as i64);
    });
    of.end();
}

/// A struct of Thrift's compact protocol, field by ascending field.
struct Struct<'f> {
    file: &'f mut Vec<u8>,
    last: u8,
}

const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

impl<'f> Struct<'f> {
    fn new(file: &'f mut Vec<u8>) -> Struct<'f> {
        Struct { file, last: 0 }
    }

    fn field(&mut self, id: u8, kind: u8) {
        self.file.push((id - self.last) << 4 | kind);
        self.last = id;
    }

    fn i32(&mut self, id: u8, value: i64) {
        self.field(id, I32);
        zigzag(self.file, value);
    }

    fn i64(&mut self, id: u8, value: i64) {
        self.field(id, I64);
        zigzag(self.file, value);
    }

    fn text(&mut self, id: u8, text: &str) {
        self.field(id, BINARY);
        binary(self.file, text);
    }

    fn nested(&mut self, id: u8, write: impl FnOnce(&mut Struct<'_>)) {
        self.field(id, STRUCT);
        let mut nested = Struct::new(self.file);
        write(&mut nested);
        nested.end();
    }

    fn items(&mut self, id: u8, kind: u8, count: usize, mut write: impl FnMut(&mut Vec<u8>, usize)) {
        self.field(id, LIST);
        match u8::try_from(count).ok().filter(|count| *count < 15) {
            Some(count) => self.file.push(count << 4 | kind),
            None => {
                self.file.push(0xf0 | kind);
                varint(self.file, count as u64);
            }
        }
        for at in 0..count {
            write(self.file, at);
        }
    }

    fn list(&mut self, id: u8, count: usize, write: impl FnMut(&mut Vec<u8>, usize)) {
        self.items(id, STRUCT, count, write);
    }

    fn numbers(&mut self, id: u8, numbers: &[i64]) {
        self.items(id, I32, numbers.len(), |file, at| zigzag(file, numbers[at]));
    }

    fn texts(&mut self, id: u8, texts: &[&str]) {
        self.items(id, BINARY, texts.len(), |file, at| binary(file, texts[at]));
    }

    fn end(self) {
        self.file.push(0);
    }
}

fn binary(file: &mut Vec<u8>, text: &str) {
    varint(file, text.len() as u64);
    file.extend(text.as_bytes());
}

fn zigzag(file: &mut Vec<u8>, value: i64) {
    varint(file, (value << 1 ^ value >> 63).cast_unsigned());
}

fn varint(file: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        file.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    file.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_file() {
        let table = Table {
            columns: ["number", "text"].map(str::to_owned).to_vec(),
            rows: vec![
                vec![Cell::Number(7), Cell::Text("a".to_owned())],
                vec![Cell::Empty, Cell::Text("µ".to_owned())],
            ],
        };
        let file = write(&table);
        assert!(file.starts_with(MAGIC) && file.ends_with(MAGIC));
        // After its header: the levels of two runs of one, the number.
        let page = [4, 0, 0, 0, 2, 1, 2, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        assert!(file.windows(page.len()).any(|window| window == page), "{file:?}");
        let length = u32::from_le_bytes(file[file.len() - 8..file.len() - 4].try_into().unwrap()) as usize;
        assert!(length + 12 < file.len());
    }
}
