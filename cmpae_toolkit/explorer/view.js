// The live figure, drawn here and nowhere else: in notebooks and Voila as the front end of widget.py's `Picture`, in the exported
// page as a script. `unpack` turns what page.py's `packed` wrote into arrays, `draw` turns a state into SVG, and `page` runs the
// controls of the exported page, for which it also decodes and scores when a threshold moves.

const MODALITIES = ["audio", "visual"], LEVELS = ["segment", "event"];
const WIDTH = 1000, LEFT = 112, COLUMN = 298, SPACE = 30, RIGHT = 778, TOP = 132; // one unit is a pixel at full width
const MEDIA = 44, EVIDENCE = 150, PROBABILITY = 120, GAP = 46, TRIANGLE = 190; // heights
const ATTENTION = 16, EVENTS = 28, MOST_HEIGHT = 420; // of a row of attention, of events; of all rows together
const MOST_KEYS = 12, MOST_IN_HEAD = 3, MOST_TOLD = 60, LEAST_ROW = 11; // a lower row goes without its name
const NO_CHOICE = "no category is chosen";
const NO_EVIDENCE = "this head gives a probability only: it collects no presence and absence evidence";
const NO_ATTENTION = "this method has no attention over the snippets";
const NO_PLACE = ["point estimates have no", "vacuity, so no place in the", "triangle"];
const SHAPES = [ // markers of half-size 4 around the point
  "m-4,0a4,4 0 1 0 8,0a4,4 0 1 0 -8,0z", "m-3.5,-3.5h7v7h-7z", "m0,-4.5l4.5,8h-9z", "m0,-5l5,5l-5,5l-5,-5z", "m0,4.5l4.5,-8h-9z",
  "m-1.6,-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z",
];

// ---- numbers -------------------------------------------------------------------------------------------------------
const range = (n) => Array.from({ length: n }, (_, i) => i);
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const halves = (text, read) => text ? Array.from(new Uint16Array(bytes(text).buffer), read) : null;

/** A roll [modality][snippet][category] of 0 and 1 from its bits. */
const bits = (text, size) => text ? range(size).map((i) => (text[i >> 3] >> (7 - (i & 7))) & 1) : null;

/** A packed video as flat arrays: [modality][snippet][category], and the video's own [modality][category]. */
function unpack(packed, categories) {
  const evidence = (text) => halves(text, (q) => Math.expm1(q * packed.evidence_step)), W = packed.prior_weight;
  const vacuity = (e, a, text) => e ? e.map((x, i) => W / (x + a[i] + W)) : halves(text, (q) => q / 65535);
  const v = { title: packed.title, seconds: packed.seconds, present: packed.present, categories };
  for (const level of ["", "video_"]) {
    const [e, a] = [evidence(packed[`${level}e`]), evidence(packed[`${level}a`])];
    Object.assign(v, { [`${level}p`]: new Float32Array(bytes(packed[`${level}p`]).buffer), [`${level}e`]: e, [`${level}a`]: a });
    v[`${level}u`] = vacuity(e, a, packed[`${level}u`]);
  }
  v.C = categories.length;
  v.T = v.p.length / (2 * v.C);
  v.attention = packed.attention ? Array.from(bytes(packed.attention), (q) => q * packed.attention_step) : null;
  for (const roll of ["reference", "estimate"]) v[roll] = packed[roll] ? bits(bytes(packed[roll]), v.p.length) : null;
  return v;
}

const at = (v, m, t, c) => (m * v.T + t) * v.C + c;
const track = (v, roll, m, c) => range(v.T).map((t) => roll[at(v, m, t, c)]);

/** The roll that the thresholds decide: open in the video and reached in the snippet, both >=. */
function decode(v, thresholds) {
  const active = (m, t, c) => v.present[m] && v.video_p[m * v.C + c] >= thresholds.video[m * v.C + c]
    && v.p[at(v, m, t, c)] >= thresholds.snippet[m * v.C + c];
  return [0, 1].flatMap((m) => range(v.T).flatMap((t) => range(v.C).map((c) => active(m, t, c) ? 1 : 0)));
}

/** The maximal runs of events as [start, end after it]. */
function runs(active) {
  const found = [];
  active.forEach((on, t) => {
    if (on && !active[t - 1]) found.push([t, t + 1]);
    else if (on) found[found.length - 1][1] = t + 1;
  });
  return found;
}

