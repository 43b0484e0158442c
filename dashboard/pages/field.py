"""The Field page: what is where, how strong, and where it will be next."""

from dashboard.components.field_view import FieldView
from dashboard.page import open_view, shell

view, refused = open_view(FieldView)
if refused:
    view.strip.notice = "; ".join(refused)
shell(
    "Field",
    "field",
    {
        "controls": view.controls,
        "picture": view.map,
        "inspector": view.inspector,
        "strip": view.strip,
    },
).servable(title="Field")
