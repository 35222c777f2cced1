"""The table that bench/gpu_check prints."""

from gpu.common import BASELINE, PAPER


def problem(made):
    """Why something was not done, or None."""
    for kind in ("skipped", "failed"):
        if kind in made:
            return f"{kind}: {made[kind]}"
    return None


def describe_check(check):
    if check["ok"]:
        return ""
    text = check["name"]
    error = check.get("error")
    text += f" off by {'nothing finite' if error is None else f'{error:.1e}'}"
    if not check.get("same_bits", True):
        text += ", other bits the next time"
    if "first" in check:
        text += f", first in launch {check['first']['launch']}, kernel {check['first']['kernel']}"
    return text


def verdict(made):
    if problem(made):
        return problem(made)
    wrong = list(filter(None, (describe_check(check) for check in made["checks"])))
    if wrong:
        return "FAILED: " + "; ".join(wrong)
    errors = [check["error"] for check in made["checks"] if check.get("error")]
    return f"ok, {len(made['checks'])} checks, largest error {max(errors, default=0):.1e}"


def check_lines(results, part, title):
    lines = [title]
    made = results[part]
    if problem(made):
        return [f"{title}: {problem(made)}"]
    return lines + [f"  {name:26} {verdict(result)}" for name, result in made.items()]


def kernel_verdict(made):
    if problem(made):
        return problem(made)
    checks = made["checks"]
    wrong = sum(not check["ok"] for check in checks)
    text = f"FAILED: {wrong} of {len(checks)}" if wrong else f"ok, all {len(checks)}"
    others = made["not_for_this_gpu"]
    return text + (f"; {others} need another GPU" if others else "")


def kernel_set_lines(results):
    made = results["kernels"]
    lines = [f"single kernels against the simulator's answers: {kernel_verdict(made)}"]
    wrong = [check for check in made.get("checks", []) if not check["ok"]]
    return lines + [f"  {check['name']:40} {check['says']}" for check in wrong]


def ceiling(results, what, figure):
    made = results["ceilings"].get(what, {})
    return made.get(figure)


def ceiling_lines(results):
    if problem(results["ceilings"]):
        return [f"ceilings: {problem(results['ceilings'])}"]
    lines = ["ceilings"]
    for what, figure, scale, unit in (
        ("copy", "bytes_per_second", 1e9, "GB/s"),
        ("product", "flops_per_second", 1e12, "TFLOP/s"),
    ):
        value = ceiling(results, what, figure)
        why = problem(results["ceilings"][what])
        lines.append(f"  {what:26} {why if value is None else f'{value / scale:,.1f} {unit}'}")
    return lines


def rate_line(results):
    made = results["rates"]
    if problem(made):
        return f"small tiles: {problem(made)}"
    rows, inner, columns = made["product"]["shape"]
    times = ", ".join(f"{tiles} {each * 1e6:.1f} us" for tiles, each in made["seconds"].items())
    return (
        f"small tiles: {made['small_tile_rate']:.3f} of large ones' rate on {made['architecture']},"
        f" {made['multiprocessors']} multiprocessors; {rows} x {inner} x {columns}"
        f" {made['product']['dtype']}: {times}"
    )


def share(value, most):
    return f"{100 * value / most:5.1f}%" if value and most else "     -"


def pass_flops(model, entry, tokens):
    """Of products with weights alone; backward takes twice as many."""
    weights = model.get("product_parameters")
    if not isinstance(weights, int):
        return None
    return 2 * weights * tokens * (3 if entry == "train" else 1)


def peer_seconds(results, name, entry):
    """PyTorch's best, by the way it was run."""
    ways = results["peers"].get(name, {}) if not problem(results["peers"]) else {}
    times = {way: made[entry] for way, made in ways.items() if entry in made}
    return min(((seconds, way) for way, seconds in times.items()), default=None)


def pass_line(results, name, model, entry):
    made = model[entry]
    if problem(made):
        return f"  {entry:10} {problem(made)}"
    seconds, tokens = made["seconds_median"], made["tokens_per_call"]
    flops = pass_flops(model, entry, tokens)
    rate = flops / seconds if flops else None
    text = f"  {entry:10} {seconds * 1e3:10.3f} ms {tokens / seconds:12,.0f} tok/s"
    text += f" {rate / 1e12:8.1f} TFLOP/s" if rate else f" {'-':>8}        "
    text += f" {share(rate, ceiling(results, 'product', 'flops_per_second'))}"
    peer = peer_seconds(results, name, entry)
    if peer:
        text += f"   PyTorch ({peer[1]}) {peer[0] * 1e3:.3f} ms, {peer[0] / seconds:.2f}x"
    return text


