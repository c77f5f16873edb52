import { connect } from "node:net";
import type { Sql } from "../../shared/sql.ts";
import { attempt } from "../../platform/log-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as journal from "../sessions/journal.ts";
import { isPausedById } from "../sessions/paused-session.ts";
import { undelivered } from "../sessions/news.ts";
import { consumeContinuation, isUrgent } from "./deliver-news.ts";
import { wakeLine } from "../sessions/hook-entries.ts";
import { isWithin } from "../../shared/elapsed.ts";

interface MessagingSocket {
  readonly socket: string;
  readonly token: string;
}

export type PostLines = (socket: string, lines: string) => Promise<void>;

/** The hook of a turn's end has delivered the notifications by then. */
const idleAfterMs = 3_000;
const postTimeoutMs = 5_000;
const maxRead = 100;

/**
 * [HO20] Starts a turn, whose hook delivers the notifications. Socket and token stay in this
 * process's environment.
 */
export class ChatWaker {
  readonly #runtime: Runtime;
  readonly #postLines: PostLines;
  readonly #messaging: MessagingSocket | null;
  /** Newest notification that a wake was tried for, by session. */
  readonly #wokenFor = new Map<string, number>();

  constructor(runtime: Runtime, postLines: PostLines = postToSocket) {
    this.#runtime = runtime;
    this.#postLines = postLines;
    this.#messaging = runtime.config.team.wake === "socket" ? readMessagingSocket(runtime.env) : null;
  }

  check(session: string): void {
    const messaging = this.#messaging;
    if (!messaging || !this.#runtime.store.read((sql) => this.#newestUrgent(sql, session) !== null, false)) return;
    const count = this.#runtime.store.write((sql) => this.#consumeWake(sql, session));
    if (count === 0) return;
    const content = `${wakeLine} (${count === maxRead ? "many" : count}); its hook brings it with this turn.`;
    const lines = [
      { type: "auth", token: messaging.token },
      { type: "user", message: { role: "user", content } },
    ];
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    void attempt(this.#runtime.log, "the chat could not be woken", () => this.#postLines(messaging.socket, text));
  }

  #consumeWake(sql: Sql, session: string): number {
    const newest = this.#newestUrgent(sql, session);
    if (newest === null) return 0;
    const { now, config } = this.#runtime;
    this.#wokenFor.set(session, newest);
    if (!consumeContinuation(sql, now(), session, config.team.maxContinuationsPerHour)) return 0;
    return undelivered(sql, session, maxRead).length;
  }

  #newestUrgent(sql: Sql, session: string): number | null {
    const newest = undelivered(sql, session, maxRead).findLast(({ news }) => isUrgent(news))?.seq;
    if (newest === undefined || newest <= (this.#wokenFor.get(session) ?? 0)) return null;
    return this.#isIdle(sql, session) ? newest : null;
  }

  #isIdle(sql: Sql, session: string): boolean {
    const now = this.#runtime.now();
    if (isPausedById(sql, now, session)) return false;
    const [lastEntry] = journal.newest(sql, session, ["prompt", "tool_start", "tool_end", "tool_error", "turn_end"], 1);
    return lastEntry?.entry.kind === "turn_end" && !isWithin(now - lastEntry.at, idleAfterMs);
  }
}

function readMessagingSocket(env: NodeJS.ProcessEnv): MessagingSocket | null {
  const socket = env["CLAUDE_CODE_MESSAGING_SOCKET"];
  const token = env["CLAUDE_CODE_MESSAGING_TOKEN"];
  return socket && token ? { socket, token } : null;
}

function postToSocket(path: string, lines: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.setTimeout(postTimeoutMs, () => socket.destroy(new Error("the client did not take it in time")));
    socket.once("error", reject);
    socket.once("close", () => resolve());
    socket.resume();
    socket.end(lines);
  });
}
