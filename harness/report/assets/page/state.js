// What the reader has chosen, kept in the hash of the address so that a view can be shared.
"use strict";

// Filled by `load`, before anything is drawn.
const data = {};
const form = document.getElementById("filter");

// What other scripts keep in the address is in `extra`, by keys with a colon, which no field of the filter has.
const state = { q: "", impl: null, axes: {}, group: 0, theme: "", extra: {} };
// Called with what is shown of the cases, whenever the reader has chosen something.
const reactions = [];

function bytesOf(text) {
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let place = 0; place < letters.length; place += 1) bytes[place] = letters.charCodeAt(place);
  return bytes;
}

const unzipped = (bytes) => new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));

async function load() {
  Object.assign(data, await unzipped(bytesOf(document.getElementById("data").textContent)).json());
}

function readHash() {
  const words = new URLSearchParams(location.hash.slice(1));
  state.q = words.get("q") || "";
  state.impl = words.has("impl") ? new Set(words.getAll("impl")) : null;
  state.theme = ["light", "dark"].includes(words.get("theme")) ? words.get("theme") : "";
  const group = data.groups.indexOf(words.get("point"));
  state.group = group < 0 ? data.focus : group;
  state.axes = {};
  for (const axis of data.axes) if (words.get(axis)) state.axes[axis] = words.get(axis);
  state.extra = {};
  for (const [key, value] of words) if (key.includes(":")) state.extra[key] = value;
}

function writeHash() {
  const words = new URLSearchParams();
  if (state.q) words.set("q", state.q);
  if (state.impl) for (const name of state.impl) words.append("impl", name);
  if (state.impl && !state.impl.size) words.append("impl", "");
  for (const axis of data.axes) if (state.axes[axis]) words.set(axis, state.axes[axis]);
  if (state.group !== data.focus) words.set("point", data.groups[state.group]);
  if (state.theme) words.set("theme", state.theme);
  for (const key in state.extra) if (state.extra[key]) words.set(key, state.extra[key]);
  const hash = words.toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

// Whether a case is shown, by its number.
function matches() {
  const wanted = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  return data.cases.map((one) => {
    if (state.impl && !state.impl.has(one.implementation)) return false;
    for (const axis in state.axes) if (one.axes[data.axes.indexOf(axis)] !== state.axes[axis]) return false;
    return wanted.every((word) => one.text.includes(word));
  });
}

function formToState() {
  const chosen = new FormData(form);
  state.q = chosen.get("q") || "";
  const boxes = [...form.querySelectorAll("input[name=impl]")];
  const checked = boxes.filter((box) => box.checked).map((box) => box.value);
  state.impl = checked.length === boxes.length ? null : new Set(checked);
  state.axes = {};
  for (const axis of data.axes) if (chosen.get(axis)) state.axes[axis] = chosen.get(axis);
}

function stateToForm() {
  if (form) {
    form.querySelector("[name=q]").value = state.q;
    for (const box of form.querySelectorAll("input[name=impl]")) box.checked = !state.impl || state.impl.has(box.value);
    for (const select of form.querySelectorAll("select")) select.value = state.axes[select.name] || "";
  }
  for (const select of document.querySelectorAll(".focus-on")) select.value = String(state.group);
}