def kernel_lines(results, made):
    copy = ceiling(results, "copy", "bytes_per_second")
    lines = []
    for kernel in made.get("kernels", []):
        each = kernel["seconds"] / kernel["launches"]
        rate = kernel["bytes"] / kernel["seconds"] if kernel["seconds"] else 0
        lines.append(
            f"    {each * 1e6:10.1f} us x {kernel['launches']:5} {rate / 1e9:9.1f} GB/s"
            f" {share(rate, copy)}  {kernel['name']}"
        )
    return lines


def model_lines(results):
    if problem(results["models"]):
        return [f"models: {problem(results['models'])}"]
    lines = ["models: time, tokens, products with weights and their share of the ceiling;"]
    lines += ["kernels: time, bytes of operands counted once, share of the copy ceiling"]
    for name, model in results["models"].items():
        if problem(model):
            lines.append(f"{name}: {problem(model)}")
            continue
        lines.append(f"{name}, {model['dtype']}, {model['tokens']} tokens")
        for entry in ("train", "prefill", "decode"):
            lines.append(pass_line(results, name, model, entry))
            lines += kernel_lines(results, model[entry])
    return lines


def headline_lines(results):
    """How much faster each hybrid is than the Transformer of its depth."""
    lines = []
    models = {} if problem(results["models"]) else results["models"]
    for name, hybrid in models.items():
        baseline = models.get(name + BASELINE)
        for entry, paper in PAPER.items():
            times = [
                made.get(entry, {}).get("seconds_median") for made in (hybrid, baseline) if made
            ]
            if len(times) == 2 and all(times):
                percent = 100 * (times[1] / times[0] - 1)
                lines.append(
                    f"{name} beside its Transformer, {entry}: {percent:+.1f} % (paper +{paper} %)"
                )
    return lines


def peer_lines(results):
    if problem(results["peers"]):
        return [f"PyTorch: {problem(results['peers'])}"]
    lines = [f"PyTorch {results['peers']['torch']}, cuBLAS products"]
    for name, made in results["peers"].items():
        if name not in results["models"]:
            continue
        for way in ("eager", "triton"):
            seconds = made.get("scan", {}).get(way)
            if isinstance(seconds, float):
                lines.append(f"  {name} scan ({way}) {seconds * 1e6:9.1f} us")
            elif seconds:
                lines.append(f"  {name} scan ({way}) {problem(seconds)}")
        for what, product in made.get("products", {}).items():
            rows, inner, columns = product["shape"]
            rate = 2 * rows * inner * columns / product["seconds"] / 1e12
            lines.append(
                f"  {name} {what:20} {rows} x {inner} x {columns}"
                f" {product['seconds'] * 1e6:9.1f} us {rate:8.1f} TFLOP/s"
            )
    return lines


def text(results):
    machine = results["machine"]
    lines = [
        f"{results['date']}, commit {results['commit']}, packages of {results['packages']}",
        f"{machine['device']}: {machine['nvidia-smi']}; {machine.get('processor', '')}",
        "",
        *kernel_set_lines(results),
        *check_lines(results, "goldens", "goldens against the authors' numbers, run against run"),
        *check_lines(results, "launches", "launches against the simulator's"),
        *ceiling_lines(results),
        rate_line(results),
        *model_lines(results),
        *headline_lines(results),
        *peer_lines(results),
        "",
        f"{results['seconds']} s; {'passed' if passed(results) else 'FAILED'}",
    ]
    return "\n".join(lines)


def passed(results):
    """Nothing of ours failed; what was skipped says why."""

    def fine(made):
        if isinstance(made, dict):
            if "failed" in made or made.get("ok") is False:
                return False
            return all(fine(value) for value in made.values())
        return all(fine(value) for value in made) if isinstance(made, list) else True

    parts = ("kernels", "goldens", "launches", "rates", "models")
    return all(fine(results[part]) for part in parts)
