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
