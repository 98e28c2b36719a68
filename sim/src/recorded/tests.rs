use orrery_core::config::SigningKeyConfig;
use orrery_core::http::{Method, Request, RequestId};
use orrery_core::identifiers::ServerName;
use orrery_core::recording::encode;

use super::*;

const NOW: Timestamp = Timestamp(1_735_689_600_000);

/// What a host writes down that starts a core, asks it something, and makes everything durable.
fn recording() -> Vec<Entry> {
    let key = SigningKeyConfig { version: "1".to_owned(), seed: [1; 32] };
    let config = Config::new(ServerName::parse("s0.test").unwrap(), key);
    let mut disk = Disk::new(Visibility::WhenDurable, Lie::None);
    let mut core = Homeserver::new(config.clone(), [7; 32], disk.storage(), NOW).unwrap();
    let mut entries = vec![Entry::Start(Box::new(Start::new("test", &config, [7; 32], NOW)))];
    let request = Request {
        method: Method::Get,
        path: "/_matrix/client/versions".to_owned(),
        query: String::new(),
        authorization: None,
        user_agent: None,
        remote: None,
        body: Bytes::new(),
    };
    let inputs = [Input::Request { id: RequestId(1), request }, Input::Wake];
    let mut take = |core: &mut Homeserver<SimStorage>, entries: &mut Vec<Entry>| {
        let effects: Vec<Effect> = core.drain().collect();
        entries.push(Entry::Drained(effects.iter().map(recording::digest).collect()));
        for effect in effects {
            if let Effect::Commit { id, batch } = effect {
                disk.push(id, batch);
            }
        }
        if disk.start_group(usize::MAX) { Some(disk.finish_group()) } else { None }
    };
    let give = |core: &mut Homeserver<SimStorage>, entries: &mut Vec<Entry>, input: Input| {
        entries.push(Entry::Input { now: NOW, input: input.clone() });
        core.handle(NOW, input);
    };
    for input in inputs {
        while let Some(commit) = take(&mut core, &mut entries) {
            give(&mut core, &mut entries, Input::Durable { commit });
        }
        give(&mut core, &mut entries, input);
    }
    take(&mut core, &mut entries);
    entries.push(Entry::End { why: "it is over".to_owned() });
    entries
}

fn bytes(entries: &[Entry]) -> Vec<u8> {
    entries.iter().fold(MAGIC.to_vec(), |mut bytes, entry| {
        bytes.extend(encode(entry));
        bytes
    })
}

fn replayed(bytes: &[u8]) -> Result<Outcome, Unusable> {
    replay(bytes, Options::default())
}

#[test]
fn the_same_comes_of_the_same() {
    let bytes = bytes(&recording());
    let (first, second) = (replayed(&bytes).unwrap(), replayed(&bytes).unwrap());
    assert_eq!((first.failure, first.lives, first.is_cut), (None, 1, false));
    assert!(first.inputs >= 3 && first.effects >= 2, "{} inputs, {} effects", first.inputs, first.effects);
    assert_eq!(first.hash, second.hash);
}

#[test]
fn what_is_not_as_it_was_is_found() {
    let kind = |change: &dyn Fn(&mut Vec<u64>)| {
        let mut entries = recording();
        let drained = entries.iter_mut().rev().find_map(|entry| match entry {
            Entry::Drained(drained) if !drained.is_empty() => Some(drained),
            _ => None,
        });
        change(drained.unwrap());
        replayed(&bytes(&entries)).unwrap().failure.map(|failure| failure.kind)
    };
    assert_eq!(kind(&|_| {}), None);
    assert_eq!(kind(&|drained| drained[0] ^= 1), Some(Kind::Determinism));
    assert_eq!(kind(&|drained| drained.push(1)), Some(Kind::Determinism));
    assert_eq!(kind(&|drained| drained.clear()), Some(Kind::Determinism));
}

#[test]
fn what_is_no_recording_is_refused() {
    let good = recording();
    let whole = bytes(&good);
    let complaint = |bytes: &[u8]| replayed(bytes).map(|outcome| outcome.is_cut).map_err(|error| error.to_string());
    assert_eq!(complaint(b""), Err("not a recording".to_owned()));
    assert_eq!(complaint(b"seed = 1\n"), Err("not a recording".to_owned()));
    assert_eq!(complaint(&whole[..whole.len() - 1]), Ok(true));
    assert_eq!(complaint(&whole[..MAGIC.len() + 2]), Ok(true));
    assert_eq!(complaint(&whole[..MAGIC.len()]), Ok(false));
    assert!(complaint(&[MAGIC, &[0xff; 8]].concat()).unwrap_err().contains("at byte 19"));
    assert!(complaint(&[MAGIC, &[1, 0, 0, 0, 77]].concat()).unwrap_err().contains("at byte 19"));
    assert!(complaint(&bytes(&good[1..])).unwrap_err().contains("does not follow"));
    assert!(complaint(&bytes(&[good.last().unwrap().clone()])).unwrap_err().contains("does not follow"));
    let durable = Entry::Input { now: NOW, input: Input::Durable { commit: orrery_core::effect::CommitId(50) } };
    assert!(complaint(&bytes(&[good[0].clone(), durable])).unwrap_err().contains("does not follow"));
}
