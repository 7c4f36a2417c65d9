// Train and serve: the same interests trained by four rules, and the list that each of them serves.

import { arrow, circle, clamp, color, fixed, interest, line, mark, scale, svg, text, widget } from "./kit.js";
import { STOPS, candidateScores, dot, labelAwareWeights, largest, logSumExp, mixture, norm, normals, powerAt, powerText, ranking, softmax } from "./mirror.js";

const RULES = { target_picks: "the target picks", label_aware: "label-aware", max: "max", logsumexp: "smooth (log-sum-exp)" };
const SHORT = { target_picks: "target picks", label_aware: "label-aware", max: "max", logsumexp: "smooth" };
const FIRST = 6, RATE = 0.2, REACH = 2.1, MOST = 4;
// Groups of the catalogue: direction in degrees, spread, films, length. She watches the first two.
const GROUPS = [[12, 0.3, 6, 1.5], [108, 0.3, 5, 1.5], [215, 0.35, 8, 1.75]];

/** The films but the target: x, y and group of each. */
export function catalogue(seed) {
  const dice = normals(seed);
  return GROUPS.flatMap(([degrees, spread, number, length], group) => Array.from({ length: number }, () => {
    const angle = (degrees * Math.PI) / 180 + spread * dice(), r = clamp(length + 0.2 * dice(), 1, 2);
    return [r * Math.cos(angle), r * Math.sin(angle), group];
  }));
}

/** Mean loss (full softmax over the films) of targets, given by their places, and its gradient in the interests (K, D). */
export function lossAndGradient(interests, films, targets, rule, p) {
  const n = targets.length, K = interests.length, scores = films.map((e) => interests.map((v) => dot(v, e))); // (N, K)
  const gradients = interests.map((v) => v.map(() => 0));
  const add = (k, by, vector) => { for (let d = 0; d < vector.length; d++) gradients[k][d] += (by * vector[d]) / n; };
  if (rule === "max" || rule === "logsumexp") { // the same scores for every target
    const peaks = scores.map((row) => Math.max(...row));
    const parts = rule === "logsumexp" ? scores.map(softmax) : scores.map((row, i) => {
      const level = row.filter((s) => s === peaks[i]).length; // equal ones share the gradient
      return row.map((s) => (s === peaks[i] ? 1 / level : 0));
    });
    const all = rule === "max" ? peaks : scores.map((row) => logSumExp(row) - Math.log(K));
    const pull = softmax(all).map((x) => x * n), total = logSumExp(all);
    for (const t of targets) pull[t] -= 1;
    films.forEach((e, i) => parts[i].forEach((part, k) => { if (part) add(k, pull[i] * part, e); }));
    return { loss: targets.reduce((sum, t) => sum + total - all[t], 0) / n, gradients };
  }
  const power = rule === "target_picks" ? Infinity : p, known = {};
  let loss = 0;
  for (const t of targets) {
    const weights = labelAwareWeights(scores[t], power), key = weights.join();
    const { all, total, mean } = (known[key] ??= against(weights, scores, films)); // where one interest speaks, it does for many targets
    loss += (total - all[t]) / n;
    const pull = mean.map((x, d) => x - films[t][d]); // the gradient in the user vector
    const along = interests.map((v) => dot(v, pull)), middle = dot(weights, along);
    for (let k = 0; k < K; k++) {
      if (!weights[k]) continue;
      add(k, weights[k], pull);
      if (power !== Infinity) add(k, power * weights[k] * (along[k] - middle), films[t]); // through the weights
    }
  }
  return { loss, gradients };
}

/** A mixture of interests scores all films: the scores, the log of their sum of exponentials, the mean film under their softmax. */
function against(weights, scores, films) {
  const all = [], mean = films[0].map(() => 0);
  let sum = 0;
  for (let i = 0; i < films.length; i++) {
    let score = 0;
    for (let k = 0; k < weights.length; k++) score += weights[k] * scores[i][k];
    const part = Math.exp(score); // scores are small here: films within 3, interests within 1
    all.push(score);
    sum += part;
    for (let d = 0; d < mean.length; d++) mean[d] += part * films[i][d];
  }
  return { all, total: Math.log(sum), mean: mean.map((x) => x / sum) };
}

