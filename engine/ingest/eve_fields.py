"""The mapping of Suricata EVE records: which of their fields become which keys of an event's payload.

One table, written out in docs/engine-ingest-network.md, and its form for compiled code, a tree of key
names in flat arrays. It knows the field names of EVE in its versions 4 to 8, and does not read anything.
"""

from __future__ import annotations

import numpy as np

ENVELOPE = (
    "timestamp", "event_type", "src_ip", "dest_ip", "src_port", "dest_port", "proto", "icmp_type", "icmp_code",
    "community_id", "flow_id",
)  # fmt: skip
"""Fields that the scanner itself understands; they are the first slots, in this order."""

PAYLOAD_KEYS: dict[str, str] = {
    "src_ip": "src_ip", "src_port": "src_port", "dest_ip": "dest_ip", "dest_port": "dest_port", "proto": "proto",
    "icmp_type": "icmp_type", "icmp_code": "icmp_code", "flow_id": "flow_id",
    "app_proto": "app_proto", "vlan": "vlan", "in_iface": "in_iface", "host": "host", "direction": "direction",
    "tx_id": "tx_id", "pcap_cnt": "pcap_cnt",
    "flow.pkts_toserver": "pkts_to_server", "flow.pkts_toclient": "pkts_to_client",
    "flow.bytes_toserver": "bytes_to_server", "flow.bytes_toclient": "bytes_to_client",
    "flow.start": "start_s", "flow.end": "end_s", "flow.age": "age_s", "flow.state": "state", "flow.reason": "reason",
    "flow.alerted": "alerted", "netflow.pkts": "pkts", "netflow.bytes": "bytes", "netflow.start": "start_s",
    "netflow.end": "end_s", "netflow.age": "age_s", "tcp.tcp_flags": "tcp_flags", "tcp.state": "tcp_state",
    "dns.type": "dns_type", "dns.id": "dns_id", "dns.rrname": "dns_name", "dns.rrtype": "dns_rrtype",
    "dns.rcode": "dns_rcode", "dns.queries.rrname": "dns_name", "dns.queries.rrtype": "dns_rrtype",
    "dns.query.rrname": "dns_name", "dns.query.rrtype": "dns_rrtype", "dns.query.type": "dns_type",
    "dns.query.id": "dns_id", "dns.answers.rdata": "dns_answers", "dns.answer.rdata": "dns_answers",
    "dns.rdata": "dns_answers", "dns.answer.rcode": "dns_rcode", "dns.answer.rrname": "dns_name",
    "http.hostname": "http_host", "http.url": "http_url", "http.http_method": "http_method",
    "http.status": "http_status", "http.http_user_agent": "http_user_agent", "http.protocol": "http_protocol",
    "http.http_content_type": "http_content_type", "http.length": "http_length_bytes",
    "http.http_refer": "http_referer",
    "tls.sni": "tls_sni", "tls.version": "tls_version", "tls.subject": "tls_subject", "tls.issuerdn": "tls_issuer",
    "tls.fingerprint": "tls_fingerprint", "tls.serial": "tls_serial", "tls.notbefore": "tls_not_before",
    "tls.notafter": "tls_not_after", "tls.session_resumed": "tls_session_resumed",
    "tls.subjectaltname": "tls_subject_names", "tls.ja3.hash": "ja3", "tls.ja3.string": "ja3_string",
    "tls.ja3s.hash": "ja3s", "tls.ja3s.string": "ja3s_string", "tls.ja4": "ja4", "quic.sni": "tls_sni",
    "quic.version": "quic_version", "quic.ja3.hash": "ja3", "quic.ja3.string": "ja3_string", "quic.ja4": "ja4",
    "quic.ua": "quic_user_agent",
    "ssh.client.software_version": "ssh_client", "ssh.server.software_version": "ssh_server",
    "ssh.client.proto_version": "ssh_client_proto", "ssh.server.proto_version": "ssh_server_proto",
    "ssh.client.hassh.hash": "hassh", "ssh.server.hassh.hash": "hassh_server",
    "alert.signature": "alert_signature", "alert.signature_id": "alert_signature_id", "alert.gid": "alert_gid",
    "alert.category": "alert_category", "alert.severity": "alert_severity", "alert.action": "alert_action",
    "alert.rev": "alert_rev",
    "anomaly.type": "anomaly_type", "anomaly.event": "anomaly_event", "anomaly.layer": "anomaly_layer",
    "anomaly.app_proto": "anomaly_app_proto",
    "fileinfo.filename": "file_name", "fileinfo.size": "file_size_bytes", "fileinfo.state": "file_state",
    "fileinfo.magic": "file_magic", "fileinfo.md5": "file_md5", "fileinfo.sha1": "file_sha1",
    "fileinfo.sha256": "file_sha256",
    "smtp.helo": "smtp_helo", "smtp.mail_from": "smtp_from", "smtp.rcpt_to": "smtp_to", "email.from": "email_from",
    "email.to": "email_to", "email.subject": "email_subject",
    "dhcp.type": "dhcp_type", "dhcp.dhcp_type": "dhcp_message", "dhcp.id": "dhcp_id",
    "dhcp.client_mac": "dhcp_client_mac", "dhcp.assigned_ip": "dhcp_assigned_ip", "dhcp.hostname": "dhcp_host",
    "stats.uptime": "uptime_s", "stats.capture.kernel_packets": "kernel_packets",
    "stats.capture.kernel_drops": "kernel_drops", "stats.decoder.pkts": "decoder_packets",
    "stats.decoder.bytes": "decoder_bytes", "stats.decoder.invalid": "decoder_invalid",
    "stats.flow.memuse": "flow_memory_bytes", "stats.detect.alert": "alerts",
}  # fmt: skip
"""Path of an EVE field, with dots between levels and lists passed through, to its key in the payload.

Where several paths share a key, the one that comes last in the record counts. Scalars that are not
here keep their dotted path as their key; see `DROPPED` for what is left out.
"""

