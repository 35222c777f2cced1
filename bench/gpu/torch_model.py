"""The model in PyTorch, to be timed beside the compiled one. Imports torch."""

import json
import struct

import torch
import torch.nn.functional as F

TYPES = {"F32": torch.float32, "F64": torch.float64, "BF16": torch.bfloat16, "I64": torch.int64}


def read_tensors(path):
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    made = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        flat = torch.frombuffer(bytearray(data[begin:end]), dtype=TYPES[entry["dtype"]])
        made[name] = flat.reshape(entry["shape"])
    return made


def shapes(config):
    """Parameters by their names in a checkpoint."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    heads = config["num_attention_heads"]
    groups = (config["num_key_value_heads"] or heads) * (width // heads)
    made = {"model.word_embed.weight": (config["vocab_size"], width)}
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        norms = ("pre_sequence_layernorm", "pre_state_layernorm")
        residuals = ("post_sequence_residual", "post_state_residual")
        made |= {f"{layer}{name}.weight": (width,) for name in norms + residuals}
        if i % config["attn_layer_period"] == config["attn_layer_offset"]:
            made |= {f"{layer}attn.{n}_proj.weight": (width, width) for n in "qo"}
            made |= {f"{layer}attn.{n}_proj.weight": (groups, width) for n in "kv"}
        else:
            made |= {f"{layer}ssd.{n}_proj.weight": (width, width) for n in ("c", "b", "x", "out")}
            made |= {f"{layer}ssd.dt_proj.weight": (heads, width), f"{layer}ssd.A": (heads,)}
        made |= {f"{layer}feed_forward.{n}_proj.weight": (inner, width) for n in ("gate", "up")}
        made[f"{layer}feed_forward.down_proj.weight"] = (width, inner)
    made["model.final_layernorm.weight"] = (width,)
    if not config["tie_word_embeddings"]:
        made["lm_head.weight"] = (config["vocab_size"], width)
    return made


def random_weights(config, device, dtype):
    generator = torch.Generator(device="cpu").manual_seed(1)
    made = {}
    for name, shape in shapes(config).items():
        values = torch.randn(shape, generator=generator) * 0.02
        if name.endswith(".A"):
            values = -1 - 15 * torch.rand(shape, generator=generator)
        elif len(shape) == 1:
            values = torch.ones(shape)
        kind = dtype if len(shape) > 1 else torch.float32
        made[name] = values.to(device=device, dtype=kind).requires_grad_()
    return made


def rope_table(config, tokens, device):
    size = config["hidden_size"] // config["num_attention_heads"]
    base, scaling = config["rope_theta"], config["rope_scaling"] or {}
    if scaling.get("rope_type", "default") not in ("default", "dynamic"):
        raise ValueError(f"rotary scaling {scaling['rope_type']} is not in the PyTorch model")
    if scaling.get("rope_type") == "dynamic":
        limit, factor = config["max_position_embeddings"], scaling["factor"]
        length = max(tokens, limit)
        base *= (factor * length / limit - (factor - 1)) ** (size / (size - 2))
    steps = torch.arange(0, size, 2, dtype=torch.float64, device=device)
    angle = torch.arange(tokens, device=device)[:, None] * base ** (-steps / size)
    return angle.cos().float()[:, None], angle.sin().float()[:, None]


def rope(values, table):
    (cos, sin), half = table, values.shape[-1] // 2
    first, second = values[..., :half], values[..., half:]
    turned = torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
    return turned.to(values.dtype)


def rms_norm(values, weight, eps):
    wide = values.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps) * weight).to(values.dtype)


def scan(c, b, x, dt, a, chunk):
    """The chunked state-space scan: products within chunks, one state per chunk passed on."""
    batch, tokens, heads, size = x.shape
    pad = -tokens % chunk
    c, b, x = (F.pad(v, (0, 0, 0, 0, 0, pad)) for v in (c, b, x))
    dt = F.pad(dt, (0, 0, 0, pad))
    count = (tokens + pad) // chunk
    c, b, x = (v.reshape(batch, count, chunk, heads, -1).transpose(2, 3) for v in (c, b, x))
    dt = dt.reshape(batch, count, chunk, heads).transpose(2, 3)
    total = torch.cumsum(dt * a[:, None], -1)
    x = (x * dt[..., None]).to(c.dtype)
    causal = torch.ones(chunk, chunk, dtype=torch.bool, device=x.device).tril()
    gaps = (total[..., :, None] - total[..., None, :]).masked_fill(~causal, -torch.inf)
    inside = ((c @ b.transpose(-1, -2)) * gaps.exp()).to(c.dtype) @ x
    ends = torch.exp(total[..., -1:] - total)
    gained = (x * ends[..., None]).to(c.dtype).transpose(-1, -2) @ b
    kept = total[..., -1].exp()
    state, before = torch.zeros_like(gained[:, 0], dtype=torch.float32), []
    for i in range(count):
        before.append(state)
        state = state * kept[:, i, :, None, None] + gained[:, i]
    states = torch.stack(before, 1).to(c.dtype)
    y = inside + (c @ states.transpose(-1, -2)) * total.exp()[..., None]
    return y.transpose(2, 3).reshape(batch, tokens + pad, heads, size)[:, :tokens].to(c.dtype)


def attention_inputs(h, w, layer, config, table):
    """Queries [B, T, H, P], keys and values [B, T, G, P]."""
    shape = (*h.shape[:2], -1, h.shape[2] // config["num_attention_heads"])
    q, k, v = (F.linear(h, w[f"{layer}attn.{n}_proj.weight"]).reshape(shape) for n in "qkv")
    return rope(q, table), rope(k, table), v


def attend(q, k, v, causal):
    """Attention of [B, T, H, P] to the keys [B, S, G, P], as [B, T, H P]."""
    if k.shape[2] != q.shape[2]:
        k, v = (u.repeat_interleave(q.shape[2] // u.shape[2], 2) for u in (k, v))
    y = F.scaled_dot_product_attention(*(u.transpose(1, 2) for u in (q, k, v)), is_causal=causal)
    return y.transpose(1, 2).flatten(2)


def scan_inputs(h, w, layer, config, table):
    shape = (*h.shape[:2], config["num_attention_heads"], -1)
    c, b, x = (F.linear(h, w[f"{layer}ssd.{n}_proj.weight"]).reshape(shape) for n in "cbx")
    dt = F.softplus(F.linear(h, w[f"{layer}ssd.dt_proj.weight"]).float())
    return rope(c, table), rope(b, table), x, dt, w[f"{layer}ssd.A"]


def attends(config, i):
    return i % config["attn_layer_period"] == config["attn_layer_offset"]


def layer_of(w, i):
    """Parameters of a layer by their names within it."""
    prefix = f"model.layers.{i}."
    return {name[len(prefix) :]: v for name, v in w.items() if name.startswith(prefix)}


def whole_sequence(h, w, attends_here, config, table, chunk):
    if attends_here:
        return attend(*attention_inputs(h, w, "", config, table), causal=True)
    return scan(*scan_inputs(h, w, "", config, table), chunk).flatten(2)


def one_token(h, w, attends_here, config, table, memory, past):
    """Behind `past` others; changes the memory: keys and values, or the state."""
    if attends_here:
        q, k, v = attention_inputs(h, w, "", config, table)
        for part, new in zip(memory, (k, v), strict=True):
            part[:, past] = new[:, 0]
        keys, values = (part[:, : past + 1] for part in memory)
        return attend(q, keys, values, causal=False)
    c, b, x, dt, a = scan_inputs(h, w, "", config, table)
    c, b, x, dt = (u[:, 0].float() for u in (c, b, x, dt))
    memory.mul_(torch.exp(dt * a)[..., None, None])
    memory.add_((x * dt[..., None])[..., None] * b[..., None, :])
    return torch.einsum("bhpn,bhn->bhp", memory, c).to(h.dtype).flatten(1)[:, None]


def block(x, w, attends_here, config, mix, *rest):
    """A layer without biases, whose tokens are mixed by `mix`."""
    act = {"silu": F.silu, "gelu": F.gelu, "relu": F.relu}[config["hidden_act"]]
    eps = config["rms_norm_eps"]
    h = rms_norm(x, w["pre_sequence_layernorm.weight"], eps)
    out = w["attn.o_proj.weight" if attends_here else "ssd.out_proj.weight"]
    y = F.linear(mix(h, w, attends_here, config, *rest), out)
    x = (w["post_sequence_residual.weight"] * x + y).to(x.dtype)
    h = rms_norm(x, w["pre_state_layernorm.weight"], eps)
    gate, up, down = (w[f"feed_forward.{n}_proj.weight"] for n in ("gate", "up", "down"))
    y = F.linear(act(F.linear(h, gate)) * F.linear(h, up), down)
    return (w["post_state_residual.weight"] * x + y).to(x.dtype)


def head(x, norm, weight, eps):
    return F.linear(rms_norm(x, norm, eps), weight)


def head_inputs(x, w, config):
    weight = w.get("lm_head.weight", w["model.word_embed.weight"])
    return x, w["model.final_layernorm.weight"], weight, config["rms_norm_eps"]


def hidden(w, config, ids, table, chunk, each):
    x = F.embedding(ids, w["model.word_embed.weight"])
    for i in range(config["num_hidden_layers"]):
        x = each(x, layer_of(w, i), attends(config, i), config, whole_sequence, table, chunk)
    return x


def forward(w, config, ids, table, chunk=64, last=False, each=block):
    """Logits [B, T, V] of whole sequences, or [B, 1, V] of their last tokens. `each` computes a
    layer: `block`, or what torch.compile made of it."""
    x = hidden(w, config, ids, table, chunk, each)
    return head(*head_inputs(x[:, -1:] if last else x, w, config))


def empty_cache(config, batch, capacity, device, dtype):
    """Keys and values [B, capacity, G, P], or the state [B, H, P, P], of each layer."""
    heads = config["num_attention_heads"]
    size = config["hidden_size"] // heads
    keys = (batch, capacity, config["num_key_value_heads"] or heads, size)
    made = []
    for i in range(config["num_hidden_layers"]):
        if attends(config, i):
            made.append(tuple(torch.zeros(keys, device=device, dtype=dtype) for _ in range(2)))
        else:
            made.append(torch.zeros((batch, heads, size, size), device=device))
    return made


def decode(w, config, ids, table, cache, past, each=block):
    """Logits [B, 1, V] of one token for each sequence after `past` others; changes the cache.
    The table has the line of this token alone."""
    x = F.embedding(ids, w["model.word_embed.weight"])
    for i in range(config["num_hidden_layers"]):
        arguments = (one_token, table, cache[i], past)
        x = each(x, layer_of(w, i), attends(config, i), config, *arguments)
    return head(*head_inputs(x, w, config))


def loss_at_end(x, norm, weight, eps, ids):
    logits = head(x, norm, weight, eps)[:, :-1].float()
    return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def loss_of(w, config, ids, table, chunk=64, each=block, end=loss_at_end):
    x = hidden(w, config, ids, table, chunk, each)
    return end(*head_inputs(x, w, config), ids)
