// The numbers of the live figures: what they mirror of mi_lite, and no more. Tests compare every function with torch, to
// 1e-5. One user at a time: a list of vectors is behaviours (T, D) or interests (K, D). Pure; no imports.

export const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
export const norm = (v) => Math.hypot(...v);

/** New length of a vector of length n: mi_lite.capsules.squash, by variant. */
export function newLength(n, variant = "paper") {
  const inverse = 1 / n;
  if (variant === "paper") return n < 1 ? (n * n) / (1 + n * n) : 1 / (inverse * inverse + 1);
  if (variant === "half") return n < 1 ? (n * n) / (0.5 + n * n) : 1 / (0.5 * inverse * inverse + 1);
  if (variant === "epsilon") {
    if (n < 1) return (n * n * n) / (1 + n * n) / Math.sqrt(n * n + 1e-9);
    return 1 / (inverse * inverse + 1) / Math.sqrt(1 + 1e-9 * inverse * inverse);
  }
  if (variant === "root") return n < 1 ? n / Math.sqrt(1 + n * n) : 1 / Math.sqrt(inverse * inverse + 1);
  if (variant === "exponential") return -Math.expm1(-n);
  if (variant === "unit") return n > 0 ? 1 : 0;
  throw new Error(`no squash is called ${variant}`);
}

/** mi_lite.capsules.squash of one vector. */
export function squash(vector, variant = "paper") {
  const n = norm(vector);
  return vector.map((x) => (n > 0 ? (x / n) * newLength(n, variant) : 0));
}

/** Softmax of a list; -Infinity gives 0. */
export function softmax(logits) {
  const most = Math.max(...logits);
  const parts = logits.map((x) => Math.exp(x - most));
  const sum = parts.reduce((a, b) => a + b, 0);
  return parts.map((x) => x / sum);
}

