"""Clusters against brute force and scikit-learn in other coordinates; their measures by hand; hostile positions."""

import math

import numpy as np
import orjson
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN, HDBSCAN
from sklearn.metrics import adjusted_rand_score

from engine.drift import normalized_entropy, silence_pressure_predictive
from engine.events.schema import event_table
from engine.hypergraph import clusters, great_circle_km, host_features
from engine.hypergraph.clusters_features import FEATURES
from engine.hypergraph.clusters_labels import label_behaviour, label_positions
from engine.hypergraph.sphere import EARTH_RADIUS_KM, unit_vectors
from engine.ingest import read_tracks
from tests.hypergraph.real_log import first_events

# Around nowhere special, the antimeridian, the poles.
CENTRES = [(47.0, 8.0), (0.0, 180.0), (90.0, 0.0), (-90.0, 77.0), (60.0, -179.99)]


def around(rng, lat, lon, n, km):
    """Positions near a centre, by moving its unit vector."""
    v = unit_vectors(lat, lon) + rng.normal(size=(n, 3)) * (km / EARTH_RADIUS_KM)
    return np.degrees(np.arctan2(v[:, 2], np.hypot(v[:, 0], v[:, 1]))), np.degrees(np.arctan2(v[:, 1], v[:, 0]))


def brute_dbscan(lat, lon, km, samples):
    """Core points and the sets that they form, by all pairs; which cores each border point touches."""
    near = great_circle_km(lat[:, None], lon[:, None], lat[None], lon[None]) <= km
    core = near.sum(1) >= samples
    groups, left = [], set(np.flatnonzero(core).tolist())
    while left:
        group, front = set(), {left.pop()}
        while front:
            group |= front
            front = {j for i in front for j in np.flatnonzero(near[i] & core).tolist()} - group
        left -= group
        groups.append(group)
    touches = {i: {g for g, group in enumerate(groups) if any(near[i, j] for j in group)} for i in range(len(lat))}
    return groups, touches


@pytest.mark.parametrize("seed", range(6))
def test_dbscan_is_that_of_all_pairs(seed):
    rng = np.random.default_rng(seed)
    parts = [around(rng, *CENTRES[c], 25, 30.0) for c in rng.integers(0, 5, 4)]
    lat, lon = (np.concatenate([p[i] for p in parts]) for i in (0, 1))
    lat, lon = np.r_[lat, lat[:9]], np.r_[lon, lon[:9]]  # some twice
    labels, _ = label_positions(lat, lon, method="dbscan", min_size=2, min_samples=5, eps_km=22.0)
    groups, touches = brute_dbscan(lat, lon, 22.0, 5)
    for group in groups:
        assert len({labels[i] for i in group}) == 1 and labels[min(group)] >= 0
    assert len({labels[min(group)] for group in groups}) == len(groups)
    number = {labels[min(group)]: g for g, group in enumerate(groups)}
    for i, touched in touches.items():
        assert (labels[i] == -1) if not touched else (number[labels[i]] in touched)


@pytest.mark.parametrize("method", ["hdbscan", "dbscan"])
@pytest.mark.parametrize("centre", CENTRES)
def test_the_sphere_gives_what_chords_give(method, centre):
    """scikit-learn on unit vectors in space knows no pole and no antimeridian."""
    rng = np.random.default_rng(1)
    parts = [around(rng, *centre, 60, 15.0)]
    parts += [around(rng, centre[0] - math.copysign(d, centre[0]), centre[1], 40, 10.0) for d in (2.0, 4.0)]
    lat, lon = (np.concatenate([p[i] for p in parts]) for i in (0, 1))
    ours, _ = label_positions(lat, lon, method=method, min_size=10, eps_km=12.0 if method == "dbscan" else None)
    chord = 2.0 * math.sin(0.5 * 12.0 / EARTH_RADIUS_KM)
    model = HDBSCAN(10, min_samples=10, copy=True) if method == "hdbscan" else DBSCAN(eps=chord, min_samples=10)
    theirs = model.fit(unit_vectors(lat, lon)).labels_
    assert ours.max() >= 2
    # Small clusters and border points may be decided differently; what is a cluster may not.
    assert adjusted_rand_score(ours, theirs) > 0.98


@given(st.randoms(use_true_random=False), st.sampled_from(["hdbscan", "dbscan"]))
@settings(max_examples=20)
def test_the_order_of_the_rows_does_not_matter(random, method):
    rng = np.random.default_rng(random.randrange(1 << 30))
    parts = [around(rng, *CENTRES[c], 20, 20.0) for c in (0, 1, 4)]
    lat, lon = (np.concatenate([p[i] for p in parts]).round(1) for i in (0, 1))
    order = rng.permutation(len(lat))
    how = {"method": method, "min_size": 4, "eps_km": 25.0 if method == "dbscan" else None}
    labels, strength = label_positions(lat, lon, **how)
    again, strength_again = label_positions(lat[order], lon[order], **how)
    # Equally large clusters are numbered by their first row.
    pairs = set(zip(labels[order].tolist(), again.tolist(), strict=True))
    assert len(pairs) == len(set(labels.tolist())) == len(set(again.tolist()))
    assert ((labels[order] < 0) == (again < 0)).all()
    assert np.allclose(strength[order], strength_again)


