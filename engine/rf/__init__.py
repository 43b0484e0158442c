"""Emitters and the fields they make: tracks, propagation, fields on grids, forecasts.

Computes on arrays and tables only; never opens a file, a socket or a database.
"""

from engine.rf.attenuation import gas_attenuation_db_per_km, rain_attenuation_db_per_km
from engine.rf.dominance import arbitration_score, dominance, strongest
from engine.rf.field import power_field
from engine.rf.forecast import forecast
from engine.rf.grid import Grid
from engine.rf.measured import fit_log_distance, measured_field, score_blocks
from engine.rf.propagation import MODELS
from engine.rf.sample import cross_section, sample_field
from engine.rf.tdoa import crlb_tdoa, locate_tdoa
from engine.rf.tdoa_field import gdop_field
from engine.rf.tracks import TrackFold, Tracks
from engine.rf.volume import power_volume, volume_grid

__all__ = [
    "MODELS",
    "Grid",
    "TrackFold",
    "Tracks",
    "arbitration_score",
    "crlb_tdoa",
    "cross_section",
    "dominance",
    "fit_log_distance",
    "forecast",
    "gas_attenuation_db_per_km",
    "gdop_field",
    "locate_tdoa",
    "measured_field",
    "power_field",
    "power_volume",
    "rain_attenuation_db_per_km",
    "sample_field",
    "score_blocks",
    "strongest",
    "volume_grid",
]
