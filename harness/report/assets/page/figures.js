// Draws the figures: with the cases that are shown, in the colours of the theme, and only once they come into view.
"use strict";

const decoded = new Map();
const kinds = { f4: Float32Array, f8: Float64Array, i2: Int16Array, i4: Int32Array };
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const narrow = () => window.innerWidth < 640;

function arrayOf(number) {
  if (!decoded.has(number)) {
    const [kind, text] = data.arrays[number];
    decoded.set(number, new kinds[kind](bytesOf(text).buffer));
  }
  return decoded.get(number);
}

// A copy of a specification, with arrays in place of their numbers and colours in place of their names.
function resolved(value) {
  if (Array.isArray(value)) return value.map(resolved);
  if (typeof value === "string") return value.startsWith("var(--") ? css(value.slice(4, -1)) : value;
  if (value === null || typeof value !== "object") return value;
  if ("$" in value) return arrayOf(value.$);
  const copy = {};
  for (const key in value) copy[key] = key === "meta" ? value.meta : resolved(value[key]);
  return copy;
}

function isShown(cases, shown) {
  if (cases === null || cases === undefined) return true;
  return Array.isArray(cases) ? cases.every((one) => shown[one]) : shown[cases];
}

// Every array of a trace that has a value for each point, without the points of hidden cases.
function masked(value, keep) {
  if (ArrayBuffer.isView(value) || Array.isArray(value)) {
    return value.length === keep.length ? Array.from(value).filter((_, index) => keep[index]) : value;
  }
  if (value === null || typeof value !== "object") return value;
  const copy = {};
  for (const key in value) copy[key] = key === "meta" ? value.meta : masked(value[key], keep);
  return copy;
}

function maskedMap(trace, shown) {
  const keep = trace.meta.cases.map((row) => row.map((one) => one !== null && isShown(one, shown)));
  const rows = keep.map((row) => row.some(Boolean));
  const columns = trace.x.map((_, column) => keep.some((row) => row[column]));
  const cut = (matrix, clear) =>
    matrix
      .map((row, y) => Array.from(row).map((cell, x) => (keep[y][x] ? cell : clear)).filter((_, x) => columns[x]))
      .filter((_, y) => rows[y]);
  return {
    ...trace,
    x: trace.x.filter((_, column) => columns[column]),
    y: trace.y.filter((_, row) => rows[row]),
    z: cut(trace.z, null),
    text: cut(trace.text, ""),
    hovertext: cut(trace.hovertext, ""),
    meta: { cases: cut(trace.meta.cases, null) },
  };
}

function filtered(trace, shown) {
  const meta = trace.meta || {};
  if (trace.type === "heatmap" && meta.cases) return maskedMap(trace, shown);
  if (meta.cases) {
    const keep = meta.cases.map((cases) => isShown(cases, shown));
    return { ...masked(trace, keep), meta: { cases: meta.cases.filter((_, index) => keep[index]) } };
  }
  return trace;
}

// The rows of a figure that has one for each case or point, from the top. A thousand of them would take seconds to draw.
const MOST_ROWS = 60;

function rowsOf(figure, traces) {
  const there = new Set(traces.flatMap((trace) => Array.from(trace.y)));
  const order = (figure.layout.yaxis || {}).categoryarray;
  return order ? [...new Set(order)].filter((row) => there.has(row)) : [...there];
}

function cutRows(trace, rows) {
  if (trace.type !== "heatmap") return masked(trace, Array.from(trace.y, (row) => rows.has(row)));
  const keep = trace.y.map((row) => rows.has(row));
  const cut = (values) => values.filter((_, row) => keep[row]);
  const cases = { cases: cut(trace.meta.cases) };
  return { ...trace, y: cut(trace.y), z: cut(trace.z), text: cut(trace.text), hovertext: cut(trace.hovertext), meta: cases };
}

function isEmpty(trace) {
  return trace.meta && trace.meta.cases && !trace.meta.cases.length;
}

