#!/usr/bin/env python3
"""Writes crates/nn/tests/data/files.json: small npy, npz, PNG and JPEG files, and what NumPy and Pillow read from them.

    python3 -m venv target/data-venv
    target/data-venv/bin/pip install -r tools/reference/requirements-data.txt
    target/data-venv/bin/python tools/reference/generate_nn_data.py

The files stand in hexadecimal digits. IDX and CIFAR files, which no package writes, are put together here byte by byte from arrays of NumPy.
"""

import gzip
import io
import json
import pathlib
import struct

import numpy as np
import PIL
from PIL import Image

DATA = pathlib.Path(__file__).resolve().parents[2] / "crates" / "nn" / "tests" / "data"


def numbers(dtype, shape):
    """Values over the type's whole range, extremes included."""
    random = np.random.default_rng(7)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return random.integers(0, 2, shape).astype(bool)
    if dtype.kind == "f":
        return (random.standard_normal(shape) * 10.0 ** random.integers(-30, 30, shape)).astype(dtype)
    info = np.iinfo(dtype)
    values = random.integers(info.min, info.max, shape, dtype=dtype.newbyteorder("="), endpoint=True).astype(dtype)
    if values.size > 1:
        values.flat[0], values.flat[-1] = info.min, info.max
    return values


def text(array):
    """Floats as the shortest decimals of their own type; integers in full."""
    return [str(v) for v in array.ravel(order="C").tolist()]


def entry(kind, name, content, array):
    return {"kind": kind, "name": name, "file": content.hex(), "shape": list(array.shape), "values": text(array)}


def npy(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def arrays():
    for code in ["?", "|i1", "|u1", "<i2", ">i2", "<i4", ">i4", "<u4", ">u4", "<i8", ">i8", "<f4", ">f4", "<f8", ">f8"]:
        array = numbers(code, (3, 4))
        yield entry("npy", code, npy(array), array)
        fortran = np.asfortranarray(numbers(code, (2, 3, 4)))
        yield entry("npy", f"{code} in Fortran order", npy(fortran), fortran)
    for shape in [(), (5,), (0,), (2, 0, 3), (1, 1, 1, 1, 2)]:
        array = numbers("<f4", shape) if shape else np.array(1.5, dtype="<f4")
        yield entry("npy", f"shape {shape}", npy(array), array)
    for version in [(1, 0), (2, 0), (3, 0)]:
        array = numbers("<f8", (2, 2))
        yield entry("npy", f"version {version[0]}.{version[1]}", npy(array, version), array)


def archives():
    a, b = numbers("<f4", (2, 3)), np.arange(600, dtype="<i8").reshape(20, 30)
    for name, save in [("stored", np.savez), ("deflated", np.savez_compressed)]:
        file = io.BytesIO()
        save(file, a=a, b=b)
        yield entry("npz", name, file.getvalue(), np.concatenate([a.ravel().astype("f8"), b.ravel().astype("f8")]))


def images():
    random = np.random.default_rng(3)
    colour = random.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    kinds = {
        "colour": (Image.fromarray(colour), {}),
        "grey": (Image.fromarray(colour[:, :, 0]), {}),
        "colour and opacity": (Image.fromarray(random.integers(0, 256, (5, 7, 4), dtype=np.uint8)), {}),
        "grey and opacity": (Image.fromarray(random.integers(0, 256, (5, 7, 2), dtype=np.uint8), "LA"), {}),
        "palette": (Image.fromarray(colour).quantize(11), {}),
        "one bit": (Image.fromarray(colour[:, :, 0]).convert("1"), {}),
        "two bits of a palette": (Image.fromarray(colour).quantize(4), {"bits": 2}),
        "optimized": (Image.fromarray(colour), {"optimize": True}),
    }
    for name, (image, options) in kinds.items():
        for extension in ["png", "ppm"]:
            if extension == "ppm" and image.mode not in ["RGB", "L"]:
                continue
            file = io.BytesIO()
            image.save(file, extension, **(options if extension == "png" else {}))
            content = file.getvalue()
            again = Image.open(io.BytesIO(content))
            planes = np.moveaxis(np.asarray(again.convert("RGB")), 2, 0)
            yield entry("rgb", f"{extension}, {name}", content, planes)
            if image.mode in ["RGB", "L"]:
                grey = np.asarray(again.convert("L"))[None]
                yield entry("grey", f"{extension}, {name}", content, grey)


def photographs():
    """Lossy: each decoder rounds its own way, so readers are compared to within a few levels."""
    y, x = np.mgrid[0:11, 0:19]
    waves = [128 + 100 * np.sin(x / 6 + y / 9), 128 + 100 * np.cos(x / 11 - y / 5), (x * 5 + y * 3) % 256]
    colour = Image.fromarray(np.stack(waves, -1).clip(0, 255).astype("u1"))
    noise = Image.fromarray(np.random.default_rng(5).integers(0, 256, (11, 19, 3), dtype=np.uint8))
    kinds = {
        "colour": (colour, {"subsampling": 0}),
        "colour, half as wide": (colour, {"subsampling": 1}),
        "colour, half as wide and high": (colour, {"subsampling": 2}),
        "colour, progressive": (colour, {"subsampling": 2, "progressive": True}),
        "noise": (noise, {"quality": 95}),
        "with restarts": (noise, {"restart_marker_blocks": 1}),
        "red, green, blue": (colour, {"keep_rgb": True}),
        "four inks": (noise.convert("CMYK"), {}),
        "grey": (colour.convert("L"), {}),
        "grey, progressive": (noise.convert("L"), {"progressive": True}),
    }
    for name, (image, options) in kinds.items():
        file = io.BytesIO()
        image.save(file, "jpeg", **options)
        again = Image.open(io.BytesIO(file.getvalue()))
        planes = np.moveaxis(np.asarray(again.convert("RGB")), 2, 0)
        yield entry("jpeg", name, file.getvalue(), planes)


def idx():
    for code, element in [("|u1", 8), ("|i1", 9), (">i2", 11), (">i4", 12), (">f4", 13), (">f8", 14)]:
        for shape in [(4, 3, 2), (6,)]:
            array = numbers(code, shape)
            content = bytes([0, 0, element, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()
            yield entry("idx", f"{code} {shape}", content, array)
            if element == 8:
                yield entry("idx", f"{code} {shape}, by gzip", gzip.compress(content, mtime=0), array)


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    entries = [*arrays(), *archives(), *images(), *photographs(), *idx()]
    lines = ",\n".join(json.dumps(e, separators=(",", ":")) for e in entries)
    head = {"generator": "tools/reference/generate_nn_data.py", "numpy": np.__version__, "pillow": PIL.__version__}
    (DATA / "files.json").write_text(json.dumps(head)[:-1] + ', "files": [\n' + lines + "\n]}\n")
    print(len(entries), "files")


if __name__ == "__main__":
    main()
