"""Fields from measurements of received power: laws fitted, residuals kriged, scored where nothing was measured.

Arrays and tables in, xarray and pandas out; it opens no file.
"""

from engine.rf.measured.blocks import law_intervals, predict_blocks, score_blocks, score_predictions
from engine.rf.measured.field import MeasuredModel, fit_measured, measured_field
from engine.rf.measured.log_distance import LogDistanceFit, fit_log_distance

__all__ = [
    "LogDistanceFit",
    "MeasuredModel",
    "fit_log_distance",
    "fit_measured",
    "law_intervals",
    "measured_field",
    "predict_blocks",
    "score_blocks",
    "score_predictions",
]
