// Tables: those with a column for each machine or implementation; and that of all numbers, with sorting, downloads, and
// commands to copy.
"use strict";

const results = document.getElementById("results");

// Leave the rows and columns of which a cell is shown; a cell names the cases that must all be.
function showColumns(table, shown) {
  const rows = [...table.tBodies[0].rows];
  const isGone = (cell) => cell.dataset.cell.split(" ").some((number) => !shown[Number(number)]);
  for (const row of rows) {
    const cases = [...row.cells].filter((cell) => cell.dataset.cell !== undefined);
    row.hidden = cases.length > 0 && cases.every(isGone);
  }
  const left = rows.filter((row) => !row.hidden);
  for (let column = 0; column < table.tHead.rows[0].cells.length; column += 1) {
    const cells = left.map((row) => row.cells[column]).filter((cell) => cell.dataset.cell !== undefined);
    const gone = cells.length > 0 && cells.every(isGone);
    for (const row of [table.tHead.rows[0], ...rows]) row.cells[column].hidden = gone;
  }
}

reactions.push((shown) => {
  for (const table of document.querySelectorAll(".matrix")) showColumns(table, shown);
});

function sortBy(head) {
  const column = [...head.parentElement.children].indexOf(head);
  const upwards = head.getAttribute("aria-sort") !== "ascending";
  for (const other of head.parentElement.children) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", upwards ? "ascending" : "descending");
  const key = (row) => {
    const cell = row.children[column];
    if (cell.dataset.order === undefined) return cell.textContent;
    return cell.dataset.order === "" ? null : Number(cell.dataset.order);
  };
  const rows = [...results.tBodies[0].rows].map((row) => [key(row), row]);
  rows.sort(([one], [other]) => {
    if (one === null || other === null) return (one === null) - (other === null); // what is missing comes last
    const order = typeof one === "number" ? one - other : one.localeCompare(other, undefined, { numeric: true });
    return upwards ? order : -order;
  });
  results.tBodies[0].append(...rows.map(([, row]) => row));
}

function save(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const downloads = {
  csv: async () => save(`${data.name}.csv`, await unzipped(bytesOf(data.csv)).blob(), "text/csv"),
  parquet: () => save(`${data.name}.parquet`, bytesOf(data.parquet), "application/vnd.apache.parquet"),
};

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.title);
    button.textContent = "copied";
  } catch {
    button.textContent = button.title; // a page from a file may not write to the clipboard: the text can be selected
  }
}

if (results) {
  for (const button of results.querySelectorAll(".sort")) button.addEventListener("click", () => sortBy(button.parentElement));
  results.addEventListener("click", (event) => event.target.matches(".copy") && copy(event.target));
}
for (const button of document.querySelectorAll("[data-download]")) {
  button.addEventListener("click", downloads[button.dataset.download]);
}
