// Values at the pointer: what each field has there, in every map at once. `labels` do not go back to the server.
(() => {
  const cell = (source, x, y) => {
    const d = source.data
    if (!d.image?.length || !d.dw[0]) return null
    const img = d.image[0], [ny, nx] = img.shape ?? [0, 0]
    const i = Math.floor((x - d.x[0]) / d.dw[0] * nx), j = Math.floor((y - d.y[0]) / d.dh[0] * ny)
    if (i < 0 || j < 0 || i >= nx || j >= ny) return null
    const v = (img.data ?? img)[j * nx + i]
    return Number.isFinite(v) ? v : null
  }
  const R = 6378137
  const at = (labels, images, x, y) => {
    const lat = Math.atan(Math.sinh(y / R)) * 180 / Math.PI, lon = x / R * 180 / Math.PI
    const place = `${Math.abs(lat).toFixed(5)}° ${lat < 0 ? "S" : "N"} ${Math.abs(lon).toFixed(5)}° ${lon < 0 ? "W" : "E"}`
    for (const label of labels) {
      const source = images[label.tags[0]], v = source ? cell(source, x, y) : null
      const text = source ? (v === null ? "outside" : `${v.toFixed(1).replace("-", "\u2212")} dB`) : place
      label.setv({ text, visible: true })
    }
  }
  const left = (labels) => { for (const label of labels) label.setv({ visible: false }) }
  window.scytheMeasured = { at, left }
})()
