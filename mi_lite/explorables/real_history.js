// A real user's history: his films fall into interests as routing runs. Look at a film, take it out, step on.

import { circle, clamp, color, escape, fixed, interest, line, mark, scale, share, svg, text, widget } from "./kit.js";
import { b2iRouting, dot, farApartLogits, largest, norm } from "./mirror.js";

// ---- numbers ----

/** The interest of the largest weight; -1 where the two largest are equal. */
export function lane(row) {
  const best = largest(row);
  return row.some((w, j) => j !== best && row[best] - w < 1e-9) ? -1 : best;
}

/** What routing does with the films that are kept: all that doesn't depend on which film or iteration is looked at. */
export function route(state) {
  const { votes, start_logits: stored, recency, numbers, left_out: out, start, sharpness, logits_of: of } = state;
  const T = votes.length, K = stored[0].length, kept = votes.map((_, i) => i).filter((i) => !out.includes(i + 1)), n = kept.length;
  const place = (q) => n - 1 - q; // counted back from the latest film
  const behaviors = kept.map((i, q) => votes[i].map((x) => x * recency[place(q)]));
  const begin = start === "far apart" ? farApartLogits(behaviors, K) : kept.map((i, q) => stored[of === "film" ? i : T - 1 - place(q)]);
  const logits = begin.map((row) => row.map((b) => (start === "zero" ? 0 : sharpness * b)));
  const exists = stored[0].map((_, j) => j < numbers[n - 1]);
  const trace = b2iRouting({ behaviors, logits, interestMask: exists, iterations: state.iterations, update: state.update, axis: state.axis });
  const lanes = trace.map(({ weights }) => weights.map(lane));
  const from = logits.map((row) => lane(row.map((b, j) => (exists[j] ? b : -Infinity))));
  const likeness = kept.map((i) => kept.map((k) => (i === k ? -2 : dot(votes[i], votes[k]) / Math.max(norm(votes[i]) * norm(votes[k]), 1e-12))));
  return { T, K, kept, behaviors, exists, trace, lanes, from, likeness };
}

/** How far to trust the groups: who stayed, whose nearest film is in the same interest, who shares a genre with whom. */
export function trust({ kept, likeness, from }, lanes, genres) {
  const n = kept.length, size = {}, kinds = kept.map((i) => genres[i].split(", ").filter(Boolean));
  lanes.forEach((j) => { if (j >= 0) size[j] = (size[j] ?? 0) + 1; });
  const stayed = from.every((j) => j < 0) ? null : lanes.filter((j, q) => j >= 0 && j === from[q]).length;
  const together = lanes.filter((j, q) => n > 1 && j >= 0 && lanes[largest(likeness[q])] === j).length;
  const chance = n > 1 ? Object.values(size).reduce((sum, m) => sum + m * (m - 1), 0) / (n - 1) : 0;
  const shared = { true: [0, 0], false: [0, 0] };
  for (let q = 0; q < n; q++) {
    for (let p = 0; p < q; p++) {
      if (lanes[p] < 0 || lanes[q] < 0) continue;
      const pairs = shared[lanes[p] === lanes[q]];
      pairs[0] += Number(kinds[p].some((g) => kinds[q].includes(g)));
      pairs[1]++;
    }
  }
  const part = ([yes, all]) => (all ? yes / all : null);
  return { stayed, together, chance, inside: part(shared.true), across: part(shared.false) };
}

/** What an interest holds: its films by how hard each pulls (weight times length), and the genre that stands out. */
function group({ kept, behaviors }, { weights }, lanes, j, genres) {
  const mine = lanes.map((_, q) => q).filter((q) => lanes[q] === j);
  mine.sort((a, b) => weights[b][j] * norm(behaviors[b]) - weights[a][j] * norm(behaviors[a]));
  const tally = (list) => list.flatMap((q) => genres[kept[q]].split(", ").filter(Boolean)).reduce((all, g) => ({ ...all, [g]: (all[g] ?? 0) + 1 }), {});
  const all = tally(lanes.map((_, q) => q)), here = tally(mine);
  const extra = (g) => here[g] - (all[g] * mine.length) / kept.length;
  const genre = Object.keys(here).sort((a, b) => extra(b) - extra(a))[0] ?? null;
  return { films: mine.map((q) => kept[q]), genre, here: here[genre], all: all[genre] };
}

