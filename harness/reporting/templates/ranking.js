// Sorts a ranked table by the column whose heading is pressed: rising, falling, and back to the ranking.
(function () {
  "use strict";

  const PREFIXES = { k: 1e3, M: 1e6, G: 1e9, T: 1e12 };
  const NUMBER = /^([−-]?[\d,]*\.?\d+)(?:\s([kMGT])\b)?/;

  // What a cell is sorted by: the number that it begins with, else its text; null where it says nothing.
  function key(cell, numeric) {
    const text = cell.textContent.trim();
    if (text === "" || text === "–") {
      return null;
    }
    if (!numeric) {
      return text.toLowerCase();
    }
    const found = text.match(NUMBER);
    return found && Number(found[1].replace("−", "-").replaceAll(",", "")) * (PREFIXES[found[2]] || 1);
  }

  function compare(one, other) {
    if (typeof one === "string" || typeof other === "string") {
      return String(one).localeCompare(String(other), "en", { numeric: true });
    }
    return one - other;
  }

  function sort(body, ranked, column, numeric, direction) {
    if (direction === "none") {
      body.append(...ranked);
      return;
    }
    const keyed = ranked.map((row) => [key(row.cells[column], numeric), row]);
    // Rows without a figure stay below, whichever way the others go.
    const known = keyed.filter(([value]) => value !== null);
    const sign = direction === "ascending" ? 1 : -1;
    known.sort(([one], [other]) => sign * compare(one, other));
    body.append(...known.map(([, row]) => row), ...keyed.filter(([value]) => value === null).map(([, row]) => row));
  }

  function enhance(table) {
    const body = table.tBodies[0];
    const ranked = [...body.rows];
    const headings = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    headings.forEach(function (heading, column) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      heading.setAttribute("aria-sort", "none");
      button.addEventListener("click", function () {
        const next = { none: "ascending", ascending: "descending", descending: "none" };
        const direction = next[heading.getAttribute("aria-sort")];
        headings.forEach((other) => other.setAttribute("aria-sort", "none"));
        heading.setAttribute("aria-sort", direction);
        sort(body, ranked, column, heading.classList.contains("number"), direction);
      });
    });
    table.classList.add("sortable");
  }

  document.querySelectorAll("table.ranking").forEach(enhance);
})();
