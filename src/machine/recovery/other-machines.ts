import type { Chat } from "../../contract/chats.ts";
import type { SessionView } from "../../contract/machine/sessions.ts";
import { isRefusal } from "../../contract/errors.ts";
import type { Call } from "../../coordinator-client/edge/calls.ts";
import { readEdgeConfig } from "../../coordinator-client/edge-config.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithin } from "../../shared/known-time.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { mayBeContinued } from "../sessions/ending/ending.ts";
import { findElsewhere, projectHere, type SeenElsewhere, reachFrom, type Reach } from "./elsewhere/candidates.ts";
import { projectRoot } from "../../snapshots/git-head.ts";
import { pull } from "../sharing/pull.ts";
import type { CallOperation, OperationContext } from "../context/operation-context.ts";
import type { KeptWorkspace } from "../sharing/operations/kept-workspace.ts";
import { toViewElsewhere } from "./session-view.ts";

const callTimeoutMs = 15_000;
const maxSessions = 50;
/** Time between two pulls for the page; a chat of this machine that syncs pulls more often. */
const pullEveryMs = 60_000;

/** Sessions of the workspace's other machines, for the user, who is no chat. */
export class OtherMachines {
  readonly #workspace: KeptWorkspace;
  readonly #call: CallOperation;
  #pulled = { at: 0, revision: 0 };

  constructor(workspace: KeptWorkspace, call: CallOperation) {
    this.#workspace = workspace;
    this.#call = call;
  }

  /**
   * @param folder whose project its files are compared with; absent: none
   * @returns null: without a workspace on an edge, or without a key of it
   */
  async read(runtime: Runtime, progress: OperationContext["progress"], folder?: string): Promise<Reach | null> {
    const reach = await this.#reach(runtime);
    if (!reach) return null;
    const trouble = await this.#pull(runtime);
    if (trouble !== null) progress?.(`Other machines as of the last sync: ${trouble}.`);
    const here = folder === undefined ? null : await projectHere(reach, projectRoot(folder));
    return { ...reach, here, isStale: trouble !== null };
  }

  /**
   * Sessions that died and can be continued here; after a failure as of the last sync.
   *
   * @param chats all of the workspace, so that none is asked for again
   */
  async listDead(runtime: Runtime, chats: readonly Chat[]): Promise<SessionView[]> {
    const reach = await this.#reach(runtime);
    if (!reach) return [];
    if (!isWithin(runtime.now() - this.#pulled.at, pullEveryMs)) await this.#pull(runtime);
    const dead = await findElsewhere({ ...reach, chats }, undefined, maxSessions);
    return toViews(
      runtime,
      dead.filter(({ row }) => mayBeContinued(row)),
    );
  }

  async #reach(runtime: Runtime): Promise<Reach | null> {
    const edge = readEdgeConfig(runtime.paths.home, runtime.env);
    if (!edge.ok || !edge.value) return null;
    const opened = await this.#workspace.open();
    if (!opened.ok) return null;
    const { url, workspace, machine } = edge.value;
    const { client } = opened.value;
    const call = (async (name, input, deadlineMs = callTimeoutMs) => {
      const answer = await client.call(name, input, deadlineMs);
      if (answer.ok || isRefusal(answer.error)) return answer;
      return err({ ...answer.error, message: `${url} did not answer: ${answer.error.message}` });
    }) as Call;
    return reachFrom(runtime, { link: { self: null, call }, edge: edge.value, workspace, machine }, "");
  }

  /** @returns why not */
  async #pull({ now }: Runtime): Promise<string | null> {
    const at = now();
    this.#pulled = { ...this.#pulled, at };
    const pulled = await this.#call("workspace.pull", { after: this.#pulled.revision });
    if (!pulled.ok) return pulled.error.message;
    this.#pulled = { at, revision: pulled.value.revision };
    return null;
  }

  /** Stores what the others have stored since a revision. */
  async fetch(runtime: Runtime, after: number): Promise<Result<{ readonly revision: number }>> {
    const reach = await this.#reach(runtime);
    if (!reach) return err({ code: "not_found", message: "this machine has no key of a workspace." });
    const pulled = await pull(reach, after);
    return pulled.ok
      ? ok({ revision: pulled.value.revision })
      : err({ code: pulled.error.code, message: pulled.error.message });
  }
}

export function toViews(runtime: Runtime, all: readonly SeenElsewhere[]): SessionView[] {
  return runtime.store.read((sql) => all.map((one) => toViewElsewhere(sql, runtime, one)), []);
}