/** True positives, false positives and false negatives of one category in one track. */
function counts(level, est, ref) {
  if (level === "segment") {
    const sum = (f) => range(est.length).filter(f).length, hit = sum((t) => est[t] && ref[t]);
    return [hit, sum((t) => est[t]) - hit, sum((t) => ref[t]) - hit];
  }
  const [es, rs] = [runs(est), runs(ref)];
  const meets = ([a, b], [c, d]) => {
    const shared = Math.max(0, Math.min(b, d) - Math.max(a, c));
    return shared >= 0.5 * (b - a + d - c - shared) && shared > 0;
  };
  const hit = es.filter((e) => rs.some((r) => meets(e, r))).length;
  return [hit, es.length - hit, rs.length - hit];
}

/** Mean over the categories that occur of 2 TP / (2 TP + FP + FN); 1 where none occurs. */
function meanF(rows) {
  const f = rows.filter(([h, w, n]) => h + w + n > 0).map(([h, w, n]) => 2 * h / (2 * h + w + n));
  return f.length ? f.reduce((x, y) => x + y, 0) / f.length : 1;
}

/** The ten F-scores of the video in percent, as metrics.py gives them. */
function score(v, estimate, reference) {
  const result = {}, both = (roll, c) => track(v, roll, 0, c).map((on, t) => on && roll[at(v, 1, t, c)]);
  const one = (roll, k, c) => k < 2 ? track(v, roll, k, c) : both(roll, c);
  for (const level of LEVELS) {
    const table = range(3).map((k) => range(v.C).map((c) => counts(level, one(estimate, k, c), one(reference, k, c))));
    const [audio, visual, audio_visual] = table.map(meanF);
    const event = meanF(range(v.C).map((c) => range(3).map((k) => table[0][c][k] + table[1][c][k])));
    const all = { audio, visual, audio_visual, type: (audio + visual + audio_visual) / 3, event };
    result[level] = Object.fromEntries(Object.entries(all).map(([name, f]) => [name, 100 * f]));
  }
  return result;
}

// ---- elements ------------------------------------------------------------------------------------------------------
const n = (x) => x.toFixed(1);
const escape = (s) => s.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const text = (x, y, s, kind = "") => `<text x="${n(x)}" y="${n(y)}" class="${kind}">${escape(s)}</text>`;
const rect = (x, y, w, h, kind, more = "") =>
  `<rect x="${n(x)}" y="${n(y)}" width="${n(w)}" height="${n(h)}" class="${kind}"${more}/>`;
const path = (d, kind) => `<path d="${d}" class="${kind}"/>`;
const line = (xs, ys) => "M" + xs.map((x, i) => `${n(x)},${n(ys[i])}`).join("L");
const band = (xs, high, low) => line([...xs, ...[...xs].reverse()], [...high, ...[...low].reverse()]) + "z";
const left = (m) => LEFT + m * (COLUMN + SPACE);
const look = (m, k) => "av"[m] + (k % 3); // a series' colour: its modality's, in one of three shades
const marks = (xs, ys, k) => xs.map((x, i) => `M${n(x)},${n(ys[i])}${SHAPES[k % SHAPES.length]}`).join("");
const readable = (s) => s.replace(/_/g, " ");
const short = (s, most = 15) => {
  const letters = [...readable(s)];
  return letters.length <= most ? letters.join("") : letters.slice(0, most - 2).join("") + "…";
};
const middles = (s, m) => range(s.T).map((t) => left(m) + (t + 0.5) * COLUMN / s.T);
const nothing = (y, height, why) => [text((left(0) + left(1) + COLUMN) / 2, y + height / 2, why, "quiet mid")];
const time = (s, t) => `${Number((t * s.seconds).toPrecision(6))}`;
const moment = (s) => s.level === "video" ? "of the whole video" : `at ${time(s, s.snippet)} to ${time(s, s.snippet + 1)} s`;

/** The number of a series at a snippet: the snippet's own, or at the level "video" the whole video's. */
const value = (s, name, m, t, c) => s.level === "video" ? s[`video_${name}`][m * s.C + c] : s[name][at(s, m, t, c)];
const has = (s, name) => Boolean(s[(s.level === "video" ? "video_" : "") + name]);

