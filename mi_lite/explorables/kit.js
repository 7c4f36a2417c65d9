// The kit of the live figures: what they share. It has no imports and keeps no state of its own.
//
// A figure is a file beside this one. It exports an object
//   { panels, controls, compute(state), draw(state, result), handles(state, result), say(state, result) }
// and ends with `export default widget(figure)`. Python joins mirror.js (the numbers), kit and figure into one module for
// notebooks; on the site each is a module of its own, loaded once. compute and draw are pure: the build runs them for the still picture,
// the tests for the numbers.

// ---- drawing: every function gives SVG text ----

export const color = (name) => `var(--mi-${name})`;
/** The colour of interest j (0, 1, …): the same in every figure. */
export const interest = (j) => color(j + 1);
/** A colour at a part of its strength. */
export const share = (name, part) => `color-mix(in srgb, ${name} ${Math.round(100 * part)}%, transparent)`;
export const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
export const fixed = (x, digits = 2) => {
  const text = x.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
};
export const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
const at = (x) => Number(x.toFixed(1));

/** A linear scale: call it for a place in the picture, `.invert` for the value at a place. */
export function scale([a, b], [from, to]) {
  const forward = (value) => from + ((value - a) / (b - a)) * (to - from);
  forward.invert = (place) => a + ((place - from) / (to - from)) * (b - a);
  forward.domain = [a, b];
  forward.range = [from, to];
  return forward;
}

/** A picture with its alternative text. */
export function svg(width, height, label, content) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(label)}">${content}</svg>`;
}

export function text(x, y, content, { anchor = "start", fill = color("fg"), size = 12, bold = false } = {}) {
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}" fill="${fill}" font-size="${size}"${bold ? ' font-weight="650"' : ""}>${escape(content)}</text>`;
}

export function line(points, { stroke = color("fg"), width = 2, dash = "", opacity = 1 } = {}) {
  const path = points.map(([x, y]) => `${at(x)},${at(y)}`).join("L");
  return `<path d="M${path}" fill="none" stroke="${stroke}" stroke-width="${at(width)}"${dash ? ` stroke-dasharray="${dash}"` : ""}${opacity < 1 ? ` opacity="${opacity.toFixed(2)}"` : ""} stroke-linejoin="round"/>`;
}

export function circle(x, y, r, { fill = "none", stroke = "none", width = 1.5, dash = "", opacity = 1 } = {}) {
  return `<circle cx="${at(x)}" cy="${at(y)}" r="${at(r)}" fill="${fill}" stroke="${stroke}" stroke-width="${width}"${dash ? ` stroke-dasharray="${dash}"` : ""}${opacity < 1 ? ` opacity="${opacity.toFixed(2)}"` : ""}/>`;
}

export function arrow([x0, y0], [x1, y1], { stroke = color("fg"), width = 3 } = {}) {
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length < 1) return circle(x1, y1, width, { fill: stroke });
  const head = Math.min(11, length), turn = Math.atan2(y1 - y0, x1 - x0);
  const side = (s) => [x1 - head * Math.cos(turn + s), y1 - head * Math.sin(turn + s)].map(at).join(",");
  const neck = (length - head * 0.8) / length;
  return line([[x0, y0], [x0 + (x1 - x0) * neck, y0 + (y1 - y0) * neck]], { stroke, width }) +
    `<path d="M${at(x1)},${at(y1)}L${side(0.42)}L${side(-0.42)}Z" fill="${stroke}"/>`;
}

/** The marks of the book: disc, square, triangle, diamond, in this order. */
export function mark(kind, x, y, size, { fill = color("fg"), stroke = color("bg"), width = 1.5 } = {}) {
  const shapes = [null, [[-1, -1], [1, -1], [1, 1], [-1, 1]], [[0, -1.25], [1.2, 0.9], [-1.2, 0.9]], [[0, -1.35], [1.35, 0], [0, 1.35], [-1.35, 0]]];
  const shape = shapes[kind % shapes.length];
  if (!shape) return circle(x, y, size, { fill, stroke, width });
  const s = size * 0.92;
  return `<path d="M${shape.map(([a, b]) => `${at(x + a * s)},${at(y + b * s)}`).join("L")}Z" fill="${fill}" stroke="${stroke}" stroke-width="${width}"/>`;
}

