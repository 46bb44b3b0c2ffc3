// The live figure, drawn here and nowhere else: in notebooks and Voila as the front end of widget.py's `Picture`, in the exported and the
// served page as a script. `unpack` turns what page.py's `packed` wrote into arrays, `draw` turns a state into SVG, `stage` puts a player,
// its keys and readings around it, and `page` runs the page's controls, for which it also decodes and scores when a threshold moves.

const MODALITIES = ["audio", "visual"], LEVELS = ["segment", "event"];
const WIDTH = 1000, WIDE = 960, NARROW = 620, MARGIN = 14; // wide pages are drawn in a width of 1000, others in their own pixels
const MEDIA = 44, EVIDENCE = 150, PROBABILITY = 120, GAP = 46, STACK = 44, TRIANGLE = 190; // heights; STACK between stacked tracks
const ATTENTION = 16, EVENTS = 28, OTHERS = 13, MOST_HEIGHT = 420; // of a row of attention, events, others; of all rows together
const MOST_KEYS = 12, MOST_IN_HEAD = 3, MOST_TOLD = 60, LEAST_ROW = 11; // a lower row goes without its name
const LETTER = 6.4; // pixels of a letter, in the mean, where lines are broken
const FAINT = 0.02, LEAST_EVIDENCE = 0.01; // a lower probability is not painted, lower evidence not told
const NO_CHOICE = "no category is chosen";
const NO_EVIDENCE = "this head gives a probability only: it collects no presence and absence evidence";
const NO_ATTENTION = "this method has no attention over the snippets";
const NO_PLACE = ["point estimates have no", "vacuity, so no place in the", "triangle"];
const SHAPES = [ // markers of half-size 4 around the point
  "m-4,0a4,4 0 1 0 8,0a4,4 0 1 0 -8,0z", "m-3.5,-3.5h7v7h-7z", "m0,-4.5l4.5,8h-9z", "m0,-5l5,5l-5,5l-5,-5z", "m0,4.5l4.5,-8h-9z",
  "m-1.6,-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z", "m-4,-4h8l-8,8h8z", // seven, with which three shades make 21 looks
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
const path = (d, kind, more = "") => `<path d="${d}" class="${kind}"${more}/>`;
const line = (xs, ys) => "M" + xs.map((x, i) => `${n(x)},${n(ys[i])}`).join("L");
const band = (xs, high, low) => line([...xs, ...[...xs].reverse()], [...high, ...[...low].reverse()]) + "z";
const look = (m, k) => "av"[m] + (k % 3); // a series' colour: its modality's, in one of three shades
const of = (c) => ` data-c="${c}"`; // whose curve an element is: the others turn pale while the reader is at one
const marks = (xs, ys, k) => xs.map((x, i) => `M${n(x)},${n(ys[i])}${SHAPES[k % SHAPES.length]}`).join("");
const readable = (s) => s.replace(/_/g, " ");
const short = (s, most = 15) => {
  const letters = [...readable(s)];
  return letters.length <= most ? letters.join("") : letters.slice(0, most - 2).join("") + "…";
};

/** A text in lines of at most `most` letters, broken between words. */
function broken(told, most) {
  const lines = [""];
  for (const word of told.split(" ")) {
    if (lines.at(-1) && lines.at(-1).length + word.length >= most) lines.push("");
    lines[lines.length - 1] += (lines.at(-1) && " ") + word;
  }
  return lines;
}

/** Where things go on a page of this width: two columns with the key beside them, below them, or one column. */
function layout(width) {
  if (width >= WIDE) return { width: WIDTH, left: [112, 440], column: 298, side: 778, names: 15, narrow: false };
  const narrow = width < NARROW, first = narrow ? 90 : 112, space = 30, all = Math.max(300, Math.round(width));
  const column = narrow ? all - first - MARGIN : (all - first - space - MARGIN) / 2;
  return { width: all, left: narrow ? [first, first] : [first, first + column + space], column, side: null, names: narrow ? 10 : 15, narrow };
}

const left = (s, m) => s.place.left[m], step = (s) => s.place.column / s.T, right = (s) => left(s, 1) + s.place.column;
const top = (s, y, m, height) => y + (s.place.narrow ? m * (height + STACK) : 0); // of a track's panel in a row that begins at y
const tall = (s, height) => s.place.narrow ? 2 * height + STACK : height;
const edges = (s) => s.place.narrow ? [0, 1] : [0]; // the tracks with names and numbers at their left
const middles = (s, m) => range(s.T).map((t) => left(s, m) + (t + 0.5) * step(s));
const nothing = (s, y, height, why) => broken(why, (right(s) - left(s, 0)) / LETTER).map((told, k) =>
  text((left(s, 0) + right(s)) / 2, y + height / 2 + 15 * k, told, "quiet mid"));
const time = (s, t) => `${Number((t * s.seconds).toPrecision(6))}`;
const span = (s, t) => `${time(s, t)} to ${time(s, t + 1)} s`;
const moment = (s) => s.level === "video" ? "of the whole video" : `at ${span(s, s.snippet)}`;

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
  const raw = top / 4, base = 10 ** Math.floor(Math.log10(raw)), each = base * [1, 2, 5, 10].find((k) => k * base >= raw * 0.9999);
  return range(Math.floor(top / each * 1.0001) + 1).map((k) => each * k);
}

/** A tick's label: 0.25, 500, 1e6. */
function number(x) {
  if (x === 0 || (x >= 1e-3 && x < 1e5)) return `${Number(x.toPrecision(6))}`;
  const exponent = Math.floor(Math.log10(x) + 1e-9);
  return `${Number((x / 10 ** exponent).toPrecision(3))}e${exponent}`;
}

/** A probability in two digits; in three, or with "<", where two would make it look like the threshold that it misses. */
function share(p, threshold = null) {
  const same = (digits) => threshold !== null && p !== threshold && p.toFixed(digits) === threshold.toFixed(digits);
  if (!same(2)) return p.toFixed(2);
  return same(3) ? `${p < threshold ? "<" : ">"}${threshold.toFixed(2)}` : p.toFixed(3);
}

// ---- panels: each gives its parts and its height -------------------------------------------------------------------
/** Title, F-scores with their change by a what-if, and over each column which categories the video's probability opens. */
function head(s) {
  const most = (s.place.width - 16) / LETTER, parts = [];
  let y = 20;
  const put = (told, kind, height) => { for (const part of broken(told, most)) { parts.push(text(8, y, part, kind)); y += height; } };
  for (const part of broken(s.title, most / 1.3)) { parts.push(text(8, y, part, "title")); y += 20; }
  if (!s.scores) put("No dense reference for this video: no F-score.", "quiet", 17);
  else for (const level of LEVELS) put(`F of this video (%), ${level} level: ${fTold(s, level)}`, "quiet score", 17);
  const other = s.scores && s.before?.reference && !comparable(s) ? " The reference is that of the other track, too: its F is not to be compared." : "";
  if (s.before) put(`Pale: ${s.beforeName ?? "as it is"}.${other}`, "quiet", 17);
  y = Math.max(y + 2, 76);
  if (s.place.narrow) {
    for (const m of [0, 1]) for (const told of gates(s, m)) put(`${MODALITIES[m]}: ${told}`, "quiet gate", 15);
    return [parts, y + 36];
  }
  MODALITIES.forEach((modality, m) => {
    parts.push(text(left(s, m), y, s.present[m] ? modality : `${modality} (absent)`, `strong ${look(m, 0)}`));
    gates(s, m).forEach((told, k) => parts.push(text(left(s, m) + s.place.column, y + 14 * k, told, "quiet end gate")));
  });
  return [parts, y + 56];
}

