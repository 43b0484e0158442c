"""What can go wrong with a foreign file, in words that name the file, the place in it and the reason."""

from __future__ import annotations


class Hdf5Error(Exception):
    """A file, or a part of one, that cannot be shown; the message says why."""


class NotAllowed(Hdf5Error):
    """The file, or one that it points to, lies outside the allowed folders."""


class NotThere(Hdf5Error, KeyError):
    """There is nothing at this path of the file: no such member, or a link that leads nowhere."""

    __str__ = Exception.__str__


class Unreadable(Hdf5Error):
    """It is there and cannot be read: damaged, of a type without equivalent, or its filter is not installed."""


class ReaderCrashed(Hdf5Error):
    """The HDF5 library crashed on this file; it ran in a process of its own, and a new one has taken its place."""


class ReaderTimeout(Hdf5Error):
    """The HDF5 library did not come back in time on this file; its process was ended."""


KINDS: dict[str, type[Hdf5Error]] = {
    kind.__name__: kind for kind in (Hdf5Error, NotAllowed, NotThere, Unreadable, ReaderCrashed, ReaderTimeout)
}
"""By name, as a reader process spells them."""
