"""Operations and bytes of a model, from its configuration: what no program can do without."""

BYTES = {"f32": 4, "bf16": 2}
# Whose measured peak bounds products of a type.
PEAKS = {"f32": "flops_per_second", "bf16": "bf16_flops_per_second"}


def attention_layers(config):
    period, offset = config["attn_layer_period"], config["attn_layer_offset"]
    return sum(i % period == offset for i in range(config["num_hidden_layers"]))


def key_width(config):
    heads = config["num_attention_heads"]
    return (config["num_key_value_heads"] or heads) * (config["hidden_size"] // heads)


def body_weights(config):
    """Elements of the matrices that every token is multiplied with, but for the head."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    attends = attention_layers(config)
    scans = config["num_hidden_layers"] - attends
    made = attends * (2 * width * width + 2 * width * key_width(config))
    made += scans * (4 * width * width + width * config["num_attention_heads"])
    return made + config["num_hidden_layers"] * 3 * width * inner


def head_weights(config):
    return config["vocab_size"] * config["hidden_size"]


def mixing_flops(config, seq):
    """Of attention and scans over one sequence, forward.

    Attention, causal: T^2/2 pairs, 4 D operations each. A scan in chunks of Q with heads of P:
    T Q / 2 pairs, 4 D each, and 4 P D a token to make and to read states; Q = 64.
    """
    width, attends = config["hidden_size"], attention_layers(config)
    size, chunk = width // config["num_attention_heads"], min(64, seq)
    scans = config["num_hidden_layers"] - attends
    return attends * 2 * seq**2 * width + scans * seq * width * (2 * chunk + 4 * size)


def flops(config, entry, batch, seq):
    """Of products; backward has twice those of forward. Decoding is one token after seq - 1."""
    tokens = batch * seq
    if entry == "train":
        weights = body_weights(config) + head_weights(config)
        return 3 * (2 * tokens * weights + batch * mixing_flops(config, seq))
    if entry == "prefill":
        made = 2 * tokens * body_weights(config) + 2 * batch * head_weights(config)
        return made + batch * mixing_flops(config, seq)
    width, attends = config["hidden_size"], attention_layers(config)
    size = width // config["num_attention_heads"]
    made = 2 * (body_weights(config) + head_weights(config)) + attends * 4 * seq * width
    return batch * (made + (config["num_hidden_layers"] - attends) * 4 * size * width)


def cache_bytes(config, seq, dtype):
    """Of one sequence: keys and values, and float32 states."""
    width, attends = config["hidden_size"], attention_layers(config)
    size = width // config["num_attention_heads"]
    keys = attends * 2 * seq * key_width(config) * BYTES[dtype]
    return keys + (config["num_hidden_layers"] - attends) * width * size * 4


def decode_bytes(config, batch, seq, dtype):
    """Weights and keys are read, states read and written."""
    weights = (body_weights(config) + head_weights(config)) * BYTES[dtype]
    attends = attention_layers(config)
    size = config["hidden_size"] // config["num_attention_heads"]
    states = (config["num_hidden_layers"] - attends) * config["hidden_size"] * size * 4
    return weights + batch * (cache_bytes(config, seq, dtype) + states)


def bound(config, entry, batch, seq, dtype, ceilings, cache=0):
    """Tokens a second that the measured peak of products and the read bandwidth allow.

    What fits the last-level cache need not come from memory.
    """
    seconds = flops(config, entry, batch, seq) / ceilings[PEAKS[dtype]]
    if entry != "decode":
        return batch * seq / seconds
    moved = decode_bytes(config, batch, seq, dtype)
    if moved > cache:
        seconds = max(seconds, moved / ceilings["bytes_read_per_second"])
    return batch / seconds
