import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { limitRules, defaults, type Config } from "../../contract/config.ts";
import type { installationOperations } from "../../contract/machine/installation.ts";
import type { PageCall } from "../../contract/live-page.ts";
import type { MachineOperation } from "../../contract/operation.ts";
import {
  machineOperations,
  type CheckedMachineInput,
  type MachineInput,
  type MachineOperationName,
  type MachineOutput,
} from "../../contract/machine/operations.ts";
import type { Json } from "../../contract/values.ts";
import { editConfig } from "../../installer/file-edits.ts";
import { refuseChat } from "../../machine/view/by-chat.ts";
import { effectHandlers } from "../../machine/view/effects-handlers.ts";
import { fileHandlers } from "../../machine/files/files-handlers.ts";
import { handoverHandlers } from "../../machine/team/operations/handover-handlers.ts";
import { forkHandlers } from "../../machine/files/fork-handlers.ts";
import { importSessionHandlers, nativeHandlers } from "../../machine/recovery/operations/native-handlers.ts";
import { KeptWorkspace, type Workspace } from "../../machine/sharing/operations/workspace.ts";
import { learningHandlers } from "../../machine/view/learning-handlers.ts";
import type {
  SystemSite,
  OperationContext,
  CallOperation,
  HostClient,
} from "../../machine/context/operation-context.ts";
import type { Handlers, HandlerContext } from "../../machine/recovery/handler-context.ts";
import { OtherMachines } from "../../machine/recovery/other-machines.ts";
import { conversationHandlers } from "../../machine/view/conversation/conversation-handlers.ts";
import { noticeHandlers, overviewHandlers, pageHandlers, pauseHandlers } from "../../machine/view/overview-handlers.ts";
import { phoneHandlers } from "../../machine/view/phone-handlers.ts";
import { recallHandlers } from "../../machine/recovery/operations/recall-handlers.ts";
import { recoveryHandlers } from "../../machine/recovery/operations/recovery-handlers.ts";
import { requestHandlers } from "../../machine/view/request-handlers.ts";
import { runHandlers } from "../../machine/view/run-handlers.ts";
import { rescueHandlers, storesHandlers } from "../../machine/recovery/operations/rescue-handlers.ts";
import { sessionHandlers, storedSessionHandlers } from "../../machine/view/session-handlers.ts";
import { statusLineHandlers } from "../../machine/view/status-line.ts";
import { TeamReader, teamHandlers } from "../../machine/team/operations/team-handlers.ts";
import { undoHandlers } from "../../machine/files/undo-handlers.ts";
import { usageHandlers } from "../../machine/view/usage-handlers.ts";
import { workspaceHandlers } from "../../machine/team/operations/workspace-handlers.ts";
import { limitProblems } from "../../machine/sessions/usage/at-limit.ts";
import { readConfig } from "../../platform/config-file.ts";
import { ownStatement } from "../../platform/processes.ts";
import { programPath } from "../../platform/program-path.ts";
import type { Launch } from "../../platform/shim-command.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { formatIssues } from "../../shared/check-input.ts";
import { unknownKeyText } from "../../shared/close-words.ts";
import { codeOf } from "../../shared/error.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok, type Result, fail } from "../../shared/result.ts";
import { listKeys, settingAt } from "../../shared/setting-keys.ts";
import { NeedsHostError, storeRefusal } from "../../store/store-error.ts";
import { checkHandlers } from "../doctor/machine-checks.ts";
import { drainInto as readSpool } from "../events/answer-hook.ts";
import { runningHost } from "../host-client/host-client.ts";
import type { MetricsServing, PageServing, ServedMetrics, ServedPage } from "../page/serve.ts";

const versionTimeoutMs = 5_000;

/** @param env of the caller */
export function systemSite(launch: Launch, env: NodeJS.ProcessEnv): SystemSite {
  return {
    env,
    now: Date.now,
    launch,
    nodeVersion: process.versions.node,
    machine: { platform: process.platform, env, homedir: homedir(), exists: existsSync, list: listNames },
    runQuietly: (command, args) => runQuietly(command, args, env),
    versionOf: (program) => versionOf(program, env),
  };
}

