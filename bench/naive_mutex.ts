/**
 * The mutex that everybody writes on a SharedArrayBuffer: Drepper's, of "Futexes are tricky", with `Atomics.wait`.
 *
 * Word 0: 0 free, 1 taken, 2 taken and somebody may sleep.
 */
export class NaiveMutex {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  acquire(): void {
    const words = this.#words;
    let state = Atomics.compareExchange(words, 0, 0, 1);
    while (state !== 0) {
      if (state === 2 || Atomics.compareExchange(words, 0, 1, 2) !== 0) Atomics.wait(words, 0, 2);
      state = Atomics.compareExchange(words, 0, 0, 2);
    }
  }

  release(): void {
    const words = this.#words;
    if (Atomics.sub(words, 0, 1) !== 1) {
      Atomics.store(words, 0, 0);
      Atomics.notify(words, 0, 1);
    }
  }
}