const scale = (x, log) => !log || x <= 1 ? x : 1 + Math.log10(x); // linear up to 1, then 1 a decade

/** Round numbers from 0 to `top` > 0, at most seven. */
function ticks(top, log) {
  if (log) {
    const decades = Math.max(0, Math.ceil(Math.log10(Math.max(top, 1)))), every = Math.max(1, Math.ceil(decades / 5)), found = [0];
    for (let k = 0; k <= decades; k += every) if (10 ** k <= top * 1.0001) found.push(10 ** k);
    return found;
  }
  const raw = top / 4, base = 10 ** Math.floor(Math.log10(raw)), step = base * [1, 2, 5, 10].find((k) => k * base >= raw * 0.9999);
  return range(Math.floor(top / step * 1.0001) + 1).map((k) => step * k);
}

/** A tick's label: 0.25, 500, 1e6. */
function number(x) {
  if (x === 0 || (x >= 1e-3 && x < 1e5)) return `${Number(x.toPrecision(6))}`;
  const exponent = Math.floor(Math.log10(x) + 1e-9);
  return `${Number((x / 10 ** exponent).toPrecision(3))}e${exponent}`;
}

// ---- panels: each gives its parts and its height -------------------------------------------------------------------
/** Title, F-scores, and over each column which categories the video's probability opens. */
function head(s) {
  const parts = [text(8, 20, s.title, "title")];
  if (!s.scores) parts.push(text(8, 40, "No dense reference for this video: no F-score.", "quiet"));
  else LEVELS.forEach((level, k) => {
    const told = Object.entries(s.scores[level]).map(([name, f]) => `${name.replace("_", "-")} ${f.toFixed(1)}`).join(", ");
    parts.push(text(8, 40 + 17 * k, `F of this video (%), ${level} level: ${told}`, "quiet score"));
  });
  MODALITIES.forEach((modality, m) => {
    parts.push(text(left(m), 76, s.present[m] ? modality : `${modality} (absent)`, `strong ${look(m, 0)}`));
    gates(s, m).forEach((told, k) => parts.push(text(left(m) + COLUMN, 76 + 14 * k, told, "quiet end gate")));
  });
  return parts;
}

function gates(s, m) {
  const p = (c) => s.video_p[m * s.C + c], open = (c) => p(c) >= s.thresholds.video[m * s.C + c];
  if (!s.present[m]) return [];
  if (s.chosen.length > MOST_IN_HEAD) return [`${s.chosen.filter(open).length} of ${s.chosen.length} categories open`];
  return s.chosen.map((c) => `video ${short(s.categories[c], 20)} ${p(c).toFixed(2)} ${open(c) ? "open" : "closed"}`);
}

/** The outline of the sound at the left, the frames at the right, blank tiles where there is none. */
function media(s, y) {
  if (!s.media?.frames) return [[], 0];
  const { frames, waveform, note } = s.media, step = COLUMN / s.T;
  const parts = [text(left(0), y - 7, "Waveform", "strong"), text(left(1), y - 7, "Frames", "strong")];
  for (const t of range(s.T)) {
    parts.push(rect(left(0) + t * step, y, step, MEDIA, "tile"), rect(left(1) + t * step, y, step, MEDIA, "tile"));
    const place = `x="${n(left(1) + t * step)}" y="${n(y)}" width="${n(step)}" height="${MEDIA}"`;
    if (frames[t]) parts.push(`<image ${place} href="${escape(frames[t])}"/>`);
  }
  if (waveform) {
    const xs = waveform.map((_, i) => left(0) + (i + 0.5) * COLUMN / waveform.length);
    const edge = (side) => waveform.map((ends) => y + MEDIA * (0.5 - 0.48 * ends[side]));
    parts.push(path(band(xs, edge(1), edge(0)), "wave"));
  }
  if (note) parts.push(text(left(0) + COLUMN / 2, y + MEDIA / 2 + 4, short(note, 56), "quiet mid"));
  return [parts, MEDIA];
}

