import { commandLine, commandLineChat } from "../../../contract/chats.ts";
import { isBadInput, isRefusal, type Failure } from "../../../contract/errors.ts";
import {
  operations,
  type CallInput,
  type CallName,
  type InputOf,
  type OutputOf,
  type PagedOperation,
  type Pages,
} from "../../../contract/operations.ts";
import type { Self } from "../../../contract/values.ts";
import { WorkspaceClient, openLocalClient, type OpenedLink } from "../../../coordinator-client/client.ts";
import { fetchPages } from "../../../coordinator-client/coordinator-client.ts";
import {
  localWorkspace,
  readEdgeConfig,
  type EdgeConfig,
  type EdgeWorkspace,
} from "../../../coordinator-client/edge-config.ts";
import type { PrepareInput } from "../../../coordinator-client/edge/calls.ts";
import { nodePlatform } from "../../../coordinator-client/edge/platform.ts";
import { processKey } from "../../../coordinator-client/local/process-key.ts";
import { identify } from "../../../platform/processes.ts";
import { redactInput } from "../../../redaction/redact-json.ts";
import { badInputText } from "../../../shared/bad-input.ts";
import { err, fail, ok, type Result } from "../../../shared/result.ts";
import type { OperationContext } from "../../context/operation-context.ts";

const callTimeoutMs = 15_000;

/** Opens the workspace that the machine has joined for as long as `body` runs. */
export async function withWorkspace<T>(
  context: OperationContext,
  body: (workspace: Workspace) => Promise<Result<T>>,
  given?: EdgeConfig,
): Promise<Result<T>> {
  const opened = await openWorkspace(context, given);
  if (!opened.ok) return opened;
  try {
    return await body(opened.value);
  } finally {
    opened.value.close();
  }
}

/** @param given instead of the workspace that the machine has joined */
export async function openWorkspace(context: OperationContext, given?: EdgeConfig): Promise<Result<Workspace>> {
  const edge = given === undefined ? readEdgeConfig(context.paths.home, context.site.env) : ok(given);
  if (!edge.ok) return fail("edge_unusable", edge.error);
  /** All that a surface sends passes here, so none can skip redaction. */
  const redact: PrepareInput = (name, asGiven) => {
    const { input, count } = redactInput(name, asGiven);
    if (count > 0) context.onSecretsRemoved?.(count);
    return input;
  };
  return edge.value === null ? ok(await openLocal(context, redact)) : openEdge(context, edge.value, redact);
}

/** Operations of an admin use the admin token, where the machine has one. */
function openEdge({ runtime }: OperationContext, edge: EdgeConfig, prepareInput: PrepareInput): Result<Workspace> {
  const { url, workspace, machine, token, adminToken } = edge;
  const options = { edge: url, workspace, token, adminToken, connectsFor: "chat", prepareInput } as const;
  const client = WorkspaceClient.open(options, nodePlatform());
  if (!client.ok) return fail("bad_address", client.error);
  return ok(new Workspace(client.value, edge, { machine, process: processName(machine), runtime }));
}

async function openLocal(context: OperationContext, prepareInput: PrepareInput): Promise<Workspace> {
  const runtime = await context.runtime();
  const ownProcess = identify(runtime.processes, process.pid);
  const { client, machine } = openLocalClient(runtime, nodePlatform(), prepareInput);
  const processText = ownProcess ? processKey(ownProcess) : processName(machine);
  return new Workspace(client, null, { machine, process: processText, runtime: context.runtime });
}

function processName(machine: string): string {
  return `process ${process.pid} of ${machine}`;
}

/** The workspace of a machine: on its edge, or in the machine's own file. */
export class Workspace {
  /** For programs that hold claims; on an edge not connected before a chat or a watch needs it. */
  readonly client: WorkspaceClient;
  /** For people. */
  readonly where: string;
  readonly isEdge: boolean;
  /** The names of its chats and projects depend on it. */
  readonly scope: Pick<OpenedLink, "workspace" | "machine" | "edge">;
  readonly machine: string;
  /** Identity of the calling process, as chats register it. */
  readonly process: string;
  readonly runtime: OperationContext["runtime"];
  /** Name of the coordinator in an error when it did not answer. */
  readonly #answerer: string;

  constructor(
    client: WorkspaceClient,
    edge: EdgeWorkspace | null,
    { machine, process: identity, runtime }: Pick<Workspace, "machine" | "process" | "runtime">,
  ) {
    this.client = client;
    this.where = edge === null ? "this machine" : `${edge.url}, workspace ${edge.workspace}`;
    this.isEdge = edge !== null;
    this.scope = { workspace: edge?.workspace ?? localWorkspace, machine, edge };
    this.machine = machine;
    this.process = identity;
    this.runtime = runtime;
    this.#answerer = edge?.url ?? this.where;
  }

  // A field, since programs pass the function on.
  readonly call = async <Name extends CallName>(
    name: Name,
    input: CallInput<Name>,
  ): Promise<Result<OutputOf<Name>>> => {
    const answer = await this.client.call(name, input, callTimeoutMs);
    return answer.ok ? answer : err(this.#explain(name, this.toOperationError(answer.error)));
  };

  /** A joined machine may work, not administer. */
  #explain(name: CallName, error: Failure): Failure {
    if (error.code !== "forbidden" || operations[name].scope !== "admin") return error;
    const message = `${error.message}. It needs the admin token of ${this.where}, which is on the machine that made the workspace; this machine has none.`;
    return { code: error.code, message };
  }

  /** Reads a list to its end. */
  list<Name extends PagedOperation>(
    name: Name,
    input: InputOf<NoInfer<Name>>,
    pages?: Pages,
  ): Promise<Result<OutputOf<Name>>> {
    return fetchPages<Name, Failure>(this, name, input, pages);
  }

  toOperationError(error: Failure): Failure {
    const { code, message, retryAfterMs } = error;
    if (code.startsWith("store_") || code === "closed") return { code, message };
    if (!isRefusal(error)) {
      const lost = `${this.#answerer} did not answer: ${message}`;
      return { code: "edge_unreachable", message: lost };
    }
    if (isBadInput(error)) return { code, message: badInputText(message) };
    const retryText = retryAfterMs === undefined ? "" : ` (again in ${Math.ceil(retryAfterMs / 1_000)} s)`;
    return { ...error, message: `${message}${retryText}` };
  }

  /** Registers the command line of the machine as a chat. */
  async self(): Promise<Result<Self>> {
    const { machine } = this;
    const chat = commandLineChat(machine);
    const registered = await this.call("chats.register", {
      chat,
      session: chat,
      process: `command line of ${machine}`,
      machine,
      client: commandLine,
      role: "supervisor",
      capacity: 0,
    });
    return registered.ok ? ok({ chat, incarnation: registered.value.incarnation }) : registered;
  }

  /** The listener is called after anything in the workspace may have changed. */
  onChange(listener: () => void): void {
    this.client.onHint(listener);
    // Changes of tasks and messages are hints: their watches themselves have none.
    if (this.isEdge) for (const prefix of ["", "$task/", "$message/"]) this.client.onChanges(prefix, listener);
    else this.client.connect();
  }

  close(): void {
    this.client.close();
  }
}
