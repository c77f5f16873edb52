import type { Chat } from "../../../contract/chats.ts";
import {
  pageInputs,
  type PageCall,
  type PageCallName,
  type PageOperation,
  type PageOutputs,
} from "../../../contract/live-page.ts";
import { offeredOn, operations } from "../../../contract/operations.ts";
import * as audit from "../../../local-mcp/audit/machine-audit.ts";
import { dismiss, undo } from "../../../local-mcp/recovery/local-source.ts";
import { forget, purge } from "../../../local-mcp/retention/forget.ts";
import type { Session } from "../../../local-mcp/sessions/sessions.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { checkInput } from "../../../shared/check-input.ts";
import { messageOf } from "../../../shared/error.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { dropMarked } from "../../../snapshots/stored-snapshots.ts";
import { StoreError } from "../../../store/store-error.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { findSession } from "../../../local-mcp/host/resolve-id.ts";
import { answerExperiments, isExperimentCall, type ExperimentCallName } from "./experiments-page.ts";
import { readFleet } from "./fleet.ts";
import { OtherMachines } from "./other-machines.ts";
import { readMessages } from "./received-messages.ts";
import type { PageError } from "./page-server.ts";
import { readBrief, readSessionPage } from "./session-page.ts";

const maxAnswers = 200;

export interface PageCallDeps {
  readonly runtime: Runtime;
  /** A text: why there is no link. */
  readonly link: () => Promise<Workspace | string>;
  /** How the user types `shim` here. */
  readonly command: string;
}

type Answer = Result<unknown, PageError>;
type PageHandlers = {
  readonly [Name in PageCallName]: (deps: PageCallDeps, session: Session) => Promise<PageOutputs[Name] | null>;
};

/** [WP7] Answers the page's calls; repeats of a request get the answer of the first. */
export class PageCalls {
  readonly #deps: PageCallDeps;
  readonly #others: OtherMachines;
  readonly #answers = new Map<string, Promise<Answer>>();

  constructor(deps: PageCallDeps) {
    this.#deps = deps;
    this.#others = new OtherMachines(deps.runtime, deps.command);
  }

