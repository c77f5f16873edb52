import { setTimeout as pause } from "node:timers/promises";
import { aChat, type Answer, type Call, type StressChat } from "./wire.ts";

/** An operation that takes longer has not been answered: the coordinator hangs. */
const patienceMs = 5_000;
/** Between two operations. */
const restMs = 5;

/** What the neighbour saw while it was watched. */
export interface Observed {
  /** Of each operation, in ms. */
  readonly times: readonly number[];
  readonly refused: Readonly<Record<string, number>>;
  readonly isHanging: boolean;
}

/** Another chat of the workspace, which does its ordinary work. */
export class Neighbour {
  readonly #chat: StressChat;
  #round = 0;

  constructor(chat: StressChat) {
    this.#chat = chat;
  }

  static async join(workspace: string, token: string): Promise<Neighbour> {
    const chat = await aChat(workspace, token, "neighbour", "neighbour");
    await chat.socket.frame([{ method: "messages.subscribe", params: { self: chat.self, pattern: "stress.**" } }]);
    return new Neighbour(chat);
  }

  async work(ms: number): Promise<Observed> {
    const times: number[] = [];
    const refused: Record<string, number> = {};
    const until = performance.now() + ms;
    this.#chat.socket.ping();
    const ask = async (method: string, params: object): Promise<Answer> => {
      const startedAt = performance.now();
      const answer = await this.#ask({ method, params });
      times.push(performance.now() - startedAt);
      if (answer?.error) refused[answer.error.data.code] = (refused[answer.error.data.code] ?? 0) + 1;
      if (!answer) throw hanging;
      await pause(restMs);
      return answer;
    };
    try {
      while (performance.now() < until) await this.#once(ask);
      return { times, refused, isHanging: false };
    } catch (error) {
      if (error !== hanging) throw error;
      return { times, refused, isHanging: true };
    }
  }

  async #once(ask: (method: string, params: object) => Promise<Answer>): Promise<void> {
    const { self } = this.#chat;
    const requestId = `n${(this.#round += 1)}`;
    this.#chat.socket.ping();
    await ask("chats.heartbeat", { self, progress: requestId });
    await ask("state.set", { key: "neighbour", value: requestId });
    await ask("state.get", { key: "neighbour" });
    const acquired = await ask("leases.acquire", { self, resource: "own", requestId, ttlMs: 30_000 });
    const token = (acquired.result?.["lease"] as { token: number } | undefined)?.token ?? 0;
    await ask("leases.release", { self, resource: "own", token });
    await ask("tasks.submit", { tasks: [{ type: "own", payload: 1, priority: 9 }] });
    const claimed = await ask("tasks.claim", { self, requestId, limit: 1 });
    const [claim] = (claimed.result?.["claims"] as { task: number; claim: number }[] | undefined) ?? [];
    if (claim) await ask("tasks.ack", { self, task: claim.task, claim: claim.claim, result: 1 });
  }

  /** Null: no answer. */
  async #ask(call: Call): Promise<Answer | null> {
    const late = new AbortController();
    const answers = await Promise.race([
      this.#chat.socket.frame([call]),
      pause(patienceMs, null, { signal: late.signal }).catch(() => null),
    ]);
    late.abort();
    return answers?.[0] ?? null;
  }

  close(): void {
    this.#chat.socket.close();
  }
}

const hanging = Symbol("hanging");
