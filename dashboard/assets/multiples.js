// Small multiples: one card per monitored number, drawn in the browser from columns of plain numbers.
// Every text goes in through textContent.
const NS = "http://www.w3.org/2000/svg"
const W = 220, H = 46
const utc = (s) => new Date(s * 1000).toISOString().slice(11, 16)
const el = (tag, className, text) => { const e = document.createElement(tag); if (className) e.className = className; if (text !== undefined) e.textContent = text; return e }
const svg = (tag, attributes) => { const e = document.createElementNS(NS, tag); for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v); return e }

const spark = (card, span) => {
  const root = svg("svg", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", class: "spark", role: "img", "aria-label": `${card.title}: ${card.value}` })
  const known = card.v.filter((v) => Number.isFinite(v))
  if (!known.length || span.length !== 2) return root
  const bar = Number.isFinite(card.threshold) ? card.threshold : null
  let low = Math.min(0, ...known, bar ?? 0), high = Math.max(...known, bar ?? -Infinity)
  if (high <= low) high = low + 1
  const x = (t) => (t - span[0]) / (span[1] - span[0]) * W, y = (v) => H - 4 - (v - low) / (high - low) * (H - 9)
  for (const [a, b] of card.spans) root.append(svg("rect", { x: x(a), y: 0, width: Math.max(x(b) - x(a), 1.5), height: H, class: "stood" }))
  if (low < 0) root.append(svg("line", { x1: 0, x2: W, y1: y(0), y2: y(0), class: "zero" }))
  if (bar !== null) root.append(svg("line", { x1: 0, x2: W, y1: y(bar), y2: y(bar), class: "bar" }))
  let d = "", pen = false
  card.t.forEach((t, i) => { const v = card.v[i]; if (!Number.isFinite(v)) { pen = false; return } d += `${pen ? "L" : "M"}${x(t).toFixed(1)} ${y(v).toFixed(1)}`; pen = true })
  root.append(svg("path", { d, class: "line" }))
  for (const t of card.changes) root.append(svg("path", { d: `M${x(t) - 3} ${H}L${x(t)} ${H - 6}L${x(t) + 3} ${H}Z`, class: "change" }))
  const n = card.t.length - 1
  if (n >= 0 && Number.isFinite(card.v[n])) root.append(svg("circle", { cx: Math.min(x(card.t[n]), W - 2), cy: y(card.v[n]), r: 2.4, class: "dot" }))
  return root
}

export function render({ model, el: host }) {
  const root = el("div", "multiples")
  host.replaceChildren(root)
  const draw = () => {
    const kept = root.contains(document.activeElement) || host.getRootNode().activeElement?.dataset?.key
    root.replaceChildren()
    if (!model.cards.length) { root.append(el("p", "none", model.empty)); return }
    let group = null, grid = null
    for (const card of model.cards) {
      if (card.group !== group) {
        group = card.group
        const head = el("h2", "", group); head.title = card.group_means
        grid = el("div", "grid"); root.append(head, grid)
      }
      const box = el("button", `card ${card.state}`)
      box.type = "button"; box.dataset.key = card.key; box.title = card.means
      box.setAttribute("aria-pressed", String(card.key === model.selected))
      const top = el("span", "top"); top.append(el("b", "", card.title), el("i", `badge ${card.state}`, card.badge))
      const mid = el("span", "mid"); mid.append(el("strong", "", card.value), el("span", "limit", card.limit))
      const foot = el("span", "foot"); foot.append(el("span", "", card.note))
      // What has nothing to say takes no room for a curve.
      if (card.state === "insufficient") box.append(top)
      else box.append(top, mid, spark(card, model.span), foot)
      box.addEventListener("click", () => model.send_msg({ do: "series", key: card.key }))
      grid.append(box)
    }
    if (model.span.length === 2) { const axis = el("p", "axis", `${utc(model.span[0])} to ${utc(model.span[1])} UTC on every card · dashed: where the alarm is raised · ▲ the level changed · shaded: raised`); root.append(axis) }
    if (typeof kept === "string") [...root.querySelectorAll(".card")].find((c) => c.dataset.key === kept)?.focus()
  }
  const pick = () => { for (const card of root.querySelectorAll(".card")) card.setAttribute("aria-pressed", String(card.dataset.key === model.selected)) }
  model.on("cards", draw); model.on("span", draw); model.on("selected", pick)
  draw()
}
