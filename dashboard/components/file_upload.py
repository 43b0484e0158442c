"""Files that a viewer hands in: sent in pieces, read by the station in a thread, and accounted for afterwards.

What is in a file, and what it is called, is data: it is shown as text and never used as a path.
"""

from __future__ import annotations

import base64
import binascii
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import panel as pn
import param
from panel.custom import JSComponent

from dashboard.theme import ASSETS
from engine.station import Station
from engine.upload import MAX_BYTES, UploadResult

MAX_PIECE = 2 << 20
"""Bytes of one piece at most."""

AT_ONCE = threading.BoundedSemaphore(2)
"""Files read at the same time at most, of all sessions."""


@dataclass
class _Job:
    """One file on its way."""

    name: str
    size: int
    path: str
    file: Any
    at: int = 0
    share: float = 0.0
    cancel: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    result: UploadResult | None = None
    error: str = ""


class FileUpload(JSComponent):
    """A place to drop a recording on: EVE, a capture or tracks, plain or compressed.

    Parameters
    ----------
    station : Station
        Takes the events in.

    Attributes
    ----------
    wake : callable () -> None
        Called from a thread when there is something new to `pull`.
    """

    progress = param.Dict(default={"phase": "idle"}, doc="phase, share, text, and rows of the accounting.")
    received = param.List(default=[0, 0], doc="Bytes that have arrived, below 0: no more; number of the answer.")
    most = param.Integer(MAX_BYTES, doc="Bytes of a file at most.")

    _esm = ASSETS / "upload.js"
    _stylesheets: ClassVar[list[str]] = [(ASSETS / "upload.css").read_text()]

    def __init__(self, station: Station, **params: Any) -> None:
        self.station = station
        self.wake: Callable[[], None] = lambda: None
        self._job: _Job | None = None
        self._early: dict[str, Any] | None = None
        super().__init__(sizing_mode="stretch_width", margin=0, **params)

    def pull(self) -> None:
        """Show how the file is getting on."""
        job = self._job
        if job is None or job.thread is None:
            return
        if job.result is None and not job.error:
            self._say("reading", job.share, f"Reading {job.name}: {100 * job.share:.0f} %")
            return
        self._job = None
        if job.error:
            self._say("failed", 0.0, job.error)
        else:
            assert job.result is not None
            self.progress = accounting(job.name, job.result)

    def close(self) -> None:
        """Stop and forget the file; what the queue has taken stays taken."""
        job, self._job = self._job, None
        if job is not None:
            job.cancel.set()
            if job.thread is None:
                _forget(job)

    # -- inside ---------------------------------------------------------------------------------

    def _handle_msg(self, msg: Any) -> None:
        if not isinstance(msg, dict):
            return
        if not pn.state.loaded:
            # An answer now would be lost (docs/decisions/into-a-session.md), and the file never go on. A page waits
            # for its answer, so one message is all that comes.
            if self._early is None:
                pn.state.onload(self._page_loaded)
            self._early = msg
            return
        self._take(msg)

    def _page_loaded(self) -> None:
        msg, self._early = self._early, None
        if msg is not None:
            self._take(msg)

    def _take(self, msg: dict[str, Any]) -> None:
        if msg.get("do") == "cancel":
            self._cancelled()
            return
        name, at, size, content = (msg.get(key) for key in ("name", "at", "size", "content"))
        if msg.get("do") != "piece" or not isinstance(name, str) or not isinstance(content, str):
            return
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in (at, size)):
            return
        assert isinstance(at, int) and isinstance(size, int)
        try:
            data = base64.b64decode(content, validate=True) if len(content) <= 2 * MAX_PIECE else b""
        except (binascii.Error, ValueError):
            data = b""
        self._piece(name, at, size, data)

    def _piece(self, name: str, at: int, size: int, data: bytes) -> None:
        name = "".join(c for c in name if c.isprintable())[:120] or "file"
        if at == 0:
            self.close()
            if not 0 < size <= self.most:
                self._refuse(f"{name} has {size:,} bytes; files of 1 to {self.most:,} bytes are taken")
                return
            handle, path = tempfile.mkstemp(prefix="scythe-upload-")
            self._job = _Job(name, size, path, os.fdopen(handle, "wb"))
        job = self._job
        if job is None or job.thread is not None:
            return
        if at != job.at or not data or at + len(data) > job.size:
            self.close()
            self._refuse(f"{name} did not arrive whole; try again")
            return
        job.file.write(data)
        job.at += len(data)
        share = job.at / job.size
        self._say("sending", share, f"Receiving {job.name}: {100 * share:.0f} %")
        self._answer(job.at)
        if job.at == job.size:
            job.file.close()
            self._say("reading", 0.0, f"Reading {job.name}")
            job.thread = threading.Thread(target=self._read, args=(job,), name="upload", daemon=True)
            job.thread.start()

    def _read(self, job: _Job) -> None:
        def told(share: float) -> None:
            if share - job.share >= 0.02 or share >= 1.0:
                job.share = share
                self.wake()

        try:
            while not AT_ONCE.acquire(timeout=0.2):
                if job.cancel.is_set():
                    raise ValueError("cancelled while waiting for other files")
            try:
                job.result = self.station.upload(job.path, job.name, told, job.cancel)
            finally:
                AT_ONCE.release()
        except Exception as error:
            # Whatever a file holds, the viewer is told and the page goes on.
            job.error = f"{job.name} could not be read: {error}"
        finally:
            _forget(job)
        self.wake()

    def _cancelled(self) -> None:
        job = self._job
        if job is None:
            return
        job.cancel.set()
        if job.thread is None:
            self._job = None
            _forget(job)
            self._say("cancelled", 0.0, f"{job.name} was not sent to its end; nothing of it was taken in")
            self._answer(-1)

    def _refuse(self, text: str) -> None:
        self._say("failed", 0.0, text)
        self._answer(-1)

    def _answer(self, at: int) -> None:
        """Tell the browser where to go on; two equal answers must be two, or the second is not heard."""
        self.received = [at, self.received[1] + 1]

    def _say(self, phase: str, share: float, text: str) -> None:
        self.progress = {"phase": phase, "share": share, "text": text}


def accounting(name: str, result: UploadResult) -> dict[str, Any]:
    """What became of a file, for the page: every record is taken over or refused by reason.

    Examples
    --------
    >>> accounting("a.json", UploadResult("upload a.json", "eve", 3, 2, 2, {"truncated": 1}))["rows"][:2]
    [['records read', 3, 'Lines, fixes or packets'], ['taken over', 2, 'Records that are in the events']]
    """
    kinds = {"eve": "Suricata EVE", "pcap": "capture", "tracks": "tracks", "rssi": "measured powers"}
    how = {"finished": "read to its end", "cancelled": "cancelled", "too_many": "cut off: too many events"}
    rows: list[list[Any]] = [
        ["records read", result.records, "Lines, fixes or packets"],
        ["taken over", result.committed, "Records that are in the events"],
        ["events", result.events, "Events accepted; a flow of a capture is many packets"],
    ]
    for reason, count in sorted(result.rejected.items(), key=lambda pair: -pair[1]):
        rows.append([f"refused: {reason}", count, result.examples.get(reason, "")])
    phase = "done" if result.state == "finished" else "cancelled" if result.state == "cancelled" else "failed"
    kind = kinds.get(result.kind, str(result.kind))
    return {"phase": phase, "share": 1.0, "text": f"{name}: {kind}, {how[result.state]}", "rows": rows}


def _forget(job: _Job) -> None:
    try:
        job.file.close()
        os.unlink(job.path)
    except FileNotFoundError:
        pass
