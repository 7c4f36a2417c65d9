// The chart behind a still: a button that asks for Plotly once, draws the chart in the still's place, and brings it back.
// attach(box, sources) serves both lives: on the site the sources are files, in a notebook they are messages of a kernel.
const NARROW = 520; // below this width panels stand under each other
const HINT = "Arrow keys read the points, Escape closes.";

const coarse = () => matchMedia("(pointer: coarse)").matches; // a finger that drags over a chart scrolls the page

// Colours in a chart are names of the palette (--mi-1); here they become what the page's theme makes of them.
const themed = (chart, box) => {
  const style = getComputedStyle(box);
  const text = JSON.stringify(chart).replace(/--mi-\w+/g, (name) => style.getPropertyValue(name).trim() || "#777");
  const { data, layout } = JSON.parse(text);
  layout.template.layout.font.family = layout.template.layout.hoverlabel.font.family = style.fontFamily;
  return { data, layout };
};

// How high a chart is: panels that stand side by side are stacked where there is no room; the legend takes its lines.
const tall = ([panels, columns, legend], width, height) => {
  const rows = width < NARROW ? panels : Math.ceil(panels / columns);
  return Math.max(height, rows * (rows > 1 ? 240 : 200) + 100 + 26 * Math.ceil((10 * legend) / width));
};

const fitted = (chart, box, width, height) => {
  const { data, layout } = themed(chart, box);
  const [panels, columns] = layout.meta;
  if (width < NARROW && columns > 1) {
    const high = 1 / (panels * 1.3 - 0.3);
    Object.keys(layout).filter((key) => /^xaxis\d*$/.test(key)).forEach((name, i) => {
      const top = 1 - i * 1.3 * high;
      layout[name].domain = [0, 1];
      layout[name.replace("x", "y")].domain = [Math.max(0, top - high), top];
      layout[name.replace("x", "y")].showticklabels = true;
    });
  }
  return { data, layout: { ...layout, height: tall(layout.meta, width, height), autosize: true, dragmode: coarse() ? false : "zoom" } };
};

const config = () => ({
  doubleClick: coarse() ? false : "reset+autosize", // a tap also counts as the mouse's click
  displaylogo: false, displayModeBar: true, scrollZoom: false, responsive: true,
  showSendToCloud: false, plotlyServerURL: "", // nothing leaves this page
  modeBarButtonsToRemove: ["select2d", "lasso2d", "toImage"],
});

const plain = (text) => new DOMParser().parseFromString(String(text).replace(/<br>/g, ", "), "text/html").body.textContent;

// Reading a chart by keyboard: left and right along a curve, up and down to the next one; each point is shown and said.
const reader = (Plotly, plot, say) => {
  let at = null, waiting = 0;
  const curves = () => plot._fullData.filter((trace) => trace.hoverinfo !== "skip" && trace.visible === true);
  const shown = () => [...plot.querySelectorAll(".hoverlayer .hovertext text.nums")].map((text) => plain(text.dataset.unformatted));
  return (key) => {
    const across = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
    const along = key === "ArrowDown" ? 1 : key === "ArrowUp" ? -1 : 0;
    const every = curves();
    if ((!across && !along) || !every.length) return false;
    const held = every.findIndex((trace) => trace.index === at?.curve);
    if (held < 0) at = { curve: every[0].index, point: 0, row: 0 };
    else if (every[held].type === "heatmap") {
      at.point += across;
      at.row -= along;
    } else {
      at.point += across;
      at.curve = every[Math.min(Math.max(held + along, 0), every.length - 1)].index;
    }
    const trace = plot._fullData[at.curve];
    const heat = trace.type === "heatmap";
    at.point = Math.min(Math.max(at.point, 0), (heat ? trace.z[0].length : trace.x.length) - 1);
    at.row = heat ? Math.min(Math.max(at.row, 0), trace.z.length - 1) : 0;
    const middle = (edges, i) => (edges.length > (edges === trace.x ? trace.z[0] : trace.z).length ? (edges[i] + edges[i + 1]) / 2 : edges[i]);
    const place = heat ? { xval: middle(trace.x, at.point), yval: middle(trace.y, at.row) } : [{ curveNumber: at.curve, pointNumber: at.point }];
    Plotly.Fx.hover(plot, place, [`${trace.xaxis}${trace.yaxis}`]);
    clearTimeout(waiting); // Plotly draws a label within 50 ms, and the last key counts
    waiting = setTimeout(() => say(shown().join(". ") || "This point lies outside the zoomed part."), 90);
    return true;
  };
};

