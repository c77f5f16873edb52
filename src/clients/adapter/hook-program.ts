import { heldMs, pluginMs } from "../../contract/hook-limits.ts";
import { execFile } from "node:child_process";
import { text } from "node:stream/consumers";
import { type HostRequest, requestHost } from "../../platform/local-http.ts";
import { checkSocketFolder, hostSocket } from "../../platform/host-socket.ts";
import { homeFrom } from "../../platform/paths.ts";
import { ownStatement, systemProcesses } from "../../platform/processes.ts";
import { setIdleTimer } from "../../platform/timers.ts";
import { type JsonObject, parseObject } from "../../shared/json-fields.ts";

/**
 * The variables of a hook's process that an answer may depend on. The build writes them into
 * `shim-hook`, which sends them to the host; the host has those of the chat that started it.
 */
export const valueVariables: readonly string[] = [
  "CLAUDECODE",
  "CLAUDE_CODE_AUTO_COMPACT_WINDOW",
  "CLAUDE_CODE_DISABLE_1M_CONTEXT",
  "CLAUDE_CODE_ENTRYPOINT",
  "CLAUDE_CODE_MAX_CONTEXT_TOKENS",
  "CLAUDE_CODE_SESSION_ID",
  "CLAUDE_CODE_USE_BEDROCK",
  "CLAUDE_CODE_USE_FOUNDRY",
  "CLAUDE_CODE_USE_VERTEX",
  "CLAUDE_PID",
  "CLAUDE_PLUGIN_ROOT",
  "COPILOT_CLI_BINARY_VERSION",
  "COPILOT_HOME",
  "HOME",
  "PATH",
  "QWEN_CODE_STARTUP_VERSION",
  "SHIM_CLIENT_PID",
  "SHIM_SUCCESSOR",
  "SHIM_TASK",
];

/** The header of the caller's home. */
export const homeHeader = "shim-home";
/** The line of proc(5) by which a hook's process describes itself; its parent is the client. */
export const processHeader = "shim-process";
/** The same of a client that sends its events itself. */
export const clientHeader = "shim-client";

export const headerPrefix = "shim-env-";

/** The value of the script follows an equals sign, that of a program a percent sign. */
export function headerOf(variable: string): string {
  return `${headerPrefix}${variable.toLowerCase().replaceAll("_", "-")}`;
}

