"""Which segments below `/models/` are words and which are ids, so that no order of routes decides it."""

import re
from typing import Final

from starlette.convertors import StringConvertor, register_url_convertor

WORDS: Final = ("ai-engine-runtimes", "compare", "infer-formats", "template", "verifications")


class ModelId(StringConvertor):
    """Every segment but these words: what else is no id, the register says, and as a 404 that names it."""

    regex = rf"(?!(?:{'|'.join(map(re.escape, WORDS))})(?:/|$))[^/]+"


register_url_convertor("model_id", ModelId())
MODEL: Final = "/models/{model_id:model_id}"