/** Whether F before and after a what-if is of the same events: with another video's track those of that track are another's, too. */
const comparable = (s) => Boolean(s.before?.scores && s.before.reference?.every((on, i) => on === s.reference[i]));

/** The F-scores of a level; in brackets what a what-if has changed. */
function fTold(s, level) {
  const old = comparable(s) ? s.before.scores[level] : {};
  return Object.entries(s.scores[level]).map(([name, f]) => {
    const change = f - (old[name] ?? f), sign = change > 0 ? "+" : "−";
    return `${name.replace("_", "-")} ${f.toFixed(1)}` + (Math.abs(change) < 0.05 ? "" : ` (${sign}${Math.abs(change).toFixed(1)})`);
  }).join(", ");
}

function gates(s, m) {
  const p = (c) => s.video_p[m * s.C + c], threshold = (c) => s.thresholds.video[m * s.C + c], open = (c) => p(c) >= threshold(c);
  if (!s.present[m]) return [];
  if (s.chosen.length > MOST_IN_HEAD) return [`${s.chosen.filter(open).length} of ${s.chosen.length} categories open`];
  return s.chosen.map((c) => `video ${short(s.categories[c], 20)} ${share(p(c), threshold(c))} ${open(c) ? "open" : "closed"}`);
}

/** Where the film is now, in one panel; `movePlayhead` moves it. */
const playhead = (s, y, m, height) => (s.time ?? null) === null ? "" : path(`M0,${n(y)}v${n(height)}`, "playhead",
  ` data-left="${n(left(s, m))}" transform="translate(${n(left(s, m) + s.time / s.seconds * step(s))} 0)"`);

function movePlayhead(svg, s, seconds) {
  const x = Math.min(s.T, seconds / s.seconds) * step(s);
  for (const line of svg.querySelectorAll(".playhead")) line.setAttribute("transform", `translate(${n(Number(line.dataset.left) + x)} 0)`);
}

/** The spectrogram of the sound at the left, low tones below, the frames at the right, blank tiles where there is none. */
function media(s, y) {
  if (!s.media?.frames) return [[], 0];
  const { frames, spectrogram, note } = s.media, tops = [0, 1].map((m) => top(s, y, m, MEDIA));
  const parts = ["Spectrogram", "Frames"].map((title, m) => text(left(s, m), tops[m] - 7, title, "strong"));
  for (const t of range(s.T)) {
    for (const m of [0, 1]) parts.push(rect(left(s, m) + t * step(s), tops[m], step(s), MEDIA, "tile"));
    const where = `x="${n(left(s, 1) + t * step(s))}" y="${n(tops[1])}" width="${n(step(s))}" height="${MEDIA}"`;
    if (frames[t]) parts.push(`<image ${where} href="${escape(frames[t])}"/>`);
  }
  if (spectrogram) {
    const where = `x="${n(left(s, 0))}" y="${n(tops[0])}" width="${n(s.place.column)}" height="${MEDIA}"`;
    parts.push(`<image ${where} class="heard" preserveAspectRatio="none" href="${escape(spectrogram)}"/>`);
  }
  if (note) parts.push(text(left(s, 0) + s.place.column / 2, tops[0] + MEDIA / 2 + 4, short(note, 56), "quiet mid"));
  for (const m of [0, 1]) parts.push(playhead(s, tops[m], m, MEDIA));
  return [parts, tall(s, MEDIA)];
}

/** The frames of a row's two panels: title, pinned and, unless cells will lie on it, shaded snippet, axes, ticks at the seconds. */
function panel(s, y, height, title, shaded = true) {
  const every = Math.max(1, Math.ceil(s.T / 5)), parts = [];
  broken(title, s.place.narrow ? (right(s) - 8) / LETTER : 999).slice(0, 1).forEach((told) =>
    parts.push(text(s.place.narrow ? 8 : left(s, 0), y - (s.place.narrow ? 24 : 9), told, "strong")));
  for (const m of [0, 1]) {
    const up = top(s, y, m, height);
    if (s.place.narrow) parts.push(text(left(s, m), up - 8, s.present[m] ? MODALITIES[m] : `${MODALITIES[m]} (absent)`, `strong ${look(m, 0)}`));
    if (shaded) parts.push(rect(left(s, m) + s.snippet * step(s), up, step(s), height, "here"));
    if (isPinned(s)) parts.push(rect(left(s, m) + s.pinned * step(s), up, step(s), height, "pinned"));
    parts.push(path(`M${n(left(s, m))},${n(up)}V${n(up + height)}H${n(left(s, m) + s.place.column)}`, "axis"));
    for (let t = 0; t <= s.T; t += every) {
      parts.push(path(`M${n(left(s, m) + t * step(s))},${n(up + height)}v4`, "axis"));
      const last = t + every > s.T;
      parts.push(text(left(s, m) + t * step(s), up + height + 16, `${time(s, t)}${last ? " s" : ""}`, "quiet mid"));
    }
    parts.push(playhead(s, up, m, height));
  }
  return parts;
}

const isPinned = (s) => Number.isInteger(s.pinned) && s.pinned < s.T;

/** The names of rows at their left; where rows are low, of every second, third, ... */
const names = (s, rows, y, row) => edges(s).flatMap((m) => rows.flatMap((c, k) => k % Math.ceil(LEAST_ROW / row) ? []
  : [text(left(s, 0) - 8, top(s, y, m, row * rows.length) + (k + 0.5) * row + 4, short(s.categories[c], s.place.names), "end")]));

/** A row for each category that occurs: the reference's bars above, the estimate's below; a thin line is the estimate before a change. */
function events(s, y) {
  const rolls = Object.entries({ reference: s.reference, estimate: s.estimate, before: s.before?.estimate }).filter(([, roll]) => roll);
  const keep = range(s.C).filter((c) => rolls.some(([, roll]) => [0, 1].some((m) => track(s, roll, m, c).some(Boolean))));
  const row = Math.min(EVENTS, MOST_HEIGHT / Math.max(1, keep.length)), height = row * Math.max(1, keep.length);
  const parts = panel(s, y, height, s.reference ? "Events: reference above, estimate below" : "Events: estimate");
  if (!keep.length) for (const m of [0, 1])
    parts.push(text(left(s, m) + s.place.column / 2, top(s, y, m, height) + row / 2 + 4, "no event", "quiet mid"));
  parts.push(...names(s, keep, y, row));
  const where = { reference: [0.08, 0.38], estimate: [0.52, 0.38], before: [0.92, 0.1] };
  keep.forEach((c, k) => {
    for (const [kind, roll] of rolls) for (const m of [0, 1]) for (const [start, end] of runs(track(s, roll, m, c))) {
      const up = top(s, y, m, height) + row * (k + where[kind][0]);
      parts.push(rect(left(s, m) + start * step(s) + 1, up, (end - start) * step(s) - 2, row * where[kind][1], `${kind} ${look(m, 0)}`));
    }
  });
  return [parts, tall(s, height)];
}

