"""What a host does, as a vector: protocols, ports, peers, sizes, fingerprints, from network events.

An event table in, one row of numbers per host out; what is done with them is not known here.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from engine.events.payload import payload_columns
from engine.hypergraph.measures import entropy_bits

TRANSPORTS = ("TCP", "UDP", "ICMP")
APPLICATIONS = ("dns", "tls", "http", "ssh")

FEATURES = (
    "log_events", "share_client", *(f"share_{t.lower()}" for t in TRANSPORTS), *(f"share_{a}" for a in APPLICATIONS),
    "share_low_ports", "port_entropy", "log_ports", "log_peers", "peer_entropy", "log_bytes_sent",
    "log_bytes_received", "log_fingerprints",
)  # fmt: skip
"""Features in order. Shares are of the host's events; ports are those of the side that answers; log is log(1 + n)."""

_TEXT = ("src_ip", "dest_ip", "proto", "app_proto", "ja3", "ja4", "hassh")
_NUMBERS = ("dest_port", "bytes_to_server", "bytes_to_client")


def host_features(events: pa.Table) -> pd.DataFrame:
    """Behaviour of every host that occurs in network events as one side of a conversation.

    Parameters
    ----------
    events : pyarrow.Table
        Schema `engine.events.SCHEMA`; events whose payload has no ``src_ip`` and ``dest_ip`` do not count.

    Returns
    -------
    pandas.DataFrame
        A row per host in the order of names, indexed by ``host:`` and its address; columns `FEATURES`, all finite.

    Examples
    --------
    >>> from engine.events.schema import event_table
    >>> told = '{"src_ip": "10.0.0.1", "dest_ip": "10.0.0.2", "dest_port": 53, "proto": "UDP", "app_proto": "dns"}'
    >>> found = host_features(event_table([0], "net.flow", ["f"], "doc", payload=[told]))
    >>> found["share_dns"].tolist(), found["share_client"].tolist()
    ([1.0, 1.0], [1.0, 0.0])
    """
    events = events.filter(pc.is_valid(events["payload"]))
    told = payload_columns(events, {**dict.fromkeys(_TEXT, str), **dict.fromkeys(_NUMBERS, np.float64)})
    rows = pd.DataFrame(told)
    rows["kind"] = events["kind"].to_pylist()
    rows = rows[rows["src_ip"].notna() & rows["dest_ip"].notna()]
    # What a record is about counts where the protocol is not said.
    named = rows["app_proto"].fillna(rows["kind"].str.removeprefix("net."))
    columns = {
        **{f"share_{t.lower()}": rows["proto"].fillna("").str.upper().str.contains(t) for t in TRANSPORTS},
        **{f"share_{a}": named == a for a in APPLICATIONS},
        "share_low_ports": rows["dest_port"] < 1024,
        "port": rows["dest_port"],
        "fingerprint": rows["ja4"].fillna(rows["ja3"]).fillna(rows["hassh"]),
    }
    sides = []
    for mine, other, sent, received, client in (
        ("src_ip", "dest_ip", "bytes_to_server", "bytes_to_client", 1.0),
        ("dest_ip", "src_ip", "bytes_to_client", "bytes_to_server", 0.0),
    ):
        side = pd.DataFrame({**columns, "host": "host:" + rows[mine], "peer": rows[other], "share_client": client})
        sides.append(side.assign(sent=rows[sent].fillna(0.0), received=rows[received].fillna(0.0)))
        if client == 0.0:
            # A fingerprint is the client's.
            sides[-1]["fingerprint"] = None
    seen = pd.concat(sides, ignore_index=True)
    hosts = seen.groupby("host", sort=True)
    shares = [name for name in FEATURES if name.startswith("share_")]
    found = hosts[shares].mean().astype(np.float64)
    found["log_events"] = np.log1p(hosts.size())
    for name, column in (("log_ports", "port"), ("log_peers", "peer"), ("log_fingerprints", "fingerprint")):
        found[name] = np.log1p(hosts[column].nunique())
    for name, column in (("port_entropy", "port"), ("peer_entropy", "peer")):
        counts = seen.dropna(subset=[column]).groupby(["host", column]).size()
        found[name] = counts.groupby(level="host").agg(entropy_bits).reindex(found.index).fillna(0.0)
    for name, column in (("log_bytes_sent", "sent"), ("log_bytes_received", "received")):
        found[name] = np.log1p(hosts[column].mean())
    return found[list(FEATURES)].astype(np.float64)
