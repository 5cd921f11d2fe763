"""The program run from Python on the models and data of ../shared.

Each test module is a list of functions for main(), which prints TAP.  What
is not there raises Skip.  OC_TEST_SEED replays a run, OC_TEST_FULL leaves
nothing out.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

import numpy as np
from PIL import Image

BUILD = os.path.abspath(os.environ.get("OC_BUILD_DIR", "build"))
OCELLI = os.path.join(BUILD, "ocelli")
SHARED = os.environ.get("OC_SHARED", "../shared")
FULL = "OC_TEST_FULL" in os.environ
SEED = int(os.environ.get("OC_TEST_SEED", "1"))
WORK = tempfile.mkdtemp(prefix="ocelli-oracle-")


class Skip(Exception):
    pass


def path(name):
    """A file of our own, gone at the end."""
    return os.path.join(WORK, name)


def shared(kind, name):
    found = os.path.join(SHARED, kind, name)
    if not os.path.exists(found):
        raise Skip(f"no {found}")
    return found


def model(name):
    return shared("models", name + ".onnx")


def picture(name):
    return shared("images", name)


def data(name):
    """The folder of a data set, unpacked once to BUILD/data."""
    folder = os.path.join(BUILD, "data", name)
    if os.path.isdir(folder):
        return folder
    tar = shared("data", name + ".tar")
    os.makedirs(os.path.join(BUILD, "data"), exist_ok=True)
    part = tempfile.mkdtemp(prefix=name + ".", dir=os.path.join(BUILD, "data"))
    subprocess.run(["tar", "xf", tar, "-C", part], check=True)
    try:  # another test may have been faster
        os.rename(os.path.join(part, name), folder)
    except OSError:
        assert os.path.isdir(folder)
    shutil.rmtree(part, ignore_errors=True)
    return folder


def run(*args, code=0):
    """Standard output of ocelli with these arguments."""
    r = subprocess.run([OCELLI, *map(str, args)], capture_output=True,
                       text=True, timeout=600)
    assert r.returncode == code, f"{args}: {r.returncode}, {r.stderr}"
    return r.stdout


def ask(*args):
    """The JSON document ocelli prints."""
    return json.loads(run(*args, "--json"))


def pixels(name, mode="RGB"):
    with Image.open(name) as image:
        return np.array(image.convert(mode))


def resized(rgb, width, height):
    """Pillow's bilinear, which widens the filter where it reduces."""
    return np.array(Image.fromarray(rgb).resize((width, height),
                                                Image.Resampling.BILINEAR))


def main(tests):
    """Runs (name, function) pairs, or those with argv[1] in their names."""
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    tests = [(n, f) for n, f in tests if only in n]
    print(f"1..{len(tests)}")
    print(f"# OC_TEST_SEED={SEED}")
    failed = 0
    for i, (name, test) in enumerate(tests, 1):
        start = time.time()
        try:
            test()
            line = f"ok {i} - {name}"
        except Skip as why:
            line = f"ok {i} - {name} # SKIP {why}"
        except Exception:  # a failed assertion, a crash, a timeout
            failed += 1
            for text in traceback.format_exc().splitlines():
                print("#", text)
            line = f"not ok {i} - {name}"
        print(f"# {time.time() - start:.1f} s")
        print(line, flush=True)
    shutil.rmtree(WORK, ignore_errors=True)
    return 1 if failed else 0
