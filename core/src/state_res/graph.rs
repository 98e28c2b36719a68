//! As much of the graph of auth events as one resolution has met. Each event met has a place; what is known of events is kept
//! by place.

use alloc::vec::Vec;

use super::index_map::IndexMap;
use crate::store::StorageError;
use crate::store::auth_chain::{AuthChains, AuthRow};
use crate::store::state_map::StateKeyHash;

/// An event that was met: its place in the order in which events were met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(pub u32);

impl Place {
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

pub(super) struct Graph<'a> {
    chains: &'a dyn AuthChains,
    places: IndexMap,
    met: Vec<(u32, AuthRow)>,
}

impl<'a> Graph<'a> {
    pub fn new(chains: &'a dyn AuthChains) -> Graph<'a> {
        Graph { chains, places: IndexMap::new(), met: Vec::new() }
    }

    pub fn chains(&self) -> &'a dyn AuthChains {
        self.chains
    }

    /// How many events were met; all places are below that.
    pub fn len(&self) -> usize {
        self.met.len()
    }

    /// The place of an event, whose row is read if it was not met before.
    pub fn meet(&mut self, index: u32) -> Result<Place, StorageError> {
        if let Some(place) = self.places.get(index) {
            return Ok(Place(place));
        }
        let row = self.chains.row(index)?;
        let place = self.met.len() as u32;
        self.met.push((index, row));
        self.places.insert(index, place);
        Ok(Place(place))
    }

    /// The place of an event that was met.
    pub fn place(&self, index: u32) -> Option<Place> {
        self.places.get(index).map(Place)
    }

    pub fn index(&self, place: Place) -> u32 {
        self.met[place.at()].0
    }

    pub fn key(&self, place: Place) -> StateKeyHash {
        self.met[place.at()].1.key
    }

    pub fn auth_events(&self, place: Place) -> &[u32] {
        self.met[place.at()].1.auth_events()
    }

    /// The auth event of an event that stands at `key`.
    pub fn auth_event_at(&mut self, place: Place, key: &StateKeyHash) -> Result<Option<Place>, StorageError> {
        for nth in 0..self.auth_events(place).len() {
            let auth = self.meet(self.auth_events(place)[nth])?;
            if self.key(auth) == *key {
                return Ok(Some(auth));
            }
        }
        Ok(None)
    }
}
