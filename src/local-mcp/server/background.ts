import { isWithin } from "../../shared/elapsed.ts";
import { mayBeJoined } from "../../coordinator-client/edge-config.ts";
import { deadTasks } from "../notify/dead-tasks.ts";
import { Notifier } from "../notify/notifier.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as servers from "../sessions/servers.ts";
import { isEmpty } from "../../store/spool.ts";
import type { startSync } from "../sync/start-sync.ts";
import { ChatWaker } from "../team/chat-waker.ts";
import type { Chat } from "../chat/chat.ts";
import type { FileSaver } from "./file-saver.ts";
import type { ChatTeam } from "../chat/late-team.ts";
import { refreshIfDue, Upkeep } from "./upkeep.ts";

export interface BackgroundParts {
  readonly runtime: Runtime;
  readonly chat: Chat;
  readonly server: ProcessIdentity;
  readonly team: ChatTeam | null;
  readonly files: FileSaver;
}

const quietIntervalMs = 10_000;

export class Background {
  readonly #parts: BackgroundParts;
  readonly #wakeUp: ChatWaker;
  readonly #notifier: Notifier;
  readonly #upkeep: Upkeep;
  #sync: Promise<ReturnType<typeof startSync>> | null = null;
  #version = "";
  #changedAt = Number.NEGATIVE_INFINITY;
  #ranAt = Number.NEGATIVE_INFINITY;

  constructor(parts: BackgroundParts) {
    this.#parts = parts;
    this.#wakeUp = new ChatWaker(parts.runtime);
    const { runtime, team } = parts;
    this.#upkeep = new Upkeep(runtime);
    const tasks = team && deadTasks(runtime.now, () => team.reader());
    this.#notifier = new Notifier({ runtime, ...(tasks ? { deadTasks: tasks } : {}) });
  }

  /** [MC18] Runs at most once per `quietIntervalMs` while the store does not change. */
  tick(): void {
    const { store, paths, now } = this.#parts.runtime;
    const at = now();
    void this.#parts.team?.watch();
    if (store.version() !== this.#version || !isEmpty(paths.spool)) this.#changedAt = at;
    const isQuiet = isWithin(at - this.#ranAt, quietIntervalMs) && !isWithin(at - this.#changedAt, quietIntervalMs);
    if (isQuiet) return;
    this.#ranAt = at;
    this.#run();
    // Read after the run: its own writes are not changes.
    this.#version = store.version();
  }

  #run(): void {
    const { runtime, chat, server, files } = this.#parts;
    const session = chat.current();
    if (chat.client) servers.register(runtime, server, chat.client);
    if (session) refreshIfDue(chat, session);
    void chat.team?.follow(session);
    if (session) this.#wakeUp.check(session);
    void this.#notifier.check();
    this.#upkeep.run();
    this.#startSyncIfJoined();
    void files.save();
  }
  /** Loads the sync only on a machine in a workspace: most machines never join one. */
  #startSyncIfJoined(): void {
    const { runtime, server } = this.#parts;
    if (this.#sync || !mayBeJoined(runtime.paths.home, runtime.env)) return;
    const load = Promise.all([import("../sync/start-sync.ts"), import("../sync/takeover-notices.ts")]);
    this.#sync = load.then(([sync, { recordTakeovers }]) => sync.startSync(runtime, server, recordTakeovers));
  }

  async pullSoon(): Promise<void> {
    (await this.#sync)?.pullSoon();
  }

  /** @param isClientGone then the user may learn of the death from no other process */
  async stop(isClientGone: boolean): Promise<void> {
    const notified = isClientGone ? this.#notifier.checkLast() : null;
    await (await this.#sync)?.stop();
    await notified;
  }
}
