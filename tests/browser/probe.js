// What the tests ask of a page: where things are on the map and what is drawn, read from BokehJS itself.
window.probe = (() => {
  const models = () => window.Bokeh?.documents?.length ? [...Bokeh.documents[0]._all_models.values()] : []
  const fig = () => models().find((m) => m.type === "Figure")
  const view = () => Bokeh.index.find_one_by_id(fig().id)
  const strip = () => models().find((m) => m.data?.status && m.data?.picture)?.data
  const renderers = (glyph) => fig().renderers.filter((r) => r.glyph.type === glyph)
  const image = (i) => renderers("Image")[i]
  const LAYERS = { field: 0, forecast: 1, trails: 2 }
  const find = (node, selector) => {
    const hit = node.querySelector(selector)
    if (hit) return hit
    for (const el of node.querySelectorAll("*")) {
      const inner = el.shadowRoot && find(el.shadowRoot, selector)
      if (inner) return inner
    }
    return null
  }
  const range = () => { const f = fig(); return [f.x_range.start, f.y_range.start, f.x_range.end, f.y_range.end] }
  // Placement and cells of a layer's raster; bytes only when asked for.
  const layer = (name, bytes) => {
    const r = image(LAYERS[name]), d = r.data_source.data
    if (!d.image?.length) return { visible: r.visible, nx: 0, ny: 0 }
    const raster = d.image[0], [ny, nx] = raster.shape
    const out = { visible: r.visible, nx, ny, west: d.x[0], south: d.y[0], east: d.x[0] + d.dw[0], north: d.y[0] + d.dh[0],
      cell: d.dw[0] / nx, alpha: r.glyph.global_alpha?.value ?? r.glyph.global_alpha }
    if (bytes) out.bytes = Array.from(raster.data ?? raster)
    return out
  }
  const emitters = () => {
    const d = renderers("Scatter")[0].data_source.data, n = d.id?.length ?? 0
    return Array.from({ length: n }, (_, i) => ({ id: d.id[i], name: d.name[i], x: d.x[i], y: d.y[i], px: d.px[i], py: d.py[i], alt_m: d.alt_m[i], eirp: d.eirp[i], age: d.age[i] }))
  }
  const busy = () => document.getElementById("picture").classList.contains("busy")
  const covers = (l) => { const [w, s, e, n] = range(); return l.nx > 0 && l.west <= w + 1 && l.south <= s + 1 && l.east >= e - 1 && l.north >= n - 1 }
  const ready = () => models().length > 0 && fig() && find(document, "canvas") && document.getElementById("picture")?.classList.contains("ready")
  const drawn = () => Boolean(ready() && !busy() && document.getElementById("picture").dataset.state === "ok" && covers(layer("field")) && emitters().length > 0)
  const captionSecond = () => { const m = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC/.exec(document.getElementById("picture").dataset.caption ?? ""); return m ? Date.parse(`${m[1]}T${m[2]}Z`) / 1000 : NaN }
  // The caption tells whole seconds; a live frame of the same second is not yet the picture of the paused moment.
  const atMoment = () => {
    const s = strip(), p = s.picture instanceof Map ? Object.fromEntries(s.picture) : s.picture
    if (s.mode === "live") return true
    const exact = p.at === undefined || Math.abs(Number(p.at) - s.moment_s) < 0.02
    return captionSecond() === Math.floor(s.moment_s) && !p.waiting && exact
  }
  const words = () => find(document, ".state .word")?.textContent ?? ""
  const box = (el) => { const r = el.getBoundingClientRect(); return { x: r.x, y: r.y, width: r.width, height: r.height } }
  const deep = (node, selector) => [...node.querySelectorAll(selector), ...[...node.querySelectorAll("*")].flatMap((el) => el.shadowRoot ? deep(el.shadowRoot, selector) : [])]
  // What a test that waited in vain has to know; every part by itself, for any of them may be what is missing.
  const summary = () => Object.fromEntries(Object.entries({
    address: () => location.href, strip: () => ({ mode: strip().mode, moment_s: strip().moment_s, picture: JSON.stringify(strip().picture instanceof Map ? [...strip().picture] : strip().picture) }),
    picture: () => ({ ...document.getElementById("picture").dataset, classes: document.getElementById("picture").className }),
    range, field: () => layer("field"), emitters: () => emitters().length, words,
    text: () => deep(document, "*").filter((el) => !el.children.length && !["STYLE", "SCRIPT"].includes(el.tagName)).map((el) => el.textContent.trim()).filter(Boolean).join(" | ").slice(0, 1500),
  }).map(([name, part]) => { try { return [name, part()] } catch (error) { return [name, String(error)] } }))
  return {
    summary,
    // All elements that match, whichever shadow root they are in.
    deep: (selector) => deep(document, selector),
    models, fig, view, strip, range, layer, emitters, drawn, ready, atMoment, words, captionSecond, busy,
    pixel: (x, y) => {
      const v = view(), r = (v.canvas_view ?? v).el.getBoundingClientRect()
      return [r.left + v.frame.x_scale.compute(x), r.top + v.frame.y_scale.compute(y)]
    },
    place: (left, top) => {
      const v = view(), r = (v.canvas_view ?? v).el.getBoundingClientRect()
      return [v.frame.x_scale.invert(left - r.left), v.frame.y_scale.invert(top - r.top)]
    },
    frame: () => { const v = view(), r = (v.canvas_view ?? v).el.getBoundingClientRect(), b = v.frame.bbox; return { x: r.left + b.left, y: r.top + b.top, width: b.width, height: b.height } },
    palette: (name) => image(LAYERS[name]).glyph.color_mapper.palette,
    bars: () => models().filter((m) => m.type === "ColorBar").map((b) => ({ low: b.color_mapper.low, high: b.color_mapper.high, title: b.title, ticks: b.ticker.ticks })),
    background: () => { const f = fig().background_fill_color; return f?.value ?? f },
    visible: (glyph) => renderers(glyph).map((r) => r.visible),
    selected: () => { const s = renderers("Scatter")[0].data_source; return s.selected.indices.map((i) => s.data.id[i]) },
    lengths: (glyph, name) => renderers(glyph).map((r) => r.data_source.data[name]?.length ?? 0),
    column: (glyph, name) => Array.from(renderers(glyph).at(-1).data_source.data[name] ?? []),
    // What the inspector says, name by name; the small i beside a name is its definition.
    facts: () => { const dl = (root) => [...root.querySelectorAll("*")].flatMap((el) => el.shadowRoot ? dl(el.shadowRoot) : el.tagName === "DT" ? [el] : [])
      return Object.fromEntries(dl(document.getElementById("inspector")).map((dt) => [dt.firstChild.textContent.trim(), dt.nextElementSibling.textContent.trim()])) },
    boxes: (selectors) => Object.fromEntries(selectors.map((s) => [s, box(find(document, s))])),
    clipped: (selectors) => selectors.filter((s) => { const el = find(document, s); return el.scrollWidth > el.clientWidth + 1 }),
  }
})()
