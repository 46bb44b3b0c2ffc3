// The story's steps. Numbers, axes, curves and the triangle are drawn by view.js, which stands before this in the page's script.

const FLAT = 2, HIGH = 210; // the least density at the top of its axis; pixels of its panel
const MOST_SPIKE = 1000; // of the slider, whose steps are hundredths of log(1 + evidence)
const TWO_TRACKS = [events, evidence, probability], CURVES = [evidence, probability];

// ---- formulas ------------------------------------------------------------------------------------------------------
/** What evidence for and against makes of it: the three masses, and the probability (prior weight 2, base rate 1/2). */
function opinion(e, a) {
  const S = e + a + 2;
  return { b: e / S, d: a / S, u: 2 / S, p: (e + 1) / S };
}

/** The logarithm of the gamma function of x >= 1, by Stirling's series, which is good from 8 on. */
function logGamma(x) {
  let shift = 0;
  for (; x < 8; x++) shift -= Math.log(x);
  return shift + (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5);
}

/** The density of Beta(e + 1, a + 1) at x. */
function density(x, e, a) {
  const power = (base, k) => k && k * Math.log(base);
  return Math.exp(logGamma(e + a + 2) - logGamma(e + 1) - logGamma(a + 1) + power(x, e) + power(1 - x, a));
}

/** The video's probability from its seconds': their evidence summed by weight, as in the paper, or their opinions averaged. */
function pooled(e, a, weights) {
  const sum = (f) => weights.reduce((found, w, t) => found + w * f(t), 0);
  return { evidence: opinion(sum((t) => e[t]), sum((t) => a[t])).p, opinions: sum((t) => opinion(e[t], a[t]).p) };
}

// ---- pictures ------------------------------------------------------------------------------------------------------
/** Densities of opinions {e, a, name, look}, and beside them (on a narrow page below) the opinions in the triangle with their `path`. */
function opinions(all, width, { axis, triangle = true }) {
  const narrow = width < 560, x0 = 40, y0 = 34, wide = width - x0 - 14 - (triangle && !narrow ? TRIANGLE + 90 : 0);
  const xs = range(201).map((i) => i / 200), curves = all.map(({ e, a }) => xs.map((x) => density(x, e, a)));
  const most = 1.06 * Math.max(FLAT, ...curves.flat()), down = y0 + HIGH;
  const [place, rise] = [(x) => x0 + x * wide, (y) => down - y / most * HIGH];
  const parts = [text(x0, 16, "How plausible each probability is", "strong"), path(`M${x0},${y0}V${down}H${n(x0 + wide)}`, "axis")];
  for (const y of ticks(most, false)) parts.push(path(`M${x0 - 4},${n(rise(y))}h4`, "axis"), text(x0 - 8, rise(y) + 4, number(y), "quiet end"));
  for (const x of [0, 0.25, 0.5, 0.75, 1]) parts.push(path(`M${n(place(x))},${down}v4`, "axis"), text(place(x), down + 17, `${x}`, "quiet mid"));
  parts.push(text(x0 + wide / 2, down + 36, axis, "quiet mid"));
  all.forEach(({ e, a, name, look }, k) => {
    const ys = curves[k].map(rise), { p } = opinion(e, a);
    parts.push(path(band(xs.map(place), ys, ys.map(() => down)), `band ${look}`), path(line(xs.map(place), ys), `series ${look}`));
    parts.push(path(`M${n(place(p))},${n(rise(density(p, e, a)))}V${down}`, `threshold`));
    if (name) parts.push(text(x0 + 10 + 80 * k, y0 + 12, name, `strong ${look}`));
  });
  const [x, y] = narrow ? [(width - TRIANGLE) / 2, down + 86] : [width - TRIANGLE - 34, 50];
  if (triangle) parts.push(...points(all, x, y));
  const height = triangle && narrow ? y + TRIANGLE : down + 46, label = all.map((o) => `${o.name ?? ""} ${told(o)}`).join("; ");
  return `<svg viewBox="0 0 ${n(width)} ${n(height)}" role="img" aria-label="${escape(label.trim())}">${parts.join("")}</svg>`;
}

function points(all, x, y) {
  const { drawn, place, through } = corners(x, y, TRIANGLE), at = ({ e, a }) => { const { b, u } = opinion(e, a); return [b, u]; };
  for (const o of all) {
    const [px, py] = place(at(o)), way = o.path?.map(at) ?? [];
    if (way.length > 1) drawn.push(path(through(way), `trail ${o.look}`));
    drawn.push(path(marks([px], [py], 0), `mark point ${o.look}`));
  }
  return drawn;
}

