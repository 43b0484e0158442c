// What lies under the pointer on a slice or a section, from the bytes that are already here.
const box = document.getElementById("readout"), out = []
if (box) {
  for (const [name, renderer] of layers) {
    const d = renderer.data_source.data
    if (!renderer.visible || !d.image || !d.image.length) continue
    const img = d.image[0], [ny, nx] = img.shape, i = Math.floor((cb_obj.x - d.x[0]) / d.dw[0] * nx), j = Math.floor((cb_obj.y - d.y[0]) / d.dh[0] * ny)
    if (i < 0 || j < 0 || i >= nx || j >= ny) continue
    const v = img[j * nx + i], [low, high, unit] = scale.tags
    out.push(`${name} ${v === 0 ? `under ${low}` : v === 255 ? `${high} or more` : (low + (v - 1) / 254 * (high - low)).toFixed(1)} ${unit}`)
  }
  const at = where === "map" ? `${(Math.atan(Math.sinh(cb_obj.y / 6378137)) * 180 / Math.PI).toFixed(4)}°, ${(cb_obj.x / 6378137 * 180 / Math.PI).toFixed(4)}°, ${scale.data.alt[0]} m` : `${cb_obj.x.toFixed(1)} km along, ${(cb_obj.y * 1000).toFixed(0)} m`
  box.textContent = out.length ? [at, ...out].join("   ") : ""
}
