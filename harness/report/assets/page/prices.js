// Machines side by side: what a step costs at the reader's prices.
"use strict";

const prices = document.getElementById("prices");
const JOULES_OF_KWH = 3.6e6;
// The keys of a machine's fields in the hash of the address, by the names of the inputs, and the least that they take.
const LEAST = { price: 0, pue: 1, kwh: 0 };

// A price of a machine, of what the reader has written or the address says; null where there is none.
function priceOf(name, machine) {
  const text = state.extra[`${name}:${machine}`];
  const value = Number(text);
  if (!text || !Number.isFinite(value) || value < LEAST[name]) return name === "pue" ? 1 : null;
  return value || null;
}

function withPrefix(value, unit) {
  const scales = [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "u"]];
  const [factor, prefix] = scales.find(([least]) => value >= least * 0.9995) || [1, ""];
  return `${plainNumber(value / factor)} ${prefix}${unit}`;
}

const plainNumber = (value) => String(Number(value.toPrecision(3)));

// The four cells of a row: a number and its text, or in words why there is none.
function costsOf(row) {
  const { of, reason, energyReason } = row.dataset;
  const [time, work, energy] = ["time", "work", "energy"].map((name) => Number(row.dataset[name]));
  const price = priceOf("price", of), kwh = priceOf("kwh", of);
  const missing = (why) => ({ gap: why ? `not measured: ${why}` : "not measured" });
  const cells = [missing(reason), missing(reason), missing(energyReason), missing(energyReason)];
  if (row.dataset.time) {
    const ofStep = (price / 3600) * time;
    const unit = work > 0 ? "FLOP" : "steps";
    cells[0] = price ? { value: ofStep * 1000, text: plainNumber(ofStep * 1000) } : { gap: "needs a price" };
    cells[1] = price ? { value: -(work || 1) / ofStep, text: withPrefix((work || 1) / ofStep, unit) } : { gap: "needs a price" };
  }
  if (row.dataset.energy) {
    const joules = energy * 1000 * priceOf("pue", of);
    const cost = (joules / JOULES_OF_KWH) * kwh;
    cells[2] = { value: joules, text: withPrefix(joules, "J") };
    cells[3] = kwh ? { value: cost, text: plainNumber(cost) } : { gap: "needs a price of a kWh" };
  }
  return cells;
}

// Fills the table in, with the best of each point in bold, where several rows of it are shown.
function showCosts(shown) {
  const rows = [...document.getElementById("costs").tBodies[0].rows].map((row) => [row, costsOf(row)]);
  const values = new Map();
  for (const [row, cells] of rows) {
    if (!shown[Number(row.dataset.case)]) continue;
    cells.forEach(({ value }, column) => {
      const key = `${column} ${row.dataset.point}`;
      if (value !== undefined) values.set(key, [...(values.get(key) || []), value]);
    });
  }
  const isBest = (value, key) => value !== undefined && (values.get(key) || []).length > 1 && value === Math.min(...values.get(key));
  for (const [row, cells] of rows) {
    cells.forEach(({ value, text, gap }, column) => {
      const cell = row.cells[column + 3];
      cell.textContent = gap || text;
      cell.classList.toggle("gap", Boolean(gap));
      cell.classList.toggle("best", isBest(value, `${column} ${row.dataset.point}`));
    });
  }
}

function eachInput(use) {
  for (const input of prices.querySelectorAll("input")) use(input, `${input.name}:${input.closest("tr").dataset.machine}`);
}

function showPrices() {
  eachInput((input, key) => {
    if (input !== document.activeElement) input.value = state.extra[key] || "";
  });
}

if (prices) {
  prices.hidden = false;
  eachInput((input, key) => input.addEventListener("input", () => {
    state.extra[key] = input.value; // at once: a change that waits gives way to the next
    soon(() => form && formToState());
  }));
  reactions.push((shown) => {
    showPrices();
    showCosts(shown);
  });
}
