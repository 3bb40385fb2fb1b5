//! What a process and a folder take: processor time, memory, bytes on disk, as the system says.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

/// Ticks a second in `/proc/<pid>/stat`: the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// A process that took no more than one tick in this time is at rest.
const REST_LOOK: Duration = Duration::from_millis(400);
/// The same where nothing may be left to write: longer than any pause between its checkpoints.
const SETTLED_LOOK: Duration = Duration::from_millis(2_600);

/// Processor time of a process so far, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program, in brackets, may hold spaces.
    let (_, rest) = stat.rsplit_once(')').context("a stat line has a name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let (user, system) = (fields.get(11), fields.get(12));
    let ticks = |field: Option<&&str>| field.and_then(|text| text.parse::<f64>().ok());
    let total = ticks(user).zip(ticks(system)).context("a stat line has its times")?;
    Ok((total.0 + total.1) / TICKS_PER_SECOND)
}

/// Waits until a process is at rest; its processor time so far, in seconds.
pub(crate) fn cpu_at_rest(pid: u32) -> anyhow::Result<f64> {
    cpu_once_calm(pid, REST_LOOK)
}

/// As [`cpu_at_rest`], with its checkpoints written: what the work before has cost in all.
pub(crate) fn cpu_settled(pid: u32) -> anyhow::Result<f64> {
    cpu_once_calm(pid, SETTLED_LOOK)
}

fn cpu_once_calm(pid: u32, look: Duration) -> anyhow::Result<f64> {
    let mut before = cpu_seconds(pid)?;
    loop {
        thread::park_timeout(look);
        let now = cpu_seconds(pid)?;
        if now - before <= 1.0 / TICKS_PER_SECOND {
            return Ok(now);
        }
        before = now;
    }
}

/// Largest resident memory of a process so far, in MB.
pub(crate) fn peak_megabytes(pid: u32) -> anyhow::Result<f64> {
    Ok(status_kilobytes(pid, "VmHWM:")? / 1_000.0)
}

/// Resident memory of a process now, in kB.
pub(crate) fn resident_kilobytes(pid: u32) -> anyhow::Result<f64> {
    status_kilobytes(pid, "VmRSS:")
}

fn status_kilobytes(pid: u32, key: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().next());
    // The system counts in KiB.
    Ok(number.context("a process has memory")?.parse::<f64>()? * 1.024)
}

/// Bytes of all files below a folder.
pub(crate) fn folder_bytes(dir: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for file in fs::read_dir(dir)? {
        let file = file?;
        let about = file.metadata()?;
        bytes += if about.is_dir() { folder_bytes(&file.path())? } else { about.len() };
    }
    Ok(bytes)
}