const digits = (x) => x > 0 && x < LEAST_EVIDENCE ? `<${LEAST_EVIDENCE}` : number(Number(x.toPrecision(3)));
const told = ({ e, a }) => {
  const { b, d, u, p } = opinion(e, a), two = (x) => x.toFixed(2);
  return `e ${digits(e)}, ê ${digits(a)}: belief ${two(b)}, disbelief ${two(d)}, vacuity u ${two(u)}; probability p ${two(p)}`;
};

// ---- the steps -----------------------------------------------------------------------------------------------------
/** Runs the page; gives what tests ask for, the formulas. */
function story(data) {
  const { scene, spike, surer } = data.story, coin = { e: 0, a: 0, path: [{ e: 0, a: 0 }], look: "a0" };
  const set = { second: scene.second, muted: false, missing: false, loud: spike.absence[spike.second] };
  const cut = (video, c, options, panels) => ({ ...stateOfPage(data, { video, chosen: [c], log: true, ...options }), panels });
  const both = () => {
    const v = cut(scene.video, scene.real, {});
    return ["sound", "picture"].map((name, m) => {
      const here = at(v, m, set.second, scene.real);
      return { e: v.e[here], a: v.a[here], name, look: look(m, 0) };
    });
  };
  const { T, seconds } = cut(scene.video, scene.real, {}), second = () => `${set.second * seconds} to ${(set.second + 1) * seconds} s`;

  /** The spike's video with another absence evidence in the loudest second. */
  const spiked = () => {
    const absence = spike.absence.map((x, t) => t === spike.second ? set.loud : x), found = pooled(spike.presence, absence, spike.weights);
    const v = cut(spike.video, spike.category, {}, CURVES), { b, u } = opinion(spike.presence[spike.second], set.loud);
    const here = at(v, spike.modality, spike.second, spike.category);
    [v.a[here], v.p[here], v.u[here]] = [set.loud, b + u / 2, u];
    v.video_p[spike.modality * v.C + spike.category] = found.evidence;
    const estimate = decode(v, v.thresholds);
    return [{ ...v, estimate, scores: score(v, estimate, v.reference), snippet: spike.second }, found];
  };
  const verdict = (id, p) => {
    const open = p >= 0.5;
    get(id).querySelector("output").textContent = `p ${share(p, 0.5)}: ${open ? "open" : "closed"}`;
    get(id).classList.toggle("open", open);
    get(id).style.setProperty("--p", p);
    return open ? "open" : "closed";
  };

  // what each step draws in a width, and says
  const SCENES = {
    coin: (width) => [opinions([coin], width, { axis: "probability of heads", triangle: false }), `Heads ${coin.e}, tails ${coin.a}: ${told(coin).split(": ")[1]}.`],
    triangle: (width) => [opinions([coin], width, { axis: "probability of heads" }), `${told(coin)}.`],
    second: (width) => [opinions(both(), width, { axis: `probability of “${readable(data.categories[scene.real])}”` }),
      `${second()}: ${both().map((o) => `${o.name} ${told(o)}`).join("; ")}.`],
    video: (width) => {
      const state = cut(scene.video, scene.real, { snippet: set.second }, TWO_TRACKS);
      return [draw(state, width), readings(state, set.second)];
    },
    mute: (width) => {
      const state = cut(scene.video, scene.alarm, { change: set.muted ? 3 : 2, snippet: set.second }, CURVES);
      if (!set.muted) state.before = null; // this step is about the picture, not about cross-attention
      const hit = range(state.T).filter((t) => state.estimate[at(state, 0, t, scene.alarm)]).length;
      return [draw(state, width), `${set.muted ? "Without the picture" : "With the picture"} ${hit} of ${state.T} seconds are reported.`];
    },
    spike: (width) => {
      const [state, found] = spiked();
      const words = [verdict("pooled_evidence", found.evidence), verdict("pooled_opinions", found.opinions)];
      return [draw(state, width), `Evidence against it ${digits(set.loud)}: with evidence pooled the video is ${words[0]}, with opinions pooled ${words[1]}.`];
    },
    surer: (width) => {
      const state = cut(surer.video, surer.category, { change: set.missing ? 1 : 0 }, CURVES);
      const u = range(state.T).reduce((sum, t) => sum + state.u[at(state, 0, t, surer.category)], 0) / state.T;
      return [draw(state, width), `${set.missing ? "Without" : "With"} the picture the mean vacuity of the sound's opinions is ${u.toFixed(2)}.`];
    },
  };
  const show = (...ids) => {
    for (const id of ids) {
      const frame = get(id).querySelector(".picture"), [picture, words] = SCENES[id](frame.clientWidth || NARROW);
      frame.innerHTML = picture;
      get(id).querySelector(".told").textContent = words;
    }
  };
  let waiting = null;
  /** Shows what the reader has changed, and after a pause says the first of these steps' sentences. */
  const change = (...ids) => {
    show(...ids);
    clearTimeout(waiting);
    waiting = setTimeout(() => { get("live").textContent = get(ids[0]).querySelector(".told").textContent; }, PAUSE);
  };

  const toss = (e, a) => {
    Object.assign(coin, { e: coin.e + e, a: coin.a + a });
    coin.path.push({ e: coin.e, a: coin.a });
    change("coin", "triangle");
  };
  const CLICKS = {
    heads: () => toss(1, 0), tails: () => toss(0, 1), many: () => toss(10, 10),
    again: () => { Object.assign(coin, { e: 0, a: 0, path: [] }); toss(0, 0); },
    muted: (button) => { set.muted = !set.muted; button.setAttribute("aria-pressed", set.muted); change("mute"); },
    missing: (button) => { set.missing = !set.missing; button.setAttribute("aria-pressed", set.missing); change("surer"); },
    own: () => { set.loud = spike.absence[spike.second]; slide(); change("spike"); },
    screen: () => document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen?.(),
  };
  get("triangle").querySelector(".do").innerHTML = get("coin").querySelector(".do").innerHTML; // it is the same coin
  for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => CLICKS[button.dataset.do](button));
  const slide = () => {
    get("loud").value = 100 * Math.log1p(set.loud);
    get("loud").setAttribute("aria-valuetext", digits(set.loud));
    for (const slider of document.querySelectorAll(".which")) {
      Object.assign(slider, { max: T - 1, value: set.second });
      slider.setAttribute("aria-valuetext", second());
    }
  };
  get("loud").max = Math.ceil(100 * Math.log1p(MOST_SPIKE));
  get("loud").addEventListener("input", (event) => { set.loud = Math.expm1(event.target.value / 100); slide(); change("spike"); });
  for (const slider of document.querySelectorAll(".which"))
    slider.addEventListener("input", () => { set.second = Number(slider.value); slide(); change("second", "video", "mute"); });

  // ---- from step to step ---------------------------------------------------------------------------------------------
  const steps = [...document.querySelectorAll("section")], links = [...document.querySelectorAll("nav a")];
  const here = () => Math.max(0, steps.findLastIndex((step) => step.getBoundingClientRect().top <= innerHeight * 0.4));
  const mark = () => links.forEach((link, i) => i === here() ? link.setAttribute("aria-current", "step") : link.removeAttribute("aria-current"));
  const go = (i) => {
    const step = steps[Math.max(0, Math.min(steps.length - 1, i))];
    step.scrollIntoView();
    step.querySelector("h1, h2").focus({ preventScroll: true }); // a screen reader reads on from there
    history.replaceState(null, "", `#${step.id}`);
  };
  const BY = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1, PageDown: 1, PageUp: -1 };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.toLowerCase() === "f") return void CLICKS.screen();
    const slides = event.target.type === "range";
    const scrolls = !["ArrowRight", "ArrowLeft"].includes(event.key) && steps[here()].offsetHeight > innerHeight;
    if (!(event.key in BY) || slides || scrolls) return; // in a step that is higher than the window, up and down scroll
    event.preventDefault();
    go(here() + BY[event.key]);
  });
  document.addEventListener("pointerup", (event) => { if (event.target.type === "range") event.target.blur(); }); // the arrows are the steps' again
  document.addEventListener("scroll", mark, { passive: true });

  slide();
  mark();
  const widths = new Map(); // as long as one stays, its picture does
  const resized = new ResizeObserver((all) => {
    for (const { target } of all.filter((one) => widths.get(one.target) !== one.target.clientWidth)) {
      widths.set(target, target.clientWidth);
      show(target.closest("section").id);
    }
  });
  for (const id of Object.keys(SCENES)) resized.observe(get(id).querySelector(".picture"));
  return { density, opinion, pooled };
}
