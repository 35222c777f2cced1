"""The table of tile rates: written from what bench/gpu_check measured, read by the compiler."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(os.environ["TRANSXSSM_BIN"])
TABLE = ROOT / "passes/tiling/GpuRates.inc"

# What --out writes on a GPU, but for other parts.
RESULT = {
    "date": "2026-11-20",
    "commit": "0123abc",
    "rates": {
        "architecture": "sm_90a",
        "multiprocessors": 132,
        "model": "NVIDIA H100 80GB HBM3",
        "product": {"shape": [8192, 1024, 4096], "dtype": "bf16"},
        "seconds": {"large": 60e-6, "small": 96e-6},
        "small_tile_rate": 0.625,
    },
}

# Not the repository's, so that tests hold when that is filled.
LINES = """// as passes/tiling/GpuRates.inc
{"sm_80", 108, 0.700, "estimate, A100"},
{"sm_90a", 132, 0.700, "estimate, H100 SXM"},
// the end
"""


@pytest.fixture
def table(tmp_path):
    made = tmp_path / "table.inc"
    made.write_text(LINES)
    return made


def refill(tmp_path, table, result, code=0):
    file = tmp_path / "result.json"
    file.write_text(result if isinstance(result, str) else json.dumps(result))
    command = [sys.executable, ROOT / "bench/gpu_check", "--refill", file, "--table", table]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done


def lines(text):
    found = re.findall(r'^\{"(\w+)", (\d+), ([\d.]+), "([^"]*)"\},$', text, re.M)
    return {arch: (int(count), float(rate), source) for arch, count, rate, source in found}


def test_one_line_is_replaced(tmp_path, table):
    done = refill(tmp_path, table, RESULT)
    new = '{"sm_90a", 132, 0.625, "NVIDIA H100 80GB HBM3, 2026-11-20, commit 0123abc"},'
    assert table.read_text() == LINES.replace('{"sm_90a", 132, 0.700, "estimate, H100 SXM"},', new)
    assert f'- {{"sm_90a", 132, 0.700, "estimate, H100 SXM"}},\n+ {new}\n' in done.stdout
    assert [file.name for file in tmp_path.glob("table*")] == ["table.inc"]


def test_again_and_back(tmp_path, table):
    refill(tmp_path, table, RESULT)
    once = table.read_text()
    refill(tmp_path, table, RESULT)
    assert table.read_text() == once
    other = {"architecture": "sm_80", "multiprocessors": 108, "model": "A100"}
    refill(tmp_path, table, RESULT | {"rates": RESULT["rates"] | other | {"small_tile_rate": 1.0}})
    made = lines(table.read_text())
    assert made["sm_90a"] == lines(once)["sm_90a"]
    assert made["sm_80"] == (108, 1.0, "A100, 2026-11-20, commit 0123abc")


def test_a_name_cannot_leave_its_literal(tmp_path, table):
    named = RESULT["rates"] | {"model": 'a\\"}, {"\n€'}
    refill(tmp_path, table, RESULT | {"rates": named})
    made = lines(table.read_text())
    assert list(made) == ["sm_80", "sm_90a"]
    assert made["sm_90a"][2].startswith("a___, ____, 2026")


def with_rates(**changed):
    return RESULT | {"rates": RESULT["rates"] | changed}


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ("[1", "result.json: expected JSON of bench/gpu_check, got "),
        ([], "result.json: expected the part 'rates', got none"),
        ({"kernels": {}}, "result.json: expected the part 'rates', got none"),
        (
            {"rates": {"skipped": "by --skip"}},
            "result.json: expected measured rates, got skipped: by --skip",
        ),
        (
            {"rates": {"failed": "no GPU"}},
            "result.json: expected measured rates, got failed: no GPU",
        ),
        (
            with_rates(multiprocessors=114, model="NVIDIA H100 PCIe"),
            "result.json: expected a GPU with 132 multiprocessors, which table.inc has for sm_90a,"
            " got 114 (NVIDIA H100 PCIe)",
        ),
        (with_rates(architecture="sm_89"), "only sm_80, sm_90a"),
        (
            with_rates(small_tile_rate=None),
            "result.json: rates.small_tile_rate: expected float, got null",
        ),
        (with_rates(small_tile_rate=0.0), "expected a rate from 0.05 to 4.0, got 0.0"),
        (with_rates(small_tile_rate=float("nan")), "expected a rate from 0.05 to 4.0, got nan"),
    ],
)
def test_refuses(tmp_path, table, result, says):
    done = refill(tmp_path, table, result, code=2)
    assert says in done.stderr
    assert done.stderr.startswith("gpu_check: error: ") and done.stderr.count("\n") == 1
    assert table.read_text() == LINES and done.stdout == ""


def test_refuses_without_a_file(tmp_path, table):
    command = [sys.executable, ROOT / "bench/gpu_check", "--refill", tmp_path / "none.json"]
    done = subprocess.run([*command, "--table", table], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "No such file" in done.stderr and done.stderr.count("\n") == 1


# The compiler's own choice, from the table as it is in the repository.


def small_rows(gpus, small_columns, large_columns):
    """passes/tiling/ProductTiles.h in Python: rows up to which small tiles suit each GPU."""

    def seconds(count, cells, edge, rate):
        return -(-cells // count) * edge * edge / rate

    for rows in range(64, 8192 + 1, 64):
        small, large = rows // 64 * small_columns, -(-rows // 128) * large_columns
        for count, rate, _ in gpus:
            if seconds(count, small, 64, rate) > seconds(count, large, 128, 1):
                return rows - 64
    return 8192


def plan(columns, *options):
    function = f"""
