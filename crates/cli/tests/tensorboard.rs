//! Event files against `metrics.jsonl`, read by a decoder that shares nothing with the writer.

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::Folder;
use serde_json::Value;

/// By tag and step; as f32 has them.
type Scalars = BTreeMap<(String, u64), f32>;

/// CRC-32C bit by bit (RFC 3720, B.4), then TFRecord's mask.
fn masked_crc(bytes: &[u8]) -> u32 {
    let crc = !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    });
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn take<'a>(bytes: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (head, tail) = bytes.split_at(n);
    *bytes = tail;
    head
}

fn records(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let length = take(&mut bytes, 8);
        assert_eq!(take(&mut bytes, 4), masked_crc(length).to_le_bytes());
        let data = take(&mut bytes, u64::from_le_bytes(length.try_into().unwrap()) as usize);
        assert_eq!(take(&mut bytes, 4), masked_crc(data).to_le_bytes());
        records.push(data);
    }
    records
}

/// The fields of a message: number, and what it holds as bytes (a varint as eight).
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = take(bytes, 1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let content = match key & 7 {
            0 => varint(&mut bytes).to_le_bytes().to_vec(),
            1 => take(&mut bytes, 8).to_vec(),
            2 => {
                let length = varint(&mut bytes) as usize;
                take(&mut bytes, length).to_vec()
            }
            5 => take(&mut bytes, 4).to_vec(),
            kind => panic!("wire type {kind}"),
        };
        fields.push((key >> 3, content));
    }
    fields
}

fn number(fields: &[(u64, Vec<u8>)], field: u64) -> Option<&[u8]> {
    fields.iter().find(|(number, _)| *number == field).map(|(_, content)| content.as_slice())
}

fn scalars(folder: &Folder, stage: &str) -> Scalars {
    let files = folder.files(&format!("out/tensorboard/{stage}"));
    assert_eq!(files.len(), 1, "{files:?}");
    let name = files.first().unwrap();
    assert!(name.starts_with("events.out.tfevents."), "{name}");
    let bytes = fs::read(folder.path(&format!("out/tensorboard/{stage}/{name}"))).unwrap();
    let mut scalars = Scalars::new();
    for (place, record) in records(&bytes).into_iter().enumerate() {
        let event = fields(record);
        assert!(f64::from_le_bytes(number(&event, 1).unwrap().try_into().unwrap()) > 1.7e9);
        if place == 0 {
            assert_eq!(number(&event, 3), Some(&b"brain.Event:2"[..]));
        }
        let step = number(&event, 2).map_or(0, |step| u64::from_le_bytes(step.try_into().unwrap()));
        for (_, value) in number(&event, 5).map(fields).into_iter().flatten() {
            let value = fields(&value);
            let tag = String::from_utf8(number(&value, 1).unwrap().to_vec()).unwrap();
            let content = f32::from_le_bytes(number(&value, 2).unwrap().try_into().unwrap());
            assert_eq!(scalars.insert((tag, step), content), None);
        }
    }
    scalars
}

#[test]
fn event_files_say_what_metrics_jsonl_says() {
    let folder = Folder::new();
    folder.run("run config.yaml").expect(0);
    let lines = folder.text("out/metrics.jsonl");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for stage in ["relative", "absolute"] {
        let mut expected = Scalars::new();
        for line in lines.iter().filter(|line| line["stage"] == stage) {
            let step = line["step"].as_u64().unwrap();
            for (key, value) in line.as_object().unwrap() {
                if let (false, Some(value)) =
                    (["step", "epoch", "seconds"].contains(&key.as_str()), value.as_f64())
                {
                    expected.insert((key.clone(), step), value as f32);
                }
            }
        }
        assert!(expected.len() > 6, "{expected:?}");
        assert_eq!(scalars(&folder, stage), expected, "{stage}");
    }
}