/** Grid lines, numbers and names of two axes. */
export function axes({ x, y, xTicks = [], yTicks = [], xLabel = "", yLabel = "", digits = 0 }) {
  const [left, right] = x.range, [bottom, top] = y.range;
  const name = (tick) => (Number.isInteger(tick) ? fixed(tick, 0) : fixed(tick, digits || 1));
  const grid = [
    ...xTicks.map((t) => line([[x(t), bottom], [x(t), top]], { stroke: color("grid"), width: 1 }) +
      text(x(t), bottom + 15, name(t), { anchor: "middle", fill: color("muted"), size: 11 })),
    ...yTicks.map((t) => line([[left, y(t)], [right, y(t)]], { stroke: color("grid"), width: 1 }) +
      text(left - 5, y(t) + 4, name(t), { anchor: "end", fill: color("muted"), size: 11 })),
  ];
  return grid.join("") + text(right, bottom + 30, xLabel, { anchor: "end" }) + text(left - 2, top - 8, yLabel);
}

// ---- the body of a figure: panels and controls, as HTML text ----

const option = (value, name, chosen) => `<option value="${escape(value)}"${value === chosen ? " selected" : ""}>${escape(name)}</option>`;

const shown = (control, value) => (control.format ? control.format(value) : String(value));

function controlHTML(control, i, schema, state) {
  if (control.kind === "button") return `<button type="button" data-control="${i}">${escape(control.label)}</button>`;
  const value = state[control.key], rule = schema[control.key];
  if (control.kind === "choice") {
    const options = rule.options.map((o) => option(o, control.names?.[o] ?? o, value)).join("");
    return `<label><span>${escape(control.label)}</span><select data-control="${i}">${options}</select></label>`;
  }
  const says = escape(shown(control, value));
  return `<label><span>${escape(control.label)}</span><input type="range" data-control="${i}" min="${rule.low}" max="${rule.high}" step="${control.step ?? 1}" value="${value}" aria-valuetext="${says}"><output>${says}</output></label>`;
}

/** Everything inside a figure but its caption. `schema` comes from Python: range, options and start of each trait. */
export function bodyHTML(figure, schema, state) {
  const pictures = figure.draw(state, figure.compute(state));
  const panels = figure.panels.map((panel, i) =>
    `<div class="mi-live-panel" data-panel="${i}" style="aspect-ratio:${panel.width}/${panel.height}">${pictures[i]}</div>`);
  const controls = figure.controls.map((control, i) => [control.kind === "button", controlHTML(control, i, schema, state)]);
  const fields = controls.filter(([button]) => !button).map(([, html]) => html).join("");
  const buttons = controls.filter(([button]) => button).map(([, html]) => html).join("");
  return panels[0] + `<div class="mi-live-controls"><div class="mi-live-fields">${fields}</div><div class="mi-live-buttons">${buttons}` +
    `<button type="button" data-reset>Reset</button></div></div>` + panels.slice(1).join("");
}

// ---- life in the browser ----

/** A value from outside (an address, say) made fit for a trait; undefined if it can't be. */
export function fit(rule, value) {
  if (rule.kind === "choice") return rule.options.includes(value) ? value : undefined;
  const isPoint = (p) => Array.isArray(p) && p.length === rule.low.length && p.every((x, i) =>
    Number.isFinite(x) && x >= rule.low[i] && x <= rule.high[i] && (!rule.whole[i] || Number.isInteger(x)));
  if (rule.kind === "point") return isPoint(value) ? value : undefined;
  if (rule.kind === "points") {
    return Array.isArray(value) && value.length >= rule.least && value.length <= rule.most && value.every(isPoint) ? value : undefined;
  }
  if (rule.kind === "wholes") {
    const fits = (x) => Number.isInteger(x) && x >= rule.low && x <= rule.high;
    return Array.isArray(value) && value.length <= rule.most && new Set(value).size === value.length && value.every(fits) ? value : undefined;
  }
  if (rule.kind === "data") return undefined; // it is given once, by Python
  if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
  const inside = clamp(value, rule.low, rule.high);
  return rule.kind === "whole" ? Math.round(inside) : inside;
}

/** State out of an address's fragment, `#live-NAME:{…}`; nothing of it is trusted. */
export function fromFragment(fragment, id, schema) {
  const state = {};
  if (!fragment.startsWith(`#${id}:`)) return state;
  try {
    const found = JSON.parse(decodeURIComponent(fragment.slice(id.length + 2)));
    for (const key of Object.keys(schema)) {
      const value = Object.hasOwn(found, key) ? fit(schema[key], found[key]) : undefined;
      if (value !== undefined) state[key] = value;
    }
  } catch { /* a mangled address shows the figure as it starts */ }
  return state;
}

/** What differs from the start, as a fragment. */
export function toFragment(id, schema, state) {
  const changed = Object.keys(schema).filter((key) => schema[key].kind !== "data" && JSON.stringify(state[key]) !== JSON.stringify(schema[key].start));
  return `#${id}:${encodeURIComponent(JSON.stringify(Object.fromEntries(changed.map((key) => [key, state[key]]))))}`;
}