export const attach = (box, sources) => {
  const document = box.ownerDocument;
  const still = box.querySelector(".mi-figure");
  const alt = still.querySelector("svg").getAttribute("aria-label");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "mi-explore-button";
  const said = document.createElement("span");
  said.className = "mi-explore-said";
  said.setAttribute("role", "status");
  let plot = null, redraw = null;
  const say = (text, heard = false) => {
    said.textContent = text;
    said.classList.toggle("mi-explore-heard", heard);
  };

  const label = (open) => {
    button.textContent = open ? "Close" : "Explore";
    button.setAttribute("aria-label", open ? "Close the chart" : "Explore this figure: values on hover, zoom");
    button.setAttribute("aria-expanded", String(open));
  };

  const close = () => {
    const gone = plot;
    if (!gone) return;
    plot = redraw = null;
    gone.remove();
    sources.plotly().then((Plotly) => Plotly.purge(gone));
    delete box.dataset.open;
    box.style.minHeight = "";
    say("");
    label(false);
    button.focus({ preventScroll: true });
  };

  const open = async () => {
    button.disabled = true;
    say("Loading the chart …");
    const { width, height } = still.getBoundingClientRect();
    const more = tall(box.dataset.shape.split(",").map(Number), width, height) - height;
    box.style.minHeight = `${box.getBoundingClientRect().height + more}px`; // nothing moves when it comes
    try {
      const [chart, Plotly] = await Promise.all([sources.chart(), sources.plotly()]);
      plot = document.createElement("div");
      plot.className = "mi-explore-chart";
      plot.tabIndex = 0;
      plot.setAttribute("role", "group");
      plot.setAttribute("aria-label", `${alt} ${HINT}`);
      box.insertBefore(plot, button);
      box.dataset.open = "";
      let latest = null;
      redraw = () => {
        if (!plot) return null;
        const width = plot.clientWidth;
        const next = fitted(chart, box, width, height);
        if (JSON.stringify(next.layout) === latest) return null;
        latest = JSON.stringify(next.layout);
        return Plotly.react(plot, next.data, next.layout, config());
      };
      await redraw();
      const read = reader(Plotly, plot, (text) => say(text, true));
      plot.addEventListener("pointerup", ({ pointerType, target, clientX, clientY }) => {
        // After a tap the browser plays a mouse that comes and goes; the label is to stay.
        const { subplot } = target.dataset;
        if (pointerType === "touch" && subplot) setTimeout(() => plot && Plotly.Fx.hover(plot, { clientX, clientY, target }, subplot), 350);
      });
      plot.addEventListener("keydown", (event) => {
        if (event.key === "Escape") close();
        else if (read(event.key)) event.preventDefault();
        event.stopPropagation(); // a notebook would take the keys for its own
      });
      say(HINT);
      label(true);
    } catch (error) {
      console.warn(error);
      if (plot) { plot.remove(); plot = null; delete box.dataset.open; }
      box.style.minHeight = "";
      say(error.reader ?? "The chart could not be loaded. Try again.");
    }
    button.disabled = false;
  };

  label(false);
  button.addEventListener("click", () => (plot ? close() : open()));
  box.append(button, said);

  const again = () => redraw?.();
  const watch = new MutationObserver(again);
  for (const place of [document.documentElement, document.body]) watch.observe(place, { attributes: true });
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", again);
  addEventListener("resize", again);
  return () => {
    watch.disconnect();
    scheme.removeEventListener("change", again);
    removeEventListener("resize", again);
    if (plot) close();
  };
};

// In a notebook: Plotly's text comes as a message of the kernel, once a page.
const fromKernel = (model) => new Promise((resolve, reject) => {
  const listen = async (content, buffers) => {
    model.off("msg:custom", listen);
    if (content.missing) { reject(Object.assign(new Error(content.missing), { reader: content.missing })); return; }
    try {
      const packed = new Blob([buffers[0]]).stream().pipeThrough(new DecompressionStream("gzip"));
      const module = { exports: {} };
      new Function("module", "exports", "define", await new Response(packed).text())(module, module.exports, undefined);
      resolve(module.exports);
    } catch (error) { reject(error); }
  };
  model.on("msg:custom", listen);
  model.send("bundle");
});

const render = ({ model, el }) => {
  el.classList.add("mi-live", "mi-explore");
  el.innerHTML = model.get("_still");
  el.dataset.shape = model.get("_chart").layout.meta.join(",");
  const plotly = () => {
    globalThis.miPlotly ??= fromKernel(model).catch((error) => { globalThis.miPlotly = undefined; throw error; });
    return globalThis.miPlotly;
  };
  return attach(el, { plotly, chart: async () => model.get("_chart") });
};

export default { render };
