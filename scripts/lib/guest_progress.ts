/**
 * Whether a guest and its commands get on. Neither is judged by how long it takes: the host may be busy, and a guest then
 * runs ten times as slowly. Everything here is pure: callers bring the measurements.
 */

/** Of a command's CPU time: a thread that looks at a word every 50 ms takes one or two percent of a CPU. */
const MIN_CPU_SHARE = 0.05;
/** Of the beats at which a thread of it ran or would have run: what computes is seen so at each. */
const MIN_RUNNING_SHARE = 0.25;
const TICKS_PER_S = 100;

/** What the guest tells of a command every few seconds. */
export interface Beat {
  /** The guest's clock. */
  readonly uptime_s: number;
  /** CPU time of the command's threads that live; less than before when some have ended. */
  readonly ticks: number;
  /** Whether one of its threads runs or would run now. */
  readonly runs: boolean;
}

/**
 * A command's progress. It is stuck when, for a time, it wrote nothing, took hardly any CPU time, ended no thread, and had
 * hardly ever a thread that wanted to run. So one that gets no CPU is not stuck, and one that spins is not either.
 */
export class CommandProgress {
  readonly #limit_s: number;
  #since: Beat | undefined;
  #last_ticks = 0;
  #beats = 0;
  #running = 0;

  /** @param limit_s For how long; 0 for ever. */
  constructor(limit_s: number) {
    this.#limit_s = limit_s;
  }

  /** It wrote something. */
  wrote(): void {
    this.#since = undefined;
  }

  /**
   * Takes a beat.
   *
   * @param beat What the guest told.
   * @returns Whether the command is stuck.
   */
  isStuckAt(beat: Beat): boolean {
    const since = this.#since;
    const ended = beat.ticks < this.#last_ticks;
    this.#last_ticks = beat.ticks;
    if (since === undefined || ended) return this.#begin(beat);
    this.#beats++;
    this.#running += Number(beat.runs);
    const enough_s = MIN_CPU_SHARE * this.#limit_s;
    if ((beat.ticks - since.ticks) / TICKS_PER_S >= enough_s) return this.#begin(beat);
    if (this.#limit_s === 0 || beat.uptime_s - since.uptime_s < this.#limit_s) return false;
    return this.#running >= MIN_RUNNING_SHARE * this.#beats ? this.#begin(beat) : true;
  }

  #begin(beat: Beat): false {
    this.#since = beat;
    this.#beats = 0;
    this.#running = 0;
    return false;
  }
}

/** How long a guest may tell nothing. */
export interface LifeLimits {
  /** While all of its CPUs sleep, or nearly so. */
  readonly idle_s: number;
  /** CPU time of the host in which it has to have told something: more means that its CPUs spin. */
  readonly cpu_s: number;
}

/** What the host gave to the emulator since it began: CPU time, and time in which its threads waited for a CPU. */
export interface HostTime {
  readonly cpu_s: number;
  readonly waited_s: number;
}

/** Less than this part of the time that it could have run: timers that nobody needs, and the emulator itself. */
const MIN_BUSY_SHARE = 0.15;
/** No more between two looks counts, so that a host that slept is no guest that does. */
const MAX_STEP_S = 15;

/** A guest's life. What it had of the host is the measure, not the clock. */
export class GuestLife {
  #told: HostTime = { cpu_s: 0, waited_s: 0 };
  #window: HostTime = { cpu_s: 0, waited_s: 0 };
  #window_s = 0;
  #latest: HostTime = { cpu_s: 0, waited_s: 0 };
  #now_s: number;

  /** @param now_s The host's clock. */
  constructor(now_s: number) {
    this.#now_s = now_s;
  }

  /** It told something. */
  told(): void {
    this.#told = this.#latest;
    this.#begin();
  }

  /**
   * Takes a look.
   *
   * @param now_s The host's clock.
   * @param had What the emulator has had of the host.
   * @param limits What holds now.
   * @returns Why it is dead; undefined when it may live.
   */
  deathAt(now_s: number, had: HostTime, limits: LifeLimits): string | undefined {
    this.#window_s += Math.min(now_s - this.#now_s, MAX_STEP_S);
    this.#now_s = now_s;
    this.#latest = had;
    if (had.cpu_s - this.#told.cpu_s > limits.cpu_s) {
      return `no sign of life from the guest in ${limits.cpu_s} s of CPU time`;
    }
    if (this.#window_s < limits.idle_s) return undefined;
    const could_s = this.#window_s - (had.waited_s - this.#window.waited_s);
    if (had.cpu_s - this.#window.cpu_s < MIN_BUSY_SHARE * could_s) {
      return `no sign of life from the guest for ${limits.idle_s} s`;
    }
    this.#begin();
    return undefined;
  }

  #begin(): void {
    this.#window = this.#latest;
    this.#window_s = 0;
  }
}
