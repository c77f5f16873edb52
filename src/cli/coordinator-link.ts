import { errorTable, isBadInput, isRefusal, isTransient, type CallError, type Refusal } from "../contract/errors.ts";
import { operations, type OutputOf } from "../contract/operations.ts";
import { exampleSelf, type Self } from "../contract/values.ts";
import { checkInput } from "../shared/check-input.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { processKey } from "../coordinator-client/local/process-key.ts";
import { identify } from "../platform/processes.ts";
import { WorkspaceClient } from "../coordinator-client/client.ts";
import type { PrepareInput, CallInput } from "../coordinator-client/edge/calls.ts";
import type { CallName } from "../coordinator-client/coordinator-client.ts";
import { nodePlatform } from "../coordinator-client/edge/node-platform.ts";
import { openLocalClient } from "../coordinator-client/open-link.ts";
import { redactInput } from "../redaction/operation-input.ts";
import { readEdgeConfig, type EdgeConfig } from "../coordinator-client/edge-config.ts";
import { exitCodes, failed, type FailedResult } from "./answer.ts";
import type { Cli, CommandResult } from "./cli.ts";

const callTimeoutMs = 15_000;

export interface CoordinatorLink {
  readonly where: string;
  readonly isEdge: boolean;
  readonly machine: string;
  readonly process: string;
  /** On the edge not connected before a chat or a watch needs it. */
  readonly client: WorkspaceClient;
  readonly call: <Name extends CallName>(
    name: Name,
    input: CallInput<Name>,
  ) => Promise<Result<OutputOf<Name>, FailedResult["error"]>>;
  readonly toFailure: (error: CallError) => FailedResult;
  close(): void;
}

export async function withLink(
  cli: Cli,
  body: (link: CoordinatorLink) => Promise<CommandResult>,
): Promise<CommandResult> {
  const link = await openCoordinatorLink(cli);
  if (!link.ok) return link;
  try {
    return await body(link.value);
  } finally {
    link.value.close();
  }
}

export async function openCoordinatorLink(cli: Cli): Promise<Result<CoordinatorLink, FailedResult["error"]>> {
  const edge = readEdgeConfig(cli.paths.home, cli.io.env);
  if (!edge.ok) return failed("edge_unusable", edge.error);
  /** [RD12] All that a command sends passes here, so none can skip redaction. */
  const redact: PrepareInput = (name, given) => {
    const { input, count } = redactInput(name, given);
    if (count > 0) cli.progress(`Secrets removed: ${count}.`);
    return input;
  };
  if (edge.value === null) return ok(await localLink(cli, redact));
  return edgeLink(edge.value, edge.value.token, edge.value.adminToken, redact);
}

/** @param adminToken for admin operations; without it `token` is for all */
export function edgeLink(
  edge: Pick<EdgeConfig, "url" | "workspace" | "machine">,
  token: string,
  adminToken?: string,
  prepareInput?: PrepareInput,
): Result<CoordinatorLink, FailedResult["error"]> {
  const { url, workspace, machine } = edge;
  const options = { edge: url, workspace, token, adminToken, connectsFor: "chat", prepareInput } as const;
  const client = WorkspaceClient.open(options, nodePlatform());
  if (!client.ok) return failed("bad_address", client.error);
  const where = `${url}, workspace ${workspace}`;
  const process = processName(machine);
  return ok({ where, isEdge: true, machine, process, ...calls(client.value, url, where) });
}

async function localLink(cli: Cli, prepareInput: PrepareInput): Promise<CoordinatorLink> {
  const { runtime } = await cli.loaded();
  const ownProcess = identify(runtime.processes, process.pid);
  const { client, machine } = openLocalClient(runtime, nodePlatform(), prepareInput);
  const processText = ownProcess ? processKey(ownProcess) : processName(machine);
  return {
    where: "this machine",
    isEdge: false,
    machine,
    process: processText,
    ...calls(client, "this machine", "this machine"),
  };
}

function processName(machine: string): string {
  return `process ${process.pid} of ${machine}`;
}

function calls(
  client: WorkspaceClient,
  name: string,
  where: string,
): Pick<CoordinatorLink, "client" | "call" | "toFailure" | "close"> {
  const toFailure = (error: CallError): FailedResult => callFailure(error, name);
  return {
    client,
    toFailure,
    close: () => client.close(),
    call: async (operation, input) => {
      const wrong = findBadInput(operation, input);
      if (wrong) return wrong;
      const answer = await client.call(operation, input, callTimeoutMs);
      if (answer.ok) return answer;
      const isForAdmins = answer.error.code === "forbidden" && operations[operation].scope === "admin";
      return isForAdmins ? adminFailure(toFailure(answer.error), where) : toFailure(answer.error);
    },
  };
}

/** [CL46] Refuses input that no coordinator takes; `self` and request id are added later. */
export function findBadInput(operation: CallName, input: object): FailedResult | null {
  const { shape } = operations[operation].input;
  const later = { self: exampleSelf, requestId: "r1" };
  const added = Object.fromEntries(Object.entries(later).filter(([field]) => field in shape));
  const checked = checkInput(operation, { ...added, ...input });
  return checked.ok ? null : refusalFailure(checked.error);
}

/** [CL62] [CL166] A joined machine may work, not administer. */
function adminFailure({ error: { code, message } }: FailedResult, where: string): FailedResult {
  return failed(code, `${message}. It needs the admin token of ${where}; this machine has none.`);
}

/** Code of the command's error: how the coordinator was not reached is no concern of a program. */
export function printedCode({ code }: { readonly code: string }): string {
  return code === "unreachable" || code === "outcome_unknown" ? "edge_unreachable" : code;
}

function callFailure(error: CallError, name: string): FailedResult {
  if (isRefusal(error)) return refusalFailure(error);
  if (error.code.startsWith("store_")) return failed(error.code, error.message);
  const lost = failed("edge_unreachable", `${name} did not answer: ${error.message}`);
  return err({ ...lost.error, isTransient: isTransient(error) });
}

/** [CL1] Bad input is wrong usage; a name that does not exist is not found. */
function refusalFailure(refusal: Refusal): FailedResult {
  const { code, message, retryAfterMs } = refusal;
  const retryText = retryAfterMs === undefined ? "" : ` (again in ${Math.ceil(retryAfterMs / 1_000)} s)`;
  if (isBadInput(refusal)) {
    const text = message.replace(/^[a-z]+\.[a-z-]+: /, "");
    return err({ exit: exitCodes.wrongUsage, code, message: text.endsWith(".") ? text : `${text}.` });
  }
  const refused = failed(code, `${message}${retryText}`);
  const isMissing = errorTable[code].status === 404 && code !== "unknown_operation";
  if (isMissing) return err({ ...refused.error, exit: exitCodes.notFound });
  return err({ ...refused.error, isTransient: isTransient(refusal) });
}

export const commandLine = "shim command line";

export function commandLineChat(machine: string): string {
  return `cli-${machine.replaceAll(/[^\w.:@-]/g, "-").slice(0, 100)}`;
}

export async function registerCommandLine(link: CoordinatorLink): Promise<Result<Self, FailedResult["error"]>> {
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
