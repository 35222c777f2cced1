"""Text to token ids and back."""

import os


class ByteTokenizer:
    """One token for each byte of UTF-8; needs a vocabulary of at least 256."""

    vocab_size = 256

    def encode(self, text):
        """List of ids of a str or bytes."""
        return list(text.encode("utf-8") if isinstance(text, str) else text)

    def decode(self, ids):
        """Text of ids; ids that are no byte are left out."""
        return bytes(i for i in map(int, ids) if 0 <= i < 256).decode("utf-8", errors="replace")


class _HuggingFaceTokenizer:
    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self.vocab_size = tokenizer.get_vocab_size()

    def encode(self, text):
        """List of ids of a str."""
        return self._tokenizer.encode(text).ids

    def decode(self, ids):
        """Text of ids."""
        return self._tokenizer.decode([int(i) for i in ids])


def load_tokenizer(path=None):
    """The tokenizer of a tokenizer.json or of a directory with one; None means bytes.

    Both kinds have encode(text) -> list of ids, decode(ids) -> text and vocab_size. A
    tokenizer.json needs the package `tokenizers`.
    """
    if path is None:
        return ByteTokenizer()
    path = os.fspath(path)
    if os.path.isdir(path):
        path = os.path.join(path, "tokenizer.json")
    if not os.path.isfile(path):
        raise ValueError(f"{path}: expected a tokenizer.json")
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise RuntimeError(
            f"{path}: reading it needs the package 'tokenizers' (pip install tokenizers)"
        ) from error
    try:
        return _HuggingFaceTokenizer(Tokenizer.from_file(path))
    except Exception as error:  # tokenizers raises plain Exception
        raise ValueError(f"{path}: not a tokenizer: {error}") from error