@pytest.mark.parametrize("method", ["hdbscan", "dbscan"])
def test_hostile_positions(method):
    how = {"method": method, "min_size": 5, "eps": 1.0 if method == "dbscan" else None}
    assert clusters([10.0] * 6, [7.0] * 6, **how).cluster.values.tolist() == [0] * 6
    # A pole is one place whatever the longitude; the antimeridian is one meridian.
    assert clusters([90.0] * 5, [0, 50, -60, 180, -180], **how).cluster.values.tolist() == [0] * 5
    assert clusters([3.0] * 6, [180.0, -180.0] * 3, **how).cluster.values.tolist() == [0] * 6
    few = clusters([1.0, 1.0], [1.0, 1.0], **how)
    assert few.cluster.values.tolist() == [-1, -1] and few.sizes["cluster_id"] == 0 and few.attrs["in_none"] == 2
    assert clusters([], [], **how).sizes["node"] == 0
    invalid = clusters([10.0] * 5 + [np.nan, 91.0, 0.0], [7.0] * 5 + [0.0, 0.0, np.inf], **how)
    assert invalid.cluster.values.tolist() == [0] * 5 + [-1] * 3
    heaps = clusters(np.repeat([0.0, 40.0], 20), np.repeat([0.0, 40.0], 20), **how)
    assert heaps.node_count.values.tolist() == [20, 20] and np.isfinite(heaps.membership).all()


def test_centroids_at_the_antimeridian_and_the_pole():
    lat = np.repeat([5.0, 89.0], 4)
    lon = np.array([179.0, -179.0, 179.5, -179.5, 0.0, 90.0, 180.0, -90.0])
    found = clusters(lat, lon, method="dbscan", min_size=4, eps=300.0)
    by_lat = found.sortby("lat")
    assert abs(by_lat.lon.values[0]) == pytest.approx(180.0) and by_lat.lat.values[0] == pytest.approx(5.0, abs=0.01)
    assert by_lat.lat.values[1] == pytest.approx(90.0)
    assert by_lat.radius_km.values[1] == pytest.approx(great_circle_km(90, 0, 89, 0), rel=1e-9)


def test_measures_are_those_of_their_definitions():
    rng = np.random.default_rng(5)
    lat = np.concatenate([rng.normal(47, 0.01, 30), rng.normal(50, 0.01, 20), [0.0] * 5])
    lon = np.concatenate([rng.normal(8, 0.01, 30), rng.normal(9, 0.01, 20), np.arange(5.0) * 20])
    asn = np.array([*rng.integers(1, 5, 30), *[7] * 10, *[None] * 15], dtype=object)
    row = rng.integers(0, 55, 400)
    time_s = rng.random(400) * 100.0
    time_s[row < 30] *= 0.5
    found = clusters(
        lat, lon, method="dbscan", eps=10.0, asn=asn, event_node=row, event_time_s=time_s, now_s=120.0
    )  # fmt: skip
    assert found.node_count.values.tolist() == [30, 20] and found.attrs["in_none"] == 5
    activity = np.bincount(row, minlength=55)
    for c, rows in enumerate((np.arange(30), np.arange(30, 50))):
        one = found.isel(cluster_id=c)
        assert one.activity == activity[rows].sum()
        usual = activity.mean()
        assert one.activity_score == pytest.approx(activity[rows].mean() / (activity[rows].mean() + usual))
        assert one.entropy == pytest.approx(scipy.stats.entropy(activity[rows], base=2))
        times = time_s[np.isin(row, rows)]
        assert one.silence_pressure == pytest.approx(silence_pressure_predictive(times, 120.0))
        own = great_circle_km(lat[rows], lon[rows], one.lat, one.lon)
        other = found.isel(cluster_id=1 - c)
        away = great_circle_km(lat[rows], lon[rows], other.lat, other.lon)
        assert one.coherence == pytest.approx(np.mean((away - own) / np.maximum(away, own)), rel=1e-6)
        known = [a for a in asn[rows] if a is not None]
        assert one.asn_diversity == pytest.approx(normalized_entropy(np.unique(known, return_counts=True)[1]))
        assert one.asn_known == pytest.approx(len(known) / len(rows))


def test_an_unknown_asn_is_said_to_be_unknown():
    here = {"lat": [1.0] * 5, "lon": [2.0] * 5, "method": "dbscan", "eps": 1.0}
    nothing = clusters(**here, asn=[None, "", 0, np.nan, 0.0])
    assert np.isnan(nothing.asn_diversity.values[0]) and nothing.asn_known.values[0] == 0.0
    assert np.isnan(clusters(**here).asn_diversity.values[0])
    mixed = clusters(**here, asn=[3303.0, 3303, "3303", None, 15169])
    assert mixed.asn_diversity.values[0] == pytest.approx(normalized_entropy([3, 1]))
    assert mixed.asn_known.values[0] == pytest.approx(0.8)


