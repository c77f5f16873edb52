import { commandLine, commandLineChat } from "../../contract/command-line-chat.ts";
import type { CallError } from "../../contract/errors.ts";
import { operations, type CallInput, type CallName, type InputOf, type OutputOf } from "../../contract/operations.ts";
import type { PagedOperation, Pages } from "../../contract/pages.ts";
import type { Self } from "../../contract/values.ts";
import { WorkspaceClient } from "../../coordinator-client/client.ts";
import { readEdgeConfig, type EdgeConfig, type EdgeWorkspace } from "../../coordinator-client/edge-config.ts";
import type { PrepareInput } from "../../coordinator-client/edge/calls.ts";
import { nodePlatform } from "../../coordinator-client/edge/node-platform.ts";
import { untilAborted } from "../../coordinator-client/edge/platform.ts";
import type { WatchOptions } from "../../coordinator-client/edge/state-watch.ts";
import { fetchPages } from "../../coordinator-client/fetch-pages.ts";
import { processKey } from "../../coordinator-client/local/process-key.ts";
import { openLocalClient } from "../../coordinator-client/open-link.ts";
import { identify } from "../../platform/processes.ts";
import { redactInput } from "../../redaction/operation-input.ts";
import { findBadInput } from "../../shared/check-input.ts";
import type { Failure } from "../../shared/failure.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { HostContext } from "./handlers.ts";
import { holdRight } from "./held-right.ts";
import type { FollowedChanges, HeldRight, HostError, HostResult, RightRequest, Workspace } from "./host.ts";
import { openProjectReservations, type ProjectReservations } from "./project-reservations.ts";
import { toHostError } from "./workspace-errors.ts";

const callTimeoutMs = 15_000;

/** Opens the workspace that the machine has joined for as long as `body` runs. */
export async function withWorkspace<T, E extends Failure = Failure>(
  context: HostContext,
  body: (workspace: ClientWorkspace) => Promise<Result<T, E>>,
  given?: EdgeConfig,
): Promise<Result<T, E | HostError>> {
  const opened = await openWorkspace(context, given);
  if (!opened.ok) return opened;
  try {
    return await body(opened.value);
  } finally {
    opened.value.close();
  }
}

/** @param given instead of the workspace that the machine has joined */
export async function openWorkspace(context: HostContext, given?: EdgeConfig): Promise<HostResult<ClientWorkspace>> {
  const edge = given === undefined ? readEdgeConfig(context.paths.home, context.site.env) : ok(given);
  if (!edge.ok) return err({ code: "edge_unusable", message: edge.error });
  /** [RD12] All that a surface sends passes here, so none can skip redaction. */
  const redact: PrepareInput = (name, asGiven) => {
    const { input, count } = redactInput(name, asGiven);
    if (count > 0) context.onSecretsRemoved?.(count);
    return input;
  };
  return edge.value === null ? ok(await openLocal(context, redact)) : openEdge(context, edge.value, redact);
}

/** Operations of an admin use the admin token, where the machine has one. */
function openEdge({ runtime }: HostContext, edge: EdgeConfig, prepareInput: PrepareInput): HostResult<ClientWorkspace> {
  const { url, workspace, machine, token, adminToken } = edge;
  const options = { edge: url, workspace, token, adminToken, connectsFor: "chat", prepareInput } as const;
  const client = WorkspaceClient.open(options, nodePlatform());
  if (!client.ok) return err({ code: "bad_address", message: client.error });
  return ok(new ClientWorkspace(client.value, edge, { machine, process: processName(machine), runtime }));
}

async function openLocal(context: HostContext, prepareInput: PrepareInput): Promise<ClientWorkspace> {
  const runtime = await context.runtime();
  const ownProcess = identify(runtime.processes, process.pid);
  const { client, machine } = openLocalClient(runtime, nodePlatform(), prepareInput);
  const processText = ownProcess ? processKey(ownProcess) : processName(machine);
  return new ClientWorkspace(client, null, { machine, process: processText, runtime: context.runtime });
}

