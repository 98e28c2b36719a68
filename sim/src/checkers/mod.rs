//! The checkers: what must hold in every world, while it runs and at its end.
//!
//! | file | what must hold |
//! |---|---|
//! | `answers` | every answer is well-formed, none is a fault of the server, and no session is lost |
//! | `ledger`, `register` | what was acknowledged can be read afterwards, until something later replaces it |
//! | `restores` | which of that is lost with a restored backup |
//! | `sync` | a device's stream has no gap and no repeat, and its tokens never go backwards |
//! | `summary` | the counts and heroes of a room's summary follow from its members |
//! | `unread` | the counts of what is unread are what a naive count over the whole room comes to |
//! | `to_device` | messages to devices come once to each device that they are for, and in their sender's order |
//! | `one_time_keys` | one-time keys are handed out once, and their count is right |
//! | `device_lists` | what clients come to believe of the devices of others is what those servers say |
//! | `order` | everyone sees the events of a room in one order, each once |
//! | `convergence` | servers that share a room agree about its state and its forward extremities once the world is healed |
//! | `sharing`, `parting` | which servers that is asked of; and from which event on they differ |
//! | `resolution` | a state where branches meet is the one that the reference model resolves |
//! | `queues` | memory stays within bounds, and nothing is left for a server that can be reached |
//! | `refusals` | whatever Byzantine servers ask gets an answer of the specification, and what must be refused is |
//! | `authorization` | what was accepted of a room, the reference model allows; what was rejected, it rejects |
//! | `forgery` | what honest servers have was made by its sender's server |
//! | `bounds` | how much there may be of what is counted |
//! | `costs` | what others make a server do stays in proportion to what they send |
//! | `pace` | rooms without Byzantine servers keep moving |
//! | `quiescence` | when nothing is left to do, no flow waits and nothing is undurable |

pub mod answers;
pub mod authorization;
mod bounds;
pub mod convergence;
pub mod costs;
pub mod device_lists;
pub mod forgery;
pub mod ledger;
pub mod one_time_keys;
pub mod order;
pub mod pace;
pub mod parting;
pub mod quiescence;
pub mod queues;
pub mod refusals;
pub mod register;
pub mod resolution;
pub mod restores;
mod sharing;
pub mod stored;
pub mod summary;
pub mod sync;
pub mod to_device;
pub mod unread;
