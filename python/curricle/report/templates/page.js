"use strict";
// Tables: sort by a column, filter by its texts, turn pages. Cells are set as text, never as HTML.
(() => {
  const PRINTED_ROWS = 500;

  function shown(value, kind) {
    if (kind === "text" || kind === "id") return value;
    if (value === null) return "-";
    if (kind === "share") return `${(100 * value).toFixed(1)}%`;
    if (Number.isInteger(value) || Math.abs(value) >= 1000) {
      return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
    }
    if (Math.abs(value) < 1e-4) return value.toExponential(3).replace(/-(\d)$/, "-0$1");
    return String(Number(value.toPrecision(4)));
  }

  class DataTable {
    constructor(section) {
      const name = section.dataset.table;
      this.data = JSON.parse(document.getElementById(`${name}-data`).textContent);
      this.body = section.querySelector("tbody");
      this.headers = [...section.querySelectorAll("th")];
      this.status = section.querySelector(".status");
      this.previous = section.querySelector(".previous");
      this.next = section.querySelector(".next");
      this.filter = section.querySelector("input");
      this.pageRows = this.data.pageRows;
      this.first = 0;
      this.order = [...this.data.columns[0].cells.keys()];
      this.kept = this.order;
      this.headers.forEach((header, column) => {
        header.querySelector("button").addEventListener("click", () => this.sort(column));
      });
      this.filter.addEventListener("input", () => this.keep());
      this.previous.addEventListener("click", () => this.turn(-this.pageRows));
      this.next.addEventListener("click", () => this.turn(this.pageRows));
      section.querySelector(".tools").hidden = false;
      this.show(this.pageRows);
    }

    value(column, row) {
      const { kind, cells, texts } = this.data.columns[column];
      return kind === "text" ? texts[cells[row]] : cells[row];
    }

    sort(column) {
      const kind = this.data.columns[column].kind;
      const isText = kind === "text" || kind === "id";
      const before = this.headers[column].getAttribute("aria-sort");
      const rises = before === "none" ? isText : before === "descending";
      const names = new Intl.Collator("en", { numeric: true });
      const rows = this.data.columns[column].cells.keys();
      // Ids have up to 19 digits, more than a number keeps.
      const keys = [...rows].map((row) =>
        kind === "id" ? BigInt(this.value(column, row)) : this.value(column, row));
      const compare = kind === "text" ? names.compare : (x, y) => (x > y) - (x < y);
      const sign = rises ? 1 : -1;
      this.order.sort((a, b) => {
        const x = keys[a], y = keys[b];
        // What is not known comes last either way.
        if (x === null || y === null) return (x === null) - (y === null) || a - b;
        return sign * compare(x, y) || a - b;
      });
      for (const header of this.headers) header.setAttribute("aria-sort", "none");
      this.headers[column].setAttribute("aria-sort", rises ? "ascending" : "descending");
      this.keep();
    }

    keep() {
      const sought = this.filter.value.trim().toLowerCase();
      const columns = [...this.data.columns.keys()].filter(
        (column) => ["text", "id"].includes(this.data.columns[column].kind));
      this.kept = !sought ? this.order : this.order.filter((row) =>
        columns.some((column) => this.value(column, row).toLowerCase().includes(sought)));
      this.first = 0;
      this.show(this.pageRows);
    }

    turn(rows) {
      this.first = Math.max(0, this.first + rows);
      this.show(this.pageRows);
    }

    show(rows) {
      const page = this.kept.slice(this.first, this.first + rows);
      this.body.replaceChildren(...page.map((row) => {
        const line = document.createElement("tr");
        this.data.columns.forEach(({ kind }, column) => {
          const cell = line.insertCell();
          cell.className = kind;
          cell.textContent = shown(this.value(column, row), kind);
        });
        return line;
      }));
      const total = this.data.columns[0].cells.length;
      const of = this.kept.length === total ? shown(total)
        : `${shown(this.kept.length)} that fit, of ${shown(total)}`;
      this.status.textContent = page.length
        ? `Rows ${shown(this.first + 1)} to ${shown(this.first + page.length)} of ${of}`
        : `No row fits, of ${shown(total)}`;
      this.previous.disabled = this.first === 0;
      this.next.disabled = this.first + rows >= this.kept.length;
    }
  }

  const tables = [...document.querySelectorAll("[data-table]")].map((one) => new DataTable(one));
  addEventListener("beforeprint", () => tables.forEach((table) => table.show(PRINTED_ROWS)));
  addEventListener("afterprint", () => tables.forEach((table) => table.show(table.pageRows)));
})();
