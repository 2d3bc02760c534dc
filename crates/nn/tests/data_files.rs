//! Readers of data files against NumPy and Pillow, and against files that are damaged, cut short, or lie about their size.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod common;
#[path = "common/files.rs"]
mod files;
#[path = "common/folder.rs"]
mod folder;

use std::fs;
use std::io::Write;

use folder::Folder;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_nn::Error;
use pullback_nn::data::cifar::{self, Cifar};
use pullback_nn::data::image::Channels;
use pullback_nn::data::{Dataset, ImageFolder, idx, npy, npz};

#[test]
fn files_are_read_as_numpy_and_pillow_read_them() {
    let folder = Folder::new("files");
    let table = files::table();
    assert!(!table.numpy.is_empty() && !table.pillow.is_empty());
    let wrong: Vec<String> =
        table.files.iter().filter_map(|file| file.compare(&folder.0).err()).collect();
    assert!(wrong.is_empty() && table.files.len() > 60, "{wrong:#?}");
}

#[test]
fn damaged_files_are_typed_errors() {
    let folder = Folder::new("hostile");
    let found = files::hostile(&folder.0);
    assert!(found.wrong.is_empty(), "{:#?}", found.wrong);
    assert!(found.short.is_empty(), "{:#?}", found.short);
    assert!(found.refused > found.tried / 3, "{} of {}", found.refused, found.tried);
}

