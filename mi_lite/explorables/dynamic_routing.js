// The routing bench: drag films, turn the switches, step through the iterations.

import { arrow, axes, circle, clamp, color, fixed, interest, line, mark, scale, share, svg, text, widget } from "./kit.js";
import { b2iRouting, farApartLogits, largest, meanCosine, norm, normals, purity } from "./mirror.js";

const REACH = 1.3, MOST_FILMS = 12;
const TASTES = ["disc", "square", "triangle"];

// ---- numbers ----

/** What routing starts from: (places, K). */
export function startLogits(state, behaviors, mask) {
  const { films, num_interests: K, start, sigma, seed, logits_of: of } = state, T = films.length;
  if (start === "far apart") return farApartLogits(behaviors, K, mask);
  return behaviors.map((_, i) => {
    // A film keeps its dice, or the dice lie at the places of the history, counted from the latest film.
    const dice = normals(1000 * seed + (i >= T ? 500 + i : of === "film" ? i : T - 1 - i));
    return Array.from({ length: K }, () => (start === "zero" ? 0 : sigma * dice()));
  });
}

export function compute(state) {
  const { films, places, scale: size } = state, T = films.length, length = Math.max(T, places);
  const mask = Array.from({ length }, (_, i) => i < T);
  const behaviors = mask.map((real, i) => (real ? [size * films[i][0], size * films[i][1]] : [0, 0]));
  const logits = startLogits(state, behaviors, mask);
  const trace = b2iRouting({ behaviors, logits, mask, ...state, interestMask: null, bilinear: null });
  const truth = films.map((film) => film[2]);
  const measures = trace.map(({ weights, interests }) => ({
    cosine: meanCosine(interests), purity: purity(weights.slice(0, T), truth),
    length: interests.reduce((sum, u) => sum + norm(u), 0) / interests.length,
  }));
  const at = Math.min(state.iteration, state.iterations) - 1;
  return { T, padding: length - T, trace, measures, at, now: trace[at] };
}

// ---- pictures ----

const plane = { x: scale([-REACH, REACH], [8, 312]), y: scale([-REACH, REACH], [312, 8]) };
const round = (x, digits) => Number(x.toFixed(digits));

function drawMap({ films, iterations }, { now, at, measures }) {
  const { x, y } = plane, centre = [x(0), y(0)], tips = now.interests.map(([a, b]) => [x(a), y(b)]);
  const edges = films.flatMap(([a, b], i) => now.weights[i].map((w, j) =>
    line([[x(a), y(b)], tips[j]], { stroke: interest(j), width: 0.3 + 4.5 * w, opacity: w > 0.04 ? 0.12 + 0.5 * w : 0 })));
  const marks = films.map(([a, b, taste], i) => mark(taste, x(a), y(b), 8, { fill: interest(largest(now.weights[i])) }) +
    text(x(a) + 11, y(b) - 6, i + 1, { size: 11, fill: color("muted") }));
  const { cosine, purity: pure } = measures[at];
  const label = `Films on a plane and ${tips.length} interests after iteration ${at + 1} of ${iterations}. ` +
    films.map((_, i) => `Film ${i + 1} goes most to interest ${largest(now.weights[i]) + 1}`).join(", ") +
    `. ${cosine === null ? "" : `Mean cosine of the interests ${fixed(cosine)}, `}purity ${fixed(pure)}.`;
  return svg(320, 320, label, circle(...centre, x(1) - x(0), { stroke: color("grid"), dash: "3 4" }) + edges.join("") +
    tips.map((tip, j) => arrow(centre, tip, { stroke: interest(j), width: 4 })).join("") + marks.join("") +
    text(8, 16, `iteration ${at + 1} of ${iterations}`, { bold: true }) +
    text(8, 312, "shape: true taste", { fill: color("muted"), size: 11 }) +
    text(312, 312, "colour: interest it goes to most", { fill: color("muted"), size: 11, anchor: "end" }));
}

