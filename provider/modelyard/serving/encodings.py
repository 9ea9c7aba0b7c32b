"""Bodies that clients pack: gzip, and nothing else."""

import zlib

from modelyard.serving.errors import BodyTooLarge, EncodingUnsupported, RequestMalformed

__all__ = ["unpacked"]

_GZIP = zlib.MAX_WBITS + 16
_MEND = "Send all of it, packed once."


def unpacked(raw: bytes, encoding: str, limit: int) -> bytes:
    """Return a body without its content encoding; no more memory is taken for it than the limit.

    Parameters
    ----------
    raw
        The body as it came.
    encoding
        The header ``content-encoding``; empty for none.
    limit
        The most bytes that the body may have.

    Raises
    ------
    EncodingUnsupported
        It is packed otherwise than by gzip.
    BodyTooLarge
        It is larger than the limit.
    RequestMalformed
        It is not what the header says.

    Examples
    --------
    >>> import gzip
    >>> unpacked(gzip.compress(b"[1, 2]"), "gzip", 100)
    b'[1, 2]'
    """
    coding = encoding.strip().lower()
    if coding in ("", "identity"):
        return raw
    if coding not in ("gzip", "x-gzip"):
        raise EncodingUnsupported(encoding)
    pieces, size, rest = list[bytes](), 0, raw
    while rest or not pieces:
        unpacking = zlib.decompressobj(_GZIP)
        try:
            piece = unpacking.decompress(rest, limit - size + 1)
        except zlib.error as error:
            raise RequestMalformed(str(error), form="gzip", mend=_MEND) from None
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(limit, how=" when it is unpacked")
        if not unpacking.eof:
            raise RequestMalformed("it ends too early", form="gzip", mend=_MEND)
        pieces.append(piece)
        rest = unpacking.unused_data
    return b"".join(pieces)
