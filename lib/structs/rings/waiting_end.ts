/**
 * One end of a ring, as those who wait for it see it: they try, then sleep on its event count and try again.
 *
 * @module
 */
import type { Attachment } from "../../shared/attachment.ts";
import { settleIn } from "../../shared/tenancy.ts";
import { Crowd } from "../../sync/conditions/crowd.ts";
import type { EventCountCore } from "../../sync/conditions/event_count_core.ts";
import { waitUntil } from "../../sync/conditions/wait_until.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";

/** An end, in one thread. */
export class WaitingEnd {
  readonly #owner: object;
  readonly #attached: Attachment;
  readonly #events: EventCountCore;
  readonly #action: string;
  readonly #crowd: Crowd;

  /**
   * @param owner The object, which is kept alive while somebody awaits it.
   * @param attached Its memory.
   * @param events What is slept on.
   * @param action What is asked, as it follows "Cannot".
   * @param title Tells the end from others of the same object.
   */
  constructor(
    owner: object,
    attached: Attachment,
    events: EventCountCore,
    action: string,
    title: string,
  ) {
    const { region, me } = attached;
    this.#owner = owner;
    this.#attached = attached;
    this.#events = events;
    this.#action = action;
    this.#crowd = new Crowd(events, region, me, action);
    settleIn(owner, region, title, this.#crowd.tenant);
  }

  /**
   * Tries, spins and tries, then sleeps and tries.
   *
   * @param take Tries to take what is waited for.
   * @param options The timeout, and whether the main thread may block, checked.
   * @throws {NumaError} `ETIMEDOUT`, `EWOULDBLOCK`, `ETERMINATED`, `EDESTROYED`. What `take` throws.
   */
  block(take: () => boolean, options: BlockOptions | undefined): void {
    const { region, me } = this.#attached;
    for (let round = 0;; round++) {
      if (take()) return;
      if (!me.spin(round)) break;
    }
    waitUntil({ core: this.#events, region, me, action: this.#action }, take, options);
  }

  /**
   * Tries, and awaits.
   *
   * @param take Tries to take what is waited for.
   * @param options The timeout, and a signal, checked.
   * @returns Resolves when it could.
   * @throws {NumaError} `ETIMEDOUT`, `EAGAIN`, `EDESTROYED`. The signal's reason. What `take` throws.
   */
  async await(take: () => boolean, options: AsyncWaitOptions | undefined): Promise<void> {
    options?.signal?.throwIfAborted();
    if (take()) return;
    await this.#crowd.join(this.#owner, options, take);
  }
}
