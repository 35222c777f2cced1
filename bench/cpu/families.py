"""Hybrid, Transformer and state-space model of the 320M width and one depth."""

from cpu import environment, turns
from cpu.common import ENVIRONMENT, compile_package, read_config

FAMILIES = {"hybrid": "320m", "Transformer": "320m-transformer", "SSM": "320m-ssm"}


def family(name, layers):
    """So many layers of the 320M width. The vocabulary shrinks with the depth, so that the head
    keeps its share of the work; one layer of a hybrid's eight, at least one, is attention."""
    config = read_config(FAMILIES[name])
    config["vocab_size"] = max(256, config["vocab_size"] * layers // config["num_hidden_layers"])
    config["num_hidden_layers"] = layers
    if name == "hybrid":
        config["attn_layer_period"] = min(8, layers)
        config["attn_layer_offset"] = config["attn_layer_period"] - 1
    return config


def package_path(name, entry, batch, seq, options):
    """Where the package goes; its configuration lies beside it."""
    folder = ENVIRONMENT / "packages/families"
    return folder / f"{name}-{options.layers}-{entry}-{batch}-{seq}.txpkg"


def open_family(name, entry, batch, seq, options):
    """A process that has the model open with job "NAME/ENTRY", and its configuration."""
    config = family(name, options.layers)
    path = package_path(name, entry, batch, seq, options)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    compiled = {"train": "train", "prefill": "forward", "decode": "forward,decode"}[entry]
    compile_package(config, path, options.dtype, batch, seq + 64, compiled)
    worker = turns.ours(environment.variables(options.threads))
    request = {"batch": batch, "seq": seq, "threads": options.threads, "entries": (entry,)}
    try:
        worker.ask("open", key=name, package=str(path), **request)
    except RuntimeError:
        worker.end()
        raise
    return worker, config
