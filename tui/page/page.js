// The page: its controls, and the text that they write. Foreign text enters only as text nodes.

const TEMPERATURE = 0.7;
const FOUR = [0.2, 0.5, 1.0, 1.2];
const FRAME_SECONDS = 0.025; // of work between two frames: keys and slider still answer at once
const MAX_BLOCK = 1000; // characters after which a line feed starts another block, to lay out less
const MAX_SHOWN = 40000; // characters of a lane that stay on the page

const at = (id) => document.getElementById(id);
const model = JSON.parse(at("model").textContent);
const ids = new Map(model.symbols.map((symbol, id) => [symbol, id]));
const joining = new Set(model.joining);
const network = new Network({ ...model, size: model.symbols.length });

/** A text with its own temperature. */
class Lane {
  constructor(temperature, prompt) {
    const section = at("lane").content.cloneNode(true).firstElementChild;
    [this.slider, this.shownTemperature] = section.querySelectorAll("input, output");
    [this.text, this.figures] = section.querySelectorAll("pre, p");
    this.slider.value = temperature;
    this.slider.addEventListener("input", () => this.showTemperature());
    this.showTemperature();
    this.stream = new Stream(network, prompt.length ? prompt : [model.first], model.window);
    this.bits = this.count = this.shown = this.inBlock = 0;
    this.written = this.last = "";
    at("lanes").append(section);
    prompt.forEach((id) => this.append(id, "prompt"));
  }

  showTemperature() {
    this.shownTemperature.value = this.slider.valueAsNumber.toFixed(2);
  }

  write(noise) {
    const { id, bits } = this.stream.write(this.slider.valueAsNumber, noise);
    this.bits += bits;
    this.count += 1;
    this.append(id, `surprise-${model.borders.filter((border) => bits > border).length}`);
  }

  /** Appends a character. What is drawn as one with its neighbour stays in one element with it. */
  append(id, style) {
    const symbol = model.symbols[id];
    const shown = model.shown[symbol] ?? symbol;
    const isNewBlock = !this.text.lastChild || (this.last === "\n" && this.inBlock > MAX_BLOCK);
    if (isNewBlock) {
      this.text.append(document.createElement("div"));
      this.inBlock = 0;
    }
    const run = this.text.lastChild.lastChild;
    const joins = this.last === "\u200d" || joining.has(symbol);
    if (run && (joins || run.className === style)) run.firstChild.appendData(shown);
    else {
      const span = document.createElement("span");
      span.className = style;
      span.append(shown);
      this.text.lastChild.append(span);
    }
    this.written += symbol;
    this.last = symbol;
    this.shown += shown.length;
    this.inBlock += 1;
    while (this.shown > MAX_SHOWN && this.text.firstChild !== this.text.lastChild) {
      this.shown -= this.text.firstChild.textContent.length;
      this.text.firstChild.remove();
    }
  }

  showFigures() {
    const each = this.count ? `, ${(this.bits / this.count).toFixed(2)} bits per character` : "";
    this.figures.textContent = `${this.count.toLocaleString("en")} characters${each}`;
  }
}

let lanes = [], noise, running = false;
let owed = 0, before = 0; // characters that the pace allows now; time of the last frame, seconds
let measured = { since: 0, count: 0 };

/** Returns the ids of a prompt, in the Unicode form that the network knows; names what it lacks. */
function promptIds() {
  const lacking = (text) => [...new Set(text)].filter((symbol) => !ids.has(symbol));
  const forms = [undefined, "NFC", "NFD"].map((form) =>
    form ? at("prompt").value.normalize(form) : at("prompt").value);
  const text = forms.find((form) => !lacking(form).length) ?? forms[1];
  say(lacking(text).length ? `The network does not know ${lacking(text).map(named).join(", ")}.` : "");
  return [...text].flatMap((symbol) => ids.get(symbol) ?? []);
}

function named(symbol) {
  const code = `U+${symbol.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  return /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(symbol) ? `${symbol} (${code})` : code;
}

function restart() {
  const seed = at("seed").value.trim();
  const isSeed = /^\d{1,19}$/.test(seed) && BigInt(seed) < 2n ** 63n;
  const prompt = promptIds();
  if (!isSeed) return say("A seed is a whole number from 0 to 9223372036854775807.");
  const temperatures = at("four").checked ? FOUR : [TEMPERATURE];
  const kept = lanes.length === temperatures.length ? lanes.map((lane) => lane.slider.value) : temperatures;
  at("lanes").replaceChildren();
  lanes = kept.map((temperature) => new Lane(temperature, prompt));
  noise = new Noise(BigInt(seed), model.symbols.length);
  measured.count = 0;
  lanes.forEach((lane) => lane.showFigures());
}

function hold(held) {
  running = !held;
  const isNew = lanes.every((lane) => lane.count === 0);
  at("hold").textContent = held ? (isNew ? "Start" : "Go on") : "Hold";
  lanes.forEach((lane) => lane.showFigures());
  if (held) return;
  before = measured.since = performance.now() / 1000;
  owed = measured.count = 0;
  requestAnimationFrame(frame);
}

/** Starts over, and goes on if the text was on hold. */
function startOver() {
  restart();
  if (!running) hold(false);
}

/** Writes what the pace allows: at most for a part of the frame, then the browser has its turn. */
function frame() {
  if (!running) return;
  const now = performance.now() / 1000, pace = Number(at("pace").value);
  owed = Math.min(owed + (now - before) * pace, 0.1 * pace);
  before = now;
  const following = lanes.map(({ text }) => text.scrollHeight - text.scrollTop - text.clientHeight < 30);
  while (owed >= 1 && performance.now() / 1000 < now + FRAME_SECONDS) {
    writeOne();
    owed -= 1;
    measured.count += 1;
  }
  lanes.forEach(({ text }, number) => { if (following[number]) text.scrollTop = text.scrollHeight; });
  if (now - measured.since > 1) {
    const rate = measured.count / (now - measured.since);
    at("rate").textContent = `${Math.round(rate).toLocaleString("en")} characters a second`;
    lanes.forEach((lane) => lane.showFigures());
    measured = { since: now, count: 0 };
  }
  requestAnimationFrame(frame);
}

/** Writes a character in each lane, with the same random numbers. */
function writeOne() {
  const row = noise.row(lanes[0].count);
  lanes.forEach((lane) => lane.write(row));
}

function say(words) {
  at("note").textContent = words;
}

async function copy() {
  try {
    await navigator.clipboard.writeText(lanes.map((lane) => lane.written).join("\n\n"));
    say("Copied.");
  } catch {
    getSelection().selectAllChildren(at("lanes"));
    say("The browser refused. The text is selected: copy it with the browser's own key.");
  }
}

at("hold").addEventListener("click", () => hold(running));
at("restart").addEventListener("click", startOver);
at("another").addEventListener("click", () => {
  at("seed").value = crypto.getRandomValues(new Uint32Array(1))[0];
  startOver();
});
at("copy").addEventListener("click", copy);
at("ink").addEventListener("change", () => document.body.classList.toggle("ink", at("ink").checked));
for (const id of ["prompt", "seed", "four"]) at(id).addEventListener("change", startOver);
restart();
hold(matchMedia("(prefers-reduced-motion: reduce)").matches);