const tick = (s, y, told) => [path(`M${left(s, 0) - 4},${n(y)}h4`, "axis"), text(left(s, 0) - 8, y + 4, told, "quiet end")];

/** A curve with its markers, each of which is also a spot for the pointer and the keys. */
function series(s, panel, ys, m, k, kind) {
  const xs = middles(s, m), c = s.chosen[k];
  xs.forEach((x, t) => s.spots.push({ panel, m, c, t, x, y: ys[t] }));
  return [path(line(xs, ys), `series ${kind} ${look(m, k)}`, of(c)), path(marks(xs, ys, k), `mark ${look(m, k)}`, of(c))];
}

/** Presence solid, absence dashed; equal scales in both columns; pale what was before a change. */
function evidence(s, y) {
  const whole = s.level === "video" ? " of the whole video" : "", height = tall(s, EVIDENCE);
  const parts = panel(s, y, EVIDENCE, `Evidence${whole}: presence solid, absence dashed`);
  if (!has(s, "e") || !s.chosen.length) return [parts.concat(nothing(s, y, EVIDENCE, s.chosen.length ? NO_EVIDENCE : NO_CHOICE)), height];
  const states = s.before && has(s.before, "e") ? [s.before, s] : [s];
  const curves = states.flatMap((from) => [0, 1].flatMap((m) => s.chosen.flatMap((c, k) => [["e", "presence"], ["a", "absence"]].map(
    ([name, kind]) => ({ from, m, k, c, kind, values: range(s.T).map((t) => value(from, name, m, t, c)) })))));
  const most = curves.reduce((found, { values }) => Math.max(found, ...values), 1e-6);
  const full = scale(most, s.log) * 1.04, place = (x, m) => top(s, y, m, EVIDENCE) + EVIDENCE * (1 - scale(x, s.log) / full);
  for (const m of edges(s)) for (const x of ticks(most, s.log)) parts.push(...tick(s, place(x, m), number(x)));
  for (const { from, m, k, c, kind, values } of curves) {
    const ys = values.map((x) => place(x, m));
    if (from === s) parts.push(...series(s, "evidence", ys, m, k, kind));
    else parts.push(path(line(middles(s, m), ys), `old ${kind === "absence" ? "dashed " : ""}${look(m, k)}`, of(c)));
  }
  return [parts, height];
}

/** The probability in a band of half the vacuity to both sides; dotted, the thresholds; pale what was before a change. */
function probability(s, y) {
  const vacuous = has(s, "u"), whole = s.level === "video" ? " of the whole video" : "", height = tall(s, PROBABILITY);
  const parts = panel(s, y, PROBABILITY, `Probability${whole}` + (vacuous ? " ± vacuity / 2" : " (no vacuity: point estimates)"));
  const place = (p, m) => top(s, y, m, PROBABILITY) + PROBABILITY * (1 - Math.min(1, Math.max(0, p)));
  for (const m of edges(s)) for (const p of [0, 0.5, 1]) parts.push(...tick(s, place(p, m), `${p}`));
  if (!s.chosen.length) return [parts.concat(nothing(s, y, PROBABILITY, NO_CHOICE)), height];
  const table = s.thresholds[s.level], all = (from, m, c) => range(s.T).map((t) => value(from, "p", m, t, c));
  for (const m of [0, 1]) {
    const xs = middles(s, m);
    s.chosen.forEach((c, k) => {
      const p = all(s, m, c), edge = (sign) => p.map((x, t) => place(x + sign * value(s, "u", m, t, c) / 2, m));
      if (vacuous) parts.push(path(band(xs, edge(1), edge(-1)), `band ${look(m, k)}`, of(c)));
      if (s.before) parts.push(path(line(xs, all(s.before, m, c).map((x) => place(x, m))), `old ${look(m, k)}`, of(c)));
      parts.push(...series(s, "probability", p.map((x) => place(x, m)), m, k, "presence"));
    });
    for (const x of new Set(s.chosen.map((c) => table[m * s.C + c])))
      parts.push(path(`M${n(left(s, m))},${n(place(x, m))}h${n(s.place.column)}`, "threshold"));
  }
  return [parts, height];
}

/** A row for each chosen category: the fuller a second's colour, the more it counts for the video. */
function attention(s, y) {
  const row = Math.min(ATTENTION, MOST_HEIGHT / Math.max(1, s.chosen.length)), full = row * s.chosen.length;
  const height = Math.max(2 * ATTENTION, full), weight = (m, t, c) => s.attention[at(s, m, t, c)], title = "Attention over the snippets";
  if (!s.attention || !s.chosen.length)
    return [panel(s, y, height, title).concat(nothing(s, y, height, s.attention ? NO_CHOICE : NO_ATTENTION)), tall(s, height)];
  const cells = [0, 1].flatMap((m) => s.chosen.flatMap((c, k) => range(s.T).map((t) => [m, t, k, weight(m, t, c)])));
  const most = cells.reduce((found, cell) => Math.max(found, cell[3]), 0) || 1;
  const parts = panel(s, y, height, `${title} (full colour: ${most.toFixed(2)})`, false);
  for (const m of edges(s)) parts.push(...names({ ...s, place: { ...s.place, narrow: false } }, s.chosen, top(s, y, m, height), row));
  for (const [m, t, k, x] of cells) {
    const where = [left(s, m) + t * step(s), top(s, y, m, height) + k * row, step(s), row];
    parts.push(rect(...where, "heat", ` fill-opacity="${(x / most).toFixed(3)}"`));
  }
  for (const m of [0, 1]) parts.push(rect(left(s, m) + s.snippet * step(s), top(s, y, m, height), step(s), full, "frame"));
  return [parts, tall(s, height)];
}

/** The categories that are not chosen, a row each: the fuller the colour, the more probable. A click chooses one. */
function others(s, y) {
  const rest = range(s.C).filter((c) => !s.chosen.includes(c)), row = Math.min(OTHERS, MOST_HEIGHT / Math.max(1, rest.length));
  if (!rest.length) return [[], 0];
  const height = row * rest.length, parts = panel(s, y, height, "Probability of the other categories", false);
  parts.push(...names(s, rest, y, row));
  rest.forEach((c, k) => {
    for (const m of [0, 1]) {
      const up = top(s, y, m, height) + k * row;
      for (const t of range(s.T)) {
        const p = value(s, "p", m, t, c), where = [left(s, m) + t * step(s), up + 0.5, step(s), Math.max(0.5, row - 1)];
        if (p >= FAINT) parts.push(rect(...where, `warm ${look(m, 0)}`, ` fill-opacity="${p.toFixed(2)}"`));
      }
      parts.push(rect(left(s, m), up, s.place.column, row, "row", ` data-add="${c}"`));
    }
  });
  for (const m of [0, 1]) parts.push(rect(left(s, m) + s.snippet * step(s), top(s, y, m, height), step(s), height, "frame"));
  return [parts, tall(s, height)];
}

