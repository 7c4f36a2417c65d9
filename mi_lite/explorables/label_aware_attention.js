// Label-aware attention: drag a target among a user's interests, turn p, see who speaks for the user.

import { arrow, circle, clamp, color, fixed, interest, line, mark, scale, svg, text, widget } from "./kit.js";
import { STOPS, dot, labelAwareAttention, largest, mixture, powerAt, powerText } from "./mirror.js";

const REACH = 1.3, MOST = 5;
const NAMES = { scaled: "p × score", power: "score^p, as printed", signed_power: "score^p, its sign kept" };

export function compute({ interests, target, sharpness, form }) {
  const scores = interests.map((v) => dot(v, target));
  const walk = Array.from({ length: STOPS + 1 }, (_, s) => labelAwareAttention(interests, target, powerAt(s), null, form));
  const average = mixture(interests.map(() => 1 / interests.length), interests);
  return {
    scores, walk, now: walk[sharpness], best: largest(scores), average,
    mixed: walk.map((at) => at && dot(at.user, target)), // the target's score at every stop of p
  };
}

// ---- pictures ----

const plane = { x: scale([-REACH, REACH], [8, 312]), y: scale([-REACH, REACH], [312, 8]) };
const stops = scale([0, STOPS], [40, 304]);

/** Runs of stops at which the user is defined: whole p alone where a negative score meets the printed power. */
function runs(walk) {
  const found = [];
  walk.forEach((at, s) => {
    if (!at) return;
    if (s && walk[s - 1]) found.at(-1).push(s); else found.push([s]);
  });
  return found;
}

const trail = (walk, point, style) => runs(walk).map((run) =>
  (run.length > 1 ? line(run.map(point), style) : circle(...point(run[0]), 2.2, { fill: style.stroke }))).join("");

const why = ({ sharpness, form }) => (form === "power" && sharpness < STOPS
  ? `refused: a negative score has no power ${powerText(sharpness)}` : "refused: this form has no p = ∞");

const listing = (weights) => weights.map((w, k) => `interest ${k + 1} ${fixed(w)}`).join(", ");

function sentence(state, { now, mixed }) {
  const p = `Softmax of ${NAMES[state.form]}, p = ${powerText(state.sharpness)}`;
  if (!now) return `${p} is ${why(state)}.`;
  return `${p}: ${listing(now.weights)}. The target's score is ${fixed(mixed[state.sharpness])}.`;
}

function drawPlane(state, result) {
  const { interests, target, sharpness } = state, { now, walk, average } = result, { x, y } = plane;
  const place = ([a, b]) => [x(a), y(b)], centre = place([0, 0]), [tx, ty] = place(target);
  const arrows = interests.map((v, k) => {
    const [a, b] = place(v), away = Math.hypot(a - centre[0], b - centre[1]) || 1;
    return arrow(centre, [a, b], { stroke: interest(k), width: 2 + 4 * (now ? now.weights[k] : 0) }) +
      text(a + (12 * (a - centre[0])) / away, b + (12 * (b - centre[1])) / away + 4, k + 1, { anchor: "middle", fill: interest(k), bold: true });
  });
  const user = now ? place(now.user) : null, mean = place(average);
  return svg(320, 320, `${interests.length} interests and a target in the plane. ${sentence(state, result)}` +
    (now ? ` The user vector lies at ${fixed(now.user[0])}, ${fixed(now.user[1])}, the average at ${fixed(average[0])}, ${fixed(average[1])}.` : ""),
    line([[x(-REACH), centre[1]], [x(REACH), centre[1]]], { stroke: color("grid"), width: 1 }) +
    line([[centre[0], y(-REACH)], [centre[0], y(REACH)]], { stroke: color("grid"), width: 1 }) +
    arrows.join("") + trail(walk, (s) => place(walk[s].user), { stroke: color("fg"), width: 1.5, dash: "2 3" }) +
    line([[mean[0] - 4, mean[1] - 4], [mean[0] + 4, mean[1] + 4]], { width: 1.5 }) + line([[mean[0] - 4, mean[1] + 4], [mean[0] + 4, mean[1] - 4]], { width: 1.5 }) +
    (user ? line([centre, user], { width: 2 }) + circle(...user, 6, { fill: color("bg"), stroke: color("fg"), width: 3 }) : "") +
    mark(3, tx, ty, 8) + text(clamp(tx, 24, 296), ty + 24, "target", { anchor: "middle", size: 11 }) +
    text(8, 16, `p = ${powerText(sharpness)}`, { bold: true }) +
    text(8, 312, "○ user   × average", { fill: color("muted"), size: 11 }) +
    text(312, 312, "drag target and tips", { fill: color("muted"), size: 11, anchor: "end" }));
}

function drawWeights(state, result) {
  const { scores, now } = result, bar = scale([0, 1], [104, 276]), height = 150 / Math.max(3, scores.length);
  const rows = scores.map((s, k) => {
    const middle = 38 + (k + 0.5) * height, w = now ? now.weights[k] : 0;
    return text(18, middle + 4, k + 1, { anchor: "middle", fill: interest(k), bold: true }) +
      text(88, middle + 4, fixed(s), { anchor: "end" }) +
      `<rect x="104" y="${(middle - 9).toFixed(1)}" width="172" height="18" fill="${color("grid")}" opacity=".5"/>` +
      `<rect x="104" y="${(middle - 9).toFixed(1)}" width="${(bar(w) - 104).toFixed(1)}" height="18" fill="${interest(k)}"/>` +
      text(312, middle + 4, now ? fixed(w) : "–", { anchor: "end", bold: true });
  });
  return svg(320, 220, `Scores of the target by interest: ${scores.map((s, k) => `${k + 1}: ${fixed(s)}`).join(", ")}. Weights as bars. ${sentence(state, result)}`,
    text(8, 22, "interest, score", { size: 11, fill: color("muted") }) + text(312, 22, "weight", { size: 11, fill: color("muted"), anchor: "end" }) + rows.join("") +
    text(8, 210, now ? `user (${fixed(now.user[0])}, ${fixed(now.user[1])})` : why(state), now ? { bold: true } : { bold: true, fill: color(2) }) +
    text(312, 210, now ? `the target's score ${fixed(result.mixed[state.sharpness])}` : "", { anchor: "end" }));
}

