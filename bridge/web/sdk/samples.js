// An AudioWorklet: one channel as runs of 16-bit samples, 40 ms each, for whoever holds its port.

const RUN_S = 0.04;

class Samples extends AudioWorkletProcessor {
  #run = new Int16Array(Math.round(RUN_S * sampleRate));
  #held = 0;

  process([[channel]]) {
    for (const sample of channel ?? []) {
      this.#run[this.#held++] = Math.max(-1, Math.min(1, sample)) * 32767;
      if (this.#held < this.#run.length) continue;
      this.port.postMessage(this.#run.slice().buffer);
      this.#held = 0;
    }
    return true;
  }
}

registerProcessor("callbridge-samples", Samples);
