"""The same work in PyTorch, where that can be imported."""

import contextlib
import json
import signal
import statistics
import time

from gpu.common import BASELINE, GOLDENS, Skipped, say


def load_torch(session):
    try:
        import torch
    except ImportError as why:
        raise Skipped("PyTorch cannot be imported") from why
    if session.options.smoke:
        return torch, "cpu"
    if not torch.cuda.is_available():
        raise Skipped("PyTorch has no GPU here")
    return torch, session.device


def seconds_of(torch, device, work, warmup=3, calls=5):
    """Median over calls, by events of the device."""
    for _ in range(warmup):
        work()
    times = []
    for _ in range(calls):
        if device == "cpu":
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
            continue
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        work()
        ended.record()
        ended.synchronize()
        times.append(began.elapsed_time(ended) * 1e-3)
    return statistics.median(times)


def product_seconds(torch, device, rows, inner, columns):
    """A bf16 product by cuBLAS."""
    a = torch.randn(rows, inner, device=device).bfloat16()
    b = torch.randn(columns, inner, device=device).bfloat16()
    return seconds_of(torch, device, lambda: torch.nn.functional.linear(a, b))


def product_ceiling(session):
    torch, device = load_torch(session)
    size = 64 if session.options.smoke else 8192
    seconds = product_seconds(torch, device, size, size, size)
    return {"size": size, "flops_per_second": 2 * size**3 / seconds}


def product_shapes(config, tokens):
    """Rows, inner extent, columns of a forward pass's products, by what they are."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    return {
        "projection": (tokens, width, width),
        "three projections": (tokens, width, 3 * width),
        "gate and up": (tokens, width, 2 * inner),
        "down": (tokens, inner, width),
        "head": (tokens, width, config["vocab_size"]),
    }


def golden_errors(torch, model, device):
    """Distances of the PyTorch model's logits from a golden's, in one call and token by token: it
    must be the same model."""
    folder = GOLDENS / "hybrid-tiny"
    config = json.loads((folder / "config.json").read_text())
    weights = model.read_tensors(folder / "model.safetensors")
    weights = {name: values.to(device) for name, values in weights.items()}
    expected = model.read_tensors(folder / "expected.safetensors")
    ids = expected["input_ids"].to(device)
    batch, tokens = ids.shape
    with torch.no_grad():
        table = model.rope_table(config, tokens, device)
        logits = model.forward(weights, config, ids, table, config["ssd_chunk_size"])
        cache = model.empty_cache(config, batch, tokens, device, torch.float32)
        steps = []
        for past in range(tokens):
            line = tuple(part[past : past + 1] for part in table)
            token = ids[:, past : past + 1]
            steps.append(model.decode(weights, config, token, line, cache, past))
    right = expected["logits"].to(device)
    made = {"forward": logits, "decode": torch.cat(steps, 1)}
    return {
        what: float((values.double() - right).norm() / right.norm())
        for what, values in made.items()
    }


def time_model(session, torch, model, device, name, compiled):
    facts = session.manifest["models"][name]
    config = json.loads((session.folder / "models" / name / "config.json").read_text())
    dtype = torch.bfloat16 if facts["dtype"] == "bf16" else torch.float32
    weights = model.random_weights(config, device, dtype)
    tokens = facts["tokens"]
    ids = torch.randint(0, config["vocab_size"], (1, tokens), device=device)
    table = model.rope_table(config, tokens, device)
    line = tuple(part[-1:] for part in table)
    cache = model.empty_cache(config, 1, tokens, device, dtype)
    forward, decode, loss_of = model.forward, model.decode, model.loss_of
    if compiled:
        forward, decode, loss_of = (torch.compile(f) for f in (forward, decode, loss_of))
    calls = {"warmup": 1, "calls": 1} if session.options.smoke else {}

    def prefill():
        with torch.no_grad():
            forward(weights, config, ids, table)

    def step():
        with torch.no_grad():
            decode(weights, config, ids[:, -1:], line, cache, tokens - 1)

    optimizer = torch.optim.AdamW(weights.values(), lr=1e-4, fused=device != "cpu")

    def train():
        optimizer.zero_grad()
        loss_of(weights, config, ids, table).backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()

    made = {}
    for entry, work in (("prefill", prefill), ("decode", step), ("train", train)):
        session.seconds_left()
        made[entry] = seconds_of(torch, device, work, **calls)
    return made


def time_scan(session, torch, model, device, name):
    """One layer's scan alone: the PyTorch model's, and mamba_ssm's in Triton where that is."""
    facts = session.manifest["models"][name]
    config = json.loads((session.folder / "models" / name / "config.json").read_text())
    dtype = torch.bfloat16 if facts["dtype"] == "bf16" else torch.float32
    heads, chunk = config["num_attention_heads"], config["ssd_chunk_size"]
    shape = (1, facts["tokens"], heads, config["hidden_size"] // heads)
    c, b, x = (torch.randn(shape, device=device).to(dtype) for _ in range(3))
    dt = torch.rand(shape[:3], device=device)
    a = -1 - torch.rand(heads, device=device)
    calls = {"warmup": 1, "calls": 1} if session.options.smoke else {}
    right = model.scan(c, b, x, dt, a, chunk)
    eager = seconds_of(torch, device, lambda: model.scan(c, b, x, dt, a, chunk), **calls)
    made = {"shape": shape, "eager": eager}
    try:
        from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined
    except ImportError as why:
        return made | {"triton": {"skipped": f"mamba_ssm cannot be imported: {why}"}}

    def triton():
        return mamba_chunk_scan_combined(x, dt, a, b, c, chunk)

    error = float((triton().float() - right.float()).norm() / right.float().norm())
    if not error < 2e-2:
        return made | {"triton": {"failed": f"off the PyTorch scan by {error:.1e}: not timed"}}
    return made | {"triton": seconds_of(torch, device, triton, **calls), "error": error}


@contextlib.contextmanager
def at_most(seconds):
    """torch.compile can take longer than everything else together."""

    def stop(*_):
        raise RuntimeError(f"not done after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run(session):
    torch, device = load_torch(session)
    from gpu import torch_model as model

    # Exact float32 products: the goldens' bounds know no tf32.
    torch.backends.cuda.matmul.allow_tf32 = False
    errors = golden_errors(torch, model, device)
    made = {"torch": torch.__version__, "golden_errors": errors}
    if not max(errors.values()) < 1e-4:
        raise RuntimeError(f"the PyTorch model is off a golden by {errors}: not timed")
    for name, facts in session.manifest["models"].items():
        if name.endswith(BASELINE):
            continue  # what ours is beside ours
        made[name] = {}
        for way, compiled in (("eager", False), ("compile", True)):
            try:
                with at_most(session.seconds_left()):
                    made[name][way] = time_model(session, torch, model, device, name, compiled)
            except RuntimeError as why:
                made[name][way] = {"failed": str(why).splitlines()[0]}
            say(f"PyTorch {way}, {name}: {made[name][way]}")
        try:
            made[name]["scan"] = time_scan(session, torch, model, device, name)
        except RuntimeError as why:
            made[name]["scan"] = {"failed": str(why).splitlines()[0]}
        say(f"scans, {name}: {made[name]['scan']}")
        if session.options.smoke:
            continue
        config = json.loads((session.folder / "models" / name / "config.json").read_text())
        made[name]["products"] = {
            what: {"shape": shape, "seconds": product_seconds(torch, device, *shape)}
            for what, shape in product_shapes(config, facts["tokens"]).items()
        }
    return made
