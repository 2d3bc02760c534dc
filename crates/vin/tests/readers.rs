//! Readers of files by others: planning archives, and damage of every kind: an error or a right value, never a panic.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use std::path::PathBuf;

use common::Random;
use pullback_core_graph::candle::{Device, Tensor};
use pullback_nn::data::npy;
use pullback_vin::Error;
use pullback_vin::archive::{Split, read_planning_archive};
use pullback_vin::grid::movingai::{parse_map, parse_scenarios};
use pullback_vin::grid::{Connectivity, Corners};

/// CRC-32 (IEEE 802.3), bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !crc
}

/// A zip file of stored members (APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.16).
fn zip(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut file, mut directory) = (vec![], vec![]);
    let number = |to: &mut Vec<u8>, x: usize, bytes: usize| to.extend(&x.to_le_bytes()[..bytes]);
    for (name, data) in members {
        let offset = file.len();
        let mut fields = vec![];
        for (x, bytes) in [(20, 2), (0, 2), (0, 2), (0, 4), (crc(data) as usize, 4)] {
            number(&mut fields, x, bytes);
        }
        for (x, bytes) in [(data.len(), 4), (data.len(), 4), (name.len(), 2), (0, 2)] {
            number(&mut fields, x, bytes);
        }
        file.extend(b"PK\x03\x04");
        file.extend(&fields);
        file.extend(name.as_bytes());
        file.extend(data);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&fields);
        for (x, bytes) in [(0, 2), (0, 2), (0, 2), (0, 4), (offset, 4)] {
            number(&mut directory, x, bytes);
        }
        directory.extend(name.as_bytes());
    }
    let start = file.len();
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    let fields = [(members.len(), 2), (members.len(), 2), (directory.len(), 4), (start, 4), (0, 2)];
    fields.iter().for_each(|(x, bytes)| number(&mut file, *x, *bytes));
    file
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pullback-vin-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Two maps of 3×4 as the public sets store them, and their distances by eight moves of length 1 with corners cut.
fn arrays() -> Vec<(Vec<usize>, Vec<f32>)> {
    let maps = [1., 1., 0., 1., 0., 1., 0., 1., 1., 1., 1., 1.].repeat(2);
    let mut goals = vec![0.0; 24];
    (goals[0], goals[12 + 3]) = (1.0, 1.0);
    let first = [0., -1., -9999., -4., -9999., -1., -9999., -3., -2., -2., -2., -3.];
    let second = [-4., -4., -9999., 0., -9999., -3., -9999., -1., -4., -3., -2., -2.];
    let distances = [first, second].concat();
    vec![
        (vec![2, 3, 4], maps),
        (vec![2, 1, 3, 4], goals),
        (vec![2, 8, 1, 3, 4], vec![0.0; 192]),
        (vec![2, 1, 3, 4], distances),
    ]
}

fn archive(folder: &std::path::Path, arrays: &[(Vec<usize>, Vec<f32>)], first: usize) -> Vec<u8> {
    let mut members = vec![];
    for (i, (dims, numbers)) in arrays.iter().enumerate() {
        let path = folder.join("array.npy");
        let t = Tensor::from_vec(numbers.clone(), dims.clone(), &Device::Cpu).unwrap();
        npy::write(&path, &t).unwrap();
        members.push((format!("arr_{}.npy", first + i), std::fs::read(&path).unwrap()));
    }
    zip(&members)
}

