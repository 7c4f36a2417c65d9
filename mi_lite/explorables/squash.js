// Squash: drag a vector, see what becomes of its length and how much of a small nudge survives.

import { arrow, axes, circle, clamp, color, fixed, line, scale, svg, text, widget } from "./kit.js";
import { newLength, norm, squash } from "./mirror.js";

const REACH = 2; // the vector stays within this square
const LONGEST = 3;
const NAMES = { paper: "paper", epsilon: "epsilon", half: "half", root: "root", exponential: "exponential", unit: "unit" };

/** The two slopes of a squash at length n: along the vector, f'(n), and sideways, f(n)/n. At zero both are the gradient that torch gives. */
export function slopes(n, variant) {
  const d = 1 + n * n, r = n * n + 1e-9;
  if (variant === "paper") return [(2 * n) / (d * d), n / d];
  if (variant === "half") return [n / (0.5 + n * n) ** 2, n / (0.5 + n * n)];
  if (variant === "epsilon") return [(n * n / Math.sqrt(r)) * ((3 + n * n) / (d * d) - (n * n) / (d * r)), (n * n) / d / Math.sqrt(r)];
  if (variant === "root") return [1 / (d * Math.sqrt(d)), 1 / Math.sqrt(d)];
  if (variant === "exponential") return [Math.exp(-n), n > 0 ? -Math.expm1(-n) / n : 1];
  return [0, n > 0 ? 1 / n : 0]; // unit
}

export function compute({ vector, variant }) {
  const n = norm(vector), [radial, sideways] = slopes(n, variant);
  return { n, length: newLength(n, variant), squashed: squash(vector, variant), radial, sideways };
}

const plane = { x: scale([-REACH, REACH], [10, 310]), y: scale([-REACH, REACH], [310, 10]) };
const lengths = { x: scale([0, LONGEST], [34, 306]), y: scale([0, 1.2], [178, 34]) };
const curves = { x: scale([0, LONGEST], [34, 306]), y: scale([0, 1.2], [178, 34]) };

const curve = ({ x, y }, f, style) => {
  const points = Array.from({ length: 91 }, (_, i) => (i + 0.001) * 0.0333).map((n) => [n, f(n)]);
  return line(points.filter(([, v]) => v <= 1.2).map(([n, v]) => [x(n), y(v)]), style);
};

function drawPlane(state, result) {
  const { x, y } = plane, origin = [x(0), y(0)], tip = ([a, b]) => [x(a), y(b)];
  const unit = x(1) - x(0), turn = -Math.atan2(state.vector[1], state.vector[0]) * (180 / Math.PI);
  const [sx, sy] = tip(state.vector), [vx, vy] = tip(result.squashed);
  const nudge = 0.4 * unit, cap = (r) => Math.min(r, 3) * nudge;
  const image = `<ellipse cx="${vx.toFixed(1)}" cy="${vy.toFixed(1)}" rx="${Math.max(1, cap(result.radial)).toFixed(1)}" ry="${Math.max(1, cap(result.sideways)).toFixed(1)}" transform="rotate(${turn.toFixed(1)} ${vx.toFixed(1)} ${vy.toFixed(1)})" fill="${color(2)}" fill-opacity=".25" stroke="${color(2)}" stroke-width="1.5"/>`;
  return svg(320, 320,
    `A vector of length ${fixed(result.n)} and its squash (${state.variant}) of length ${fixed(result.length)} in the same direction. A ring of small nudges around the first becomes an ellipse around the second: ${fixed(result.radial)} as large along the vector, ${fixed(result.sideways)} as large sideways.`,
    line([[x(-REACH), y(0)], [x(REACH), y(0)]], { stroke: color("grid"), width: 1 }) +
    line([[x(0), y(-REACH)], [x(0), y(REACH)]], { stroke: color("grid"), width: 1 }) +
    circle(...origin, unit, { stroke: color("muted"), dash: "3 4" }) +
    text(x(0) + 4, y(-1) + 14, "length 1", { fill: color("muted"), size: 11 }) +
    arrow(origin, [sx, sy], { stroke: color("muted") }) + circle(sx, sy, nudge, { stroke: color("muted"), dash: "4 3" }) +
    arrow(origin, [vx, vy], { stroke: color(1), width: 4 }) + image +
    text(12, 22, `s: length ${fixed(result.n)}`, { fill: color("muted") }) +
    text(12, 39, `squash(s): length ${fixed(result.length)}`, { fill: color(1), bold: true }) +
    text(308, 22, "drag the tip of s", { anchor: "end", fill: color("muted"), size: 11 }));
}