const heights = ({ scores }) => {
  const low = Math.min(...scores), high = Math.max(...scores), edge = Math.max(0.1, (high - low) * 0.06);
  return scale([low - edge, high + edge], [178, 34]);
};
const TICKS = [[0, "0"], [40, "½"], [60, "1"], [80, "2"], [100, "5"], [STOPS, "∞"]];

function drawCurve(state, result) {
  const { scores, walk, mixed, average, now } = result, y = heights(result), s = state.sharpness;
  const level = dot(average, state.target), top = Math.max(...scores);
  const across = (value, name, down) => line([[stops(0), y(value)], [stops(STOPS), y(value)]], { stroke: color("muted"), width: 1, dash: "5 4" }) +
    text(36, y(value) + 4, fixed(value), { anchor: "end", size: 11, fill: color("muted") }) +
    text(304, y(value) + down, name, { anchor: "end", size: 11, fill: color("muted") });
  const ticks = TICKS.map(([at, name]) => line([[stops(at), 178], [stops(at), 34]], { stroke: color("grid"), width: 1 }) +
    text(stops(at), 193, name, { anchor: "middle", size: 11, fill: color("muted") }));
  return svg(320, 214, `The target's score under the user vector against p, between the average ${fixed(level)} and the best interest ${fixed(top)}. ${sentence(state, result)}`,
    ticks.join("") + across(top, "best interest", -4) + (top - level > 0.15 * (y.domain[1] - y.domain[0]) ? across(level, "average", 13) : "") +
    trail(walk, (i) => [stops(i), y(mixed[i])], { stroke: color(1), width: 2.5 }) +
    line([[stops(s), 178], [stops(s), 34]], { width: 1, dash: "3 3" }) +
    (now ? circle(stops(s), y(mixed[s]), 6, { fill: color(1), stroke: color("bg") }) : "") +
    text(38, 18, "the target's score under the user", { size: 12 }) + text(304, 18, now ? fixed(mixed[s], 3) : "refused", { anchor: "end", bold: true }) +
    text(304, 209, "p", { anchor: "end" }));
}

export const draw = (state, result) => [drawPlane(state, result), drawWeights(state, result), drawCurve(state, result)];

// ---- handles and controls ----

const inside = (v) => clamp(Number(v.toFixed(3)), -REACH, REACH);

/** The stop of p nearest to a place of its slider, among those that are not refused. */
const nearest = (place, walk) => walk.reduce((best, at, s) => (at && Math.abs(s - place) < Math.abs(best - place) ? s : best), 0);

/** The next stop at which p is whole (or infinite), and from the last back to 0. */
export function nextWhole({ sharpness }) {
  let s = sharpness;
  do s = (s + 1) % (STOPS + 1); while (s < STOPS && STOPS % (STOPS - s));
  return { sharpness: s };
}

export function handles(state, result) {
  const { interests, target, sharpness } = state, { scores, now, mixed } = result, { x, y } = plane;
  const point = (a, b) => [inside(x.invert(a)), inside(y.invert(b))];
  const place = ([a, b]) => `x ${fixed(a)}, y ${fixed(b)}`;
  return [
    { panel: 0, x: x(target[0]), y: y(target[1]), step: 6, name: "Target",
      text: `${place(target)}, best scored by interest ${result.best + 1}`, to: (a, b) => ({ target: point(a, b) }) },
    ...interests.map((v, k) => ({
      panel: 0, x: x(v[0]), y: y(v[1]), step: 6, name: `Interest ${k + 1}`,
      text: `${place(v)}, score ${fixed(scores[k])}${now ? `, weight ${fixed(now.weights[k])}` : ""}`,
      to: (a, b) => ({ interests: interests.map((w, j) => (j === k ? point(a, b) : w)) }),
    })),
    { panel: 2, x: stops(sharpness), y: now ? heights(result)(mixed[sharpness]) : 106, step: 2.3, name: "Power p", text: sentence(state, result),
      to: (a) => ({ sharpness: nearest(stops.invert(a), result.walk) }) },
  ];
}

export const say = sentence;

const MORE = [[0.6, -0.6], [-0.4, -0.8], [-0.7, 0.6]];

export const figure = {
  panels: [{ width: 320, height: 320 }, { width: 320, height: 220 }, { width: 320, height: 214 }],
  controls: [
    { kind: "range", key: "sharpness", label: "p", format: powerText },
    { kind: "choice", key: "form", label: "Softmax of", names: NAMES },
    { kind: "button", label: "Next whole p", press: nextWhole },
    { kind: "button", label: "A tie", press: () => ({ interests: [[0.8, 0.6], [0.8, -0.6], [-0.9, 0.3]], target: [1, 0] }) },
    { kind: "button", label: "One more", press: ({ interests }) => (interests.length < MOST ? { interests: [...interests, MORE[interests.length - 2]] } : {}) },
    { kind: "button", label: "One fewer", press: ({ interests }) => (interests.length > 2 ? { interests: interests.slice(0, -1) } : {}) },
  ],
  compute, draw, handles, say,
};

export default widget(figure);