def test_behaviour_is_standardised_and_the_same_in_any_unit():
    rng = np.random.default_rng(2)
    features = np.concatenate([rng.normal(m, 0.3, (40, 3)) for m in (0.0, 3.0, 7.0)])
    labels, _ = label_behaviour(features)
    assert adjusted_rand_score(labels, np.repeat([0, 1, 2], 40)) > 0.9
    scaled = features * [1000.0, 0.01, 1.0] + [5.0, 0.0, -9.0]
    again, _ = label_behaviour(np.column_stack([scaled, np.full(120, 4.2)]))
    assert adjusted_rand_score(labels, again) == 1.0


def test_features_of_hosts_by_hand():
    told = [
        {"src_ip": "a", "dest_ip": "b", "dest_port": 443, "proto": "TCP", "app_proto": "tls", "ja3": "x",
         "bytes_to_server": 10, "bytes_to_client": 30},
        {"src_ip": "a", "dest_ip": "c", "dest_port": 8080, "proto": "TCP", "bytes_to_server": 20, "bytes_to_client": 0},
        {"note": "no conversation"},
        {"src_ip": "c", "dest_ip": "a", "proto": "IPv6-ICMP"},
    ]  # fmt: skip
    payload = [orjson.dumps(t).decode() for t in told]
    found = host_features(event_table([0, 1, 2, 3], ["net.flow"] * 4, list("efgh"), "t", payload=payload))
    assert found.index.tolist() == ["host:a", "host:b", "host:c"] and tuple(found.columns) == FEATURES
    a = found.loc["host:a"]
    assert a["log_events"] == math.log(4) and a["share_client"] == pytest.approx(2 / 3)
    assert a["share_tls"] == a["share_icmp"] == a["share_low_ports"] == pytest.approx(1 / 3)
    assert a["port_entropy"] == 1.0 and a["log_ports"] == math.log(3) and a["log_peers"] == math.log(3)
    assert a["peer_entropy"] == pytest.approx(scipy.stats.entropy([1, 2], base=2))
    assert a["log_bytes_sent"] == math.log1p(10) and a["log_bytes_received"] == math.log1p(10)
    assert a["log_fingerprints"] == math.log(2) and found.loc["host:b", "log_fingerprints"] == 0.0


def test_clusters_of_real_hosts_are_hosts_that_do_the_same(real_data, tmp_path):
    events = first_events(real_data("net/eve_large.json.bz2"), 20_000, tmp_path)
    features = host_features(events)
    assert np.isfinite(features.to_numpy()).all() and not features.index.has_duplicates
    found = clusters(behaviour=features.to_numpy(), ids=features.index)
    label = found.cluster.to_numpy()
    assert found.sizes["cluster_id"] >= 10 and (found.coherence > 0.3).all()
    # The solicited-node groups of IPv6 are only ever spoken to; nothing else is among them.
    group = np.char.startswith(features.index.to_numpy().astype(str), "host:ff02::1:ff")
    for c in np.unique(label[group & (label >= 0)]):
        assert group[label == c].mean() > 0.9


def test_aircraft_over_switzerland_cluster_where_scikit_learn_sees_them(real_data):
    events, _ = read_tracks(real_data("tracks/switzerland.json.gz"))
    table = events.select(["entity", "lat", "lon"]).slice(0, 40_000).to_pandas().dropna().groupby("entity").last()
    lat, lon = table["lat"].to_numpy(), table["lon"].to_numpy()
    ours, _ = label_positions(lat, lon, method="dbscan", eps_km=15.0)
    theirs = DBSCAN(eps=2 * math.sin(7.5 / EARTH_RADIUS_KM), min_samples=5).fit(unit_vectors(lat, lon)).labels_
    assert ours.max() >= 1 and adjusted_rand_score(ours, theirs) > 0.97


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "give lat and lon, or behaviour"),
        ({"lat": [1.0]}, "a position needs both"),
        ({"lat": [1.0], "lon": [1.0], "method": "kmeans"}, "method is 'kmeans'"),
        ({"lat": [1.0], "lon": [1.0], "method": "dbscan"}, "needs eps_km"),
        ({"lat": [1.0], "lon": [1.0], "min_size": 1}, "min_size is 1"),
        ({"lat": [1.0], "lon": [1.0], "method": "dbscan", "eps": -2.0}, "eps is -2.0"),
        ({"lat": [1.0], "lon": [1.0], "eps": 2.0}, "'hdbscan' takes none"),
        ({"lat": [1.0], "lon": [1.0], "ids": ["a", "b"]}, "there are 1 nodes"),
        ({"lat": [1.0], "lon": [1.0], "activity": [-1.0]}, "activity holds"),
        ({"lat": [1.0], "lon": [1.0], "event_node": [3], "event_time_s": [0.0]}, "event_node holds 3"),
        ({"behaviour": [1.0]}, r"\(n, k\) is needed"),
        ({"lat": np.zeros(20_001), "lon": np.arange(20_001) / 200.0}, "too many for method 'hdbscan'"),
    ],
)
def test_bad_input_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        clusters(**wrong)
