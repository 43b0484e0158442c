"""Anyone's HDF5 file: walked, described and seen part by part, in processes that may crash without harm."""

from engine.hdf5.errors import Hdf5Error, NotAllowed, NotThere, ReaderCrashed, ReaderTimeout, Unreadable
from engine.hdf5.overview import Overview, Overviews, shared_overviews
from engine.hdf5.readers import Readers
from engine.hdf5.tree import Attribute, Dataset, Member, Node, Tree, open_hdf5

__all__ = [
    "Attribute",
    "Dataset",
    "Hdf5Error",
    "Member",
    "Node",
    "NotAllowed",
    "NotThere",
    "Overview",
    "Overviews",
    "ReaderCrashed",
    "ReaderTimeout",
    "Readers",
    "Tree",
    "Unreadable",
    "open_hdf5",
    "shared_overviews",
]