#[test]
fn files_that_lie_about_their_size_allocate_nothing() {
    let folder = Folder::new("lies");
    let path = folder.0.join("file");
    let refused = |bytes: &[u8], read: &dyn Fn() -> pullback_nn::Result<Tensor>, what: &str| {
        fs::write(&path, bytes).unwrap();
        let error = read().unwrap_err();
        assert!(matches!(&error, Error::Data { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    };
    let npy_of = |header: &str| {
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes()].concat()
    };
    let npy = || npy::read(&path);
    let of = |shape: &str| {
        npy_of(&format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n"))
    };
    refused(&of("(1000000000000,)"), &npy, "needs 8000000000000 bytes, the file has 0 left");
    refused(&of("(4294967296, 4294967296, 4294967296)"), &npy, "more numbers than any file holds");
    refused(&of("(99999999999999999999,)"), &npy, "a size expected");
    refused(&of("(0, 4294967296, 4294967296)"), &npy, "more numbers than any file holds");
    refused(&of("(-1,)"), &npy, "a size expected");
    refused(&of("(2"), &npy, "a size expected");
    refused(&of("(2 3)"), &npy, "no comma");
    refused(&of("(1,), 'shape': (1,)"), &npy, "twice");
    refused(&of(&format!("({})", "1,".repeat(100))), &npy, "100 dimensions");
    for (descr, what) in [("<c16", "<c16"), ("|O", "|O"), ("<U3", "<U3"), ("", "type")] {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,)}}");
        refused(&npy_of(&header), &npy, what);
    }
    refused(
        &npy_of("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}"),
        &npy,
        "a text",
    );
    refused(&npy_of("{'descr': '<f8'}"), &npy, "missing");
    refused(b"\x93NUMPY\x07\x00\x00\x00", &npy, "no version 7.0");
    refused(b"\x93NUMPY\x02\x00\xff\xff\xff\xff", &npy, "the header needs 4294967295 bytes");

    let idx = || idx::read(&path);
    let mut bytes = vec![0, 0, 8, 255];
    bytes.extend([255; 255 * 4]);
    refused(&bytes, &idx, "more numbers than any file holds");
    refused(&[&[0, 0, 8, 4, 0, 0, 0, 0][..], &[255; 12]].concat(), &idx, "more numbers than any");
    refused(&[0, 0, 8, 1, 255, 255, 255, 255], &idx, "needs 4294967295 bytes");
    refused(&[0, 0, 8, 1, 0, 0, 0, 1, 7, 7], &idx, "1 bytes follow");
    refused(&[0, 0, 10, 1], &idx, "no element type 0x0a");
    refused(&[1, 0, 8, 1], &idx, "begins with 0x01");

    let image = || pullback_nn::data::image::read(&path, Channels::Rgb);
    refused(b"P6 999999999 999999999 255\n", &image, "the pixels");
    refused(b"P6 # no end", &image, "the width");
    refused(b"P5 1234567890 1 255\n1", &image, "no number");
    refused(b"P5 2 0 255\n1", &image, "2×0 pixels");
    refused(b"GIF89a", &image, "neither PNG");
    let header = |size: [u8; 4]| {
        let frame = [0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, size[0], size[1], size[2], size[3]];
        [&frame[..], &[1, 1, 0x11, 0]].concat()
    };
    refused(&header([255; 4]), &image, "15 bytes cannot unpack to 65535×65535 pixels");
    refused(
        &[header([255; 4]), vec![0; 1 << 22]].concat(),
        &image,
        "65535×65535 pixels are too many",
    );
    refused(&[header([0, 8, 0, 8]), b"\xff\xda".repeat(501)].concat(), &image, "501 scans");
    refused(b"\xff\xd8\xff", &image, "cannot be decoded");
    assert!(matches!(npy::read(folder.0.join("none")), Err(Error::Io { .. })));
    assert!(matches!(npz::read(&path), Err(Error::Data { .. })));
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_unpacks_to_more_than_it_says_or_can_is_refused() {
    let folder = Folder::new("bombs");
    let path = folder.0.join("file");
    let idx = |bytes: &[u8]| {
        fs::write(&path, gzipped(bytes)).unwrap();
        idx::read(&path)
    };
    let zeros = vec![0; 1 << 20];
    let told = |header: &[u8]| idx(&[header, &zeros].concat()).unwrap_err().to_string();
    // A mebibyte behind a header of 5 numbers is not unpacked beyond the sixth byte.
    assert!(told(&[0, 0, 8, 1, 0, 0, 0, 5]).contains("byte 13: the data should end here, 1 bytes"));
    let error = told(&[0, 0, 8, 1, 0x3f, 0xff, 0xff, 0xff]);
    assert!(error.contains("cannot unpack to numbers of dimensions [1073741823]"), "{error}");
    let error = told(&[0, 0, 14, 2, 0, 1, 0, 0, 0, 1, 0, 0]);
    assert!(error.contains("[65536, 65536] are more than 1073741824 bytes"), "{error}");
    assert!(told(&[1, 0, 8, 1]).contains("begins with 0x01"));
    let whole = idx(&[&[0, 0, 8, 1, 0, 16, 0, 0], &zeros[..]].concat()).unwrap();
    assert_eq!(whole.dims(), [1 << 20]);
    // A damaged checksum at the end is seen although all numbers are there.
    let mut spoiled = gzipped(&[0, 0, 8, 1, 0, 0, 0, 1, 7]);
    let crc = spoiled.len() - 8;
    spoiled[crc] ^= 1;
    fs::write(&path, spoiled).unwrap();
    assert!(idx::read(&path).unwrap_err().to_string().contains("cannot be unpacked"));

    let png = |size: [u32; 2], depth: u8, data: &[u8]| {
        fs::write(&path, picture(size, depth, data, &[])).unwrap();
        pullback_nn::data::image::read(&path, Channels::Rgb)
    };
    // 16 pixels of one bit in a row, a filter byte before it.
    assert_eq!(png([16, 2], 1, &[0, 255, 0, 0, 0, 255]).unwrap().dims(), [3, 2, 16]);
    let error = png([16384, 16384], 8, &[0; 100]).unwrap_err().to_string();
    assert!(error.contains("cannot unpack to (16384, 16384) pixels"), "{error}");
    let error = png([1 << 20, 1 << 20], 8, &[0; 100]).unwrap_err().to_string();
    assert!(error.contains("too many") || error.contains("limit"), "{error}");
    // Rows end early; and go on long after the last.
    assert!(matches!(png([16, 9], 1, &[0; 26]), Err(Error::Data { .. })));
    // What is beside the picture is not unpacked: a colour profile of more than a gibibyte, a mebibyte again and again.
    let mut encoder = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::best());
    encoder.write_all(&zeros).unwrap();
    encoder.flush().unwrap();
    let profile = [&b"p\0\0\x78\x9c"[..], &encoder.get_ref().repeat(1025), &[3, 0]].concat();
    fs::write(&path, picture([1, 1], 8, &[0, 7], &[(b"iCCP", &profile[..])])).unwrap();
    let pixel = pullback_nn::data::image::read(&path, Channels::Grey).unwrap();
    assert_eq!(pixel.flatten_all().unwrap().to_vec1::<u8>().unwrap(), [7]);
    let long = png([16, 2], 1, &zeros);
    assert!(long.is_err() || long.is_ok_and(|image| image.dims() == [3, 2, 16]));
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A grey picture of one chunk of data, with these chunks before it.
fn picture([width, height]: [u32; 2], depth: u8, data: &[u8], more: &[(&[u8], &[u8])]) -> Vec<u8> {
    let chunk = |name: &[u8], data: &[u8]| {
        let mut sum = flate2::Crc::new();
        sum.update(name);
        sum.update(data);
        let length = (data.len() as u32).to_be_bytes();
        [&length[..], name, data, &sum.sum().to_be_bytes()].concat()
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, 0, 0, 0, 0]].concat();
    let more: Vec<u8> = more.iter().flat_map(|(name, data)| chunk(name, data)).collect();
    let parts = [chunk(b"IHDR", &header), more, chunk(b"IDAT", &zlib(data)), chunk(b"IEND", &[])];
    [&b"\x89PNG\r\n\x1a\n"[..], &parts.concat()].concat()
}

