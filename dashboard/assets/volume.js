// The rotating volume: two fields on one scale, drawn by the vtk.js that Panel ships, with ground, emitters and planes.
// The camera is the viewer's alone: new data never moves it.
const LIBRARY = "static/extensions/panel/bundled/abstractvtkplot/vtk.js@30.1.0/vtk.js"
const SMOOTH_MS = 56, LEAST = 0.2, REST_MS = 260, REST_AFTER_MS = 220, ANGLE = 30
// Samples along a ray are this many cells apart: at rest, and while the camera moves.
const REST_STEP = 0.7, MOVING_STEP = 1.6
const plain = (v) => v instanceof Map ? Object.fromEntries(v) : v ?? {}
const bytes = (v) => v instanceof Uint8Array ? v : new Uint8Array(v?.buffer instanceof ArrayBuffer ? v.buffer : v ?? 0)
const floats = (v) => { const b = bytes(v); return new Float32Array(b.slice().buffer) }
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
const inflate = async (data) => new Uint8Array(await new Response(new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer())
const library = () => window.vtk ? Promise.resolve(window.vtk) : window.scytheVtk ??= new Promise((done, failed) => {
  const script = document.createElement("script")
  script.src = LIBRARY; script.onload = () => done(window.vtk); script.onerror = () => failed(new Error("vtk.js could not be loaded"))
  document.head.append(script)
})
const drawsGl = () => { try { return Boolean(document.createElement("canvas").getContext("webgl2")) } catch { return false } }

// Colour and opacity of every pair (now, predicted), once per look: drawing a new frame is then one look-up per cell.
export function pairs(now, ahead, opacity, showNow, showAhead) {
  const out = new Uint8Array(4 * 65536)
  // A power of the level keeps the fog of weak fields from covering it.
  const alpha = Float32Array.from({ length: 256 }, (_, i) => i ? 255 * opacity * (i / 255) ** 3.6 : 0)
  for (let f = 0; f < 256; f++) for (let p = 0; p < 256; p++) {
    const a = showNow ? alpha[f] : 0
    // Where both are equally strong the field of now is seen; orange is what is about to come.
    const b = showAhead ? alpha[p] * (showNow ? Math.min(1, Math.max(0.04, (p - f) / 10)) : 1) : 0
    const sum = a + b || 1e-6, at = 4 * (f << 8 | p), w = a + b ? a / sum : f >= p ? 1 : 0
    for (let k = 0; k < 3; k++) out[at + k] = w * now[3 * f + k] + (1 - w) * ahead[3 * p + k]
    out[at + 3] = Math.min(255, a + b)
  }
  return new Uint32Array(out.buffer)
}

export function render({ model, el }) {
  const root = document.createElement("div")
  root.className = "volume"; root.tabIndex = 0; root.setAttribute("role", "img")
  root.setAttribute("aria-label", "Volume of received power. Drag or arrow keys rotate, wheel or plus and minus zoom, shift-drag moves, 0 resets.")
  root.innerHTML = `<div class="stage"></div><div class="labels" aria-hidden="true"></div><p class="told" role="status"></p><small class="pace" title="Time to draw one picture, how fine it is, and bytes of the last update"></small>`
  el.append(root)
  const [stage, labels, told, pace] = root.children
  const say = (msg) => model.send_msg(msg)
  let cells = null, version = 0, world = null, table = null, camera = [...model.camera], gone = false, lastBytes = 0, updates = 0
  const place = () => plain(model.place)
  const box = () => { const p = place(); return [1, p.ratio ?? 1, (p.top_m ?? 2e4) / 1e3 / (p.width_km ?? 400) * model.exaggeration] }

  // -- the look ------------------------------------------------------------------------------------
  const look = () => {
    const r = plain(model.ramps)
    table = pairs(bytes(r.field), bytes(r.forecast), model.opacity, model.show_field, model.show_forecast)
    const c = plain(model.colours)
    root.style.background = c.background
    if (!world) return
    world.renderer.setBackground(...rgb(c.background))
    for (const [name, colour] of [["coastline", c.coast], ["borders", c.border], ["frame", c.muted], ["stems", c.muted], ["now", c.emitter], ["ahead", c.forecast], ["chosen", c.selected], ["slice", c.accent], ["section", c.accent]]) world.parts[name].property.setColor(...rgb(colour))
    classify(); wake(true)
  }
  const classify = () => {
    if (!world || !cells || !table) return
    const { nx, ny, nz, data: f } = cells, n = nx * ny * nz, size = [nx, ny, nz]
    if (world.values?.length !== 4 * n) return // `shape` makes room and calls again
    const out = new Uint32Array(world.values.buffer), low = [nx, ny, nz], high = [-1, -1, -1]
    for (let k = 0, i = 0; k < nz; k++) for (let j = 0; j < ny; j++) {
      let first = nx, last = -1
      for (let x = 0; x < nx; x++, i++) if ((out[i] = table[f[i] << 8 | f[n + i]]) >>> 24) { if (x < first) first = x; last = x }
      if (last >= 0) { [first, j, k].forEach((v, d) => { if (v < low[d]) low[d] = v }); [last, j, k].forEach((v, d) => { if (v > high[d]) high[d] = v }) }
    }
    world.scalars.modified(); world.image.modified()
    // No ray is followed where nothing can be seen: between the planes lies all that is not clear.
    const at = world.image.getOrigin(), step = world.image.getSpacing()
    world.planes.forEach((plane, p) => {
      const d = p >> 1, cell = p & 1 ? high[d] + 1 : low[d] - 1
      const origin = [0, 0, 0]; origin[d] = at[d] + step[d] * Math.min(Math.max(cell, 0), size[d] - 1); plane.setOrigin(...origin)
    })
  }
  const shape = () => {
    if (!world || !cells) return
    const { nx, ny, nz } = cells, [w, h, t] = box(), V = world.V
    if (world.values?.length !== 4 * nx * ny * nz) {
      world.values = new Uint8Array(4 * nx * ny * nz)
      world.scalars = V.Common.Core.vtkDataArray.newInstance({ numberOfComponents: 4, values: world.values })
      world.image = V.Common.DataModel.vtkImageData.newInstance()
      world.image.getPointData().setScalars(world.scalars)
    }
    world.image.setDimensions(nx, ny, nz)
    world.image.setOrigin(w / nx / 2, h / ny / 2, 0)
    world.image.setSpacing(w / nx, h / ny, t / (nz - 1))
    world.mapper.setInputData(world.image)
    world.volume.setVisibility(true)
    classify(); wake(true)
  }
  const lines = (part, list) => {
    const xyz = [], cell = []
    for (const one of list) { cell.push(one.length); for (const p of one) { cell.push(xyz.length / 3); xyz.push(...p) } }
    part.data.getPoints().setData(Float32Array.from(xyz), 3)
    part.data.getLines().setData(Uint32Array.from(cell))
    part.data.modified(); part.actor.setVisibility(list.length > 0)
  }
  const dots = (part, xyz) => {
    const n = xyz.length / 3, cell = new Uint32Array(2 * n)
    for (let i = 0; i < n; i++) { cell[2 * i] = 1; cell[2 * i + 1] = i }
    part.data.getPoints().setData(Float32Array.from(xyz), 3)
    part.data.getVerts().setData(cell)
    part.data.modified(); part.actor.setVisibility(n > 0)
  }
  const ground = () => {
    if (!world) return
    const [w, h, t] = box(), p = place()
    const corner = [[0, 0], [w, 0], [w, h], [0, h], [0, 0]]
    lines(world.parts.frame, [corner.map(([x, y]) => [x, y, 0]), corner.map(([x, y]) => [x, y, t]), ...corner.slice(0, 4).map(([x, y]) => [[x, y, 0], [x, y, t]])])
    for (const name of ["coastline", "borders"]) {
      const v = floats(p[name]), list = []
      let one = []
      for (let i = 0; i + 1 < v.length; i += 2) {
        if (Number.isFinite(v[i])) one.push([v[i] * w, v[i + 1] * h, 0])
        else { if (one.length > 1) list.push(one); one = [] }
      }
      if (one.length > 1) list.push(one)
      lines(world.parts[name], list)
    }
    marks(); emitters()
  }
  const marks = () => {
    if (!world) return
    const [w, h, t] = box(), [share, x0, y0, x1, y1] = model.marks
    if (share === undefined) return
    const z = share * t
    lines(world.parts.slice, [[[0, 0, z], [w, 0, z], [w, h, z], [0, h, z], [0, 0, z]]])
    lines(world.parts.section, [[[x0 * w, y0 * h, 0], [x1 * w, y1 * h, 0], [x1 * w, y1 * h, t], [x0 * w, y0 * h, t], [x0 * w, y0 * h, 0]]])
    wake(true)
  }
  const scaled = (v) => { const [w, h, t] = box(), out = new Float32Array(v.length); for (let i = 0; i < v.length; i += 3) { out[i] = v[i] * w; out[i + 1] = v[i + 1] * h; out[i + 2] = v[i + 2] * t } return out }
  const points = () => plain(model.points)
  const emitters = () => {
    if (!world) return
    const p = points(), now = scaled(floats(p.now)), ahead = scaled(floats(p.ahead)), at = p.selected ?? -1
    const shown = model.show_emitters
    dots(world.parts.now, shown ? now : [])
    dots(world.parts.ahead, shown && model.show_forecast ? ahead : [])
    dots(world.parts.chosen, shown && at >= 0 ? now.slice(3 * at, 3 * at + 3) : [])
    const stems = []
    if (shown) for (let i = 0; i < now.length; i += 3) stems.push([[now[i], now[i + 1], 0], [now[i], now[i + 1], now[i + 2]]])
    lines(world.parts.stems, stems)
    wake(true)
  }

  // -- the camera ----------------------------------------------------------------------------------
  const aim = () => {
    const [w, h, t] = box(), [az, elevation, distance, fx, fy, fz] = camera, a = az * Math.PI / 180, e = elevation * Math.PI / 180
    const far = distance * Math.hypot(w, h, t) / 2, focal = [fx * w, fy * h, fz * t]
    const back = [-Math.sin(a) * Math.cos(e), -Math.cos(a) * Math.cos(e), Math.sin(e)]
    return { focal, back, eye: focal.map((v, i) => v + far * back[i]), far, right: [Math.cos(a), -Math.sin(a), 0], up: [Math.sin(a) * Math.sin(e), Math.cos(a) * Math.sin(e), Math.cos(e)] }
  }
  const project = (p) => {
    const c = aim(), d = p.map((v, i) => v - c.eye[i]), dot = (u) => d[0] * u[0] + d[1] * u[1] + d[2] * u[2]
    const depth = -dot(c.back), k = root.clientHeight / 2 / Math.tan(ANGLE * Math.PI / 360) / depth
    return [root.clientWidth / 2 + k * dot(c.right), root.clientHeight / 2 - k * dot(c.up), depth]
  }
  const turn = (change) => {
    change(camera)
    camera[0] = ((camera[0] + 180) % 360 + 360) % 360 - 180
    camera[1] = Math.min(89, Math.max(-10, camera[1])); camera[2] = Math.min(8, Math.max(0.3, camera[2]))
    for (const k of [3, 4, 5]) camera[k] = Math.min(2, Math.max(-1, camera[k]))
    window.scythe?.used("rotate")
    wake(false)
    clearTimeout(turn.timer); turn.timer = setTimeout(() => say({ do: "camera", camera: camera.map((v) => Math.round(1e4 * v) / 1e4) }), 300)
  }
  const move = (dx, dy) => {
    const c = aim(), [w, h, t] = box(), k = 2 * c.far * Math.tan(ANGLE * Math.PI / 360) / Math.max(root.clientHeight, 1)
    turn((v) => [w, h, t].forEach((size, i) => { v[3 + i] += k * (dy * c.up[i] - dx * c.right[i]) / size }))
  }
  let held = null
  root.addEventListener("pointerdown", (e) => { held = [e.clientX, e.clientY, 0, e.button === 2 || e.shiftKey]; root.setPointerCapture(e.pointerId); root.focus() })
  root.addEventListener("pointermove", (e) => {
    if (!held) return
    const dx = e.clientX - held[0], dy = e.clientY - held[1]
    held[0] = e.clientX; held[1] = e.clientY; held[2] += Math.abs(dx) + Math.abs(dy)
    if (held[2] < 4) return
    if (held[3]) move(dx, dy)
    else turn((v) => { v[0] += 0.35 * dx; v[1] += 0.35 * dy })
  })
  root.addEventListener("pointerup", (e) => { if (held && held[2] < 4) pick(e); held = null })
  root.addEventListener("pointercancel", () => { held = null })
  root.addEventListener("contextmenu", (e) => e.preventDefault())
  root.addEventListener("wheel", (e) => { e.preventDefault(); turn((v) => { v[2] *= Math.exp(0.0012 * e.deltaY) }) }, { passive: false })
  root.addEventListener("dblclick", () => turn((v) => { model.home.forEach((value, i) => { v[i] = value }) }))
  root.addEventListener("keydown", (e) => {
    const keys = { ArrowLeft: (v) => { v[0] += 6 }, ArrowRight: (v) => { v[0] -= 6 }, ArrowUp: (v) => { v[1] += 5 }, ArrowDown: (v) => { v[1] -= 5 }, "+": (v) => { v[2] /= 1.12 }, "=": (v) => { v[2] /= 1.12 }, "-": (v) => { v[2] *= 1.12 }, 0: (v) => { model.home.forEach((value, i) => { v[i] = value }) } }
    const does = keys[e.key]
    if (!does || e.ctrlKey || e.metaKey || e.altKey) return
    // The same keys step through time elsewhere on the page.
    e.preventDefault(); e.stopPropagation(); turn(does)
  })
  const pick = (e) => {
    const r = root.getBoundingClientRect(), at = scaled(floats(points().now)), x = e.clientX - r.left, y = e.clientY - r.top
    let best = -1, least = 14
    for (let i = 0; i < at.length; i += 3) { const [u, v] = project([at[i], at[i + 1], at[i + 2]]), d = Math.hypot(u - x, v - y); if (d < least) { least = d; best = i / 3 } }
    if (best >= 0) say({ do: "select", index: best })
  }

  // -- drawing: one picture at a time, coarse while it moves, fine once it rests -----------------------
  let due = 0, busy = false, moving = false, resting = 0, before = -1e9, coarse = 0.5, fine = window.devicePixelRatio || 1
  const wake = (still) => {
    due = true
    if (!still) { moving = true; clearTimeout(resting); resting = setTimeout(() => { moving = false; wake(true) }, REST_AFTER_MS) }
    if (!busy) { busy = true; requestAnimationFrame(draw) }
  }
  const draw = () => {
    if (gone || !world || root.clientWidth < 8 || root.clientHeight < 8) { busy = false; return }
    due = false
    const fast = moving, k = fast ? Math.min(coarse, fine) : fine, since = performance.now(), most = window.devicePixelRatio || 1
    const between = since - before
    before = fast ? since : -1e9
    // Lines are as sharp as the screen, unless rays have to be few while it moves.
    const sharp = fast && k < 0.6 * most ? 0.6 * most : most
    picture(sharp, k / sharp, fast)
    const drawn = () => {
      const ms = fast && between < 300 ? between : performance.now() - since
      // Part of the way towards the fineness that this machine draws in the time there is, and in steps: each costs a look at the shaders.
      const better = Math.min(most, Math.max(fast ? LEAST : 0.5, k * ((fast ? SMOOTH_MS : REST_MS) / Math.max(ms, 2)) ** 0.25))
      if (fast && Math.abs(better / k - 1) > 0.04) coarse = better
      if (!fast && (better < 0.8 * k || better > 1.25 * k)) fine = better
      pace.textContent = `${ms.toFixed(0)} ms · ${Math.round(100 * k)} %${lastBytes ? ` · ${(lastBytes / 1024).toFixed(1)} kB` : ""}`
      Object.assign(root.dataset, { ms: ms.toFixed(1), pictures: String(Number(root.dataset.pictures ?? 0) + 1), fast: String(fast), fineness: k.toFixed(3), camera: camera.join(",") })
    }
    // While it moves the browser sets the pace: one picture is drawn while the last one is brought to the screen.
    if (fast) { requestAnimationFrame(() => { if (gone) return; drawn(); if (due) draw(); else busy = false }); return }
    const gl = world.gl, sync = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0)
    gl.flush()
    const poll = () => {
      if (gone) return
      if (gl.clientWaitSync(sync, 0, 0) === gl.TIMEOUT_EXPIRED) { setTimeout(poll, 3); return }
      gl.deleteSync(sync)
      drawn()
      if (due) requestAnimationFrame(draw); else busy = false
    }
    poll()
  }
  // Lines and points are drawn at `k` of the screen's pixels; of those, rays are cast at a share.
  const picture = (k, rays, fast) => {
    const c = aim(), cam = world.camera, apart = box()[0] / (cells?.nx ?? 64) * (fast ? MOVING_STEP : REST_STEP)
    world.gl_window.setSize(...[root.clientWidth, root.clientHeight].map((v) => Math.max(8, Math.round(k * v))))
    world.cast(rays)
    // vtk.js works the distance of the samples into the opacities, but not anew when it changes.
    if (world.mapper.getSampleDistance() !== apart) { world.mapper.setSampleDistance(apart); world.opaque.modified() }
    for (const [name, pixels] of [["now", 4.5], ["ahead", 3], ["chosen", 9]]) world.parts[name].property.setPointSize(Math.max(1, pixels * k))
    cam.setViewUp(0, 0, 1); cam.setFocalPoint(...c.focal); cam.setPosition(...c.eye); cam.setViewAngle(ANGLE)
    world.renderer.resetCameraClippingRange()
    world.window.render()
    write()
  }
  const write = () => {
    const [w, h, t] = box(), p = place(), top = (p.top_m ?? 2e4) / 1e3
    const said = [["N", [w / 2, h * 1.05, 0]], ["S", [w / 2, -0.05 * h, 0]], ["E", [w * 1.04, h / 2, 0]], ["W", [-0.04 * w, h / 2, 0]]]
    // Heights stand at the upright edge that is farthest left on the screen.
    const edge = [[0, 0], [w, 0], [w, h], [0, h]].reduce((a, b) => project([...b, 0])[0] < project([...a, 0])[0] ? b : a)
    for (const km of [5, 10, 15, 20]) if (km <= top) said.push([`${km} km`, [...edge, km / top * t], true])
    while (labels.children.length < said.length) labels.append(document.createElement("span"))
    said.forEach(([text, at, left], i) => {
      const span = labels.children[i], [x, y] = project(at)
      if (span.textContent !== text) span.textContent = text
      span.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px) translate(${left ? "calc(-100% - 5px)" : "-50%"}, -50%)`
    })
  }

  // -- data ----------------------------------------------------------------------------------------
  let chain = Promise.resolve()
  const receive = () => {
    const v = plain(model.volume)
    if (!v.version || v.version === version) return
    chain = chain.then(async () => {
      if (gone || v.version === version) return
      if (v.base && v.base !== version) { say({ do: "again" }); return }
      const data = await inflate(bytes(v.data))
      if (v.base) for (let i = 0; i < data.length; i++) data[i] ^= cells.data[i]
      cells = { data, nx: v.nx, ny: v.ny, nz: v.nz }; version = v.version; lastBytes = bytes(v.data).length; updates += 1
      Object.assign(root.dataset, { version: String(version), bytes: String(lastBytes), updates: String(updates) })
      world?.values?.length === 4 * v.nx * v.ny * v.nz ? (classify(), wake(true)) : shape()
    }).catch((error) => { told.textContent = `The volume could not be read: ${error.message}` })
  }
  const start = async () => {
    if (!drawsGl()) {
      root.dataset.gl = "none"
      told.textContent = "This browser draws no WebGL, so there is no rotating volume. Slice and section show the same field."
      return
    }
    let V
    try { V = await library() } catch (error) { told.textContent = `${error.message}. Slice and section show the same field.`; return }
    if (gone) return
    const { vtkRenderWindow, vtkRenderer, vtkVolume, vtkVolumeMapper, vtkActor, vtkMapper } = V.Rendering.Core
    const renderer = vtkRenderer.newInstance(), win = vtkRenderWindow.newInstance(), gl_window = V.Rendering.OpenGL.vtkRenderWindow.newInstance()
    win.addRenderer(renderer); gl_window.setContainer(stage); gl_window.setSize(64, 64); win.addView(gl_window)
    const mapper = vtkVolumeMapper.newInstance({ autoAdjustSampleDistances: false, maximumSamplesPerRay: 600 }), volume = vtkVolume.newInstance()
    // In place of vtk.js's interactor: while it "animates", rays are cast at a share of the window's pixels.
    let share = 1, rescale = () => {}
    win.setInteractor({
      isAnimating: () => share < 1, render: () => gl_window.traverseAllPasses(),
      onAnimationFrameRateUpdate: (call) => { rescale = call; return { unsubscribe: () => { rescale = () => {} } } },
    })
    const planes = Array.from({ length: 6 }, (_, p) => {
      const normal = [0, 0, 0]; normal[p >> 1] = p & 1 ? -1 : 1
      const plane = V.Common.DataModel.vtkPlane.newInstance({ normal }); mapper.addClippingPlane(plane); return plane
    })
    const cast = (rays) => { share = rays; mapper.setImageSampleDistance(1 / rays); rescale() }
    volume.setMapper(mapper); volume.setVisibility(false)
    const property = volume.getProperty(), opaque = V.Common.DataModel.vtkPiecewiseFunction.newInstance()
    opaque.addPoint(0, 0); opaque.addPoint(255, 1)
    property.setIndependentComponents(false); property.setInterpolationTypeToLinear(); property.setShade(false)
    // The four components are colour and opacity themselves: the functions only say where 0 and 1 lie.
    const grey = V.Rendering.Core.vtkColorTransferFunction.newInstance()
    grey.addRGBPoint(0, 0, 0, 0); grey.addRGBPoint(255, 1, 1, 1)
    for (let i = 0; i < 4; i++) { property.setRGBTransferFunction(i, grey); property.setScalarOpacity(i, opaque); property.setScalarOpacityUnitDistance(i, 0.012) }
    const parts = {}
    for (const [name, opacity] of [["frame", 0.5], ["borders", 0.75], ["coastline", 1], ["stems", 0.28], ["slice", 0.9], ["section", 0.9], ["ahead", 0.9], ["now", 1], ["chosen", 1]]) {
      const data = V.Common.DataModel.vtkPolyData.newInstance(), m = vtkMapper.newInstance({ scalarVisibility: false }), actor = vtkActor.newInstance()
      m.setInputData(data); actor.setMapper(m); actor.getProperty().set({ lighting: false, opacity }); actor.setVisibility(false)
      renderer.addActor(actor); parts[name] = { data, actor, property: actor.getProperty() }
    }
    renderer.addVolume(volume)
    gl_window.initialize()
    const canvas = gl_window.getCanvas()
    canvas.dataset.picture = ""; canvas.setAttribute("aria-hidden", "true")
    world = { V, renderer, window: win, gl_window, mapper, volume, parts, opaque, planes, cast, camera: renderer.getActiveCamera(), gl: gl_window.getContext() }
    root.dataset.gl = "ok"
    look(); shape(); ground()
  }
  // Asked for a picture to take along: fine, and while it is still in the buffer.
  const hand = () => { if (world && root.clientWidth > 8) picture(window.devicePixelRatio || 1, 1, false) }
  document.addEventListener("scythe-before-png", hand)
  const resized = new ResizeObserver(() => wake(true)); resized.observe(root)
  model.on("volume", receive)
  for (const name of ["ramps", "colours", "opacity", "show_field", "show_forecast"]) model.on(name, () => { look(); emitters() })
  for (const name of ["place", "exaggeration"]) model.on(name, () => { shape(); ground() })
  for (const name of ["points", "show_emitters"]) model.on(name, emitters)
  model.on("marks", marks)
  model.on("camera", () => { if (model.camera.some((v, i) => Math.abs(v - camera[i]) > 2e-4) && !moving) { camera = [...model.camera]; wake(true) } })
  model.on("remove", () => { gone = true; resized.disconnect(); document.removeEventListener("scythe-before-png", hand); world?.gl_window.delete() })
  // A picture to take along is of all three, not of the map alone.
  document.getElementById("picture")?.setAttribute("data-whole", "")
  look(); receive(); start()
}
