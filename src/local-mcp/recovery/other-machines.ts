import type { OpenedLink } from "../../coordinator-client/open-link.ts";
import type { Result } from "../../shared/result.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as sessions from "../sessions/sessions.ts";
import { remoteContext, type ProjectHere } from "./remote-context.ts";
import { offerElsewhere } from "./remote-offer.ts";
import { TakenSessions } from "./taken-sessions.ts";

/** A chat that has just died counts as alive for a while, and its mirror arrives later. */
const maxOfferSearchMs = 300_000;

interface ProjectNaming {
  /** What the workspace calls a project. */
  project(root: string): Promise<Result<string, unknown>>;
}

export class OtherMachines {
  readonly #runtime: Runtime;
  readonly #taken = new TakenSessions();
  #firstCheckAt: number | null = null;
  #isOfferDue = true;
  #checking: Promise<void> | null = null;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /**
   * [RE24] [RE26] Called every few seconds once the chat is registered; one check runs at a time.
   */
  check(opened: OpenedLink, session: string, naming: ProjectNaming): Promise<void> {
    this.#checking ??= this.#check(opened, session, naming).finally(() => (this.#checking = null));
    return this.#checking;
  }

  async #check(opened: OpenedLink, session: string, naming: ProjectNaming): Promise<void> {
    const context = remoteContext(this.#runtime, opened, session);
    if (!context?.link.self) return;
    await this.#taken.reconcile(context);
    if (!this.#isOfferDue) return;
    const now = this.#runtime.now();
    this.#firstCheckAt ??= now;
    const chatProject = await this.#projectOf(session, naming);
    const isOver = chatProject === null || now - this.#firstCheckAt > maxOfferSearchMs;
    if (isOver || (await offerElsewhere(context, chatProject)) !== null) this.#isOfferDue = false;
  }

  async #projectOf(session: string, naming: ProjectNaming): Promise<ProjectHere | null> {
    const root = this.#runtime.store.read((sql) => sessions.get(sql, session)?.project, null);
    if (!root) return null;
    const project = await naming.project(root);
    return project.ok ? { root, project: project.value } : null;
  }
}
