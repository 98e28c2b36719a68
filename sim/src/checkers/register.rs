//! Registers: something that is written and read, by many at once, through a server that crashes. A read must give the value
//! of a write that was not certainly replaced before the read began, and that had begun before the read ended.

use super::restores::Restore;
use crate::clock::Time;

/// Names a write within its register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteId(usize);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Write {
    /// `None` is "not there".
    value: Option<String>,
    began: Time,
    /// When it was acknowledged: from then on older writes are replaced.
    acknowledged: Option<Time>,
    /// From when on it cannot take effect any more: an attempt that was given up may arrive late.
    settled: Option<Time>,
    /// It certainly had no effect.
    refused: bool,
    /// When restored backups lost it (`true`), and when they brought it back.
    turns: Vec<(Time, bool)>,
}

impl Write {
    /// Whether it has no effect at that time, because a backup was restored.
    fn is_lost_at(&self, time: Time) -> bool {
        self.turns.iter().rev().find(|turn| turn.0 <= time).is_some_and(|turn| turn.1)
    }

    /// Whether it has none in all of that time.
    fn is_lost_through(&self, (began, ended): (Time, Time)) -> bool {
        self.is_lost_at(began) && !self.turns.iter().any(|turn| !turn.1 && began < turn.0 && turn.0 < ended)
    }

    fn is_lost(&self) -> bool {
        self.turns.last().is_some_and(|turn| turn.1)
    }
}

/// The writes of one register. It begins as "not there".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    writes: Vec<Write>,
}

impl History {
    pub fn begin(&mut self, value: Option<String>, now: Time) -> WriteId {
        self.writes.push(Write {
            value,
            began: now,
            acknowledged: None,
            settled: None,
            refused: false,
            turns: Vec::new(),
        });
        WriteId(self.writes.len() - 1)
    }

    /// The write was acknowledged; `settled` is when its last attempt has certainly ended.
    pub fn acknowledge(&mut self, id: WriteId, now: Time, settled: Time) {
        let write = &mut self.writes[id.0];
        write.acknowledged = Some(now);
        write.settled = Some(settled);
    }

    /// The write certainly had no effect.
    pub fn refuse(&mut self, id: WriteId) {
        self.writes[id.0].refused = true;
    }

    /// A backup is restored. Of what was acknowledged since, what began after the backup is lost; the rest may be. What other
    /// restorations lost, and brought back, is as it was when the backup was taken.
    pub fn restored(&mut self, restore: Restore) {
        for write in self.writes.iter_mut().filter(|write| write.began <= restore.taken) {
            let lost = write.is_lost_at(restore.taken);
            if lost != write.is_lost() {
                write.turns.push((restore.at, lost));
            }
        }
        for write in self.writes.iter_mut().filter(|write| write.acknowledged.is_some_and(|at| restore.loses(at))) {
            let settled = write.settled.is_some_and(|settled| settled <= restore.at);
            if settled && write.began > restore.taken {
                write.turns.push((restore.at, true));
            } else {
                write.acknowledged = None;
                write.settled = write.settled.max(Some(restore.at));
            }
        }
    }

    /// What a read that lasted from `began` to `ended` may give.
    #[must_use]
    pub fn plausible(&self, began: Time, ended: Time) -> Vec<Option<&str>> {
        let written = self.writes.iter().filter(|write| !write.refused && !write.is_lost_through((began, ended)));
        // A write is certainly replaced by one that began when it was settled, and was acknowledged before the read.
        let latest_start = written
            .clone()
            .filter(|write| write.acknowledged.is_some_and(|acknowledged| acknowledged <= began))
            // A read may see what was there before and what was there after.
            .filter(|write| write.turns.last().is_none_or(|turn| turn.0 <= began))
            .map(|write| write.began)
            .max();
        let replaced =
            |settled: Option<Time>| settled.is_some_and(|settled| latest_start.is_some_and(|latest| latest >= settled));
        let mut values: Vec<Option<&str>> = Vec::new();
        if latest_start.is_none() {
            values.push(None);
        }
        for write in written {
            if write.began < ended && !replaced(write.settled) {
                values.push(write.value.as_deref());
            }
        }
        values
    }

    /// Whether a read may give `value`; if not, what it may give.
    pub fn check(&self, value: Option<&str>, began: Time, ended: Time) -> Result<(), String> {
        let plausible = self.plausible(began, ended);
        if plausible.contains(&value) {
            return Ok(());
        }
        let show = |value: &Option<&str>| value.unwrap_or("(not there)").to_owned();
        let expected: Vec<String> = plausible.iter().map(show).collect();
        Err(format!("read {}, expected {}", show(&value), expected.join(" or ")))
    }