/// An archive of one array of zeros, stored once and listed under `names` names.
fn archive(names: u16) -> Vec<u8> {
    let header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (400,), }\n";
    let array = [b"\x93NUMPY\x01\x00", &[header.len() as u8, 0][..], header, &[0; 400]].concat();
    let mut sum = flate2::Crc::new();
    sum.update(&array);
    let size = (array.len() as u32).to_le_bytes();
    // No flags, stored, no time; checksum, sizes, the name's length.
    let common =
        [&[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..], &sum.sum().to_le_bytes(), &size, &size, &[6, 0]];
    let common = common.concat();
    let mut bytes = [b"PK\x03\x04", &common[..], &[0, 0], b"00.npy", &array].concat();
    let start = (bytes.len() as u32).to_le_bytes();
    for name in 0..names {
        let name = format!("{name:02}.npy");
        let parts = [b"PK\x01\x02\x14\0", &common[..], &[0; 16], name.as_bytes()];
        bytes.extend(parts.concat());
    }
    let length = (bytes.len() as u32 - u32::from_le_bytes(start)).to_le_bytes();
    let names = names.to_le_bytes();
    let parts = [b"PK\x05\x06\0\0\0\0", &names[..], &names, &length, &start, &[0, 0]];
    bytes.extend(parts.concat());
    bytes
}

#[test]
fn members_of_an_archive_that_lie_over_each_other_are_refused() {
    let folder = Folder::new("over");
    let path = folder.0.join("file.npz");
    fs::write(&path, archive(1)).unwrap();
    assert_eq!(npz::read(&path).unwrap()["00"].dims(), [400]);
    fs::write(&path, archive(9)).unwrap();
    let error = npz::read(&path).unwrap_err().to_string();
    assert!(error.contains("bytes, the file has") && error.contains(".npy"), "{error}");
}

#[test]
fn arrays_come_back_as_they_were_written() {
    let folder = Folder::new("written");
    let path = folder.0.join("a.npy");
    let all = Tensor::arange(0i64, 24, &Device::Cpu).unwrap();
    for dtype in [DType::U8, DType::I16, DType::U32, DType::I32, DType::I64, DType::F32, DType::F64]
    {
        for dims in [&[24][..], &[2, 3, 4], &[24, 1]] {
            let tensor = all.to_dtype(dtype).unwrap().reshape(dims).unwrap();
            npy::write(&path, &tensor).unwrap();
            let found = npy::read(&path).unwrap();
            assert_eq!((found.dtype(), found.dims()), (dtype, dims));
            let same = found.to_dtype(DType::I64).unwrap().flatten_all().unwrap();
            assert_eq!(same.to_vec1::<i64>().unwrap(), all.to_vec1::<i64>().unwrap());
            let bytes = fs::read(&path).unwrap();
            assert_eq!((bytes.len() - 24 * dtype.size_in_bytes()) % 64, 0);
        }
    }
    // A view is written as what it shows; a number has no dimensions.
    npy::write(&path, &all.reshape((4, 6)).unwrap().t().unwrap()).unwrap();
    assert_eq!(npy::read(&path).unwrap().to_vec2::<i64>().unwrap()[1], [1, 7, 13, 19]);
    npy::write(&path, &Tensor::new(2.5f64, &Device::Cpu).unwrap()).unwrap();
    assert_eq!(npy::read(&path).unwrap().to_scalar::<f64>().unwrap(), 2.5);
    let deep = Tensor::zeros(vec![1; 65], DType::F32, &Device::Cpu).unwrap();
    let refused = npy::write(&path, &deep);
    assert!(matches!(refused, Err(Error::Argument { value: 65, .. })), "{refused:?}");
    let half = all.to_dtype(DType::F16).unwrap();
    assert!(matches!(npy::write(&path, &half), Err(Error::Argument { .. })));
}

