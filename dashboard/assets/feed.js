// The alert feed and the cluster table: rows of plain texts, drawn in the browser. Every text goes in through textContent.
const NS = "http://www.w3.org/2000/svg"
const el = (tag, className, text) => { const e = document.createElement(tag); if (className) e.className = className; if (text !== undefined) e.textContent = text; return e }
const pad = (n) => String(n).padStart(2, "0")
const clock = (s) => { const d = new Date(s * 1000); return `${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}:${pad(d.getUTCSeconds())}` }
const ago = (s) => s < 90 ? `${Math.round(s)} s ago` : s < 5400 ? `${Math.round(s / 60)} min ago` : s < 172800 ? `${(s / 3600).toFixed(1)} h ago` : `${Math.round(s / 86400)} d ago`
const spark = (values) => {
  const root = document.createElementNS(NS, "svg")
  root.setAttribute("viewBox", "0 0 90 18"); root.setAttribute("class", "spark"); root.setAttribute("aria-hidden", "true")
  const add = (tag, attributes) => { const e = document.createElementNS(NS, tag); for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v); root.append(e) }
  const top = Math.max(1.05, ...values), low = Math.min(0, ...values), y = (v) => 17 - (v - low) / (top - low) * 16
  add("line", { x1: 0, x2: 90, y1: y(1), y2: y(1), class: "bar" })
  const n = Math.max(values.length - 1, 1)
  add("path", { d: values.map((v, i) => `${i ? "L" : "M"}${(i * 90 / n).toFixed(1)} ${y(v).toFixed(1)}`).join(""), class: "line" })
  return root
}

export function render({ model, el: host }) {
  const root = el("div", "feed")
  host.replaceChildren(root)
  let order = { by: null, up: false }
  const draw = () => {
    const active = host.getRootNode().activeElement, focus = active?.closest?.("tr")?.dataset.key, on = active?.className
    const top = root.querySelector(".scroll")?.scrollTop ?? 0
    root.replaceChildren()
    if (!model.rows.length) { root.append(el("p", "none", model.empty)); return }
    const scroll = el("div", "scroll"), table = el("table"), head = el("thead"), line = el("tr"), body = el("tbody")
    for (const column of model.columns) {
      const th = el("th", column.kind), button = el("button", "sort", column.title + (order.by === column.name ? (order.up ? " ▲" : " ▼") : ""))
      button.title = column.means; button.type = "button"
      button.addEventListener("click", () => { order = { by: column.name, up: order.by === column.name ? !order.up : false }; draw() })
      th.setAttribute("aria-sort", order.by === column.name ? (order.up ? "ascending" : "descending") : "none")
      th.append(button); line.append(th)
    }
    if (model.acts) line.append(el("th", "acts"))
    head.append(line)
    const rows = [...model.rows]
    if (order.by) rows.sort((a, b) => { const [x, y] = [a[order.by], b[order.by]]; const c = typeof x === "number" && typeof y === "number" ? x - y : String(x ?? "").localeCompare(String(y ?? "")); return order.up ? c : -c })
    for (const row of rows) {
      const tr = el("tr", row.css); tr.dataset.key = row.key; tr.tabIndex = 0
      tr.setAttribute("aria-selected", String(row.key === model.selected))
      for (const column of model.columns) {
        const td = el("td", column.kind), value = row[column.name]
        if (column.kind === "time") { td.textContent = value === null || value === undefined ? "–" : clock(value); if (value) td.title = `${new Date(value * 1000).toISOString().replace("T", " ").slice(0, 19)} UTC, ${ago(Math.max(model.now_s - value, 0))}` }
        else if (column.kind === "spark") td.append(spark(value ?? []))
        else if (column.kind === "state") td.append(el("i", `badge ${row.css}`, String(value ?? "")))
        else if (column.kind === "number") td.textContent = row[`${column.name}_text`] ?? String(value ?? "–")
        else { td.textContent = String(value ?? ""); td.title = td.textContent }
        tr.append(td)
      }
      if (model.acts) {
        const td = el("td", "acts")
        if (row.css === "raised" && !row.seen) { const b = el("button", "ack", "Acknowledge"); b.type = "button"; b.addEventListener("click", (e) => { e.stopPropagation(); model.send_msg({ do: "ack", key: row.key }) }); td.append(b) }
        else td.append(el("span", "seen", row.seen ? `seen by ${row.by || "someone"}` : ""))
        tr.append(td)
      }
      const pick = () => model.send_msg({ do: "row", key: row.key })
      tr.addEventListener("click", pick)
      tr.addEventListener("keydown", (e) => { if (e.target === tr && (e.key === "Enter")) { e.preventDefault(); pick() } })
      body.append(tr)
    }
    table.append(head, body); scroll.append(table); root.append(scroll)
    scroll.scrollTop = top
    if (focus) { const tr = [...body.querySelectorAll("tr")].find((r) => r.dataset.key === focus); (on === "ack" ? tr?.querySelector(".ack") ?? tr : tr)?.focus() }
  }
  const pick = () => { for (const tr of root.querySelectorAll("tbody tr")) tr.setAttribute("aria-selected", String(tr.dataset.key === model.selected)) }
  model.on("rows", draw); model.on("selected", pick)
  draw()
}