    /// The values of writes that were acknowledged and are not lost.
    pub fn acknowledged(&self) -> impl Iterator<Item = Option<&str>> {
        let acknowledged = self.writes.iter().filter(|write| write.acknowledged.is_some() && !write.is_lost());
        acknowledged.map(|write| write.value.as_deref())
    }

    /// The values of writes that may have had an effect.
    pub fn values(&self) -> impl Iterator<Item = Option<&str>> {
        self.writes.iter().filter(|write| !write.refused).map(|write| write.value.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One write: value, begin, and acknowledgement with the time from which it is settled.
    type Case = (&'static str, u64, Option<(u64, u64)>);

    fn check(writes: &[Case], read: (u64, u64), expected: &[Option<&str>]) {
        let mut history = History::default();
        for (value, began, acknowledged) in writes {
            let id = history.begin(Some((*value).to_owned()), Time(*began));
            if let Some((at, settled)) = acknowledged {
                history.acknowledge(id, Time(*at), Time(*settled));
            }
        }
        let (began, ended) = (Time(read.0), Time(read.1));
        assert_eq!(history.plausible(began, ended), expected);
        for value in expected {
            assert_eq!(history.check(*value, began, ended), Ok(()));
        }
        assert!(history.check(Some("never written"), began, ended).is_err());
    }

    #[test]
    fn an_acknowledged_write_is_read() {
        check(&[], (10, 20), &[None]);
        check(&[("a", 1, Some((2, 2)))], (10, 20), &[Some("a")]);
    }

    #[test]
    fn a_later_write_replaces_an_earlier() {
        check(&[("a", 1, Some((2, 2))), ("b", 3, Some((4, 4)))], (10, 20), &[Some("b")]);
        // At the same time: either may have been last.
        check(&[("a", 1, Some((5, 5))), ("b", 3, Some((4, 4)))], (10, 20), &[Some("a"), Some("b")]);
    }

    #[test]
    fn a_write_without_answer_may_have_happened() {
        check(&[("a", 1, None)], (10, 20), &[None, Some("a")]);
        check(&[("a", 1, Some((2, 2))), ("b", 3, None)], (10, 20), &[Some("a"), Some("b")]);
    }

    #[test]
    fn a_write_that_lingers_may_come_back() {
        check(&[("a", 1, Some((2, 9))), ("b", 3, Some((4, 4)))], (10, 20), &[Some("a"), Some("b")]);
        check(&[("a", 1, Some((2, 9))), ("b", 10, Some((11, 11)))], (12, 20), &[Some("b")]);
    }

    #[test]
    fn a_read_during_a_write_gives_either() {
        check(&[("a", 15, Some((25, 25)))], (10, 20), &[None, Some("a")]);
        check(&[("a", 25, Some((26, 26)))], (10, 20), &[None]);
    }

    #[test]
    fn what_came_after_a_backup_is_lost_and_what_came_with_it_may_be() {
        let mut history = History::default();
        for (value, began, acknowledged) in [("before", 1, 2), ("with", 3, 5), ("after", 6, 7), ("later", 12, 13)] {
            let id = history.begin(Some(value.to_owned()), Time(began));
            history.acknowledge(id, Time(acknowledged), Time(acknowledged));
            if value == "after" {
                assert_eq!(history.plausible(Time(8), Time(9)), [Some("after")]);
                history.restored(Restore { server: 0, taken: Time(4), at: Time(10) });
                assert_eq!(history.plausible(Time(8), Time(11)), [Some("before"), Some("with"), Some("after")]);
                assert_eq!(history.plausible(Time(11), Time(12)), [Some("before"), Some("with")]);
            }
        }
        assert_eq!(history.plausible(Time(14), Time(15)), [Some("later")]);
        // An older backup, which was taken before the first was restored.
        history.restored(Restore { server: 0, taken: Time(8), at: Time(20) });
        assert_eq!(history.plausible(Time(21), Time(22)), [Some("with"), Some("after")]);
        // During a time without either it was not there.
        assert_eq!(history.plausible(Time(15), Time(19)), [Some("before"), Some("with"), Some("later")]);
        // And one that was taken between the two.
        history.restored(Restore { server: 0, taken: Time(11), at: Time(30) });
        assert_eq!(history.plausible(Time(31), Time(32)), [Some("before"), Some("with")]);
    }

    #[test]
    fn a_refused_write_is_not_read() {
        let mut history = History::default();
        let id = history.begin(Some("a".to_owned()), Time(1));
        history.refuse(id);
        assert_eq!(history.plausible(Time(5), Time(6)), [None]);
    }
}