  answer(call: PageCall): Promise<Answer> {
    const { requestId } = call;
    if (requestId === undefined) return this.#run(call);
    const key = `${call.name} ${requestId}`;
    const known = this.#answers.get(key);
    if (known) return known;
    const answer = this.#run(call);
    this.#answers.set(key, answer);
    // A request that has failed may be sent again.
    void answer.then(
      ({ ok }) => ok || this.#answers.delete(key),
      () => this.#answers.delete(key),
    );
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > maxAnswers && oldest !== undefined) this.#answers.delete(oldest);
    return answer;
  }

  async #run({ name, input, requestId }: PageCall): Promise<Answer> {
    try {
      if (Object.hasOwn(pageInputs, name)) return await this.#runOwn(name as PageCallName, input);
      const operation = offeredOn("page").find((one) => one === name);
      if (operation === undefined) return err({ code: "unknown_operation", message: `the page has no ${name}` });
      return await this.#operate(operation, input, requestId);
    } catch (error) {
      if (error instanceof StoreError) return err({ code: error.code, message: error.message });
      throw error;
    }
  }

  async #operate(name: PageOperation, input: PageCall["input"], requestId: string | undefined): Promise<Answer> {
    const link = await this.#deps.link();
    if (typeof link === "string") return err({ code: "edge_unusable", message: link });
    const takesId = requestId !== undefined && "requestId" in operations[name].input.shape;
    const whole = takesId ? { ...input, requestId } : input;
    const checked = checkInput(name, whole);
    return checked.ok ? link.call(name, whole) : checked;
  }

  /** Leaves out the team's log where it cannot be read, with the reason. */
  async #readAudit(kind: string | undefined): Promise<PageOutputs["page.audit"]> {
    const own = audit.listNewest(this.#deps.runtime, maxEntries).filter((one) => !kind || one.kind === kind);
    const link = await this.#deps.link();
    const input = { limit: maxEntries, ...(kind ? { kind } : {}) };
    const team = typeof link === "string" ? err({ message: link }) : await link.call("audit.list", input);
    const all = [...own, ...(team.ok ? team.value.entries : [])].toSorted((a, b) => a.ageMs - b.ageMs);
    return { entries: all.slice(0, maxEntries), trouble: team.ok ? null : team.error.message };
  }

  async #runOwn(name: PageCallName, given: PageCall["input"]): Promise<Answer> {
    const { runtime } = this.#deps;
    const input = pageInputs[name].safeParse(given);
    if (!input.success) return err({ code: "bad_input", message: messageOf(input.error) });
    if (name === "page.fleet") return ok(await readFleet(runtime, await this.#deps.link(), this.#others));
    if (name === "page.audit") return ok(await this.#readAudit("kind" in input.data ? input.data.kind : undefined));
    if (name === "page.messages") return ok({ messages: readMessages(runtime) });
    if (isExperimentCall(name)) return answerExperiments(this.#deps, name, given);
    return this.#runOnSession(name, "session" in input.data ? input.data.session : "");
  }

  async #runOnSession(name: PageCallName, session: string): Promise<Answer> {
    const { runtime } = this.#deps;
    const found = findSession(runtime, session);
    if (!found.ok) return err({ code: "unknown_key", message: found.error.message });
    const work = handlers[name as keyof typeof handlers];
    const value = await audited<unknown>(runtime, name, found.value.id, () => work(this.#deps, found.value));
    return value === null ? err({ code: "unknown_key", message: "the session was deleted meanwhile" }) : ok(value);
  }
}

const auditKinds = {
  "page.dismiss": "session.dismissed",
  "page.undo": "session.offered-again",
  "page.forget": "session.forgotten",
} as const;

/** [WP20] */
async function audited<T>(runtime: Runtime, name: PageCallName, session: string, run: () => Promise<T>): Promise<T> {
  const kind = Object.hasOwn(auditKinds, name) ? auditKinds[name as keyof typeof auditKinds] : null;
  const record = (result: string, value?: unknown): void => {
    const { rows } = (value ?? {}) as { readonly rows?: number };
    if (kind)
      audit.record(runtime, { kind, session, by: "live page", result, ...(rows === undefined ? {} : { rows }) });
  };
  try {
    const value = await run();
    record("done", value);
    return value;
  } catch (error) {
    record(error instanceof StoreError ? error.code : "failed");
    throw error;
  }
}

const maxEntries = 200;

const handlers: Omit<PageHandlers, "page.fleet" | "page.messages" | "page.audit" | ExperimentCallName> = {
  "page.session": async ({ runtime, command, link }, session) =>
    readSessionPage(runtime, session, { command, chat: await findChat(link, session.id) }),
  "page.brief": ({ runtime }, session) => readBrief(runtime, session),
  "page.dismiss": async ({ runtime }, { id }) => ({ isDismissed: dismiss(runtime, id) }),
  "page.undo": async ({ runtime }, { id }) => ({ isUndone: undo(runtime, id) }),
  "page.forget": ({ runtime }, { id }) => forgetSession(runtime, id),
};

/** @returns undefined: the session is no member of the team now */
async function findChat(link: PageCallDeps["link"], chat: string): Promise<Chat | undefined> {
  const opened = await link();
  const found = typeof opened === "string" ? null : await opened.call("chats.get", { chat });
  return found?.ok && found.value.status !== "offline" ? found.value : undefined;
}

/** [CL16] Does the same as `shim sessions forget <session>`. */
async function forgetSession(runtime: Runtime, session: string): Promise<PageOutputs["page.forget"]> {
  const { rows } = runtime.store.write((sql) => forget(sql, { session }));
  const { failures } = await dropMarked(runtime, { maxGarbage: 0, isAll: true });
  if (failures.length > 0) throw new StoreError("store_unavailable", "not all saved files could be deleted; repeat it");
  await purge(runtime.store, runtime.paths);
  return { rows };
}
