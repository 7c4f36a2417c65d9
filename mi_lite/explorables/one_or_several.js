// One vector against several: drag two tastes apart, see where the vectors point and what they recommend.

import { arrow, axes, circle, clamp, color, fixed, line, scale, svg, text, widget } from "./kit.js";
import { farApartLogits, largest, norm, ranking } from "./mirror.js";

const TASTES = ["film noir", "musicals"];
const VECTORS = ["", "one vector", "two vectors", "three vectors", "four vectors"];
const SCORES = { cosine: "cosine", dot: "inner product" };
const WIDEST = 150, ANGLES = Array.from({ length: 31 }, (_, i) => 5 * i);

// Where the films of a taste lie around its centre: across the beam (-1 to 1, its edges) and along it.
const WATCHED = [[-0.25, -0.38], [-0.42, -1], [0.9, 0.88], [-0.83, 0.68], [0.6, -0.18]];
const UNSEEN = [[0.48, 0.42], [-0.9, 0.02], [0.86, -1], [-0.23, 0.38], [0.3, 1], [-0.34, 1]];

// ---- numbers ----

const degrees = ([x, y]) => (Math.atan2(y, x) * 180) / Math.PI;
const polar = (angle, length) => [length * Math.cos((angle * Math.PI) / 180), length * Math.sin((angle * Math.PI) / 180)];
const unit = (v) => { const n = norm(v) || 1; return v.map((x) => x / n); };
const part = (x) => x - Math.floor(x);

/** k-means of vectors (T, D): the means (K, D), or fewer where a group stays empty. It starts from groups around films that lie far apart. */
export function kMeans(vectors, K, rounds = 20) {
  let group = K > 1 ? farApartLogits(vectors, K).map(largest) : vectors.map(() => 0), means = [];
  for (let r = 0; r <= rounds; r++) {
    const sums = Array.from({ length: K }, () => vectors[0].map(() => 0)), counts = sums.map(() => 0);
    group.forEach((k, i) => { counts[k]++; vectors[i].forEach((x, d) => { sums[k][d] += x; }); });
    means = sums.map((sum, k) => sum.map((x) => x / counts[k])).filter((_, k) => counts[k]);
    if (means.length === 1) break;
    const next = vectors.map((v) => largest(means.map((m) => -v.reduce((sum, x, d) => sum + (x - m[d]) ** 2, 0))));
    if (next.every((k, i) => k === group[i])) break;
    group = next;
  }
  return means;
}

/** mi_lite.retrieval.top_n for one user: the n items (N, D) with the best score over the interests (K, D), and whose score it is. */
export function bestFilms(interests, items, n) {
  const scores = [], interest = items.map((e, i) => {
    let winner = 0;
    for (let k = 0; k < interests.length; k++) {
      let score = 0;
      for (let d = 0; d < e.length; d++) score += interests[k][d] * e[d];
      if (k === 0 || score > scores[i]) [scores[i], winner] = [score, k];
    }
    return winner;
  });
  return ranking(scores).slice(0, n).map((item) => ({ item, interest: interest[item] }));
}

/** The form in which a film is scored: under the cosine only its direction counts. */
const formOf = (score) => (score === "cosine" ? unit : (v) => v);

/** The other films: where they lie, at which angle, and in the form in which they are scored. */
export function crowd({ others, score }) {
  const films = Array.from({ length: others }, (_, i) => polar(4 + 172 * part(0.5 + i * 0.7548777), 0.36 + 0.64 * part(0.5 + i * 0.5698403)));
  return { films, angles: films.map(degrees), items: films.map(formOf(score)) };
}

