// Puts what the reader has chosen into effect.
"use strict";

const system = matchMedia("(prefers-color-scheme: dark)");
const themes = { "": "as the system has them", light: "light", dark: "dark" };

function applyTheme(theme) {
  document.documentElement.dataset.theme = theme || (system.matches ? "dark" : "light");
  document.getElementById("theme").setAttribute("aria-label", `Colours: ${themes[state.theme]}`);
}

function update() {
  applyTheme(state.theme);
  writeHash();
  const shown = matches();
  for (const row of document.querySelectorAll("[data-case]")) row.hidden = !shown[Number(row.dataset.case)];
  const count = shown.filter(Boolean).length;
  const counter = document.getElementById("shown");
  if (counter) counter.textContent = count === shown.length ? `${count} cases` : `${count} of ${shown.length} cases`;
  for (const react of reactions) react(shown);
  drawAll(shown);
}

const viewOf = (shown) => [shown.map(Number).join(""), document.documentElement.dataset.theme, narrow()].join(" ");

// One figure a frame, from the top, so that the page answers meanwhile; what is chosen next starts anew.
let turn = 0;
async function drawAll(shown) {
  const mine = ++turn, view = viewOf(shown);
  for (const slot of slots) {
    if (!draw(slot, shown, view)) continue;
    await new Promise(requestAnimationFrame);
    if (mine !== turn) return;
  }
}

function redraw() {
  for (const slot of slots) slot.drawn = "";
  drawAll(matches());
}

const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) slots.find((slot) => slot.box === entry.target).near = entry.isIntersecting;
    drawAll(matches());
  },
  { rootMargin: "400px" },
);

// While a reader types, one drawing is enough; what was chosen counts at once.
let waiting = 0;
function soon(change) {
  change();
  clearTimeout(waiting);
  waiting = setTimeout(update, 120);
}

if (form) {
  form.addEventListener("input", () => soon(formToState));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => soon(formToState))); // the fields are reset after the event
  form.querySelector("details").open = window.innerWidth >= 640;
}
for (const select of document.querySelectorAll(".focus-on")) {
  select.addEventListener("change", () => { state.group = Number(select.value); stateToForm(); update(); });
}
for (const box of document.querySelectorAll("[data-toggle]")) box.addEventListener("change", redraw);
document.getElementById("theme").addEventListener("click", () => {
  const order = ["", "light", "dark"];
  state.theme = order[(order.indexOf(state.theme) + 1) % 3];
  update();
});
system.addEventListener("change", update);
window.addEventListener("hashchange", () => { readHash(); stateToForm(); update(); });
window.addEventListener("beforeprint", () => {
  applyTheme("light");
  const shown = matches();
  for (const slot of slots) {
    slot.near = true;
    draw(slot, shown, viewOf(shown)); // all before the paper is
  }
});
window.addEventListener("afterprint", update);

applyTheme(new URLSearchParams(location.hash.slice(1)).get("theme"));
load().then(() => {
  readHash();
  stateToForm();
  update();
  for (const slot of slots) watcher.observe(slot.box);
});
