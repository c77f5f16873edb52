import { limitRules, defaults, type Config } from "../../contract/config.ts";
import type { installationOperations } from "../../contract/machine/installation.ts";
import { ofName, type ByFirstWord } from "../../contract/machine/find-operation.ts";
import type { MachineOperationName } from "../../contract/machine/operations.ts";
import type { Json } from "../../contract/values.ts";
import { editConfig } from "../../installer/file-edits.ts";
import { refuseChat } from "../../machine/view/by-chat.ts";
import { KeptWorkspace } from "../../machine/sharing/operations/kept-workspace.ts";
import type { CallOperation, OperationContext } from "../../machine/context/operation-context.ts";
import type { Handlers, HandlerContext } from "../../machine/recovery/handler-context.ts";
import { OtherMachines } from "../../machine/recovery/other-machines.ts";
import { TeamReader, teamHandlers } from "../../machine/team/operations/team-handlers.ts";
import { limitProblems } from "../../machine/sessions/usage/at-limit.ts";
import { readConfig } from "../../platform/config-file.ts";
import { unknownKeyText } from "../../shared/close-words.ts";
import { ok, type Result, fail } from "../../shared/result.ts";
import { listKeys, settingAt } from "../../shared/setting-keys.ts";
import { drainInto as readSpool } from "../events/answer-hook.ts";
import { runningHost } from "../host-client/host-status.ts";

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

type Loader = () => Promise<Partial<Handlers>>;

const effects: Loader = async () => (await import("../../machine/view/effects-handlers.ts")).effectHandlers;
const installation: Loader = async () => installationHandlers;
const learning: Loader = async () => (await import("../../machine/view/learning-handlers.ts")).learningHandlers;
const overview: Loader = async () => {
  const parts = await import("../../machine/view/overview-handlers.ts");
  return { ...parts.overviewHandlers, ...parts.pageHandlers, ...parts.noticeHandlers, ...parts.pauseHandlers };
};
const recovery: Loader = async () =>
  (await import("../../machine/recovery/operations/recovery-handlers.ts")).recoveryHandlers;
const rescue: Loader = async () => {
  const parts = await import("../../machine/recovery/operations/rescue-handlers.ts");
  return { ...parts.rescueHandlers, ...parts.storesHandlers };
};
const sessions: Loader = async () => (await import("../../machine/view/session-handlers.ts")).sessionHandlers;
const stored: Loader = async () =>
  (await import("../../machine/view/stored-session-handlers.ts")).storedSessionHandlers;
const usage: Loader = async () => (await import("../../machine/view/usage-handlers.ts")).usageHandlers;

const loaders: ByFirstWord<Loader> = {
  checkpoints: sessions,
  checks: async () => (await import("../doctor/machine-checks.ts")).checkHandlers,
  clients: overview,
  config: installation,
  conversation: async () =>
    (await import("../../machine/view/conversation/conversation-handlers.ts")).conversationHandlers,
  effects,
  experiments: learning,
  files: async () => (await import("../../machine/files/files-handlers.ts")).fileHandlers,
  forks: async () => (await import("../../machine/files/fork-handlers.ts")).forkHandlers,
  handover: async () => (await import("../../machine/team/operations/handover-handlers.ts")).handoverHandlers,
  host: installation,
  metrics: usage,
  notices: overview,
  overview,
  page: overview,
  pauses: overview,
  phones: async () => (await import("../../machine/view/phone-handlers.ts")).phoneHandlers,
  prompts: learning,
  recovery,
  "recovery.diagnose": rescue,
  "recovery.make-native": async () =>
    (await import("../../machine/recovery/operations/native-handlers.ts")).nativeHandlers,
  "recovery.recall": async () => (await import("../../machine/recovery/operations/recall-handlers.ts")).recallHandlers,
  "recovery.rescue": rescue,
  "recovery.verify": effects,
  report: learning,
  requests: async () => (await import("../../machine/view/request-handlers.ts")).requestHandlers,
  review: learning,
  runs: async () => (await import("../../machine/view/run-handlers.ts")).runHandlers,
  sessions,
  "sessions.export": stored,
  "sessions.forget": stored,
  "sessions.import": stored,
  "sessions.stored": stored,
  statusline: async () => (await import("../../machine/view/status-line.ts")).statusLineHandlers,
  stores: rescue,
  team: async () => teamHandlers,
  "team.overview": overview,
  tokens: usage,
  transcripts: recovery,
  "transcripts.import-session": async () =>
    (await import("../../machine/recovery/operations/native-handlers.ts")).importSessionHandlers,
  undo: async () => (await import("../../machine/files/undo-handlers.ts")).undoHandlers,
  usage,
  workspace: async () => (await import("../../machine/team/operations/workspace-handlers.ts")).workspaceHandlers,
};

/** Only what the operation needs is loaded: all together take as long as a whole command. */
export async function handlerOf<Name extends MachineOperationName>(name: Name): Promise<Handlers[Name]> {
  const handler = (await ofName(loaders, name)?.())?.[name];
  if (handler === undefined) throw new Error(`no handler of ${name}`);
  return handler;
}

/** @param call another operation, of the same caller */
export function handlerContext(context: OperationContext, call: CallOperation): HandlerContext {
  const workspace = new KeptWorkspace(async () => {
    const { openWorkspace } = await import("../../machine/sharing/operations/workspace.ts");
    return openWorkspace(context);
  });
  const others = new OtherMachines(workspace, call);
  return { ...context, workspace, others, team: new TeamReader(workspace, others), call, readSpool };
}
