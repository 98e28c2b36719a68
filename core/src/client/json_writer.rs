//! Answers that are put together from bytes: the punctuation of JSON objects, so that no value is built only to be encoded.

use alloc::vec::Vec;

use crate::canonical_json::encode_str;

/// An object that is being appended to an answer.
#[derive(Debug)]
pub struct Members<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Members<'o> {
    pub fn begin(out: &'o mut Vec<u8>) -> Members<'o> {
        out.push(b'{');
        Members { out, empty: true }
    }

    /// Appends a name and returns where its value goes.
    pub fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        encode_str(name, self.out);
        self.out.push(b':');
        self.out
    }

    pub fn string(&mut self, name: &str, value: &str) {
        encode_str(value, self.name(name));
    }

    pub fn integer(&mut self, name: &str, value: impl Into<crate::canonical_json::Value>) {
        value.into().encode(self.name(name));
    }

    /// Appends a member if `write` says that it has a value; else nothing is left of it. Returns what `write` said.
    pub fn optional<E>(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>) -> Result<bool, E>) -> Result<bool, E> {
        let (start, was_empty) = (self.out.len(), self.empty);
        let there = write(self.name(name))?;
        if !there {
            self.out.truncate(start);
            self.empty = was_empty;
        }
        Ok(there)
    }

    pub fn end(self) {
        self.out.push(b'}');
    }
}

/// An array that is being appended to an answer.
#[derive(Debug)]
pub struct Items<'o> {
    out: &'o mut Vec<u8>,
    pub count: usize,
}

impl<'o> Items<'o> {
    pub fn begin(out: &'o mut Vec<u8>) -> Items<'o> {
        out.push(b'[');
        Items { out, count: 0 }
    }

    /// Returns where the next item goes.
    pub fn item(&mut self) -> &mut Vec<u8> {
        if self.count > 0 {
            self.out.push(b',');
        }
        self.count += 1;
        self.out
    }

    /// Returns the number of items.
    pub fn end(self) -> usize {
        self.out.push(b']');
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_leaves_no_comma() {
        let mut out = Vec::new();
        let mut members = Members::begin(&mut out);
        let nothing = |out: &mut Vec<u8>| {
            out.extend_from_slice(b"{\"half\":");
            Ok::<bool, ()>(false)
        };
        members.optional("a", nothing).unwrap();
        members.integer("b", 1u32);
        members.optional("c", nothing).unwrap();
        members
            .optional("d\"", |out| {
                let mut items = Items::begin(out);
                items.item().extend_from_slice(b"1");
                items.item().extend_from_slice(b"2");
                Ok::<bool, ()>(items.end() == 2)
            })
            .unwrap();
        members.end();
        assert_eq!(out, br#"{"b":1,"d\"":[1,2]}"#);
    }
}
