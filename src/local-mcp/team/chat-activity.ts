import * as sessions from "../sessions/sessions.ts";
import { ChatStatusReporter } from "../../coordinator-client/chat-status.ts";
import { waitingProgress } from "../../contract/chat-state.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { ChatParts } from "./chat-parts.ts";
import { activityOf, factsOf, keepsTasks, type ActivityFacts } from "../sessions/activity.ts";

export class ChatActivity {
  progress = "";
  readonly #runtime: Runtime;
  readonly #sessionId: string;
  readonly #isDead: (session: sessions.Session) => boolean;
  readonly #statusReporter: ChatStatusReporter;

  constructor(
    { runtime, sessionId, link, platform, isLocal }: ChatParts,
    isDead: (session: sessions.Session) => boolean,
  ) {
    this.#runtime = runtime;
    this.#sessionId = sessionId;
    this.#isDead = isDead;
    // A coordinator on this machine sees that the process lives.
    const everyMs = isLocal ? Number.POSITIVE_INFINITY : undefined;
    this.#statusReporter = new ChatStatusReporter(link, platform.clock, () => ({}), everyMs);
  }

  /** [TE26] Whether heartbeats for its tasks are honest. */
  keepsTasks(): boolean {
    return this.#readFacts(keepsTasks, true);
  }

  report(taskCount: number): void {
    const activity = this.#readFacts((facts) => (facts.isDead ? "idle" : activityOf(facts)), "idle");
    const { store } = this.#runtime;
    const waiting = store.read((sql) => sessions.get(sql, this.#sessionId)?.waiting, undefined);
    const waitsFor = waiting?.for ?? (activity === "waiting" ? "dialog" : null);
    const isBusy = activity === "busy" || activity === "waiting";
    const status = activity === "stuck" ? "stuck" : isBusy ? "busy" : "idle";
    const progress = waitsFor === null ? this.progress : waitingProgress[waitsFor];
    this.#statusReporter.report({ status, taskCount, progress }, false).catch((error: unknown) => {
      this.#runtime.log("error", "the chat's state was not reported", { error: String(error) });
    });
  }

  #readFacts<T>(read: (facts: ActivityFacts) => T, fallback: T): T {
    const { store, now } = this.#runtime;
    return store.read((sql) => {
      const session = sessions.get(sql, this.#sessionId);
      if (!session) return fallback;
      return read(factsOf(sql, session, { isDead: this.#isDead(session), now: now() }));
    }, fallback);
  }
}
