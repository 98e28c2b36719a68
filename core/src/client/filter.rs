//! Filters (Client-Server API, "Filtering"): what a client wants of events, checked and in a form that is cheap to ask.

mod event_fields;
mod matching;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::request::BodyExt;
use crate::canonical_json::{self, Object, Value};
use crate::error::ApiError;
use crate::identifiers::{RoomId, UserId};
use crate::limits::MAX_FILTER_TYPES;

pub use event_fields::{EventFields, split as property_path};
pub use matching::{Candidate, Pattern};

/// A whole filter, as `/sync` takes it (`Filter`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub event_fields: Option<EventFields>,
    pub event_format: EventFormat,
    pub presence: EventFilter,
    pub account_data: EventFilter,
    pub room: RoomFilter,
}

/// The `event_format` of a filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventFormat {
    #[default]
    Client,
    Federation,
}

/// The `room` of a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomFilter {
    pub rooms: RoomSelection,
    pub include_leave: bool,
    pub state: RoomEventFilter,
    pub timeline: RoomEventFilter,
    pub ephemeral: RoomEventFilter,
    pub account_data: RoomEventFilter,
}

/// `rooms` and `not_rooms`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomSelection {
    rooms: Option<BTreeSet<String>>,
    not_rooms: BTreeSet<String>,
}

/// `types`, `senders` and their opposites (`EventFilter`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The most events to return. The specification wants it above zero; `0` is taken as it reads.
    pub limit: Option<usize>,
    types: Option<Vec<Pattern>>,
    not_types: Vec<Pattern>,
    senders: Option<BTreeSet<String>>,
    not_senders: BTreeSet<String>,
}

/// An [`EventFilter`] for the events of rooms (`RoomEventFilter`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomEventFilter {
    pub events: EventFilter,
    pub rooms: RoomSelection,
    pub lazy_load_members: bool,
    pub include_redundant_members: bool,
    pub unread_thread_notifications: bool,
    pub contains_url: Option<bool>,
}

impl Filter {
    /// Reads a filter; `400 M_BAD_JSON` says what is wrong with it.
    pub fn parse(object: &Object) -> Result<Filter, ApiError> {
        let event_format = match object.opt_str("event_format")? {
            None | Some("client") => EventFormat::Client,
            Some("federation") => EventFormat::Federation,
            Some(_) => return Err(ApiError::bad_json("event_format is not client or federation")),
        };
        let event_fields = match object.opt_array("event_fields")? {
            Some(fields) => EventFields::parse(&strings(fields, "event_fields")?),
            None => None,
        };
        Ok(Filter {
            event_fields,
            event_format,
            presence: nested(object, "presence", EventFilter::parse)?,
            account_data: nested(object, "account_data", EventFilter::parse)?,
            room: nested(object, "room", RoomFilter::parse)?,
        })
    }

    /// Reads the JSON text of a filter.
    pub fn parse_text(text: &str) -> Result<Filter, ApiError> {
        Filter::parse(&object(text)?)
    }
}

impl RoomFilter {
    fn parse(object: &Object) -> Result<RoomFilter, ApiError> {
        Ok(RoomFilter {
            rooms: RoomSelection::parse(object)?,
            include_leave: object.opt_bool("include_leave")?.unwrap_or(false),
            state: nested(object, "state", RoomEventFilter::parse)?,
            timeline: nested(object, "timeline", RoomEventFilter::parse)?,
            ephemeral: nested(object, "ephemeral", RoomEventFilter::parse)?,
            account_data: nested(object, "account_data", RoomEventFilter::parse)?,
        })
    }
}

impl RoomSelection {
    fn parse(object: &Object) -> Result<RoomSelection, ApiError> {
        let is_room = |text: &str| RoomId::parse(text).is_ok();
        Ok(RoomSelection {
            rooms: id_set(object, "rooms", is_room)?,
            not_rooms: id_set(object, "not_rooms", is_room)?.unwrap_or_default(),
        })
    }
}

impl EventFilter {
    fn parse(object: &Object) -> Result<EventFilter, ApiError> {
        let is_user = |text: &str| UserId::parse(text).is_ok();
        let limit = match object.opt_integer("limit")? {
            Some(limit) => Some(usize::try_from(limit).map_err(|_| ApiError::bad_json("limit is below zero"))?),
            None => None,
        };
        Ok(EventFilter {
            limit,
            types: patterns(object, "types")?,
            not_types: patterns(object, "not_types")?.unwrap_or_default(),
            senders: id_set(object, "senders", is_user)?,
            not_senders: id_set(object, "not_senders", is_user)?.unwrap_or_default(),
        })
    }
}

impl RoomEventFilter {
    /// Reads the filter of `/messages`, `/context` and `/search`, or a part of that of `/sync`.
    pub fn parse(object: &Object) -> Result<RoomEventFilter, ApiError> {
        Ok(RoomEventFilter {
            events: EventFilter::parse(object)?,
            rooms: RoomSelection::parse(object)?,
            lazy_load_members: object.opt_bool("lazy_load_members")?.unwrap_or(false),
            include_redundant_members: object.opt_bool("include_redundant_members")?.unwrap_or(false),
            unread_thread_notifications: object.opt_bool("unread_thread_notifications")?.unwrap_or(false),
            contains_url: object.opt_bool("contains_url")?,
        })
    }

    /// Reads the JSON text of a filter, as the query parameter `filter` of `/messages` and `/context` has it.
    pub fn parse_text(text: &str) -> Result<RoomEventFilter, ApiError> {
        RoomEventFilter::parse(&object(text)?)
    }
}

fn object(text: &str) -> Result<Object, ApiError> {
    match canonical_json::parse(text.as_bytes()) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ApiError::bad_json("The filter is not a JSON object")),
        Err(error) => Err(ApiError::not_json(alloc::format!("The filter is not JSON: {error}"))),
    }
}

fn nested<T: Default>(
    object: &Object,
    name: &str,
    parse: impl FnOnce(&Object) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    match object.opt_object(name)? {
        Some(object) => parse(object),
        None => Ok(T::default()),
    }
}

fn strings<'a>(items: &'a [Value], name: &str) -> Result<Vec<&'a str>, ApiError> {
    let strings: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
    strings.ok_or_else(|| ApiError::bad_json(alloc::format!("{name} has an entry that is not a string")))
}

fn id_set(object: &Object, name: &str, is_valid: impl Fn(&str) -> bool) -> Result<Option<BTreeSet<String>>, ApiError> {
    let Some(items) = object.opt_array(name)? else { return Ok(None) };
    let ids = strings(items, name)?;
    match ids.iter().find(|id| !is_valid(id)) {
        Some(id) => Err(ApiError::bad_json(alloc::format!("{name}: {id:?} is not an identifier of that kind"))),
        None => Ok(Some(ids.into_iter().map(String::from).collect())),
    }
}

fn patterns(object: &Object, name: &str) -> Result<Option<Vec<Pattern>>, ApiError> {
    let Some(items) = object.opt_array(name)? else { return Ok(None) };
    if items.len() > MAX_FILTER_TYPES {
        return Err(ApiError::bad_json(alloc::format!("{name} has more than {MAX_FILTER_TYPES} entries")));
    }
    Ok(Some(strings(items, name)?.into_iter().map(Pattern::new).collect()))
}

#[cfg(test)]
mod tests;