/** The frames of a row's two panels: title, shaded snippet, axes, ticks at the seconds. */
function panel(s, y, height, title) {
  const step = COLUMN / s.T, every = Math.max(1, Math.ceil(s.T / 5)), parts = [text(left(0), y - 9, title, "strong")];
  for (const m of [0, 1]) {
    parts.push(rect(left(m) + s.snippet * step, y, step, height, "here"));
    parts.push(path(`M${n(left(m))},${n(y)}V${n(y + height)}H${n(left(m) + COLUMN)}`, "axis"));
    for (let t = 0; t <= s.T; t += every) {
      parts.push(path(`M${n(left(m) + t * step)},${n(y + height)}v4`, "axis"));
      parts.push(text(left(m) + t * step, y + height + 16, `${time(s, t)}${t + every > s.T ? " s" : ""}`, "quiet mid"));
    }
  }
  return parts;
}

/** The names of rows at their left; where rows are low, of every second, third, ... */
const names = (s, rows, y, row) => rows.flatMap((c, k) =>
  k % Math.ceil(LEAST_ROW / row) ? [] : [text(LEFT - 8, y + (k + 0.5) * row + 4, short(s.categories[c]), "end")]);

/** A row for each category that occurs: the reference's bars above, the estimate's below. */
function events(s, y) {
  const rolls = Object.entries({ reference: s.reference, estimate: s.estimate }).filter(([, roll]) => roll);
  const keep = range(s.C).filter((c) => rolls.some(([, roll]) => [0, 1].some((m) => track(s, roll, m, c).some(Boolean))));
  const row = Math.min(EVENTS, MOST_HEIGHT / Math.max(1, keep.length)), height = row * Math.max(1, keep.length), step = COLUMN / s.T;
  const parts = panel(s, y, height, "Events: " + rolls.map(([kind]) => kind).join(" above, ") + (rolls.length > 1 ? " below" : ""));
  if (!keep.length) for (const m of [0, 1]) parts.push(text(left(m) + COLUMN / 2, y + row / 2 + 4, "no event", "quiet mid"));
  parts.push(...names(s, keep, y, row));
  keep.forEach((c, k) => {
    for (const [kind, roll] of rolls) for (const m of [0, 1]) for (const [start, end] of runs(track(s, roll, m, c))) {
      const top = y + row * (k + (kind === "reference" ? 0.08 : 0.52));
      parts.push(rect(left(m) + start * step + 1, top, (end - start) * step - 2, row * 0.38, `${kind} ${look(m, 0)}`));
    }
  });
  return [parts, height];
}

const tick = (y, told) => [path(`M${LEFT - 4},${n(y)}h4`, "axis"), text(LEFT - 8, y + 4, told, "quiet end")];
const series = (xs, ys, m, k, kind) => [path(line(xs, ys), `series ${kind} ${look(m, k)}`), path(marks(xs, ys, k), `mark ${look(m, k)}`)];

/** Presence solid, absence dashed; equal scales in both columns. */
function evidence(s, y) {
  const whole = s.level === "video" ? " of the whole video" : "";
  const parts = panel(s, y, EVIDENCE, `Evidence${whole}: presence solid, absence dashed`);
  if (!has(s, "e") || !s.chosen.length) return [parts.concat(nothing(y, EVIDENCE, s.chosen.length ? NO_EVIDENCE : NO_CHOICE)), EVIDENCE];
  const curve = (name, m, c) => range(s.T).map((t) => value(s, name, m, t, c));
  const curves = [0, 1].flatMap((m) => s.chosen.flatMap((c, k) => [["e", "presence"], ["a", "absence"]].map(([name, kind]) =>
    ({ m, k, kind, values: curve(name, m, c) }))));
  const top = curves.reduce((most, { values }) => Math.max(most, ...values), 1e-6);
  const full = scale(top, s.log) * 1.04, place = (x) => y + EVIDENCE * (1 - scale(x, s.log) / full);
  for (const x of ticks(top, s.log)) parts.push(...tick(place(x), number(x)));
  for (const { m, k, kind, values } of curves) parts.push(...series(middles(s, m), values.map(place), m, k, kind));
  return [parts, EVIDENCE];
}

