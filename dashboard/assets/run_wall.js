// Wall of thumbnails: the page of runs that the table lists, in its order.
export function render({ model, el }) {
  el.innerHTML = `<div class="wall" role="listbox" aria-label="Thumbnails of runs"></div>`
  const wall = el.querySelector(".wall")
  const say = (msg) => model.send_msg(msg)
  const marks = () => {
    for (const tile of wall.children) {
      const id = tile.dataset.id
      tile.classList.toggle("selected", id === model.selected)
      tile.classList.toggle("other", model.others.includes(id))
      tile.setAttribute("aria-selected", String(id === model.selected || model.others.includes(id)))
    }
  }
  // Pictures arrive one by one: tiles that stay are kept, so that nothing flickers.
  const draw = () => {
    const old = new Map([...wall.children].map((tile) => [tile.dataset.id, tile]))
    wall.replaceChildren(...model.tiles.map(([id, src, label, why]) => {
      let tile = old.get(id)
      if (!tile) {
        tile = document.createElement("button")
        tile.type = "button"; tile.dataset.id = id; tile.setAttribute("role", "option")
        tile.append(document.createElement("span"), document.createElement("small"))
      }
      const [frame, text] = tile.children
      if (src && tile.dataset.src !== src) {
        tile.dataset.src = src
        const img = document.createElement("img")
        img.src = src; img.alt = ""; frame.replaceChildren(img)
      } else if (!src && !frame.querySelector("img")) frame.textContent = why
      text.textContent = label
      tile.title = why ? `${id}\n${why}` : id
      return tile
    }))
    marks()
  }
  wall.addEventListener("click", (e) => { const tile = e.target.closest("button"); if (tile) say({ do: e.ctrlKey || e.metaKey || e.shiftKey ? "compare" : "select", id: tile.dataset.id }) })
  wall.addEventListener("dblclick", (e) => { const tile = e.target.closest("button"); if (tile) say({ do: "open", id: tile.dataset.id }) })
  model.on("tiles", draw); model.on("others", marks)
  model.on("selected", () => { marks(); wall.querySelector(".selected")?.scrollIntoView({ block: "nearest" }) })
  draw()
}
