"""Every GPU instruction with a meaning of its own that models are compiled to has a kernel in the
conformance set (bench/conformance), so that a machine with a GPU is asked about it."""

import json
import os
import re
import subprocess

from test_traffic import COMPILE, CONFIG

CASES = os.environ["TRANSXSSM_GPU_CASES"]

# What is not here are moves, integers, comparisons, plain accesses and branches.
KINDS = """bar barrier shfl vote redux elect ldmatrix stmatrix mma wgmma cp mbarrier fence
    setmaxnreg add.f32 sub.f32 mul.f32 abs.f32 fma div.full div.approx div.rn rcp
    sqrt rsqrt ex2 lg2 tanh sin cos min.f32 max.f32 min.NaN max.NaN cvt.rn cvt.rz""".split()


def instructions(ptx):
    """Opcodes, with one width of wgmma for all."""
    found = re.findall(r"^\s*(?:@!?\S+\s+)?([a-z]\w*(?:\.[\w:]+)+)[\s;]", ptx, re.MULTILINE)
    kinds = [kind.split(".") for kind in KINDS]
    made = set()
    for opcode in set(found):
        parts = opcode.split(".")
        if any(parts[: len(kind)] == kind for kind in kinds):
            made.add(re.sub(r"m64n\d+k16", "m64nNk16", opcode))
    return made


def known(folder):
    environment = os.environ | {"TRANSXSSM_PTXAS": ""}
    command = [CASES, folder, "--archs=sm_90a"]
    subprocess.run(command, check=True, capture_output=True, timeout=300, env=environment)
    data = (folder / "kernels.bin").read_bytes()
    text = ""
    for case in json.loads((folder / "kernels.json").read_text()):
        first, count = case["images"]["ptx-sm_90a"]
        text += data[first : first + count].decode() + "\n"
    return instructions(text)


def test_models_use_nothing_else(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    all_known = known(tmp_path)
    for architecture, entries in [
        ("sm_90a", "forward,decode,train"),
        ("sm_80", "forward,decode"),
    ]:
        out = tmp_path / "model.ptx"
        limits = ["--max-batch", "2", "--max-seq-len", "512", "--entry", entries]
        target = ["--target=nvptx", "--gpu-arch", architecture, "--dtype=bf16", "--emit=ptx"]
        command = [COMPILE, tmp_path / "config.json", "-q", "-o", out, *limits, *target]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        used = instructions(out.read_text())
        assert "fma.rn.f32" in used and len(used) > 15
        assert used <= all_known, sorted(used - all_known)