const keyHeight = (s) => 18 * (Math.min(s.chosen.length, MOST_KEYS + 1) + 4);

/** What bars, lines and markers mean. */
function key(s, x, y) {
  const parts = ["reference", "estimate"].flatMap((kind, k) =>
    [rect(x, y + 18 * k, 22, 9, `${kind} key`), text(x + 32, y + 18 * k + 9, kind)]);
  MODALITIES.forEach((modality, m) => parts.push(path(marks([x + 11], [y + 41 + 18 * m], 0), `mark ${look(m, 0)}`),
    text(x + 32, y + 45 + 18 * m, `${modality} (${m ? "hollow" : "filled"} markers)`)));
  s.chosen.slice(0, MOST_KEYS + 1).forEach((c, k) => {
    const up = y + 72 + 18 * k;
    if (k === MOST_KEYS && s.chosen.length > MOST_KEYS + 1)
      parts.push(text(x + 32, up + 9, `… and ${s.chosen.length - MOST_KEYS} more`, "quiet"));
    else parts.push(path(marks([x + 11], [up + 5], k), "mark key"), text(x + 32, up + 9, short(s.categories[c], 27)));
  });
  return parts;
}

/** The triangle that opinions lie in, `size` wide: its lines and names, and where the points (belief, vacuity) and lines through them are. */
function corners(x, y, size) {
  const height = size * Math.sqrt(3) / 2, place = ([b, u]) => [x + size * (b + u / 2), y + height * (1 - u)];
  const through = (points) => line(...[0, 1].map((i) => points.map((point) => place(point)[i])));
  const drawn = [path(through([[0, 0], [1, 0], [0, 1]]) + "z", "axis corners")];
  for (const part of [0.25, 0.5, 0.75]) {
    const rest = 1 - part, ends = [[[part, 0], [part, rest]], [[0, part], [rest, part]], [[rest, 0], [0, rest]]];
    drawn.push(...ends.map((points) => path(through(points), "grid")));
  }
  drawn.push(text(x + size / 2, y - 6, "vacuity", "mid"), text(x, y + height + 16, "disbelief", "mid"),
    text(x + size, y + height + 16, "belief", "mid"));
  return { drawn, place, through };
}

/** The chosen categories' opinions as points between belief, disbelief and vacuity, on their path over the seconds. */
function triangle(s, start, y) {
  const shown = has(s, "u") && s.chosen.length, parts = [text(start, y - 24, shown ? `Opinions ${moment(s)}` : "Opinions", "strong")];
  if (!shown) return parts.concat((s.chosen.length ? NO_PLACE : [NO_CHOICE]).map((told, k) => text(start, y + 17 * k, told, "quiet")));
  const { drawn, place, through } = corners(start + 30, y, TRIANGLE);
  parts.push(...drawn);
  const clip = (b) => Math.min(1, Math.max(0, b)); // a mixture of opinions can miss the triangle by less than a line's width
  const opinion = (from, m, t, c) => {
    const p = value(from, "p", m, t, c), u = value(from, "u", m, t, c), b = clip(p - u / 2);
    return [b, 1 - b - clip(1 - p - u / 2)];
  };
  const mark = (m, t, k, kind) => {
    const [a, d] = place(opinion(s, m, t, s.chosen[k]));
    return path(marks([a], [d], k), `mark ${kind} ${look(m, k)}`, of(s.chosen[k]));
  };
  for (const m of [0, 1]) s.chosen.forEach((c, k) => {
    const now = opinion(s, m, s.snippet, c);
    if (s.level === "snippet" && s.T > 1) parts.push(path(through(range(s.T).map((t) => opinion(s, m, t, c))), `trail ${look(m, k)}`, of(c)));
    if (s.before && has(s.before, "u")) parts.push(path(through([opinion(s.before, m, s.snippet, c), now]), `old ${look(m, k)}`, of(c)));
    if (isPinned(s) && s.level === "snippet") parts.push(mark(m, s.pinned, k, "then"));
  });
  for (const m of [0, 1]) s.chosen.forEach((_, k) => parts.push(mark(m, s.snippet, k, "point")));
  return parts;
}

// ---- in words ------------------------------------------------------------------------------------------------------
/** The numbers of a series at a snippet, as texts: e, ê, p, u, as far as the head gives them. */
function reading(s, m, t, c) {
  const found = {}, threshold = s.thresholds[s.level][m * s.C + c];
  for (const [name, array] of [["e", "e"], ["ê", "a"]]) if (has(s, array)) {
    const x = value(s, array, m, t, c);
    found[name] = x > 0 && x < LEAST_EVIDENCE ? `<${LEAST_EVIDENCE}` : number(Number(x.toPrecision(3)));
  }
  found.p = share(value(s, "p", m, t, c), threshold);
  if (has(s, "u")) found.u = share(value(s, "u", m, t, c));
  return found;
}

const spoken = (found) => Object.entries(found).map(([name, x]) => `${name} ${x}`).join(", ");

/** e, ê, p and u of the chosen categories at a snippet, in a sentence. */
function readings(s, t) {
  const all = s.chosen.slice(0, 2 * MOST_IN_HEAD).flatMap((c) => [0, 1].filter((m) => s.present[m]).map((m) =>
    `${MODALITIES[m]} ${readable(s.categories[c])} ${spoken(reading(s, m, t, c))}`));
  return all.length ? `${s.level === "video" ? "Of the whole video" : `At ${span(s, t)}`}: ${all.join("; ")}.` : "";
}

/** F of the video, and which categories its probability opens, in sentences. */
const results = (s) => [
  ...(s.scores ? LEVELS.map((level) => `F at the ${level} level, in percent: ${fTold(s, level)}.`) : []),
  ...[0, 1].filter((m) => s.present[m] && s.chosen.length).map((m) => `${MODALITIES[m]}: ${gates(s, m).join(", ")}.`),
].join(" ");

/** The picture in words, for readers who do not see it: its results, the numbers of the chosen second, the events of each track. */
function describe(s) {
  const told = (roll) => {
    const all = [0, 1].flatMap((m) => s.categories.flatMap((name, c) => runs(track(s, roll, m, c))
      .map(([a, b]) => `${MODALITIES[m]} ${readable(name)} ${time(s, a)} to ${time(s, b)} s`)));
    const more = all.length > MOST_TOLD ? `, and ${all.length - MOST_TOLD} more events` : "";
    return all.slice(0, MOST_TOLD).join(", ") + more || "no event";
  };
  const seconds = [readings(s, s.snippet), isPinned(s) && s.level === "snippet" ? `Pinned. ${readings(s, s.pinned)}` : ""];
  const rolls = [s.reference ? `Reference: ${told(s.reference)}.` : "", `Estimate: ${told(s.estimate)}.`];
  return [`${s.title}.`, results(s), ...seconds, ...rolls].filter(Boolean).join(" ");
}

/** All numbers of the chosen categories as the rows of a table. */
function rows(s) {
  return range(s.T).flatMap((t) => s.chosen.flatMap((c) => [0, 1].filter((m) => s.present[m]).map((m) => ({
    seconds: span(s, t), category: readable(s.categories[c]), modality: MODALITIES[m], ...reading(s, m, t, c),
    reference: s.reference ? (s.reference[at(s, m, t, c)] ? "yes" : "no") : "", estimate: s.estimate[at(s, m, t, c)] ? "yes" : "no",
  }))));
}