function drawHeat({ films, num_interests: K }, { now, T, padding }) {
  const rows = T + (padding ? 1 : 0), height = Math.min(22, 250 / rows), width = 132 / K, size = K > 4 ? 9 : 10.5;
  const left = [42, 184], top = 42;
  const all = now.logits.slice(0, T).flat(), low = Math.min(...all), span = Math.max(...all) - low || 1;
  const cell = (block, i, j, fill, value) => {
    const x = left[block] + j * width, y = top + i * height;
    return `<rect x="${round(x, 1)}" y="${round(y, 1)}" width="${round(width - 1.5, 1)}" height="${round(height - 1.5, 1)}" fill="${fill}"/>` +
      text(x + width / 2 - 0.7, y + height / 2 + 3, value, { anchor: "middle", size });
  };
  const logit = (b) => fixed(b, Math.abs(b) >= 10 ? 0 : 1);
  const cells = films.map((film, i) => mark(film[2], 30, top + i * height + height / 2, Math.min(6, height * 0.36), { fill: interest(largest(now.weights[i])) }) +
    text(16, top + i * height + height / 2 + 4, i + 1, { anchor: "end", size: 11, fill: color("muted") }) +
    now.logits[i].map((b, j) => cell(0, i, j, share(color("fg"), 0.04 + (0.36 * (b - low)) / span), logit(b))).join("") +
    now.weights[i].map((w, j) => cell(1, i, j, share(interest(j), 0.06 + 0.55 * w), fixed(w))).join(""));
  if (padding) cells.push(text(42, top + T * height + height / 2 + 4, `and ${padding} place${padding > 1 ? "s" : ""} of padding: weight 0`, { size: 11, fill: color("muted") }));
  const heads = left.flatMap((x) => now.interests.map((_, j) => text(x + (j + 0.5) * width - 0.7, 34, j + 1, { anchor: "middle", size: 11, fill: interest(j), bold: true })));
  return svg(320, 300, `Two heat maps, films by interests. Logits from ${fixed(low, 1)} to ${fixed(low + span, 1)}; coupling weights: ` +
    films.map((_, i) => `film ${i + 1}: ${now.weights[i].map((w) => fixed(w)).join(", ")}`).join("; ") + ".",
    text(left[0], 16, "logits", { bold: true }) + text(left[1], 16, "coupling weights", { bold: true }) + heads.join("") + cells.join(""));
}

function drawCurves({ iterations: R, num_interests: K, films }, { trace, measures, at, T }) {
  const x = scale([1, Math.max(2, R)], [34, 306]), ticks = R <= 6 ? Array.from({ length: R }, (_, r) => r + 1) : [1, 10, 20, 30].filter((t) => t <= R);
  // How far each film's last choice is ahead of the next best, in the logits.
  const winner = trace[R - 1].weights.slice(0, T).map(largest);
  const leads = winner.map((j, i) => trace.map(({ logits }) => (K > 1 ? logits[i][j] - Math.max(...logits[i].filter((_, k) => k !== j)) : 0)));
  const low = Math.min(0, ...leads.flat()), high = Math.max(1, ...leads.flat()), edge = (high - low) * 0.05;
  const y = scale([low - edge, high + edge], [124, 28]), z = scale([-0.05, 1.05], [262, 172]);
  const cursor = (s) => line([[x(at + 1), s.range[0]], [x(at + 1), s.range[1]]], { stroke: color("muted"), width: 1, dash: "3 3" });
  const point = (values, s, style) => (R > 1 ? line(values.map((v, r) => [x(r + 1), s(v)]), style) : "") + circle(x(at + 1), s(values[at]), 3.5, { fill: style.stroke });
  const upper = axes({ x, y, xTicks: ticks, yTicks: [0, round(high, high > 9 ? 0 : 1)], yLabel: "lead of each film's logit, by iteration" }) +
    leads.map((lead, i) => point(lead, y, { stroke: interest(winner[i]), width: 1.6, opacity: 0.9 })).join("") + cursor(y);
  const clip = (v) => clamp(v, -0.05, 1.05);
  const { cosine, purity: pure, length } = measures[at];
  const lower = axes({ x, y: z, xTicks: ticks, yTicks: [0, 0.5, 1], xLabel: "iteration" }) + cursor(z) +
    (K > 1 ? point(measures.map((m) => clip(m.cosine)), z, { stroke: color("fg"), width: 2 }) : "") +
    point(measures.map((m) => m.purity), z, { stroke: color(1), width: 2, dash: "7 4" }) +
    point(measures.map((m) => m.length), z, { stroke: color(2), width: 2, dash: "2 3" }) +
    text(34, 162, K > 1 ? `mean cosine ${fixed(cosine)}` : "one interest", { size: 11, bold: true }) +
    text(146, 162, `purity ${fixed(pure)}`, { size: 11, bold: true, fill: color(1) }) +
    text(306, 162, `mean length ${fixed(length)}`, { size: 11, bold: true, fill: color(2), anchor: "end" });
  return svg(320, 300, `Above: how far the logit of each of ${films.length} films' last interest is ahead, over ${R} iterations; at most ${fixed(high, 1)}. ` +
    `Below, at iteration ${at + 1}: ${cosine === null ? "" : `mean cosine of the interests ${fixed(cosine)}, `}purity ${fixed(pure)}, mean length ${fixed(length)}.`, upper + lower);
}