/** What anywidget and the site call: `export default widget(figure)`. */
export const widget = (figure) => ({ render: ({ model, el, id }) => mount(figure, model, el, id) });

// A picture's text cut at every "<": a part is a tag with its attributes and the text behind it.
const tagOf = (part) => /^\w*/.exec(part)[0]; // nothing for a closing tag
const attributesOf = (part) => new Map([...part.matchAll(/ ([\w-]+)="([^"]*)"/g)].map(([, key, value]) => [key, value]));
const textOf = (part) => part.slice(part.indexOf(">") + 1);
const plain = (text) => text.replace(/&(amp|lt|gt|quot);/g, (_, name) => ({ amp: "&", lt: "<", gt: ">", quot: '"' })[name]);

/** Brings a panel to a new picture with as few changes as there can be: what stays costs no layout. Gives what is drawn now. */
function redraw(panel, drawn, picture) {
  const was = drawn?.parts ?? [], now = picture.split("<");
  const alike = (part, i) => part === was[i] || (tagOf(part) && tagOf(part) === tagOf(was[i]));
  if (now.length !== was.length || !now.every(alike)) {
    panel.firstElementChild.outerHTML = picture;
    const svg = panel.firstElementChild, elements = [svg, ...svg.querySelectorAll("*")].values();
    return { parts: now, elements: now.map((part) => (tagOf(part) ? elements.next().value : null)) };
  }
  now.forEach((part, i) => {
    if (part === was[i]) return;
    const element = drawn.elements[i], before = attributesOf(was[i]), after = attributesOf(part), text = textOf(part);
    for (const key of before.keys()) if (!after.has(key)) element.removeAttribute(key);
    for (const [key, value] of after) if (before.get(key) !== value) element.setAttribute(key, plain(value));
    if (text === textOf(was[i])) return;
    if (element.firstChild?.nodeType === Node.TEXT_NODE) element.firstChild.data = plain(text);
    else element.prepend(plain(text));
  });
  return { parts: now, elements: drawn.elements };
}

function mount(figure, model, el, id) {
  const schema = model.get("_schema"), keys = Object.keys(schema);
  const state = Object.fromEntries(keys.map((key) => [key, model.get(key)]));
  const quiet = new AbortController(), { signal } = quiet;
  let root = el;
  if (!el.matches(".mi-live")) { // a notebook: the whole figure is made here; on the site it stands in the page
    const { title, task, notice } = model.get("_words");
    el.innerHTML = `<figure class="mi-live" aria-label="${escape(title)}"><div class="mi-live-body"></div>` +
      `<figcaption><b>Try.</b> ${escape(task)} <b>Notice.</b> ${escape(notice)}</figcaption></figure>`;
    root = el.firstElementChild;
  }
  const body = root.querySelector(".mi-live-body");
  if (id && location.hash) Object.assign(state, fromFragment(location.hash, id, schema));
  body.innerHTML = bodyHTML(figure, schema, state) + '<p class="mi-live-said" role="status" aria-live="polite"></p>';
  root.dataset.live = "";
  const panels = [...body.querySelectorAll(".mi-live-panel")], said = body.querySelector(".mi-live-said");
  const drawn = [];
  const fields = figure.controls.map((_, i) => body.querySelector(`[data-control="${i}"]`));
  const on = (target, name, act) => target.addEventListener(name, act, { signal });
  // JupyterLab takes arrow keys and more for its own commands, except from an element with this attribute.
  if (root !== el) on(root, "focusin", ({ target }) => target.setAttribute("data-lm-suppress-shortcuts", ""));

  // One drawing a frame, however many events came in.
  let waiting = 0, speaking = 0, linking = 0, playing = 0, handles = [], result = null;
  const buttons = [];
  const render = () => {
    waiting = 0;
    result = figure.compute(state);
    figure.draw(state, result).forEach((picture, i) => {
      drawn[i] = redraw(panels[i], drawn[i], picture);
    });
    place();
    figure.controls.forEach((control, i) => {
      if (control.kind === "button") return;
      const value = String(state[control.key]);
      if (fields[i].value !== value) fields[i].value = value;
      if (control.kind !== "choice") {
        fields[i].nextElementSibling.textContent = shown(control, state[control.key]);
        fields[i].setAttribute("aria-valuetext", shown(control, state[control.key]));
      }
      fields[i].disabled = Boolean(control.off?.(state));
    });
  };
  const renderSoon = () => { waiting ||= requestAnimationFrame(render); };

  // Points that can be moved are buttons over the picture, so that focus and touch stay with them while it is redrawn.
  const place = () => {
    handles = figure.handles ? figure.handles(state, result) : [];
    while (buttons.length > handles.length) buttons.pop().remove();
    while (buttons.length < handles.length) buttons.push(makeHandle(buttons.length));
    handles.forEach((handle, i) => {
      const { width, height } = figure.panels[handle.panel], button = buttons[i], home = panels[handle.panel];
      if (button.parentElement !== home) home.append(button);
      button.style.left = `${(100 * handle.x) / width}%`;
      button.style.top = `${(100 * handle.y) / height}%`;
      button.setAttribute("aria-label", handle.name);
      button.setAttribute("aria-valuenow", String(Math.round((100 * handle.x) / width)));
      button.setAttribute("aria-valuetext", handle.text);
    });
  };
  const makeHandle = (i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "mi-live-handle";
    button.setAttribute("role", "slider"); // so that screen readers pass the arrow keys on
    button.setAttribute("aria-valuemin", "0");
    button.setAttribute("aria-valuemax", "100");
    let grip = null;
    on(button, "pointerdown", (event) => {
      if (event.button) return;
      button.setPointerCapture(event.pointerId);
      const { width } = figure.panels[handles[i].panel], box = panels[handles[i].panel].getBoundingClientRect();
      const zoom = width / box.width; // read once: a redraw between would cost a layout at every move
      grip = { zoom, x: handles[i].x - event.clientX * zoom, y: handles[i].y - event.clientY * zoom, sx: scrollX, sy: scrollY };
    });
    on(button, "pointermove", (event) => {
      if (!grip) return;
      const x = grip.x + (event.clientX + scrollX - grip.sx) * grip.zoom, y = grip.y + (event.clientY + scrollY - grip.sy) * grip.zoom;
      change(handles[i].to(x, y));
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) on(button, end, () => { grip = null; });
    on(button, "keydown", (event) => {
      const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
      if (!dx && !dy) return;
      event.preventDefault();
      const handle = handles[i], step = (handle.step ?? 4) * (event.shiftKey ? 5 : 1);
      change(handle.to(handle.x + dx * step, handle.y + dy * step));
    });
    return button;
  };

  /** New values from the reader: to the model (and so to a kernel), to the picture, then to the ear and the address. */
  const change = (values) => {
    for (const [key, value] of Object.entries(values)) {
      state[key] = value;
      model.set(key, value);
    }
    renderSoon();
    saveSoon();
    clearTimeout(speaking);
    speaking = setTimeout(() => { said.textContent = figure.say(state, figure.compute(state)); }, 500);
    if (id) {
      clearTimeout(linking);
      linking = setTimeout(() => history.replaceState(null, "", toFragment(id, schema, state)), 300);
    }
  };
  let saving = 0;
  const saveSoon = () => { saving ||= requestAnimationFrame(() => { saving = 0; model.save_changes(); }); };

  const stop = () => {
    clearInterval(playing);
    playing = 0;
    figure.controls.forEach((control, i) => { if (control.play) fields[i].textContent = control.label; });
  };
  figure.controls.forEach((control, i) => {
    if (control.kind === "button") {
      on(fields[i], "click", () => {
        if (!control.play) return change(control.press(state));
        if (playing) return stop();
        change(control.press(state));
        fields[i].textContent = "Stop";
        playing = setInterval(() => {
          const next = control.play(state);
          if (next) change(next); else stop();
        }, control.every ?? 700);
      });
    } else {
      on(fields[i], "input", () => {
        const value = control.kind === "choice" ? fields[i].value : Number(fields[i].value);
        const typed = schema[control.key].options?.find((o) => String(o) === String(value)) ?? value;
        change({ [control.key]: typed, ...control.also?.(typed, state) });
      });
    }
  });
  on(body.querySelector("[data-reset]"), "click", () => {
    stop();
    change(Object.fromEntries(keys.filter((key) => schema[key].kind !== "data").map((key) => [key, structuredClone(schema[key].start)])));
  });
  const listeners = keys.map((key) => [`change:${key}`, () => { // from Python, or from a widget linked in the browser
    state[key] = fit(schema[key], model.get(key)) ?? state[key];
    renderSoon();
  }]);
  for (const [name, act] of listeners) model.on(name, act);

  result = figure.compute(state);
  place();
  renderSoon();
  return () => {
    stop();
    quiet.abort();
    cancelAnimationFrame(waiting);
    clearTimeout(speaking);
    clearTimeout(linking);
    for (const [name, act] of listeners) model.off(name, act);
  };
}