/** Home and environment of a program, of any characters. */
function callerHeaders(home: string, env: NodeJS.ProcessEnv): Record<string, string> {
  const sent = [[homeHeader, home] as const, ...valueVariables.map((name) => [headerOf(name), env[name]] as const)];
  return Object.fromEntries(
    sent.flatMap(([name, value]) => (value === undefined ? [] : [[name, `%${encodeURIComponent(value)}`]])),
  );
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/**
 * The environment of the caller: of the variables above none is the host's.
 *
 * @param headers as node:http has them, each byte a character
 */
export function callerEnv(own: NodeJS.ProcessEnv, headers: Headers): NodeJS.ProcessEnv {
  const sent = valueVariables.map((name) => [name, valueOf(headers, headerOf(name))] as const);
  return { ...own, ...Object.fromEntries(sent) };
}

/** @returns what the header holds as text; undefined for one that was not sent */
export function valueOf(headers: Headers, name: string): string | undefined {
  const header = headers[name];
  if (typeof header !== "string") return undefined;
  const text = header.slice(1);
  if (header.startsWith("=")) return Buffer.from(text, "latin1").toString();
  return header.startsWith("%") ? decodeURIComponent(text) : undefined;
}

interface PostedEvent {
  readonly client: string;
  /** The client's name of it. */
  readonly event: string;
  readonly input: string;
  /** The header by which the sender describes its process. */
  readonly sender: Readonly<Record<string, string>>;
  /** Ends the wait for the answer. */
  readonly signal: AbortSignal;
}

/** The request by which a program other than `shim-hook` gives an event to the host of a home. */
export function eventRequest(
  home: string,
  env: NodeJS.ProcessEnv,
  { client, event, input, sender, signal }: PostedEvent,
): HostRequest {
  const headers = { ...callerHeaders(home, env), ...sender };
  return { method: "POST", path: `/hook/${client}/${event}`, headers, body: input, signal };
}

/**
 * @param gone aborted when the answer is of no use any more
 * @returns the hook's answer; empty where there is none
 */
export type SendEvent = (event: string, payload: JsonObject, gone?: AbortSignal) => Promise<JsonObject>;

/** No event: a client asks what its user would have it do from elsewhere. */
export const nextActEvent = "NextAct";

/** No event: Claude Code asks what its status line shows. */
export const statusLineEvent = "StatusLine";
/** The header of that question: minutes that the caller's clock is ahead of UTC. */
export const zoneHeader = "shim-zone";

/** Answer of a host that has had none for a while. */
export const noAct = { none: true } as const;

/** Report of what came of an act, by the number that the host gave it. */
export interface ActDone {
  readonly number: unknown;
  readonly isTaken: boolean;
}

/**
 * Answers with a numbered `WindowAct` or {@link noAct}; null: no host.
 *
 * @param done the act before
 */
export type NextAct = (session: string, done?: ActDone) => Promise<JsonObject | null>;

type HookLimits = Readonly<Record<keyof typeof pluginMs, number>>;

/** Not every runtime shows that a host holds an event: one that may be held is waited for. */
function limitOf(event: string, usualMs: number): number {
  return event === "PermissionRequest" ? heldMs : usualMs;
}

/** Tells the user that SHIM cannot be started. @param path its part that the client starts */
export function missingText(path: string, node: string): string {
  const fault = `${path}, or ${node} which it needs, is missing or does not work`;
  const cure = "Put it back, or run `shim init` of another copy of SHIM; its `shim init --remove` removes these hooks.";
  return `SHIM does not save this chat: ${fault}. ${cure}`;
}

/** A caller that waits to the end. */
const never = new AbortController().signal;

/** Environment of a hook program whose caller has waited for an answer of the host. */
const waited = { SHIM_HOOK_WAITED: "1" };

/**
 * Sends events from the client's own process to the host; each that it does not answer is
 * repeated by a hook program. An event that was recorded all the same counts once, by its ids.
 */
export class HookProgram {
  readonly #command: readonly string[];
  readonly #client: string;
  readonly #limits: HookLimits;

  constructor(command: readonly string[], client: string, limits: HookLimits = pluginMs) {
    this.#command = command;
    this.#client = client;
    this.#limits = limits;
  }

  async send(
    event: string,
    payload: JsonObject,
    report: (message: string) => void,
    gone: AbortSignal = never,
  ): Promise<JsonObject> {
    const input = JSON.stringify(payload);
    const late = new AbortController();
    let cancel = setIdleTimer(() => late.abort(), limitOf(event, this.#limits.event));
    let isHeld = false;
    const onHeld = (): void => {
      isHeld = true;
      cancel();
      cancel = setIdleTimer(() => late.abort(), heldMs);
    };
    const signal = AbortSignal.any([late.signal, gone]);
    const answer = await this.#post(event, input, signal, onHeld).catch(() => null);
    cancel();
    if (answer !== null) return answer;
    // A host that is gone has recorded the event which it held.
    if (isHeld || gone.aborted) return {};
    return this.#startProgram(event, input, { signal: gone, env: late.signal.aborted ? waited : {} }, report);
  }

  /** Resolves with the next act, or when the host answers without one. */
  nextAct: NextAct = async (session, done) => {
    const input = JSON.stringify({ session_id: session, done });
    const act = await this.#post(nextActEvent, input, never, () => undefined).catch(() => null);
    return act !== null && Object.keys(act).length > 0 ? act : null;
  };

  /** @returns null where no host has taken the event */
  async #post(event: string, input: string, signal: AbortSignal, onHeld: () => void): Promise<JsonObject | null> {
    const found = findHost(process.env);
    if (found === null) return null;
    const sender = { [clientHeader]: ownStatement() };
    const posted = { client: this.#client, event, input, sender, signal };
    const answer = await requestHost(found.socket, { ...eventRequest(found.home, process.env, posted), onHeld });
    if (answer === null) return null;
    const given = await text(answer);
    return answer.statusCode === 200 ? (parseObject(given) ?? {}) : null;
  }

  #startProgram(
    event: string,
    input: string,
    { signal, env }: { readonly signal: AbortSignal; readonly env: NodeJS.ProcessEnv },
    report: (message: string) => void,
  ): Promise<JsonObject> {
    const [command = "node", ...args] = this.#command;
    const usualMs = event === "SessionStart" ? this.#limits.start : this.#limits.event;
    const options = { timeout: limitOf(event, usualMs), signal, env: { ...process.env, ...env } };
    return new Promise((resolve) => {
      const child = execFile(command, [...args, event, "--client", this.#client], options, (error, answer) => {
        // One that ends with an error has not run: its own text is a trace for programmers.
        const failed = error?.killed
          ? `SHIM's hook did not answer at ${event}.`
          : missingText(args.at(-1) ?? "", command);
        if (error && !signal.aborted) report(failed);
        resolve(parseObject(answer) ?? {});
      });
      // A hook that has ended closes its input; the error is the call's.
      child.stdin?.on("error", () => undefined);
      child.stdin?.end(input);
    });
  }
}

/** @returns null where the program says why there is none */
function findHost(env: NodeJS.ProcessEnv): { readonly home: string; readonly socket: string } | null {
  try {
    const home = homeFrom(env);
    const socket = hostSocket(home, systemProcesses.boot());
    checkSocketFolder(home, socket);
    return { home, socket };
  } catch {
    return null;
  }
}
