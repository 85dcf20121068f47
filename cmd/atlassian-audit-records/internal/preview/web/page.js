"use strict";
// Draws the page from the model beside it. Texts of records only ever become
// text nodes, attributes of our own naming and canvas labels, never markup.
(() => {
  const model = JSON.parse(document.getElementById("model").textContent);
  const page = document.getElementById("page");
  const tones = ["#3a5bd9", "#e08a2e", "#2f9e8f", "#c2477f", "#7a5bd0", "#6aa32d", "#d6514a", "#3b93c9", "#a8752f", "#7d879c"];
  const groupTones = {
    vivid_blue: "#3a5bd9", vivid_purple: "#7a5bd0", vivid_orange: "#e08a2e", vivid_pink: "#c2477f", vivid_green: "#2f9e6b",
    vivid_yellow: "#c9a227", green: "#2f9e6b", gray: "#7d879c", blue: "#3a5bd9", purple: "#7a5bd0", orange: "#e08a2e", pink: "#c2477f",
  };

  function el(tag, className, ...children) {
    const e = document.createElement(tag);
    if (className) e.className = className;
    e.append(...children);
    return e;
  }
  const pad = (n) => String(n).padStart(2, "0");
  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const day = (s) => { const d = new Date(s * 1000); return months[d.getUTCMonth()] + " " + d.getUTCDate(); };
  const clock = (s) => { const d = new Date(s * 1000); return pad(d.getUTCHours()) + ":" + pad(d.getUTCMinutes()); };
  const number = (n) => (Math.round(n * 100) / 100).toLocaleString("en-US");
  const short = (v) => v >= 1e6 ? number(v / 1e6) + " M" : v >= 1e4 ? number(v / 1e3) + " k" : number(v);
  function duration(s) {
    if (s == null) return "";
    for (const [unit, name] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
      if (Math.abs(s) >= unit) return number(Math.round(s / unit * 10) / 10) + " " + name;
    }
    return Math.abs(s) > 0 && Math.abs(s) < 1 ? number(s * 1000) + " ms" : number(s) + " s";
  }

  // A widget's text is Markdown; what ours use of it is bold, code and paragraphs.
  function markdown(text) {
    return text.split(/\n\n+/).map((block) => {
      const p = el("p");
      for (const part of block.split(/(\*\*[^*]+\*\*|`[^`]+`)/)) {
        if (part.startsWith("**")) p.append(el("strong", "", part.slice(2, -2)));
        else if (part.startsWith("`")) p.append(el("code", "", part.slice(1, -1)));
        else p.append(part);
      }
      return p;
    });
  }

  function bars(list) {
    const most = Math.max(...list.map((b) => b.value), 1);
    const out = el("div", "bars");
    for (const b of list) {
      const fill = el("i");
      fill.style.width = 100 * b.value / most + "%";
      const label = el("span", "", b.label);
      label.title = b.label;
      out.append(el("div", "", fill, label, el("b", "", number(b.value))));
    }
    return el("div", "scroll", out);
  }

  function table(w) {
    const numeric = (i) => w.columns[i] === "records";
    // A column that no row fills would only take the others' room.
    const shown = w.columns.map((_, i) => i).filter((i) => w.rows.some((r) => r[i] !== ""));
    const head = el("tr");
    for (const i of shown) {
      const name = w.columns[i] === "status_line" ? "" : w.columns[i] === "timestamp" ? "time (UTC)" : w.columns[i];
      head.append(el("th", numeric(i) ? "n" : "", name));
    }
    const body = el("tbody");
    for (const r of w.rows) {
      const tr = el("tr");
      for (const i of shown) {
        const td = el("td", numeric(i) ? "n" : "");
        if (w.columns[i] === "status_line") {
          td.className = "mark";
          td.append(el("i", /^[a-z]+$/.test(r[i]) ? r[i] : ""));
        } else {
          td.append(r[i]);
        }
        td.title = r[i];
        tr.append(td);
      }
      body.append(tr);
    }
    return el("div", "scroll", el("table", "rows", el("thead", "", head), body));
  }

  const charts = []; // what draws each chart at the size it has now, if it is shown
  function chart(w) {
    const plot = el("div", "plot");
    const legend = el("div", "legend");
    w.series.forEach((s, i) => {
      const item = el("span", "", s.label || "all");
      item.style.setProperty("--tone", tones[i % tones.length]);
      legend.append(item);
    });
    const n = w.series[0].values.length;
    const times = Array.from({ length: n }, (_, i) => model.from + i * model.step + (w.stacked ? 0 : model.step / 2));
    const raw = w.series.map((s) => s.values);
    const shown = w.seconds ? duration : (v) => v == null ? "" : number(v);
    // Bars of one time stand on each other: the sums are drawn, the highest first.
    let sum = new Array(n).fill(0);
    const drawn = w.stacked ? raw.map((values) => (sum = sum.map((s, i) => s + (values[i] || 0)))) : raw;
    const order = drawn.map((_, i) => i);
    if (w.stacked) order.reverse();
    const series = order.map((i) => ({
      label: w.series[i].label, stroke: tones[i % tones.length], points: { show: !w.stacked && n < 3 }, width: w.stacked ? 0 : 1.8, spanGaps: true,
      fill: w.stacked ? tones[i % tones.length] : tones[i % tones.length] + "14",
      paths: w.stacked ? uPlot.paths.bars({ size: [0.86, 60], align: 1 }) : undefined,
    }));
    const tip = el("div", "tip");
    tip.hidden = true;
    const draw = (width, height) => new uPlot({
      width, height, legend: { show: false }, cursor: { drag: { x: false, y: false }, points: { show: !w.stacked } },
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "UTC"),
      scales: {
        x: { time: true, range: () => [model.from, model.from + n * model.step] },
        y: { range: (_, low, high) => [Math.min(0, low || 0), high > 0 ? high * 1.08 : 1] },
      },
      axes: [
        { stroke: "#66708a", grid: { show: false }, ticks: { show: false }, size: 28, font: "11px system-ui, DejaVu Sans, sans-serif", gap: 8,
          values: (_, splits) => splits.map((s) => s % 86400 === 0 ? day(s) : clock(s)) },
        { stroke: "#66708a", grid: { stroke: "#edf0f5", width: 1 }, ticks: { show: false }, size: w.seconds ? 58 : 44, gap: 4, font: "11px system-ui, DejaVu Sans, sans-serif",
          incrs: w.seconds ? [0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800, 2592000, 7776000] : undefined,
          values: (_, splits) => splits.map((v) => w.seconds ? duration(v) : short(v)) },
      ],
      series: [{}, ...series],
      hooks: {
        setCursor: [(u) => {
          const i = u.cursor.idx;
          const rows = i == null ? [] : raw.map((values, s) => [s, values[i]]).filter(([, v]) => v != null);
          tip.hidden = rows.length === 0;
          if (tip.hidden) return;
          const from = model.from + i * model.step;
          tip.replaceChildren(el("div", "", day(from) + " " + clock(from)));
          for (const [s, v] of rows) {
            const line = el("span", "", (w.series[s].label || "all") + "  " + shown(v));
            line.style.setProperty("--tone", tones[s % tones.length]);
            tip.append(line);
          }
          const left = u.cursor.left + (w.seconds ? 70 : 56);
          tip.style.left = (left > width / 2 ? left - tip.offsetWidth - 24 : left) + "px";
          tip.style.top = "4px";
        }],
      },
    }, [times, ...order.map((i) => drawn[i])], plot);
    let at = null;
    const fit = () => {
      const { clientWidth: width, clientHeight: height } = plot;
      if (!width || !height || at && at.width === width && at.height === height) return;
      if (at) at.destroy();
      at = draw(width, height);
      plot.append(tip);
    };
    charts.push(fit);
    new ResizeObserver(fit).observe(plot);
    return el("div", "chart", plot, legend);
  }

  function map(list) {
    const ns = "http://www.w3.org/2000/svg";
    const make = (tag, attributes) => {
      const e = document.createElementNS(ns, tag);
      for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
      return e;
    };
    const svg = make("svg", { viewBox: `0 0 ${model.world.width} ${model.world.height}`, role: "img" });
    const most = Math.max(...list.map((b) => b.value), 1);
    const places = new Map(list.map((b) => [b.label, b.value]));
    const names = [];
    for (const c of model.world.countries) {
      const n = c.code && places.get(c.code);
      const path = make("path", { d: c.path });
      if (n) {
        path.classList.add("has");
        const share = 0.35 + 0.65 * Math.sqrt(n / most);
        path.style.fill = `rgb(${Math.round(223 - 165 * share)} ${Math.round(228 - 137 * share)} ${Math.round(238 - 21 * share)})`;
        const title = make("title", {});
        title.textContent = c.name + ": " + number(n);
        path.append(title);
        names.push([c.name, n]);
        places.delete(c.code);
      }
      svg.append(path);
    }
    for (const [code, n] of places) names.push([code, n]); // too small for the map
    names.sort((a, b) => b[1] - a[1]);
    const legend = el("div", "legend");
    for (const [name, n] of names) legend.append(el("b", "", name + " " + number(n)));
    const out = el("div", "map", legend);
    out.prepend(svg);
    return out;
  }

  function checks(states) {
    const out = el("div", "checks");
    for (const s of ["critical", "warning", "unknown", "ok"]) {
      if (states[s]) out.append(el("div", s, String(states[s]), el("small", "", s.toUpperCase())));
    }
    return out;
  }

  function body(w) {
    if (w.type === "note") return markdown(w.text || "");
    const has = (list) => list && list.length > 0;
    if (w.type === "query_value" && !w.note) return [el("div", "number", number(w.value || 0))];
    if (w.type === "check_status" && w.checks && Object.keys(w.checks).length) return [checks(w.checks)];
    if (w.type === "geomap" && has(w.bars)) return [map(w.bars)];
    if (has(w.bars)) return [bars(w.bars)];
    if (has(w.rows)) return [table(w)];
    if (has(w.series)) return [chart(w)];
    return [el("div", "nothing", w.note || "")];
  }

  function tile(w) {
    const inner = el("div", "body", ...body(w));
    const out = el("section", "tile" + (w.type === "note" ? " text" : ""));
    if (w.title) out.append(el("h3", "", w.title));
    out.append(inner);
    const remark = [];
    if (w.note && !inner.querySelector(".nothing")) remark.push(w.note);
    if (w.rows && w.total > w.rows.length) remark.push(`The first ${number(w.rows.length)} of ${number(w.total)}.`);
    if (remark.length) out.append(el("p", "remark", remark.join(" ")));
    out.style.gridColumn = `${w.x + 1} / span ${w.width}`;
    out.style.gridRow = `${w.y + 1} / span ${w.height}`;
    return out;
  }

  function board(d) {
    const out = el("div", "board");
    if (d.description) out.append(el("p", "", d.description));
    for (const c of d.chosen || []) {
      const chip = el("span", "chosen", "$" + c.name + " ", el("b", "", c.value));
      chip.title = "Chosen when the page is made: preview --" + c.name;
      out.append(chip);
    }
    for (const g of d.groups || []) {
      const grid = el("div", "grid", ...(g.widgets || []).map(tile));
      const group = el("section", "group", el("h2", "", g.title), grid);
      if (groupTones[g.color]) group.style.setProperty("--tone", groupTones[g.color]);
      out.append(group);
    }
    return out;
  }

  const tabs = el("nav");
  tabs.setAttribute("role", "tablist");
  const boards = model.dashboards.map(board);
  function choose(i) {
    boards.forEach((b, n) => { b.style.display = n === i ? "" : "none"; });
    [...tabs.children].forEach((t, n) => t.setAttribute("aria-selected", String(n === i)));
    charts.forEach((fit) => fit()); // a resize is told with the next frame only, which a hidden window may never have
  }
  model.dashboards.forEach((d, i) => {
    const b = el("button", "", d.title.replace(/ - Overview$/, ""));
    b.setAttribute("role", "tab");
    b.addEventListener("click", () => choose(i));
    tabs.append(b);
  });
  const facts = el("div", "facts", el("span", "", el("b", "", number(model.records)), " records"),
    el("span", "", `${day(model.from)} ${clock(model.from)} to ${day(model.to)} ${clock(model.to)} UTC`), el("span", "", model.source));
  const notes = el("ul", "", ...(model.notes || []).map((n) => el("li", "", n)));
  page.append(el("header", "", el("h1", "", "Atlassian audit records"), facts, notes, tabs), ...boards);
  choose(0);
  document.documentElement.dataset.drawn = "yes";
})();
