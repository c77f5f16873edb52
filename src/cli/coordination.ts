import { errorTable, type Refusal } from "../contract/errors.ts";
import { operations, type InputOf, type OperationName, type OutputOf } from "../contract/operations.ts";
import type { Self } from "../contract/values.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { processKey } from "../local-mcp/coordinator/process-key.ts";
import { identify } from "../local-mcp/processes.ts";
import { addressOf } from "../local-mcp/edge/address.ts";
import { EdgeClient } from "../local-mcp/edge/client.ts";
import type { EdgeError } from "../local-mcp/edge/failure.ts";
import { ask } from "../local-mcp/edge/http.ts";
import { newId, type Outside } from "../local-mcp/edge/outside.ts";
import { systemOutside } from "../local-mcp/edge/system-outside.ts";
import { openLocal } from "../local-mcp/link/open-link.ts";
import { redactedInput } from "../local-mcp/redaction/operation-input.ts";
import { readEdge, type Edge } from "../local-mcp/authority.ts";
import { exitCodes, failed, type Refused } from "./answer.ts";
import type { Cli, Outcome } from "./cli.ts";

/** How long a command waits for the edge, in ms. */
const patienceMs = 15_000;

/** The coordinator of this machine, for one command. */
export interface Coordination {
  readonly where: string;
  readonly machine: string;
  /** This process, as its chats name it. */
  readonly process: string;
  /** For what goes on for longer: a client with a socket, not connected yet. Null: this machine decides, and is asked for nothing. */
  readonly edge: EdgeClient | null;
  /** Another number after each commit of another process of this machine. Null: on the edge, which tells by itself. */
  readonly version: (() => number) | null;
  call<Name extends OperationName>(name: Name, input: InputOf<Name>): Promise<Result<OutputOf<Name>, Refused["error"]>>;
  close(): void;
}

/** A command's call to the coordinator; the connection is closed after it. */
export async function withLink(cli: Cli, body: (link: Coordination) => Promise<Outcome>): Promise<Outcome> {
  const link = await coordination(cli);
  if (!link.ok) return link;
  try {
    return await body(link.value);
  } finally {
    link.value.close();
  }
}

/** The edge where this machine has joined one, else its own file. */
export async function coordination(cli: Cli): Promise<Result<Coordination, Refused["error"]>> {
  const edge = readEdge(cli.paths.home, cli.io.env);
  if (!edge.ok) return failed("edge_unusable", edge.error);
  if (edge.value === null) return ok(redacting(cli, await local(cli)));
  const link = remote(edge.value, edge.value.token, edge.value.adminToken);
  return link.ok ? ok(redacting(cli, link.value)) : link;
}

/** [RD12] Every command's input passes here, so none can forget it. */
function redacting(cli: Cli, link: Coordination): Coordination {
  return {
    ...link,
    call: (name, given) => {
      const { input, count } = redactedInput(name, given);
      if (count > 0) cli.progress(`Secrets removed: ${count}.`);
      return link.call(name, input);
    },
  };
}

/**
 * @param token of this machine, or that of an admin
 * @param adminToken for what only an admin may; without it `token` is for all
 */
export function remote(
  edge: Pick<Edge, "url" | "workspace" | "machine">,
  token: string,
  adminToken: string = token,
): Result<Coordination, Refused["error"]> {
  const address = addressOf(edge.url, edge.workspace);
  if (!address.ok) return failed("bad_address", address.error);
  const outside = systemOutside();
  const { signal } = new AbortController();
  const client = EdgeClient.open({ edge: edge.url, workspace: edge.workspace, token }, outside);
  if (!client.ok) return failed("bad_address", client.error);
  return ok({
    where: `${edge.url}, workspace ${edge.workspace}`,
    machine: edge.machine,
    process: `process ${process.pid} of ${edge.machine}`,
    edge: client.value,
    version: null,
    call: async (name, input) => {
      const entitled = operations[name].scope === "admin" ? adminToken : token;
      const way = { outside, address: address.value, token: entitled, signal };
      const asked = withId(outside, name, input);
      const first = await ask(way, name, asked.input, patienceMs);
      // [CL28] By its id it takes effect once.
      const isLost = first.kind === "lost" && first.isSent && asked.hasId;
      const outcome = isLost ? await ask(way, name, asked.input, patienceMs) : first;
      if (outcome.kind === "answered") return outcome.result.ok ? outcome.result : refusedBy(outcome.result.error);
      return failed("edge_unreachable", `${edge.url} did not answer: ${outcome.message}`);
    },
    close: () => client.value.close(),
  });
}

