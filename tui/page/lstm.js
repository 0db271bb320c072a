"use strict";
// The network of the page: its weights, its steps, and the random numbers that characters are drawn
// with. It knows no element of the page.
// Letters: V vocabulary, E embedding, H hidden. R, C rows and columns of a matrix.

/** Reads arrays one after another from bytes in base64. */
class Reader {
  constructor(base64) {
    this.bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    this.place = 0;
  }

  take(Numbers, count) {
    const end = this.place + count * Numbers.BYTES_PER_ELEMENT;
    const part = this.bytes.slice(this.place, end);
    this.place = end;
    return new Numbers(part.buffer);
  }

  /** Returns a matrix [R, C], whose rows are a scale times integers of 16 bits. */
  matrix(rows, columns) {
    const scales = this.take(Float32Array, rows);
    const integers = this.take(Int16Array, rows * columns);
    const values = new Float32Array(integers.length);
    for (let i = 0; i < values.length; i++) values[i] = integers[i] * scales[Math.trunc(i / columns)];
    return { columns, values };
  }
}

/** Adds matrix [R, C] times vector [C] to sums [R]: four rows together, so that no addition waits. */
function addProduct({ columns, values }, vector, sums) {
  let row = 0;
  for (; row + 4 <= sums.length; row += 4) {
    const first = row * columns, second = first + columns;
    const third = second + columns, fourth = third + columns;
    let a = 0, b = 0, c = 0, d = 0;
    for (let i = 0; i < columns; i++) {
      const x = vector[i];
      a += values[first + i] * x;
      b += values[second + i] * x;
      c += values[third + i] * x;
      d += values[fourth + i] * x;
    }
    sums[row] += a;
    sums[row + 1] += b;
    sums[row + 2] += c;
    sums[row + 3] += d;
  }
  for (; row < sums.length; row++) {
    let sum = 0;
    for (let i = 0; i < columns; i++) sum += values[row * columns + i] * vector[i];
    sums[row] += sum;
  }
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** Multiplies the sums of normalised gates by their gain, over their root mean square. */
function normalise(sums, gain, epsilon) {
  const squares = sums.reduce((total, sum) => total + sum * sum, 0);
  const factor = 1 / Math.sqrt(squares / sums.length + epsilon);
  for (let i = 0; i < sums.length; i++) sums[i] *= gain[i] * factor;
}

/** The weights of an LSTM, under PyTorch's order of the gates: input, forget, candidate, output. */
class Network {
  constructor({ size, embedding, hidden, layers, epsilon, weights }) {
    const reader = new Reader(weights);
    this.size = size;
    this.hidden = hidden;
    this.epsilon = epsilon;
    this.embedding = embedding ? reader.matrix(size, embedding) : null;
    this.layers = Array.from({ length: layers }, (_, layer) => ({
      input: reader.matrix(4 * hidden, layer ? hidden : embedding || size),
      recurrent: reader.matrix(4 * hidden, hidden),
      bias: Float64Array.from(reader.matrix(1, 4 * hidden).values),
      gain: epsilon ? Float64Array.from(reader.matrix(4, hidden).values) : null,
    }));
    this.head = reader.matrix(size, hidden);
    this.headBias = Float64Array.from(reader.matrix(1, size).values);
    this.table = new Map();
  }

  /** Returns what a symbol adds to the sums [4H] of the first layer. */
  inputGates(id) {
    if (!this.table.has(id)) {
      const { input } = this.layers[0];
      const symbol = this.embedding
        ? Float64Array.from(this.embedding.values.subarray(id * input.columns, (id + 1) * input.columns))
        : new Float64Array(input.columns).fill(1, id, id + 1);
      const sums = new Float64Array(4 * this.hidden);
      addProduct(input, symbol, sums);
      this.table.set(id, sums);
    }
    return this.table.get(id);
  }
}

/** A text: the state of the network after its characters. */
class Stream {
  /** Reads the first ids. A window makes each prediction start cold from as many characters. */
  constructor(network, ids, window) {
    this.network = network;
    this.window = window;
    this.gates = new Float64Array(4 * network.hidden);
    this.recent = window ? ids.slice(-window) : [];
    this.reset();
    if (!window) ids.forEach((id) => this.read(id));
  }

  reset() {
    const zeros = () => new Float64Array(this.network.hidden);
    this.states = this.network.layers.map(() => ({ hidden: zeros(), cell: zeros() }));
  }

  read(id) {
    const { gates } = this, size = this.network.hidden;
    this.network.layers.forEach((layer, number) => {
      const { hidden, cell } = this.states[number];
      if (number) addProduct(layer.input, this.states[number - 1].hidden, gates.fill(0));
      else gates.set(this.network.inputGates(id));
      addProduct(layer.recurrent, hidden, gates);
      if (layer.gain) normalise(gates, layer.gain, this.network.epsilon);
      layer.bias.forEach((bias, i) => { gates[i] += bias; });
      for (let i = 0; i < size; i++) {
        const added = sigmoid(gates[i]) * Math.tanh(gates[2 * size + i]);
        cell[i] = sigmoid(gates[size + i]) * cell[i] + added;
        hidden[i] = sigmoid(gates[3 * size + i]) * Math.tanh(cell[i]);
      }
    });
  }

  /** Writes a character; returns its id, and the bits that it cost the network. */
  write(temperature, noise) {
    if (this.window) {
      this.reset();
      this.recent.forEach((id) => this.read(id));
    }
    const logits = Float64Array.from(this.network.headBias);
    addProduct(this.network.head, this.states.at(-1).hidden, logits);
    const id = choose(logits, temperature, noise);
    if (this.window) this.recent = [...this.recent, id].slice(-this.window);
    else this.read(id);
    const largest = logits.reduce((before, logit) => Math.max(before, logit));
    const sum = logits.reduce((before, logit) => before + Math.exp(logit - largest), 0);
    return { id, bits: Math.max(0, (Math.log(sum) + largest - logits[id]) / Math.LN2) };
  }
}

/** Returns the id with the largest sum of score and Gumbel noise; without noise at temperature 0. */
function choose(logits, temperature, noise) {
  const factor = temperature ? Math.fround(1 / temperature) : 1;
  let [best, largest] = [0, -Infinity];
  logits.forEach((logit, id) => {
    const sum = logit * factor + (temperature ? noise[id] : 0);
    if (sum > largest) [best, largest] = [id, sum];
  });
  return best;
}

/** Gumbel noise of a seed by SplitMix64 (Steele, Lea & Flood 2014): that of `charlm-tui generate`. */
class Noise {
  constructor(seed, size) {
    this.origin = mixed(BigInt.asUintN(64, seed));
    this.size = size;
  }

  /** Returns the noise [V] of a character. Each word of 64 bits makes two numbers. */
  row(index) {
    const { fround, log, log1p, min } = Math;
    return Float64Array.from({ length: this.size }, (_, place) => {
      const number = index * this.size + place;
      const state = this.origin + BigInt(Math.floor(number / 2)) * 0x9e3779b97f4a7c15n;
      const word = mixed(BigInt.asUintN(64, state));
      const bits = Number(number % 2 ? word >> 32n : word & 0xffffffffn);
      const uniform = min(fround(fround(bits) * 2 ** -32 + 2 ** -33), 1 - 2 ** -24);
      return -fround(log(-fround(log1p(-uniform))));
    });
  }
}

function mixed(word) {
  word = BigInt.asUintN(64, (word ^ (word >> 30n)) * 0xbf58476d1ce4e5b9n);
  word = BigInt.asUintN(64, (word ^ (word >> 27n)) * 0x94d049bb133111ebn);
  return word ^ (word >> 31n);
}