export const draw = (state, result) => [drawMap(state, result), drawHeat(state, result), drawCurves(state, result)];

// ---- handles and controls ----

const inside = (v) => clamp(round(v, 3), -REACH, REACH);

export function handles({ films }, { now }) {
  return films.map(([a, b, taste], i) => ({
    panel: 0, x: plane.x(a), y: plane.y(b), step: 6, name: `Film ${i + 1}, true taste: ${TASTES[taste]}`,
    text: `x ${fixed(a)}, y ${fixed(b)}, most to interest ${largest(now.weights[i]) + 1}`,
    to: (x, y) => ({ films: films.map((film, k) => (k === i ? [inside(plane.x.invert(x)), inside(plane.y.invert(y)), taste] : film)) }),
  }));
}

export function say({ iterations }, { at, measures }) {
  const { cosine, purity: pure, length } = measures[at];
  return `Iteration ${at + 1} of ${iterations}: ${cosine === null ? "" : `mean cosine ${fixed(cosine)}, `}purity ${fixed(pure)}, mean length ${fixed(length)}.`;
}

/** One more film of each taste in turn, near the mean of its taste. */
export function oneMore({ films, seed }) {
  if (films.length >= MOST_FILMS) return {};
  const taste = films.length % TASTES.length, same = films.filter((film) => film[2] === taste), dice = normals(7 * seed + films.length);
  const middle = [0, 1].map((d) => (same.length ? same.reduce((sum, film) => sum + film[d], 0) / same.length : 0));
  return { films: [...films, [...middle.map((m) => inside(m + 0.15 * dice())), taste]] };
}

export const figure = {
  panels: [{ width: 320, height: 320 }, { width: 320, height: 300 }, { width: 320, height: 300 }],
  controls: [
    { kind: "range", key: "num_interests", label: "K, interests" },
    { kind: "range", key: "scale", label: "Scale of the films", step: 0.5 },
    { kind: "range", key: "iterations", label: "R, iterations", also: (R) => ({ iteration: R }) },
    { kind: "range", key: "iteration", label: "Shown iteration", format: String },
    { kind: "choice", key: "start", label: "Logits start", names: { random: "at random", zero: "at zero", "far apart": "far apart" } },
    { kind: "range", key: "sigma", label: "σ of the start", step: 0.1, off: ({ start }) => start !== "random" },
    { kind: "choice", key: "logits_of", label: "Dice belong to", names: { film: "each film (own)", place: "each place (shared)" } },
    { kind: "choice", key: "update", label: "Logits", names: { accumulate: "accumulate", assign: "are assigned" } },
    { kind: "choice", key: "axis", label: "Softmax over", names: { interests: "interests", behaviors: "the history" } },
    { kind: "choice", key: "places", label: "Padded to", names: { 0: "no padding", 12: "12 places", 50: "50 places" } },
    { kind: "choice", key: "masking", label: "Padding masked", names: { before: "before softmax", after: "after softmax" } },
    { kind: "button", label: "Step", press: ({ iteration, iterations }) => ({ iteration: (Math.min(iteration, iterations) % iterations) + 1 }) },
    { kind: "button", label: "Play", press: () => ({ iteration: 1 }), every: 600,
      play: ({ iteration, iterations }) => (iteration < iterations ? { iteration: iteration + 1 } : null) },
    { kind: "button", label: "New dice", press: ({ seed }) => ({ seed: (seed + 1) % 1000 }) },
    { kind: "button", label: "One more film", press: oneMore },
  ],
  compute, draw, handles, say,
};

export default widget(figure);
