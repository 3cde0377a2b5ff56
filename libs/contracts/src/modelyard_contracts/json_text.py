"""How much a JSON text holds, told from its bytes before anything is made of them.

A parsed text costs many times its bytes, and validating one that is wrong everywhere costs many times that: whoever
reads JSON of strangers asks here first (the gateway's bodies, a package's config.json).
"""


def crowded(text: bytes, most: int) -> bool:
    """More than `most` values (items, fields, and the objects and lists themselves) may stand in it.

    Counted without parsing, a few milliseconds per MiB: each comma or opening bracket outside of a string begins one.
    """
    if len(text) < most:
        return False
    plain = text.replace(rb"\\", b"").replace(rb"\"", b"")
    if plain.count(b'"') > 4 * most:  # a field and its value are two strings at most
        return True
    bare = b"".join(plain.split(b'"')[::2])
    return sum(map(bare.count, (b",", b"[", b"{"))) > most
