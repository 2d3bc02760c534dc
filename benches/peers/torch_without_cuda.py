"""Lets the CUDA build of PyTorch load and run on the CPU without NVIDIA's libraries.

The Linux wheel of the package index links cuBLAS, cuDNN and others, gigabytes that a CPU run never calls but that the loader
wants to find. This writes a shared library for each of them beside torch's own, with the symbols that torch asks for under
the versions it asks for; calling one ends the process. Run it with the Python that has torch installed; it does nothing for
builds that do not link CUDA, and again nothing when all libraries are there. Needs cc and readelf.
"""

import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Unversioned symbols say whose they are by their prefix only.
PREFIXES = {"cusparseLt": "libcusparseLt.so", "nccl": "libnccl.so", "cuFile": "libcufile.so"}
# The runtime is installed; the driver's library is opened on demand only.
PRESENT = ("libcudart.so", "libcuda.so")


def read_elf(library):
    """The libraries that `library` needs, and its undefined symbols as (name, kind, version)."""
    text = subprocess.run(["readelf", "--dyn-syms", "-dVW", library], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"\(NEEDED\).*\[(.+?)\]", text))
    # Version needs are grouped by library: which library a version name belongs to.
    owner = {}
    for group in re.finditer(r"File: (\S+)\s+Cnt: \d+\n((?:.*Name: .*\n)+)", text):
        for version in re.findall(r"Name: (\S+)", group[2]):
            owner[version] = group[1]
    symbols = re.findall(r"\b(FUNC|OBJECT|NOTYPE)\s.*\bUND\s+(\w+)(?:@(\S+))?", text)
    return needed, [(name, kind, version, owner.get(version)) for kind, name, version in symbols]


def stand_in(path, symbols):
    """A library with these {name: (kind, version)}; functions trap, objects are zeros."""
    lines, versions = [], {}
    for name, (kind, version) in sorted(symbols.items()):
        lines.append(f"char {name}[4096];" if kind == "OBJECT" else f"void {name}(void) {{ __builtin_trap(); }}")
        if version:
            versions.setdefault(version, []).append(name)
    with tempfile.TemporaryDirectory() as folder:
        source, script = pathlib.Path(folder, "stand_in.c"), pathlib.Path(folder, "versions")
        source.write_text("\n".join(lines) + "\n")
        command = ["cc", "-w", "-shared", "-fPIC", "-o", str(path), f"-Wl,-soname,{path.name}", str(source)]
        if versions:
            script.write_text("".join(f"{v} {{ global: {'; '.join(names)}; }};\n" for v, names in versions.items()))
            command.append(f"-Wl,--version-script={script}")
        subprocess.run(command, check=True)


def main():
    found = importlib.util.find_spec("torch")
    if found is None:
        sys.exit("torch is not installed here")
    folder = pathlib.Path(found.submodule_search_locations[0]) / "lib"
    if not (folder / "libtorch_cuda.so").exists():
        return
    for tool in ("cc", "readelf"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is missing: it makes the stand-ins for the CUDA libraries that torch links")
    needed, wanted = set(), {}
    for library in sorted(folder.glob("lib*.so*")):
        library_needs, symbols = read_elf(library)
        needed |= library_needs
        for name, kind, version, owner in symbols:
            by_prefix = next((lib for prefix, lib in PREFIXES.items() if not version and name.startswith(prefix)), None)
            if owner or by_prefix:
                wanted.setdefault(owner or by_prefix, {})[name] = (kind, version)
    made = []
    for name in sorted(needed):
        stem = name.split(".so")[0] + ".so"
        if not re.match(r"lib(cu|nccl|nv)", name) or stem in PRESENT or (folder / name).exists():
            continue
        stand_in(folder / name, wanted.get(name) or wanted.get(stem) or {})
        made.append(name)
    print(f"torch runs on the CPU; stand-ins for {len(made)} CUDA libraries in {folder.name}/: {', '.join(made)}")


if __name__ == "__main__":
    main()
