// The inspector of the graph: facts and lists as the server told them. Every text goes in through textContent.
const make = (tag, className, text) => { const e = document.createElement(tag); if (className) e.className = className; if (text !== undefined) e.textContent = text; return e }
const pad = (n) => String(n).padStart(2, "0")

export function render({ model, el }) {
  const root = make("div", "graph")
  el.replaceChildren(root)
  const fact = ([name, value, what]) => {
    const dt = make("dt", "", name), dd = make("dd", "", value)
    if (what) { dt.title = what; dt.tabIndex = 0; dt.append(" ", make("i", "", "i")) }
    return [dt, dd]
  }
  const item = ({ id, text, side, do: what }) => {
    const li = make("li")
    const said = make(id ? "button" : "span", "text", text)
    said.title = text
    if (id) { said.type = "button"; said.addEventListener("click", () => model.send_msg({ do: what ?? "select", id })) }
    li.append(said, make("span", "side", side ?? ""))
    return li
  }
  const draw = () => {
    const d = model.content, parts = []
    if (d.title) { const h = make("h3", "", d.title); h.title = d.title; parts.push(h) }
    if (d.text) parts.push(make("p", "", d.text))
    if (d.facts?.length) { const dl = make("dl"); d.facts.forEach((f) => dl.append(...fact(f))); parts.push(dl) }
    for (const section of d.sections ?? []) {
      const h = make("h4", "", section.title)
      if (section.what) { h.title = section.what; h.append(" ", make("i", "", "i")) }
      parts.push(h)
      if (section.items.length) { const ul = make("ul"); section.items.forEach((i) => ul.append(item(i))); parts.push(ul) }
      else parts.push(make("p", "", section.nothing ?? "None."))
    }
    root.replaceChildren(...parts)
  }
  model.on("content", draw)
  draw()
}
