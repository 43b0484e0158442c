"""Scores of measured fields on the POWDER campaign, by spatial blocks, put into the page: one command.

python tests/benchmarks/measured_table.py [block_m ...]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pandas as pd

from data.loader import locate
from engine.ingest.rssi_read import read_campaign
from engine.rf.measured import fit_log_distance, fit_measured, score_blocks

PAGE = Path(__file__).parents[2] / "docs" / "engine-rf-measured.md"
COLUMNS = {
    "method": "method", "records": "records", "n": "n", "rmse_db": "RMSE dB", "rmse_low_db": "best fold",
    "rmse_high_db": "worst fold", "mae_db": "MAE dB", "bias_db": "bias dB", "inside_90": "in 90 % band",
    "band_db": "band dB",
}  # fmt: skip


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown, two decimals."""

    def cell(value: object) -> str:
        return f"{value:.2f}" if isinstance(value, float) else str(value)

    lines = ["| " + " | ".join(table.columns) + " |", "| " + " | ".join("---" for _ in table.columns) + " |"]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in table.itertuples(index=False)]
    return "\n".join(lines)


def main() -> None:
    """Fit and score, print, and put the tables into the page."""
    links, _ = read_campaign(locate("rssi/single_tx.csv"), locate("rssi/location_coordinates.json"))
    law = fit_log_distance(links)
    begun = time.perf_counter()
    model = fit_measured(links)
    seconds = time.perf_counter() - begun
    c, trend = model.covariance, model.trend
    kind = "exponential" if c.smoothness == 0.5 else "Matérn 3/2"
    parts = [
        f"{len(links)} records, {links.receiver.nunique()} receivers. Log-distance law: n = {law.exponent:.3f}, "
        f"σ = {law.sigma_db:.2f} dB. Fitted field, floors apart: n = {trend.exponent:.2f}, "
        f"σ = {trend.variance_db2**0.5:.2f} dB. "
        f"Residual: {kind}, sill {c.sill_db2:.1f} dB², range {c.range_m:.0f} m, nugget {c.nugget_db2:.1f} dB². "
        f"Fit of everything: {seconds:.0f} s, two cores, compiling included."
    ]
    for block_m in [float(word) for word in sys.argv[1:]] or [200.0]:
        begun = time.perf_counter()
        scores = score_blocks(links, block_m=block_m)
        table = scores[list(COLUMNS)].rename(columns=COLUMNS)
        parts.append(
            f"Squares of {block_m:.0f} m, {scores.folds.iloc[0]} folds, {scores.attrs['n_unscored']} records not "
            f"scored ({time.perf_counter() - begun:.0f} s):\n\n{markdown(table)}"
        )
        sys.stdout.write("\n\n".join(parts[-2:]) + "\n")
    head, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- table -->")
    tail = rest.partition("<!-- /table -->")[2]
    body = "\n\n".join(parts)
    PAGE.write_text(f"{head}<!-- table -->\n\n{body}\n\n<!-- /table -->{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
