// Cursor read-out of the Locate map: the field is sent as eight-bit levels, evenly in the logarithm, 255 the best.
(() => {
  const R = 6378137
  const readout = (image, scale, x, y) => {
    const box = document.getElementById("readout")
    if (!box) return
    const lat = Math.atan(Math.sinh(y / R)) * 180 / Math.PI, lon = x / R * 180 / Math.PI
    const parts = [`${Math.abs(lat).toFixed(4)}° ${lat < 0 ? "S" : "N"}  ${Math.abs(lon).toFixed(4)}° ${lon < 0 ? "W" : "E"}`]
    const d = image.data_source.data, [low, high, unit, title] = scale.tags
    if (d.image?.length && image.visible) {
      const img = d.image[0], [ny, nx] = img.shape
      const i = Math.floor((x - d.x[0]) / d.dw[0] * nx), j = Math.floor((y - d.y[0]) / d.dh[0] * ny)
      const level = i >= 0 && j >= 0 && i < nx && j < ny ? img[j * nx + i] : -1
      const value = low * Math.pow(high / low, (255 - level) / 254)
      const text = level < 0 ? "outside" : level === 0 ? "not determined" : level === 1 ? `${high} ${unit} or more` : `${value.toPrecision(2)} ${unit}`
      parts.push(`${title} ${text}`)
    }
    box.textContent = parts.join("   ")
  }
  window.scytheLocate = { readout }
})()
