"""All memory of a call is allocated when it begins, and none is read but what is given."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.training.reference import KERNELS

# Put before the C library's own functions; `allocations` is how often any of them was called.
COUNTER = """
#include <stdatomic.h>
#include <stddef.h>
#include <errno.h>
void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
static atomic_long count;
long allocations(void) { return count; }
void *malloc(size_t n) { return count++, __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return count++, __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return count++, __libc_realloc(p, n); }
void *memalign(size_t a, size_t n) { return count++, __libc_memalign(a, n); }
void *aligned_alloc(size_t a, size_t n) { return count++, __libc_memalign(a, n); }
int posix_memalign(void **to, size_t a, size_t n) {
    return count++, (*to = __libc_memalign(a, n)) ? 0 : ENOMEM;
}
"""

TRAINING = """
import ctypes, gc, sys
import numpy as np
from hpo.training import _native

kernel, loss, batch = sys.argv[1], int(sys.argv[2]), 300
real = np.float64 if kernel == "double" else np.float32
cells = np.array([5, 3])
network = (kernel, cells, 2, 3, 0.2, np.full(312, 0.1, real))
windows = np.arange(batch)
lengths, labels = (windows % 7 + 1, windows % 3) if loss == 2 else (None, None)
samples = (np.ones((400, 2), real), windows, lengths, labels, 7, False)
counter = ctypes.CDLL(None).allocations


def allocations(steps):
    order, rates = np.tile(windows[::-1], (steps, 1)), np.full(steps, 1e-3, np.float32)
    checks = np.empty((steps // 5 + 1, 3))
    given = (network, samples, samples, order, rates, batch, loss, 1.0, 0.1, 5, steps, 1e9, 0, 1e9)
    course = (checks, *np.zeros((3, 312), real), 0, 0, 0.0, 0.0)
    before = counter()
    _native.train(*given, course, None)
    return counter() - before


gc.disable()
allocations(1)
print(*(allocations(steps) for steps in (1, 10, 400)))
"""

TOO_LARGE = """
import resource
import numpy as np
from hpo.training import _native

network = (_native.kernels()[0], np.array([100]), 1, 1, 0.0, np.zeros(41301, np.float32))
samples = (np.zeros(1_000_001, np.float32), np.zeros(1, np.int64), None, None, 1_000_000, False)
order, rates, checks = np.zeros(1, np.int64), np.zeros(1, np.float32), np.empty((2, 3))
course = (checks, *np.zeros((3, 41301), np.float32), 0, 0, 0.0, 0.0)
plan = (order, rates, 1, 1, 1.0, 0.0, 1, 1, 1e9, 0, 1e9, course, None)
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
for call in (
    lambda: _native.train(network, samples, None, *plan),
    lambda: _native.run(network, samples, 1, None),
    lambda: _native.gradient(network, samples, order, 1, 0, np.empty(41301, np.float32)),
):
    try:
        call()
    except MemoryError:
        print("refused")
"""

LAST_ROW = """
import ctypes, mmap, sys
import numpy as np
from hpo.training import _native

call, kernel = sys.argv[1:]
real = np.dtype(np.float64 if kernel == "double" else np.float32)
page = mmap.mmap(-1, 2 * mmap.PAGESIZE)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
none = ctypes.CDLL(None, use_errno=True).mprotect(
    ctypes.c_void_p(address + mmap.PAGESIZE), ctypes.c_size_t(mmap.PAGESIZE), 0
)
assert none == 0
rows = 40
values = np.frombuffer(page, real, 2 * rows, mmap.PAGESIZE - 2 * rows * real.itemsize)
network = (kernel, np.array([3]), 2, 2, 0.0, np.zeros(92, real))
order = np.arange(5)
windows = (values, rows - 10 - np.arange(5), None, None, 8, True)
alone = (values, rows - 8 - np.arange(5), None, None, 8, False)
sequences = (values, rows - 1 - np.arange(5), np.arange(1, 6), np.zeros(5, int), 1, False)
room, gradient = np.empty(10, real), np.empty(92, real)
calls = {
    "outputs": lambda: _native.run(network, alone, -1, room),
    "loss": lambda: _native.run(network, windows, 1, None),
    "loss of sequences": lambda: _native.run(network, sequences, 2, None),
    "gradient": lambda: _native.gradient(network, windows, order, 1, 0, gradient),
    "gradient of sequences": lambda: _native.gradient(network, sequences, order, 2, 0, gradient),
}
calls[call]()
print("done")
"""


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled counter; without Linux or a compiler the test is skipped, but not in CI."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("counting allocations needs Linux with the GNU C library, and a C compiler")
    folder = tmp_path_factory.mktemp("counter")
    (folder / "counter.c").write_text(COUNTER, encoding="utf-8")
    words = [compiler, "-shared", "-fPIC", "-O1", "-fno-builtin", "-o", "counter.so", "counter.c"]
    subprocess.run(words, cwd=folder, check=True)
    return folder / "counter.so"


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(1, id="windows"),
        pytest.param(2, id="sequences-of-different-lengths"),
    ],
)
@pytest.mark.parametrize("kernel", ["double", "baseline"])
def test_more_steps_allocate_nothing_more(counter: Path, kernel: str, loss: int) -> None:
    """With dropout and a watched loss; more windows in a batch than a sort does on the stack."""
    said = python(TRAINING, kernel, str(loss), preloaded=str(counter))
    counts = {int(word) for word in said.split()}
    assert len(counts) == 1, said
    assert counts.pop() >= 2  # the layers and their memory are counted at all


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a process' memory is Linux's")
def test_a_network_without_room_in_memory_is_refused() -> None:
    assert python(TOO_LARGE).split() == ["refused"] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="a page is protected by Linux's C library")
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    "call",
    ["outputs", "loss", "loss of sequences", "gradient", "gradient of sequences"],
)
def test_nothing_is_read_behind_the_last_row(call: str, kernel: str) -> None:
    """The values end where a page does, and whoever reads the next one is killed."""
    assert python(LAST_ROW, call, kernel) == "done\n"


def python(code: str, *arguments: str, preloaded: str = "") -> str:
    environment = {**os.environ, "LD_PRELOAD": preloaded} if preloaded else None
    said = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 0, said.stderr
    return said.stdout
