"""JA3 and JA4: what a TLS client offers, as a short text that stays the same wherever it calls from.

Pure functions of a `ClientHello`. They know neither packets nor where a hello came from.
"""

from __future__ import annotations

import hashlib

from engine.ingest.tls_hello import ALPN, SERVER_NAME, ClientHello

_VERSION_NAMES = {
    0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2", 0xFEFF: "d1", 0xFEFD: "d2",
    0xFEFC: "d3",
}  # fmt: skip
_NOTHING = "000000000000"


def is_grease(value: int) -> bool:
    """Whether a number is one of those that clients offer at random, to keep servers tolerant (RFC 8701).

    Examples
    --------
    >>> is_grease(0x1A1A), is_grease(0x1301)
    (True, False)
    """
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


def ja3_string(hello: ClientHello) -> str:
    """The text whose MD5 is the JA3: version, ciphers, extensions, groups and point formats as decimals.

    Examples
    --------
    >>> ja3_string(ClientHello(769, (4, 5, 10)))
    '769,4-5-10,,,'

    References
    ----------
    Althouse, Atkinson, Atkins, "JA3", github.com/salesforce/ja3.
    """
    lists = (hello.ciphers, hello.extensions, hello.groups, hello.point_formats)
    return ",".join([str(hello.version), *("-".join(map(str, _sincere(values))) for values in lists)])


def ja3(hello: ClientHello) -> str:
    """JA3 fingerprint of a client: 32 hexadecimal digits.

    Examples
    --------
    >>> ja3(ClientHello(769, (4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99)))
    'de350869b8c85de67a350c8d186f11e6'
    """
    return hashlib.md5(ja3_string(hello).encode(), usedforsecurity=False).hexdigest()


def ja4(hello: ClientHello, transport: str = "t") -> str:
    """JA4 fingerprint of a client.

    Parameters
    ----------
    hello : ClientHello
    transport : {'t', 'q', 'd'}
        TLS over TCP, QUIC, or DTLS.

    Returns
    -------
    str
        36 characters: what was counted, a hash of the sorted ciphers, and a hash of the sorted
        extensions and the signature algorithms in their order.

    Raises
    ------
    ValueError
        If the transport is another one.

    Examples
    --------
    >>> ja4(ClientHello(0x0303, (0x1301, 0x1302), (0x002B,), versions=(0x0304,)))
    't13i020100_62ed6f6ca7ad_b9a491fefe05'

    References
    ----------
    FoxIO, "JA4: TLS Client Fingerprinting", technical details (JA4 itself is BSD-3-Clause).
    """
    if transport not in ("t", "q", "d"):
        raise ValueError(f"transport is {transport!r}; it must be t (TCP), q (QUIC) or d (DTLS)")
    ciphers, extensions = _sincere(hello.ciphers), _sincere(hello.extensions)
    version = _VERSION_NAMES.get(max(_sincere(hello.versions), default=hello.version), "00")
    named = "d" if SERVER_NAME in extensions else "i"
    counts = f"{min(len(ciphers), 99):02d}{min(len(extensions), 99):02d}"
    listed = ",".join(sorted(f"{value:04x}" for value in extensions if value not in (SERVER_NAME, ALPN)))
    signatures = ",".join(f"{value:04x}" for value in _sincere(hello.signatures))
    return "_".join(
        [
            f"{transport}{version}{named}{counts}{_ends(hello.alpn)}",
            _hash12(",".join(sorted(f"{value:04x}" for value in ciphers))),
            _hash12(f"{listed}_{signatures}" if listed and signatures else listed),
        ]
    )


def _sincere(values: tuple[int, ...]) -> list[int]:
    return [value for value in values if not is_grease(value)]


def _hash12(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else _NOTHING


def _ends(alpn: tuple[bytes, ...]) -> str:
    """First and last character of the first protocol; of its hexadecimal form if one is no letter or digit."""
    if not alpn or not alpn[0]:
        return "00"
    ends = alpn[0][:1] + alpn[0][-1:]
    if ends.isalnum():
        return ends.decode("ascii")
    digits = alpn[0].hex()
    return digits[0] + digits[-1]
