"""The engine of the dashboard: events, folds over events, and the frames that views draw.

Pure Python with NumPy, Numba, Arrow and DuckDB. It knows nothing of Panel, HoloViews or Bokeh, so
everything here works the same in a script, a test, a notebook and a served page.
"""
