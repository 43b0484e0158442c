// What the shell does by itself: theme and kiosk from the URL, folding, full screen, the list of keys.
(() => {
  const root = document.documentElement, query = new URLSearchParams(window.location.search)
  const wanted = query.get("theme")
  root.dataset.theme = wanted === "dark" || wanted === "light" ? wanted : "light"
  if (query.get("kiosk") === "1") root.classList.add("kiosk")
  const toast = (text) => {
    document.querySelector(".toast")?.remove()
    const t = document.createElement("div")
    t.className = "toast"; t.setAttribute("role", "status"); t.textContent = text
    document.body.appendChild(t)
    setTimeout(() => t.remove(), 2600)
  }
  const copy = async (text, said) => {
    try { await navigator.clipboard.writeText(text) } catch {
      const area = document.createElement("textarea")
      area.value = text; document.body.appendChild(area); area.select(); document.execCommand("copy"); area.remove()
    }
    toast(said)
  }
  const keys = () => {
    let box = document.querySelector("dialog.keys")
    if (!box) {
      box = document.createElement("dialog"); box.className = "keys"
      const title = document.createElement("b"); title.textContent = "Keys"; box.appendChild(title)
      const list = document.createElement("dl")
      for (const [k, v] of [["space", "live / pause"], ["← →", "10 s back / forward"], ["L", "copy link to this view"], ["F", "full screen"], ["C", "fold the controls away"], ["/", document.querySelector(".skip")?.dataset.find ?? "find"], ...JSON.parse(document.querySelector(".skip")?.dataset.keys || "[]"), ["Esc", "clear the selection"], ["?", "this list"]]) {
        const dt = document.createElement("dt"), dd = document.createElement("dd"); dt.textContent = k; dd.textContent = v; list.append(dt, dd)
      }
      box.appendChild(list); box.addEventListener("click", () => box.close()); document.body.appendChild(box)
    }
    box.open ? box.close() : box.showModal()
  }
  const find = (node, test) => {
    for (const el of node.querySelectorAll("*")) {
      if (test(el)) return el
      if (el.shadowRoot) { const hit = find(el.shadowRoot, test); if (hit) return hit }
    }
    return null
  }
  const search = () => find(document, (el) => el.tagName === "INPUT" && el.placeholder && el.placeholder.startsWith("Find"))?.focus()
  const fullscreen = () => document.fullscreenElement ? document.exitFullscreen() : document.getElementById("picture")?.requestFullscreen()
  // Three hints for the first minute; each goes for good once it was followed.
  const seen = (name) => { try { return localStorage.getItem(`scythe-hint-${name}`) } catch { return "1" } }
  const hint = (name) => document.querySelector(`#hints [data-hint="${name}"]`)
  const used = (name) => { if (seen(name)) return; try { localStorage.setItem(`scythe-hint-${name}`, "1") } catch { /* private mode */ } hint(name)?.classList.remove("due") }
  document.addEventListener("DOMContentLoaded", () => { for (const due of document.querySelectorAll("#hints [data-hint]")) if (!seen(due.dataset.hint)) due.classList.add("due") })
  // What is taken along is fetched by the link of the view itself, at the moment on the screen.
  document.addEventListener("click", (e) => {
    // The moment, the selection and the look go along from page to page.
    const page = e.target.closest?.("nav a[href]")
    if (page) {
      const here = new URLSearchParams(root.dataset.query ?? ""), there = new URLSearchParams()
      // Other pages know an emitter by its identity, the graph by kind and identity.
      for (const name of ["select", "t", "play", "speed", "theme"]) if (here.get(name)) there.set(name, here.get(name).replace(/^emitter:/, ""))
      if (root.classList.contains("kiosk")) there.set("kiosk", "1")
      page.href = `${page.getAttribute("href").split("?")[0]}?${there}`
      return
    }
    const it = e.target.closest?.("[data-do], [data-take]")
    if (!it) return
    if (it.dataset.take) it.href = `take/${it.dataset.take}?${root.dataset.query ?? ""}&at=${root.dataset.at ?? ""}`
    else if (it.dataset.do === "png") (document.querySelector("#picture[data-whole]") ? png : window.scytheMap?.png ?? png)(document.getElementById("picture")?.dataset.caption ?? "")
    else document.dispatchEvent(new Event(`scythe-${it.dataset.do}`))
  })
  // All charts and pictures that the picture holds, where they stand, with the caption under them.
  const png = async (caption) => {
    const place = document.getElementById("picture"), room = place.getBoundingClientRect(), k = window.devicePixelRatio || 1
    const seen = (r) => r.width > 4 && r.height > 4 && r.right > room.left && r.left < room.right && r.bottom > room.top && r.top < room.bottom
    const parts = []
    // What is drawn by WebGL is only in its canvas until the browser has shown it.
    document.dispatchEvent(new Event("scythe-before-png"))
    for (const doc of Bokeh.documents) for (const model of doc._all_models.values()) {
      const view = model.type === "Figure" ? Bokeh.index.find_one_by_id(model.id) : null, r = view?.el?.getBoundingClientRect()
      if (r && place.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2)) && seen(r)) parts.push([view.export("png", true).canvas, r])
    }
    const images = (node) => { for (const el of node.querySelectorAll("*")) { if ((el.tagName === "IMG" || el.dataset?.picture !== undefined) && seen(el.getBoundingClientRect())) parts.push([el, el.getBoundingClientRect()]); if (el.shadowRoot) images(el.shadowRoot) } }
    images(place)
    if (!parts.length) { toast("There is no picture to take along"); return }
    const top = Math.min(...parts.map(([, r]) => r.top)), bottom = Math.min(Math.max(...parts.map(([, r]) => r.bottom)), room.bottom), lines = caption.split("\n")
    const out = document.createElement("canvas"), css = getComputedStyle(root), g = out.getContext("2d")
    out.width = room.width * k; out.height = (bottom - top + 16 * (lines.length + 1)) * k
    g.scale(k, k); g.fillStyle = css.getPropertyValue("--surface"); g.fillRect(0, 0, out.width, out.height)
    for (const [drawn, r] of parts) g.drawImage(drawn, r.x - room.x, r.y - top, r.width, r.height)
    g.fillRect(0, bottom - top, out.width, out.height)
    g.fillStyle = css.getPropertyValue("--text"); g.font = '11px "DejaVu Sans", Arial, sans-serif'
    lines.forEach((line, i) => g.fillText(line, 10, bottom - top + 15 * (i + 1), room.width - 20))
    const blob = await new Promise((done) => out.toBlob(done, "image/png")), a = document.createElement("a")
    a.href = URL.createObjectURL(blob); a.download = `${location.pathname.split("/").pop()}.png`; a.click()
    setTimeout(() => URL.revokeObjectURL(a.href), 10000)
  }
  window.scythe = { used, toast, copy, keys, search, fullscreen, fold: () => { root.classList.toggle("folded"); window.dispatchEvent(new Event("resize")) } }
})()