/** The probability in a band of half the vacuity to both sides; dotted, the thresholds. */
function probability(s, y) {
  const vacuous = has(s, "u"), whole = s.level === "video" ? " of the whole video" : "";
  const parts = panel(s, y, PROBABILITY, `Probability${whole}` + (vacuous ? " ± vacuity / 2" : " (no vacuity: point estimates)"));
  const place = (p) => y + PROBABILITY * (1 - Math.min(1, Math.max(0, p)));
  for (const p of [0, 0.5, 1]) parts.push(...tick(place(p), `${p}`));
  if (!s.chosen.length) return [parts.concat(nothing(y, PROBABILITY, NO_CHOICE)), PROBABILITY];
  const table = s.thresholds[s.level];
  for (const m of [0, 1]) {
    const xs = middles(s, m);
    s.chosen.forEach((c, k) => {
      const p = range(s.T).map((t) => value(s, "p", m, t, c));
      const edge = (sign) => p.map((x, t) => place(x + sign * value(s, "u", m, t, c) / 2));
      if (vacuous) parts.push(path(band(xs, edge(1), edge(-1)), `band ${look(m, k)}`));
      parts.push(...series(xs, p.map(place), m, k, "presence"));
    });
    for (const x of new Set(s.chosen.map((c) => table[m * s.C + c])))
      parts.push(path(`M${n(left(m))},${n(place(x))}h${COLUMN}`, "threshold"));
  }
  return [parts, PROBABILITY];
}

/** A row for each chosen category: the fuller a second's colour, the more it counts for the video. */
function attention(s, y) {
  const row = Math.min(ATTENTION, MOST_HEIGHT / Math.max(1, s.chosen.length)), height = Math.max(2 * ATTENTION, row * s.chosen.length);
  const step = COLUMN / s.T, weight = (m, t, c) => s.attention[at(s, m, t, c)], title = "Attention over the snippets";
  if (!s.attention || !s.chosen.length)
    return [panel(s, y, height, title).concat(nothing(y, height, s.attention ? NO_CHOICE : NO_ATTENTION)), height];
  const cells = [0, 1].flatMap((m) => s.chosen.flatMap((c, k) => range(s.T).map((t) => [m, t, k, weight(m, t, c)])));
  const top = cells.reduce((most, cell) => Math.max(most, cell[3]), 0) || 1;
  const parts = panel(s, y, height, `${title} (full colour: ${top.toFixed(2)})`).concat(names(s, s.chosen, y, row));
  for (const [m, t, k, x] of cells)
    parts.push(rect(left(m) + t * step, y + k * row, step, row, "heat", ` fill-opacity="${(x / top).toFixed(3)}"`));
  for (const m of [0, 1]) parts.push(rect(left(m) + s.snippet * step, y, step, row * s.chosen.length, "frame"));
  return [parts, height];
}

const keyHeight = (s) => 18 * (Math.min(s.chosen.length, MOST_KEYS + 1) + 4);

/** What bars, lines and markers mean. */
function key(s, y) {
  const parts = ["reference", "estimate"].flatMap((kind, k) =>
    [rect(RIGHT, y + 18 * k, 22, 9, `${kind} key`), text(RIGHT + 32, y + 18 * k + 9, kind)]);
  MODALITIES.forEach((modality, m) => parts.push(path(marks([RIGHT + 11], [y + 41 + 18 * m], 0), `mark ${look(m, 0)}`),
    text(RIGHT + 32, y + 45 + 18 * m, `${modality} (${m ? "hollow" : "filled"} markers)`)));
  s.chosen.slice(0, MOST_KEYS + 1).forEach((c, k) => {
    const top = y + 72 + 18 * k;
    if (k === MOST_KEYS && s.chosen.length > MOST_KEYS + 1)
      parts.push(text(RIGHT + 32, top + 9, `… and ${s.chosen.length - MOST_KEYS} more`, "quiet"));
    else parts.push(path(marks([RIGHT + 11], [top + 5], k), "mark key"), text(RIGHT + 32, top + 9, short(s.categories[c], 27)));
  });
  return parts;
}

