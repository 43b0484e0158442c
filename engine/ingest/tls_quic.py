"""The ClientHello inside a QUIC Initial packet: its protection taken off with the key that everyone can derive.

The key of an Initial comes from the packet itself, so this reveals no secret and needs no secret: AES
here runs in the open, and its timing does not matter. It knows QUIC versions 1 and 2, not flows.
"""

from __future__ import annotations

import functools
import hashlib
import hmac

import numpy as np

# Per version: salt, the prefix of key labels, and the type bits of an Initial (RFC 9001, 5.2; RFC 9369, 3).
_VERSIONS = {
    0x00000001: (bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"), b"quic", 0),
    0x6B3343CF: (bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"), b"quicv2", 1),
}
MAX_HELLO_BYTES = 1 << 14
"""A longer ClientHello is given up."""


def initial_crypto(datagram: bytes) -> tuple[bytes, list[tuple[int, bytes]]] | None:
    """Pieces of the handshake in the first packet of a client's datagram.

    Parameters
    ----------
    datagram : bytes
        Payload of a UDP packet.

    Returns
    -------
    connection : bytes
        Destination connection ID: the same for all Initials of one attempt.
    pieces : list of (offset, data)
        Contents of the CRYPTO frames.

    None where it is no Initial of a known version, or the frames make no sense (which a wrong key gives).

    Examples
    --------
    >>> initial_crypto(b"nothing of the kind") is None
    True

    References
    ----------
    RFC 9000, sections 17.2.2 and 19.6; RFC 9001, section 5; RFC 9369.
    """
    if len(datagram) < 64 or not datagram[0] & 0x80:
        return None
    known = _VERSIONS.get(int.from_bytes(datagram[1:5], "big"))
    if known is None or (datagram[0] >> 4) & 3 != known[2]:
        return None
    try:
        connection_size = datagram[5]
        connection = datagram[6 : 6 + connection_size]
        at = 6 + connection_size
        at += 1 + datagram[at]
        token_size, at = _varint(datagram, at)
        length, number_at = _varint(datagram, at + token_size)
        frames = _opened(datagram, number_at, length, _keys(connection, known[0], known[1]))
        return None if frames is None else (connection, _crypto_frames(frames))
    except (IndexError, ValueError):
        return None


def _opened(datagram: bytes, number_at: int, length: int, keys: tuple[bytes, bytes, bytes]) -> bytes | None:
    """Frames of a packet, in the clear; the authentication tag is not checked, the frames are."""
    key, iv, header_key = keys
    sample = datagram[number_at + 4 : number_at + 20]
    if len(sample) < 16 or length < 20 or number_at + length > len(datagram):
        return None
    mask = _aes_blocks(header_key, np.frombuffer(sample, np.uint8)[None])[0]
    size = ((datagram[0] ^ int(mask[0])) & 3) + 1
    number = bytes(datagram[number_at + i] ^ int(mask[1 + i]) for i in range(size))
    body = np.frombuffer(datagram[number_at + size : number_at + length - 16], np.uint8)
    nonce = (int.from_bytes(iv, "big") ^ int.from_bytes(number, "big")).to_bytes(12, "big")
    # AES-GCM encrypts by counter, from 2 on; 1 is for the tag (NIST SP 800-38D, section 7.1).
    count = -(-len(body) // 16)
    counters = np.zeros((count, 16), np.uint8)
    counters[:, :12] = np.frombuffer(nonce, np.uint8)
    counters[:, 12:] = np.arange(2, 2 + count, dtype=">u4")[:, None].view(np.uint8).reshape(count, 4)
    return bytes(body ^ _aes_blocks(key, counters).reshape(-1)[: len(body)])


def _crypto_frames(frames: bytes) -> list[tuple[int, bytes]]:
    """CRYPTO frames among those that may stand in an Initial: PADDING, PING, ACK, CONNECTION_CLOSE."""
    at, pieces = 0, []
    while at < len(frames):
        kind = frames[at]
        at += 1
        if kind == 6:
            offset, at = _varint(frames, at)
            size, at = _varint(frames, at)
            if at + size > len(frames) or offset + size > MAX_HELLO_BYTES:
                raise ValueError("a CRYPTO frame beyond its packet")
            pieces.append((offset, frames[at : at + size]))
            at += size
        elif kind in (2, 3):
            _, at = _varint(frames, at)
            _, at = _varint(frames, at)
            ranges, at = _varint(frames, at)
            if ranges > len(frames):
                raise ValueError("more ranges than bytes")
            for _ in range(1 + 2 * ranges + (3 if kind == 3 else 0)):
                _, at = _varint(frames, at)
        elif kind not in (0, 1):
            raise ValueError(f"frame of type {kind} in an Initial")
    return pieces


def _varint(data: bytes, at: int) -> tuple[int, int]:
    size = 1 << (data[at] >> 6)
    if at + size > len(data):
        raise IndexError("a number beyond the end")
    return int.from_bytes(data[at : at + size], "big") & ((1 << (8 * size - 2)) - 1), at + size


def _keys(connection: bytes, salt: bytes, prefix: bytes) -> tuple[bytes, bytes, bytes]:
    """Key, IV and header key of the client (RFC 9001, sections 5.1 and 5.2)."""
    initial = hmac.digest(salt, connection, "sha256")
    client = _expanded(initial, b"client in", 32)
    return tuple(_expanded(client, prefix + name, size) for name, size in ((b" key", 16), (b" iv", 12), (b" hp", 16)))  # type: ignore[return-value]


def _expanded(secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label of at most 32 bytes (RFC 8446, section 7.1)."""
    label = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\x00"
    return hmac.digest(secret, info + b"\x01", hashlib.sha256)[:size]


@functools.cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """S-box and doubling in GF(2^8) (FIPS 197, sections 4.2 and 5.1.1)."""
    power, doubled = [0] * 256, np.zeros(256, np.uint8)
    for value in range(256):
        doubled[value] = (value << 1) ^ (0x11B if value & 0x80 else 0)
    value = 1
    for exponent in range(255):
        power[exponent] = value
        value ^= int(doubled[value])  # times 3, which generates the field
    log = {power[exponent]: exponent for exponent in range(255)}
    box = np.zeros(256, np.uint8)
    for value in range(256):
        inverse = power[(255 - log[value]) % 255] if value else 0
        turned = inverse * 0x0101
        box[value] = (
            0x63
            ^ inverse
            ^ ((turned >> 7) & 255)
            ^ ((turned >> 6) & 255)
            ^ ((turned >> 5) & 255)
            ^ ((turned >> 4) & 255)
        )
    return box, doubled


_SHIFT = np.array([0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11])  # ShiftRows, column by column


def _aes_blocks(key: bytes, blocks: np.ndarray) -> np.ndarray:
    """AES-128 of n blocks at once, uint8 of shape (n, 16)."""
    box, doubled = _tables()
    words = [np.frombuffer(key, np.uint8)[4 * i : 4 * i + 4] for i in range(4)]
    constant = np.uint8(1)
    for i in range(4, 44):
        word = words[-1]
        if i % 4 == 0:
            word = box[np.roll(word, -1)]
            word = word ^ np.array([constant, 0, 0, 0], np.uint8)
            constant = doubled[constant]
        words.append(words[i - 4] ^ word)
    keys = np.concatenate(words).reshape(11, 16)
    state = blocks ^ keys[0]
    for turn in range(1, 11):
        state = box[state][:, _SHIFT]
        if turn < 10:
            column = state.reshape(-1, 4, 4)
            total = column[:, :, :1] ^ column[:, :, 1:2] ^ column[:, :, 2:3] ^ column[:, :, 3:]
            state = (column ^ total ^ doubled[column ^ np.roll(column, -1, axis=2)]).reshape(-1, 16)
        state = state ^ keys[turn]
    return state
