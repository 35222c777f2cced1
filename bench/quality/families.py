"""Hybrid, Transformer and state-space model of equal width and depth.

A state-space layer's four projections are as large as attention's; it only adds the projection of
its step sizes, one row a head, and its decays. So models of equal widths have equal parameters
within half a per cent, and no width needs to be bent for it.
"""

from cpu.common import compile_package, read_config

from quality.common import digest

FAMILIES = ("hybrid", "Transformer", "SSM")
# By which parameters may differ between the families, relative to the fewest.
ALLOWED = 0.02


def family(name, sizes):
    """A configuration of so many layers; the hybrid's last one is attention."""
    layers = sizes["num_hidden_layers"]
    placed = {"hybrid": (layers, layers - 1), "Transformer": (1, 0), "SSM": (layers, layers)}
    period, offset = placed[name]
    chosen = {"attn_layer_period": period, "attn_layer_offset": offset}
    return read_config("tiny") | sizes | chosen


def parameters(model):
    """Elements of every parameter of a loaded model."""
    return sum(model.parameter(name).size for name in model.parameter_names())


class Packages:
    """Compiled models in a folder; each process makes its own anew, for the compiler may have
    changed, and remembers them by their settings."""

    def __init__(self, folder):
        self.folder, self.made = folder, {}

    def get(self, config, batch, seq):
        key = digest([config, batch, seq])
        if key not in self.made:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{key}.txpkg"
            path.unlink(missing_ok=True)
            self.made[key] = compile_package(config, path, "f32", batch, seq, "forward,train")
        return self.made[key]
