"""Frames: what views draw. A frame is computed once for a (what, where, when), however many look at it."""

from engine.frames.board import FrameBoard, Watch
from engine.frames.field_frame import FieldFrame, compute_field_frame
from engine.frames.spec import LAYERS, FieldSpec, snap_view
from engine.frames.trails import TrailFold

__all__ = [
    "LAYERS",
    "FieldFrame",
    "FieldSpec",
    "FrameBoard",
    "TrailFold",
    "Watch",
    "compute_field_frame",
    "snap_view",
]
