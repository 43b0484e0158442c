// The tree of a file. Every text comes from a file that anyone may have written: it goes in as text only.
const PIECE = 1 << 20

const base64 = async (blob) => {
  const bytes = new Uint8Array(await blob.arrayBuffer())
  let out = ""
  for (let i = 0; i < bytes.length; i += 0x8000) out += String.fromCharCode(...bytes.subarray(i, i + 0x8000))
  return btoa(out)
}

export function render({ model, el }) {
  el.innerHTML = ""
  const root = document.createElement("div")
  root.className = "tree"
  root.innerHTML = `<div class="rows" role="tree" aria-label="Groups and datasets" tabindex="0"></div>
    <p class="note" role="status"></p>
    <label class="upload">Open a file of yours<input type="file" aria-label="Open a file of yours"></label>`
  el.append(root)
  const list = root.querySelector(".rows"), note = root.querySelector(".note"), upload = root.querySelector(".upload")
  let busy = null

  const draw = () => {
    const at = list.scrollTop
    list.replaceChildren(...model.rows.map((row) => {
      const item = document.createElement("div")
      item.className = `row ${row.kind}${row.path === model.chosen ? " chosen" : ""}`
      item.setAttribute("role", "treeitem")
      item.setAttribute("aria-level", row.depth + 1)
      item.setAttribute("aria-selected", row.path === model.chosen)
      item.style.paddingLeft = `${6 + 14 * row.depth}px`
      item.dataset.path = row.path
      item.title = row.title ?? ""
      const twist = document.createElement("span"), name = document.createElement("span"), detail = document.createElement("span")
      twist.className = "twist"; name.className = "name"; detail.className = "detail"
      twist.textContent = row.kind === "group" ? (row.open ? "▾" : "▸") : ""
      if (row.kind === "group") item.setAttribute("aria-expanded", row.open)
      name.textContent = row.name
      detail.textContent = row.detail ?? ""
      item.append(twist, name, detail)
      return item
    }))
    list.scrollTop = at
  }
  const act = (item, onlyToggle) => {
    const row = model.rows.find((r) => r.path === item.dataset.path)
    if (!row) return
    if (row.kind === "more") model.send_msg({ do: "more", path: row.path })
    else if (onlyToggle) model.send_msg({ do: "toggle", path: row.path })
    else model.send_msg({ do: "choose", path: row.path })
  }
  list.addEventListener("click", (event) => {
    const item = event.target.closest(".row")
    if (item) act(item, event.target.classList.contains("twist") && item.classList.contains("group"))
  })
  list.addEventListener("keydown", (event) => {
    const items = [...list.children], now = items.findIndex((i) => i.dataset.path === model.chosen)
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step) { const next = items[Math.min(Math.max(now + step, 0), items.length - 1)]; if (next) { act(next); next.scrollIntoView({ block: "nearest" }) } }
    else if ((event.key === "ArrowRight" || event.key === "ArrowLeft") && now >= 0) {
      const row = model.rows[now]
      if (row.kind === "group" && row.open !== (event.key === "ArrowRight")) act(items[now], true)
    } else return
    event.preventDefault(); event.stopPropagation()
  })
  const send = async () => {
    const { file, at } = busy
    model.send_msg({ do: "piece", name: file.name, at, size: file.size, content: await base64(file.slice(at, at + PIECE)) })
  }
  upload.querySelector("input").addEventListener("change", (event) => {
    const file = event.target.files[0]
    event.target.value = ""
    if (!file) return
    busy = { file, at: 0 }
    note.textContent = `Sending ${file.name} …`
    send()
  })
  model.on("rows", draw)
  model.on("chosen", draw)
  model.on("note", () => { note.textContent = model.note })
  model.on("uploads", () => { upload.hidden = !model.uploads })
  model.on("received", () => {
    if (!busy) return
    if (model.received < 0 || model.received >= busy.file.size) { busy = null; return }
    busy.at = model.received
    note.textContent = `Sending ${busy.file.name}: ${Math.round(100 * busy.at / busy.file.size)} %`
    send()
  })
  upload.hidden = !model.uploads
  note.textContent = model.note
  draw()
}