function drawLengths(state, { n, length }) {
  const { x, y } = lengths, others = Object.keys(NAMES).filter((v) => v !== state.variant);
  const at = [x(Math.min(n, LONGEST)), y(length)];
  return svg(320, 214, `New length against length for the squash ${state.variant}, the other variants faint. At length ${fixed(n)} the new length is ${fixed(length, 3)}.`,
    axes({ x, y, xTicks: [0, 1, 2, 3], yTicks: [0, 0.5, 1], xLabel: "length of s", yLabel: "length of squash(s)" }) +
    others.map((v) => curve(lengths, (t) => newLength(t, v), { stroke: color("muted"), width: 1, opacity: 0.55 })).join("") +
    curve(lengths, (t) => newLength(t, state.variant), { stroke: color(1), width: 2.5 }) +
    line([[at[0], y(0)], at, [x(0), at[1]]], { stroke: color("muted"), width: 1, dash: "3 3" }) +
    circle(...at, 6, { fill: color(1), stroke: color("bg") }) +
    text(306, 18, `${fixed(n)} → ${fixed(length, 3)}`, { anchor: "end", bold: true }));
}

function drawSlopes(state, { n, radial, sideways }) {
  const { x, y } = curves, place = x(Math.min(n, LONGEST));
  const point = (v, name) => circle(place, y(Math.min(v, 1.2)), 5, { fill: color(name), stroke: color("bg") });
  return svg(320, 214, `Slopes of the squash ${state.variant} against length. At length ${fixed(n)}: ${fixed(radial, 3)} along the vector, ${fixed(sideways, 3)} sideways.`,
    axes({ x, y, xTicks: [0, 1, 2, 3], yTicks: [0, 0.5, 1], xLabel: "length of s", yLabel: "what is left of the gradient" }) +
    curve(curves, (t) => slopes(t, state.variant)[0], { stroke: color(2), width: 2.5 }) +
    curve(curves, (t) => slopes(t, state.variant)[1], { stroke: color(3), width: 2.5, dash: "7 4" }) +
    line([[place, y(0)], [place, y(1.2)]], { stroke: color("muted"), width: 1, dash: "3 3" }) + point(radial, 2) + point(sideways, 3) +
    text(306, 18, `along ${fixed(radial, 3)}`, { anchor: "end", fill: color(2), bold: true }) +
    text(306, 34, `sideways ${fixed(sideways, 3)}`, { anchor: "end", fill: color(3), bold: true }));
}

export const draw = (state, result) => [drawPlane(state, result), drawLengths(state, result), drawSlopes(state, result)];

const inside = (v) => Number(clamp(v, -REACH, REACH).toFixed(3));

/** The same direction at another length, as far as the square allows. */
export function atLength(vector, n) {
  const now = norm(vector), [a, b] = now > 0 ? vector.map((v) => v / now) : [1, 0];
  const most = REACH / Math.max(Math.abs(a), Math.abs(b)), length = clamp(n, 0.001, most); // never zero: the direction would be lost
  return [a * length, b * length].map((v) => Number(v.toFixed(6)));
}

export function handles(state, { n, length }) {
  const [a, b] = state.vector, said = `x ${fixed(a)}, y ${fixed(b)}, length ${fixed(n)}, squashed to ${fixed(length)}`;
  return [
    { panel: 0, x: plane.x(a), y: plane.y(b), name: "Tip of the vector", text: said, step: 5,
      to: (x, y) => ({ vector: [inside(plane.x.invert(x)), inside(plane.y.invert(y))] }) },
    { panel: 1, x: lengths.x(Math.min(n, LONGEST)), y: lengths.y(length), name: "Length of the vector", text: said, step: 3,
      to: (x) => ({ vector: atLength(state.vector, lengths.x.invert(x)) }) },
  ];
}

export const say = (state, { n, length, radial, sideways }) =>
  `Length ${fixed(n)} becomes ${fixed(length)}. Slope along the vector ${fixed(radial)}, sideways ${fixed(sideways)}.`;

export const figure = {
  panels: [{ width: 320, height: 320 }, { width: 320, height: 214 }, { width: 320, height: 214 }],
  controls: [
    { kind: "choice", key: "variant", label: "Squash", names: NAMES },
    { kind: "button", label: "Zero", press: () => ({ vector: [0, 0] }) },
    { kind: "button", label: "Length 1", press: ({ vector }) => ({ vector: atLength(vector, 1) }) },
  ],
  compute, draw, handles, say,
};

export default widget(figure);