#[test]
fn a_planning_archive_becomes_problems() {
    let folder = folder("archive");
    let path = folder.join("set.npz");
    let moore = Connectivity::moore(Corners::Cut);
    std::fs::write(&path, archive(&folder, &arrays(), 4)).unwrap();
    let set = read_planning_archive(&path, Split::Validation, moore, 1).unwrap();
    assert_eq!((set.maps.len(), set.problems.len()), (2, 2));
    assert_eq!((set.problems[0].goal, set.problems[1].goal), (0, 3));
    assert_eq!(set.problems[0].lengths[7], 3.0);
    assert!(set.maps[0].solid()[2] && !set.maps[0].solid()[3]);
    let fails = |connectivity: Connectivity, split: Split| -> String {
        read_planning_archive(&path, split, connectivity, 1).unwrap_err().to_string()
    };
    assert!(fails(moore, Split::Test).contains("arr_8"));
    // Another rule of moves is found out by the distances.
    assert!(fails(Connectivity::octile(Corners::Cut), Split::Validation).contains("map 0, cell"));
    assert!(fails(Connectivity::Four, Split::Validation).contains("map 0"));
    let damaged = |change: &dyn Fn(&mut Vec<(Vec<usize>, Vec<f32>)>)| -> String {
        let mut all = arrays();
        change(&mut all);
        std::fs::write(&path, archive(&folder, &all, 0)).unwrap();
        let error = read_planning_archive(&path, Split::Train, moore, 1).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
        error.to_string()
    };
    assert!(damaged(&|a| a[0].1[5] = 0.5).contains("cell 5 of map 0 is 0.5"));
    assert!(damaged(&|a| a[0].1[5] = f32::NAN).contains("NaN"));
    assert!(damaged(&|a| a[1].1[1] = 1.0).contains("map 0 has 2 goals"));
    assert!(damaged(&|a| a[1].1[15] = 0.0).contains("map 1 has 0 goals"));
    assert!(damaged(&|a| a[1].1.swap(0, 2)).contains("wall"));
    assert!(damaged(&|a| a[3].1[1] = -7.0).contains("a distance of 7, ours is 1"));
    assert!(damaged(&|a| a[1].0 = vec![2, 1, 4, 3]).contains("arr_1"));
    assert!(damaged(&|a| a[0].0 = vec![24]).contains("shape [24]"));
    assert!(damaged(&|a| a[3].0 = vec![1, 2, 3, 4]).contains("arr_3"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn damaged_archives_are_errors() {
    let folder = folder("damage");
    let path = folder.join("set.npz");
    let moore = Connectivity::moore(Corners::Cut);
    let whole = archive(&folder, &arrays(), 0);
    let mut random = Random::new(3);
    let mut refused = 0;
    for round in 0..400 {
        let mut bytes = whole.clone();
        if round % 4 == 0 {
            bytes.truncate(random.below(bytes.len()));
        } else {
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        match read_planning_archive(&path, Split::Train, moore, 1) {
            Ok(set) => assert_eq!(set.problems.len(), 2),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 300, "{refused} of 400");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn damaged_maps_and_scenarios_are_errors() {
    let map = "type octile\nheight 3\nwidth 5\nmap\n..G@.\nTS.O.\n@..W.\n";
    let scenarios = "version 1\n0\ta.map\t5\t3\t0\t0\t2\t0\t2.5\n1\ta.map\t5\t3\t4\t2\t1\t1\t4\n";
    let odd =
        ["\0", "é", "\n", "\r\n", " ", "-", "9999999999999999999999", "nan", "map", "1e999", "#"];
    let mut random = Random::new(5);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..3000 {
        for (text, is_map) in [(map, true), (scenarios, false)] {
            let mut chars: Vec<String> = text.chars().map(String::from).collect();
            for _ in 0..=random.below(3) {
                let at = random.below(chars.len());
                match random.below(3) {
                    0 => drop(chars.remove(at)),
                    1 => chars.insert(at, odd[random.below(odd.len())].into()),
                    _ => chars[at] = odd[random.below(odd.len())].into(),
                }
            }
            let damaged = chars.concat();
            let fine = if is_map {
                parse_map("m", &damaged).map(|m| assert!(m.cells() <= damaged.len())).is_ok()
            } else {
                let read = parse_scenarios("s", &damaged);
                read.map(|all| assert!(all.iter().all(|s| s.length.is_finite()))).is_ok()
            };
            *(if fine { &mut good } else { &mut bad }) += 1;
        }
    }
    assert!(good > 100 && bad > 3000, "{good} read, {bad} refused");
}
