"""Chinese text cut into words by jieba, where that is installed (`vitrine[chinese]`).

jieba is used without its cache: that is a file in the folder for temporary files, which everybody on the
machine may write and which is read back unchecked. Its dictionary is loaded once, when a text first needs it:
half a second and about 75 MiB in each process.
"""

import importlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from functools import lru_cache
from threading import Lock
from typing import Any

_loading = Lock()


def available() -> bool:
    """Whether jieba is installed."""
    return importlib.util.find_spec("jieba") is not None


def cut(text: str) -> Iterator[str]:
    """Words of two characters and more, and the shorter ones inside long ones; none without jieba."""
    with _loading:
        tokenizer = _tokenizer()
    if tokenizer is not None:
        yield from (word for word in tokenizer.cut_for_search(text) if len(word) > 1)


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    if not available():
        return None
    logger = logging.getLogger("jieba")
    with warnings.catch_warnings():
        # It still has escapes and imports that newer Pythons warn of.
        warnings.simplefilter("ignore")
        jieba = importlib.import_module("jieba")
    # Importing it sets a handler of its own and the level for debugging.
    logger.handlers.clear()
    logger.setLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    with tokenizer.get_dict_file() as dictionary:
        tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(dictionary)
    tokenizer.initialized = True
    return tokenizer