function processName(machine: string): string {
  return `process ${process.pid} of ${machine}`;
}

interface Site extends Pick<Workspace, "machine" | "process"> {
  readonly runtime: HostContext["runtime"];
}

export class ClientWorkspace implements Workspace {
  /** For programs that hold claims; on an edge not connected before a chat or a watch needs it. */
  readonly client: WorkspaceClient;
  readonly where: string;
  readonly isEdge: boolean;
  readonly machine: string;
  readonly process: string;
  /** Name of the coordinator in an error when it did not answer. */
  readonly #answerer: string;
  readonly #runtime: HostContext["runtime"];

  constructor(client: WorkspaceClient, edge: EdgeWorkspace | null, { machine, process: identity, runtime }: Site) {
    this.client = client;
    this.where = edge === null ? "this machine" : `${edge.url}, workspace ${edge.workspace}`;
    this.isEdge = edge !== null;
    this.machine = machine;
    this.process = identity;
    this.#answerer = edge?.url ?? this.where;
    this.#runtime = runtime;
  }

  // A field, since programs pass the function on.
  readonly call = async <Name extends CallName>(
    name: Name,
    input: CallInput<Name>,
  ): Promise<HostResult<OutputOf<Name>>> => {
    const wrong = findBadInput(name, input);
    if (wrong) return err(this.toHostError(wrong));
    const answer = await this.client.call(name, input, callTimeoutMs);
    return answer.ok ? answer : err(this.#explain(name, this.toHostError(answer.error)));
  };

  /** [CL62] [CL166] A joined machine may work, not administer. */
  #explain(name: CallName, error: HostError): HostError {
    if (error.code !== "forbidden" || operations[name].scope !== "admin") return error;
    const message = `${error.message}. It needs the admin token of ${this.where}, which is on the machine that made the workspace; this machine has none.`;
    return { code: error.code, message };
  }

  list<Name extends PagedOperation>(
    name: Name,
    input: InputOf<NoInfer<Name>>,
    pages?: Pages,
  ): Promise<HostResult<OutputOf<Name>>> {
    return fetchPages<Name, HostError>(this, name, input, pages);
  }

  /** Reservations of the project of a folder; see `openProjectReservations`. */
  async reservations(
    folder: string,
    asChat: (() => Promise<HostResult<Self>>) | null,
  ): Promise<HostResult<ProjectReservations>> {
    return openProjectReservations(await this.#runtime(), this, folder, asChat);
  }

  toHostError(error: CallError): HostError {
    return toHostError(error, this.#answerer);
  }

  async self(): Promise<HostResult<Self>> {
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

  hold(right: RightRequest, stop: AbortSignal): Promise<HostResult<HeldRight>> {
    const { client, machine, process: identity } = this;
    return holdRight({ client, machine, process: identity, answerer: this.#answerer }, right, stop);
  }

  /** [CL31] */
  async watch(
    start: WatchOptions,
    stop: AbortSignal,
    onTrouble: (text: string) => void,
    onChanges: (changes: FollowedChanges) => void,
  ): Promise<HostResult<null>> {
    this.client.on((event) => {
      if (event.type !== "state" || event.state === event.previous) return;
      if (event.state === "disconnected" && event.previous !== "connecting")
        onTrouble(`No connection to the coordinator (${event.reason}); retrying, no change will be missed.`);
      if (event.state === "fallback") onTrouble("No socket connection: polling every 5 s over HTTP.");
    });
    const failed = Promise.withResolvers<HostResult<null>>();
    const close = this.client.watch(start, (event) => {
      if (event.type === "failed") failed.resolve(err(this.toHostError(event.error)));
      else onChanges(event);
    });
    const ended = await untilAborted(failed.promise, stop);
    close();
    return ended ?? ok(null);
  }

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
