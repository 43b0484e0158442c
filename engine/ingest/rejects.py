"""What a source could not take: counted by reason, with one example of each.

Every reader and the gate report here, so that a page can show what was refused and why. It knows the
names of the reasons and nothing of formats, queues or emitters.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field

REASONS: dict[str, str] = {
    "empty_source": "no bytes, or nothing but white space",
    "binary_source": "not text and no format known here",
    "unknown_format": "text, but neither JSON nor a table with position columns",
    "broken_file": "the container (gzip, bzip2, Parquet) cannot be read further",
    "document_too_large": "a JSON document over the limit; what was read is used",
    "truncated": "the record, or the file, ends in the middle",
    "line_too_long": "a line over the limit (default 1 MiB), skipped without holding it",
    "not_utf8": "bytes that are not UTF-8",
    "not_json": "not JSON where JSON is due",
    "not_a_record": "JSON, but no object; or a table row with another number of cells than the header",
    "bad_event_type": "EVE: no event_type, or one that is no plain word of at most 32 characters",
    "broken_packet_record": "capture: bytes between packet records that are none; reading went on after them",
    "unknown_link_type": "capture: a link layer that is not known here",
    "no_ip_packet": "capture: a frame without IP (ARP, LLDP, …), which belongs to no flow",
    "truncated_packet": "capture: headers reach beyond what was captured",
    "malformed_packet": "capture: a header that contradicts itself",
    "lost_fragment": "capture: a fragment whose first one was not captured",
    "missing_id": "no identity, or nothing of it left without control characters",
    "text_too_long": "identity, callsign, kind or cluster of more than 64 characters",
    "missing_position": "fewer than two position components",
    "wrong_type": "identity or position component of a type that it cannot have",
    "non_finite": "position component is NaN or infinite",
    "lat_out_of_range": "latitude outside [-90, 90] degrees",
    "lon_out_of_range": "longitude outside [-180, 180] degrees",
    "null_island": "exactly (0, 0): the usual trace of a receiver without a fix",
    "alt_out_of_range": "altitude outside [-1500, 100000] m",
    "marked_outlier": "marked as an outlier by the provider of the data (Movebank)",
    "missing_time": "no time",
    "bad_time": "a time that cannot be read, or outside 1970 to 2100",
    "missing_power": "measurement: no power, or one that is no finite number",
    "power_out_of_range": "measurement: power outside [-250, 100] dB",
    "no_report": "measurement: the mark of a receiver that gave no report (-101 in the POWDER layout)",
    "both_ends_move": "measurement: no end stays in place, so there is no field that it samples",
    "bad_arrival": "arrival: no receiver, or no time of arrival within ±2**53 ns",
    "heard_twice": "arrival: the same receiver twice for one message; the first counts",
    "duplicate": "same emitter, same time, same position",
    "time_backwards": "older than the last accepted fix of the same emitter",
    "implausible_jump": "faster than the speed limit of its kind allows",
}
"""Every reason, with its meaning. Names are stable: pages, logs and tests refer to them."""

PARSE_REASONS = frozenset(
    {
        "empty_source", "binary_source", "unknown_format", "broken_file", "document_too_large", "truncated",
        "line_too_long", "not_utf8", "not_json", "not_a_record", "bad_event_type", "broken_packet_record",
        "unknown_link_type", "truncated_packet", "malformed_packet",
    }
)  # fmt: skip
"""Reasons that speak of syntax: what `CaptureStats.parse_errors` counts."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
_SHORT.maxdict = 16
_EXAMPLE_CHARS = 200


def safe_repr(value: object) -> str:
    r"""A short, printable, one-line form of any value from outside.

    Parameters
    ----------
    value : object
        Anything; huge and deep values are cut before they are rendered.

    Returns
    -------
    str
        At most 200 characters, control characters escaped. It is text, not HTML.

    Examples
    --------
    >>> safe_repr("a\x00b")
    "'a\\x00b'"
    """
    text = _SHORT.repr(value)
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[: 2 * _EXAMPLE_CHARS])
    return text if len(text) <= _EXAMPLE_CHARS else text[: _EXAMPLE_CHARS - 1] + "…"


@dataclass
class Rejects:
    """Counts by reason and the first example of each.

    Attributes
    ----------
    records : int
        Records seen, good and bad.
    counts : dict of str to int
        Rejected records by reason; the names are the keys of `REASONS`.
    examples : dict of str to str
        First example of each reason: where it was, and a short safe form of it.
    left_out : dict of str to int
        Optional values (speed, callsign time …) that could not be read and were left out of the
        payload of an otherwise good record, by field.

    Examples
    --------
    >>> rejects = Rejects()
    >>> rejects.add("null_island", "record 7", {"lat": 0, "lon": 0})
    >>> rejects.total, rejects.examples["null_island"]
    (1, "record 7: {'lat': 0, 'lon': 0}")
    """

    records: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def add(self, reason: str, where: str, value: object, count: int = 1) -> None:
        """Count rejected records and keep the first example.

        Parameters
        ----------
        reason : str
            A key of `REASONS`.
        where : str
            Place of the example in its source: ``"record 7"``, ``"line 12"``.
        value : object
            The example itself; only a short safe form is kept.
        count : int
            How many records.

        Raises
        ------
        ValueError
            If the reason is not one of `REASONS`.
        """
        if reason not in REASONS:
            raise ValueError(f"{reason!r} is no reason for a rejection; it must be one of {', '.join(REASONS)}")
        self.counts[reason] = self.counts.get(reason, 0) + count
        if reason not in self.examples:
            self.examples[reason] = f"{where}: {safe_repr(value)}"

    @property
    def total(self) -> int:
        """Rejected records, all reasons together."""
        return sum(self.counts.values())

    @property
    def parse_errors(self) -> int:
        """Rejected records whose syntax was the fault."""
        return sum(count for reason, count in self.counts.items() if reason in PARSE_REASONS)