/** An interest stays within length 1. */
const shorten = (v) => v.map((x) => x / Math.max(1, norm(v)));

/** Interests after some steps of gradient descent on the mean loss of the targets. */
export function train(interests, films, targets, rule, p, steps) {
  let now = interests.map(shorten);
  for (let step = 0; step < steps; step++) {
    const { gradients } = lossAndGradient(now, films, targets, rule, p);
    now = now.map((v, k) => shorten(v.map((x, d) => x - RATE * gradients[k][d])));
  }
  return now;
}

/** What a rule's interests are worth for the targets: as trained, as served, and whether the same interest leads. */
export function measure(interests, films, targets, rule, p) {
  const rank = (scores, t) => ranking(scores).indexOf(t) + 1;
  const best = films.map((e) => largest(interests.map((v) => dot(v, e))));
  const served = ranking(candidateScores(interests, films[0], films, "max")), lead = best[served[0]];
  const shared = rule === "max" || rule === "logsumexp" ? candidateScores(interests, films[0], films, rule) : null;
  const ranks = targets.map((t) => ({
    trained: rank(shared ?? candidateScores(interests, films[t], films, rule, p), t), served: served.indexOf(t) + 1, agrees: best[t] === lead,
  }));
  const share = (holds) => ranks.filter(holds).length / targets.length;
  return {
    ranks, lead, picked: best, first: served.slice(0, FIRST), loss: lossAndGradient(interests, films, targets, rule, p).loss,
    trained: share((r) => r.trained <= FIRST), served: share((r) => r.served <= FIRST), agreement: share((r) => r.agrees),
  };
}

export function compute({ interests, target, rule, sharpness, steps, seed }) {
  const all = [[...target, 3], ...catalogue(seed)], films = all.map(([x, y]) => [x, y]), p = powerAt(sharpness);
  const hers = all.map(([, , group], i) => (group === 2 ? -1 : i)).filter((i) => i >= 0);
  const rules = Object.fromEntries(Object.keys(RULES).map((name) => {
    const trained = train(interests, films, hers, name, p, steps);
    return [name, { interests: trained, ...measure(trained, films, hers, name, p) }];
  }));
  const { interests: now, ranks, picked } = rules[rule], scores = now.map((v) => dot(v, films[0]));
  const { loss, gradients } = lossAndGradient(now, films, [0], rule, p), sizes = gradients.map(norm), sum = sizes.reduce((a, b) => a + b, 0);
  const weights = rule === "logsumexp" ? softmax(scores) : labelAwareWeights(scores, rule === "label_aware" ? p : Infinity);
  return {
    films: all, hers, rules, start: interests.map(shorten),
    target: { loss, weights, shares: sizes.map((x) => (sum > 0 ? x / sum : 0)), picked: picked[0], ...ranks[0] },
    user: rule === "target_picks" || rule === "label_aware" ? mixture(weights, now) : null,
  };
}

// ---- pictures ----

const plane = { x: scale([-REACH, REACH], [6, 314]), y: scale([-REACH, REACH], [314, 6]) };
const percent = (x) => `${Math.round(100 * x)} %`;
const place = ([a, b]) => [plane.x(a), plane.y(b)];

function sentence({ rule, steps }, { rules, target, films }) {
  const { trained, served, agreement, lead } = rules[rule];
  return `${RULES[rule]}, ${steps} steps: the target ranks ${target.trained} as trained and ${target.served} as served, of ${films.length}. ` +
    `The target picks interest ${target.picked + 1}, interest ${lead + 1} fills the first place as served. ` +
    `Of her films ${percent(trained)} stand among the first six as trained, ${percent(served)} as served; the same interest leads for ${percent(agreement)}.`;
}

