//! Virtual clients: people with devices that speak the real Client-Server API.

pub mod call;
pub mod devices;
pub mod director;
pub mod governance;
pub mod inspection;
pub mod keyring;
pub mod meetings;
pub mod operations;
pub mod population;
pub mod reading;
pub mod session;
pub mod syncing;
pub mod talk;
pub mod tracking;
pub mod view;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::{Rc, Weak};

use crate::checkers::ledger::Ledger;
use crate::checkers::pace::Taken;
use crate::checkers::unread::Told;
use crate::client::director::Work;
use crate::client::population::Population;
use crate::client::session::Session;
use crate::client::syncing::Syncing;
use crate::clock::Span;
use crate::draw::Draw;
use crate::options::ClientOptions;
use crate::recording::Watch;
use crate::tasks::Hub;

/// What all virtual clients share.
#[derive(Clone, Debug)]
pub struct Shared {
    pub hub: Hub,
    pub options: Rc<ClientOptions>,
    pub population: Rc<RefCell<Population>>,
    pub ledger: Rc<RefCell<Ledger>>,
    pub work: Rc<RefCell<Work>>,
    /// How many servers there are; user after user is on the next.
    pub servers: u32,
    /// Those that lie.
    pub byzantine: Rc<BTreeSet<u32>>,
    /// The messages that were taken.
    pub taken: Rc<RefCell<Vec<Taken>>>,
    /// In which rooms somebody of a server could say something once the world was healed.
    pub heard: Rc<RefCell<BTreeSet<(u32, String)>>>,
    /// What devices were told to be unread when all was quiet.
    pub told_unread: Rc<RefCell<Vec<Told>>>,
    /// Every device, by its number.
    pub devices: Rc<RefCell<Vec<Weak<Device>>>>,
    pub watch: Watch,
}

/// One device of a virtual person.
#[derive(Debug)]
pub struct Device {
    pub number: u32,
    pub user: u32,
    pub server: u32,
    /// Its server does not lie. Otherwise nothing is checked of it.
    pub honest: bool,
    /// There are other servers, and what is in a room is not for this one to say.
    pub federated: bool,
    pub hub: Hub,
    pub options: Rc<ClientOptions>,
    pub population: Rc<RefCell<Population>>,
    pub ledger: Rc<RefCell<Ledger>>,
    pub work: Rc<RefCell<Work>>,
    pub taken: Rc<RefCell<Vec<Taken>>>,
    pub heard: Rc<RefCell<BTreeSet<(u32, String)>>>,
    pub devices: Rc<RefCell<Vec<Weak<Device>>>>,
    pub watch: Watch,
    pub draw: RefCell<Draw>,
    pub address: IpAddr,
    /// Whether its paths have everything percent-encoded that may be.
    pub encodes_all: bool,
    /// Whether its tokens expire and it refreshes them.
    pub refreshes: bool,
    pub session: RefCell<Session>,
    /// Lanes that are in the middle of something.
    pub busy: Cell<u32>,
    pub syncing: RefCell<Syncing>,
}

impl Device {
    #[must_use]
    pub fn new(shared: &Shared, number: u32, user: u32, mut draw: Draw) -> Device {
        let encodes_all = draw.chance(500);
        let refreshes = draw.chance(shared.options.refreshes);
        let syncing = Syncing::draw(&shared.options, &mut draw);
        let server = user % shared.servers;
        let honest = !shared.byzantine.contains(&server);
        Device {
            number,
            user,
            server,
            honest,
            federated: shared.servers > 1,
            hub: if honest { shared.hub.clone() } else { shared.hub.ignoring_failures() },
            options: shared.options.clone(),
            population: shared.population.clone(),
            ledger: shared.ledger.clone(),
            work: shared.work.clone(),
            taken: shared.taken.clone(),
            heard: shared.heard.clone(),
            devices: shared.devices.clone(),
            watch: shared.watch.clone(),
            draw: RefCell::new(draw),
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, u8::try_from(number % 250).expect("below 250"))),
            encodes_all,
            refreshes,
            session: RefCell::default(),
            busy: Cell::new(0),
            syncing: RefCell::new(syncing),
        }
    }

    #[must_use]
    pub fn user_id(&self) -> String {
        self.population.borrow().user(self.user).id.clone()
    }

    /// How long to wait for an answer: `usual`, or hardly any time.
    fn patience(&self, usual: Span) -> Span {
        let impatient = self.draw.borrow_mut().chance(self.options.impatient);
        if impatient && !self.syncing.borrow().calm { self.options.short_patience } else { usual }
    }
}
