import { execFile } from "node:child_process";
import { text } from "node:stream/consumers";
import { requestHost } from "../../platform/host-request.ts";
import { checkSocketFolder, hostSocket } from "../../platform/host-socket.ts";
import { homeFrom } from "../../platform/paths.ts";
import { ownStatement, systemProcesses } from "../../platform/processes.ts";
import { type JsonObject, parseObject } from "../../shared/json-fields.ts";
import { clientHeader, eventRequest } from "./hook-variables.ts";

/** @returns the hook's answer; empty where there is none */
export type SendEvent = (event: string, payload: JsonObject) => Promise<JsonObject>;

export interface HookLimits {
  /** The client waits for a hook: one that hangs is ended. */
  readonly eventMs: number;
  readonly startMs: number;
}

const defaultLimits: HookLimits = { eventMs: 5_000, startMs: 15_000 };

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

  constructor(command: readonly string[], client: string, limits = defaultLimits) {
    this.#command = command;
    this.#client = client;
    this.#limits = limits;
  }

  async send(event: string, payload: JsonObject, report: (message: string) => void): Promise<JsonObject> {
    const input = JSON.stringify(payload);
    const signal = AbortSignal.timeout(this.#limits.eventMs);
    const answer = await this.#post(event, input, signal).catch(() => null);
    return answer ?? this.#startProgram(event, input, signal.aborted ? waited : {}, report);
  }

  /** @returns null where no host has taken the event */
  async #post(event: string, input: string, signal: AbortSignal): Promise<JsonObject | null> {
    const found = findHost(process.env);
    if (found === null) return null;
    const sender = { [clientHeader]: ownStatement() };
    const posted = { client: this.#client, event, input, sender, signal };
    const answer = await requestHost(found.socket, eventRequest(found.home, process.env, posted));
    if (answer === null) return null;
    const given = await text(answer);
    return answer.statusCode === 200 ? (parseObject(given) ?? {}) : null;
  }

  #startProgram(
    event: string,
    input: string,
    more: NodeJS.ProcessEnv,
    report: (message: string) => void,
  ): Promise<JsonObject> {
    const [command = "node", ...args] = this.#command;
    const timeout = event === "SessionStart" ? this.#limits.startMs : this.#limits.eventMs;
    const options = { timeout, env: { ...process.env, ...more } };
    return new Promise((resolve) => {
      const child = execFile(command, [...args, event, "--client", this.#client], options, (error, answer) => {
        if (error) report(`SHIM's hook did not answer at ${event}: ${error.message}`);
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