const PANELS = [media, events, evidence, probability, attention, others];

/**
 * A state as the text of one SVG element: what `unpack` gives, with `estimate` (a roll), `scores` or null, `thresholds`
 * {video, snippet}, `chosen` (numbers of categories), `snippet`, `level` ("snippet" or "video"), `log`; where there are any, `media`,
 * `before` (the state without a what-if), `pinned` (another snippet) and `time` (the film's, in seconds). `width`: of the page in pixels.
 * `panels`: those drawn, by default all of `PANELS` with the key and the triangle.
 * Leaves in the state where things are: `place`, and `spots`, the markers of all curves.
 */
function draw(s, width = WIDTH) {
  Object.assign(s, { place: layout(width), spots: [], before: s.before && { ...s.before, level: s.level } });
  const [parts, first] = head(s);
  let y = first;
  for (const make of s.panels ?? PANELS) {
    const [drawn, height] = make(s, y);
    parts.push(...drawn);
    y += height && height + GAP + (s.place.narrow ? 14 : 0);
  }
  const height = s.panels ? y - 10 : Math.max(y, beside(s, s.place.side !== null ? first : y - 8, parts));
  const role = `role="img" aria-label="${escape(describe(s))}"`, crowd = s.chosen.length > 2 * MOST_IN_HEAD ? ` class="crowd"` : "";
  const size = `viewBox="0 0 ${s.place.width} ${height.toFixed(0)}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${role}${crowd}>${parts.join("")}</svg>`;
}

/** Adds the key and the triangle, beside the panels or below them; gives where they end. */
function beside(s, start, parts) {
  const wide = s.place.side !== null, below = wide || s.place.narrow ? start + keyHeight(s) + 56 : start + 26; // the triangle's top
  const [keyX, triangleX] = wide ? [s.place.side, s.place.side - 24] : s.place.narrow ? [8, 8] : [8, s.place.width / 2];
  parts.push(...key(s, keyX, start), ...triangle(s, triangleX, below));
  return Math.max(start + keyHeight(s) + 10, below + TRIANGLE + 10);
}

// ---- the film ------------------------------------------------------------------------------------------------------
/** Time that runs: the film's, or, where there is none, a plain one that ends at `end` seconds. */
class Clock {
  constructor(video) { Object.assign(this, { video, film: false, start: 0, end: 0, at: 0, since: null }); } // start: of a clip in its film

  get playing() { return this.film ? !this.video.paused && !this.video.ended : this.since !== null && this.time < this.end; }

  get time() {
    if (this.film) return Math.max(0, this.video.currentTime - this.start);
    return Math.min(this.end, this.at + (this.since === null ? 0 : (performance.now() - this.since) / 1000));
  }

  set time(seconds) {
    if (this.film) this.video.currentTime = seconds + this.start;
    Object.assign(this, { at: seconds, since: this.since === null ? null : performance.now() });
  }

  async play() {
    if (this.time >= this.end - 0.01) this.time = 0;
    if (this.film) return this.video.play().catch(() => {}); // a browser may forbid sound before the first click
    this.since = performance.now();
  }

  pause() {
    if (this.film) this.video.pause();
    Object.assign(this, { at: this.time, since: null });
  }
}

const make = (tag, fields = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...children);
  return element;
};

/** The address of a film that is given as {src}, {type, data: base64} or {type, bytes}. */
const address = (film) => film.src ?? URL.createObjectURL(new Blob([film.bytes ?? bytes(film.data)], { type: film.type }));

// ---- saving --------------------------------------------------------------------------------------------------------
const STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "fill-opacity", "opacity", "font-size", "font-weight",
  "font-family", "text-anchor", "display"];

/** The picture as a file of its own: its styles are written into it, and the page's colour lies under it. */
function standalone(svg) {
  const copy = svg.cloneNode(true), [, , width, height] = svg.getAttribute("viewBox").split(" ");
  const from = svg.querySelectorAll("*"), paper = getComputedStyle(svg.closest(".cmpae")).backgroundColor;
  copy.querySelectorAll("*").forEach((element, i) => {
    const style = getComputedStyle(from[i]);
    element.setAttribute("style", STYLES.map((name) => `${name}:${style.getPropertyValue(name)}`).join(";"));
  });
  const ground = document.createElementNS(svg.namespaceURI, "rect");
  for (const [name, x] of Object.entries({ width, height, fill: paper })) ground.setAttribute(name, x);
  copy.prepend(ground);
  for (const [name, x] of Object.entries({ width, height })) copy.setAttribute(name, x);
  return new XMLSerializer().serializeToString(copy);
}

