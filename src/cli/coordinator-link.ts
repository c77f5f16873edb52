import { errorTable, type Refusal } from "../contract/errors.ts";
import { operations, type InputOf, type OperationName, type OutputOf } from "../contract/operations.ts";
import type { Self } from "../contract/values.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { processKey } from "../coordinator-client/local/process-key.ts";
import { identify } from "../platform/processes.ts";
import { parseAddress } from "../coordinator-client/edge/address.ts";
import { EdgeClient } from "../coordinator-client/edge/client.ts";
import type { EdgeError } from "../coordinator-client/edge/edge-error.ts";
import type { LeaseError } from "../coordinator-client/edge/held-lease.ts";
import { send } from "../coordinator-client/edge/http-transport.ts";
import { newId, type Platform } from "../coordinator-client/edge/platform.ts";
import { nodePlatform } from "../coordinator-client/edge/node-platform.ts";
import { LocalChatLink } from "../coordinator-client/local-chat-link.ts";
import { openLocalCoordinator } from "../coordinator-client/open-link.ts";
import { redactInput } from "../redaction/operation-input.ts";
import { readEdgeConfig, type EdgeConfig } from "../coordinator-client/edge-config.ts";
import { exitCodes, failed, type FailedResult } from "./answer.ts";
import type { Cli, CommandResult } from "./cli.ts";

const callTimeoutMs = 15_000;

export interface CoordinatorLink {
  readonly where: string;
  readonly machine: string;
  readonly process: string;
  /** Not connected yet; null: this machine's own coordinator. */
  readonly edge: EdgeClient | null;
  /** Changes after each commit of another process; null on the edge, which sends hints. */
  readonly version: (() => number) | null;
  call<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
  ): Promise<Result<OutputOf<Name>, FailedResult["error"]>>;
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
  if (edge.value === null) return ok(withRedaction(cli, await localLink(cli)));
  const link = edgeLink(edge.value, edge.value.token, edge.value.adminToken);
  return link.ok ? ok(withRedaction(cli, link.value)) : link;
}

/** [RD12] All commands' input passes here, so none can skip redaction. */
function withRedaction(cli: Cli, link: CoordinatorLink): CoordinatorLink {
  return {
    ...link,
    call: (name, given) => {
      const { input, count } = redactInput(name, given);
      if (count > 0) cli.progress(`Secrets removed: ${count}.`);
      return link.call(name, input);
    },
  };
}

/** @param adminToken for admin operations; without it `token` is for all */
export function edgeLink(
  edge: Pick<EdgeConfig, "url" | "workspace" | "machine">,
  token: string,
  adminToken: string = token,
): Result<CoordinatorLink, FailedResult["error"]> {
  const address = parseAddress(edge.url, edge.workspace);
  if (!address.ok) return failed("bad_address", address.error);
  const platform = nodePlatform();
  const { signal } = new AbortController();
  const client = EdgeClient.open({ edge: edge.url, workspace: edge.workspace, token }, platform);
  if (!client.ok) return failed("bad_address", client.error);
  return ok({
    where: `${edge.url}, workspace ${edge.workspace}`,
    machine: edge.machine,
    process: `process ${process.pid} of ${edge.machine}`,
    edge: client.value,
    version: null,
    call: async (name, input) => {
      const requiredToken = operations[name].scope === "admin" ? adminToken : token;
      const callTarget = { platform, address: address.value, token: requiredToken, signal };
      const request = withId(platform, name, input);
      const first = await send(callTarget, name, request.input, callTimeoutMs);
      // [CL28] A repeat with the same id takes effect once.
      const isLost = first.kind === "lost" && first.isSent && request.hasId;
      const outcome = isLost ? await send(callTarget, name, request.input, callTimeoutMs) : first;
      if (outcome.kind === "answered") return outcome.result.ok ? outcome.result : refusalFailure(outcome.result.error);
      return failed("edge_unreachable", `${edge.url} did not answer: ${outcome.message}`);
    },
    close: () => client.value.close(),
  });
}

function withId<Name extends OperationName>(
  platform: Platform,
  name: Name,
  input: InputOf<Name>,
): { readonly input: InputOf<Name>; readonly hasId: boolean } {
  const hasId = "requestId" in operations[name].input.shape;
  return { input: hasId ? { requestId: newId(platform), ...input } : input, hasId };
}

async function localLink(cli: Cli): Promise<CoordinatorLink> {
  const { runtime } = await cli.loaded();
  const { driver, busyMs } = runtime.store.context;
  const { processes } = runtime;
  const ownProcess = identify(processes, process.pid);
  const storeOptions = { home: cli.paths.home, driver, busyMs, processes, now: cli.io.now };
  const { coordinator, machine, close } = openLocalCoordinator(storeOptions);
  return {
    where: "this machine",
    machine,
    process: ownProcess ? processKey(ownProcess) : `process ${process.pid} of ${machine}`,
    edge: null,
    version: () => coordinator.version(),
    call: (name, input) => {
      const result = coordinator.call(name, input);
      return Promise.resolve(result.ok ? result : refusalFailure(result.error));
    },
    close,
  };
}

export function edgeFailure(error: EdgeError | LeaseError): FailedResult {
  return isRefusal(error) ? refusalFailure(error) : failed("edge_unreachable", error.message);
}

export function isRefusal(error: EdgeError | LeaseError): error is Refusal {
  return Object.hasOwn(errorTable, error.code);
}

function refusalFailure({ code, message, retryAfterMs }: Refusal): FailedResult {
  const retryText = retryAfterMs === undefined ? "" : ` (again in ${Math.ceil(retryAfterMs / 1_000)} s)`;
  if (badInputCodes.has(code)) {
    const text = message.replace(/^[a-z]+\.[a-z-]+: /, "");
    return err({ exit: exitCodes.wrongUsage, code, message: text.endsWith(".") ? text : `${text}.` });
  }
  const refused = failed(code, `${message}${retryText}`);
  return missingCodes.has(code) ? err({ ...refused.error, exit: exitCodes.notFound }) : refused;
}

/** [CL1] Refusals that a repeat cannot change. */
const badInputCodes: ReadonlySet<string> = new Set<Refusal["code"]>(["bad_input", "too_large"]);

/** [CL1] Refusals of names that do not exist. */
const missingCodes: ReadonlySet<string> = new Set<Refusal["code"]>([
  "unknown_workspace",
  "unknown_chat",
  "unknown_key",
  "unknown_task",
  "unknown_token",
]);

/** A chat of this machine's own coordinator. */
export function localChatLink(link: CoordinatorLink, platform: Platform): LocalChatLink {
  const version = link.version ?? (() => 0);
  return new LocalChatLink({ call: (name, input) => link.call(name, input), version }, platform);
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