function drawPlane(state, result) {
  const { films, rules, start, user } = result, { interests, first } = rules[state.rule], centre = place([0, 0]);
  const marks = films.map((film, i) => {
    const [x, y] = place(film), group = film[2];
    return group === 2 ? mark(2, x, y, 5, { fill: color("bg"), stroke: color("muted") }) : mark(group, x, y, group === 3 ? 8 : 5.5, { fill: i ? color("muted") : color("fg") });
  });
  const moved = interests.map((v, k) => {
    const from = place(start[k]), [a, b] = place(v), away = Math.hypot(a - centre[0], b - centre[1]) || 1;
    return line([from, [a, b]], { stroke: interest(k), width: 1.5, dash: "2 3" }) + circle(...from, 4.5, { fill: color("bg"), stroke: interest(k) }) +
      arrow(centre, [a, b], { stroke: interest(k), width: 4 }) +
      text(a + (12 * (a - centre[0])) / away, b + (12 * (b - centre[1])) / away + 4, k + 1, { anchor: "middle", fill: interest(k), bold: true });
  });
  const [tx, ty] = place(films[0]);
  return svg(320, 320, `Films in the plane, hers and others, and ${interests.length} interests. ${first.filter((i) => films[i][2] === 2).length} of the first six films as served are not hers. ${sentence(state, result)}`,
    circle(...centre, plane.x(1) - plane.x(0), { stroke: color("grid"), dash: "3 4" }) +
    first.map((i) => circle(...place(films[i]), 10, { stroke: color("fg"), width: 2 })).join("") + marks.join("") + moved.join("") +
    (user ? line([centre, place(user)], { width: 1.5, dash: "5 3" }) + circle(...place(user), 5, { fill: color("bg"), stroke: color("fg"), width: 2.5 }) : "") +
    text(clamp(tx, 22, 298), ty < 40 ? ty + 23 : ty - 14, "target", { anchor: "middle", size: 11 }) +
    text(6, 14, `${SHORT[state.rule]}, ${state.steps} step${state.steps === 1 ? "" : "s"}`, { bold: true }) +
    text(314, 14, "● ■ hers  △ not hers", { fill: color("muted"), size: 11, anchor: "end" }) +
    (state.steps ? text(6, 302, "dotted: the way of training", { fill: color("muted"), size: 11 }) : "") +
    (user ? text(6, 316, "dashed: user as trained", { fill: color("muted"), size: 11 }) : "") +
    text(314, 316, "ring: first six as served", { fill: color("muted"), size: 11, anchor: "end" }));
}

function drawTarget(state, result) {
  const { target, rules, films } = result, { lead } = rules[state.rule], K = target.weights.length, height = 112 / Math.max(3, K);
  const bar = (x, y, share, k) => `<rect x="${x}" y="${y.toFixed(1)}" width="84" height="14" fill="${color("grid")}" opacity=".5"/>` +
    `<rect x="${x}" y="${y.toFixed(1)}" width="${(84 * share).toFixed(1)}" height="14" fill="${interest(k)}"/>` +
    text(x + 122, y + 11.5, fixed(share), { anchor: "end" });
  const rows = target.weights.map((w, k) => {
    const y = 42 + (k + 0.5) * height - 7;
    return text(14, y + 11.5, k + 1, { anchor: "middle", fill: interest(k), bold: true }) + bar(30, y, w, k) + bar(182, y, target.shares[k], k);
  });
  const agrees = target.picked === lead;
  return svg(320, 226, `The target by interest: ${target.weights.map((w, k) => `${k + 1}: weight ${fixed(w)} in its score, ${fixed(target.shares[k])} of its gradient`).join("; ")}. Its loss is ${fixed(target.loss)}. ${sentence(state, result)}`,
    text(6, 16, "This target", { bold: true }) + text(314, 16, `loss ${fixed(target.loss)}`, { anchor: "end" }) +
    text(30, 34, "weight in its score", { size: 11, fill: color("muted") }) + text(182, 34, "share of its gradient", { size: 11, fill: color("muted") }) + rows.join("") +
    text(6, 178, `the target picks interest ${target.picked + 1}`, { fill: interest(target.picked), bold: true }) +
    text(6, 197, `first place as served: interest ${lead + 1}`, { fill: interest(lead), bold: true }) +
    text(314, 188, agrees ? "the same ✓" : "not the same ✗", { anchor: "end" }) +
    text(6, 218, `rank ${target.trained} as trained, ${target.served} as served, of ${films.length}`));
}

