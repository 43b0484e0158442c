// Client side of array pictures: cells kept square where asked, the view reported once it rests.
(() => {
  const memories = new WeakMap()
  const memory = (viewport) => { if (!memories.has(viewport)) memories.set(viewport, { wanted: null, fitted: null, timer: 0 }); return memories.get(viewport) }
  const now = (fig) => [fig.x_range.start, fig.y_range.start, fig.x_range.end, fig.y_range.end]

  const report = (fig, viewport) => {
    const m = memory(viewport)
    clearTimeout(m.timer)
    m.timer = setTimeout(() => {
      const at = [...now(fig), fig.inner_width, fig.inner_height]
      const old = viewport.data.v
      if (old && old.length === 6 && at.every((v, i) => Math.abs(v - old[i]) <= 1e-9 * Math.abs(v))) return
      viewport.data = { v: at }
    }, 90)
  }
  const set = (fig, viewport, wanted, square) => {
    const m = memory(viewport), w = fig.inner_width, h = fig.inner_height
    m.wanted = wanted
    if (!(w > 10 && h > 10 && wanted[2] > wanted[0])) return
    let [left, bottom, right, top] = wanted
    if (square) {
      const scale = Math.max((right - left) / w, (top - bottom) / h), cx = (left + right) / 2, cy = (bottom + top) / 2
      ;[left, bottom, right, top] = [cx - scale * w / 2, cy - scale * h / 2, cx + scale * w / 2, cy + scale * h / 2]
    }
    m.fitted = [left, bottom, right, top]; m.still = true
    fig.x_range.setv({ start: left, end: right }); fig.y_range.setv({ start: bottom, end: top })
    report(fig, viewport)
  }
  const square = (place) => place.data.square?.[0] === 1
  window.scytheArray = {
    // The window changed: the same bounds in it.
    fit: (fig, viewport, place) => set(fig, viewport, memory(viewport).wanted ?? (place.data.go?.length ? place.data.go : place.data.home), square(place)),
    // The server asks for bounds.
    go: (fig, viewport, place) => { if (place.data.go[2] > place.data.go[0]) set(fig, viewport, place.data.go, square(place)) },
    home: (fig, viewport, place) => set(fig, viewport, place.data.home, square(place)),
    moved: (fig, viewport) => {
      const m = memory(viewport), at = now(fig)
      // Bokeh runs its callbacks late: until the hand moves, a fitted view is known by its numbers.
      if (m.fitted && m.still && at.every((v, i) => v === m.fitted[i])) return
      m.still = false
      m.wanted = at
      report(fig, viewport)
    },
  }
})()