let memory = { key: "" };
/** Looking at another film changes nothing in routing: it runs when something else was changed. */
function routed(state) {
  const { film, iteration, titles, genres, votes, ...rest } = state, key = JSON.stringify(rest);
  if (memory.key !== key || memory.votes !== votes) memory = { key, votes, result: route(state) };
  return memory.result;
}

export function compute(state) {
  const result = routed(state), { kept, exists, trace, likeness } = result;
  const at = Math.min(state.iteration, state.iterations) - 1, lanes = result.lanes[at];
  const film = Math.min(state.film, result.T) - 1, row = kept.indexOf(film);
  const groups = exists.flatMap((yes, j) => (yes ? [group(result, trace[at], lanes, j, state.genres)] : []));
  const near = row < 0 ? [] : kept.map((i, q) => ({ film: i, cosine: likeness[row][q], lane: lanes[q] })).filter((_, q) => q !== row)
    .sort((a, b) => b.cosine - a.cosine).slice(0, 4);
  const mean = (w) => w.reduce((sum, x) => sum + Math.max(...x), 0) / w.length;
  return { ...result, at, film, row, groups, near, now: trace[at].weights, lane: lanes, trust: trust(result, lanes, state.genres),
    sharp: trace.map(({ weights }) => mean(weights)) };
}

// ---- words ----

