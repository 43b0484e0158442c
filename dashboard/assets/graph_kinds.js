// Kinds of nodes: what each colour means, how many there are, and which are shown. Texts go in through textContent.
const grouped = (n) => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, " ")

export function render({ model, el }) {
  const list = document.createElement("div")
  list.className = "kinds"; list.setAttribute("role", "group"); list.setAttribute("aria-label", "Kinds of nodes shown")
  el.replaceChildren(list)
  const draw = () => {
    const focused = el.getRootNode().activeElement?.dataset?.kind
    const rows = model.kinds.map(([name, count, category]) => {
      const hidden = model.hidden.includes(name), row = document.createElement("div"), button = document.createElement("button"), only = document.createElement("button")
      row.className = "row" + (hidden ? " off" : "")
      button.type = only.type = "button"; button.dataset.kind = name
      button.setAttribute("role", "switch"); button.setAttribute("aria-checked", String(!hidden))
      button.title = hidden ? `Show ${name || "nodes without kind"}` : `Hide ${name || "nodes without kind"}`
      const swatch = document.createElement("span"), label = document.createElement("span"), n = document.createElement("span")
      swatch.className = "swatch"; swatch.style.background = model.colours[category] ?? model.colours.at(-1)
      label.className = "label"; label.textContent = name || "no kind"
      n.className = "n"; n.textContent = grouped(count)
      button.append(swatch, label, n)
      button.addEventListener("click", () => model.send_msg({ do: "toggle", kind: name }))
      only.className = "only"; only.textContent = "only"; only.title = `Show ${name || "nodes without kind"} alone`
      only.addEventListener("click", () => model.send_msg({ do: "only", kind: name }))
      row.append(button, only)
      return row
    })
    if (model.hidden.length) {
      const all = document.createElement("button")
      all.type = "button"; all.className = "all"; all.textContent = "Show all kinds"
      all.addEventListener("click", () => model.send_msg({ do: "all" }))
      rows.push(all)
    }
    if (!rows.length) {
      const none = document.createElement("p")
      none.textContent = "No node yet."
      rows.push(none)
    }
    list.replaceChildren(...rows)
    if (focused !== undefined) [...list.querySelectorAll("button")].find((b) => b.dataset.kind === focused)?.focus()
  }
  model.on("kinds", draw); model.on("hidden", draw); model.on("colours", draw)
  draw()
}
