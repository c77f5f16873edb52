import type { Readings } from "../../contract/readings.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Session } from "../sessions/sessions.ts";
import { estimateLong, sampleChars } from "../signals/token-factors.ts";

/** [SI27] Texts between a chat without hooks and the tools: a lower bound of its context. */
export class Exchanges {
  readonly #runtime: Runtime;
  readonly #bySession = new Map<string, { readonly chars: number; readonly sample: string }>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  count(sessionId: string, text: string): void {
    const { chars, sample } = this.#bySession.get(sessionId) ?? { chars: 0, sample: "" };
    const head = text.slice(0, sampleChars);
    const longest = head.length > sample.length ? head : sample;
    this.#bySession.set(sessionId, { chars: chars + text.length, sample: longest });
  }

  readings({ id, origin, model }: Session): Readings {
    const found = this.#bySession.get(id);
    if (found === undefined || origin !== "handle") return {};
    const tokens = this.#runtime.store.read((sql) => estimateLong(sql, found.sample, found.chars, model), 0);
    return { contextTokens: { value: tokens, source: "estimated", at: this.#runtime.now() } };
  }
}
