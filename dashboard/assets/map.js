// Client side of the map, called from small Bokeh callbacks: square metres, the view reported once it
// rests, a cursor read-out from the picture that is already here, and the picture to take along.
(() => {
  const REST_MS = 40, TURN_MS = 35
  const maps = new WeakMap()
  const memory = (fig) => { if (!maps.has(fig)) maps.set(fig, { wanted: null, fitted: null, timer: 0 }); return maps.get(fig) }

  const send = (fig, viewport) => {
    const m = memory(fig), x = fig.x_range, y = fig.y_range
    const now = [x.start, y.start, x.end, y.end, fig.inner_width, fig.inner_height]
    const old = viewport.data.v
    clearTimeout(m.timer)
    m.due = false
    if (old && old.length === 7 && now.every((v, i) => Math.abs(v - old[i]) < 1e-6 * (1 + Math.abs(v)))) return
    document.getElementById("picture")?.classList.add("busy")
    m.sent = performance.now()
    m.number = (m.number ?? 0) + 1
    viewport.data = { v: [...now, m.number] }
  }
  // A view that rests is reported. Where the server answers each report, it is told while the hand still moves: of a
  // drag one report is under way at a time, the newest view goes when its answer has come or when the hand rests; turns
  // of a wheel come in bursts, and the pictures between would hold up the last.
  const report = (fig, viewport, answered) => {
    const m = memory(fig), soon = (ms) => { m.timer = setTimeout(() => send(fig, viewport), Math.max(0, ms)) }
    clearTimeout(m.timer)
    if (!m.due) m.since = performance.now()
    m.due = true
    // However long the hand goes on, after 120 ms some view goes.
    const late = (since) => (since ?? 0) + 120 - performance.now()
    if (!answered) soon(160)
    else if (!m.dragged) soon(Math.min(TURN_MS, late(m.since)))
    else if (answered.data.n[0] >= (m.number ?? 0)) soon(0)
    else soon(Math.min(REST_MS, late(m.sent)))
  }
  const drag = (fig) => { memory(fig).dragged = true }
  // The hand has let go: nobody needs the picture of the view before.
  const rest = (fig, viewport) => { memory(fig).dragged = false; if (memory(fig).due) send(fig, viewport) }
  const answer = (fig, viewport, answered) => {
    const m = memory(fig)
    if (answered.data.n[0] < (m.number ?? 0)) return
    drawn()
    // Painted first: what has come is seen before the next is asked for.
    if (m.due) { clearTimeout(m.timer); m.timer = setTimeout(() => requestAnimationFrame(() => m.due && send(fig, viewport)), 0) }
  }
  const drawn = () => document.getElementById("picture")?.classList.remove("busy")
  // Equal metres per pixel on both axes; the wanted bounds stay inside the window.
  const fit = (fig, viewport, fresh, answered) => {
    current = fig
    const m = memory(fig), x = fig.x_range, y = fig.y_range, w = fig.inner_width, h = fig.inner_height
    if (!(w > 10 && h > 10)) return
    if (fresh || !m.wanted) m.wanted = [x.start, y.start, x.end, y.end]
    // Fitting may bring longer labels, these a narrower frame, and that the shorter labels again: once round is enough.
    const outer = `${fig.outer_width} ${fig.outer_height}`, inner = `${w} ${h}`
    if (fresh || m.outer !== outer) { m.outer = outer; m.sizes = new Set() }
    if (!fresh && m.sizes.has(inner)) { report(fig, viewport, answered); return }
    m.sizes.add(inner)
    const [west, south, east, north] = m.wanted
    // A view that was fitted into nearly the same window keeps its width, or each reload would widen it.
    const across = (east - west) / w, up = (north - south) / h
    const scale = up > across && up < 1.02 * across ? across : Math.max(across, up)
    const cx = (west + east) / 2, cy = (south + north) / 2
    // Bokeh runs its callbacks later than this: until the hand moves they know a fitted view by its numbers.
    m.still = true
    m.fitted = [cx - scale * w / 2, cy - scale * h / 2, cx + scale * w / 2, cy + scale * h / 2]
    x.setv({ start: m.fitted[0], end: m.fitted[2] }); y.setv({ start: m.fitted[1], end: m.fitted[3] })
    report(fig, viewport, answered)
  }
  const moved = (fig, viewport, answered) => {
    const m = memory(fig), now = [fig.x_range.start, fig.y_range.start, fig.x_range.end, fig.y_range.end]
    if (!m.fitted || (m.still && now.every((v, i) => v === m.fitted[i]))) return
    m.still = false
    window.scythe?.used("pan")
    m.wanted = now
    m.sizes = new Set()
    report(fig, viewport, answered)
  }
  const cell = (source, x, y) => {
    const d = source.data
    if (!d.image || !d.image.length || !d.dw[0]) return null
    const img = d.image[0], [ny, nx] = img.shape ?? [0, 0]
    const i = Math.floor((x - d.x[0]) / d.dw[0] * nx), j = Math.floor((y - d.y[0]) / d.dh[0] * ny)
    return i >= 0 && j >= 0 && i < nx && j < ny ? img[j * nx + i] : null
  }
  const R = 6378137
  // What a byte of the picture of dominance says; `words`: picture, contested margin and span (dB), groups.
  const dominance = (v, [picture, contested, span, ...names]) => {
    if (v === null) return ""
    if (picture === "score") return `score ${(v / 255).toFixed(2)}`
    if (v === 0) return "nobody received"
    const db = (d) => d < contested ? `contested, ${d.toFixed(1)} dB` : d >= span ? `${span} dB or more` : `${d.toFixed(1)} dB`
    if (picture === "server") return v === 255 ? "contested" : names[v - 1] ?? ""
    if (picture === "margin") return `lead ${db((v - 1) / 254 * span)}`
    const d = (v - 1) / 254 * 2 * span - span
    return Math.abs(d) < contested ? db(Math.abs(d)) : `${names[d > 0 ? 0 : 1]} leads by ${db(Math.abs(d))}`
  }
  const readout = (fig, layers, scale, x, y, contest, words) => {
    const box = document.getElementById("readout")
    if (!box) return
    const lat = Math.atan(Math.sinh(y / R)) * 180 / Math.PI, lon = x / R * 180 / Math.PI
    const [low, high, unit] = scale.tags
    const text = (v) => v === null ? "outside" : v === 0 ? `under ${low}` : v === 255 ? `${high} or more` : `${(low + (v - 1) / 254 * (high - low)).toFixed(1)}`
    const parts = [`${Math.abs(lat).toFixed(4)}° ${lat < 0 ? "S" : "N"}  ${Math.abs(lon).toFixed(4)}° ${lon < 0 ? "W" : "E"}`]
    for (const [name, renderer] of layers) if (renderer.visible) parts.push(`${name} ${text(cell(renderer.data_source, x, y))} ${unit}`)
    const who = contest?.visible ? dominance(cell(contest.data_source, x, y), words.tags) : ""
    if (who) parts.push(who)
    box.textContent = parts.join("   ")
  }
  const left = () => { const box = document.getElementById("readout"); if (box) box.textContent = "" }
  let current = null
  const png = async (caption) => {
    const fig = current
    if (!fig) return
    const view = Bokeh.index.find_one_by_id ? Bokeh.index.find_one_by_id(fig.id) : Object.values(Bokeh.index).find((v) => v.model?.id === fig.id)
    const pic = view.export("png", true).canvas
    const k = pic.width / Math.max(fig.outer_width || pic.width, 1), step = 15 * k
    const out = document.createElement("canvas"), font = `${11 * k}px "DejaVu Sans", Arial, sans-serif`
    const g = out.getContext("2d"), css = getComputedStyle(document.documentElement)
    g.font = font
    const lines = []
    for (const line of caption.split("\n")) {
      let row = ""
      for (const word of line.split(" ")) {
        const longer = row ? `${row} ${word}` : word
        if (row && g.measureText(longer).width > pic.width - 20 * k) { lines.push(row); row = word } else row = longer
      }
      lines.push(row)
    }
    out.width = pic.width; out.height = pic.height + step * (lines.length + 1)
    g.fillStyle = css.getPropertyValue("--surface") || "#fff"; g.fillRect(0, 0, out.width, out.height)
    g.drawImage(pic, 0, 0)
    g.fillStyle = css.getPropertyValue("--text") || "#000"; g.font = font
    lines.forEach((line, i) => g.fillText(line, 10 * k, pic.height + step * (i + 1)))
    const blob = await new Promise((done) => out.toBlob(done, "image/png"))
    const a = document.createElement("a")
    a.href = URL.createObjectURL(blob); a.download = `${location.pathname.match(/^\/(\w+)$/)?.[1] ?? "field"}.png`; a.click()
    setTimeout(() => URL.revokeObjectURL(a.href), 10000)
  }
  window.scytheMap = { fit, moved, drag, rest, answer, readout, left, png, drawn }
})()
