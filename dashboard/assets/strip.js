// The bottom strip: state of the data, time control with event density, counts of the spine.
// Ages tick here, in the browser, so that they stay true when the server says nothing.
const SPEEDS = [1, 2, 5, 10, 20, 60]

const pad = (n) => String(n).padStart(2, "0")
const utc = (s, date = false) => {
  const d = new Date(s * 1000)
  const t = `${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}:${pad(d.getUTCSeconds())}`
  return (date ? `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())} ` : "") + t
}
const span = (s) => s < 9.95 ? `${s.toFixed(1)} s` : s < 120 ? `${Math.round(s)} s` : s < 7200 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`
const grouped = (n) => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f")

export function render({ model, el }) {
  el.innerHTML = ""
  const root = document.createElement("div")
  root.className = "strip"
  // Static markup only; every text from data goes in through textContent.
  root.innerHTML = `
    <div class="state" role="status" aria-live="polite"><span class="dot"></span><b class="word"></b> <span class="why"></span></div>
    <div class="time" role="group" aria-label="Time control">
      <button class="back" title="10 s back (←)" aria-label="10 seconds back">◀</button>
      <button class="toggle" title="Pause or go live (space)"></button>
      <button class="forth" title="10 s forward (→)" aria-label="10 seconds forward">▶</button>
      <div class="track"><canvas aria-hidden="true"></canvas><input type="range" min="0" max="10000" step="1" aria-label="Moment shown"></div>
      <select class="speed" title="Replay speed" aria-label="Replay speed"></select>
      <button class="live" title="Back to live">Live</button>
      <output class="moment"></output>
    </div>
    <div class="spine"><span class="rate"></span><span class="queue"></span><span class="drops"></span><span class="rejects"></span><span class="seq"></span></div>`
  el.appendChild(root)
  const $ = (q) => root.querySelector(q)
  const slider = $("input"), canvas = $("canvas"), speed = $(".speed")
  for (const v of SPEEDS) { const o = document.createElement("option"); o.value = v; o.textContent = `${v}×`; speed.appendChild(o) }
  let dragging = false, arrived = performance.now(), offset = 0, lost = false

  const title = document.title
  const say = (msg) => { if (msg.do === "seek") window.scythe?.used("scrub"); model.send_msg(msg) }
  const range = () => model.span.length === 2 ? model.span : [Date.now() / 1000 - 60, Date.now() / 1000]
  const now = () => Date.now() / 1000 - offset
  const shown = () => model.mode === "live" ? now() : model.moment_s

  const status = () => {
    const s = model.status
    arrived = performance.now()
    if (s.server_s) offset = Date.now() / 1000 - s.server_s
    $(".rate").textContent = `${(s.events_per_s ?? 0).toFixed(s.events_per_s >= 10 ? 0 : 1)} ev/s`
    $(".queue").textContent = `queue ${Math.round(100 * (s.queue_fill ?? 0))} %`
    $(".queue").className = "queue" + (s.queue_above ? " warn" : "")
    const drops = Object.entries(s.drops ?? {}), rejects = Object.entries(s.rejected ?? {})
    const total = (pairs) => pairs.reduce((a, [, n]) => a + n, 0)
    $(".drops").textContent = `drops ${grouped(total(drops))}`
    $(".drops").title = drops.length ? drops.map(([k, n]) => `${k}: ${n}`).join("\n") : "Nothing was dropped: the queue before the log never overflowed"
    $(".drops").className = "drops" + (total(drops) ? " warn" : "")
    $(".rejects").textContent = `rejected ${grouped(total(rejects))}`
    $(".rejects").title = rejects.length ? "Records refused at the door, by reason\n" + rejects.map(([k, n]) => `${k}: ${n}`).join("\n") : "No record was refused at the door"
    $(".seq").textContent = `seq ${grouped(s.seq ?? 0)}`
    $(".seq").title = "Number of the last event folded into the picture"
    tick()
  }

  const verdict = () => {
    const s = model.status, silent = (performance.now() - arrived) / 1000
    if (!s.server_s) return ["wait", "connecting", ""]
    if (silent > 4) return ["alarm", "no answer", `from the server for ${span(silent)} · trying again every 3 s`]
    const age = s.newest_s ? Math.max(now() - s.newest_s, 0) : null
    const bus = s.bus_ok ? "" : `bus lost for ${span(Math.max(now() - (s.bus_lost_s ?? now()), 0))} · ${s.bus_doing}`
    if (!s.bus_ok) return ["alarm", "bus lost", bus.replace(/^bus lost /, "") + (age === null ? "" : ` · data ${span(age)} old`)]
    if (model.mode === "paused") return ["hold", "paused", `at ${utc(model.moment_s)} UTC, ${span(now() - model.moment_s)} ago`]
    if (model.mode === "replaying") return ["hold", "replaying", `${model.speed}× · ${span(now() - model.moment_s)} ago`]
    if (age === null) return ["warn", "no data yet", s.source_state || "waiting for the first event"]
    if (age > 2) return ["warn", "stale", `newest data ${span(age)} old${s.source_state ? " · " + s.source_state : ""}`]
    return ["ok", "live", `${span(age)} old`]
  }

  const tick = () => {
    const [kind, word, why] = verdict()
    $(".state").className = "state " + kind
    if ($(".word").textContent !== word) $(".word").textContent = word
    $(".why").textContent = why
    $(".state").title = `${word} ${why}`
    const [a, b] = range(), m = shown()
    if (!dragging) slider.value = Math.round(10000 * Math.min(Math.max((m - a) / (b - a), 0), 1))
    $(".moment").textContent = utc(dragging ? a + (b - a) * slider.value / 10000 : m, true) + " UTC"
    if (lost !== (word === "no answer")) { lost = word === "no answer"; document.documentElement.classList.toggle("lost", lost) }
    const colour = { ok: "%23177331", warn: "%23d98e00", alarm: "%23b3261e", hold: "%23316dca", wait: "%238a97a1" }[kind]
    const icon = document.getElementById("favicon")
    if (icon && icon.dataset.kind !== kind) {
      icon.dataset.kind = kind
      document.title = (kind === "ok" ? "" : `${word} · `) + title
      icon.href = `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='6' fill='${colour}'/%3E%3C/svg%3E`
    }
  }

  const mode = () => {
    $(".toggle").textContent = model.mode === "paused" ? "▶▮" : "▮▮"
    $(".toggle").setAttribute("aria-label", model.mode === "paused" ? "Play from here" : "Pause")
    $(".live").disabled = model.mode === "live"
    root.dataset.mode = model.mode
    speed.value = String(model.speed)
    tick()
  }

  // Alerts stand on the upper edge, drills hang from it as diamonds; both are in the title of the slider.
  const marks = (g, w, h) => {
    const [a, b] = range(), css = getComputedStyle(root), shown = model.marks.filter((m) => m.time_s >= a && m.time_s <= b)
    for (const m of shown) {
      const x = (m.time_s - a) / (b - a) * w
      g.fillStyle = css.getPropertyValue(m.kind === "alert" ? "--alarm" : "--orange")
      g.beginPath()
      if (m.kind === "alert") { g.moveTo(x - 3.5, 0); g.lineTo(x + 3.5, 0); g.lineTo(x, 6) } else { g.moveTo(x, 0); g.lineTo(x + 3.5, 3.5); g.lineTo(x, 7); g.lineTo(x - 3.5, 3.5) }
      g.fill()
    }
    const say = (kind, one, more) => { const n = shown.filter((m) => m.kind === kind).length; return n ? `, ${n} ${n === 1 ? one : more}` : "" }
    slider.title = `Event density${say("alert", "alert", "alerts")}${say("drill", "drill", "drills")}` + shown.slice(-6).reverse().map((m) => `\n${utc(m.time_s)} ${m.text}`).join("")
  }
  const density = () => {
    const w = canvas.clientWidth || 300, h = canvas.clientHeight || 22, k = window.devicePixelRatio || 1
    canvas.width = w * k; canvas.height = h * k
    const g = canvas.getContext("2d"), bins = model.density
    g.scale(k, k); g.clearRect(0, 0, w, h)
    marks(g, w, h)
    if (!bins.length) return
    const top = Math.max(...bins, 1)
    g.fillStyle = getComputedStyle(root).getPropertyValue("--density") || "#9fb0bb"
    bins.forEach((n, i) => { const y = (h - 3) * n / top; g.fillRect(i * w / bins.length, h - y, Math.max(w / bins.length - 0.5, 0.5), y) })
  }

  slider.addEventListener("pointerdown", () => { dragging = true })
  slider.addEventListener("input", tick)
  slider.addEventListener("change", () => { dragging = false; const [a, b] = range(); say({ do: "seek", moment_s: a + (b - a) * slider.value / 10000 }) })
  slider.addEventListener("pointerup", () => { dragging = false })
  $(".toggle").addEventListener("click", () => say({ do: model.mode === "paused" ? "play" : "pause", moment_s: shown() }))
  $(".live").addEventListener("click", () => say({ do: "live" }))
  $(".back").addEventListener("click", () => say({ do: "seek", moment_s: shown() - 10 }))
  $(".forth").addEventListener("click", () => say({ do: "seek", moment_s: shown() + 10 }))
  speed.addEventListener("change", () => say({ do: "speed", speed: Number(speed.value), moment_s: shown() }))

  const link = () => window.scythe?.copy(`${location.origin}${location.pathname}?${model.query}`, "Link to this view copied")
  const keys = (e) => {
    const path = e.composedPath ? e.composedPath() : []
    if (path.some((n) => n.tagName && /^(INPUT|SELECT|TEXTAREA|BUTTON|A)$/.test(n.tagName)) || e.ctrlKey || e.metaKey || e.altKey) return
    if (document.querySelector("dialog[open]") && e.key !== "?") return
    const action = {
      " ": () => say(model.mode === "paused" ? { do: "live" } : { do: "pause", moment_s: shown() }),
      ArrowLeft: () => say({ do: "seek", moment_s: shown() - 10 }), ArrowRight: () => say({ do: "seek", moment_s: shown() + 10 }),
      Escape: () => say({ do: "clear" }), l: link, L: link,
      f: () => window.scythe?.fullscreen(), "/": () => window.scythe?.search(), "?": () => window.scythe?.keys(), c: () => window.scythe?.fold(),
    }[e.key]
    if (action) { e.preventDefault(); action() }
  }
  // In a notebook the keys belong to the notebook: only the shell of a page gives them to us.
  const onPage = document.getElementById("picture") !== null
  if (onPage) document.addEventListener("keydown", keys)
  const otherTheme = () => say({ do: "theme" })
  document.addEventListener("scythe-link", link); document.addEventListener("scythe-theme", otherTheme)
  // The address bar holds the whole view, so that a reload comes back to it.
  let written = 0
  const address = () => {
    const root = document.documentElement
    root.dataset.query = model.query
    if (new URLSearchParams(model.query).get("select")) window.scythe?.used("pick")
    // Not at every step of a hand: browsers count how often an address is written, and stop at some number.
    if (model.query && document.getElementById("picture")) written ||= setTimeout(() => {
      written = 0
      history.replaceState(null, "", `${location.pathname}?${model.query}${root.classList.contains("kiosk") ? "&kiosk=1" : ""}`)
    }, 100)
  }
  // States of the picture are drawn over it, in the shell: loading, empty, failed.
  // The bar under the top edge runs from the browser's wish for a view until the server has drawn it.
  const busy = () => document.getElementById("picture")?.classList.toggle("busy", Boolean(model.picture.waiting))
  const picture = () => {
    busy()
    const shell = document.getElementById("picture"), veil = document.getElementById("veil")
    if (!shell || !veil) return
    const p = model.picture
    document.documentElement.dataset.at = p.at ?? ""
    shell.dataset.state = p.kind
    shell.classList.toggle("ready", p.kind !== "loading")
    veil.querySelector("b").textContent = p.title ?? ""
    veil.querySelector("p").textContent = p.text ?? ""
    shell.dataset.caption = p.caption ?? ""
  }
  const notice = () => { if (model.notice) window.scythe?.toast(model.notice) }
  const theme = () => { document.documentElement.dataset.theme = model.theme; setTimeout(density, 50) }
  const timer = setInterval(tick, 250)
  // When the server is gone, look for it and come back to the very same view.
  let gone = false
  const finder = setInterval(async () => {
    if (!lost || !onPage) { gone = false; return }
    try {
      const r = await fetch("health", { cache: "no-store" })
      // It was away and is back, or it is there and has forgotten this session (after a night's sleep, say).
      if (r.ok && (gone || performance.now() - arrived > 30000)) window.location.reload()
      gone = gone || !r.ok
    } catch { gone = true }
  }, 3000)
  const resize = new ResizeObserver(density)
  resize.observe(canvas)

  model.on("status", status); model.on("mode", mode); model.on("moment_s", tick); model.on("speed", mode)
  model.on("density", density); model.on("marks", density); model.on("span", tick); model.on("theme", theme)
  model.on("query", address); model.on("query", busy); model.on("status", busy); model.on("picture", picture); model.on("notice", notice)
  model.on("remove", () => { clearInterval(timer); clearInterval(finder); document.removeEventListener("keydown", keys); document.removeEventListener("scythe-link", link); document.removeEventListener("scythe-theme", otherTheme); resize.disconnect() })
  if (document.getElementById("picture")) theme()
  status(); mode(); density(); picture(); address(); notice()
}
