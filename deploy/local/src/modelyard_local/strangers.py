"""Whether an inner port answers somebody without a certificate. Called by `servers` before S3 counts as started.

Asked in the words of gRPC and of HTTP at once: the preface of HTTP/2 and an empty SETTINGS frame (RFC 9113 §3.4, §6.5).
A gRPC server answers with its own settings, a server of HTTP/1 with an error; who demands a certificate says nothing.
"""

import asyncio
import ssl
from typing import Final

_WORDS: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_ANSWER_WITHIN: Final = 5.0  # seconds


async def answered(host: str, port: int) -> str | None:
    """How a stranger was answered, None if in no way. Raises TimeoutError when that cannot be told yet."""
    for how, context in (("in plain text", None), ("over TLS without a certificate", _anonymous())):
        if await _answers(host, port, context):
            return how
    return None


def _anonymous() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whoever answers, answers too much
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


async def _answers(host: str, port: int, context: ssl.SSLContext | None) -> bool:
    """With TLS 1.3 the refusal of a certificate comes after the handshake, in place of the answer."""
    async with asyncio.timeout(_ANSWER_WITHIN):
        try:
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
        except (ConnectionError, ssl.SSLError):
            return False
        try:
            writer.write(_WORDS)
            return bool(await reader.read(1))
        except (ConnectionError, ssl.SSLError):
            return False
        finally:
            writer.close()
