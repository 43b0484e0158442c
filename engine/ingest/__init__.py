"""Sources of events: one file per source, all behind one protocol.

What comes from outside is checked here, at the door; what cannot be used is counted by reason and shown.
"""

from engine.ingest.eve_read import iter_eve, read_eve
from engine.ingest.eve_tail import EvePosition, EveTail
from engine.ingest.file_kind import file_kind
from engine.ingest.gate import FixGate
from engine.ingest.network_replay import NetworkReplay
from engine.ingest.pcap_address import community_id
from engine.ingest.pcap_read import iter_pcap, read_pcap
from engine.ingest.pcap_replay import PcapReplay
from engine.ingest.protocol import CaptureEngine, CaptureStats, Sink
from engine.ingest.rejects import REASONS, Rejects
from engine.ingest.rssi_events import MeasurementFile, iter_rssi, read_rssi
from engine.ingest.rssi_read import read_campaign
from engine.ingest.tracks_read import iter_tracks, read_tracks
from engine.ingest.tracks_replay import TrackReplay

__all__ = [
    "REASONS",
    "CaptureEngine",
    "CaptureStats",
    "EvePosition",
    "EveTail",
    "FixGate",
    "MeasurementFile",
    "NetworkReplay",
    "PcapReplay",
    "Rejects",
    "Sink",
    "TrackReplay",
    "community_id",
    "file_kind",
    "iter_eve",
    "iter_pcap",
    "iter_rssi",
    "iter_tracks",
    "read_campaign",
    "read_eve",
    "read_pcap",
    "read_rssi",
    "read_tracks",
]