/** "Truth About Cats & Dogs, The (1996)" is "The Truth About Cats & Dogs". */
export function shortTitle(title) {
  const name = title.replace(/ \(.*$/, ""), found = name.match(/^(.*), (The|An?|L[ae]s?|L'|Il|El|D[ae]s|Der|Die)$/);
  return found ? `${found[2]}${found[2] === "L'" ? "" : " "}${found[1]}` : name || title;
}

const letter = (c) => // in the book's serif; a little less in most others
  ("iljtfI.,;:'!|() -".includes(c) ? 0.33 : "mwMW@&—…".includes(c) ? 0.95 : "acersz0123456789".includes(c) ? 0.53 : c >= "A" && c <= "Z" ? 0.7 : 0.62);
const broad = (words, size) => [...words].reduce((sum, c) => sum + letter(c), 0) * size;

/** As much of the words as there is room for. */
export function cut(words, room, size) {
  if (broad(words, size) <= room) return words;
  let end = words.length;
  while (end > 1 && broad(words.slice(0, end) + "…", size) > room) end--;
  return words.slice(0, end).trimEnd() + "…";
}

/** Titles in at most so many lines. */
function wrap(titles, lines, room, size) {
  const rows = [""];
  for (const [i, title] of titles.entries()) {
    const here = rows.at(-1) ? `${rows.at(-1)}; ${title}` : title, last = rows.length === lines, rest = titles.length - i;
    const more = last && rest > 1 ? room - broad(`; +${rest - 1}`, size) : room;
    if (broad(here, size) <= more) rows[rows.length - 1] = here;
    else if (!last) rows.push(cut(title, room, size));
    else {
      rows[rows.length - 1] = rows.at(-1) ? `${rows.at(-1)}; +${rest}` : cut(title, room, size);
      break;
    }
  }
  return rows;
}

const count = (n) => `${n} ${n === 1 ? "film" : "films"}`;
const round = (x) => Number(x.toFixed(1));
const percent = (x) => (x === null ? "–" : `${Math.round(100 * x)} %`);

function sentence({ titles, genres }, { kept, row, film, lane: lanes, now }) {
  const name = shortTitle(titles[film]) + (genres[film] ? ` (${genres[film]})` : "");
  if (row < 0) return `${name} is taken out`;
  const where = lanes[row] < 0 ? "goes to all interests alike" : `goes most to interest ${lanes[row] + 1}`;
  return `${name} ${where}, weights ${now[row].map((w) => fixed(w)).join(", ")}`;
}

const reliance = ({ kept, lane: lanes, trust: { stayed, together, chance, inside, across } }) => lanes.every((j) => j < 0) ? ["all weights are equal: no film belongs anywhere"] : [
  stayed === null ? "the start prefers no interest" : `${stayed} of ${count(kept.length)} still where the start put them`,
  `nearest film in the same interest: ${together} of ${kept.length} (by chance ${fixed(chance, 1)})`,
  ...(inside === null && across === null ? [] : [`pairs that share a genre: ${percent(inside)} inside, ${percent(across)} across`]),
];

// ---- pictures ----

const GROUPS = { width: 320, height: 344 }, LIST = { width: 320, height: 548, top: 26, left: 186 }, FILM = { width: 320, height: 466 };
const DASHES = ["", "7 4", "2 3", "10 3 2 3", "4 4", "1 4", "12 4", "6 2 2 2"];

function drawGroups({ titles, iterations }, result) {
  const { groups, at, kept } = result, said = reliance(result), names = (g) => g.films.map((i) => shortTitle(titles[i]));
  const height = 268 / groups.length, lines = clamp(Math.floor((height - 14) / 15), 1, 4);
  const blocks = groups.map((g, j) => {
    const y = 42 + j * height, genre = g.genre ? `${g.genre}: ${g.here} of ${g.films.length} (all: ${g.all} of ${kept.length})` : "";
    return mark(j, 8, y - 4, 5, { fill: interest(j) }) + text(20, y, `${j + 1}: ${count(g.films.length)}`, { bold: true, fill: interest(j) }) +
      text(316, y, genre, { anchor: "end", size: 11, fill: color("muted") }) +
      `<g font-size="11.5" fill="${color("fg")}">${wrap(names(g), lines, 294, 11.5).map((row, l) => `<text x="20" y="${round(y + 15 + 15 * l)}">${escape(row)}</text>`).join("")}</g>`;
  });
  const label = `Interests after iteration ${at + 1} of ${iterations}. ` +
    groups.map((g, j) => `Interest ${j + 1}: ${names(g).join("; ") || "no film"}${g.genre ? `. ${g.genre} ${g.here} of ${g.films.length}, in the whole history ${g.all} of ${kept.length}` : ""}`).join(". ") +
    `. ${said.join("; ")}.`;
  return svg(GROUPS.width, GROUPS.height, label, text(4, 16, `after iteration ${at + 1} of ${iterations}`, { bold: true }) +
    text(316, 16, "who goes where", { anchor: "end", size: 11, fill: color("muted") }) + blocks.join("") +
    `<g font-size="11" fill="${color("muted")}">${said.map((words, l) => `<text x="4" y="${340 - 15 * (said.length - 1 - l)}">${escape(words)}</text>`).join("")}</g>`);
}

const rowHeight = (T) => Math.min(26, 500 / T);

function drawList({ titles, iterations }, result) {
  const { T, K, kept, from, now, lane: lanes, exists, at, film } = result;
  const height = rowHeight(T), width = 130 / K, { top, left } = LIST, x = (j) => round(left + j * width), y = (i) => round(top + (i + 0.5) * height);
  const bars = exists.map(() => ["", "", ""]); // of each interest: largest weights, other weights, those of the film that is looked at
  let starts = "";
  kept.forEach((i, q) => {
    now[q].forEach((w, j) => {
      if (w * width > 0.5) bars[j][i === film ? 2 : lanes[q] === j ? 0 : 1] += `M${x(j)},${y(i)}h${round(w * (width - 4))}`;
    });
    if (from[q] >= 0) starts += `M${x(from[q])},${round(y(i) + height / 2 - 3.5)}h${round(width - 4)}`;
  });
  const rows = titles.map((title, i) => {
    const style = kept.includes(i) ? (i === film ? ' font-weight="650"' : "") : ` fill="${color("muted")}" text-decoration="line-through"`;
    return `<text x="4" y="${round(y(i) + 4)}"${style}>${i + 1}<tspan x="22">${escape(cut(shortTitle(title), left - 24, i === film ? 12 : 11.5))}</tspan></text>`;
  });
  const stroke = (d, paint) => (d ? `<path d="${d}" stroke="${paint}" stroke-width="${round(Math.min(11, height - 9))}"/>` : "");
  const painted = bars.map(([most, others, looked], j) => stroke(others + looked, share(interest(j), 0.4)) + stroke(most, interest(j)));
  const q = kept.indexOf(film);
  const numbers = q < 0 ? "" : now[q].map((w, j) => text(x(j) + 1, y(film) + 4, fixed(w, K > 5 ? 1 : 2), { size: 11, bold: lanes[q] === j })).join("");
  const heads = exists.map((yes, j) => (yes ? mark(j, x(j) + 5, 12, 4.5, { fill: interest(j) }) + text(x(j) + 13, 16, j + 1, { bold: true, fill: interest(j) }) : ""));
  const label = `The last ${count(T)} in order, oldest first, after iteration ${at + 1} of ${iterations}. ` + titles.map((title, i) => {
    const p = kept.indexOf(i);
    return `${i + 1} ${title}: ${p < 0 ? "taken out" : lanes[p] < 0 ? "all interests alike" : `interest ${lanes[p] + 1}, ${fixed(Math.max(...now[p]))}`}`;
  }).join("; ") + ".";
  return svg(LIST.width, LIST.height, label, `<rect y="${round(y(film) - height / 2)}" width="320" height="${round(height)}" rx="3" fill="${share(color("fg"), 0.1)}"/>` +
    text(4, 16, "oldest film first", { size: 11, fill: color("muted") }) + heads.join("") + painted.join("") + numbers +
    `<path d="${starts}" stroke="${color("fg")}" stroke-width="1.5"/><g font-size="11.5" fill="${color("fg")}">${rows.join("")}</g>` +
    text(316, top + T * height + 16, "bar: weight · underlined: where the start put it", { anchor: "end", size: 11, fill: color("muted") }));
}

/** Grid and numbers of a chart of shares over iterations. */
function grid(x, y, ticks) {
  const [left, right] = x.range, [bottom, top] = y.range, levels = [0, 0.5, 1];
  return `<path d="${ticks.map((t) => `M${round(x(t))},${bottom}V${top}`).join("")}${levels.map((v) => `M${left},${round(y(v))}H${right}`).join("")}" stroke="${color("grid")}"/>` +
    `<g fill="${color("muted")}" font-size="11" text-anchor="middle">${ticks.map((t) => `<text x="${round(x(t))}" y="${bottom + 15}">${t}</text>`).join("")}` +
    `${levels.map((v) => `<text x="${left - 14}" y="${round(y(v) + 4)}">${v}</text>`).join("")}</g>`;
}

function drawFilm({ titles, genres, iterations: R }, result) {
  const { film, row, trace, at, near, now, lane: lanes, sharp, kept, exists } = result;
  const x = scale([1, Math.max(2, R)], [34, 306]), ticks = R <= 6 ? Array.from({ length: R }, (_, r) => r + 1) : [1, 10, 20, 30].filter((t) => t <= R);
  const y = scale([0, 1], [190, 84]), z = scale([0, 1], [446, 370]);
  const cursor = (s) => line([[x(at + 1), s.range[0]], [x(at + 1), s.range[1]]], { stroke: color("muted"), width: 1, dash: "3 3" });
  const path = (values, s, style) => (R > 1 ? line(values.map((v, r) => [x(r + 1), s(v)]), style) : "") + circle(x(at + 1), s(values[at]), 3.5, { fill: style.stroke });
  const parts = [text(4, 16, cut(shortTitle(titles[film]), 310, 14), { bold: true, size: 14 }), text(4, 33, cut(genres[film], 312, 11), { size: 11, fill: color("muted") })];
  const column = 312 / exists.length;
  parts.push(grid(x, y, ticks));
  if (row < 0) parts.push(text(170, 128, "taken out: no weights", { anchor: "middle", fill: color("muted") }));
  else {
    parts.push(cursor(y));
    exists.forEach((yes, j) => {
      if (!yes) return;
      parts.push(path(trace.map(({ weights }) => weights[row][j]), y, { stroke: interest(j), width: 2.2, dash: DASHES[j] }));
      parts.push(mark(j, 8 + j * column, 54, 4.5, { fill: interest(j) }) + text(17 + j * column, 58, fixed(now[row][j], exists.length > 5 ? 1 : 2), { size: 11.5, bold: lanes[row] === j, fill: interest(j) }));
    });
  }
  parts.push(text(4, 76, "its coupling weights, by iteration", { size: 11 }));
  parts.push(text(4, 232, near.length ? "most like it in this history (cosine; interest)" : "", { size: 11 }));
  const place = (l) => 250 + 18 * l, tell = (o) => (o.lane < 0 ? "" : `<tspan x="305" fill="${interest(o.lane)}" font-weight="650">${o.lane + 1}</tspan>`);
  parts.push(`<g font-size="11.5" fill="${color("fg")}">${near.map((o, l) => `<text x="8" y="${place(l)}">${fixed(o.cosine)}<tspan x="44">` +
    `${escape(cut(shortTitle(titles[o.film]), 238, 11.5))}</tspan>${tell(o)}</text>`).join("")}</g>`);
  near.forEach((o, l) => { if (o.lane >= 0) parts.push(mark(o.lane, 296, place(l) - 4, 4.5, { fill: interest(o.lane) })); });
  parts.push(text(4, 346, `all ${count(kept.length)}, by iteration`, { size: 11 }), text(4, 362, `mean largest weight ${fixed(sharp[at])}`, { size: 11.5, bold: true }),
    grid(x, z, ticks), cursor(z), path(sharp, z, { stroke: color("fg"), width: 2 }));
  const { stayed } = result.trust;
  if (stayed !== null) {
    const still = result.lanes.map((row) => row.filter((j, q) => j >= 0 && j === result.from[q]).length / kept.length);
    parts.push(text(316, 362, `still at the start's ${fixed(stayed / kept.length)}`, { size: 11.5, bold: true, anchor: "end", fill: color(6) }),
      path(still, z, { stroke: color(6), width: 2, dash: "7 4" }));
  }
  const label = `${sentence({ titles, genres }, result)}.${near.length ? ` Most like it: ${near.map((o) => `${shortTitle(titles[o.film])}, cosine ${fixed(o.cosine)}${o.lane >= 0 ? `, interest ${o.lane + 1}` : ""}`).join("; ")}.` : ""}` +
    ` Below, iteration ${at + 1} of ${R}: mean largest weight of all films ${fixed(sharp[at])}${stayed === null ? "" : `, share still where the start put them ${fixed(stayed / kept.length)}`}.`;
  return svg(FILM.width, FILM.height, label, parts.join(""));
}

export const draw = (state, result) => [drawGroups(state, result), drawList(state, result), drawFilm(state, result)];

export const say = (state, result) =>
  `Iteration ${result.at + 1} of ${state.iterations}: ${sentence(state, result)}. ${reliance(result)[0]}.`;

// ---- controls ----

/** The film that is looked at is taken out, or put back; the last one stays. */
export function toggle({ film, left_out: out, titles }) {
  const i = Math.min(film, titles.length);
  if (out.includes(i)) return { left_out: out.filter((k) => k !== i) };
  return out.length + 1 < titles.length ? { left_out: [...out, i].sort((a, b) => a - b) } : {};
}

export const figure = {
  panels: [GROUPS, LIST, FILM],
  controls: [
    { kind: "range", key: "iteration", label: "Shown iteration" },
    { kind: "range", key: "iterations", label: "R, iterations", also: (R) => ({ iteration: R }) },
    { kind: "choice", key: "start", label: "Logits start", names: { stored: "as in the model", "far apart": "far apart", zero: "at zero" } },
    { kind: "range", key: "sharpness", label: "Start, times", step: 0.1, off: ({ start }) => start === "zero" },
    { kind: "range", key: "film", label: "Film looked at" },
    { kind: "button", label: "Step", press: ({ iteration, iterations }) => ({ iteration: (Math.min(iteration, iterations) % iterations) + 1 }) },
    { kind: "button", label: "Play", press: () => ({ iteration: 1 }), every: 900,
      play: ({ iteration, iterations }) => (iteration < iterations ? { iteration: iteration + 1 } : null) },
    { kind: "button", label: "Take film out / put back", press: toggle },
    { kind: "button", label: "All back", press: () => ({ left_out: [] }) },
  ],
  compute, draw, say,
};

// ---- a button for each film ----

const LOOK = figure.controls.findIndex(({ key }) => key === "film"), TAKE = figure.controls.findIndex(({ press }) => press === toggle);

/** Buttons over the list's rows: looked at by hover, focus or touch; taken out by Enter, Delete or a click. */
function buttons(root, read) {
  const look = root.querySelector(`[data-control="${LOOK}"]`), take = root.querySelector(`[data-control="${TAKE}"]`);
  const box = document.createElement("div"), { titles, genres } = read().state, height = rowHeight(titles.length);
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Films. Arrow keys move, Enter or Delete takes a film out or puts it back");
  box.className = "mi-live-films";
  let armed = false;
  const show = (i) => {
    if (Number(look.value) === i + 1) return;
    look.value = String(i + 1);
    look.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const rows = titles.map((title, i) => {
    const row = document.createElement("button");
    row.type = "button";
    row.title = title;
    Object.assign(row.style, { position: "absolute", left: "0", width: "100%", top: `${(100 * (LIST.top + i * height)) / LIST.height}%`,
      height: `${(100 * height) / LIST.height}%`, padding: "0", border: "0", background: "none", cursor: "pointer" });
    row.addEventListener("pointerenter", ({ pointerType }) => { if (pointerType === "mouse") show(i); });
    row.addEventListener("pointerdown", () => { armed = Number(look.value) === i + 1; }); // a finger's first touch only looks
    row.addEventListener("focus", () => show(i));
    row.addEventListener("click", ({ detail }) => {
      show(i);
      if (armed || !detail) take.click();
    });
    row.addEventListener("keydown", (event) => {
      const next = { ArrowUp: i - 1, ArrowDown: i + 1, Home: 0, End: titles.length - 1 }[event.key];
      if (next === undefined && event.key !== "Delete") return;
      event.preventDefault();
      if (event.key === "Delete") take.click();
      else rows[clamp(next, 0, titles.length - 1)].focus();
    });
    box.append(row);
    return row;
  });
  const told = [];
  const update = () => {
    const { state, result } = read();
    rows.forEach((row, i) => {
      const q = result.kept.indexOf(i);
      const words = `${titles[i]}${genres[i] ? `, ${genres[i]}` : ""}: ${q < 0 ? "taken out" : result.now[q].map((w, j) => `interest ${j + 1} ${fixed(w)}`).join(", ")}`;
      if (told[i] !== words) row.setAttribute("aria-label", told[i] = words);
      row.setAttribute("aria-pressed", String(q >= 0));
      row.tabIndex = i + 1 === Math.min(state.film, titles.length) ? 0 : -1;
    });
  };
  root.querySelector('[data-panel="1"]').append(box);
  update();
  return update;
}

function render({ model, el, id }) {
  let update = null, now = null;
  const live = { ...figure, draw: (state, result) => {
    now = { state, result };
    update?.();
    return draw(state, result);
  } };
  const stop = widget(live).render({ model, el, id });
  update = buttons(el, () => now);
  return stop;
}

export default { render };