/** Parts of an operation that the host does itself. @param runtime has the caller's variables */
export function hostContext(runtime: Runtime): Pick<OperationContext, "paths" | "site" | "loaded" | "runtime"> {
  return {
    paths: runtime.paths,
    site: systemSite(runtime.launch, runtime.env),
    loaded: async () => ({ runtime, driver: runtime.store.connection().driver, fallbackReason: null }),
    runtime: async () => runtime,
  };
}

function listNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function runQuietly(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): { readonly code: number; readonly text: string } | null {
  const { status, stdout, stderr, error } = spawnSync(programPath(command, env), args, {
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    windowsHide: true,
  });
  if (error && codeOf(error) === "ENOENT") return null;
  return { code: status ?? 1, text: error ? error.message : `${stdout}${stderr}` };
}

function versionOf(program: string, env: NodeJS.ProcessEnv): string | null {
  try {
    return execFileSync(programPath(program, env), ["--version"], {
      env,
      encoding: "utf8",
      timeout: versionTimeoutMs,
      stdio: ["ignore", "pipe", "ignore"],
      windowsHide: true,
    }).trim();
  } catch {
    return null;
  }
}

const installationHandlers: Pick<Handlers, Exclude<keyof typeof installationOperations, "checks.run">> = {
  "config.show"({ paths }) {
    const config = readCurrent(paths.config);
    if (!config.ok) return config;
    return ok({ path: paths.config, config: { ...config.value } });
  },
  "config.get"({ paths }, { key }) {
    const config = readCurrent(paths.config);
    if (!config.ok) return config;
    const value = settingAt(config.value, key) as Json | undefined;
    return value === undefined ? unknownKey(key) : ok({ key, value });
  },
  "config.set": (context, { key, value }) => change(context, key, value),
  "config.unset": (context, { key }) => change(context, key, undefined),
  "host.status": (context) => runningHost(context, "GET", "/status"),
  "host.stop": (context) => runningHost(context, "POST", "/stop"),
};

function readCurrent(path: string): Result<Config> {
  const read = readConfig(path);
  if (read.ok) return read;
  return fail(
    "config_invalid",
    `${read.error}\nCorrect the file; until then the defaults apply and nothing is changed.`,
  );
}

/** Settings by which a chat could allow its own calls, or start another that may do more. */
const ofUserAlone = /^(answers|atLimit|runs)(\.|$)/;

async function change(
  context: HandlerContext,
  key: string,
  value: Json | undefined,
): Promise<Result<{ key: string; value: Json }>> {
  const { config: path } = context.paths;
  if (settingAt(defaults, key) === undefined) return unknownKey(key);
  const refused = ofUserAlone.test(key) ? await refuseChat(context, "change this setting") : null;
  if (refused !== null) return refused;
  const rules = key === "atLimit" ? limitRules().safeParse(value) : null;
  const [problem] = rules?.success ? limitProblems(rules.data, context.site.env) : [];
  if (problem !== undefined) return fail("bad_input", `atLimit: ${problem}\nNothing was changed.`);
  const edited = editConfig(path, key, value);
  if (edited.ok) return ok({ key, value: settingAt(edited.value, key) as Json });
  const before = readCurrent(path);
  return before.ok ? fail("bad_input", `${edited.error}\nNothing was changed.`) : before;
}

/** A map that is empty by default is not among the defaults' keys. */
const settingKeys: readonly string[] = [...listKeys(defaults), "usage.prices"];

function unknownKey(key: string): Result<never> {
  return fail("bad_input", unknownKeyText(key, settingKeys));
}

const handlers: Handlers = {
  ...checkHandlers,
  ...conversationHandlers,
  ...effectHandlers,
  ...fileHandlers,
  ...forkHandlers,
  ...handoverHandlers,
  ...noticeHandlers,
  ...overviewHandlers,
  ...pageHandlers,
  ...pauseHandlers,
  ...phoneHandlers,
  ...recoveryHandlers,
  ...recallHandlers,
  ...nativeHandlers,
  ...rescueHandlers,
  ...importSessionHandlers,
  ...requestHandlers,
  ...runHandlers,
  ...learningHandlers,
  ...sessionHandlers,
  ...statusLineHandlers,
  ...storedSessionHandlers,
  ...storesHandlers,
  ...teamHandlers,
  ...installationHandlers,
  ...undoHandlers,
  ...usageHandlers,
  ...workspaceHandlers,
};