#[test]
fn cifar_records_are_taken_apart() {
    let folder = Folder::new("cifar");
    let path = folder.0.join("batch.bin");
    let record = |labels: &[u8], first: u8| {
        let pixels = (0..3072u32).map(|i| first.wrapping_add((i / 1024) as u8 + (i % 32) as u8));
        labels.iter().copied().chain(pixels).collect::<Vec<u8>>()
    };
    fs::write(&path, [record(&[3], 0), record(&[9], 100)].concat()).unwrap();
    let ten = cifar::read(Cifar::Ten, [&path, &path]).unwrap();
    assert_eq!(ten.labels().to_vec1::<u32>().unwrap(), [3, 9, 3, 9]);
    assert_eq!((ten.inputs().dims(), ten.classes().len()), (&[4, 3, 32, 32][..], 10));
    let images: Vec<u8> = ten.inputs().flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!((images[0], images[1024], images[31], images[3072 + 2048 + 5]), (0, 1, 31, 107));
    fs::write(&path, [record(&[19, 99], 0), record(&[1, 20], 7)].concat()).unwrap();
    let labels = |which| cifar::read(which, [&path]).unwrap().labels().to_vec1::<u32>().unwrap();
    assert_eq!(labels(Cifar::HundredFine), [99, 20]);
    assert_eq!(labels(Cifar::HundredCoarse), [19, 1]);
    let refused = |bytes: &[u8], which| {
        fs::write(&path, bytes).unwrap();
        match cifar::read(which, [&path]) {
            Err(Error::Data { at, .. }) => at,
            other => panic!("{other:?}"),
        }
    };
    let two = [record(&[3], 0), record(&[10], 100)].concat();
    assert_eq!(refused(&two, Cifar::Ten), 3073);
    assert_eq!(refused(&two[..6145], Cifar::Ten), 3073);
    assert_eq!(refused(&[], Cifar::Ten), 0);
    assert_eq!(refused(&record(&[20, 1], 0), Cifar::HundredCoarse), 0);
    assert_eq!(refused(&record(&[1, 100], 0), Cifar::HundredFine), 1);
}

#[test]
fn folders_of_images_are_classes() {
    let folder = Folder::new("images");
    for (class, name, grey) in [
        ("cat", "b.pgm", 20u8),
        ("cat", "a.pgm", 10),
        ("dog", "x.PGM", 30),
        (".hidden", "y.pgm", 40),
    ] {
        fs::create_dir_all(folder.0.join(class)).unwrap();
        let bytes = [b"P5\n# a comment\n2 1 255\n", &[grey, grey + 1][..]].concat();
        fs::write(folder.0.join(class).join(name), bytes).unwrap();
    }
    fs::write(folder.0.join("cat/notes.txt"), "no image").unwrap();
    let images = ImageFolder::new(&folder.0, Channels::Grey).unwrap();
    assert_eq!((images.classes(), images.len()), (&["cat".to_string(), "dog".into()][..], 3));
    let batch = images.batch(&[2, 0]).unwrap();
    assert_eq!(batch[0].dims(), [2, 1, 1, 2]);
    assert_eq!(batch[0].flatten_all().unwrap().to_vec1::<u8>().unwrap(), [30, 31, 10, 11]);
    assert_eq!(batch[1].to_vec1::<u32>().unwrap(), [1, 0]);
    assert!(matches!(images.batch(&[3]), Err(Error::Index { .. })));
    assert!(matches!(images.batch(&[]), Err(Error::Argument { argument: "indices", .. })));
    // Sixteen bits, and a greatest value other than 255, are spread over all bytes.
    fs::write(folder.0.join("dog/x.PGM"), b"P5 2 1 1000\n\x01\xf4\x03\xe8").unwrap();
    let spread = images.batch(&[2]).unwrap()[0].flatten_all().unwrap().to_vec1::<u8>().unwrap();
    assert_eq!(spread, [128, 255]);
    fs::write(folder.0.join("dog/x.PGM"), b"P5 1 1 255\n\x01").unwrap();
    let error = images.batch(&[0, 2]).unwrap_err();
    assert!(error.to_string().contains("is [1, 1, 1], others are [1, 1, 2]"), "{error}");
    let table = files::table();
    let photograph = table.files.iter().find(|file| file.is_lossy()).unwrap();
    for name in ["a.jpg", "b.JPEG"] {
        fs::write(folder.0.join("dog").join(name), photograph.bytes()).unwrap();
    }
    let images = ImageFolder::new(&folder.0, Channels::Rgb).unwrap();
    assert_eq!(images.batch(&[2, 3]).unwrap()[0].dims(), [2, 3, 11, 19]);
    fs::create_dir(folder.0.join("empty")).unwrap();
    let error = ImageFolder::new(&folder.0, Channels::Rgb).unwrap_err();
    assert!(
        error.to_string().contains("empty") && error.to_string().contains("no images"),
        "{error}"
    );
}