/** All films on the map: what was watched (the musicals first), what was not, and which taste's beam it lies in (-1: neither). */
export function world({ tastes, spread, score }, rest) {
  const around = (k, offsets) => offsets.map(([u, v]) => {
    const [x, y] = polar(degrees(tastes[k]) + u * spread, norm(tastes[k]) * (1 + 0.33 * (k ? -v : v)));
    return [x, Math.abs(y)]; // none below the horizon
  });
  const watched = [...around(1, WATCHED), ...around(0, WATCHED)], own = [...around(0, UNSEEN), ...around(1, UNSEEN)];
  const [first, second] = tastes.map(degrees), form = formOf(score);
  const taste = [...own.map(degrees), ...rest.angles].map((a) => {
    const off = [Math.abs(a - first), Math.abs(a - second)], near = off[1] < off[0] ? 1 : 0;
    return off[near] <= spread + 1e-9 ? near : -1;
  });
  return { watched, unseen: [...own, ...rest.films], taste, vectors: watched.map(form), items: [...own.map(form), ...rest.items] };
}

/** What K vectors serve: the means, the list, and how many films of it are to her taste. */
export function serve({ vectors, items, taste }, K, { n, score }) {
  const interests = kMeans(vectors, K), list = bestFilms(interests.map(formOf(score)), items, n);
  return { interests, list, hits: list.reduce((sum, { item }) => sum + (taste[item] >= 0), 0) };
}

export const angle = (tastes) => Math.abs(degrees(tastes[0]) - degrees(tastes[1]));

/** Both tastes turned to this angle between them, about their middle; they stay above the horizon. */
export function apart(tastes, between) {
  const [a, b] = tastes.map(degrees), half = between / 2, side = a < b ? -1 : 1;
  const middle = clamp((a + b) / 2, 2.5 + half, 177.5 - half);
  return tastes.map((taste, k) => inside(polar(middle + (k ? -side : side) * half, norm(taste))));
}

export function compute(state) {
  const rest = crowd(state), films = world(state, rest), K = state.num_interests;
  const sweep = ANGLES.map((between) => {
    const turned = world({ ...state, tastes: apart(state.tastes, between) }, rest);
    return [serve(turned, 1, state).hits, serve(turned, K, state).hits];
  });
  return { films, angle: angle(state.tastes), one: serve(films, 1, state), several: serve(films, K, state), sweep };
}

// ---- pictures ----

const WIDTH = 320, HEIGHT = 190, BASE = 168, REACH = 130, BEYOND = 0.34, EDGE = 8;
const plane = { x: scale([-1, 1], [160 - REACH, 160 + REACH]), y: scale([0, 1], [BASE, BASE - REACH]) };
const chart = { x: scale([0, WIDEST], [26, 306]), top: 46, bottom: 148 };
const place = ([x, y]) => [plane.x(x), plane.y(y)];
const xy = ([x, y]) => `${Number(x.toFixed(1))},${Number(y.toFixed(1))}`;
const CAPS = ["round", "square"]; // film noir is a disc, a musical a square

/** Many marks as one path: a line of no length is its cap. */
const marks = (films, size, stroke, cap = "round", extra = "") =>
  `<path d="${films.map((film) => `M${xy(place(film))}h0`).join("")}" fill="none" stroke="${stroke}" stroke-width="${size}" stroke-linecap="${cap}"${extra}/>`;

const rings = (films, stroke) =>
  `<path d="${films.map((film) => { const [x, y] = place(film); return `M${xy([x - 8, y])}a8,8 0 1,0 16,0a8,8 0 1,0 -16,0`; }).join("")}" fill="none" stroke="${stroke}" stroke-width="2"/>`;

/** A taste above the horizon, and no longer than that its knob, beyond it, stays in the picture. */
function inside([x, y]) {
  const n = Math.hypot(x, y) || 1, most = Math.min(plane.x.invert(EDGE) * -n / Math.abs(x), (plane.y.invert(EDGE) * n) / Math.max(y, 0.02)) - BEYOND;
  const s = Math.min(1, most / n);
  return [x * s, Math.max(y * s, 0.02)].map((v) => Number(v.toFixed(4)));
}

const knobAt = (taste) => { const v = inside(taste), n = norm(v); return place(v.map((x) => (x * (n + BEYOND)) / n)); };

