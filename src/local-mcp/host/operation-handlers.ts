import { limitRules, defaults, type Config } from "../../contract/config.ts";
import type { installationOperations } from "../../contract/machine/installation.ts";
import type { Json } from "../../contract/values.ts";
import { editConfig } from "../../installer/file-edits.ts";
import { refuseChat } from "../../machine/view/by-chat.ts";
import { effectHandlers } from "../../machine/view/effects-handlers.ts";
import { fileHandlers } from "../../machine/files/files-handlers.ts";
import { handoverHandlers } from "../../machine/team/operations/handover-handlers.ts";
import { forkHandlers } from "../../machine/files/fork-handlers.ts";
import { importSessionHandlers, nativeHandlers } from "../../machine/recovery/operations/native-handlers.ts";
import { KeptWorkspace, openWorkspace } from "../../machine/sharing/operations/workspace.ts";
import { learningHandlers } from "../../machine/view/learning-handlers.ts";
import type { CallOperation, OperationContext } from "../../machine/context/operation-context.ts";
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
import { unknownKeyText } from "../../shared/close-words.ts";
import { ok, type Result, fail } from "../../shared/result.ts";
import { listKeys, settingAt } from "../../shared/setting-keys.ts";
import { checkHandlers } from "../doctor/machine-checks.ts";
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

export const handlers: Handlers = {
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

/** @param call another operation, of the same caller */
export function handlerContext(context: OperationContext, call: CallOperation): HandlerContext {
  const workspace = new KeptWorkspace(() => openWorkspace(context));
  const others = new OtherMachines(workspace, call);
  return { ...context, workspace, others, team: new TeamReader(workspace, others), call, readSpool };
}