/** The same in dots, two to a pixel. */
async function dots(svg) {
  const image = new Image(), [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  image.src = URL.createObjectURL(new Blob([standalone(svg)], { type: "image/svg+xml" }));
  await image.decode();
  const canvas = make("canvas", { width: 2 * width, height: 2 * height });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// ---- the stage: the player, the picture, and what it says ----------------------------------------------------------
/** Whether a list was changed by the pointer; keys go through its entries, and each would count as a choice. */
function byPointer(select) {
  let pointer = true;
  select.addEventListener("pointerdown", () => { pointer = true; });
  select.addEventListener("keydown", () => { pointer = false; });
  return () => pointer;
}

const PAUSE = 800, MOST_CHIPS = 12; // milliseconds of quiet before the screen reader is told; categories with a chip
const EARLY = 2e-3; // seconds by which a film may miss the time that it was told

/**
 * Builds player, bar, chips, picture and readings in `el`. `change` is called with what the reader asks for, {snippet}, {chosen} or
 * {pinned}, and answers by `show` of the new state. Gives {show, bar, picture, caption}.
 */
function stage(el, change) {
  const video = make("video", { controls: true, playsInline: true, preload: "auto", hidden: true });
  const play = make("button", { type: "button", className: "play" }), slider = make("input", { type: "range", min: 0, step: 1, className: "seek" });
  const told = make("output"), pin = make("button", { type: "button", textContent: "Pin", title: "Keep the numbers of this second (P)" });
  const saves = ["SVG", "PNG"].map((kind) => make("button", { type: "button", textContent: kind, title: `Save the picture as ${kind}` }));
  const row = make("div", { className: "controls" }, play, slider, told, pin, ...saves), chips = make("div", { className: "chips" });
  const bar = make("div", { className: "tools" }, row), note = make("p", { className: "note", hidden: true });
  const picture = make("div", { className: "picture", tabIndex: 0 }), tip = make("div", { className: "tip", hidden: true });
  const caption = make("p", { className: "caption told" }), live = make("p", { className: "live" });
  const table = make("table"), numbers = make("details", {}, make("summary", { textContent: "The numbers as a table" }), table);
  const frame = make("div", { className: "around" }, picture, tip);
  slider.setAttribute("aria-label", "second");
  live.setAttribute("aria-live", "polite");
  told.setAttribute("aria-live", "off"); // it changes with every frame of a film
  chips.setAttribute("role", "group");
  chips.setAttribute("aria-label", "categories");
  picture.setAttribute("role", "group");
  picture.setAttribute("aria-label", "Curves: left and right choose the second, up and down the curve, space plays, P pins");
  el.dataset.lmSuppressShortcuts = "true"; // JupyterLab's own keys would move its cells
  el.append(make("div", { className: "top" }, video, bar), note, chips, frame, caption, numbers, live);

  const clock = new Clock(video);
  let s = null, width = 0, shownFilm = null, focus = null, waiting = null, frameAsked = 0, hovering = false;
  const svg = () => picture.firstElementChild, second = () => Math.min(s.T - 1, Math.floor((clock.time + EARLY) / s.seconds));
  const choose = (t) => { if (t !== s.snippet) change({ snippet: t }); };
  /** Goes to a second, or anywhere in one, with the film. */
  const seek = (seconds) => {
    clock.time = Math.min(Math.max(0, seconds), s.T * s.seconds - 1e-3);
    s.time = clock.time;
    choose(second());
    movePlayhead(svg(), s, clock.time);
  };
  const go = (t) => seek(Math.min(s.T - 1, Math.max(0, t)) * s.seconds);

  const running = () => {
    cancelAnimationFrame(frameAsked);
    play.textContent = clock.playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", clock.playing ? "pause" : "play");
    if (!s) return;
    if (clock.film && clock.start && clock.playing && clock.time >= clock.end) clock.pause(); // the film goes on, its clip does not
    if (s.time === null) { s.time = clock.time; redraw(); }
    s.time = clock.time;
    movePlayhead(svg(), s, clock.time);
    if (clock.playing || !hovering) choose(second());
    tell();
    if (clock.playing) frameAsked = requestAnimationFrame(running);
    else if (!clock.film && clock.since !== null) { clock.pause(); running(); }
  };
  const toggle = async () => { if (clock.playing) clock.pause(); else await clock.play(); running(); };

  /** The film of the state, or none. */
  const load = () => {
    const film = s.film ?? null;
    clock.end = s.T * s.seconds;
    if (film === shownFilm) return;
    if (video.src.startsWith("blob:")) URL.revokeObjectURL(video.src);
    Object.assign(clock, { film: false, at: 0, since: null });
    shownFilm = film;
    note.hidden = true;
    video.hidden = !film;
    s.time = null;
    if (!film) return video.removeAttribute("src");
    video.src = address(film);
    video.setAttribute("aria-label", `film of ${s.title}`);
    video.classList.toggle("sound", Boolean(film.type?.startsWith("audio/")));
    Object.assign(clock, { film: true, start: film.start ?? 0 });
    if (clock.start) video.addEventListener("loadedmetadata", () => { clock.time = 0; }, { once: true });
  };
  video.addEventListener("error", () => {
    if (!video.getAttribute("src")) return;
    Object.assign(clock, { film: false });
    Object.assign(video, { hidden: true });
    Object.assign(note, { hidden: false, textContent: "This browser cannot play the film; the curves run without it." });
  });
  for (const event of ["play", "pause", "seeked", "ended"]) video.addEventListener(event, () => { if (clock.film) running(); });

  const tell = () => {
    const within = s.time !== null && Math.abs(clock.time - s.snippet * s.seconds) > 0.05 && second() === s.snippet;
    told.value = clock.playing || within ? `${clock.time.toFixed(1)} s` : span(s, s.snippet);
    slider.max = s.T - 1;
    slider.value = s.snippet;
    slider.setAttribute("aria-valuetext", span(s, s.snippet));
  };

  /** Marks the curve under the pointer or the keys, and tells its numbers beside it. */
  const point = (spot) => {
    focus = spot && { c: spot.c, m: spot.m, panel: spot.panel };
    svg().classList.toggle("focused", Boolean(spot));
    for (const e of svg().querySelectorAll("[data-c]")) e.classList.toggle("on", Boolean(spot) && Number(e.dataset.c) === spot.c);
    tip.hidden = !spot;
    if (!spot) return;
    const when = (t) => s.level === "video" ? "whole video" : span(s, t), { m, c } = spot;
    const lines = [`${readable(s.categories[c])}, ${MODALITIES[m]}`, `${when(spot.t)}: ${spoken(reading(s, m, spot.t, c))}`];
    if (s.before) lines.push(`before: ${spoken(reading({ ...s.before, thresholds: s.thresholds }, m, spot.t, c))}`);
    if (isPinned(s) && s.level === "snippet") lines.push(`pinned ${when(s.pinned)}: ${spoken(reading(s, m, s.pinned, c))}`);
    tip.replaceChildren(...lines.map((line) => make("div", { textContent: line })));
    const zoom = svg().getBoundingClientRect().width / s.place.width, x = spot.x * zoom, most = frame.clientWidth - tip.offsetWidth - 4;
    Object.assign(tip.style, { left: `${Math.max(4, Math.min(most, x + 14))}px`, top: `${spot.y * zoom + 14}px` });
  };
  const refocus = () => point(focus && s.spots.find((p) => p.t === s.snippet && p.c === focus.c && p.m === focus.m && p.panel === focus.panel));

  /** A list from which one category is chosen: at once by the pointer, by the keys with Enter. */
  const picker = (label, first, categories, chosen) => {
    const select = make("select", { className: "more" }), pointer = byPointer(select);
    const commit = () => { if (select.value !== "") change({ chosen: chosen(Number(select.value)) }); };
    select.setAttribute("aria-label", label);
    select.append(new Option(first, ""), ...categories.map((c) => new Option(readable(s.categories[c]), c)));
    select.addEventListener("input", () => { if (pointer()) commit(); });
    select.addEventListener("keydown", (event) => { if (event.key === "Enter") commit(); });
    return select;
  };
  const chip = (c) => {
    const b = make("button", { type: "button", className: "chip", textContent: readable(s.categories[c]), title: "Take it out of the curves" });
    b.setAttribute("aria-pressed", "true");
    b.addEventListener("click", () => change({ chosen: s.chosen.filter((x) => x !== c) }));
    const near = () => point(s.spots.find((p) => p.c === c && p.t === s.snippet && p.panel === "probability"));
    for (const event of ["pointerenter", "focus"]) b.addEventListener(event, near);
    for (const event of ["pointerleave", "blur"]) b.addEventListener(event, () => point(null));
    return b;
  };
  let chipsOf = null;
  const fillChips = () => {
    const wanted = JSON.stringify([s.categories, s.chosen]);
    if (wanted === chipsOf) return;
    chipsOf = wanted;
    const rest = range(s.C).filter((c) => !s.chosen.includes(c)), hidden = s.chosen.slice(MOST_CHIPS);
    const made = s.chosen.slice(0, MOST_CHIPS).map(chip), old = [...chips.children], was = old.findIndex((e) => e.matches(":focus"));
    if (hidden.length)
      made.push(picker("take a category out", `… and ${hidden.length} more`, hidden, (c) => s.chosen.filter((x) => x !== c)));
    if (rest.length) made.push(picker("add a category: Enter", "+ category", rest, (c) => [...s.chosen, c].sort((a, b) => a - b)));
    const added = was >= 0 && was === old.length - 1; // who added one goes on adding
    chips.replaceChildren(...made);
    if (was >= 0) made[added ? made.length - 1 : Math.min(was, made.length - 1)]?.focus({ preventScroll: true });
  };

  const fillTable = () => {
    if (!numbers.open || !s) return;
    const all = rows(s), columns = Object.keys(all[0] ?? { seconds: 0 });
    const cells = (values, tag) => make("tr", {}, ...values.map((x) => make(tag, { textContent: x })));
    table.replaceChildren(make("caption", { textContent: s.title }), make("thead", {}, cells(columns, "th")),
      make("tbody", {}, ...all.map((found) => cells(Object.values(found), "td"))));
  };
  numbers.addEventListener("toggle", fillTable);

  const redraw = () => {
    width ||= frame.clientWidth || WIDTH; // asked once, and then told by the observer: to ask makes the browser lay out the page
    picture.innerHTML = draw(s, width);
    refocus();
  };
  const show = (state) => {
    s = { ...state, time: s?.time ?? null, pinned: state.pinned ?? null };
    load();
    // the film follows the second that is chosen, but not the pointer on its way over the picture
    if (!clock.playing && !hovering && second() !== s.snippet) clock.time = s.snippet * s.seconds;
    redraw();
    fillChips();
    fillTable();
    tell();
    pin.setAttribute("aria-pressed", String(isPinned(s)));
    caption.textContent = describe(s);
    clearTimeout(waiting);
    if (!clock.playing) waiting = setTimeout(() => { live.textContent = `${readings(s, s.snippet)} ${results(s)}`; }, PAUSE);
  };

  play.addEventListener("click", toggle);
  slider.addEventListener("input", () => go(Number(slider.value)));
  const pinHere = () => change({ pinned: s.pinned === s.snippet ? null : s.snippet });
  pin.addEventListener("click", pinHere);
  const file = () => `${s.title.replace(/[^\w-]+/g, "_").slice(0, 80)}`;
  saves[0].addEventListener("click", () => save(new Blob([standalone(svg())], { type: "image/svg+xml" }), `${file()}.svg`));
  saves[1].addEventListener("click", async () => save(await dots(svg()), `${file()}.png`));

  /** The time under the pointer, in snippets, and its place in the picture; null beside the columns. */
  const under = (event) => {
    const box = svg().getBoundingClientRect(), zoom = s.place.width / box.width;
    const [x, y] = [(event.clientX - box.left) * zoom, (event.clientY - box.top) * zoom];
    const m = [0, 1].find((k) => x >= left(s, k) && x < left(s, k) + s.place.column);
    return m === undefined ? null : { t: (x - left(s, m)) / step(s), x, y };
  };
  picture.addEventListener("pointermove", (event) => {
    const here = s && under(event);
    if (!here) return s && point(null);
    const t = Math.min(s.T - 1, Math.floor(here.t));
    hovering = true;
    if (!clock.playing) choose(t);
    const near = s.spots.filter((p) => p.t === t && Math.abs(p.x - here.x) <= step(s) && Math.abs(p.y - here.y) < 40);
    point(near.sort((a, b) => Math.abs(a.y - here.y) - Math.abs(b.y - here.y))[0] ?? null);
  });
  picture.addEventListener("pointerleave", () => {
    hovering = false;
    if (!s) return;
    point(null);
    if (!clock.playing) choose(second()); // what the pointer passed over was a look, and the second that was clicked stays
  });
  picture.addEventListener("click", (event) => {
    const added = event.target.dataset?.add, here = s && under(event);
    if (added !== undefined) change({ chosen: [...s.chosen, Number(added)].sort((a, b) => a - b) });
    else if (here) seek(here.t * s.seconds);
  });

  /** Up and down: the next curve of the probability, audio before visual. */
  const next = (by) => {
    const curves = s.spots.filter((p) => p.t === s.snippet && p.panel === "probability"), count = curves.length;
    if (!count) return;
    const here = focus ? curves.findIndex((p) => p.c === focus.c && p.m === focus.m) : by > 0 ? -1 : count;
    point(curves[(here + by + count) % count]);
    live.textContent = `${MODALITIES[focus.m]} ${readable(s.categories[focus.c])} ${spoken(reading(s, focus.m, s.snippet, focus.c))}`;
  };
  const KEYS = {
    " ": toggle, ArrowLeft: () => go(s.snippet - 1), ArrowRight: () => go(s.snippet + 1), ArrowUp: () => next(-1), ArrowDown: () => next(1),
    Home: () => go(0), End: () => go(s.T - 1), p: pinHere, P: pinHere, Escape: () => point(null),
  };
  const press = (event) => {
    const at = event.target, button = row.contains(at) && at.tagName === "BUTTON" && ![" ", "Enter"].includes(event.key);
    const own = button || at === slider || at === video || !["INPUT", "SELECT", "TEXTAREA", "BUTTON", "SUMMARY"].includes(at.tagName);
    if (!s || !own || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
    event.preventDefault();
    event.stopPropagation();
    KEYS[event.key]();
  };
  el.addEventListener("keydown", press, true);
  if (globalThis.ResizeObserver) new ResizeObserver(() => {
    const now = frame.clientWidth;
    if (!s || !now) return;
    const other = JSON.stringify(layout(now)) !== JSON.stringify(layout(width));
    width = now;
    if (other) redraw();
  }).observe(frame);
  running();
  return { show, bar, picture, caption, slider, told, press, stop: () => { clock.pause(); cancelAnimationFrame(frameAsked); } };
}

// ---- in a notebook -------------------------------------------------------------------------------------------------
const DRAWN = ["video", "media", "chosen", "snippet", "level", "log", "before", "film"];

/** What the traits of `Picture` say, as a state. */
function stateOf(model) {
  const video = model.get("video"), old = model.get("before"), own = {};
  for (const name of ["media", "chosen", "snippet", "level", "log"]) own[name] = model.get(name);
  const before = old?.p ? { ...unpack(old, video.categories), scores: old.scores } : null;
  return { ...unpack(video, video.categories), thresholds: video.thresholds, scores: video.scores, before, beforeName: old?.name, ...own };
}

function render({ model, el }) {
  let waiting = false, film = null, pinned = null;
  el.classList.add("cmpae");
  const here = stage(el, (asked) => {
    if ("pinned" in asked) { pinned = asked.pinned; return show(); }
    for (const [name, x] of Object.entries(asked)) model.set(name, x);
    model.save_changes();
  });
  const show = () => {
    waiting = false;
    if (!model.get("video").p) return; // nothing is chosen yet
    const given = model.get("film"), { film: type, start } = model.get("media") ?? {};
    if (!given?.byteLength || !type) film = null;
    else if (film?.bytes !== given || film.start !== start) film = { bytes: given, type, start };
    here.show({ ...stateOf(model), film, pinned });
  };
  // one drawing for all traits of one message
  const soon = () => { if (!waiting) { waiting = true; queueMicrotask(show); } };
  const changed = DRAWN.map((name) => `change:${name}`);
  for (const event of changed) model.on(event, soon);
  show();
  return () => { here.stop(); for (const event of changed) model.off(event, soon); };
}

// ---- in a page -----------------------------------------------------------------------------------------------------
const KINDS = ["video", "snippet"], THRESHOLDS = KINDS.map((kind) => `${kind}_threshold`), MANY = 12; // more videos can be searched

/** The state that options ask for: video and change by number; without thresholds those of the run. */
function stateOfPage(data, { video, change = 0, chosen = null, snippet = 0, level = "snippet", log = false, ...given }) {
  const one = data.videos[video], thresholds = { ...data.thresholds }, size = 2 * data.categories.length;
  for (const kind of KINDS)
    if (Number.isFinite(given[`${kind}_threshold`])) thresholds[kind] = Array(size).fill(given[`${kind}_threshold`]);
  const judged = (k) => {
    const v = unpack({ reference: one.reference, ...one.changes[k] }, data.categories), estimate = decode(v, thresholds);
    return { ...v, estimate, scores: v.reference && score(v, estimate, v.reference) };
  };
  const old = data.before[change], before = old === null ? null : judged(old), v = judged(change);
  const more = { media: one.media ?? null, film: one.film ?? null, before, beforeName: old === null ? undefined : data.changes[old] };
  return { ...v, ...more, thresholds, level, log, snippet: Math.min(snippet, v.T - 1), chosen: chosen ?? one.chosen };
}

const get = (id) => document.getElementById(id);

/** Gives the page's controls their options; only the videos that the search finds are listed. */
function fill(data, search = "") {
  const groups = new Map(), option = (value, told) => new Option(told, value), sought = search.trim().toLowerCase();
  data.videos.forEach((video, i) => {
    if (!readable(video.name).toLowerCase().includes(sought)) return;
    if (!groups.has(video.why)) groups.set(video.why, Object.assign(document.createElement("optgroup"), { label: video.why }));
    groups.get(video.why).append(option(i, video.name));
  });
  const before = get("video").value;
  get("video").replaceChildren(...groups.values());
  if (before !== "" && [...get("video").options].some((one) => one.value === before)) get("video").value = before;
  if (!get("change").options.length) data.changes.forEach((told, i) => get("change").append(option(i, told)));
}

/** What the address says after "#": a view that somebody shared. */
function shared(data) {
  const found = Object.fromEntries(new URLSearchParams(location.hash.slice(1))), whole = (x) => Number.isInteger(Number(x ?? "-")) ? Math.max(0, Number(x)) : null;
  const video = data.videos.findIndex((v) => v.name === found.video), change = data.changes.indexOf(found.what);
  const chosen = found.show?.split("|").map((name) => data.categories.indexOf(name)).filter((c) => c >= 0) ?? null;
  return { ...found, video: Math.max(0, video), change: Math.max(0, change), chosen, snippet: whole(found.second) ?? 0, pinned: whole(found.pinned) };
}

/** Runs the page; gives what tests ask for, the state of options. `fetched`: number of a video -> its changes, where they are not there. */
function page(data, fetched = null) {
  const asked = { snippet: 0, chosen: null, pinned: null };
  const mean = (values) => values.reduce((x, y) => x + y, 0) / values.length;
  const own = () => { for (const kind of KINDS) get(`${kind}_threshold`).value = mean(data.thresholds[kind]); };
  const here = stage(get("stage"), (change) => { Object.assign(asked, change); show(); });
  Object.assign(here.picture, { id: "picture" });
  Object.assign(here.caption, { id: "caption" });
  Object.assign(here.slider, { id: "snippet" });
  Object.assign(here.told, { id: "snippet_value" });
  here.bar.prepend(get("choice"));
  here.bar.append(get("moving")); // beside what they change, wherever the reader has scrolled to
  get("moving").open = innerWidth > NARROW;
  document.addEventListener("keydown", (event) => { if (event.target === document.body) here.press(event); });

  const options = () => {
    const found = { log: get("log").checked, level: get("level").value, snippet: asked.snippet, chosen: asked.chosen };
    for (const id of ["video", "change"]) found[id] = Number(get(id).value);
    if (!get("own").checked) for (const kind of KINDS) found[`${kind}_threshold`] = Number(get(`${kind}_threshold`).value);
    return found;
  };
  /** Writes the view into the address, so that it can be shared. */
  const remember = (state, { video, change }) => {
    const words = new URLSearchParams({ video: data.videos[video].name, what: data.changes[change], second: state.snippet });
    words.set("show", state.chosen.map((c) => data.categories[c]).join("|"));
    for (const id of ["level", "log"]) words.set(id, id === "log" ? Number(get(id).checked) : get(id).value);
    if (asked.pinned !== null) words.set("pinned", asked.pinned);
    if (!get("own").checked) for (const id of THRESHOLDS) words.set(id, get(id).value);
    history.replaceState(null, "", `#${words}`);
  };
  const show = async () => {
    const wanted = options();
    if (Number.isNaN(wanted.video) || get("video").value === "") return;
    if (!data.videos[wanted.video].changes) {
      Object.assign(data.videos[wanted.video], await fetched(wanted.video));
      if (wanted.video !== Number(get("video").value)) return; // the reader is elsewhere by now
    }
    const state = stateOfPage(data, wanted);
    here.show({ ...state, pinned: asked.pinned });
    for (const kind of KINDS) get(`${kind}_threshold_value`).value = Number(get(`${kind}_threshold`).value).toFixed(2);
    remember(state, wanted);
  };
  const another = () => { Object.assign(asked, { chosen: null, pinned: null }); return show(); };
  const follow = () => {
    const { video, change, chosen, snippet, pinned, level, log, ...more } = shared(data);
    if (get("search").value) { get("search").value = ""; fill(data); } // it might hide the video that is asked for
    Object.assign(get("video"), { value: video });
    Object.assign(get("change"), { value: change });
    Object.assign(asked, { chosen, snippet, pinned });
    if (KINDS.includes(level)) get("level").value = level;
    if (log !== undefined) get("log").checked = log !== "0";
    get("own").checked = !THRESHOLDS.some((id) => id in more);
    own();
    for (const id of THRESHOLDS) if (id in more) get(id).value = more[id];
    return show();
  };

  fill(data);
  get("searching").hidden = data.videos.length <= MANY;
  get("search").addEventListener("input", () => {
    const before = get("video").value;
    fill(data, get("search").value);
    if (get("video").value !== "" && get("video").value !== before) another();
  });
  get("video").addEventListener("input", another);
  for (const id of ["change", "log", "level"]) get(id).addEventListener("input", show);
  for (const id of ["video", "change", "level"]) { // after the pointer's choice the keys are the picture's again
    const pointer = byPointer(get(id));
    get(id).addEventListener("change", () => { if (pointer()) here.picture.focus({ preventScroll: true }); });
  }
  for (const kind of KINDS) get(`${kind}_threshold`).addEventListener("input", () => { get("own").checked = false; show(); });
  get("own").addEventListener("input", () => { if (get("own").checked) own(); show(); });
  window.addEventListener("hashchange", follow);
  follow();
  return { changes: data.changes, state: (options) => stateOfPage(data, options) };
}

export { decode, describe, draw, number, page, runs, scale, score, share, ticks, unpack };
export default { render };