/** A source of normal numbers that gives the same ones for the same seed (mulberry32, Box and Muller). */
export function normals(seed) {
  let a = seed >>> 0;
  const uniform = () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

// ---- mi_lite.routing and mi_lite.metrics ----

/** Coupling weights (T, K) from logits (T, K). `masking` "after" weighs padding too and sets it to zero only then. */
export function couplingWeights(logits, mask, interestMask, axis, masking = "before") {
  if (axis === "interests") {
    return logits.map((row, i) => softmax(row.map((b, j) => (interestMask[j] ? b : -Infinity))).map((w) => (mask[i] ? w : 0)));
  }
  const columns = interestMask.map((exists, j) => {
    const column = softmax(logits.map((row, i) => (mask[i] || masking === "after" ? row[j] : -Infinity)));
    return column.map((w, i) => (exists && mask[i] ? w : 0));
  });
  return logits.map((_, i) => columns.map((column) => column[i]));
}

/** b2i_routing of one history: behaviours (T, D), logits (T, K), the shared map (or null); the trace of every iteration. */
export function b2iRouting({ behaviors, bilinear = null, logits, mask = null, interestMask = null, iterations = 3, update = "accumulate", axis = "interests", masking = "before" }) {
  const real = mask ?? behaviors.map(() => true), exists = interestMask ?? logits[0].map(() => true);
  const votes = behaviors.map((e, i) => (bilinear ? bilinear.map((row) => dot(row, e)) : e).map((x) => (real[i] ? x : 0)));
  const trace = [];
  let b = logits;
  for (let r = 0; r < iterations; r++) {
    const weights = couplingWeights(b, real, exists, axis, masking);
    const interests = exists.map((_, j) => squash(votes[0].map((_, d) => votes.reduce((sum, vote, i) => sum + weights[i][j] * vote[d], 0))));
    trace.push({ weights, logits: b, interests });
    const agreed = votes.map((vote) => interests.map((u) => dot(vote, u)));
    b = update === "assign" ? agreed : b.map((row, i) => row.map((x, j) => x + agreed[i][j]));
  }
  return trace;
}

/** far_apart_logits of one history: votes (T, D) → (T, K). */
export function farApartLogits(votes, numInterests, mask = null, sharpness = 5) {
  const real = mask ?? votes.map(() => true);
  const x = votes.map((v, i) => { const n = Math.max(norm(v), 1e-12); return v.map((a) => (real[i] ? a / n : 0)); });
  const free = [...real], latest = real.lastIndexOf(true), nearest = x.map(() => -Infinity), columns = [];
  let centre = latest;
  for (let j = 0; j < numInterests; j++) {
    const similarity = x.map((v) => dot(v, x[centre]));
    similarity.forEach((s, i) => { nearest[i] = Math.max(nearest[i], s); });
    columns.push(similarity);
    free[centre] = false;
    centre = free.some(Boolean) ? free.reduce((best, ok, i) => (ok && (best < 0 || nearest[i] < nearest[best]) ? i : best), -1) : latest;
  }
  return x.map((_, i) => columns.map((column) => sharpness * column[i]));
}

/** mean_cosine of one user's interests; null for fewer than two. */
export function meanCosine(interests) {
  let sum = 0, pairs = 0;
  for (let j = 0; j < interests.length; j++) {
    for (let k = 0; k < j; k++, pairs++) {
      const lengths = norm(interests[j]) * norm(interests[k]);
      sum += lengths > 0 ? dot(interests[j], interests[k]) / lengths : 0;
    }
  }
  return pairs ? sum / pairs : null;
}

export const largest = (row) => row.reduce((best, w, j) => (w > row[best] ? j : best), 0);

/** agreement(…)["purity"] of one user: each film goes to its largest weight, the lowest of equal ones. */
export function purity(weights, truth) {
  const counts = {};
  weights.forEach((row, i) => {
    const group = (counts[largest(row)] ??= {});
    group[truth[i]] = (group[truth[i]] ?? 0) + 1;
  });
  return Object.values(counts).reduce((sum, group) => sum + Math.max(...Object.values(group)), 0) / weights.length;
}

// ---- mi_lite.mind and mi_lite.losses ----

/** The last place of the slider of p; powerAt is 1 in the middle of it, and infinite at its end. */
export const STOPS = 120;
export const powerAt = (sharpness) => (sharpness === STOPS ? Infinity : sharpness / (STOPS - sharpness));
export const powerText = (sharpness) => {
  const p = powerAt(sharpness);
  return p === Infinity ? "∞" : p.toFixed(p < 10 ? 2 : 1);
};

/** The weights of label_aware_attention from the scores of one user's interests (K); null where the package refuses. */
export function labelAwareWeights(scores, p, mask = null, form = "scaled") {
  if (form !== "scaled" && p === Infinity) return null;
  if (form === "power" && !Number.isInteger(p) && scores.some((s) => s < 0)) return null;
  const existing = (row) => row.map((x, k) => (mask && !mask[k] ? -Infinity : x));
  if (p === Infinity) {
    const best = largest(existing(scores));
    return scores.map((_, k) => Number(k === best));
  }
  return softmax(existing(scores.map((s) => (form === "scaled" ? p * s : form === "power" ? s ** p : Math.sign(s) * Math.abs(s) ** p))));
}

/** Σ_k weights_k vectors_k. */
export const mixture = (weights, vectors) => vectors[0].map((_, d) => vectors.reduce((sum, v, k) => sum + weights[k] * v[d], 0));

/** label_aware_attention of one user: interests (K, D), target (D); null where the package refuses. */
export function labelAwareAttention(interests, target, p, mask = null, form = "scaled") {
  const weights = labelAwareWeights(interests.map((v) => dot(v, target)), p, mask, form);
  return weights && { weights, user: mixture(weights, interests) };
}

export function logSumExp(row) {
  const most = Math.max(...row);
  return most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0));
}

/** candidate_scores of one user: interests (K, D), target (D), candidates (M, D) → (M). */
export function candidateScores(interests, target, candidates, rule, p = 1, mask = null) {
  if (rule === "target_picks" || rule === "label_aware") {
    const { user } = labelAwareAttention(interests, target, rule === "target_picks" ? Infinity : p, mask);
    return candidates.map((e) => dot(user, e));
  }
  const some = interests.filter((_, k) => !mask || mask[k]);
  return candidates.map((e) => {
    const row = some.map((v) => dot(v, e));
    return rule === "max" ? Math.max(...row) : logSumExp(row) - Math.log(row.length);
  });
}

/** The places of the scores, best first; of equal ones the lower first, as mi_lite.retrieval orders them. */
export const ranking = (scores) => scores.map((_, i) => i).sort((i, j) => scores[j] - scores[i] || i - j);