JOINED = frozenset({"dns_answers", "tls_subject_names", "smtp_to", "email_to", "vlan"})
"""Keys whose values may be lists: joined to one text, with a space between."""

DROPPED = (
    "metadata", "payload", "payload_printable", "packet", "packet_info", "stats", "community_id", "event_type",
    "timestamp", "alert.metadata", "alert.source", "alert.target", "alert.references", "dns.grouped",
    "dns.authorities", "dns.additionals", "dns.answers", "dns.answer", "dns.queries", "dns.query", "dns.flags",
    "http.http_request_body", "http.http_response_body", "http.http_request_body_printable",
    "http.http_response_body_printable", "http.request_headers", "http.response_headers", "tls.chain",
    "tls.certificate", "flow.src_ip", "flow.dest_ip", "flow.src_port", "flow.dest_port", "tcp", "smtp.rcpt_to",
    "files", "verdict", "ether", "capture_file", "traffic",
)  # fmt: skip
"""Paths that are left out with all below them, except what `PAYLOAD_KEYS` names: raw bytes, whole
bodies, counters of the engine itself, and what is said elsewhere in the record."""

NO_SLOT, UNKNOWN, DROP = -1, -1, -2


TREE_PARTS = ("table", "parent", "child", "name_at", "names", "slot", "rest", "joined", "is_time", "key_at", "keys")
"""What lies in the array of `field_tree`, in this order:

table
    Hash table of the edges of the tree of key names: the number of an edge, or -1. A power of two long.
parent, child, name_at
    Of each edge, its nodes (0 is the root), and where its key name begins in `names` (one entry more).
names
    Bytes of the key names.
slot, rest
    Of each node, its slot or -1, and what its unnamed children are: `UNKNOWN` or `DROP`.
joined, is_time, key_at
    Of each slot: takes several values; its ISO time becomes epoch seconds; where its key begins in `keys`.
keys
    ``"key":`` of each slot as it stands in the payload; empty where it does not go there.
"""


def field_tree() -> np.ndarray:
    """The mapping table for compiled code: one array, since each array costs at every call there.

    Returns
    -------
    ndarray of int32
        First where each of `TREE_PARTS` begins, and the end; then the parts.

    Examples
    --------
    >>> tree = field_tree()
    >>> int(tree[len(TREE_PARTS)]) == len(tree)
    True
    """
    edges: dict[tuple[int, str], int] = {}
    slot, rest = [NO_SLOT], [UNKNOWN]
    keys = slot_keys()

    def node_of(path: str) -> int:
        node = 0
        for name in path.split("."):
            if (node, name) not in edges:
                edges[node, name] = len(slot)
                slot.append(NO_SLOT)
                rest.append(rest[node])
            node = edges[node, name]
        return node

    for path in DROPPED:
        rest[node_of(path)] = DROP
    for path, key in [*((name, name) for name in ENVELOPE), *PAYLOAD_KEYS.items()]:
        slot[node_of(path)] = keys.index(key)
    hidden = {"timestamp", "event_type", "community_id"}
    name_at, names = _packed([name for _, name in edges])
    key_at, shown = _packed(["" if key in hidden else f'"{key}":' for key in keys])
    parts = {
        "table": _hash_table(edges), "parent": [parent for parent, _ in edges], "child": list(edges.values()),
        "name_at": name_at, "names": names, "slot": slot, "rest": rest, "joined": [key in JOINED for key in keys],
        "is_time": [key in ("start_s", "end_s") for key in keys], "key_at": key_at, "keys": shown,
    }  # fmt: skip
    arrays = [np.asarray(parts[part], np.int32) for part in TREE_PARTS]
    ends = np.cumsum([len(arrays) + 1, *map(len, arrays)])
    return np.concatenate([ends, *arrays]).astype(np.int32)


def _hash_table(edges: dict[tuple[int, str], int]) -> list[int]:
    size = 1 << (4 * len(edges)).bit_length()
    table = [-1] * size
    for number, (parent, name) in enumerate(edges):
        place = key_hash(parent, name.encode()) & (size - 1)
        while table[place] >= 0:
            place = (place + 1) & (size - 1)
        table[place] = number
    return table


def slot_keys() -> list[str]:
    """Keys of the slots: the envelope, then the payload in the order of the table, each once."""
    return list(dict.fromkeys([*ENVELOPE, *PAYLOAD_KEYS.values()]))


def key_hash(parent: int, name: bytes) -> int:
    """Hash of an edge, of a few of its bytes; the scanner computes the same."""
    size = len(name)
    if not size:
        return parent
    value = parent * 40503 + size * 30011 + name[0] * 131 + name[size // 2] * 8191 + name[-1] * 257
    return value ^ (value >> 9)


def _packed(texts: list[str]) -> tuple[list[int], list[int]]:
    """Where each text begins, and where the last ends; all their bytes."""
    encoded = [text.encode() for text in texts]
    return np.cumsum([0, *map(len, encoded)]).tolist(), list(b"".join(encoded))
