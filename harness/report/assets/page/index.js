// The index of a site: a filter by words, and the colours; both are kept in the hash of the address.
"use strict";

const form = document.getElementById("filter");
const rows = [...document.querySelectorAll("[data-text]")];
const system = matchMedia("(prefers-color-scheme: dark)");
const themes = { "": "as the system has them", light: "light", dark: "dark" };
const state = { q: "", theme: "" };

function readHash() {
  const words = new URLSearchParams(location.hash.slice(1));
  state.q = words.get("q") || "";
  state.theme = words.get("theme") in themes ? words.get("theme") : "";
  form.elements.q.value = state.q;
}

function writeHash() {
  const words = new URLSearchParams();
  for (const name in state) if (state[name]) words.set(name, state[name]);
  const hash = words.toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

function update() {
  document.documentElement.dataset.theme = state.theme || (system.matches ? "dark" : "light");
  document.getElementById("theme").setAttribute("aria-label", `Colours: ${themes[state.theme]}`);
  const wanted = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of rows) row.hidden = !wanted.every((word) => row.dataset.text.includes(word));
  for (const table of document.querySelectorAll("table")) {
    table.closest("section").hidden = [...table.tBodies[0].rows].every((row) => row.hidden);
  }
  const count = rows.filter((row) => !row.hidden).length;
  document.getElementById("shown").textContent = count === rows.length ? `${count} runs` : `${count} of ${rows.length} runs`;
  writeHash();
}

form.hidden = false;
form.addEventListener("input", () => { state.q = form.elements.q.value; update(); });
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("theme").addEventListener("click", () => {
  const order = Object.keys(themes);
  state.theme = order[(order.indexOf(state.theme) + 1) % order.length];
  update();
});
system.addEventListener("change", update);
window.addEventListener("hashchange", () => { readHash(); update(); });

readHash();
update();
