import { connect } from "node:net";
import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../runtime.ts";
import * as journal from "../sessions/journal.ts";
import * as sessions from "../sessions/sessions.ts";
import { isPaused } from "../store/pause.ts";
import * as continuations from "./continuations.ts";
import { untold } from "./news.ts";
import { isUrgent } from "./told-news.ts";
import { wakeWords } from "./wake-words.ts";

/** Where Claude Code takes messages from other processes of its user, as it tells those that it starts. */
interface Inbox {
  readonly socket: string;
  readonly token: string;
}

/** Sends lines to a local socket. */
export type Post = (socket: string, lines: string) => Promise<void>;

/** The hook of a turn's end has told by then what there was, in ms. */
const settleMs = 3_000;
const postWithinMs = 5_000;
const mostLooked = 100;

/**
 * [HO20] Wakes a Claude Code that is idle, by its messaging socket, where the settings say so (`team.wake`): one line says that there is news; the
 * hook of the turn that it starts tells them. Socket and token stand in this process's environment and go nowhere else.
 */
export class WakeUp {
  readonly #runtime: Runtime;
  readonly #post: Post;
  readonly #inbox: Inbox | null;
  /** The newest news of a session for which it was called. Kept also where that failed: the next hook tells them. */
  readonly #calledFor = new Map<string, number>();

  constructor(runtime: Runtime, post: Post = postToSocket) {
    this.#runtime = runtime;
    this.#post = post;
    this.#inbox = runtime.config.team.wake === "socket" ? inboxIn(runtime.env) : null;
  }

  /** Looks whether the session is to be woken, and does it. */
  look(session: string): void {
    const inbox = this.#inbox;
    if (!inbox || !this.#runtime.store.read((sql) => this.#newest(sql, session) !== null, false)) return;
    const count = this.#runtime.store.write((sql) => this.#take(sql, session));
    if (count === 0) return;
    const content = `${wakeWords} (${count === mostLooked ? "many" : count}); its hook brings it with this turn.`;
    const lines = [
      { type: "auth", token: inbox.token },
      { type: "user", message: { role: "user", content } },
    ];
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    this.#post(inbox.socket, text).catch((error: unknown) =>
      this.#runtime.log("warn", "the chat could not be woken", { error: String(error) }),
    );
  }

  /** @returns how much news there is; 0: it is not to be woken */
  #take(sql: Sql, session: string): number {
    const newest = this.#newest(sql, session);
    if (newest === null) return 0;
    const { now, config } = this.#runtime;
    this.#calledFor.set(session, newest);
    if (!continuations.take(sql, now(), session, config.team.maxContinuationsPerHour)) return 0;
    return untold(sql, session, mostLooked).length;
  }

  /** The newest news for which an idle chat is to be woken. */
  #newest(sql: Sql, session: string): number | null {
    const newest = untold(sql, session, mostLooked).findLast(({ news }) => isUrgent(news))?.seq;
    if (newest === undefined || newest <= (this.#calledFor.get(session) ?? 0)) return null;
    return this.#isIdle(sql, session) ? newest : null;
  }

  #isIdle(sql: Sql, session: string): boolean {
    const now = this.#runtime.now();
    const project = sessions.get(sql, session)?.project ?? null;
    if (isPaused(sql, now, project)) return false;
    const [last] = journal.newest(sql, session, ["prompt", "tool_start", "tool_end", "tool_error", "turn_end"], 1);
    return last?.entry.kind === "turn_end" && now - last.at >= settleMs;
  }
}

function inboxIn(env: NodeJS.ProcessEnv): Inbox | null {
  const socket = env["CLAUDE_CODE_MESSAGING_SOCKET"];
  const token = env["CLAUDE_CODE_MESSAGING_TOKEN"];
  return socket && token ? { socket, token } : null;
}

/** @throws when nobody listens, or takes it in time */
function postToSocket(path: string, lines: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.setTimeout(postWithinMs, () => socket.destroy(new Error("the client did not take it in time")));
    socket.once("error", reject);
    socket.once("close", () => resolve());
    // It answers nothing, and closes when it has read to the end.
    socket.resume();
    socket.end(lines);
  });
}
