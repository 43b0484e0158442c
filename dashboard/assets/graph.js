// Client side of the graph's picture: shift and drag selects, a click asks for what is there, the cursor reads values.
(() => {
  const NS = "http://www.w3.org/2000/svg", CORNERS = 40
  const viewOf = (fig) => Bokeh.index.find_one_by_id(fig.id)
  const here = (fig, e) => {
    const v = viewOf(fig), r = (v.canvas_view ?? v).el.getBoundingClientRect()
    return [v.frame.x_scale.invert(e.clientX - r.left), v.frame.y_scale.invert(e.clientY - r.top)]
  }
  const inFrame = (fig, e) => {
    const v = viewOf(fig), r = (v.canvas_view ?? v).el.getBoundingClientRect(), b = v.frame.bbox
    const x = e.clientX - r.left, y = e.clientY - r.top
    return x >= b.left && x <= b.right && y >= b.top && y <= b.bottom
  }
  // Visvalingam and Whyatt (1993): the corner that matters least goes, until few are left.
  const thin = (points) => {
    const area = (a, b, c) => Math.abs((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1]))
    while (points.length > CORNERS) {
      let least = 0, best = Infinity
      for (let i = 0; i < points.length; i++) {
        const a = area(points[(i + points.length - 1) % points.length], points[i], points[(i + 1) % points.length])
        if (a < best) { best = a; least = i }
      }
      points.splice(least, 1)
    }
    return points
  }
  const watch = (fig, asked, mode) => {
    const v = viewOf(fig), host = (v.canvas_view ?? v).el
    if (host.dataset.scytheGraph) return
    host.dataset.scytheGraph = "1"
    // Before Bokeh hears of it: its own tools pan where we select.
    host.addEventListener("pointerdown", (e) => {
      if (!(e.shiftKey || mode.data.drag[0]) || e.button !== 0 || !inFrame(fig, e)) return
      e.stopPropagation(); e.preventDefault()
      const lasso = Boolean(mode.data.lasso[0]), points = [[e.clientX, e.clientY]]
      const svg = document.createElementNS(NS, "svg"), shape = document.createElementNS(NS, "polygon")
      svg.setAttribute("style", "position:fixed;inset:0;width:100vw;height:100vh;pointer-events:none;z-index:40")
      shape.setAttribute("style", `fill:${mode.data.colour[0]};fill-opacity:.12;stroke:${mode.data.colour[0]};stroke-width:1.5;stroke-dasharray:5 4`)
      svg.appendChild(shape); document.body.appendChild(svg)
      const corners = () => {
        if (lasso) return points
        const [[x0, y0], [x1, y1]] = [points[0], points.at(-1)]
        return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
      }
      const move = (m) => {
        m.stopPropagation()
        const [x, y] = points.at(-1)
        if (Math.hypot(m.clientX - x, m.clientY - y) >= 2) points.push([m.clientX, m.clientY])
        shape.setAttribute("points", corners().map((p) => p.join(",")).join(" "))
      }
      const end = (u) => {
        window.removeEventListener("pointermove", move, true); window.removeEventListener("pointerup", end, true)
        window.removeEventListener("pointercancel", stop, true); window.removeEventListener("keydown", escape, true)
        svg.remove()
        if (!u) return
        u.stopPropagation()
        points.push([u.clientX, u.clientY])
        const [a, b] = [points[0], points.at(-1)]
        if (lasso ? points.length < 4 : Math.abs(a[0] - b[0]) < 3 || Math.abs(a[1] - b[1]) < 3) return
        const at = thin(corners().slice()).flatMap(([clientX, clientY]) => here(fig, { clientX, clientY }))
        window.scythe?.used("select")
        asked.data = { v: [lasso ? 1 : 0, ...at] }
      }
      const stop = () => end(null)
      const escape = (k) => { if (k.key === "Escape") { k.stopPropagation(); end(null) } }
      window.addEventListener("pointermove", move, true); window.addEventListener("pointerup", end, true)
      window.addEventListener("pointercancel", stop, true); window.addEventListener("keydown", escape, true)
    }, true)
  }
  const tapped = (fig, asked, x, y) => {
    const per = Math.abs(fig.x_range.end - fig.x_range.start) / fig.inner_width
    // The same place may be asked for twice: the last number makes each message a new one.
    asked.data = { v: [2, x, y, 9 * per, performance.now()] }
  }
  const cell = (source, x, y) => {
    const d = source.data
    if (!d.image?.length || !d.dw[0]) return 0
    const img = d.image[0], [ny, nx] = img.shape ?? [0, 0]
    const i = Math.floor((x - d.x[0]) / d.dw[0] * nx), j = Math.floor((y - d.y[0]) / d.dh[0] * ny)
    return i >= 0 && j >= 0 && i < nx && j < ny ? img[j * nx + i] : 0
  }
  const figure = (v) => v >= 1e4 || (v > 0 && v < 0.01) ? v.toExponential(1) : String(Number(v.toPrecision(3)))
  const readout = (fig, layers, words, x, y) => {
    const box = document.getElementById("readout")
    if (!box) return
    const parts = []
    if (words.data.earth[0]) {
      const R = 6378137, lat = Math.atan(Math.sinh(y / R)) * 180 / Math.PI, lon = x / R * 180 / Math.PI
      parts.push(`${Math.abs(lat).toFixed(3)}° ${lat < 0 ? "S" : "N"}  ${Math.abs(lon).toFixed(3)}° ${lon < 0 ? "W" : "E"}`)
    }
    for (const [k, renderer] of layers) {
      const level = renderer.visible ? cell(renderer.data_source, x, y) : 0
      if (!level) continue
      const kind = k === 0 ? words.data.kinds[0][Math.floor((level - 1) / 28)] : null
      const value = figure(words.data.values[0][k][level])
      parts.push(kind ? `mostly ${kind}, about ${value} nodes per cell` : `about ${value} ${words.data.units[0][k]}`)
    }
    box.textContent = parts.join("   ")
  }
  window.scytheGraph = { watch, tapped, readout }
})()