/** The chosen categories' opinions as points between belief, disbelief and vacuity. */
function triangle(s, y) {
  const shown = has(s, "u") && s.chosen.length, parts = [text(RIGHT, y - 24, shown ? `Opinions ${moment(s)}` : "Opinions", "strong")];
  if (!shown) return parts.concat((s.chosen.length ? NO_PLACE : [NO_CHOICE]).map((told, k) => text(RIGHT, y + 17 * k, told, "quiet")));
  const x = RIGHT + 6, height = TRIANGLE * Math.sqrt(3) / 2;
  const place = ([b, u]) => [x + TRIANGLE * (b + u / 2), y + height * (1 - u)];
  const through = (...points) => { const ends = points.map(place); return line(ends.map((e) => e[0]), ends.map((e) => e[1])); };
  parts.push(path(through([0, 0], [1, 0], [0, 1]) + "z", "axis"));
  for (const share of [0.25, 0.5, 0.75]) {
    const rest = 1 - share, ends = [[[share, 0], [share, rest]], [[0, share], [rest, share]], [[rest, 0], [0, rest]]];
    parts.push(...ends.map((points) => path(through(...points), "grid")));
  }
  parts.push(text(x + TRIANGLE / 2, y - 6, "vacuity", "mid"), text(x, y + height + 16, "disbelief", "mid"),
    text(x + TRIANGLE, y + height + 16, "belief", "mid"));
  const clip = (b) => Math.min(1, Math.max(0, b)); // a mixture of opinions can miss the triangle by less than a line's width
  for (const m of [0, 1]) s.chosen.forEach((c, k) => {
    const p = value(s, "p", m, s.snippet, c), u = value(s, "u", m, s.snippet, c), b = clip(p - u / 2);
    const [a, d] = place([b, 1 - b - clip(1 - p - u / 2)]);
    parts.push(path(marks([a], [d], k), `mark point ${look(m, k)}`));
  });
  return parts;
}

/** The picture in words, for readers who do not see it: the events of each track. */
function describe(s) {
  const told = (roll) => {
    const all = [0, 1].flatMap((m) => s.categories.flatMap((name, c) => runs(track(s, roll, m, c))
      .map(([a, b]) => `${MODALITIES[m]} ${readable(name)} ${time(s, a)} to ${time(s, b)} s`)));
    const more = all.length > MOST_TOLD ? `, and ${all.length - MOST_TOLD} more events` : "";
    return all.slice(0, MOST_TOLD).join(", ") + more || "no event";
  };
  return `${s.title}.${s.reference ? ` Reference: ${told(s.reference)}.` : ""} Estimate: ${told(s.estimate)}.`;
}

/**
 * A state as the text of one SVG element: what `unpack` gives, with `estimate` (a roll), `scores` or null, `thresholds`
 * {video, snippet}, `chosen` (numbers of categories), `snippet`, `level` ("snippet" or "video"), `log`, and `media` where there are any.
 */
function draw(s) {
  let y = TOP;
  const parts = head(s);
  for (const make of [media, events, evidence, probability, attention]) {
    const [drawn, height] = make(s, y);
    parts.push(...drawn);
    y += height && height + GAP;
  }
  const below = TOP + keyHeight(s) + 56; // the triangle's top
  parts.push(...key(s, TOP), ...triangle(s, below));
  const height = Math.max(y, below + TRIANGLE + 10).toFixed(0);
  const role = `role="img" aria-label="${escape(describe(s))}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ${role}>${parts.join("")}</svg>`;
}

/** Calls `choose` with the snippet under the pointer when it becomes another than that of the state drawn in `element`. */
function followPointer(element, state, choose) {
  element.addEventListener("pointermove", (event) => {
    const box = element.firstElementChild.getBoundingClientRect(), x = (event.clientX - box.left) * WIDTH / box.width, s = state();
    for (const m of [0, 1]) {
      const t = Math.floor((x - left(m)) * s.T / COLUMN);
      if (t >= 0 && t < s.T && t !== s.snippet) choose(t);
    }
  });
}

// ---- in a notebook -------------------------------------------------------------------------------------------------
const DRAWN = ["video", "media", "chosen", "snippet", "level", "log"];

/** What the traits of `Picture` say, as a state. */
function stateOf(model) {
  const video = model.get("video"), own = Object.fromEntries(DRAWN.slice(2).map((name) => [name, model.get(name)]));
  return { ...unpack(video, video.categories), thresholds: video.thresholds, scores: video.scores, media: model.get("media"), ...own };
}

