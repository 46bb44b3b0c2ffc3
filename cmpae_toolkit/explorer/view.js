// The exported explorer: what plots/live.py draws, from numbers that explorer_page.py wrote into the page.
"use strict";
const cmpae = (() => {
  const MODALITIES = ["audio", "visual"], LEVELS = ["segment", "event"];
  const WIDTH = 1000, LEFT = 112, COLUMN = 298, SPACE = 30, RIGHT = 778, TOP = 132;
  const EVIDENCE = 150, PROBABILITY = 120, ATTENTION = 16, GAP = 46, TRIANGLE = 190, MOST_KEYS = 12, MOST_IN_HEAD = 3;
  const SHAPES = [
    "m-4,0a4,4 0 1 0 8,0a4,4 0 1 0 -8,0z", "m-3.5,-3.5h7v7h-7z", "m0,-4.5l4.5,8h-9z", "m0,-5l5,5l-5,5l-5,-5z", "m0,4.5l4.5,-8h-9z",
    "m-1.6,-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z",
  ];
  let data = null;

  // ---- numbers -----------------------------------------------------------------------------------------------------
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const range = (n) => Array.from({ length: n }, (_, i) => i);
  const evidence = (text) => text && Array.from(new Uint16Array(bytes(text)), (q) => Math.expm1(q * data.evidence_step));

  /** One video with one change: arrays [modality][snippet][category], flat, and the video's own [modality][category]. */
  function unpack(packed) {
    const v = {
      p: new Float32Array(bytes(packed.p)), e: evidence(packed.e), a: evidence(packed.a),
      attention: Array.from(new Uint8Array(bytes(packed.attention)), (q) => q * packed.attention_step),
      video_p: new Float32Array(bytes(packed.video_p)), video_e: evidence(packed.video_e), video_a: evidence(packed.video_a),
    };
    const vacuity = (e, a, text) => e ? e.map((x, i) => 2 / (x + a[i] + 2))
      : text ? Array.from(new Uint16Array(bytes(text)), (q) => q / 65535) : null;
    return { ...v, u: vacuity(v.e, v.a, packed.u), video_u: vacuity(v.video_e, v.video_a, packed.video_u) };
  }

  /** The roll [modality][snippet][category] of 0 and 1: open in the video and reached in the snippet, both >=. */
  function estimate(v, thresholds) {
    const T = data.snippets, C = data.categories.length;
    return range(2 * T * C).map((i) => {
      const m = Math.floor(i / (T * C)), c = i % C, k = m * C + c;
      return v.video_p[k] >= thresholds.video[k] && v.p[i] >= thresholds.snippet[k] ? 1 : 0;
    });
  }

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

  function scores(est, ref) {
    const T = data.snippets, C = data.categories.length, result = {};
    const track = (roll, m, c) => range(T).map((t) => m < 2 ? roll[(m * T + t) * C + c] : roll[t * C + c] && roll[(T + t) * C + c]);
    for (const level of LEVELS) {
      const table = range(3).map((m) => range(C).map((c) => counts(level, track(est, m, c), track(ref, m, c))));
      const [audio, visual, both] = table.map(meanF);
      const event = meanF(range(C).map((c) => range(3).map((k) => table[0][c][k] + table[1][c][k])));
      const all = { audio, visual, audio_visual: both, type: (audio + visual + both) / 3, event };
      result[level] = Object.fromEntries(Object.entries(all).map(([name, f]) => [name, 100 * f]));
    }
    return result;
  }

  // ---- drawing: each function mirrors the one of the same name in plots/live.py ----------------------------------
  const n = (x) => x.toFixed(1);
  const escape = (s) => s.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const text = (x, y, s, kind = "") => `<text x="${n(x)}" y="${n(y)}" class="${kind}">${escape(s)}</text>`;
  const rect = (x, y, w, h, kind, more = "") =>
    `<rect x="${n(x)}" y="${n(y)}" width="${n(w)}" height="${n(h)}" class="${kind}"${more}/>`;
  const path = (d, kind) => `<path d="${d}" class="${kind}"/>`;
  const line = (xs, ys) => "M" + xs.map((x, i) => `${n(x)},${n(ys[i])}`).join("L");
  const left = (m) => LEFT + m * (COLUMN + SPACE);
  const look = (m, k) => "av"[m] + (k % 3);
  const shape = (k) => SHAPES[k % SHAPES.length];
  const readable = (s) => s.replace(/_/g, " ");
  const short = (s, most = 15) => { const t = readable(s); return t.length <= most ? t : t.slice(0, most - 1) + "…"; };
  const middles = (m) => range(data.snippets).map((t) => left(m) + (t + 0.5) * COLUMN / data.snippets);
  const nothing = (y, height, why) => [text((left(0) + left(1) + COLUMN) / 2, y + height / 2, why, "quiet mid")];
  const at = (m, t, c) => (m * data.snippets + t) * data.categories.length + c;

  /** The number of a series at a snippet: the snippet's own, or at the level "video" the whole video's. */
  const value = (s, name, m, t, c) => s.level === "video" ? s.v["video_" + name][m * data.categories.length + c] : s.v[name][at(m, t, c)];
  const has = (s, name) => Boolean(s.v[(s.level === "video" ? "video_" : "") + name]);

  function head(s) {
    const parts = [text(8, 20, s.title, "title")];
    if (!s.scores) parts.push(text(8, 40, "No dense reference for this video: no F-score.", "quiet"));
    else LEVELS.forEach((level, k) => {
      const told = Object.entries(s.scores[level]).map(([name, f]) => `${name.replace("_", "-")} ${f.toFixed(1)}`).join(", ");
      parts.push(text(8, 40 + 17 * k, `F of this video (%), ${level} level: ${told}`, "quiet score"));
    });
    MODALITIES.forEach((modality, m) => {
      parts.push(text(left(m), 76, modality, `strong ${look(m, 0)}`));
      gates(s, m).forEach((told, k) => parts.push(text(left(m) + COLUMN, 76 + 14 * k, told, "quiet end gate")));
    });
    return parts;
  }

  function gates(s, m) {
    const C = data.categories.length, p = (c) => s.v.video_p[m * C + c], open = (c) => p(c) >= s.thresholds.video[m * C + c];
    if (s.chosen.length > MOST_IN_HEAD) return [`${s.chosen.filter(open).length} of ${s.chosen.length} categories open`];
    return s.chosen.map((c) => `video ${readable(data.categories[c])} ${p(c).toFixed(2)} ${open(c) ? "open" : "closed"}`);
  }

  function panel(s, y, height, title) {
    const T = data.snippets, step = COLUMN / T, every = Math.max(1, Math.ceil(T / 5)), parts = [text(left(0), y - 9, title, "strong")];
    for (const m of [0, 1]) {
      parts.push(rect(left(m) + s.snippet * step, y, step, height, "here"));
      parts.push(path(`M${n(left(m))},${n(y)}V${n(y + height)}H${n(left(m) + COLUMN)}`, "axis"));
      for (let t = 0; t <= T; t += every) {
        parts.push(path(`M${n(left(m) + t * step)},${n(y + height)}v4`, "axis"));
        parts.push(text(left(m) + t * step, y + height + 16, `${t}${t + every > T ? " s" : ""}`, "quiet mid"));
      }
    }
    return parts;
  }

  const track = (roll, m, c) => range(data.snippets).map((t) => roll[at(m, t, c)]);

  function events(s, y) {
    const rolls = Object.entries({ reference: s.reference, estimate: s.estimate }).filter(([, roll]) => roll);
    const keep = range(data.categories.length).filter((c) => rolls.some(([, roll]) => [0, 1].some((m) => track(roll, m, c).some(Boolean))));
    const row = keep.length <= MOST_KEYS ? 28 : 16, height = row * Math.max(1, keep.length), step = COLUMN / data.snippets;
    const parts = panel(s, y, height, "Events: " + rolls.map(([kind]) => kind).join(" above, ") + (rolls.length > 1 ? " below" : ""));
    if (!keep.length) for (const m of [0, 1]) parts.push(text(left(m) + COLUMN / 2, y + row / 2 + 4, "no event", "quiet mid"));
    keep.forEach((c, k) => {
      const top = y + k * row;
      parts.push(text(LEFT - 8, top + row / 2 + 4, short(data.categories[c]), "end"));
      for (const [kind, roll] of rolls) for (const m of [0, 1]) for (const [start, end] of runs(track(roll, m, c)))
        parts.push(rect(left(m) + start * step + 1, top + row * (kind === "reference" ? 0.08 : 0.52), (end - start) * step - 2, row * 0.38,
          `${kind} ${look(m, 0)}`));
    });
    return [parts, height];
  }

  const scale = (x, log) => !log || x <= 1 ? x : 1 + Math.log10(x);

  function ticks(top, log) {
    if (log) {
      const decades = Math.max(0, Math.ceil(Math.log10(Math.max(top, 1)))), every = Math.max(1, Math.ceil(decades / 5)), found = [0];
      for (let k = 0; k <= decades; k += every) if (10 ** k <= top * 1.0001) found.push(10 ** k);
      return found;
    }
    const raw = top / 4, base = 10 ** Math.floor(Math.log10(raw)), step = base * [1, 2, 5, 10].find((k) => k * base >= raw * 0.9999);
    return range(Math.floor(top / step * 1.0001) + 1).map((k) => step * k);
  }

  function number(x) {
    if (x === 0 || (x >= 1e-3 && x < 1e5)) return `${Number(x.toPrecision(6))}`;
    const exponent = Math.floor(Math.log10(x) + 1e-9);
    return `${Number((x / 10 ** exponent).toPrecision(3))}e${exponent}`;
  }

  const series = (xs, ys, m, k, kind) => [
    path(line(xs, ys), `series ${kind} ${look(m, k)}`),
    path(xs.map((x, i) => `M${n(x)},${n(ys[i])}${shape(k)}`).join(""), `mark ${look(m, k)}`),
  ];

  function evidencePanel(s, y) {
    const whole = s.level === "video" ? " of the whole video" : "";
    const parts = panel(s, y, EVIDENCE, `Evidence${whole}: presence solid, absence dashed`);
    if (!has(s, "e") || !s.chosen.length) return [parts.concat(nothing(y, EVIDENCE, s.chosen.length ? data.no_evidence : data.no_choice)), EVIDENCE];
    const curve = (name, m, c) => range(data.snippets).map((t) => value(s, name, m, t, c));
    const top = Math.max(1e-6, ...[0, 1].flatMap((m) => s.chosen.flatMap((c) => [...curve("e", m, c), ...curve("a", m, c)])));
    const full = scale(top, s.log) * 1.04, place = (x) => y + EVIDENCE * (1 - scale(x, s.log) / full);
    for (const x of ticks(top, s.log)) parts.push(path(`M${LEFT - 4},${n(place(x))}h4`, "axis"), text(LEFT - 8, place(x) + 4, number(x), "quiet end"));
    for (const m of [0, 1]) s.chosen.forEach((c, k) => [["e", "presence"], ["a", "absence"]].forEach(([name, kind]) =>
      parts.push(...series(middles(m), curve(name, m, c).map(place), m, k, kind))));
    return [parts, EVIDENCE];
  }

  function probability(s, y) {
    const vacuous = has(s, "u"), whole = s.level === "video" ? " of the whole video" : "";
    const parts = panel(s, y, PROBABILITY, `Probability${whole}` + (vacuous ? " ± vacuity / 2" : " (no vacuity: point estimates)"));
    const place = (p) => y + PROBABILITY * (1 - p), clip = (p) => Math.min(1, Math.max(0, p)), C = data.categories.length;
    for (const p of [0, 0.5, 1]) parts.push(path(`M${LEFT - 4},${n(place(p))}h4`, "axis"), text(LEFT - 8, place(p) + 4, `${p}`, "quiet end"));
    if (!s.chosen.length) return [parts.concat(nothing(y, PROBABILITY, data.no_choice)), PROBABILITY];
    for (const m of [0, 1]) {
      const xs = middles(m);
      s.chosen.forEach((c, k) => {
        const p = range(data.snippets).map((t) => value(s, "p", m, t, c));
        if (vacuous) {
          const half = range(data.snippets).map((t) => value(s, "u", m, t, c) / 2);
          const high = p.map((x, t) => place(clip(x + half[t]))), low = p.map((x, t) => place(clip(x - half[t])));
          parts.push(path(line([...xs, ...[...xs].reverse()], [...high, ...low.reverse()]) + "z", `band ${look(m, k)}`));
        }
        parts.push(...series(xs, p.map(place), m, k, "presence"));
      });
      const table = s.level === "video" ? s.thresholds.video : s.thresholds.snippet;
      const values = [...new Set(s.chosen.map((c) => table[m * C + c]))].sort((a, b) => a - b);
      for (const x of values) parts.push(path(`M${n(left(m))},${n(place(x))}h${COLUMN}`, "threshold"));
    }
    return [parts, PROBABILITY];
  }

  function attention(s, y) {
    const height = ATTENTION * Math.max(2, s.chosen.length), step = COLUMN / data.snippets;
    const weight = (m, t, c) => s.v.attention[at(m, t, c)];
    const top = Math.max(0, ...[0, 1].flatMap((m) => s.chosen.flatMap((c) => range(data.snippets).map((t) => weight(m, t, c))))) || 1;
    const title = "Attention over the snippets" + (s.chosen.length ? ` (full colour: ${top.toFixed(2)})` : "");
    const parts = panel(s, y, height, title);
    if (!s.chosen.length) return [parts.concat(nothing(y, height, data.no_choice)), height];
    s.chosen.forEach((c, k) => {
      parts.push(text(LEFT - 8, y + (k + 0.5) * ATTENTION + 4, short(data.categories[c]), "end"));
      for (const m of [0, 1]) for (const t of range(data.snippets))
        parts.push(rect(left(m) + t * step, y + k * ATTENTION, step, ATTENTION, "heat", ` fill-opacity="${(weight(m, t, c) / top).toFixed(3)}"`));
    });
    for (const m of [0, 1]) parts.push(rect(left(m) + s.snippet * step, y, step, ATTENTION * s.chosen.length, "frame"));
    return [parts, height];
  }

  const keyHeight = (s) => 18 * (Math.min(s.chosen.length, MOST_KEYS + 1) + 4);

  function key(s, y) {
    const parts = ["reference", "estimate"].flatMap((kind, k) =>
      [rect(RIGHT, y + 18 * k, 22, 9, `${kind} key`), text(RIGHT + 32, y + 18 * k + 9, kind)]);
    MODALITIES.forEach((modality, m) => parts.push(path(`M${n(RIGHT + 11)},${n(y + 41 + 18 * m)}${shape(0)}`, `mark ${look(m, 0)}`),
      text(RIGHT + 32, y + 45 + 18 * m, `${modality} (${m ? "hollow" : "filled"} markers)`)));
    s.chosen.slice(0, MOST_KEYS + 1).forEach((c, k) => {
      const top = y + 72 + 18 * k;
      if (k === MOST_KEYS && s.chosen.length > MOST_KEYS + 1)
        parts.push(text(RIGHT + 32, top + 9, `… and ${s.chosen.length - MOST_KEYS} more`, "quiet"));
      else parts.push(path(`M${n(RIGHT + 11)},${n(top + 5)}${shape(k)}`, "mark key"), text(RIGHT + 32, top + 9, short(data.categories[c], 27)));
    });
    return parts;
  }

  function triangle(s, y) {
    const moment = s.level === "video" ? "of the whole video" : `at ${s.snippet} to ${s.snippet + 1} s`, shown = has(s, "u") && s.chosen.length;
    const parts = [text(RIGHT, y - 24, shown ? `Opinions ${moment}` : "Opinions", "strong")];
    if (!shown) return parts.concat((s.chosen.length ? data.no_place : [data.no_choice]).map((told, k) => text(RIGHT, y + 17 * k, told, "quiet")));
    const x = RIGHT + 6, height = TRIANGLE * Math.sqrt(3) / 2;
    const place = ([b, u]) => [x + TRIANGLE * (b + u / 2), y + height * (1 - u)];
    const through = (...points) => { const ends = points.map(place); return line(ends.map((e) => e[0]), ends.map((e) => e[1])); };
    parts.push(path(through([0, 0], [1, 0], [0, 1]) + "z", "axis"));
    for (const share of [0.25, 0.5, 0.75]) {
      const rest = 1 - share;
      parts.push(...[[[share, 0], [share, rest]], [[0, share], [rest, share]], [[rest, 0], [0, rest]]].map((ends) => path(through(...ends), "grid")));
    }
    parts.push(text(x + TRIANGLE / 2, y - 6, "vacuity", "mid"), text(x, y + height + 16, "disbelief", "mid"),
      text(x + TRIANGLE, y + height + 16, "belief", "mid"));
    const clip = (b) => Math.min(1, Math.max(0, b));
    for (const m of [0, 1]) s.chosen.forEach((c, k) => {
      const p = value(s, "p", m, s.snippet, c), u = value(s, "u", m, s.snippet, c), b = clip(p - u / 2);
      const [a, d] = place([b, 1 - b - clip(1 - p - u / 2)]);
      parts.push(path(`M${n(a)},${n(d)}${shape(k)}`, `mark point ${look(m, k)}`));
    });
    return parts;
  }

  function describe(s) {
    const told = (roll) => [0, 1].flatMap((m) => data.categories.flatMap((name, c) => runs(track(roll, m, c))
      .map(([a, b]) => `${MODALITIES[m]} ${readable(name)} ${a} to ${b} s`))).join(", ") || "no event";
    return `${s.title}.${s.reference ? ` Reference: ${told(s.reference)}.` : ""} Estimate: ${told(s.estimate)}.`;
  }

  function draw(s) {
    let y = TOP;
    const parts = head(s);
    for (const make of [events, evidencePanel, probability, attention]) {
      const [drawn, height] = make(s, y);
      parts.push(...drawn);
      y += height + GAP;
    }
    const below = TOP + keyHeight(s) + 56;
    parts.push(...key(s, TOP), ...triangle(s, below));
    const height = Math.max(y, below + TRIANGLE + 10);
    const told = escape(describe(s)).replace(/"/g, "&quot;").replace(/'/g, "&#x27;");
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height.toFixed(0)}" role="img" aria-label="${told}">${parts.join("")}</svg>`;
  }

  /** The state that `options` ask for: video and change by number; without thresholds those of the run. */
  function state({ video, change = 0, chosen = null, snippet = 0, level = "snippet", log = false, video_threshold = null, snippet_threshold = null }) {
    const one = data.videos[video], packed = one.changes[change], v = unpack(packed), all = 2 * data.categories.length;
    const thresholds = {
      video: video_threshold === null ? data.thresholds.video : Array(all).fill(video_threshold),
      snippet: snippet_threshold === null ? data.thresholds.snippet : Array(all).fill(snippet_threshold),
    };
    const text_ = packed.reference ?? one.reference;
    const reference = text_ ? Array.from(new Uint8Array(bytes(text_)).slice(0), (b) => range(8).map((k) => (b >> (7 - k)) & 1)).flat()
      .slice(0, all * data.snippets) : null;
    const roll = estimate(v, thresholds);
    return {
      title: packed.title, v, thresholds, reference, estimate: roll, scores: reference && scores(roll, reference), snippet, level, log,
      chosen: chosen ?? one.chosen,
    };
  }

  // ---- the page ------------------------------------------------------------------------------------------------------
  function start(given) {
    data = given;
    const get = (id) => document.getElementById(id), option = (value, told) => new Option(told, value);
    const groups = new Map();
    data.videos.forEach((video, i) => {
      if (!groups.has(video.why)) groups.set(video.why, Object.assign(document.createElement("optgroup"), { label: video.why }));
      groups.get(video.why).append(option(i, video.name));
    });
    get("video").append(...groups.values());
    data.changes.forEach((told, i) => get("change").append(option(i, told)));
    data.categories.forEach((name, c) => get("categories").append(option(c, readable(name))));
    get("snippet").max = data.snippets - 1;
    const own = () => {
      for (const kind of ["video", "snippet"]) {
        const table = data.thresholds[kind];
        get(`${kind}_threshold`).value = table.reduce((x, y) => x + y, 0) / table.length;
      }
    };
    const read = () => ({
      video: Number(get("video").value), change: Number(get("change").value), snippet: Number(get("snippet").value),
      chosen: [...get("categories").selectedOptions].map((o) => Number(o.value)), log: get("log").checked, level: get("level").value,
      video_threshold: get("own").checked ? null : Number(get("video_threshold").value),
      snippet_threshold: get("own").checked ? null : Number(get("snippet_threshold").value),
    });
    function show() {
      const s = state(read());
      get("picture").innerHTML = draw(s);
      get("caption").textContent = describe(s);
      get("snippet_value").value = `${s.snippet} to ${s.snippet + 1} s`;
      for (const kind of ["video", "snippet"]) get(`${kind}_threshold_value`).value = Number(get(`${kind}_threshold`).value).toFixed(2);
    }
    function another() {
      const { chosen } = data.videos[get("video").value];
      for (const o of get("categories").options) o.selected = chosen.includes(Number(o.value));
      show();
    }
    get("video").addEventListener("input", another);
    for (const id of ["change", "snippet", "categories", "log", "level"]) get(id).addEventListener("input", show);
    for (const id of ["video_threshold", "snippet_threshold"]) get(id).addEventListener("input", () => { get("own").checked = false; show(); });
    get("own").addEventListener("input", () => { if (get("own").checked) own(); show(); });
    get("picture").addEventListener("pointermove", (event) => {
      const box = get("picture").getBoundingClientRect(), x = (event.clientX - box.left) * WIDTH / box.width;
      for (const m of [0, 1]) {
        const t = Math.floor((x - left(m)) * data.snippets / COLUMN);
        if (t >= 0 && t < data.snippets && t !== Number(get("snippet").value)) { get("snippet").value = t; show(); }
      }
    });
    own();
    another();
  }
  return { start, state, draw, describe };
})();
