import { messageOf } from "../../shared/error.ts";
import { DeathWatch } from "../recovery/deaths.ts";
import { Notifier, type NotifierOptions } from "./notifier.ts";

/** [CL184] For a process that does no upkeep: it records the deaths that it notifies of. */
export class DeathNotifier {
  readonly #options: NotifierOptions;
  readonly #notifier: Notifier;
  readonly #deaths = new DeathWatch();

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#notifier = new Notifier(options);
  }

  /** May be called often; never rejects. */
  async check(): Promise<void> {
    const { runtime } = this.#options;
    try {
      this.#deaths.check(runtime);
    } catch (error) {
      runtime.log("error", "deaths could not be recorded", { error: messageOf(error) });
    }
    await this.#notifier.check();
  }
}
