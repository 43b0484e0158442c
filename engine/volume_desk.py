"""Volumes, slices and sections for all who look at them: one board, opened when the first view asks for it."""

from __future__ import annotations

import weakref
from typing import Protocol

from engine.frames.board import FrameBoard
from engine.frames.volume_frame import VolumeFrame, compute_volume_frame
from engine.frames.volume_planes import PlanesFrame, compute_planes_frame
from engine.frames.volume_spec import PlanesSpec, VolumeSpec
from engine.rf.tracks import TrackFold, Tracks

PAST_KEPT = 24
"""Frames of the past kept; the largest volume has 1 MiB."""


class TrackSource(Protocol):
    """What a desk needs of its station."""

    tracks_fold: TrackFold

    def tracks(self, moment_s: float | None = None) -> Tracks:
        """The emitters as they were known at a past moment."""
        ...


class VolumeDesk:
    """Frames of the volume page of a station.

    Parameters
    ----------
    station : TrackSource
        Held weakly: it is the station that holds the desk.

    Attributes
    ----------
    volumes : FrameBoard
        Give it a `VolumeSpec`.
    planes : FrameBoard
        Give it a `PlanesSpec`. A board of its own: a large volume does not hold up a slice.
    """

    def __init__(self, station: TrackSource) -> None:
        self._station = weakref.proxy(station)
        self.volumes: FrameBoard[VolumeSpec, VolumeFrame] = FrameBoard(self._volume, kept=PAST_KEPT)
        self.planes: FrameBoard[PlanesSpec, PlanesFrame] = FrameBoard(self._planes, kept=PAST_KEPT)
        self.volumes.start()
        self.planes.start()

    def stop(self) -> None:
        """Stop both boards."""
        self.volumes.stop()
        self.planes.stop()

    def _volume(self, spec: VolumeSpec, moment_s: float) -> VolumeFrame:
        return compute_volume_frame(spec, moment_s, self._tracks(spec.moment_s, moment_s))

    def _planes(self, spec: PlanesSpec, moment_s: float) -> PlanesFrame:
        return compute_planes_frame(spec, moment_s, self._tracks(spec.moment_s, moment_s))

    def _tracks(self, wanted_s: float | None, moment_s: float) -> Tracks:
        return self._station.tracks_fold.snapshot(moment_s) if wanted_s is None else self._station.tracks(moment_s)