/** What can be taken hold of: a disc with its taste's mark, between two arrowheads across the beam. */
function knob(k, taste) {
  const [x, y] = knobAt(taste), turn = 90 - degrees(taste), tips = [-1, 1].map((s) => `M${s * 20},0l${-s * 6},-4v8Z`).join("");
  return `<path d="${tips}" fill="${color(k + 1)}" transform="translate(${xy([x, y])}) rotate(${turn.toFixed(0)})"/>` +
    circle(x, y, 10.5, { fill: color(k + 1) }) + `<path d="M${xy([x, y])}h0" stroke="${color("bg")}" stroke-width="8" stroke-linecap="${CAPS[k]}"/>`;
}

function wedge(k, taste, spread) {
  const rim = [spread, -spread].map((off) => xy(place(polar(clamp(degrees(taste) + off, 0, 180), 1))));
  return `<path d="M${xy(place([0, 0]))}L${rim[0]}A${REACH},${REACH} 0 0,1 ${rim[1]}Z" fill="${color(k + 1)}" fill-opacity=".15"/>`;
}

function drawPlane({ tastes, spread, n, score }, { films, angle: between }, served, name) {
  const { interests, list, hits } = served, { watched, unseen, taste } = films, origin = place([0, 0]);
  const alone = interests.length === 1, shade = (k) => (alone ? color("fg") : color(k + 1));
  const of = (k) => unseen.filter((_, i) => taste[i] === k), half = watched.length / 2;
  const pointing = interests.map((v) => `${fixed(degrees(v), 0)}°`).join(", ");
  const label = `${TASTES.map((word, k) => `${word} lies at ${fixed(degrees(tastes[k]), 0)}°`).join(", ")}, ${fixed(between, 0)}° apart. ` +
    `${name[0].toUpperCase()}${name.slice(1)}, found from ten watched films, pointing to ${pointing}. Of the ${n} films recommended by ${SCORES[score]}, ${hits} are to her taste.`;
  return svg(WIDTH, HEIGHT, label,
    `<path d="M${xy(place([-1, 0]))}A${REACH},${REACH} 0 0,1 ${xy(place([1, 0]))}Z" fill="none" stroke="${color("grid")}"/>` +
    tastes.map((t, k) => wedge(k, t, spread)).join("") + interests.map((v, k) => arrow(origin, place(v), { stroke: shade(k), width: 4 })).join("") + marks(of(-1), 4, color("muted"), "round", ' opacity=".65"') +
    TASTES.map((_, k) => marks(of(k), k ? 7 : 8, color(k + 1), CAPS[k]) + marks(of(k), k ? 4 : 4.6, color("bg"), CAPS[k])).join("") +
    marks(watched.slice(half), 9, color(1)) + marks(watched.slice(0, half), 8, color(2), "square") +
    Array.from({ length: 4 }, (_, k) => rings(list.filter(({ interest }) => interest === k).map(({ item }) => unseen[item]), shade(k))).join("") +
    tastes.map((t, k) => knob(k, t)).join("") +
    text(0, 18, name, { bold: true, size: 17 }) + text(WIDTH, 18, `${hits} of ${n}`, { anchor: "end", bold: true, size: 20 }) +
    text(WIDTH, 33, "to her taste", { anchor: "end", fill: color("muted") }) + text(0, HEIGHT - 5, TASTES[0], { size: 13 }) +
    text(160, HEIGHT - 5, "Filled: watched. Ring: recommended", { anchor: "middle", fill: color("muted"), size: 11 }) +
    text(WIDTH, HEIGHT - 5, TASTES[1], { size: 13, anchor: "end" }));
}