function drawRules(state, { rules, hers }) {
  const cell = (x, y, share) => `<rect x="${x}" y="${y - 14}" width="52" height="20" fill="${color("grid")}" opacity=".5"/>` +
    `<rect x="${x}" y="${y - 14}" width="${(52 * share).toFixed(1)}" height="20" fill="${color(1)}" opacity=".35"/>` + text(x + 26, y, percent(share), { anchor: "middle" });
  const rows = Object.entries(rules).map(([name, r], i) => {
    const y = 82 + 36 * i, bold = name === state.rule;
    return text(6, y, `${bold ? "▸ " : ""}${SHORT[name]}`, { bold }) + text(138, y, fixed(r.loss), { anchor: "end", bold }) +
      cell(146, y, r.trained) + cell(203, y, r.served) + cell(262, y, r.agreement);
  });
  const head = (x, y, content) => text(x, y, content, { anchor: "middle", size: 11, fill: color("muted") });
  return svg(320, 226, `Her ${hers.length} films under each rule after ${state.steps} steps. ` + Object.entries(rules).map(([name, r]) =>
    `${RULES[name]}: loss ${fixed(r.loss)}, ${percent(r.trained)} among the first six as trained, ${percent(r.served)} as served, same interest leads for ${percent(r.agreement)}`).join("; ") + ".",
    text(6, 16, `Her ${hers.length} films, ${state.steps} steps by each rule`, { bold: true }) + head(200, 38, "in the first six") +
    head(124, 54, "loss") + head(172, 54, "trained") + head(229, 54, "served") + head(288, 38, "same") + head(288, 54, "interest") + rows.join(""));
}

export const draw = (state, result) => [drawPlane(state, result), drawTarget(state, result), drawRules(state, result)];

// ---- handles and controls ----

const inside = (v, most) => clamp(Number(v.toFixed(3)), -most, most);

export function handles({ interests, target }, result) {
  const { x, y } = plane, { target: it, start } = result;
  return [
    { panel: 0, x: x(target[0]), y: y(target[1]), step: 6, name: "Target",
      text: `x ${fixed(target[0])}, y ${fixed(target[1])}, rank ${it.trained} as trained, ${it.served} as served`,
      to: (a, b) => ({ target: [inside(x.invert(a), REACH), inside(y.invert(b), REACH)] }) },
    ...start.map((v, k) => ({
      panel: 0, x: x(v[0]), y: y(v[1]), step: 4, name: `Interest ${k + 1} before training`,
      text: `x ${fixed(v[0])}, y ${fixed(v[1])}, ${fixed(it.shares[k])} of the target's gradient`,
      to: (a, b) => ({ interests: interests.map((w, j) => (j === k ? shorten([x.invert(a), y.invert(b)]).map((c) => inside(c, 1)) : w)) }),
    })),
  ];
}

export const say = sentence;

const MORE = [[-0.3, 0.2], [0.2, -0.5]];

export const figure = {
  panels: [{ width: 320, height: 320 }, { width: 320, height: 226 }, { width: 320, height: 226 }],
  controls: [
    { kind: "choice", key: "rule", label: "Training rule", names: RULES },
    { kind: "range", key: "steps", label: "Training steps" },
    { kind: "range", key: "sharpness", label: "p of label-aware", format: powerText },
    { kind: "range", key: "seed", label: "Catalogue’s dice" },
    { kind: "button", label: "One more interest", press: ({ interests }) => (interests.length < MOST ? { interests: [...interests, MORE[interests.length - 2]] } : {}) },
    { kind: "button", label: "One fewer", press: ({ interests }) => (interests.length > 2 ? { interests: interests.slice(0, -1) } : {}) },
  ],
  compute, draw, handles, say,
};

export default widget(figure);
