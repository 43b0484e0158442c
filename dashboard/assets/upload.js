// Hand a file in: chosen or dropped, sent piece by piece, with progress, cancel, and what became of its records.
const PIECE = 1 << 20
const make = (tag, className, text) => { const e = document.createElement(tag); if (className) e.className = className; if (text !== undefined) e.textContent = text; return e }
const grouped = (n) => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, " ")
const size = (n) => n < 1e6 ? `${Math.ceil(n / 1e3)} kB` : `${(n / 1e6).toFixed(1)} MB`

export function render({ model, el }) {
  const root = make("div", "upload"), zone = make("label", "zone"), input = make("input"), said = make("span", "", "Choose a file or drop it here")
  const bar = make("div", "bar"), fill = make("div", "fill"), line = make("div", "line"), text = make("span", "text"), cancel = make("button", "", "Cancel"), list = make("dl")
  input.type = "file"; input.setAttribute("aria-label", "File to hand in: EVE, a capture or tracks")
  zone.append(input, said); bar.append(fill); line.append(text, cancel); cancel.type = "button"
  bar.setAttribute("role", "progressbar"); bar.setAttribute("aria-valuemin", "0"); bar.setAttribute("aria-valuemax", "100"); text.setAttribute("role", "status")
  root.append(zone, bar, line, list); el.replaceChildren(root)
  let sending = null

  const base64 = (blob) => new Promise((done, failed) => {
    const reader = new FileReader()
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1)); reader.onerror = () => failed(reader.error)
    reader.readAsDataURL(blob)
  })
  const send = async () => {
    if (!sending) return
    const { file, at } = sending
    try { model.send_msg({ do: "piece", name: file.name, at, size: file.size, content: await base64(file.slice(at, at + PIECE)) }) }
    catch (error) { sending = null; text.textContent = `${file.name} cannot be read: ${error?.message ?? "it has gone"}`; model.send_msg({ do: "cancel" }) }
  }
  const begin = (file) => {
    if (!file || sending) return
    if (file.size > model.most) { list.replaceChildren(); text.textContent = `${file.name} has ${size(file.size)}; files up to ${size(model.most)} are taken`; text.className = "text bad"; return }
    if (!file.size) { list.replaceChildren(); text.textContent = `${file.name} is empty`; text.className = "text bad"; return }
    sending = { file, at: 0 }
    send()
  }
  const draw = () => {
    const s = model.progress, busy = s.phase === "sending" || s.phase === "reading"
    zone.classList.toggle("busy", busy); input.disabled = busy
    bar.hidden = !busy; cancel.hidden = !busy
    fill.style.width = `${Math.round(100 * (s.share ?? 0))}%`; bar.setAttribute("aria-valuenow", String(Math.round(100 * (s.share ?? 0))))
    text.textContent = s.text ?? ""; text.className = "text" + (s.phase === "failed" ? " bad" : "")
    list.replaceChildren(...(s.rows ?? []).flatMap(([name, n, what]) => { const dt = make("dt", "", name), dd = make("dd", "", grouped(n)); if (what) dt.title = what; return [dt, dd] }))
    if (!busy) sending = null
  }
  const went = () => {
    if (!sending) return
    const [at] = model.received
    if (at < 0) { sending = null; return }
    sending.at = at
    if (sending.at < sending.file.size) send()
  }
  input.addEventListener("change", () => { const [file] = input.files; input.value = ""; begin(file) })
  cancel.addEventListener("click", () => { sending = null; model.send_msg({ do: "cancel" }) })
  for (const name of ["dragenter", "dragover"]) zone.addEventListener(name, (e) => { e.preventDefault(); zone.classList.add("over") })
  for (const name of ["dragleave", "drop"]) zone.addEventListener(name, (e) => { e.preventDefault(); zone.classList.remove("over") })
  zone.addEventListener("drop", (e) => begin(e.dataTransfer?.files?.[0]))
  model.on("progress", draw); model.on("received", went)
  draw()
}