function withId<Name extends OperationName>(
  outside: Outside,
  name: Name,
  input: InputOf<Name>,
): { readonly input: InputOf<Name>; readonly hasId: boolean } {
  const hasId = "requestId" in operations[name].input.shape;
  return { input: hasId ? { requestId: newId(outside), ...input } : input, hasId };
}

async function local(cli: Cli): Promise<Coordination> {
  const { runtime } = await cli.loaded();
  const { driver, busyMs } = runtime.store.site;
  const { processes } = runtime;
  const own = identify(processes, process.pid);
  const site = { home: cli.paths.home, driver, busyMs, processes, now: cli.io.now };
  const { coordinator, machine, close } = openLocal(site);
  return {
    where: "this machine",
    machine,
    process: own ? processKey(own) : `process ${process.pid} of ${machine}`,
    edge: null,
    version: () => coordinator.version(),
    call: (name, input) => {
      const result = coordinator.call(name, input);
      return Promise.resolve(result.ok ? result : refusedBy(result.error));
    },
    close,
  };
}

/** Why a client has no answer. */
export function unanswered(error: EdgeError): Refused {
  return isRefusal(error) ? refusedBy(error) : failed("edge_unreachable", error.message);
}

function isRefusal(error: EdgeError): error is Refusal {
  return Object.hasOwn(errorTable, error.code);
}

function refusedBy({ code, message, retryAfterMs }: Refusal): Refused {
  const again = retryAfterMs === undefined ? "" : ` (again in ${Math.ceil(retryAfterMs / 1_000)} s)`;
  if (isBadInput.has(code)) {
    // Which operation it was the command says.
    const said = message.replace(/^[a-z]+\.[a-z-]+: /, "");
    return err({ exit: exitCodes.wrongUsage, code, message: said.endsWith(".") ? said : `${said}.` });
  }
  const refused = failed(code, `${message}${again}`);
  return isMissing.has(code) ? err({ ...refused.error, exit: exitCodes.notFound }) : refused;
}

/** [CL1] The same again would be refused again. */
const isBadInput: ReadonlySet<string> = new Set<Refusal["code"]>(["bad_input", "too_large"]);

/** [CL1] What these name is not there. */
const isMissing: ReadonlySet<string> = new Set<Refusal["code"]>([
  "unknown_workspace",
  "unknown_chat",
  "unknown_key",
  "unknown_task",
  "unknown_token",
]);

/** What the chat of the command line calls its client. */
export const commandLine = "shim command line";

export function commandLineChat(machine: string): string {
  return `cli-${machine.replaceAll(/[^\w.:@-]/g, "-").slice(0, 100)}`;
}

/** The command line as a chat of its own: one for each machine, which every command continues. */
export async function asChat(link: Coordination): Promise<Result<Self, Refused["error"]>> {
  const chat = commandLineChat(link.machine);
  const registered = await link.call("chats.register", {
    chat,
    session: chat,
    process: `command line of ${link.machine}`,
    machine: link.machine,
    client: commandLine,
    role: "supervisor",
    capacity: 0,
  });
  if (!registered.ok) return registered;
  return ok({ chat, incarnation: registered.value.incarnation });
}
