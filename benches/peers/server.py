"""The peer server: runs the work of our benches in other people's systems, on request.

One JSON object a line on standard input, one answer a line on standard output:

    {"hello": 1}                                  {"hello": 1}
    {"load": "torch/CASE", "params": {...}}       {"ready": ID, "system": "torch 2.15.0"}
    {"run": ID, "reps": N}                        {"seconds_per_rep": S, "check": NUMBER}
    {"values": ID, "to": FILE}                    {"count": N}: N numbers, little-endian f64, are in the file
    anything that fails                           {"error": TEXT}

A case is a function of its parameters that returns (measure, check) or (measure, check, values): measure(reps) gives the mean
seconds per repetition, check() a number the work results in, values() all numbers of it; the bench compares them with its own. Cases live in cases_<crate>.py, in a dictionary
CASES from "system/name" to the function. A system is imported when its first case is loaded.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import pathlib
import sys
import time
import traceback

import numpy as np


def pin(threads):
    """Both systems size their pools by the processors that this process may use, so it may use only that many."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    # OpenMP threads that spin at a barrier lose a whole time slice when anything else runs on the core: next to a compiler,
    # 1024 Cholesky factors of 6×6 took torch 160 ms instead of 1.7. Set OMP_WAIT_POLICY=active to see the other way.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ["JAX_ENABLE_X64"] = "1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["PULLBACK_PEER_THREADS"] = str(threads)


def version_of(system):
    module = importlib.import_module(system)
    version = getattr(module, "__version__", None) or importlib.metadata.version(system)
    return f"{system} {version.split('+')[0]}"


class Server:
    def __init__(self):
        self.cases = {}
        self.known = None

    def catalogue(self):
        if self.known is None:
            self.known = {}
            here = pathlib.Path(__file__).resolve().parent
            for path in sorted(here.glob("cases_*.py")):
                self.known.update(importlib.import_module(path.stem).CASES)
        return self.known

    def answer(self, request):
        if "hello" in request:
            return {"hello": 1}
        if "load" in request:
            name = request["load"]
            if name not in self.catalogue():
                raise KeyError(f"no case {name}; there are {', '.join(sorted(self.catalogue()))}")
            case = str(len(self.cases))
            self.cases[case] = self.catalogue()[name](**request.get("params", {}))
            return {"ready": case, "system": version_of(name.split("/")[0])}
        if "run" in request:
            measure, check = self.cases[request["run"]][:2]
            answer = {"seconds_per_rep": measure(int(request["reps"])), "check": float(check())}
            # Idle threads of a pool spin for a moment before they sleep; that moment must not fall into the other's turn.
            time.sleep(0.02)
            return answer
        if "values" in request:
            values = np.ascontiguousarray(self.cases[request["values"]][2](), dtype="<f8").ravel()
            values.tofile(request["to"])
            return {"count": values.size}
        raise ValueError(f"unknown request {request}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    pin(parser.parse_args().threads)
    server = Server()
    # A library that prints must not disturb the protocol: the real standard output is kept, everyone else gets stderr.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            answer = server.answer(json.loads(line))
        except Exception as error:  # whatever a system raises goes to the bench, which names the case
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
