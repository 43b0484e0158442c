// Tables under the picture: tabs, sort, filters, and only the rows that are in sight. All text through textContent.
const ROW = 22, AHEAD = 40, OPEN = 238, SHUT = 32
const make = (tag, className, text) => { const e = document.createElement(tag); if (className) e.className = className; if (text !== undefined) e.textContent = text; return e }
const grouped = (n) => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, " ")
const figure = (v) => Number.isInteger(v) ? grouped(v) : Math.abs(v) >= 1e6 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(2) : String(Number(v.toPrecision(6)))

export function render({ model, el }) {
  const root = make("div", "tables"), bar = make("div", "tabs"), body = make("div", "body"), head = make("div", "head"), room = make("div", "room"), none = make("p", "nothing")
  bar.setAttribute("role", "tablist"); body.tabIndex = 0; body.setAttribute("role", "grid"); none.setAttribute("role", "status")
  root.append(bar, body); body.append(head, room, none); el.replaceChildren(root)
  let asked = -1, timer = 0, focus = -1

  const say = (msg) => model.send_msg(msg)
  const tabs = () => {
    const parts = model.tabs.map(([name, label, count]) => {
      const b = make("button", "tab", label)
      b.type = "button"; b.setAttribute("role", "tab"); b.setAttribute("aria-selected", String(name === model.active)); b.dataset.tab = name
      if (count !== null && count !== undefined) b.append(" ", make("span", "n", grouped(count)))
      b.addEventListener("click", () => say({ do: "tab", name: name === model.active ? "" : name }))
      return b
    })
    const right = make("span", "right")
    if (model.active) {
      const told = make("span", "told", model.refused || (model.total < model.all ? `${grouped(model.total)} of ${grouped(model.all)} rows` : `${grouped(model.all)} rows`))
      told.setAttribute("role", "status")
      if (model.refused) told.classList.add("bad")
      right.append(told)
      if (model.filters && Object.keys(model.filters).length) { const b = make("button", "tab", "Clear filters"); b.type = "button"; b.addEventListener("click", () => say({ do: "where", filters: {} })); right.append(b) }
      for (const [file, label] of model.take) { const a = make("a", "tab", label); a.href = "#"; a.dataset.take = file; a.title = `These rows as ${label}, sorted and filtered as here`; a.addEventListener("click", () => { const r = document.documentElement; a.href = `take/${file}?${r.dataset.query ?? ""}&at=${r.dataset.at ?? ""}` }); right.append(a) }
    }
    bar.replaceChildren(...parts, right)
    body.hidden = !model.active
    // Panel's own box follows its height, what is in it does not.
    root.style.height = `${model.active ? OPEN : SHUT}px`
    document.getElementById("picture")?.style.setProperty("--drawer", root.style.height)
  }
  // Least width and share of what is left, px and fr, alike for the heads and for every row.
  const least = (c) => c.kind === "time" ? [156, 0] : c.kind === "number" ? [92, .4] : ["kind", "state"].includes(c.name) ? [92, .4] : c.name === "members" ? [260, 3] : [190, 2]
  const widths = () => model.columns.map((c) => { const [px, fr] = least(c); return fr ? `minmax(${px}px, ${fr}fr)` : `${px}px` }).join(" ")
  const fitted = () => { for (const e of [head, room]) e.style.minWidth = `${model.columns.reduce((sum, c) => sum + least(c)[0], 0)}px` }
  const heads = () => {
    const typing = el.getRootNode().activeElement?.dataset?.filter, kept = typing && [...head.querySelectorAll("input")].find((i) => i.dataset.filter === typing)
    const value = kept?.value
    head.replaceChildren(...model.columns.map((c) => {
      const th = make("div", "th " + c.kind), sort = make("button", "", c.label), filter = make("input")
      const down = model.order === `-${c.name}`, up = model.order === c.name
      sort.type = "button"; sort.title = c.what; if (down || up) sort.append(down ? " ▼" : " ▲")
      // Numbers and times begin with the high ones.
      sort.addEventListener("click", () => say({ do: "order", name: c.kind === "text" ? (up ? `-${c.name}` : down ? "" : c.name) : (down ? c.name : up ? "" : `-${c.name}`) }))
      th.setAttribute("role", "columnheader"); th.setAttribute("aria-sort", down ? "descending" : up ? "ascending" : "none")
      filter.type = "text"; filter.spellcheck = false; filter.maxLength = 64; filter.dataset.filter = c.name; filter.value = model.filters[c.name] ?? ""
      filter.placeholder = c.kind === "text" ? "contains" : c.kind === "time" ? "< 60 s before" : "> 5 or 2..8"
      filter.setAttribute("aria-label", `Filter ${c.label}`)
      const send = () => { const filters = {}; for (const i of head.querySelectorAll("input")) if (i.value.trim()) filters[i.dataset.filter] = i.value; say({ do: "where", filters }) }
      filter.addEventListener("change", send)
      filter.addEventListener("keydown", (e) => { e.stopPropagation(); if (e.key === "Enter") send() })
      th.append(sort, filter)
      return th
    }))
    head.style.gridTemplateColumns = widths()
    fitted()
    if (kept) { const now = [...head.querySelectorAll("input")].find((i) => i.dataset.filter === typing); if (now) { now.value = value; now.focus() } }
  }
  const cell = (c, value) => {
    const td = make("div", "td " + c.kind)
    td.setAttribute("role", "gridcell")
    if (value === null || value === undefined || value === "") { td.textContent = "–"; td.classList.add("none"); return td }
    td.textContent = typeof value === "number" ? figure(value) : value
    td.title = String(value)
    return td
  }
  const rows = () => {
    const list = model.rows.map((values, i) => {
      const tr = make("div", "tr")
      tr.setAttribute("role", "row"); tr.setAttribute("aria-rowindex", String(model.start + i + 1))
      tr.style.top = `${(model.start + i) * ROW}px`; tr.style.gridTemplateColumns = widths()
      tr.dataset.id = model.ids[i] ?? ""; tr.dataset.at = model.start + i
      if (tr.dataset.id && tr.dataset.id === model.selected) { tr.classList.add("selected"); tr.setAttribute("aria-selected", "true") }
      if (model.start + i === focus) tr.classList.add("focus")
      tr.append(...model.columns.map((c, k) => cell(c, values[k])))
      return tr
    })
    room.style.height = `${model.total * ROW}px`
    room.replaceChildren(...list)
    none.textContent = model.total ? "" : model.nothing
    none.hidden = Boolean(model.total)
    asked = -1
    want()
  }
  const want = () => {
    const first = Math.floor(Math.max(body.scrollTop, 0) / ROW), last = Math.min(first + Math.ceil(body.clientHeight / ROW), model.total)
    const start = Math.max(first - AHEAD, 0)
    if ((first < model.start || last > model.start + model.rows.length) && start !== asked) { asked = start; say({ do: "window", start }) }
  }
  const mark = () => { for (const tr of room.children) { const on = Boolean(tr.dataset.id) && tr.dataset.id === model.selected; tr.classList.toggle("selected", on); tr.setAttribute("aria-selected", String(on)) } }
  const copy = (text) => window.scythe ? scythe.copy(text, "Copied") : navigator.clipboard?.writeText(text)
  body.addEventListener("scroll", () => { clearTimeout(timer); timer = setTimeout(want, 40) })
  room.addEventListener("click", (e) => {
    const tr = e.target.closest(".tr")
    if (!tr) return
    focus = Number(tr.dataset.at)
    if (tr.dataset.id && !String(getSelection())) say({ do: "pick", id: tr.dataset.id })
  })
  room.addEventListener("dblclick", (e) => { const td = e.target.closest(".td"); if (td) { getSelection()?.removeAllRanges(); copy(td.title) } })
  body.addEventListener("keydown", (e) => {
    if (e.target.tagName === "INPUT") return
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault(); e.stopPropagation()
      focus = Math.min(Math.max(focus + (e.key === "ArrowDown" ? 1 : -1), 0), model.total - 1)
      const top = focus * ROW
      if (top < body.scrollTop) body.scrollTop = top
      else if (top + ROW > body.scrollTop + body.clientHeight - 52) body.scrollTop = top + ROW + 52 - body.clientHeight
      for (const tr of room.children) tr.classList.toggle("focus", Number(tr.dataset.at) === focus)
    } else if (e.key === "Enter") {
      const tr = [...room.children].find((r) => Number(r.dataset.at) === focus)
      if (tr?.dataset.id) say({ do: "pick", id: tr.dataset.id })
    } else if ((e.ctrlKey || e.metaKey) && e.key === "c" && !String(getSelection())) {
      const tr = [...room.children].find((r) => Number(r.dataset.at) === focus)
      if (tr) copy([...tr.children].map((td) => td.title).join("\t"))
    }
  })
  const shape = () => { heads(); rows() }
  const top = () => { body.scrollTop = 0; focus = -1 }
  model.on("tabs", tabs); model.on("active", () => { tabs(); top() }); model.on("total", tabs); model.on("all", tabs); model.on("refused", tabs); model.on("filters", () => { heads(); tabs(); top() })
  model.on("columns", shape); model.on("order", () => { heads(); top() }); model.on("rows", rows); model.on("total", rows); model.on("nothing", rows); model.on("selected", mark)
  const resized = new ResizeObserver(want)
  resized.observe(body)
  model.on("remove", () => resized.disconnect())
  tabs(); heads(); rows()
}
