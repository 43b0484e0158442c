// Table of runs: one page of rows, sorted and filtered by the server. Every text goes in through textContent.
const SVG = "http://www.w3.org/2000/svg"
const pad = (n) => String(n).padStart(2, "0")
const clock = (s) => { const d = new Date(s * 1000); return `${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())} ${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}:${pad(d.getUTCSeconds())}` }
const figure = (v) => Number.isInteger(v) ? String(v) : Math.abs(v) >= 1e5 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(2) : String(Number(v.toPrecision(4)))
const grouped = (n) => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f")
const typing = (e) => (e.composedPath?.() ?? []).some((n) => n.tagName && /^(INPUT|SELECT|TEXTAREA)$/.test(n.tagName))

export function render({ model, el }) {
  el.innerHTML = `<div class="runs"><div class="head">
      <input type="text" aria-label="Filter runs" placeholder="Find runs: log_prime_sse < 5, kappa > 0.2, failed" spellcheck="false" maxlength="128">
      <label title="Hide parameters that are the same in all runs listed"><input type="checkbox"> only differing</label>
      <span class="count"></span>
      <button class="prev" aria-label="Page back">◀</button><button class="next" aria-label="Page forward">▶</button>
    </div><div class="body" tabindex="0" aria-label="Runs; up and down step from run to run"><table><thead><tr></tr></thead><tbody></tbody></table><div class="nothing" role="status"></div></div></div>`
  const $ = (q) => el.querySelector(q)
  const find = $(".head input[type=text]"), box = $(".head input[type=checkbox]"), body = $("tbody"), scroll = $(".body")
  const say = (msg) => model.send_msg(msg)

  const spark = (at, height) => {
    const svg = document.createElementNS(SVG, "svg"), path = document.createElementNS(SVG, "path"), n = model.trace.length
    svg.setAttribute("viewBox", "0 0 74 16"); svg.setAttribute("aria-hidden", "true")
    path.setAttribute("d", model.trace.map((v, i) => `${i ? "L" : "M"}${(2 + 70 * i / Math.max(n - 1, 1)).toFixed(1)} ${(14 - 12 * v).toFixed(1)}`).join(""))
    svg.appendChild(path)
    const dot = document.createElementNS(SVG, "circle")
    dot.setAttribute("cx", (2 + 70 * at).toFixed(1)); dot.setAttribute("cy", (14 - 12 * height).toFixed(1)); dot.setAttribute("r", "2")
    svg.appendChild(dot)
    return svg
  }
  const cell = (kind, value) => {
    const td = document.createElement("td")
    td.className = kind === "id" ? "text id" : kind === "status" || kind === "text" ? "text" : ""
    if (value === null || value === undefined) { td.textContent = "–"; td.classList.add("none"); return td }
    if (kind === "spark") td.appendChild(spark(...value))
    else if (kind === "id") { td.textContent = value.slice(0, 10); td.title = value }
    else if (kind === "time") { td.textContent = clock(value); td.title = `${new Date(value * 1000).toISOString()}` }
    else if (kind === "number") { td.textContent = typeof value === "number" ? figure(value) : String(value); td.title = String(value) }
    else { td.textContent = value; td.title = value; if (kind === "status" && /^(failed|missing|unreadable)/.test(value)) td.classList.add("failed") }
    return td
  }
  const marks = () => {
    for (const tr of body.children) {
      tr.className = tr.dataset.id === model.selected ? "selected" : model.others.includes(tr.dataset.id) ? "other" : ""
      tr.setAttribute("aria-selected", String(tr.className !== ""))
    }
  }
  const header = () => {
    const tr = $("thead tr")
    tr.replaceChildren(...model.columns.map((c) => {
      const th = document.createElement("th"), button = document.createElement("button"), down = model.order === `-${c.name}`, up = model.order === c.name
      th.className = (c.kind === "number" || c.kind === "time" || c.kind === "spark" ? "" : "text") + (up || down ? " sorted" : "")
      button.type = "button"; button.textContent = c.label + (down ? " ▼" : up ? " ▲" : ""); button.title = c.what
      if (c.kind !== "spark") button.addEventListener("click", () => say({ do: "order", name: c.name }))
      th.setAttribute("aria-sort", down ? "descending" : up ? "ascending" : "none")
      th.appendChild(button)
      return th
    }))
  }
  const rows = () => {
    const top = scroll.scrollTop
    body.replaceChildren(...model.rows.map((r) => {
      const tr = document.createElement("tr")
      tr.dataset.id = r[0]
      tr.append(...model.columns.map((c, i) => cell(c.kind, r[i])))
      return tr
    }))
    scroll.scrollTop = top
    const n = model.rows.length
    if (n) window.scythe?.used("start")
    $(".count").textContent = model.total ? `${grouped(model.offset + 1)}–${grouped(model.offset + n)} of ${grouped(model.total)}` : "0 runs"
    $(".prev").disabled = model.offset <= 0
    $(".next").disabled = model.offset + n >= model.total
    $(".nothing").textContent = n ? "" : model.nothing
    $(".nothing").style.display = n ? "none" : "block"
    marks()
  }
  const shown = () => body.querySelector("tr.selected")?.scrollIntoView({ block: "nearest" })
  const said = () => { if (document.activeElement !== find && el.getRootNode().activeElement !== find) find.value = model.where; find.classList.toggle("bad", Boolean(model.refused)); find.title = model.refused }
  const ticked = () => { box.checked = model.differing }

  body.addEventListener("click", (e) => {
    const tr = e.target.closest("tr")
    if (tr && !String(getSelection())) say({ do: e.ctrlKey || e.metaKey || e.shiftKey ? "compare" : "select", id: tr.dataset.id })
  })
  body.addEventListener("dblclick", (e) => { const tr = e.target.closest("tr"); if (tr) say({ do: "open", id: tr.dataset.id }) })
  find.addEventListener("change", () => say({ do: "where", text: find.value }))
  box.addEventListener("change", () => say({ do: "differing", on: box.checked }))
  $(".prev").addEventListener("click", () => say({ do: "page", by: -1 }))
  $(".next").addEventListener("click", () => say({ do: "page", by: 1 }))
  // Keys of the page: step from run to run, open, compare. In a notebook only while the table has the focus.
  const keys = (e) => {
    if (typing(e) || e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return
    const action = { ArrowDown: { do: "step", by: 1 }, ArrowUp: { do: "step", by: -1 }, j: { do: "step", by: 1 }, k: { do: "step", by: -1 }, x: { do: "mark" }, Enter: { do: "open", id: model.selected } }[e.key]
    if (!action || (e.key === "Enter" && (e.composedPath?.() ?? []).some((n) => /^(BUTTON|A)$/.test(n.tagName ?? "")))) return
    e.preventDefault(); say(action)
    if (action.do !== "mark") window.scythe?.used("step")
  }
  const target = document.getElementById("picture") ? document : scroll
  target.addEventListener("keydown", keys)
  model.on("columns", () => { header(); rows() }); model.on("order", header); model.on("rows", rows); model.on("total", rows)
  model.on("selected", () => { marks(); shown() }); model.on("others", marks); model.on("where", said); model.on("refused", said); model.on("differing", ticked)
  model.on("nothing", rows)
  model.on("remove", () => target.removeEventListener("keydown", keys))
  // The hints of the page lie over the picture, not over the table under it.
  const hints = document.getElementById("hints")
  if (hints) hints.style.bottom = `${el.getBoundingClientRect().height + 40 || 272}px`
  document.getElementById("picture")?.addEventListener("wheel", () => window.scythe?.used("pan"), { once: true, passive: true, capture: true })
  header(); rows(); said(); ticked()
  setTimeout(shown, 60)
}