function drawAngles({ n, num_interests: K }, { angle: between, one, several, sweep }) {
  const { x, top, bottom } = chart, y = scale([0, n], [bottom, top]), now = x(Math.min(between, WIDEST));
  const curve = (k, style) => line(sweep.map((hits, i) => [x(ANGLES[i]), y(hits[k])]), style);
  const first = { stroke: color("fg"), width: 2.5, dash: "6 4" }, second = { stroke: color("fg"), width: 2.5 };
  return svg(WIDTH, HEIGHT,
    `Films to her taste among ${n}, against the angle between the tastes. At ${fixed(between, 0)}°: ${one.hits} with one vector, ${several.hits} with ${VECTORS[K]}.`,
    axes({ x, y, xTicks: [0, 30, 60, 90, 120, 150], yTicks: [0, n] }) + curve(1, second) + curve(0, first) +
    line([[now, top], [now, bottom]], { stroke: color("muted"), width: 1, dash: "3 3" }) +
    circle(now, y(several.hits), 5, { fill: color("fg"), stroke: color("bg") }) + circle(now, y(one.hits), 5, { fill: color("bg"), stroke: color("fg"), width: 2.5 }) +
    `<path d="M-17,0l5,-4v8ZM17,0l-5,-4v8Z" fill="${color("fg")}" transform="translate(${xy([now, bottom])})"/>` + circle(now, bottom, 8, { fill: color("fg"), stroke: color("bg") }) +
    line([[0, 12], [22, 12]], first) + text(28, 17, "one vector", { bold: true, size: 13 }) +
    line([[130, 12], [152, 12]], second) + text(158, 17, VECTORS[K], { bold: true, size: 13 }) +
    text(0, 36, `films to her taste, of ${n}`, { fill: color("muted") }) +
    text(306, HEIGHT - 6, `angle between the tastes: ${fixed(between, 0)}°`, { anchor: "end" }));
}

export const draw = (state, result) => [
  drawPlane(state, result, result.one, VECTORS[1]), drawPlane(state, result, result.several, VECTORS[state.num_interests]), drawAngles(state, result),
];

// ---- handles and controls ----

/** The centre of a taste whose knob is at a place in the picture. */
function centre(x, y) {
  const knob = [plane.x.invert(clamp(x, EDGE, WIDTH - EDGE)), plane.y.invert(clamp(y, EDGE, BASE))], n = norm(knob) || 1;
  return inside(knob.map((v) => (v * Math.max(n - BEYOND, 0.1)) / n));
}

export function handles({ tastes, n }, { angle: between, one, several }) {
  const said = `${fixed(between, 0)} degrees apart; to her taste ${one.hits} and ${several.hits} of ${n}`;
  const knobs = [0, 1].flatMap((panel) => tastes.map((taste, k) => {
    const [x, y] = knobAt(taste);
    return { panel, x, y, name: `${TASTES[k]}, the whole taste`, text: `at ${fixed(degrees(taste), 0)} degrees, ${said}`, step: 4,
      to: (px, py) => ({ tastes: tastes.map((other, j) => (j === k ? centre(px, py) : other)) }) };
  }));
  return [...knobs, { panel: 2, x: chart.x(Math.min(between, WIDEST)), y: chart.bottom, name: "Angle between the tastes", text: said, step: 3.5,
    to: (px) => ({ tastes: apart(tastes, clamp(chart.x.invert(px), 0, WIDEST)) }) }];
}

export const say = ({ n, num_interests: K }, { angle: between, one, several }) =>
  `${fixed(between, 0)} degrees apart. To her taste: ${one.hits} of ${n} with one vector, ${several.hits} with ${VECTORS[K]}.`;

export const figure = {
  panels: Array.from({ length: 3 }, () => ({ width: WIDTH, height: HEIGHT })),
  controls: [
    { kind: "range", key: "num_interests", label: "K, vectors" },
    { kind: "range", key: "n", label: "N, films in the list" },
    { kind: "range", key: "others", label: "Other films" },
    { kind: "range", key: "spread", label: "Breadth of a taste" },
    { kind: "choice", key: "score", label: "Score", names: SCORES },
    { kind: "button", label: "Drift apart", press: ({ tastes }) => ({ tastes: apart(tastes, 8) }), every: 60,
      play: ({ tastes }) => (angle(tastes) < 104 ? { tastes: apart(tastes, angle(tastes) + 2) } : null) },
  ],
  compute, draw, handles, say,
};

export default widget(figure);
