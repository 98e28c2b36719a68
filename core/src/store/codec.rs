//! Keys that sort as their parts do, and records that are compact.
//!
//! Integers are big-endian; text ends in `00 00` with inner `00` written `00 ff`, so that a text sorts before its
//! extensions and nothing can be mistaken for two parts.

use alloc::string::String;
use alloc::vec::Vec;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::read::StorageError;

/// A part of a key.
pub trait Key {
    fn write(&self, out: &mut Vec<u8>);
}

/// A part of a key that can be read back.
pub trait Decode: Sized {
    fn read(from: &mut KeyReader<'_>) -> Result<Self, StorageError>;
}

/// What is left of a key to read.
#[derive(Debug)]
pub struct KeyReader<'a>(pub &'a [u8]);

impl<'a> KeyReader<'a> {
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], StorageError> {
        if self.0.len() < len {
            return Err(StorageError(String::from("a key is shorter than its table's")));
        }
        let (head, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(head)
    }
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], StorageError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }
}

macro_rules! integer_key {
    ($($type:ty),*) => {$(
        impl Key for $type {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }
        impl Decode for $type {
            fn read(from: &mut KeyReader<'_>) -> Result<$type, StorageError> {
                Ok(<$type>::from_be_bytes(from.array()?))
            }
        }
    )*};
}
integer_key!(u8, u16, u32, u64);

impl Key for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        (self.cast_unsigned() ^ (1 << 63)).write(out);
    }
}
impl Decode for i64 {
    fn read(from: &mut KeyReader<'_>) -> Result<i64, StorageError> {
        Ok((u64::read(from)? ^ (1 << 63)).cast_signed())
    }
}

impl Key for str {
    fn write(&self, out: &mut Vec<u8>) {
        for &byte in self.as_bytes() {
            out.push(byte);
            if byte == 0 {
                out.push(0xff);
            }
        }
        out.extend_from_slice(&[0, 0]);
    }
}
impl<T: Key + ?Sized> Key for &T {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}
impl Key for String {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_str().write(out);
    }
}
impl Decode for String {
    fn read(from: &mut KeyReader<'_>) -> Result<String, StorageError> {
        let mut out = Vec::new();
        loop {
            match from.take(1)?[0] {
                0 => match from.take(1)?[0] {
                    0 => break,
                    _ => out.push(0),
                },
                byte => out.push(byte),
            }
        }
        String::from_utf8(out).map_err(|_| StorageError(String::from("a key's text is not UTF-8")))
    }
}

impl<const N: usize> Key for [u8; N] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}
impl<const N: usize> Decode for [u8; N] {
    fn read(from: &mut KeyReader<'_>) -> Result<[u8; N], StorageError> {
        from.array()
    }
}

impl Key for () {
    fn write(&self, _: &mut Vec<u8>) {}
}
impl Decode for () {
    fn read(_: &mut KeyReader<'_>) -> Result<(), StorageError> {
        Ok(())
    }
}

macro_rules! identifier_key {
    ($($type:ident),*) => {$(
        impl Key for crate::identifiers::$type {
            fn write(&self, out: &mut Vec<u8>) {
                self.as_str().write(out);
            }
        }
        impl Decode for crate::identifiers::$type {
            fn read(from: &mut KeyReader<'_>) -> Result<Self, StorageError> {
                let text = String::read(from)?;
                Self::try_from(text).map_err(|error| StorageError(alloc::format!("a key's identifier: {error}")))
            }
        }
    )*};
}
identifier_key!(UserId, RoomId, EventId, RoomAlias, DeviceId, ServerName);

macro_rules! tuple_key {
    ($($name:ident),*) => {
        impl<$($name: Key),*> Key for ($($name,)*) {
            #[allow(non_snake_case)]
            fn write(&self, out: &mut Vec<u8>) {
                let ($($name,)*) = self;
                $($name.write(out);)*
            }
        }
        impl<$($name: Decode),*> Decode for ($($name,)*) {
            fn read(from: &mut KeyReader<'_>) -> Result<Self, StorageError> {
                Ok(($($name::read(from)?,)*))
            }
        }
    };
}
tuple_key!(A);
tuple_key!(A, B);
tuple_key!(A, B, C);
tuple_key!(A, B, C, D);

/// A stored value.
pub trait Record: Sized {
    fn encode(&self) -> Vec<u8>;
    fn decode(bytes: &[u8]) -> Result<Self, StorageError>;
}

/// Every value with serde's traits is a record, in postcard's encoding.
impl<T: Serialize + DeserializeOwned> Record for T {
    fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("records have no type that postcard refuses")
    }
    fn decode(bytes: &[u8]) -> Result<T, StorageError> {
        postcard::from_bytes(bytes).map_err(|error| StorageError(alloc::format!("a record does not decode: {error}")))
    }
}
