import { err, ok, type Result } from "../shared/result.ts";
import type { Launch } from "../platform/launch.ts";
import { refusal, type ClientRefusal, type ReadText } from "./client-files.ts";
import { allowSummary } from "./allow-rules.ts";
import { formatOf } from "./client-formats.ts";
import { serverName } from "./entries.ts";
import { loadSound, toEdit, type FileText, type Plan, type PlanContext } from "./file-edits.ts";
import type { HookList } from "./hook-lists.ts";
import { nameTaken, serverSummary } from "./plan-servers.ts";
import { isNameTaken, type ServerList } from "./server-lists.ts";
import * as settings from "./settings-edits.ts";
import type { ClientTarget } from "./targets.ts";

export interface HookTexts {
  readonly list: ServerList;
  readonly servers: FileText;
  readonly hooks: FileText;
  /** Servers and hooks are in one file. */
  readonly isOne: boolean;
}

/** [IN32] Plans the MCP server and a process for each event. Refuses unsound files. */
export function planProcessHooks(
  target: ClientTarget,
  hooks: HookList,
  launch: Launch,
  { read, allowsTools }: PlanContext,
): Result<Plan, ClientRefusal> {
  const loaded = loadHookTexts(target, hooks, read);
  if (!loaded.ok) return loaded;
  const { list, servers, hooks: current, isOne } = loaded.value;
  if (isNameTaken(list, servers.text)) return err(nameTaken(servers.path));
  if (hooks.isTaken(current.text)) return err(refusal("name_taken", current.path, notOurs));
  const withServer = list.add(servers.text, launch);
  const allowed = allowsTools === true ? withRules(target, withServer) : withServer;
  const changes = [...serverSummary(servers, target, withServer), ...allowSummary(withServer, allowed)];
  const text = isOne ? allowed : current.text;
  const after = hooks.add(text, launch, target.platform);
  const summary = after === text ? [] : [settings.hooksSummary(text, after, hooks.events, hooks.handlers)];
  const edits = isOne
    ? [toEdit(current, after, [...changes, ...summary])]
    : [toEdit(servers, allowed, changes), toEdit(current, after, summary)];
  return ok({ action: "install", target, edits: edits.filter((edit) => edit !== null), notes: [] });
}

/** [IN91] Beside the servers. */
function withRules({ client }: ClientTarget, text: string): string {
  const { servers, rules } = formatOf(client);
  return rules?.add(text, servers.ours(text)[0] ?? serverName) ?? text;
}

const notOurs = "was not written by SHIM. Rename it and try again; nothing was changed.";

export function loadHookTexts(
  target: ClientTarget,
  { problem }: HookList,
  read: ReadText,
): Result<HookTexts, ClientRefusal> {
  const list = formatOf(target.client).servers;
  const servers = loadSound(read, target.serversFile, list.problem);
  if (!servers.ok) return servers;
  const hooks = loadSound(read, target.settingsFile, problem);
  if (!hooks.ok) return hooks;
  return ok({ list, servers: servers.value, hooks: hooks.value, isOne: target.serversFile === target.settingsFile });
}
