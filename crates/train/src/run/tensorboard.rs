//! TensorBoard event files: what `metrics.jsonl` has, as `tensorboard --logdir` shows it.
//!
//! ```text
//! <output_dir>/tensorboard/<stage>/events.out.tfevents.<seconds>.<microseconds>.pair2score
//! ```
//!
//! A folder per stage, because both count their steps from 1. A file is a sequence of records (TFRecord: length, check
//! sum of the length, bytes, check sum of the bytes), and a record a protobuf message `Event`. Four messages with eight
//! fields are written here by hand, which is less than a code generator and its runtime would be:
//!
//! ```text
//! Event       1 wall_time: double   2 step: int64   3 file_version: string   5 summary   7 session_log
//! Summary     1 value: repeated     Value           1 tag: string            2 simple_value: float
//! SessionLog  1 status: enum, 1 = START
//! ```

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The folder within a run's outputs.
const FOLDER: &str = "tensorboard";

/// An event file that grows record by record.
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
    failed: bool,
}

impl EventFile {
    /// A new file of a stage, which goes on after these steps: a reader forgets what earlier files say about later
    /// ones.
    ///
    /// # Errors
    /// A message, when it cannot be written.
    pub(super) fn create(output_dir: &Path, stage: &str, steps: usize) -> Result<Self, String> {
        let folder = output_dir.join(FOLDER).join(stage);
        let now = now();
        // Readers take the files of a folder in the order of their names.
        let (seconds, microseconds) = (now as u64, (now.fract() * 1e6) as u32);
        let name = format!("events.out.tfevents.{seconds:010}.{microseconds:06}.pair2score");
        let path = folder.join(name);
        let file = fs::create_dir_all(&folder)
            .and_then(|()| File::create(&path))
            .map_err(|error| format!("{}: cannot be written: {error}", path.display()))?;
        let mut events = Self { path, file, failed: false };
        events.write(&[version(now), session_start(now, steps + 1)].concat())?;
        Ok(events)
    }

    /// Appends numbers of a step; a file that cannot be written is reported once and does not stop the run.
    ///
    /// # Errors
    /// That message.
    pub(super) fn scalars(&mut self, step: usize, values: &[(&str, f64)]) -> Result<(), String> {
        self.write(&summary(now(), step, values))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.failed {
            return Ok(());
        }
        self.file.write_all(bytes).map_err(|error| {
            self.failed = true;
            format!("{}: cannot be written any more: {error}", self.path.display())
        })
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// The record that every file begins with.
fn version(time: f64) -> Vec<u8> {
    record(&event(time, 0, 3, b"brain.Event:2"))
}

/// The record that says that steps from this one on begin here.
fn session_start(time: f64, step: usize) -> Vec<u8> {
    const START: u64 = 1;
    record(&event(time, step, 7, &[key(1, VARINT), varint(START)].concat()))
}

/// The record of some numbers of a step.
fn summary(time: f64, step: usize, values: &[(&str, f64)]) -> Vec<u8> {
    let value = |(tag, number): &(&str, f64)| {
        let number = [key(2, FIXED32), (*number as f32).to_le_bytes().to_vec()].concat();
        bytes(1, &[bytes(1, tag.as_bytes()), number].concat())
    };
    let values: Vec<u8> = values.iter().flat_map(value).collect();
    record(&event(time, step, 5, &values))
}

/// An `Event` with one of its possible contents.
fn event(time: f64, step: usize, field: u64, content: &[u8]) -> Vec<u8> {
    let mut message = [key(1, FIXED64), time.to_le_bytes().to_vec()].concat();
    // A field that has its default, 0, is not written.
    if step > 0 {
        message.extend([key(2, VARINT), varint(step as u64)].concat());
    }
    message.extend(bytes(field, content));
    message
}

/// Kinds of protobuf fields.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

fn key(field: u64, kind: u64) -> Vec<u8> {
    varint(field << 3 | kind)
}

fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
    [key(field, BYTES), varint(content.len() as u64), content.to_vec()].concat()
}

/// Seven bits a byte, the lowest first; the eighth says that there are more.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A message with its length and both check sums.
fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    [&length, &masked_crc(&length)[..], message, &masked_crc(message)].concat()
}

/// CRC-32C, turned and shifted so that the check sum of data with check sums in it is not a special one.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What TensorBoard's own writer makes of the same events; see `scripts/peers/tensorboard_check.py --record`.
    const RECORDED: &[u8] = include_bytes!("../../tests/fixtures/tensorboard.tfevents");

    #[test]
    fn the_bytes_are_those_of_tensorboard() {
        let ours = [
            version(1_700_000_000.25),
            session_start(1_700_000_001.5, 301),
            summary(1_700_000_002.0, 400, &[("loss", 0.625), ("lr", 0.0001)]),
            // A length and a step beyond one byte, and a tag that is not ASCII.
            summary(
                1_700_000_003.0,
                5_000_000_000,
                &[("ein sehr langer Name für eine Zahl ".repeat(5).as_str(), -1.5)],
            ),
            summary(1_700_000_004.0, 0, &[("val_qwk", 0.0)]),
        ];
        assert_eq!(ours.concat(), RECORDED);
    }

    #[test]
    fn a_damaged_folder_is_a_message() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FOLDER), "a file").unwrap();
        let problem = EventFile::create(folder.path(), "relative", 0).err().unwrap();
        assert!(problem.contains("tensorboard") && problem.contains("cannot be written"), "{problem}");
    }
}
