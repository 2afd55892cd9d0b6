"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 600px)");
  const print = matchMedia("print");

  function look() {
    const isDark = dark.matches && !print.matches;
    const ink = isDark ? "#e4e7eb" : "#1b1f24", line = isDark ? "#363d46" : "#dde2e8";
    return {
      height: narrow.matches ? 580 : 460,
      margin: { l: 64, r: 12, t: 8, b: 40 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: ink, size: narrow.matches ? 11 : 12 },
      hovermode: "closest",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: line, activecolor: ink },
      showlegend: true,
      legend: { orientation: "h", y: -0.17, yanchor: "top", x: 0 },
      axis: { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true },
    };
  }

  function marks(figure) {
    const [tickvals, ticktext] = [0, 1].map((side) => figure.layout.logticks.map((mark) => mark[side]));
    return { tickmode: "array", tickvals, ticktext };
  }

  function layout(figure) {
    const { axis, ...rest } = look();
    return {
      ...rest,
      shapes: figure.layout.shapes,
      xaxis: { ...axis, ...figure.layout.xaxis },
      yaxis: {
        ...axis,
        ...figure.layout.yaxis,
        ...(figure.layout.yaxis.type === "log" ? marks(figure) : {}),
      },
    };
  }

  const config = { responsive: true, displayModeBar: narrow.matches ? false : "hover", displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  for (const figure of figures) {
    const place = document.getElementById(figure.id);
    Plotly.newPlot(place, figure.data, layout(figure), config);
    const button = place.parentElement.querySelector(".scale");
    button.hidden = false;
    button.addEventListener("click", () => {
      figure.layout.yaxis.type = figure.layout.yaxis.type === "log" ? "linear" : "log";
      Plotly.react(place, figure.data, layout(figure), config);
    });
  }
  function redraw(width) {
    for (const figure of figures) {
      const place = document.getElementById(figure.id);
      Plotly.react(place, figure.data, { ...layout(figure), ...(width ? { width, autosize: false } : { autosize: true }) }, config);
    }
  }
  for (const query of [dark, narrow]) query.addEventListener("change", () => redraw());
  addEventListener("beforeprint", () => redraw(1000));
  addEventListener("afterprint", () => redraw());

  for (const section of document.querySelectorAll("section")) {
    const body = section.querySelector("tbody");
    if (!body) continue;
    const rest = section.querySelector("script.rest");
    const more = section.querySelector(".more"), count = section.querySelector(".count");
    const box = section.querySelector("input");
    const kinds = [...section.querySelectorAll("th")].map((cell) => cell.className);
    let waiting = rest ? JSON.parse(rest.textContent) : [];
    const total = body.rows.length + waiting.length;

    function showAll() {
      const rows = document.createDocumentFragment();
      for (const cells of waiting) {
        const row = document.createElement("tr");
        cells.forEach((text, column) => {
          const cell = document.createElement("td");
          cell.className = kinds[column];
          cell.textContent = text;
          row.append(cell);
        });
        rows.append(row);
      }
      body.append(rows);
      waiting = [];
      if (more) more.hidden = true;
      tell();
    }
    function tell() {
      const shown = [...body.rows].filter((row) => !row.hidden).length;
      count.textContent = `${shown.toLocaleString("en-US")} of ${total.toLocaleString("en-US")} rows`;
    }
    if (more) {
      more.hidden = false;
      more.addEventListener("click", showAll);
    }
    box.hidden = total < 6;
    box.addEventListener("input", () => {
      if (waiting.length) showAll();
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of body.rows) {
        const text = [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
      tell();
    });
  }
})();
