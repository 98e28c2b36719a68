//! What a process has used, from `/proc`: processor time of all its threads, memory, bytes written; and a folder's size.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::error::{LoadError, Result};

/// The kernel's unit of processor time in `/proc/PID/stat` (`USER_HZ`), the same on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// A process's use of the machine since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all threads, also of those that ended.
    pub cpu: Duration,
    /// Resident memory now, in bytes.
    pub resident: u64,
    /// Bytes that it made the storage layer write.
    pub written: u64,
}

impl Usage {
    /// # Errors
    /// When the process is gone, or belongs to another user.
    pub fn of(pid: u32) -> Result<Usage> {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
        let missing = |name: &str| LoadError::Answer(format!("/proc/{pid}/{name} lacks a field"));
        Ok(Usage {
            cpu: cpu_time(&read("stat")?).ok_or_else(|| missing("stat"))?,
            resident: field(&read("status")?, "VmRSS:").ok_or_else(|| missing("status"))? * 1024,
            written: field(&read("io")?, "write_bytes:").ok_or_else(|| missing("io"))?,
        })
    }

    /// The processor time and bytes written since `earlier`; the memory of now.
    #[must_use]
    pub fn since(self, earlier: Usage) -> Usage {
        Usage {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            resident: self.resident,
            written: self.written.saturating_sub(earlier.written),
        }
    }
}

/// `utime` and `stime` (fields 14 and 15) of `/proc/PID/stat`. The second field, the name, may hold spaces and brackets.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * (user + system))
}

/// The number after `name` at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The bytes that a folder's files occupy on disk, in allocated blocks.
///
/// # Errors
/// When the folder cannot be read. Files that vanish meanwhile count as nothing.
pub fn disk_usage(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        bytes += if metadata.is_dir() { disk_usage(&path)? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_survives_any_name() {
        let stat = |name: &str| format!("42 ({name}) S 1 42 42 0 -1 4194560 500 0 0 0 12 34 0 0 20 0 3 0 100 1 2 3");
        for name in ["orrery", "a b", "x) S 9 9 9 9 9 9 9 9 9 9 9 9"] {
            assert_eq!(cpu_time(&stat(name)), Some(Duration::from_millis(460)), "{name}");
        }
        assert_eq!(cpu_time("42 (cut) S 1"), None);
    }

    #[test]
    fn fields() {
        let status = "Name:\torrery\nVmHWM:\t   20 kB\nVmRSS:\t   15360 kB\n";
        assert_eq!(field(status, "VmRSS:"), Some(15360));
        assert_eq!(field(status, "VmSwap:"), None);
        assert_eq!(field("rchar: 1\ncancelled_write_bytes: 7\nwrite_bytes: 8\n", "write_bytes:"), Some(8));
    }

    #[test]
    fn own_usage() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident > 0);
        assert_eq!(usage.since(usage).cpu, Duration::ZERO);
        assert!(Usage::of(u32::MAX).is_err());
    }
}