func.func @decode(%x: tensor<?x?x64xf32> {{txs.input = "x"}},
    %w: tensor<{columns}x64xf32> {{txs.input = "w"}}, %s: tensor<?x64xf32> {{txs.state = "s"}})
    -> (tensor<?x?x{columns}xf32> {{txs.output = "y"}}, tensor<?x64xf32> {{txs.state = "s"}}) {{
  %y = txs.linear %x, %w
    : tensor<?x?x64xf32>, tensor<{columns}x64xf32> -> tensor<?x?x{columns}xf32>
  return %y, %s : tensor<?x?x{columns}xf32>, tensor<?x64xf32>
}}"""
    passes = f"--txs-to-tile={' '.join(['gpu=true', *options])}"
    return subprocess.run(
        [BIN / "transxssm-opt", "-", passes, "--mlir-print-local-scope"],
        input=function,
        capture_output=True,
        text=True,
        timeout=60,
    )


def rows_in_plan(columns, *options):
    """The most rows that are launched with small tiles, and the least with large ones."""
    made = plan(columns, *options)
    assert made.returncode == 0, made.stderr
    small = re.search(r"launch @linear_small_.* \+ (\d+)\)>\n", made.stdout)
    large = re.search(r"launch @linear_k.* when .*\(s0 \* s1 - (\d+)\)>\n", made.stdout)
    return int(small[1]) if small else 0, int(large[1])


@pytest.mark.parametrize("columns", [128, 256, 1024, 2048])
def test_the_compiler_reads_the_table(columns):
    gpus = list(lines(TABLE.read_text()).values())
    assert len(gpus) == 2
    rows = small_rows(gpus, columns // 64, columns // 128)
    assert rows_in_plan(columns) == (rows if rows > 8 else 0, max(rows, 8) + 1)


def test_tiles_of_one_size_for_measuring():
    assert rows_in_plan(1024, "product-tiles=small") == (8192, 8193)
    assert rows_in_plan(1024, "product-tiles=large") == (0, 9)
    made = plan(1024, "product-tiles=wide")
    assert made.returncode == 1
    assert "product-tiles: expected by-size, large or small, got 'wide'" in made.stderr