function render({ model, el }) {
  let state = null, waiting = false;
  const picture = document.createElement("div"), caption = document.createElement("p");
  caption.className = "caption";
  caption.setAttribute("aria-live", "polite");
  el.classList.add("cmpae");
  el.append(picture, caption);
  const show = () => {
    waiting = false;
    if (!model.get("video").p) return; // nothing is chosen yet
    state = stateOf(model);
    picture.innerHTML = draw(state);
    caption.textContent = describe(state);
  };
  // one drawing for all traits of one message
  const soon = () => { if (!waiting) { waiting = true; queueMicrotask(show); } };
  const changed = DRAWN.map((name) => `change:${name}`);
  for (const event of changed) model.on(event, soon);
  followPointer(picture, () => state, (t) => { model.set("snippet", t); model.save_changes(); });
  show();
  return () => { for (const event of changed) model.off(event, soon); };
}

// ---- in the exported page ------------------------------------------------------------------------------------------
const KINDS = ["video", "snippet"];

/** The state that options ask for: video and change by number; without thresholds those of the run. */
function stateOfPage(data, { video, change = 0, chosen = null, snippet = 0, level = "snippet", log = false, ...given }) {
  const one = data.videos[video], v = unpack({ reference: one.reference, ...one.changes[change] }, data.categories);
  const thresholds = { ...data.thresholds };
  for (const kind of KINDS)
    if (Number.isFinite(given[`${kind}_threshold`])) thresholds[kind] = Array(2 * v.C).fill(given[`${kind}_threshold`]);
  const estimate = decode(v, thresholds), scores = v.reference && score(v, estimate, v.reference);
  return { ...v, thresholds, estimate, scores, level, log, snippet: Math.min(snippet, v.T - 1), chosen: chosen ?? one.chosen };
}

const get = (id) => document.getElementById(id);

/** Gives the page's controls their options. */
function fill(data) {
  const groups = new Map(), option = (value, told) => new Option(told, value);
  data.videos.forEach((video, i) => {
    if (!groups.has(video.why)) groups.set(video.why, Object.assign(document.createElement("optgroup"), { label: video.why }));
    groups.get(video.why).append(option(i, video.name));
  });
  get("video").append(...groups.values());
  data.changes.forEach((told, i) => get("change").append(option(i, told)));
  data.categories.forEach((name, c) => get("categories").append(option(c, readable(name))));
}

/** What the page's controls ask for, as options of `stateOfPage`. */
function asked() {
  const options = { log: get("log").checked, level: get("level").value };
  for (const id of ["video", "change", "snippet"]) options[id] = Number(get(id).value);
  if (!get("own").checked) for (const kind of KINDS) options[`${kind}_threshold`] = Number(get(`${kind}_threshold`).value);
  return { ...options, chosen: [...get("categories").selectedOptions].map((o) => Number(o.value)) };
}

/** Runs the page; gives what tests ask for, the state of options. */
function page(data) {
  let shown = null;
  const mean = (values) => values.reduce((x, y) => x + y, 0) / values.length;
  const own = () => { for (const kind of KINDS) get(`${kind}_threshold`).value = mean(data.thresholds[kind]); };
  const show = () => {
    shown = stateOfPage(data, asked());
    get("picture").innerHTML = draw(shown);
    get("caption").textContent = describe(shown);
    get("snippet").max = shown.T - 1;
    get("snippet_value").value = `${time(shown, shown.snippet)} to ${time(shown, shown.snippet + 1)} s`;
    for (const kind of KINDS) get(`${kind}_threshold_value`).value = Number(get(`${kind}_threshold`).value).toFixed(2);
  };
  const another = () => {
    const { chosen } = data.videos[get("video").value];
    for (const o of get("categories").options) o.selected = chosen.includes(Number(o.value));
    show();
  };
  fill(data);
  get("video").addEventListener("input", another);
  for (const id of ["change", "snippet", "categories", "log", "level"]) get(id).addEventListener("input", show);
  for (const kind of KINDS) get(`${kind}_threshold`).addEventListener("input", () => { get("own").checked = false; show(); });
  get("own").addEventListener("input", () => { if (get("own").checked) own(); show(); });
  followPointer(get("picture"), () => shown, (t) => { get("snippet").value = t; show(); });
  own();
  another();
  return { state: (options) => stateOfPage(data, options) };
}

export { decode, describe, draw, number, page, runs, scale, score, ticks, unpack };
export default { render };
