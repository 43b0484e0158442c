// What the tests ask of the Runs page: its table, and the cells of its pictures from left to right.
window.runs = (() => {
  const table = () => probe.models().find((m) => m.data?.trace && m.data?.rows)?.data
  const shown = (f) => { const el = Bokeh.index.find_one_by_id(f.id)?.el; return el && el.getClientRects().length > 0 }
  const pictures = () => probe.models().filter((m) => m.type === "Figure" && shown(m))
    .map((f) => [f, f.renderers.filter((r) => r.glyph.type === "Image")]).filter(([, images]) => images.length)
    .sort(([a], [b]) => box(a).x - box(b).x)
  const box = (f) => { const v = Bokeh.index.find_one_by_id(f.id); return v.el.getBoundingClientRect() }
  const cells = (n) => { const d = pictures()[n][1].at(-1).data_source.data; if (!d.value.length) return null
    const v = d.value[0]; return { shape: v.shape, values: Array.from(v.data ?? v), x: d.x[0], y: d.y[0], dw: d.dw[0] } }
  const place = (n, x, y) => { const f = pictures()[n][0], v = Bokeh.index.find_one_by_id(f.id), r = (v.canvas_view ?? v).el.getBoundingClientRect()
    return [r.left + v.frame.x_scale.compute(x), r.top + v.frame.y_scale.compute(y)] }
  const range = (n) => { const f = pictures()[n][0]; return [f.x_range.start, f.y_range.start, f.x_range.end, f.y_range.end] }
  const state = () => document.getElementById("picture").dataset.state
  return { table, pictures, cells, place, range, state,
    rows: () => table().rows.map((r) => Object.fromEntries(table().columns.map((c, i) => [c.name, r[i]]))) }
})()