/** The authority over what SHIM stores on a machine, in the calling process. */
export class OperationRunner {
  readonly #context: HandlerContext;

  constructor(context: OperationContext) {
    const workspace = new KeptWorkspace(() => this.workspace());
    const call: CallOperation = (name, input) => this.call(name, input);
    const others = new OtherMachines(workspace, call);
    const team = new TeamReader(workspace, others);
    this.#context = { ...context, workspace, others, team, call, readSpool };
  }

  /** The host writes. Refusals and errors of the store are results, bugs throw. */
  async call<Name extends MachineOperationName>(
    name: Name,
    input: MachineInput<Name>,
  ): Promise<Result<MachineOutput<Name>>> {
    const checked = machineOperations[name].input.safeParse(input);
    if (!checked.success) return fail("bad_input", `${name}: ${formatIssues(checked.error)}.`);
    const { doneBy, isLong }: MachineOperation = machineOperations[name];
    const { hostClient, site, by = "command line", caller, progress, onSecretsRemoved, onInterrupt } = this.#context;
    const askHost = async (one: HostClient): Promise<Result<MachineOutput<Name>>> => {
      const own = caller === undefined ? {} : { caller: ownStatement() };
      const asked = { name, input: checked.data, env: site.env, by, ...own };
      const ask = (signal?: AbortSignal): Promise<Result<unknown>> =>
        one.call(asked, omitUndefined({ progress, onSecretsRemoved, signal }));
      const answer = await (isLong && onInterrupt ? untilInterrupted(onInterrupt, ask) : ask());
      return answer as Result<MachineOutput<Name>>;
    };
    if (hostClient && doneBy === "host") return askHost(hostClient);
    try {
      return await handlers[name](this.#context, checked.data as CheckedMachineInput<Name>);
    } catch (error) {
      // The host migrates or repairs the store on its way.
      if (hostClient && error instanceof NeedsHostError) return askHost(hostClient);
      return storeRefusal(error);
    }
  }

  /** The one that the machine has joined, or its own. */
  async workspace(): Promise<Result<Workspace>> {
    // Most commands need none.
    const { openWorkspace } = await import("../../machine/sharing/operations/workspace.ts");
    return openWorkspace(this.#context);
  }

  /** Serves the live page on loopback until it is closed. */
  async servePage(serving: PageServing): Promise<Result<ServedPage>> {
    const { servePage } = await import("../page/serve.ts");
    const host = new OperationRunner({ ...this.#context, by: "live page" });
    const served = await servePage(host, host.#context, serving);
    if (!served.ok) return served;
    const close = async (): Promise<void> => {
      await served.value.close();
      await host.close();
    };
    return ok({ ...served.value, close });
  }

  /** Answers calls of a page that is served elsewhere. @param onTeamChanged until it is closed */
  async pageCalls(onTeamChanged: () => void): Promise<(call: PageCall) => Promise<Result<unknown>>> {
    const { pageCalls } = await import("../page/serve.ts");
    const { workspace } = this.#context;
    workspace.follow(onTeamChanged);
    return pageCalls(this, workspace);
  }

  /** Serves the metrics on loopback until it is closed. */
  async serveMetrics(serving: MetricsServing): Promise<Result<ServedMetrics>> {
    const { serveMetrics } = await import("../page/serve.ts");
    return serveMetrics(this.#context.paths.home, serving, async () => {
      const read = await this.call("metrics.read", {});
      return read.ok ? ok([...read.value.samples, ...serving.more()]) : read;
    });
  }

  close(): Promise<void> {
    return this.#context.workspace.close();
  }
}

/** Ctrl-C ends the wait for a host, and not what the host has begun. */
function untilInterrupted<T>(
  onInterrupt: NonNullable<OperationContext["onInterrupt"]>,
  ask: (signal: AbortSignal) => Promise<Result<T>>,
): Promise<Result<T>> {
  const stop = new AbortController();
  const { promise: stopped, resolve } = Promise.withResolvers<Result<never>>();
  const forget = onInterrupt(() => {
    stop.abort();
    const message =
      "it was stopped. The host of this machine may still complete it: see `shim sessions`, or repeat the command.";
    resolve(fail("interrupted", message));
  });
  return Promise.race([ask(stop.signal), stopped]).finally(forget);
}