function layoutOf(figure, traces, toggles) {
  const axis = () => ({
    gridcolor: css("--rule"), zerolinecolor: css("--rule"), linecolor: css("--rule"), automargin: true,
    title: { standoff: 8 },
  });
  const base = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: css("--ink"), family: getComputedStyle(document.body).fontFamily, size: 12 },
    margin: { l: 8, r: 12, t: 12, b: 8 }, height: narrow() ? 360 : 420, hovermode: "closest",
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", xanchor: "left" },
    hoverlabel: { bgcolor: css("--soft"), font: { color: css("--ink") }, bordercolor: css("--rule") },
  };
  const layout = merged(base, resolved(figure.layout));
  for (const name of ["xaxis", "yaxis", ...Object.keys(layout).filter((key) => /^[xy]axis\d+$/.test(key))]) {
    layout[name] = merged(axis(), layout[name] || {});
  }
  for (const change of toggles) merged(layout, resolved(change));
  if (figure.row_px) fitRows(layout, figure, traces);
  return layout;
}

// Leave the rows that can be drawn, and say how many there are.
function limitRows(slot, figure, traces) {
  const rows = figure.row_px ? rowsOf(figure, traces) : [];
  slot.note.hidden = rows.length <= MOST_ROWS;
  if (slot.note.hidden) return;
  slot.note.textContent = `The first ${MOST_ROWS} of ${rows.length} rows; a filter shows the others.`;
  const kept = new Set(rows.slice(0, MOST_ROWS));
  for (const [index, trace] of traces.entries()) {
    const cut = cutRows(trace, kept);
    if (trace.type !== "heatmap" && trace.meta && trace.meta.cases) {
      cut.meta = { cases: trace.meta.cases.filter((_, point) => kept.has(trace.y[point])) };
    }
    traces[index] = cut;
  }
}

function fitRows(layout, figure, traces) {
  const rows = new Set(traces.flatMap((trace) => Array.from(trace.y)));
  layout.height = 110 + figure.row_px * Math.max(3, rows.size);
  if (layout.yaxis.categoryarray) layout.yaxis.categoryarray = layout.yaxis.categoryarray.filter((row) => rows.has(row));
  if (narrow()) layout.yaxis.tickfont = { size: 9 };
}

function merged(target, source) {
  for (const key in source) {
    const value = source[key];
    const nested = value && typeof value === "object" && !Array.isArray(value) && !ArrayBuffer.isView(value);
    target[key] = nested && target[key] && typeof target[key] === "object" ? merged(target[key], value) : value;
  }
  return target;
}

const config = { displaylogo: false, showSendToCloud: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
const slots = [...document.querySelectorAll("[data-slot]")].map((box) => ({
  box, plot: box.querySelector(".plot"), note: box.querySelector(".note"), near: false, drawn: "",
}));

// What a slot shows: the figure of the point in focus, or the one of all points; none where there is no data.
function figureOf(slot) {
  const figures = data.slots[Number(slot.box.dataset.slot)];
  return figures[""] || figures[String(state.group)] || null;
}

// Draw what a slot shows, and return whether there was anything to do.
function draw(slot, shown, view) {
  if (!slot.near) return false;
  const figure = figureOf(slot);
  const now = figure && figure.group ? `${view} ${state.group}` : view;
  if (slot.drawn === now) return false;
  slot.drawn = now;
  const traces = figure ? figure.data.map((trace) => filtered(resolved(trace), shown)).filter((one) => !isEmpty(one)) : [];
  const visible = traces.filter((trace) => isShown((trace.meta || {}).case, shown));
  slot.plot.hidden = !visible.length;
  slot.box.dataset.empty = String(!visible.length);
  if (!visible.length) return true;
  limitRows(slot, figure, visible);
  const toggles = [...slot.box.querySelectorAll("[data-toggle]:checked")].map((box) => figure.toggles[box.dataset.toggle]);
  Plotly.react(slot.plot, visible, layoutOf(figure, visible, toggles), config);
  if (!slot.plot.dataset.listens) {
    slot.plot.dataset.listens = "yes";
    slot.plot.on("plotly_click", (event) => focusOn(event.points[0]));
  }
  return true;
}

// A click on a point leads to the raw samples of its case.
function focusOn(point) {
  const meta = point.data.meta || {};
  let number = meta.case;
  if (meta.cases) number = Array.isArray(point.pointNumber) ? meta.cases[point.pointNumber[0]][point.pointNumber[1]] : meta.cases[point.pointNumber];
  if (Array.isArray(number)) number = number[0];
  const raw = document.querySelector(".focus");
  if (number === undefined || number === null || !raw) return;
  state.group = data.cases[number].group;
  stateToForm();
  update();
  raw.closest("section").scrollIntoView();
}
